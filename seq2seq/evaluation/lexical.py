"""Lexical statistics of two systems, A and B: words that are right, missing or repeated.

Words are separated by white space, or in a language without spaces by its BLEU tokenizer.
Punctuation around them is stripped, capitals are kept. All counts are clipped sentence by sentence:
a word that the reference has twice can be right at most twice.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, Literal, NamedTuple, TypeVar

from seq2seq import bleu_chrf
from seq2seq.search.repetition import loops

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")

Side = Literal["a", "b"]


@dataclass(frozen=True)
class Both(Generic[T_co]):
    """A value for system A and one for system B."""

    a: T_co
    b: T_co

    def each(self, function: Callable[[T_co], U]) -> "Both[U]":
        """Apply `function` to both values."""
        return Both(function(self.a), function(self.b))


class Range(NamedTuple):
    """Integers from `least` to `most`; None: no upper bound."""

    least: int
    most: int | None

    def __str__(self) -> str:
        if self.most is None:
            return f"{self.least}+"
        return f"{self.least}" if self.least == self.most else f"{self.least}-{self.most}"


def range_of(number: int, ranges: Sequence[Range]) -> Range:
    """Return the range that contains `number`; `ranges` are ascending and without gaps."""
    return next(each for each in ranges if each.most is None or number <= each.most)


FREQUENCIES = (
    Range(0, 0),
    Range(1, 1),
    Range(2, 9),
    Range(10, 99),
    Range(100, 999),
    Range(1000, None),
)

Bag = Counter[str]
"""The words of a sentence, with their counts."""


@dataclass(frozen=True)
class Accuracy:
    """Recall and precision of words, each from 0 to 1."""

    recall: float  # share of the reference's words that are in the translation
    precision: float  # share of the translation's words that are in the reference
    f: float  # the harmonic mean of both


@dataclass(frozen=True)
class FrequencyScore:
    """The words in one range of frequencies."""

    frequency: str
    reference_words: int
    accuracy: Both[Accuracy]


@dataclass(frozen=True)
class LexicalStatistics:
    """Missing and repeated words of a system, over a whole test set."""

    words: int
    length_ratio: float  # number of words, divided by that of the reference
    missing: int  # words of the reference that are not in the translation
    repeated: int  # words that occur more than once, and more often than in the reference
    loops: tuple[int, ...]  # numbers, from 1, of sentences that repeat up to six words in a loop


@dataclass(frozen=True)
class MissingWord:
    """A word of the references, and how often only one of the systems leaves it out."""

    word: str
    in_references: int
    missing: Both[int]  # a: how often B has it and A does not


def words(text: str, language: str) -> list[str]:
    """Split `text` into words."""
    bare = (piece.strip(_punctuation()) for piece in bleu_chrf.words(text, language))
    return [word for word in bare if word]


@cache
def _punctuation() -> str:
    """Return the punctuation and symbols of most scripts."""
    characters = map(chr, range(0x10000))
    return "".join(mark for mark in characters if unicodedata.category(mark)[0] in "PS")


def bag(text: str, language: str) -> Bag:
    """Count the words of `text`."""
    return Counter(words(text, language))


def count_words(lines: Iterable[str], vocabulary: Collection[str], language: str) -> Bag:
    """Count the words of `vocabulary` in `lines`; counting others would only take memory."""
    counts: Bag = Counter()
    for line in lines:
        counts.update(word for word in words(line, language) if word in vocabulary)
    return counts


def by_frequency(
    references: Sequence[Bag], outputs: Both[Sequence[Bag]], counts: Mapping[str, int]
) -> tuple[FrequencyScore, ...]:
    """Return how well frequent and rare words are translated, by their `counts` in some text.

    Ranges without a word in the references are left out.
    """

    def count(bags: Iterable[Bag]) -> Counter[str]:
        """Count the words in each range."""
        totals: Counter[str] = Counter()
        for words_of_sentence in bags:
            for word, times in words_of_sentence.items():
                totals[str(range_of(counts.get(word, 0), FREQUENCIES))] += times
        return totals

    needed = count(references)
    said = outputs.each(count)
    right = outputs.each(lambda bags: count(_shared(references, bags)))
    return tuple(
        FrequencyScore(
            name,
            needed[name],
            Both(
                _accuracy(right.a[name], needed[name], said.a[name]),
                _accuracy(right.b[name], needed[name], said.b[name]),
            ),
        )
        for name in map(str, FREQUENCIES)
        if needed[name]
    )


def _shared(references: Iterable[Bag], bags: Iterable[Bag]) -> Iterator[Bag]:
    return (reference & said for reference, said in zip(references, bags, strict=True))


def _accuracy(right: int, needed: int, said: int) -> Accuracy:
    return Accuracy(
        _share(right, needed),
        _share(right, said),
        _share(2 * right, needed + said),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def lexical_statistics(
    references: Sequence[str], output: Sequence[str], language: str
) -> LexicalStatistics:
    """Count missing and repeated words."""
    pairs = [
        (words(reference, language), words(translation, language))
        for reference, translation in zip(references, output, strict=True)
    ]
    bags = [(Counter(reference), Counter(translation)) for reference, translation in pairs]
    needed, said = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
    return LexicalStatistics(
        said,
        _share(said, needed),
        sum((reference - translation).total() for reference, translation in bags),
        sum(
            times - max(1, reference[word])
            for reference, translation in bags
            for word, times in translation.items()
            if times > max(1, reference[word])
        ),
        tuple(number for number, pair in enumerate(pairs, start=1) if _loops(*pair)),
    )


def _loops(reference: Sequence[str], output: Sequence[str]) -> bool:
    """Return whether words repeat in a row more than twice, and more than in the reference."""
    numbers = {word: number for number, word in enumerate({*reference, *output})}
    return loops([numbers[word] for word in reference], [numbers[word] for word in output])


def missing_words(
    references: Sequence[Bag], outputs: Both[Sequence[Bag]], number: int
) -> Both[tuple[MissingWord, ...]]:
    """List the words that A leaves out more often than B, and the reverse.

    The greatest difference comes first; of equal ones, the rarer word.

    Only occurrences that exactly one of the systems has are counted. So a frequent word that both
    leave out now and then, in different sentences, is in neither list.
    """
    lacking: Both[Bag] = Both(Counter(), Counter())
    for reference, a, b in zip(references, outputs.a, outputs.b, strict=True):
        right = Both(reference & a, reference & b)
        lacking.a.update(right.b - right.a)
        lacking.b.update(right.a - right.b)
    in_references: Bag = Counter()
    for reference in references:
        in_references.update(reference)

    def listed(more: Bag, less: Bag) -> tuple[MissingWord, ...]:
        net = more - less
        order = sorted(net, key=lambda word: (-net[word], in_references[word], word))
        return tuple(
            MissingWord(word, in_references[word], Both(lacking.a[word], lacking.b[word]))
            for word in order[:number]
        )

    return Both(listed(lacking.a, lacking.b), listed(lacking.b, lacking.a))
