"""Lesson 4, encoder-decoder and attention. One way to fill it in.

An array is of NumPy: `A @ x` is a product of matrix and vector, `a.max()` is the largest element,
`a.argmax()` its place, and `np.concatenate([a, b])` puts two arrays one behind the other.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


# 1. What the decoder begins with, without attention.
def summary(forwards: Array, backwards: Array) -> Array:
    """Return what each half of the encoder knows at its end, one behind the other (2 H,).

    forwards (S, H) are the states of the half that reads from the first token to the last;
    backwards (S, H) are those of the half that reads from the last to the first. In both, row 0
    belongs to the first token of the sentence.
    """
    return np.concatenate([forwards[-1], backwards[0]])


# 2. From scores to weights that sum to 1.
def softmax(scores: Array) -> Array:
    """Return e^score / (sum of all e^score), for scores as large as 1000, too."""
    powers = np.exp(scores - scores.max())
    weights: Array = powers / powers.sum()
    return weights


# 3. Attention.
def attend(query: Array, keys: Array, values: Array) -> tuple[Array, Array]:
    """Return the context (D,) and the weights (S,), from a query (D,), keys (S, D), values (S, D).

    A score is the product of the query and a key, divided by the root of D.
    """
    weights = softmax(keys @ query / np.sqrt(len(query)))
    return weights @ values, weights


# 4. Reading a map of attention.
def looked_at(source: list[str], weights: Array) -> list[str]:
    """Return for each target token the source token that it looks at most; weights (T, S)."""
    return [source[row.argmax()] for row in weights]
