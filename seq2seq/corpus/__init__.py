"""Parallel text: read it, check it, prepare it for training."""

from seq2seq.corpus.filters import CorpusReport, Finding, TextReport, check
from seq2seq.corpus.prepare import (
    Corpus,
    DirectedText,
    check_corpora,
    check_sources,
    directed_texts,
    prepare,
    read_tests,
    read_validation,
)
from seq2seq.corpus.readers import ParallelText, read_lines, read_parallel

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
]
