"""The minimal gated unit: a GRU with one gate in place of two (Zhou et al. 2016).

Train it with `--set model.cell=docs/examples/cells/minimal_gated_unit.py:MinimalGatedUnit`.
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


class MinimalStep(NamedTuple):
    """What the unit computed at one time step, each (B, H)."""

    hidden: Array
    forget: Array  # in (0, 1): how much of the past is replaced
    candidate: Array  # in (-1, 1)


def minimal_step(x: Array, hidden: Array, weights: Weights) -> MinimalStep:
    """Take one step; the gate both resets and updates.

    f = sigma(W_f x + b_f + U_f h + d_f)                 forget gate
    n = tanh(W_n x + b_n + f * (U_n h + d_n))            candidate
    h' = (1 - f) * h + f * n

    The paper applies f before the product with U, here it comes after, as in our GRU.
    """
    x_f, x_n = blocks(affine_input(x, weights), 2)
    h_f, h_n = blocks(affine_hidden(hidden, weights), 2)
    forget = sigmoid(x_f + h_f)
    candidate = tanh(x_n + forget * h_n)
    return MinimalStep((1 - forget) * hidden + forget * candidate, forget, candidate)


MinimalGatedUnit = CellType(
    minimal_step,
    blocks=("forget", "candidate"),
    gates=("forget",),
    signed=("candidate",),
)
