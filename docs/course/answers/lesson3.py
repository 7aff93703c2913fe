"""Lesson 3, gates: LSTM and GRU. One way to fill it in.

An array is of NumPy: `A @ x` is a product of matrix and vector, `a * b` goes element by element,
and `np.split(a, 4)` cuts an array into four of the same length.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


# 1. The gate itself.
def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + e^-x) of each element."""
    return 1 / (1 + np.exp(-x))


# 2. The long short-term memory.
def lstm_step(x: Array, h: Array, c: Array, W: Array, U: Array, b: Array) -> tuple[Array, Array]:
    """Return the new state h (H,) and the new memory cell c (H,).

    W x + U h + b, of length 4 H, holds four blocks: update gate, forget gate, candidate, output
    gate. A gate is the sigmoid of its block, the candidate is the tanh of its own.
    """
    update, forget, candidate, output = np.split(W @ x + U @ h + b, 4)
    c = sigmoid(forget) * c + sigmoid(update) * np.tanh(candidate)
    return sigmoid(output) * np.tanh(c), c


# 3. The last line of the GRU. Its update gate z keeps: with z = 1 the state stays as it was.
def gru_state(h: Array, candidate: Array, z: Array) -> Array:
    """Return the new state (H,) from the old state h, the candidate and the update gate z."""
    return z * h + (1 - z) * candidate


# 4. How do the gates of an LSTM have to stand, 0 (shut) or 1 (open), for its memory cell to ...?
GATES = {
    "keep what it holds, whatever comes in": {"forget": 1, "update": 0},
    "take the candidate in place of what it holds": {"forget": 0, "update": 1},
    "add the candidate to what it holds": {"forget": 1, "update": 1},
    "be emptied": {"forget": 0, "update": 0},
}


# 5. A gate that begins open: with inputs of 0 a gate is the sigmoid of its bias.
def bias_for(openness: float) -> float:
    """Return the bias of a gate that is `openness` open, between 0 and 1, with inputs of 0."""
    return float(np.log(openness / (1 - openness)))
