"""The peephole LSTM: its gates look into the memory cell as well (Gers & Schmidhuber 2000).

Train it with `--set model.cell=docs/examples/cells/peephole_lstm.py:PeepholeLSTM`.
"""

from seq2seq.nn.cells import (
    Array,
    CellType,
    LSTMStep,
    Weights,
    affine_hidden,
    affine_input,
    blocks,
    sigmoid,
    tanh,
)


def peephole_step(
    x: Array,
    hidden: Array,
    cell: Array,
    weights: Weights,
    *,
    peephole_forget: Array,
    peephole_update: Array,
    peephole_output: Array,
) -> LSTMStep:
    """Take one step; the peepholes p are vectors, a number for each unit.

    f = sigma(W_f x + b_f + U_f h + d_f + p_f * c)       forget gate
    u = sigma(W_u x + b_u + U_u h + d_u + p_u * c)       update gate
    g = tanh(W_g x + b_g + U_g h + d_g)                  candidate
    c' = f * c + u * g                                   the memory cell
    o = sigma(W_o x + b_o + U_o h + d_o + p_o * c')      output gate
    h' = o * tanh(c')
    """
    u, f, g, o = blocks(affine_input(x, weights) + affine_hidden(hidden, weights), 4)
    forget = sigmoid(f + peephole_forget * cell)
    update = sigmoid(u + peephole_update * cell)
    candidate = tanh(g)
    cell = forget * cell + update * candidate
    output = sigmoid(o + peephole_output * cell)
    return LSTMStep(output * tanh(cell), cell, forget, update, output, candidate)


PeepholeLSTM = CellType(
    peephole_step,
    blocks=("update", "forget", "candidate", "output"),
    gates=("forget", "update", "output"),
    states=("hidden", "cell"),
    signed=("candidate",),
    vectors=("peephole_forget", "peephole_update", "peephole_output"),
    open_at_first=("forget",),
)
