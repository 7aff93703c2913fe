"""Bytes in a hypothesis form whole characters: UTF-8 as an automaton over byte pieces.

A tokenizer spells what is outside of its vocabulary byte by byte. Once a character has begun, only
its next byte may follow, so a hypothesis ends, and takes any other piece, between characters alone.
The ranges are those of table 3-7 of the Unicode standard.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seq2seq.search.engine_protocol import Ints

BETWEEN = 0
"""The state between two characters, in which a hypothesis begins."""

LONGEST = 4
"""Bytes of a character, at most."""

_TRAILING = range(0x80, 0xC0)
_EXPECTED = (  # the bytes that may come next in each state, and the state behind them
    (range(0x80), BETWEEN),
    (_TRAILING, BETWEEN),
    (_TRAILING, 1),
    (_TRAILING, 2),
    (range(0xA0, 0xC0), 1),  # behind E0
    (range(0x80, 0xA0), 1),  # behind ED
    (range(0x90, 0xC0), 2),  # behind F0
    (range(0x80, 0x90), 2),  # behind F4
)
_LEADING = {  # the state behind each byte that begins a character of several
    **dict.fromkeys(range(0xC2, 0xE0), 1),
    **dict.fromkeys(range(0xE1, 0xF0), 2),
    **dict.fromkeys(range(0xF1, 0xF4), 3),
    0xE0: 4,
    0xED: 5,
    0xF0: 6,
    0xF4: 7,
}


class ByteRule:
    """Which ids may follow in a hypothesis, by the state that its ids so far have left it in.

    Of the tables' `size` columns the last stands for all ids above those of the bytes.
    """

    def __init__(self, byte_ids: Sequence[int]) -> None:
        """Take the id of each of the 256 bytes, or none where the tokenizer has no bytes."""
        self.size = max(byte_ids, default=-1) + 2
        self._allowed = np.zeros((len(_EXPECTED), self.size), np.bool_)
        self._next = np.zeros((len(_EXPECTED), self.size), np.int64)
        self._allowed[BETWEEN] = True
        if not byte_ids:
            return
        self._allowed[BETWEEN, list(byte_ids)] = False
        for state, (expected, following) in enumerate(_EXPECTED):
            ids = [byte_ids[byte] for byte in expected]
            self._allowed[state, ids] = True
            self._next[state, ids] = following
        for byte, state in _LEADING.items():
            self._allowed[BETWEEN, byte_ids[byte]] = True
            self._next[BETWEEN, byte_ids[byte]] = state

    def after(self, states: Ints, ids: Ints) -> Ints:
        """Give the states (N,) behind the `ids` (N,) that came in the `states` (N,)."""
        following: Ints = self._next[states, np.minimum(ids, self.size - 1)]
        return following

    def allowed(self, state: int, ids: Ints) -> NDArray[np.bool_]:
        """Tell which of `ids` (C,) may come in a state."""
        allowed: NDArray[np.bool_] = self._allowed[state].take(ids, mode="clip")
        return allowed

    def begins(self, ids: Ints) -> NDArray[np.bool_]:
        """Tell which of `ids` (..., C) begin a character of several bytes."""
        begins: NDArray[np.bool_] = (self._next[BETWEEN] != BETWEEN).take(ids, mode="clip")
        return begins

    def dead_ends(self, candidates: Ints) -> NDArray[np.bool_]:
        """Tell which of the `candidates` (B, C) begin what none of the same row goes on with."""
        columns = np.minimum(candidates, self.size - 1)
        alive = np.stack([allowed[columns].any(axis=1) for allowed in self._allowed], axis=1)
        states = self._next[BETWEEN, columns]  # (B, C)
        dead: NDArray[np.bool_] = (states != BETWEEN) & ~np.take_along_axis(alive, states, axis=1)
        return dead


NO_BYTES = ByteRule(())
"""Of a tokenizer without bytes: everything may follow."""
