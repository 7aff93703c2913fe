"""Parallel text: read it, check it, prepare it for training."""

from seq2seq.corpus.checking import CorpusReport, Finding, TextReport, check
from seq2seq.corpus.preparing import Corpus, check_corpus, check_sources, prepare
from seq2seq.corpus.reading import ParallelText, read_lines, read_parallel

__all__ = [
    "Corpus",
    "CorpusReport",
    "Finding",
    "ParallelText",
    "TextReport",
    "check",
    "check_corpus",
    "check_sources",
    "prepare",
    "read_lines",
    "read_parallel",
]
