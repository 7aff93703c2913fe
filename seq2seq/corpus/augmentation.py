"""Augment training pairs the way people vary text: no capitals, no full stop, other names.

A model that has only read clean sentences handles other text badly. All random choices come from
the generator that is passed in, so a resumed run makes the same ones again.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice, takewhile
from random import Random

from seq2seq.config.recipe import AugmentationConfig
from seq2seq.corpus.readers import ParallelText

PLACEHOLDERS = 16
"""The number of symbols `<ph0>`, `<ph1>`...; `seq2seq.tokenizer` makes them pieces."""

_WORD = re.compile(r"[^\W_]+")
_FINAL, _INITIAL = ".!?…。", "¿¡"
_READ_FOR_NAMES = 200_000  # pairs searched for names; a larger corpus needs no more
_MOST_NAMES = 5_000
_LONGEST_NUMBER = 6  # digits


class Augmenter:
    """Changes pairs at the rates of `config`."""

    def __init__(self, config: AugmentationConfig, texts: Iterable[ParallelText]) -> None:
        """Collect the names in `texts`, if names are to be replaced."""
        self._config = config
        self._names = _names(texts) if config.names else []

    def augment(self, source: str, target: str, random: Random) -> tuple[str, str]:
        """Return a pair, changed or not.

        - Copied words (names and numbers) become others: numbers with other digits, and names made
          of the halves of two, which the model has never seen and can only copy.
        - Some copied words become placeholders, the same on both sides; or placeholders are put
          around the whole text, as markup is.
        - Final punctuation is removed on both sides, with Spanish inverted marks.
        - The source loses its capitals. The translation keeps them, so that the model learns where
          they belong.
        """
        config = self._config
        if random.random() < config.names:
            source, target = self._exchange(source, target, self._other, random)
        if random.random() < config.placeholders:
            source, target = self._protect(source, target, random)
        if random.random() < config.unpunctuated:
            source, target = _unpunctuated(source, target)
        if random.random() < config.lower_case:
            source = source.lower()
        return source, target

    def joins(self, random: Random) -> int:
        """Draw how many further pairs are to be joined to a pair; usually 0."""
        rate = self._config.joined
        return random.choice((1, 1, 2, 3)) if rate and random.random() < rate else 0

    def _protect(self, source: str, target: str, random: Random) -> tuple[str, str]:
        numbers = random.sample(range(PLACEHOLDERS), PLACEHOLDERS)

        def placeholder(word: str, random: Random) -> str:
            return f"<ph{numbers.pop()}>" if numbers and random.random() < 0.7 else word

        if copied_words(source, target) and random.random() < 0.8:
            return self._exchange(source, target, placeholder, random)
        before, after = (f"<ph{number}>" for number in numbers[:2])
        space = random.choice(("", " "))
        form = random.choice(
            (f"{before}{space}{{}}", f"{{}}{space}{after}", f"{before}{{}}{after}")
        )
        return form.format(source), form.format(target)

    def _exchange(
        self, source: str, target: str, other: Callable[[str, Random], str], random: Random
    ) -> tuple[str, str]:
        words = {word: other(word, random) for word in copied_words(source, target)}
        return _replace(source, words), _replace(target, words)

    def _other(self, word: str, random: Random) -> str:
        if word.isdecimal():
            return _number(word, random)
        if not self._names:
            return word
        first, second = random.choice(self._names), random.choice(self._names)
        if random.random() < 0.3:
            return first  # a real one
        return first[: (len(first) + 1) // 2] + second[len(second) // 2 :].lower()


def join(pairs: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Join whole sentences, up to the first pair that is not a whole sentence.

    The first pair is always taken. A pair is a whole sentence if both sides end like one.
    """
    whole = list(takewhile(_ends_as_sentence, pairs)) or list(pairs[:1])
    return " ".join(source for source, _ in whole), " ".join(target for _, target in whole)


def _ends_as_sentence(pair: tuple[str, str]) -> bool:
    return all(side.rstrip().endswith(tuple(_FINAL)) for side in pair)


def _replace(text: str, words: Mapping[str, str]) -> str:
    return _WORD.sub(lambda word: words.get(word[0], word[0]), text)


def _unpunctuated(source: str, target: str) -> tuple[str, str]:
    """Strip final punctuation, unless nothing would be left."""
    sides = [side.rstrip().rstrip(_FINAL).rstrip() for side in (source, target)]
    bare = [side.lstrip(_INITIAL).lstrip() for side in sides]
    return (bare[0], bare[1]) if all(bare) else (source, target)


def _number(word: str, random: Random) -> str:
    """Draw other digits; 1 stays 1, since grammar depends on it."""
    if word == "1":
        return word
    kept = len(word) <= _LONGEST_NUMBER and random.random() < 0.8
    length = len(word) if kept else random.randint(1, _LONGEST_NUMBER)
    smallest = 10 ** (length - 1) if length > 1 else 2
    return str(random.randint(smallest, 10**length - 1))


def _names(texts: Iterable[ParallelText]) -> list[str]:
    """List the capitalised words that occur on both sides of a pair, the most frequent first."""
    counts = Counter[str]()
    for text in texts:
        pairs = zip(text.source, text.target, strict=True)
        for source, target in islice(pairs, _READ_FOR_NAMES):
            counts.update(word for word in copied_words(source, target) if word.isalpha())
    return [word for word, _ in counts.most_common(_MOST_NAMES)]


def copied_words(source: str, target: str) -> list[str]:
    """List the names (capitalised words) and numbers that occur exactly once on each side."""
    source_words, target_words = _WORD.findall(source), _WORD.findall(target)
    return [
        word
        for word in source_words
        if (word.isdecimal() or (len(word) > 1 and word[0].isupper()))
        and source_words.count(word) == 1
        and target_words.count(word) == 1
    ]
