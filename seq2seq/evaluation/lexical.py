"""The words of A and of B beside those of the reference: right, missing, said too often.

Words are what white space parts, or in a language without spaces what its BLEU tokenizer does; the
punctuation around them is left out, capitals are as they are.
All counts are clipped sentence by sentence: a word that the reference has twice can be right twice.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from seq2seq import metrics
from seq2seq.evaluation.sides import Both, Range, range_of
from seq2seq.search.repetition import loops

FREQUENCIES = (
    Range(0, 0),
    Range(1, 1),
    Range(2, 9),
    Range(10, 99),
    Range(100, 999),
    Range(1000, None),
)

Bag = Counter[str]
"""The words of a sentence."""


@dataclass(frozen=True)
class Accuracy:
    """How well words are translated, each from 0 to 1."""

    recall: float  # of the reference's words, the share that is said
    precision: float  # of the words said, the share that the reference has
    f: float  # the harmonic mean of both


@dataclass(frozen=True)
class FrequencyScore:
    """The words that occur so often."""

    frequency: str
    reference_words: int
    accuracy: Both[Accuracy]


@dataclass(frozen=True)
class Wording:
    """Too few and too many words, over a whole test set."""

    words: int
    length_ratio: float  # words by those of the reference
    missing: int  # words of the reference that are not said
    repeated: int  # words said more than once, and more often than in the reference
    loops: tuple[int, ...]  # sentences, from 1, that say up to six words again and again


@dataclass(frozen=True)
class MissingWord:
    """A word of the references, and how often only one of the systems does not say it."""

    word: str
    in_references: int
    missing: Both[int]  # a: times that B says it and A does not


def words(text: str, language: str) -> list[str]:
    """The words of `text`."""
    bare = (piece.strip(_punctuation()) for piece in metrics.words(text, language))
    return [word for word in bare if word]


@cache
def _punctuation() -> str:
    """Punctuation and symbols of most scripts."""
    characters = map(chr, range(0x10000))
    return "".join(one for one in characters if unicodedata.category(one)[0] in "PS")


def bag(text: str, language: str) -> Bag:
    """How often `text` has each of its words."""
    return Counter(words(text, language))


def count_words(lines: Iterable[str], wanted: Collection[str], language: str) -> Bag:
    """How often each of the `wanted` words occurs; others would only take memory."""
    counts: Bag = Counter()
    for line in lines:
        counts.update(word for word in words(line, language) if word in wanted)
    return counts


def by_frequency(
    references: Sequence[Bag], outputs: Both[Sequence[Bag]], counts: Mapping[str, int]
) -> tuple[FrequencyScore, ...]:
    """How well words are translated that occur often, or hardly ever, by `counts`.

    Classes of which the references have no word are left out.
    """

    def totals(bags: Iterable[Bag]) -> Counter[str]:
        """Words in each class."""
        found: Counter[str] = Counter()
        for one in bags:
            for word, times in one.items():
                found[str(range_of(counts.get(word, 0), FREQUENCIES))] += times
        return found

    needed = totals(references)
    said = outputs.each(totals)
    right = outputs.each(lambda bags: totals(_shared(references, bags)))
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
    return (one & other for one, other in zip(references, bags, strict=True))


def _accuracy(right: int, needed: int, said: int) -> Accuracy:
    return Accuracy(
        _share(right, needed),
        _share(right, said),
        _share(2 * right, needed + said),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def wording(references: Sequence[str], output: Sequence[str], language: str) -> Wording:
    """Count what is missing and what is said too often."""
    pairs = [
        (words(reference, language), words(translation, language))
        for reference, translation in zip(references, output, strict=True)
    ]
    bags = [(Counter(one), Counter(other)) for one, other in pairs]
    needed, said = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
    return Wording(
        said,
        _share(said, needed),
        sum((one - other).total() for one, other in bags),
        sum(
            times - max(1, one[word])
            for one, other in bags
            for word, times in other.items()
            if times > max(1, one[word])
        ),
        tuple(number for number, pair in enumerate(pairs, start=1) if _loops(*pair)),
    )


def _loops(reference: Sequence[str], output: Sequence[str]) -> bool:
    """Whether the same words stand in a row more than twice, and more often than there."""
    numbers = {word: number for number, word in enumerate({*reference, *output})}
    return loops([numbers[word] for word in reference], [numbers[word] for word in output])


def missing_words(
    references: Sequence[Bag], outputs: Both[Sequence[Bag]], number: int
) -> Both[tuple[MissingWord, ...]]:
    """The words that A lacks more often than B, and the reverse.

    First comes the greatest difference, and of equal ones the rarer word.

    Only what one of them says and the other does not is counted. So a word that both lack now and
    then, each in other sentences, as they do frequent ones, is in neither list.
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
