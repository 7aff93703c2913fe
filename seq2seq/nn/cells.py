"""The three recurrent cells, written as their equations.

Read here what a cell computes; training uses torch's fused layers, which compute the same (see
`seq2seq.nn.recurrent` and the tests, which hold both equal in values and gradients). To train by
these very lines, changed as you like, set `model.kernels` to "reference". Every function takes
NumPy arrays or torch tensors, all of one kind, so the gates of an exported model can be looked at
without torch.

Shapes: x (B, X), hidden and cell (B, H). The weights are laid out as torch lays them out: the
blocks of the gates one below the other, (N * H, X) for the input, (N * H, H) for the state.

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
    """One layer's parameters, N blocks of H units: N is 1 for RNN, 3 for GRU, 4 for LSTM."""

    input: Array  # (N * H, X)
    hidden: Array  # (N * H, H)
    input_bias: Array  # (N * H,)
    hidden_bias: Array  # (N * H,)


@dataclass(frozen=True)
class CellType:
    """A kind of cell: a step function, and the names of what goes into it and comes out.

    `step` is called with x (B, X), the states (B, H), the `Weights`, and by name the `vectors` (H,)
    if there are any. It returns a NamedTuple whose first fields are the new states and whose others
    are what `gates` and `signed` name, each (B, H).
    """

    step: Callable[..., Any]
    blocks: tuple[str, ...]  # of the rows of the weights, from the top, H rows each
    gates: tuple[str, ...] = ()  # values in (0, 1)
    states: tuple[str, ...] = ("hidden",)  # the first is the layer's output
    signed: tuple[str, ...] = ()  # further values, such as the candidate
    vectors: tuple[str, ...] = ()  # further weights: a number for each unit, 0 at first
    open_at_first: tuple[str, ...] = ()  # blocks whose bias begins at 1

    @property
    def shown(self) -> tuple[str, ...]:
        """What there is to look at first: the gates, and what they guard."""
        return (*self.gates, self.states[-1])

    @property
    def values(self) -> tuple[str, ...]:
        """Everything that there is to look at."""
        return tuple(dict.fromkeys((*self.shown, *self.signed, *self.states)))


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
    return RNNStep(tanh(affine_input(x, weights) + affine_hidden(hidden, weights)))


def gru_step(x: Array, hidden: Array, weights: Weights) -> GRUStep:
    """One step of the gated recurrent unit.

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
        # So the first gradients reach far back (Gers et al. 2000; Jozefowicz et al. 2015).
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
"""By name. A new one also needs its name in `seq2seq.config.model_config`, its fused layer in
`seq2seq.nn.recurrent` if torch has one, the order of its gates in `seq2seq.engines.weights`, a
graph in `seq2seq.engines.onnx_graphs` and, to be drawn, a diagram in `seq2seq.inspection.diagrams`.
"""


def cell_type(cell: "str | CellType") -> CellType:
    """Return a built-in cell by its name, or the cell that is given."""
    if isinstance(cell, CellType):
        return cell
    if cell not in BUILT_IN_CELLS:
        raise UsageError(f"the cell {cell} is not built in, and its file was not given.")
    return BUILT_IN_CELLS[cell]


def affine_input(x: Array, weights: Weights) -> Array:
    """Return what the input x (B, X) says to each gate (B, N * H)."""
    return x @ weights.input.T + weights.input_bias  # (B, N * H)


def affine_hidden(hidden: Array, weights: Weights) -> Array:
    """Return what the state hidden (B, H) says to each gate (B, N * H)."""
    return hidden @ weights.hidden.T + weights.hidden_bias  # (B, N * H)


def blocks(gates: Array, count: int) -> list[Array]:
    """Split gates (B, N * H) into its `count` blocks, each (B, H)."""
    size = gates.shape[-1] // count
    return [gates[..., k * size : (k + 1) * size] for k in range(count)]


def sigmoid(x: Array) -> Array:
    """Compute the logistic function, by tanh, which overflows nowhere."""
    return (1 + tanh(x / 2)) / 2


def tanh(x: Array) -> Array:
    """Compute the hyperbolic tangent of an array of either kind."""
    return _namespace(x).tanh(x)


def _namespace(x: Array) -> Any:
    """`numpy` or `torch`, whichever `x` comes from."""
    return sys.modules[type(x).__module__.partition(".")[0]]
