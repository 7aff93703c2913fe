"""Make training examples: sentences, fragments and words, written as people write them.

A classifier trained only on clean sentences takes capitals for a sign of German, and fails without
a full stop. So most examples are changed: cut, in lower case, in capitals, without accents, or with
another name. A fragment that several languages share is drawn for each of them as often as it
occurs there, so the network learns how certain it can be.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain, islice
from random import Random
from typing import NamedTuple

from seq2seq.corpus import DirectedText
from seq2seq.corpus.augmentation import copied_words
from seq2seq.identification.alphabet import without_accents

_FINAL, _INITIAL = ".!?…。", "¿¡"
_AROUND_WORDS = "\"'«»()[],;:-–—" + _FINAL + _INITIAL
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})
_PAUSE = re.compile(r"[,;:.!?…]")
_LONGEST_PHRASE = 3  # words
_MOST_SENTENCES = 500_000  # per language and corpus
_MOST_NAMES = 3_000


class Example(NamedTuple):
    """A text and the number of its language."""

    text: str
    language: int


def sentences_of(texts: Iterable[DirectedText]) -> dict[str, list[str]]:
    """Collect the distinct sentences of each language, from both sides of every text."""
    sentences = dict[str, dict[str, None]]()
    for direction, text in texts:
        part = text.sample(_MOST_SENTENCES)
        for language, side in ((direction.source, part.source), (direction.target, part.target)):
            unique = dict.fromkeys(filter(None, map(str.strip, side)))
            sentences.setdefault(language, {}).update(unique)
    return {language: list(sentences[language]) for language in sorted(sentences)}


def names_of(texts: Iterable[DirectedText]) -> list[str]:
    """List the capitalised words that translations copy, the most frequent first."""
    counts = Counter[str]()
    for _, text in texts:
        for source, target in islice(zip(text.source, text.target, strict=True), _MOST_SENTENCES):
            counts.update(
                word
                for word in copied_words(source, target)
                # Not the first word of a sentence, which has a capital in any case.
                if word.isalpha() and not source.startswith(word) and not target.startswith(word)
            )
    return [name for name, _ in counts.most_common(_MOST_NAMES)]


class Examples:
    """Draws examples, with the same probability for each language."""

    def __init__(self, sentences: Mapping[str, Sequence[str]], names: Sequence[str] = ()) -> None:
        self._sentences = list(sentences.values())
        self._names = list(names)
        self._is_name = frozenset(names)
        self._words = [_Dictionary(map(_words, part)) for part in self._sentences]
        self._phrases = [_Dictionary(map(_phrases, part)) for part in self._sentences]

    def draw(self, random: Random) -> Example:
        """Draw an example at random."""
        language = random.randrange(len(self._sentences))
        return Example(self._change(self._cut(language, random), random), language)

    def _cut(self, language: int, random: Random) -> str:
        """Draw one sentence or several, a fragment or word of one, or a separate word or phrase."""
        sentences = self._sentences[language]
        kind = random.random()
        if kind < 0.07:
            return " ".join(random.choices(sentences, k=random.randint(2, 5)))
        sentence = random.choice(sentences)
        if kind < 0.35:
            return sentence
        if kind < 0.72:
            return fragment(sentence, random.randint(2, 6) if kind < 0.6 else 1, random)
        by_itself = self._words if kind < 0.86 else self._phrases
        return by_itself[language].draw(random) or sentence

    def _change(self, text: str, random: Random) -> str:
        if random.random() < 0.5:
            text = " ".join(self._other_name(word, random) for word in text.split(" "))
        if random.random() < 0.3:
            text = bare(text) or text
        if random.random() < 0.2:
            text = text.replace(" ?", "?").replace(" !", "!").replace(" :", ":")
        if random.random() < 0.1:
            text = without_accents(text.translate(_SPELT_OUT) if random.random() < 0.3 else text)
        case = random.random()
        if case < 0.15:
            return text.lower()
        if case < 0.27:
            return text.upper()
        if case < 0.35:
            return text[:1].swapcase() + text[1:]
        return text

    def _other_name(self, word: str, random: Random) -> str:
        return random.choice(self._names) if word.strip(_AROUND_WORDS) in self._is_name else word


class _Dictionary:
    """Draws words or phrases of a language, by the square root of their counts.

    So rare ones are drawn more often than they occur.
    """

    def __init__(self, parts: Iterable[Iterable[str]]) -> None:
        counts = Counter(chain.from_iterable(parts))
        self._parts = list(counts)
        self._weights = list(accumulate(count**0.5 for count in counts.values()))

    def draw(self, random: Random) -> str:
        if not self._parts:
            return ""
        return random.choices(self._parts, cum_weights=self._weights)[0]


def fragment(sentence: str, length: int, random: Random) -> str:
    """Cut `length` consecutive words out of a sentence; all if it has fewer."""
    words = sentence.split()
    start = random.randint(0, max(len(words) - length, 0))
    part = " ".join(words[start : start + length])
    return part.strip(_AROUND_WORDS) or sentence


def bare(text: str) -> str:
    """Strip punctuation at the end, and Spanish punctuation at the start."""
    return text.rstrip(_FINAL + " ").lstrip(_INITIAL)


def _words(sentence: str) -> list[str]:
    words = (word.strip(_AROUND_WORDS) for word in sentence.split())
    return [word for word in words if any(map(str.isalpha, word))]


def _phrases(sentence: str) -> list[str]:
    """List short parts that also occur on their own: "Thank you", "Yes", "Guten Morgen"."""
    parts = (part.strip(_AROUND_WORDS + " ") for part in _PAUSE.split(sentence))
    return [part for part in parts if part and len(part.split()) <= _LONGEST_PHRASE]
