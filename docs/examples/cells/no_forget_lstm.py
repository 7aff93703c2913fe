"""The LSTM of 1997, which cannot forget: what is once in its memory cell stays there.

Train it with `--set model.cell=docs/examples/cells/no_forget_lstm.py:NoForgetLSTM`.
"""

from typing import NamedTuple

from seq2seq.nn.cells import (
    Array,
    CellType,
    Weights,
    affine_hidden,
    affine_input,
    blocks,
    sigmoid,
    tanh,
)


class NoForgetStep(NamedTuple):
    """What the cell computed at one time step, each (B, H)."""

    hidden: Array
    cell: Array
    update: Array  # in (0, 1): how much of the candidate is written
    output: Array  # in (0, 1): how much of the cell is shown
    candidate: Array  # in (-1, 1)


def no_forget_step(x: Array, hidden: Array, cell: Array, weights: Weights) -> NoForgetStep:
    """Take one step (Hochreiter & Schmidhuber 1997).

    u = sigma(W_u x + b_u + U_u h + d_u)                 update gate
    o = sigma(W_o x + b_o + U_o h + d_o)                 output gate
    g = tanh(W_g x + b_g + U_g h + d_g)                  candidate
    c' = c + u * g                                       the memory cell
    h' = o * tanh(c')
    """
    u, g, o = blocks(affine_input(x, weights) + affine_hidden(hidden, weights), 3)
    update, output = sigmoid(u), sigmoid(o)
    candidate = tanh(g)
    cell = cell + update * candidate
    return NoForgetStep(output * tanh(cell), cell, update, output, candidate)


NoForgetLSTM = CellType(
    no_forget_step,
    blocks=("update", "candidate", "output"),
    gates=("update", "output"),
    states=("hidden", "cell"),
    signed=("candidate",),
)
