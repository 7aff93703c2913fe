"""The model as its equations, in NumPy.

An LSTM reads the characters x_1 ... x_T of a text from left to right, another one from right to
left. Each carries a state h_t from one character to the next, and what both know at their end
decides; what they knew on the way is not asked for:

    u, f, o = sigma(W x_t + U h_(t-1) + b)       update, forget and output gate
    g = tanh(W x_t + U h_(t-1) + b)              candidate
    c_t = f * c_(t-1) + u * g                    the memory cell
    h_t = o * tanh(c_t)                          (see `seq2seq.nn.cells`)
    p = softmax(V h_T + d)                       many to one; h_T of both directions

Shapes: B texts, T characters, X numbers for each, H units for each direction, L languages.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
"""Of 32 bits."""


class Network(NamedTuple):
    """The weights; the blocks of the gates are those of torch: update, forget, candidate, output.

    The first of two is the direction of reading, the second the one against it.
    """

    embedding: Floats  # (V + 1, X): any other character, then those of the alphabet
    capital: Floats  # (X,): what a capital has on top
    input: Floats  # (2, 4 H, X): W
    hidden: Floats  # (2, 4 H, H): U
    bias: Floats  # (2, 4 H): b
    output: Floats  # (L, 2 H): V
    output_bias: Floats  # (L,): d

    def __call__(self, ids: NDArray[np.intp], lengths: NDArray[np.intp]) -> Floats:
        """ids (B, T), lengths (B,), what is beyond them is not read -> probabilities (B, L)."""
        both_ways = np.stack([ids, reverse(ids, lengths)])  # (2, B, T)
        states = self.states(self.embed(both_ways))  # (T, 2, B, H)
        last = states[lengths - 1, :, np.arange(len(ids))]  # (B, 2, H)
        return softmax(last.reshape(len(ids), -1) @ self.output.T + self.output_bias)

    def embed(self, ids: NDArray[np.intp]) -> Floats:
        """ids (...) of an `Alphabet` -> (..., X)."""
        capital, character = np.divmod(ids, len(self.embedding))
        return self.embedding[character] + capital[..., None].astype(np.float32) * self.capital

    def states(self, x: Floats) -> Floats:
        """x (2, B, T, X) -> the states of both directions after each character (T, 2, B, H)."""
        directions, batch, time, _ = x.shape
        size = self.hidden.shape[-1]
        # W x + b has no past in it, so it is computed for all characters at once.
        inputs = x @ self.input.transpose(0, 2, 1)[:, None] + self.bias[:, None, None]
        into_gates = self.hidden.transpose(0, 2, 1)  # (2, H, 4 H)
        h: Floats = np.zeros((directions, batch, size), np.float32)
        c = h
        states = np.empty((time, directions, batch, size), np.float32)
        for t in range(time):
            a = inputs[:, :, t] + h @ into_gates  # (2, B, 4 H)
            u, f, o = (sigmoid(a[..., k * size : (k + 1) * size]) for k in (0, 1, 3))
            g = np.tanh(a[..., 2 * size : 3 * size])
            c = f * c + u * g
            states[t] = h = o * np.tanh(c)
        return states


def reverse(ids: NDArray[np.intp], lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    """Each row of ids (B, T) the other way round, within its length."""
    t = np.arange(ids.shape[1])
    rows = np.arange(len(ids))[:, None]
    return ids[rows, np.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)]


def sigmoid(x: Floats) -> Floats:
    """Compute the logistic function, by tanh, which overflows nowhere."""
    y: Floats = (1 + np.tanh(x / 2)) / 2
    return y


def softmax(x: Floats) -> Floats:
    """(B, L) -> (B, L), each row adds up to 1."""
    powers: Floats = np.exp(x - x.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers
