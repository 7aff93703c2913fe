"""Repetition loops, in which a weak model says the same thing again and again."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seq2seq.tokenizer import EOS_ID

_LONGEST_LOOP = 24  # ids
_ALLOWED = 2  # times in a row, unless the source repeats something more often


def repeats(ids: Sequence[int], longest_run: int = _LONGEST_LOOP) -> int:
    """Return the most times in a row that a run of up to `longest_run` ids occurs.

    It is 1 without repetition, and 0 without ids.
    """
    if len(set(ids)) == len(ids):
        return min(len(ids), 1)
    most = 1
    for size in range(1, longest_run + 1):
        same = longest = 0  # how many ids in a row equal the id `size` places before
        for id_, before in zip(ids[size:], ids, strict=False):
            if id_ != before:
                same = 0
            else:
                same += 1
                longest = same if same > longest else longest
        most = max(most, longest // size + 1)
    return most


def returns(ids: Sequence[int]) -> int:
    """Return how often the commonest sequence of three ids occurs, whatever is in between."""
    return max(Counter(zip(ids, ids[1:], ids[2:], strict=False)).values(), default=0)


def allowed_repeats(source: Sequence[int]) -> int:
    """Return how often a translation of `source` may say something in a row, or return to it."""
    return max(_ALLOWED, repeats(source), returns(source))


def loops(source: Sequence[int], target: Sequence[int]) -> bool:
    """Return whether the translation repeats itself more than its source does."""
    if len(target) - len(set(target)) < _ALLOWED:
        return False
    allowed = allowed_repeats(source)
    often = returns(target)
    return repeats(target) > allowed or (often > allowed and _is_most_of(often, len(target)))


def _is_most_of(times: int, length: int) -> bool:
    """Return whether a sequence of three ids that occurs `times` times makes up all `length` ids.

    If the pieces are single letters, some sequences are frequent in any sentence.
    """
    return 3 * times >= length


def closes_loop(ids: Sequence[int], allowed: int) -> set[int]:
    """Return the ids that, after `ids`, would repeat something more than `allowed` times."""
    if ids and ids[-1] not in ids[:-1]:  # usual: only the last id could be repeated at once
        return {ids[-1]} if allowed == 1 else set()
    closing: set[int] = set()
    if len(ids) >= allowed + 2:  # room for so many sequences of three ids
        last = ids[-2], ids[-1]
        threes = zip(ids, ids[1:], ids[2:], strict=False)
        following = [third for first, second, third in threes if (first, second) == last]
        closing.update(
            id_
            for id_, times in Counter(following).items()
            if times >= allowed and _is_most_of(times + 1, len(ids) + 1)
        )
    for size in range(1, _LONGEST_LOOP + 1):
        needed = size * (allowed + 1)
        if len(ids) + 1 < needed:
            break
        if needed > size + 1 and ids[-1] != ids[-1 - size]:
            continue  # the usual case
        tail = ids[len(ids) - needed + 1 :]
        if all(tail[i] == tail[i - size] for i in range(size, len(tail))):
            closing.add(ids[-size])
    return closing


class WordIds:
    """What a repetition rule knows of the ids of a vocabulary, whatever the source."""

    def __init__(self, continuing: Sequence[int], letters: Sequence[int]) -> None:
        """Take the ids that continue a word, and the ids of pieces with a letter."""
        self.letters = frozenset(letters)
        self.beginning = self.letters.difference(continuing)
        self.continues_word = np.zeros(max([EOS_ID, *letters, *continuing]) + 2, np.bool_)
        """Whether each id continues a word; the last element: all higher ids."""
        self.continues_word[list(continuing)] = True


class RepetitionRule:
    """Rules out repetition: no run of ids comes more often in a row than in the source.

    It also rules out an end before a piece with a letter. If the source is a single word, no word
    may come twice.
    """

    def __init__(self, source: Sequence[int], word_ids: WordIds) -> None:
        self._allowed = repeats(source)
        self._word_ids = word_ids
        self._is_word = sum(id_ in word_ids.beginning for id_ in source) == 1
        self._size = max(len(word_ids.continues_word), max(source, default=0) + 2)

    def closed(self, ids: Sequence[int]) -> NDArray[np.bool_]:
        """Return whether each id is ruled out after `ids`; the last element: all higher ids."""
        closed = np.zeros(self._size, np.bool_)
        if not ids:
            closed[: len(self._word_ids.continues_word)] = self._word_ids.continues_word
        repeating = closes_loop(ids, self._allowed)
        if self._is_word:
            repeating |= self._word_ids.beginning.intersection(ids)
        closed[[id_ for id_ in repeating if id_ < len(closed) - 1]] = True
        closed[EOS_ID] = self._word_ids.letters.isdisjoint(ids)
        return closed
