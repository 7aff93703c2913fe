"""Translate tables of any size: with local processes, Ray or Spark."""

from seq2seq.bulk.batch_translator import BatchTranslator

__all__ = ["BatchTranslator"]
