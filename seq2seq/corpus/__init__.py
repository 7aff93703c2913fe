"""Read parallel text, check it, and prepare it for training."""

from seq2seq.corpus.prepare import (
    Corpus,
    DirectedText,
    check_corpora,
    check_sources,
    directed_texts,
    prepare,
    read_tests,
    read_validation,
    tokenizer_for,
)
from seq2seq.corpus.readers import ParallelText, read_lines, read_parallel
from seq2seq.corpus.report import CorpusReport, Finding, TextReport, check

__all__ = [
    "Corpus",
    "CorpusReport",
    "DirectedText",
    "Finding",
    "ParallelText",
    "TextReport",
    "check",
    "check_corpora",
    "check_sources",
    "directed_texts",
    "prepare",
    "read_lines",
    "read_parallel",
    "read_tests",
    "read_validation",
    "tokenizer_for",
]
