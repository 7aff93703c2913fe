"""A cell's file: what it may say, that it runs only when asked, and the examples' equations."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seq2seq.errors import UsageError
from seq2seq.nn.cell_file import CellFile
from seq2seq.nn.cells import BUILT_IN_CELLS, CellType, Weights, lstm_step
from seq2seq.nn.recurrent import RecurrentLayer

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "cells"
NAMES = {
    "minimal_gated_unit": "MinimalGatedUnit",
    "no_forget_lstm": "NoForgetLSTM",
    "peephole_lstm": "PeepholeLSTM",
}

GOOD = """
from seq2seq.nn.cells import CellType, RNNStep, affine_hidden, affine_input, tanh


def step(x, hidden, weights):
    return RNNStep(tanh(affine_input(x, weights) + affine_hidden(hidden, weights)))


Mine = CellType(step, blocks=("hidden",))
"""


def example(name: str) -> CellType:
    return CellFile.read(EXAMPLES / f"{name}.py", NAMES[name]).load()


def test_each_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == NAMES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_computes_the_same_in_numpy_and_in_torch(name: str) -> None:
    torch.manual_seed(1)
    layer = RecurrentLayer(example(name), 3, 4).double()
    for weight in layer.parameters():
        torch.nn.init.normal_(weight)
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    trace = layer.trace(inputs)
    parameters = {key: weight.detach().numpy() for key, weight in layer.fused.named_parameters()}
    weights = Weights(*(parameters.pop(f"{part}_l0") for part in PARTS))
    states = [np.zeros((2, 4)) for _ in layer.cell.states]
    for t in range(5):
        step = layer.cell.step(inputs[:, t].numpy(), *states, weights, **parameters)
        states = [*step[: len(states)]]
        for ours, theirs in zip(step, trace, strict=True):
            np.testing.assert_allclose(ours, theirs[:, t].detach(), atol=1e-12)


PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape)


def test_peepholes_of_zero_make_an_lstm() -> None:
    peephole = example("peephole_lstm")
    weights = Weights(draw(16, 3), draw(16, 4), draw(16), draw(16))
    x, hidden, cell = draw(2, 3), draw(2, 4), draw(2, 4)
    zeros = dict.fromkeys(peephole.vectors, np.zeros(4))
    np.testing.assert_array_equal(
        peephole.step(x, hidden, cell, weights, **zeros), lstm_step(x, hidden, cell, weights)
    )
    with_peepholes = peephole.step(x, hidden, cell, weights, **(zeros | {peephole.vectors[0]: 1}))
    assert (with_peepholes.forget != lstm_step(x, hidden, cell, weights).forget).all()


def test_a_minimal_unit_is_a_gru_whose_reset_gate_is_what_its_update_gate_is_not() -> None:
    minimal, gru = example("minimal_gated_unit"), BUILT_IN_CELLS["gru"]
    x, hidden = draw(2, 3), draw(2, 4)
    weights = Weights(draw(8, 3), draw(8, 4), draw(8), draw(8))

    def twice(part: np.ndarray) -> np.ndarray:
        return np.concatenate([part[:4], -part[:4], part[4:]])  # sigma(-a) = 1 - sigma(a)

    np.testing.assert_allclose(
        minimal.step(x, hidden, weights).hidden,
        gru.step(x, hidden, Weights(*map(twice, weights))).hidden,
    )


def test_an_lstm_without_its_forget_gate_is_one_that_never_shuts_it() -> None:
    x, hidden, cell = draw(2, 3), draw(2, 4), draw(2, 4)
    weights = Weights(draw(12, 3), draw(12, 4), draw(12), draw(12))

    def with_forget(part: np.ndarray, bias: float) -> np.ndarray:
        return np.concatenate([part[:4], np.full_like(part[:4], bias), part[4:]])

    whole = Weights(*(with_forget(p, 50.0 * (p is weights.input_bias)) for p in weights))
    step = example("no_forget_lstm").step(x, hidden, cell, weights)
    np.testing.assert_allclose(step.cell, lstm_step(x, hidden, cell, whole).cell)
    np.testing.assert_allclose(step.hidden, lstm_step(x, hidden, cell, whole).hidden)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD.replace("Mine", "Other"), "there is no CellType called Mine; it makes Other."),
        ("Mine = 1\n", "there is no CellType called Mine; it makes none, see docs/examples/cells."),
        ("def f(:\n", "SyntaxError: "),
        ("import nothing_of_that_name\n", "ModuleNotFoundError: No module named"),
        (GOOD.replace('("hidden",)', '("hidden", "more")'), "'hidden' has the shape (2, 8), not "),
        (
            GOOD.replace('("hidden",))', '("hidden",), gates=("forget",))'),
            "its step returns no field 'forget'.",
        ),
        (
            GOOD.replace('("hidden",))', '("hidden",), states=("hidden", "cell"))'),
            "its step fails: TypeError: ",
        ),
        (GOOD.replace("RNNStep(", "("), "its step returns ndarray, where a NamedTuple is wanted"),
        (
            GOOD.replace('("hidden",))', '("hidden",), open_at_first=("forget",))'),
            "open_at_first has 'forget', which is not a block.",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told(text: str, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(UsageError) as told:
        CellFile.read(file, "Mine").load()
    assert str(told.value).startswith(f"{file}: {complaint}")


def test_reading_a_file_does_not_run_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("raise SystemExit")
    assert CellFile.read(file, "Mine").text == b"raise SystemExit"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the cell's file cannot be read: No such file"):
        CellFile.read(tmp_path / "none.py", "Mine")


def test_gates_begin_open_where_the_cell_says_so_and_vectors_at_zero() -> None:
    layer = RecurrentLayer(example("peephole_lstm"), 3, 4)
    assert layer.fused.bias_ih_l0.tolist() == 4 * [0.0] + 4 * [1.0] + 8 * [0.0]
    assert layer.fused.peephole_forget.tolist() == 4 * [0.0]
