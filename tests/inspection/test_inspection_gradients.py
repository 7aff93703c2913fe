"""The measured gradients are those of the equations; the same numbers come out every time."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seq2seq.inspection.gradients import (
    VARIANTS,
    CopyMemoryModel,
    GradientCurve,
    GradientReport,
    GradientSettings,
    MemoryResult,
    Variant,
    gradient_norms,
    measure,
    recall_task,
)
from seq2seq.inspection.terminal import gradients_lines
from seq2seq.nn.cells import Weights, gru_step, lstm_step, rnn_step

SMALL = GradientSettings(
    hidden_size=6, symbols=3, distance=12, delays=(1, 3), steps=20, batch_size=8
)
B, T = 3, 7


def setup(variant: Variant) -> tuple[CopyMemoryModel, Tensor, Tensor]:
    """A layer in float64, inputs (B, T, X), answers (B,)."""
    model = CopyMemoryModel(variant, SMALL, seed=1).double()
    torch.manual_seed(3)
    inputs = torch.randn(B, T, SMALL.symbols + 2, dtype=torch.float64)
    return model, inputs, torch.randint(SMALL.symbols, (B,))


def last_state(model: CopyMemoryModel, inputs: Tensor) -> Tensor:
    """h_T (B, H) by the cell's equations, step by step."""
    weights = Weights(*(parameter.detach() for parameter in model.layer.fused.parameters()))
    hidden = cell = torch.zeros(len(inputs), SMALL.hidden_size, dtype=torch.float64)
    for t in range(inputs.shape[1]):
        step: Any
        if model.variant.cell == "lstm":
            step = lstm_step(inputs[:, t], hidden, cell, weights)
            cell = step.cell
        else:
            one_step: Any = gru_step if model.variant.cell == "gru" else rnn_step
            step = one_step(inputs[:, t], hidden, weights)
        hidden = step.hidden
    return hidden


def losses(model: CopyMemoryModel, inputs: Tensor, answers: Tensor) -> Tensor:
    """-ln p of each answer (B,), by the equations."""
    scores = last_state(model, inputs) @ model.readout.weight.T + model.readout.bias
    return (scores.logsumexp(dim=-1) - scores[range(B), answers]).detach()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_norms_are_those_of_finite_differences(variant: Variant) -> None:
    model, inputs, answers = setup(variant)
    norms = gradient_norms(model, inputs, answers)
    tiny = 1e-6
    squares = np.zeros(T)
    for t in range(T):
        for x in range(inputs.shape[2]):
            nudge = torch.zeros_like(inputs)
            nudge[:, t, x] = tiny
            ahead, behind = (losses(model, inputs + sign * nudge, answers) for sign in (1, -1))
            squares[T - 1 - t] += ((ahead - behind) / (2 * tiny)).pow(2).mean().item()
    np.testing.assert_allclose(norms, np.sqrt(squares), rtol=1e-5, atol=1e-9)


def test_the_bias_opens_the_gate_that_keeps() -> None:
    """The more open it is at the beginning, the farther the gradient reaches."""
    far = {
        curve.variant: curve.norms[-1]
        for curve in measure(GradientSettings(distance=50, delays=(), steps=1)).curves
    }
    biases = [far[f"LSTM, forget bias {bias}"] for bias in (0, 1, 3)]
    assert biases[0] < 1e-3 * biases[1] < 1e-3 * biases[2]
    assert far["GRU, update bias 0"] < 1e-3 * far["GRU, update bias 3"]
    assert far["RNN"] < 1e-3 * far["RNN, orthogonal"]


def test_the_task_asks_for_the_first_symbol() -> None:
    random = torch.Generator().manual_seed(1)
    inputs, answers = recall_task(SMALL, delay=4, number=5, random=random)
    assert inputs.shape == (5, 6, 5)
    assert (inputs.sum(dim=-1) == 1).all()
    assert (inputs[:, 0].argmax(dim=-1) == answers).all()
    assert (inputs[:, 1:5, 3] == 1).all()
    assert (inputs[:, 5, 4] == 1).all()


@pytest.fixture(scope="module")
def report() -> GradientReport:
    return measure(SMALL)


def test_everything_comes_out_the_same_again(report: GradientReport) -> None:
    torch.manual_seed(99)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    assert measure(SMALL).to_json() == report.to_json()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_delays_are_tried_until_one_is_not_learnt(report: GradientReport) -> None:
    for variant in VARIANTS:
        results = [result for result in report.memory if result.variant == variant.name]
        learnt = [result.accuracy >= SMALL.learnt for result in results]
        assert learnt == sorted(learnt, reverse=True)
        assert learnt.count(False) <= 1
        longest, failed = report.limits(variant.name, 1)
        assert failed in (None, results[-1].delay)
        trained = [c for c in report.curves if c.variant == variant.name and c.trained_delay]
        assert [curve.trained_delay for curve in trained] == ([longest] if longest else [])
        assert all(len(curve.norms) == SMALL.distance + 1 for curve in trained)


def test_a_delay_of_some_steps_is_learnt() -> None:
    settings = GradientSettings(delays=(3,), steps=400)
    report = measure(settings, VARIANTS[-1:])
    assert report.limits("LSTM, forget bias 3", 1) == (3, None)
    assert len(report.curves) == 2


def test_the_table_has_a_row_for_each_cell(report: GradientReport) -> None:
    lines = list(gradients_lines(report))
    assert all(len(line) <= 80 for line in lines)
    for variant in VARIANTS:
        assert sum(line.startswith(variant.name + "  ") for line in lines) >= 2


def test_of_several_seeds_each_is_what_it_is_alone() -> None:
    variants = VARIANTS[::3]
    several, *alone = (
        measure(dataclasses.replace(SMALL, seeds=seeds), variants) for seeds in ((1, 2), (1,), (2,))
    )
    assert several.curves[0].norms[-1] != several.curves[len(alone[0].curves)].norms[-1]
    told = several.to_json()
    for part in ("curves", "memory"):
        assert told[part] == [row for report in alone for row in report.to_json()[part]]
    assert several.norms("RNN", trained=False).shape == (2, SMALL.distance + 1)


def test_of_several_seeds_the_table_has_a_column_for_each() -> None:
    settings = GradientSettings(distance=20, delays=(5, 10, 20), seeds=(1, 2, 3))
    memory = [
        MemoryResult("RNN", seed, delay, accuracy, 9)
        for seed, delay, accuracy in (
            (1, 5, 1.0), (1, 10, 0.1), (2, 5, 1.0), (2, 10, 1.0), (2, 20, 0.1), (3, 5, 0.1),
        )
    ]  # fmt: skip
    curves = [
        GradientCurve("RNN", seed, delay, factor ** np.arange(21.0))
        for seed, delay, factor in (
            (1, None, 0.5), (2, None, 0.6), (3, None, 0.7), (1, 5, 0.8), (2, 10, 0.9),
        )
    ]  # fmt: skip
    lines = list(gradients_lines(GradientReport(settings, tuple(curves), tuple(memory))))
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].endswith("from distance 2 to 18")
    assert lines[1].split("; ")[1].split() == ["seed", "1", "2", "3"]
    rows = [line.split() for line in lines if line.startswith("  RNN")]
    assert rows == [
        ["RNN", "0.50", "0.60", "0.70"],
        ["RNN", "0.80", "0.90", "-"],
        ["RNN", "5", "10", "-"],
    ]


def test_of_many_seeds_the_table_is_cut_into_pieces_of_80_columns() -> None:
    settings = GradientSettings(delays=(), seeds=tuple(range(1, 13)))
    curves = [GradientCurve("RNN", seed, None, np.full(101, 1.0)) for seed in settings.seeds]
    lines = list(gradients_lines(GradientReport(settings, tuple(curves), ())))
    assert all(len(line) <= 80 for line in lines)
    headings = [line.split()[3:] for line in lines if line.startswith("before training; seed")]
    assert len(headings) > 1
    assert [int(seed) for heading in headings for seed in heading] == [*settings.seeds]
