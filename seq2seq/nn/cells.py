"""The three recurrent cells, written as their equations.

This module shows what a cell computes. Training uses torch's fused layers, which compute the same
(see `seq2seq.nn.recurrent`; tests compare values and gradients). To train with this code instead,
for example after changing it, set `model.kernels` to "reference". Every function takes either NumPy
arrays or torch tensors, so the gates of an exported model can be inspected without torch.

Shapes: x is (B, X), hidden and cell are (B, H). The weights have torch's layout: the blocks of the
gates one below the other, (N * H, X) for the input and (N * H, H) for the state.

sigma is the logistic function, * the elementwise product.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from seq2seq.errors import UsageError

Array = Any
"""A NumPy array or a torch tensor."""


class Weights(NamedTuple):
    """The parameters of a layer, in N blocks of H units: 1 block for RNN, 3 for GRU, 4 for LSTM."""

    input: Array  # (N * H, X)
    hidden: Array  # (N * H, H)
    input_bias: Array  # (N * H,)
    hidden_bias: Array  # (N * H,)


@dataclass(frozen=True)
class CellType:
    """A kind of cell: a step function and the names of its inputs and outputs.

    `step` is called with x (B, X), the states (B, H), the `Weights`, and any `vectors` (H,) as
    keyword arguments. It returns a NamedTuple: first the new states, then the values that `gates`
    and `signed` name, each (B, H).
    """

    step: Callable[..., Any]
    blocks: tuple[str, ...]  # H rows of the weights each, from the top
    gates: tuple[str, ...] = ()  # values in (0, 1)
    states: tuple[str, ...] = ("hidden",)  # the first is the layer's output
    signed: tuple[str, ...] = ()  # further values, such as the candidate
    vectors: tuple[str, ...] = ()  # further weights: one number per unit, initialised to 0
    open_at_first: tuple[str, ...] = ()  # blocks whose bias is initialised to 1

    @property
    def shown(self) -> tuple[str, ...]:
        """The names of the values to show by default: the gates and the state that they control."""
        return (*self.gates, self.states[-1])

    @property
    def values(self) -> tuple[str, ...]:
        """The names of all values that can be shown, each once."""
        return tuple(dict.fromkeys((*self.shown, *self.signed, *self.states)))


class RNNStep(NamedTuple):
    """The values of a plain recurrent cell at one time step."""

    hidden: Array  # (B, H)


class GRUStep(NamedTuple):
    """The values of a GRU at one time step."""

    hidden: Array  # (B, H)
    reset: Array  # (B, H) in (0, 1): how much of the past the candidate sees
    update: Array  # (B, H) in (0, 1): how much of the past is kept
    candidate: Array  # (B, H) in (-1, 1)


class LSTMStep(NamedTuple):
    """The values of an LSTM at one time step."""

    hidden: Array  # (B, H)
    cell: Array  # (B, H)
    forget: Array  # (B, H) in (0, 1): how much of the cell is kept
    update: Array  # (B, H) in (0, 1): how much of the candidate is written (the "input gate")
    output: Array  # (B, H) in (0, 1): how much of the cell is shown
    candidate: Array  # (B, H) in (-1, 1)


def rnn_step(x: Array, hidden: Array, weights: Weights) -> RNNStep:
    """Compute one step of the plain recurrent unit.

    h' = tanh(W x + b + U h + d)                         (Elman 1990, with sigma for tanh)

    The gradient passes through U and tanh' at every step, so it vanishes or explodes with distance.
    The gates of GRU and LSTM were invented to prevent that.
    """
    return RNNStep(tanh(affine_input(x, weights) + affine_hidden(hidden, weights)))


def gru_step(x: Array, hidden: Array, weights: Weights) -> GRUStep:
    """Compute one step of the gated recurrent unit.

    r = sigma(W_r x + b_r + U_r h + d_r)                 reset gate
    z = sigma(W_z x + b_z + U_z h + d_z)                 update gate
    n = tanh(W_n x + b_n + r * (U_n h + d_n))            candidate
    h' = (1 - z) * n + z * h                             (Cho et al. 2014, as in torch and cuDNN)
    """
    x_r, x_z, x_n = blocks(affine_input(x, weights), 3)
    h_r, h_z, h_n = blocks(affine_hidden(hidden, weights), 3)
    reset = sigmoid(x_r + h_r)
    update = sigmoid(x_z + h_z)
    candidate = tanh(x_n + reset * h_n)
    return GRUStep((1 - update) * candidate + update * hidden, reset, update, candidate)


def lstm_step(x: Array, hidden: Array, cell: Array, weights: Weights) -> LSTMStep:
    """Compute one step of the long short-term memory.

    f = sigma(W_f x + b_f + U_f h + d_f)                 forget gate
    u = sigma(W_u x + b_u + U_u h + d_u)                 update gate
    o = sigma(W_o x + b_o + U_o h + d_o)                 output gate
    g = tanh(W_g x + b_g + U_g h + d_g)                  candidate
    c' = f * c + u * g                                   the memory cell
    h' = o * tanh(c')                                    (Hochreiter & Schmidhuber 1997; Gers 2000)

    Along c the gradient is only multiplied by f, so a cell whose forget gate is open carries it
    over any distance. The blocks are in torch's order: update, forget, candidate, output.
    """
    u, f, g, o = blocks(affine_input(x, weights) + affine_hidden(hidden, weights), 4)
    forget, update, output = sigmoid(f), sigmoid(u), sigmoid(o)
    candidate = tanh(g)
    cell = forget * cell + update * candidate
    return LSTMStep(output * tanh(cell), cell, forget, update, output, candidate)


BUILT_IN_CELLS = {
    "lstm": CellType(
        lstm_step,
        blocks=("update", "forget", "candidate", "output"),
        gates=("forget", "update", "output"),
        states=("hidden", "cell"),
        signed=("candidate",),
        # So that early gradients reach far back (Gers et al. 2000; Jozefowicz et al. 2015).
        open_at_first=("forget",),
    ),
    "gru": CellType(
        gru_step,
        blocks=("reset", "update", "candidate"),
        gates=("reset", "update"),
        signed=("candidate",),
    ),
    "rnn": CellType(rnn_step, blocks=("hidden",)),
}
"""The built-in cells by name. A new one also needs its name in `seq2seq.config.model_config`, its
fused layer in `seq2seq.nn.recurrent` if torch has one, the order of its gates in
`seq2seq.engines.weights`, a graph in `seq2seq.engines.onnx_graphs` and, to be drawn, a diagram in
`seq2seq.inspection.diagrams`.
"""


def cell_type(cell: "str | CellType") -> CellType:
    """Return the built-in cell of that name, or `cell` itself if it is a `CellType` already.

    Raises `UsageError` for an unknown name.
    """
    if isinstance(cell, CellType):
        return cell
    if cell not in BUILT_IN_CELLS:
        raise UsageError(f"the cell {cell} is not built in, and its file was not given.")
    return BUILT_IN_CELLS[cell]


def affine_input(x: Array, weights: Weights) -> Array:
    """Return the contribution of the input x (B, X) to all gates, (B, N * H), bias included."""
    return x @ weights.input.T + weights.input_bias  # (B, N * H)


def affine_hidden(hidden: Array, weights: Weights) -> Array:
    """Return the contribution of the state (B, H) to all gates, (B, N * H), bias included."""
    return hidden @ weights.hidden.T + weights.hidden_bias  # (B, N * H)


def blocks(gates: Array, count: int) -> list[Array]:
    """Split gates (B, N * H) into its `count` blocks, each (B, H)."""
    size = gates.shape[-1] // count
    return [gates[..., k * size : (k + 1) * size] for k in range(count)]


def sigmoid(x: Array) -> Array:
    """Compute the logistic function by way of tanh, which never overflows."""
    return (1 + tanh(x / 2)) / 2


def tanh(x: Array) -> Array:
    """Compute the hyperbolic tangent of a NumPy array or torch tensor."""
    return _namespace(x).tanh(x)


def _namespace(x: Array) -> Any:
    """Return the module `numpy` or `torch`, whichever `x` comes from."""
    return sys.modules[type(x).__module__.partition(".")[0]]
