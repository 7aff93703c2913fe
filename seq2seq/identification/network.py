"""The equations of the model, in NumPy.

One LSTM reads the characters x_1 ... x_T of a text from left to right, another from right to left.
Each carries a state h_t from one character to the next. Only the last state of each is used for the
answer, not those before it:

    u, f, o = sigma(W x_t + U h_(t-1) + b)       update, forget and output gate
    g = tanh(W x_t + U h_(t-1) + b)              candidate
    c_t = f * c_(t-1) + u * g                    the memory cell
    h_t = o * tanh(c_t)                          (see `seq2seq.nn.cells`)
    p = softmax(V h_T + d)                       many to one; h_T of both directions

Shapes: B texts, T characters, X embedding dimensions, H units per direction, L languages.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
"""An array of float32."""


class Network(NamedTuple):
    """The weights; the blocks of the gates are in torch's order: update, forget, candidate, output.

    In dimensions of size 2, the first is for reading forwards, the second for reading backwards.
    """

    embedding: Floats  # (V + 1, X): for any unknown character, then for those of the alphabet
    capital: Floats  # (X,): added to the embedding of a capital
    input: Floats  # (2, 4 H, X): W
    hidden: Floats  # (2, 4 H, H): U
    bias: Floats  # (2, 4 H): b
    output: Floats  # (L, 2 H): V
    output_bias: Floats  # (L,): d

    def __call__(self, ids: NDArray[np.intp], lengths: NDArray[np.intp]) -> Floats:
        """Compute probabilities (B, L) for ids (B, T), padded on the right, of lengths (B,)."""
        both_ways = np.stack([ids, reverse(ids, lengths)])  # (2, B, T)
        states = self.states(self.embed(both_ways))  # (T, 2, B, H)
        last = states[lengths - 1, :, np.arange(len(ids))]  # (B, 2, H)
        return softmax(last.reshape(len(ids), -1) @ self.output.T + self.output_bias)

    def embed(self, ids: NDArray[np.intp]) -> Floats:
        """Embed the ids (...) of an `Alphabet` -> (..., X)."""
        capital, character = np.divmod(ids, len(self.embedding))
        return self.embedding[character] + capital[..., None].astype(np.float32) * self.capital

    def states(self, x: Floats) -> Floats:
        """Compute the states (T, 2, B, H) of both directions after each character of x.

        x is (2, B, T, X), with the second direction reversed already.
        """
        directions, batch, time, _ = x.shape
        size = self.hidden.shape[-1]
        # W x + b does not depend on the state, so it is computed for all characters at once.
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
    """Reverse each row of ids (B, T) within its length."""
    t = np.arange(ids.shape[1])
    rows = np.arange(len(ids))[:, None]
    return ids[rows, np.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)]


def sigmoid(x: Floats) -> Floats:
    """Compute the logistic function by way of tanh, which never overflows."""
    y: Floats = (1 + np.tanh(x / 2)) / 2
    return y


def softmax(x: Floats) -> Floats:
    """Compute the softmax of each row of x (B, L)."""
    powers: Floats = np.exp(x - x.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers
