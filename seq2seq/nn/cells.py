"""The three recurrent cells, written as their equations.

Read here what a cell computes; train with torch's fused layers, which compute the same (see
`seq2seq.nn.recurrent` and the tests, which hold both equal in values and gradients). Nothing is
imported but NumPy: every function takes NumPy arrays or torch tensors, all of one kind, so the
gates of an exported model can be looked at without torch.

Shapes: x (B, X), hidden and cell (B, H). The weights are laid out as torch lays them out: the
blocks of the gates one below the other, (G * H, X) for the input, (G * H, H) for the state.

sigma is the logistic function, * the elementwise product.
"""

import sys
from typing import Any, NamedTuple

Array = Any
"""A NumPy array or a torch tensor."""


class Weights(NamedTuple):
    """One layer's parameters, G gates of H units: G is 1 for RNN, 3 for GRU, 4 for LSTM."""

    input: Array  # (G * H, X)
    hidden: Array  # (G * H, H)
    input_bias: Array  # (G * H,)
    hidden_bias: Array  # (G * H,)


class RNNStep(NamedTuple):
    """What a plain recurrent cell computed at one time step."""

    hidden: Array  # (B, H)


class GRUStep(NamedTuple):
    """What a GRU computed at one time step."""

    hidden: Array  # (B, H)
    reset: Array  # (B, H) in (0, 1): how much of the past the candidate sees
    update: Array  # (B, H) in (0, 1): how much of the past is kept
    candidate: Array  # (B, H) in (-1, 1)


class LSTMStep(NamedTuple):
    """What an LSTM computed at one time step."""

    hidden: Array  # (B, H)
    cell: Array  # (B, H)
    forget: Array  # (B, H) in (0, 1): how much of the cell is kept
    update: Array  # (B, H) in (0, 1): how much of the candidate is written (the "input gate")
    output: Array  # (B, H) in (0, 1): how much of the cell is shown
    candidate: Array  # (B, H) in (-1, 1)


def rnn_step(x: Array, hidden: Array, weights: Weights) -> RNNStep:
    """One step of the plain recurrent unit.

    h' = tanh(W x + b + U h + d)                         (Elman 1990, with sigma for tanh)

    The gradient passes through U and tanh' at every step, so it vanishes or explodes with
    distance; the gates below were made against that.
    """
    xp = _namespace(x)
    return RNNStep(xp.tanh(_affine_input(x, weights) + _affine_hidden(hidden, weights)))


def gru_step(x: Array, hidden: Array, weights: Weights) -> GRUStep:
    """One step of the gated recurrent unit.

    r = sigma(W_r x + b_r + U_r h + d_r)                 reset gate
    z = sigma(W_z x + b_z + U_z h + d_z)                 update gate
    n = tanh(W_n x + b_n + r * (U_n h + d_n))            candidate
    h' = (1 - z) * n + z * h                             (Cho et al. 2014, as in torch and cuDNN)
    """
    xp = _namespace(x)
    x_r, x_z, x_n = _blocks(_affine_input(x, weights), 3)
    h_r, h_z, h_n = _blocks(_affine_hidden(hidden, weights), 3)
    reset = _sigmoid(x_r + h_r)
    update = _sigmoid(x_z + h_z)
    candidate = xp.tanh(x_n + reset * h_n)
    return GRUStep((1 - update) * candidate + update * hidden, reset, update, candidate)


def lstm_step(x: Array, hidden: Array, cell: Array, weights: Weights) -> LSTMStep:
    """One step of the long short-term memory.

    f = sigma(W_f x + b_f + U_f h + d_f)                 forget gate
    u = sigma(W_u x + b_u + U_u h + d_u)                 update gate
    o = sigma(W_o x + b_o + U_o h + d_o)                 output gate
    g = tanh(W_g x + b_g + U_g h + d_g)                  candidate
    c' = f * c + u * g                                   the memory cell
    h' = o * tanh(c')                                    (Hochreiter & Schmidhuber 1997; Gers 2000)

    Along c the gradient is only multiplied by f: a cell whose forget gate is open carries it
    over any distance. torch lays the blocks out as update, forget, candidate, output.
    """
    xp = _namespace(x)
    u, f, g, o = _blocks(_affine_input(x, weights) + _affine_hidden(hidden, weights), 4)
    forget, update, output = _sigmoid(f), _sigmoid(u), _sigmoid(o)
    candidate = xp.tanh(g)
    cell = forget * cell + update * candidate
    return LSTMStep(output * xp.tanh(cell), cell, forget, update, output, candidate)


def _affine_input(x: Array, weights: Weights) -> Array:
    return x @ weights.input.T + weights.input_bias  # (B, G * H)


def _affine_hidden(hidden: Array, weights: Weights) -> Array:
    return hidden @ weights.hidden.T + weights.hidden_bias  # (B, G * H)


def _blocks(gates: Array, count: int) -> list[Array]:
    size = gates.shape[-1] // count
    return [gates[..., k * size : (k + 1) * size] for k in range(count)]  # each (B, H)


def _sigmoid(x: Array) -> Array:
    # By tanh, which overflows nowhere: sigma(x) = (1 + tanh(x / 2)) / 2.
    return (1 + _namespace(x).tanh(x / 2)) / 2


def _namespace(x: Array) -> Any:
    """`numpy` or `torch`, whichever `x` comes from."""
    return sys.modules[type(x).__module__.partition(".")[0]]
