"""Make the bytes in a hypothesis form whole characters: UTF-8 as an automaton over byte pieces.

A tokenizer spells what is not in its vocabulary byte by byte. Once a character has begun, only its
next byte may follow, so a hypothesis ends, or takes any other piece, only between characters.
The ranges are those of table 3-7 of the Unicode standard.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seq2seq.search.engine_protocol import Ints

BETWEEN = 0
"""The state between two characters, in which a hypothesis begins."""

LONGEST = 4
"""Maximum number of bytes in a character."""

_TRAILING = range(0x80, 0xC0)
_EXPECTED = (  # for each state, the bytes that may come next, and the state after them
    (range(0x80), BETWEEN),
    (_TRAILING, BETWEEN),
    (_TRAILING, 1),
    (_TRAILING, 2),
    (range(0xA0, 0xC0), 1),  # after E0
    (range(0x80, 0xA0), 1),  # after ED
    (range(0x90, 0xC0), 2),  # after F0
    (range(0x80, 0x90), 2),  # after F4
)
_LEADING = {  # the state after each byte that begins a multi-byte character
    **dict.fromkeys(range(0xC2, 0xE0), 1),
    **dict.fromkeys(range(0xE1, 0xF0), 2),
    **dict.fromkeys(range(0xF1, 0xF4), 3),
    0xE0: 4,
    0xED: 5,
    0xF0: 6,
    0xF4: 7,
}


class ByteRule:
    """Says which ids may follow, by the state in which the ids so far have left a hypothesis.

    The tables have `size` columns; the last one stands for all ids above those of the bytes.
    """

    def __init__(self, byte_ids: Sequence[int]) -> None:
        """Take the id of each of the 256 bytes; none if the tokenizer has no bytes."""
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
        """Return the states (N,) after `ids` (N,) came in `states` (N,)."""
        following: Ints = self._next[states, np.minimum(ids, self.size - 1)]
        return following

    def allowed(self, state: int, ids: Ints) -> NDArray[np.bool_]:
        """Return which of `ids` (C,) may come in a state."""
        allowed: NDArray[np.bool_] = self._allowed[state].take(ids, mode="clip")
        return allowed

    def begins(self, ids: Ints) -> NDArray[np.bool_]:
        """Return which of `ids` (..., C) begin a multi-byte character."""
        begins: NDArray[np.bool_] = (self._next[BETWEEN] != BETWEEN).take(ids, mode="clip")
        return begins

    def dead_ends(self, candidates: Ints) -> NDArray[np.bool_]:
        """Return which `candidates` (B, C) begin a character that no other of the row continues."""
        columns = np.minimum(candidates, self.size - 1)
        alive = np.stack([allowed[columns].any(axis=1) for allowed in self._allowed], axis=1)
        states = self._next[BETWEEN, columns]  # (B, C)
        dead: NDArray[np.bool_] = (states != BETWEEN) & ~np.take_along_axis(alive, states, axis=1)
        return dead


NO_BYTES = ByteRule(())
"""The rule of a tokenizer without bytes: everything may follow."""
