"""Tables of any size, translated on the engines that people have."""

from seq2seq.bulk.batch_translator import BatchTranslator

__all__ = ["BatchTranslator"]
