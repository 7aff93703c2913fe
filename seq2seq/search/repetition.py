"""Repetition loops: a weak model says the same again and again."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seq2seq.tokenizer import EOS_ID

_LONGEST_LOOP = 24  # ids
_ALLOWED = 2  # times in a row, unless the source says something more often


def repeats(ids: Sequence[int], longest_run: int = _LONGEST_LOOP) -> int:
    """How often some run of up to `longest_run` ids stands in a row, at most.

    1 without repetition, 0 of nothing.
    """
    if len(set(ids)) == len(ids):
        return min(len(ids), 1)
    most = 1
    for size in range(1, longest_run + 1):
        same = longest = 0  # how many ids equal those `size` places before, in a row
        for id_, before in zip(ids[size:], ids, strict=False):
            if id_ != before:
                same = 0
            else:
                same += 1
                longest = same if same > longest else longest
        most = max(most, longest // size + 1)
    return most


def returns(ids: Sequence[int]) -> int:
    """How often some three ids in a row come up, at most, whatever is in between."""
    return max(Counter(zip(ids, ids[1:], ids[2:], strict=False)).values(), default=0)


def allowed_repeats(source: Sequence[int]) -> int:
    """How often a translation of `source` may say something in a row, or come back to it."""
    return max(_ALLOWED, repeats(source), returns(source))


def loops(source: Sequence[int], target: Sequence[int]) -> bool:
    """Whether the translation repeats itself more than its source does."""
    if len(target) - len(set(target)) < _ALLOWED:
        return False
    allowed = allowed_repeats(source)
    often = returns(target)
    return repeats(target) > allowed or (often > allowed and _is_most_of(often, len(target)))


def _is_most_of(times: int, length: int) -> bool:
    """Whether three ids that come up so often are all that is said in so many ids.

    In pieces of a letter or two, some come up often in any sentence.
    """
    return 3 * times >= length


def closes_loop(ids: Sequence[int], allowed: int) -> set[int]:
    """Return the ids that, after `ids`, would say something once more than `allowed` times."""
    if ids and ids[-1] not in ids[:-1]:  # most often: then it can only be said once more at once
        return {ids[-1]} if allowed == 1 else set()
    closing: set[int] = set()
    if len(ids) >= allowed + 2:  # three ids in a row, so often
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
            continue  # most often
        tail = ids[len(ids) - needed + 1 :]
        if all(tail[i] == tail[i - size] for i in range(size, len(tail))):
            closing.add(ids[-size])
    return closing


class RepetitionRule:
    """Rules out what repeats itself: no run of ids comes more often in a row than in the source.

    Something is said, too: a piece with a letter comes before the end. A source of a single word is
    translated without saying a word twice.
    """

    def __init__(
        self, source: Sequence[int], continuing: Sequence[int], letters: Sequence[int]
    ) -> None:
        """Take the ids that go on with a word, and those of pieces with a letter."""
        self._allowed = repeats(source)
        self._letters = frozenset(letters)
        self._words = self._letters.difference(continuing)
        self._is_word = sum(id_ in self._words for id_ in source) == 1
        self._never = np.zeros(max([EOS_ID, *letters, *continuing, *source]) + 2, np.bool_)
        self._at_first = self._never.copy()
        self._at_first[list(continuing)] = True

    def closed(self, ids: Sequence[int]) -> NDArray[np.bool_]:
        """Tell of each id whether it may not follow `ids`; the last stands for all higher ones."""
        closed = (self._never if ids else self._at_first).copy()
        repeating = closes_loop(ids, self._allowed)
        if self._is_word:
            repeating |= self._words.intersection(ids)
        closed[[id_ for id_ in repeating if id_ < len(closed) - 1]] = True
        closed[EOS_ID] = self._letters.isdisjoint(ids)
        return closed
