"""The CPU seconds of preparing a corpus, of drawing batches from it, and of finding duplicates."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import numpy as np

from seq2seq.config.recipe import Recipe
from seq2seq.corpus import Corpus, prepare, tokenizer_for
from seq2seq.corpus.cache import scratch
from seq2seq.corpus.duplicates import duplicates
from seq2seq.training.training_pairs import TrainingPairs

_PART = 1 << 20  # items
_REPEATED = 1 << 10  # of each part, by the next one


def measure_corpus(recipe: Recipe, seconds: float) -> None:
    """Prepare the corpus of a recipe without a cache, and draw batches for some CPU seconds."""
    with _empty_cache():
        begun = _cpu_seconds()
        corpus = prepare(recipe.corpus)
        used = _cpu_seconds() - begun
        pairs = sum(text.pairs for text in corpus.report.texts)
        print(f"prepared {pairs:,} pairs: {used:.1f} s, {1e6 * used / pairs:.1f} s a million")
        _measure_batches(recipe, corpus, seconds)


def _measure_batches(recipe: Recipe, corpus: Corpus, seconds: float) -> None:
    pairs = TrainingPairs(corpus.train, tokenizer_for(recipe, corpus), recipe, corpus.weights)
    pairs.buffer(0, 0)  # which orders the epoch
    begun, tokens = _cpu_seconds(), 0
    for number in count():
        buffer = pairs.buffer(*divmod(number, pairs.buffers))
        tokens += sum(buffer[place].tokens for place in range(len(buffer)))
        if (used := _cpu_seconds() - begun) >= seconds:
            break
    print(f"drew {tokens:,} target tokens: {used:.1f} s, {tokens / used:,.0f} a second")


def measure_duplicates(items: int) -> None:
    """Find the duplicates among random hashes, of which one in a thousand is repeated."""
    with _empty_cache():
        random = np.random.default_rng(1)
        hashes = scratch(items, np.uint64)
        for begin in range(0, items, _PART):
            part = hashes[begin : begin + _PART]
            part[:] = random.integers(0, 1 << 64, len(part), np.uint64)
            before = hashes[max(0, begin - _REPEATED) : begin][: len(part)]
            part[: len(before)] = before
        begun = _cpu_seconds()
        number = sum(1 for _ in duplicates(hashes, lambda item: int(hashes[item])))
        used = _cpu_seconds() - begun
    print(f"found {number:,} duplicates of {items:,}: {used:.1f} s")


def _cpu_seconds() -> float:
    """Of this process and of those that it has started, once they have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@contextmanager
def _empty_cache() -> Iterator[None]:
    before = os.environ.get("SEQ2SEQ_CACHE")
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=before) as folder:
        os.environ["SEQ2SEQ_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("SEQ2SEQ_CACHE")
            if before is not None:
                os.environ["SEQ2SEQ_CACHE"] = before
