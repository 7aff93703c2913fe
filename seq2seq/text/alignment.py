"""Which source word each target word was made from, according to the attention.

The attention is that of the first decoder layer's output, averaged over the heads, at the step that
said the id; see `seq2seq.nn.decoder`. The attention of a word is the sum over its ids, and the word
is linked to the source word that gets most of it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from seq2seq.text.masking import INLINE_TAG, PLACEHOLDER, MaskedText, Span, restore

_WORD = re.compile(r"\S+")
_SPACE = "\u2581"  # as SentencePiece writes it
_TAG = re.compile("<(2[^<>]+|formal|informal)>")

WordAlignment = tuple[tuple[int, int], ...]
"""Pairs of a source word and a target word, numbered from 0; words are separated by white space."""


def word_alignment(
    attention: NDArray[np.float32],
    source: Sequence[str],
    target: Sequence[str],
    from_source: bool = False,
) -> WordAlignment:
    """Link source and target words by the attention (T, S) between their pieces.

    Each target word gets one link, to the source word that it attends to most. With `from_source`,
    each source word gets one link instead, to the target word that attends to it most.
    """
    share = _word_attention(attention, source, target)
    if from_source:
        return tuple((word, int(looks.argmax())) for word, looks in enumerate(share.T))
    return tuple((int(looks.argmax()), word) for word, looks in enumerate(share) if looks.any())


def words_made_from(
    source_words: Sequence[range],
    attention: NDArray[np.float32],
    source: Sequence[str],
    target: Sequence[str],
    fixed: Sequence[int] = (),
) -> list[int | None]:
    """Choose for each range of source words the target word that was most likely made from it.

    That is the word whose pieces have the highest mean attention to the range. Each word is chosen
    at most once, and `fixed` words never; None if no word is left. `attention` (T, S) is between
    the pieces of `target` and `source`.
    """
    share = _word_attention(attention, source, target)
    chosen: list[int | None] = []
    if not share.size:
        return [None] * len(source_words)
    share /= np.bincount(word_numbers(target))[:, None]
    share[[word for word in fixed if word < len(share)]] = -1
    for words in source_words:
        looks = share[:, words.start : words.stop].sum(axis=1)
        word = int(looks.argmax()) if looks.size else 0
        chosen.append(word if looks[word] >= 0 else None)
        share[word] = -1
    return chosen


def _word_attention(
    attention: NDArray[np.float32], source: Sequence[str], target: Sequence[str]
) -> NDArray[np.float64]:
    """Sum the attention (T, S) between pieces to attention (target words, source words)."""
    ours, theirs = word_numbers(source), word_numbers(target)  # (S,), (T,)
    if not attention.size or max(ours, default=-1) < 0:
        return np.zeros((0, 0))
    share = np.zeros((max(theirs) + 1, max(ours) + 1))
    columns = np.array(ours)
    inside = columns >= 0
    for row, word in zip(attention[:, inside], theirs, strict=True):
        np.add.at(share[word], columns[inside], row)
    return share


def unmasked_alignment(
    links: WordAlignment, source: MaskedText, target: MaskedText
) -> WordAlignment:
    """Turn links between the words of masked texts into links between the words of whole texts.

    Spans of equally many words are linked word by word.
    """
    if not (source.spans or target.spans):
        mine, yours = len(source.text.split()), len(target.text.split())
        return tuple((first, second) for first, second in links if first < mine and second < yours)
    ours, theirs = _ranges(*source), _ranges(*target)
    found: list[tuple[int, int]] = []
    for first, second in links:
        if first < len(ours) and second < len(theirs):
            here, there = ours[first], theirs[second]
            same = len(here) == len(there)
            found += zip(here, there, strict=True) if same else ((here[0], word) for word in there)
    return tuple(found)


def joined_alignment(parts: Iterable[tuple[str, str, str, WordAlignment]]) -> WordAlignment:
    """Join the links of parts (source, target, separator, links) into links of the whole text."""
    ours, theirs = _Counter(), _Counter()
    found: dict[tuple[int, int], None] = {}
    for source, target, separator, links in parts:
        first, second = ours.add(source + separator), theirs.add(target + separator)
        found.update(dict.fromkeys((first + here, second + there) for here, there in links))
    return tuple(sorted(found, key=lambda link: (link[1], link[0])))


class _Counter:
    """Counts the words of a text that comes in parts, which may end within a word."""

    def __init__(self) -> None:
        self._words = 0
        self._within = False

    def add(self, text: str) -> int:
        """Add `text`, and return the number of its first word."""
        continues = self._within and not text[:1].isspace() and bool(text)
        first = self._words - continues
        self._words = first + len(_WORD.findall(text))
        if text:
            self._within = not text[-1].isspace()
        return first


def word_numbers(pieces: Sequence[str]) -> list[int]:
    """Return the number of the word that each piece belongs to, from 0; -1 for a tag."""
    numbers: list[int] = []
    word, begun = 0, False
    for piece in pieces:
        if _TAG.fullmatch(piece):
            numbers.append(-1)
            continue
        if piece.startswith(_SPACE) and begun:
            word, begun = word + 1, False
        numbers.append(word)
        begun = begun or bool(piece.strip(_SPACE))
    return numbers


def _ranges(text: str, spans: Sequence[Span]) -> list[range]:
    """Return the words of the restored text that each word of the masked text stands for."""
    coming = iter(spans)
    lengths = [
        len(next(coming).text) if letter in (PLACEHOLDER, INLINE_TAG) else 1 for letter in text
    ]
    offsets = [0, *accumulate(lengths)]
    starts = [match.start() for match in _WORD.finditer(restore(text, spans))]
    ranges: list[range] = []
    for match in _WORD.finditer(text):
        word = match[0].strip(INLINE_TAG)
        if word:
            first = match.start() + match[0].index(word)
            begin = bisect_right(starts, offsets[first]) - 1
            end = bisect_right(starts, offsets[first + len(word)] - 1)
            ranges.append(range(begin, end))
    return ranges
