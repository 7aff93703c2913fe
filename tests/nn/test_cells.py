"""The cells written as equations compute what torch's fused layers compute, gradients included."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from seq2seq.nn.cells import BUILT_IN_CELLS, Array, Weights, gru_step, lstm_step, rnn_step
from seq2seq.nn.recurrent import RecurrentLayer

B, T, X, H = 3, 7, 5, 4
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
FUSED: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
CELLS = list(GATES)

States = list[Array]
"""[hidden], or [hidden, cell] of an LSTM, each (B, H)."""


def make_inputs(cell: str) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Random input (B, T, X), initial states (B, H) and weights, all in float64."""
    torch.manual_seed(1)
    shapes = [(GATES[cell] * H, X), (GATES[cell] * H, H), (GATES[cell] * H,), (GATES[cell] * H,)]
    x = torch.randn(B, T, X, dtype=torch.float64)
    states = [torch.randn(B, H, dtype=torch.float64) for _ in range(2 if cell == "lstm" else 1)]
    return x, states, [torch.randn(shape, dtype=torch.float64) for shape in shapes]


def unroll(cell: str, x: Array, states: Sequence[Array], weights: Weights) -> tuple[Any, States]:
    """The hidden states of all T steps, and the last states."""
    outputs = []
    for t in range(x.shape[1]):
        if cell == "lstm":
            step = lstm_step(x[:, t], states[0], states[1], weights)
            states = [step.hidden, step.cell]
        else:
            one_step: Callable[..., Any] = gru_step if cell == "gru" else rnn_step
            states = [one_step(x[:, t], states[0], weights).hidden]
        outputs.append(states[0])
    return outputs, list(states)


def run_fused(
    cell: str, x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    fused = FUSED[cell](X, H, batch_first=True).double()
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    first = tuple(state.unsqueeze(0) for state in states)
    outputs, last = torch.func.functional_call(
        fused, dict(zip(names, weights, strict=True)), (x, first if cell == "lstm" else first[0])
    )
    parts = last if cell == "lstm" else (last,)
    return outputs, [part.squeeze(0) for part in parts]


@pytest.mark.parametrize("cell", CELLS)
def test_values_and_gradients_equal_the_fused_layer(cell: str) -> None:
    def run(fused: bool) -> list[Tensor]:
        """Outputs and last states, then the gradients of everything that went in."""
        x, states, weights = make_inputs(cell)
        leaves = [tensor.requires_grad_() for tensor in (x, *states, *weights)]
        if fused:
            outputs, last = run_fused(cell, x, states, weights)
        else:
            steps, last = unroll(cell, x, states, Weights(*weights))
            outputs = torch.stack(steps, dim=1)
        # A weighted sum, so that no two outputs have the same gradient.
        results = [outputs, *last]
        torch.manual_seed(2)
        factors = [torch.randn(result.shape, dtype=torch.float64) for result in results]
        return [*results, *torch.autograd.grad(results, leaves, factors)]

    ours, theirs = run(fused=False), run(fused=True)
    assert len(ours) == (3 + 7 if cell == "lstm" else 2 + 6)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_numpy_computes_what_torch_computes(cell: str) -> None:
    x, states, weights = make_inputs(cell)
    outputs, last = unroll(cell, x, states, Weights(*weights))
    arrays = Weights(*(weight.numpy() for weight in weights))
    np_outputs, np_last = unroll(cell, x.numpy(), [state.numpy() for state in states], arrays)
    for ours, theirs in zip([*np_outputs, *np_last], [*outputs, *last], strict=True):
        assert isinstance(ours, np.ndarray)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_single_precision_stays_single(cell: str) -> None:
    x, states, weights = make_inputs(cell)
    arrays = Weights(*(weight.numpy().astype(np.float32) for weight in weights))
    first = [state.numpy().astype(np.float32) for state in states]
    outputs, _ = unroll(cell, x.numpy().astype(np.float32), first, arrays)
    assert {output.dtype for output in outputs} == {np.dtype(np.float32)}


SCALES = st.sampled_from([1e-3, 1.0, 30.0, 1e4])


@given(scale=SCALES, seed=st.integers(0, 99))
def test_gates_lie_between_0_and_1_and_candidates_between_minus_1_and_1(
    scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Array:
        return scale * rng.standard_normal(shape)

    def draw_weights(gates: int) -> Weights:
        return Weights(draw(gates * H, X), draw(gates * H, H), draw(gates * H), draw(gates * H))

    x, hidden, cell = draw(B, X), draw(B, H), draw(B, H)
    lstm = lstm_step(x, hidden, cell, draw_weights(4))
    gru = gru_step(x, np.tanh(hidden), draw_weights(3))
    rnn = rnn_step(x, hidden, draw_weights(1))
    for gate in (lstm.forget, lstm.update, lstm.output, gru.reset, gru.update):
        assert gate.shape == (B, H)
        assert ((gate >= 0) & (gate <= 1)).all()
    for candidate in (lstm.candidate, gru.candidate, lstm.hidden, gru.hidden, rnn.hidden):
        assert candidate.shape == (B, H)
        assert (np.abs(candidate) <= 1).all()


def lstm_with_gates(forget: float, update: float) -> Weights:
    """Weights of an LSTM whose forget and update gates depend on nothing but these biases."""
    rng = np.random.default_rng(1)
    weights = Weights(
        rng.standard_normal((4 * H, X)), rng.standard_normal((4 * H, H)), *np.zeros((2, 4 * H))
    )
    weights.input[: 2 * H] = weights.hidden[: 2 * H] = 0
    weights.input_bias[:H], weights.input_bias[H : 2 * H] = update, forget
    return weights


def test_an_open_forget_gate_carries_the_cell() -> None:
    weights = Weights(*map(torch.from_numpy, lstm_with_gates(forget=50.0, update=-50.0)))
    torch.manual_seed(1)
    first = torch.randn(B, H, dtype=torch.float64, requires_grad=True)
    states = [torch.zeros(B, H, dtype=torch.float64), first]
    x = torch.randn(B, 200, X, dtype=torch.float64)
    _, (_, cell) = unroll("lstm", x, states, weights)
    torch.testing.assert_close(cell, first, rtol=0, atol=1e-9)
    [gradient] = torch.autograd.grad(cell.sum(), first)
    torch.testing.assert_close(gradient, torch.ones_like(gradient), rtol=0, atol=1e-9)


def test_a_closed_forget_gate_clears_the_cell() -> None:
    weights = lstm_with_gates(forget=-50.0, update=-50.0)
    ones = np.ones((B, H))
    step = lstm_step(np.ones((B, X)), ones, ones, weights)
    np.testing.assert_allclose(step.cell, 0, atol=1e-9)
    np.testing.assert_allclose(step.hidden, 0, atol=1e-9)


def test_the_update_gate_of_a_gru_keeps_the_state() -> None:
    weights = Weights(np.zeros((3 * H, X)), np.zeros((3 * H, H)), *np.zeros((2, 3 * H)))
    weights.input_bias[H : 2 * H] = 50.0
    hidden = np.random.default_rng(1).standard_normal((B, H))
    step = gru_step(np.ones((B, X)), hidden, weights)
    np.testing.assert_allclose(step.hidden, hidden, atol=1e-9)
    np.testing.assert_allclose(step.reset, 0.5)


def test_a_built_in_cell_that_torch_has_no_layer_for_trains_by_its_equations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(BUILT_IN_CELLS, "another", BUILT_IN_CELLS["gru"])
    layer = RecurrentLayer("another", X, H)
    outputs, _ = layer(torch.ones(2, 3, X))
    assert outputs.shape == (2, 3, H)
