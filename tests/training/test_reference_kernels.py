"""Training by the equations of `seq2seq.nn.cells`: what the fused kernels come to, or a change."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.training_runs import Recorder, complaint, make_small, with_model, with_training

from seq2seq.config.model_config import Cell
from seq2seq.config.recipe import Recipe
from seq2seq.errors import UsageError
from seq2seq.inspection.activations import gates, places
from seq2seq.inspection.loading import open_model
from seq2seq.model_dir.read import read_config
from seq2seq.nn.cells import (
    BUILT_IN_CELLS,
    Array,
    LSTMStep,
    Weights,
    affine_hidden,
    affine_input,
    blocks,
    sigmoid,
    tanh,
)
from seq2seq.training.exporter import export_run
from seq2seq.training.trainer import train

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def trained(recipe: Recipe, run: Path) -> list[float]:
    """The losses of the steps of a run."""
    display = Recorder()
    train(recipe, run, display)
    return display.losses


@pytest.mark.parametrize("cell", BUILT_IN_CELLS)
def test_both_kernels_have_the_same_losses_over_200_steps(
    cell: Cell, recipe: Recipe, tmp_path: Path
) -> None:
    recipe = with_training(with_model(recipe, cell=cell), epochs=20, validate_every=1000)
    fused = trained(recipe, tmp_path / "fused")
    reference = trained(with_model(recipe, kernels="reference"), tmp_path / "reference")
    assert len(fused) == len(reference) >= 200
    assert fused[0] > fused[-1] + 1
    np.testing.assert_allclose(reference[:200], fused[:200], rtol=0, atol=1e-4)


def without_forget_gate(x: Array, hidden: Array, cell: Array, weights: Weights) -> LSTMStep:
    """`lstm_step` with one line changed."""
    u, f, g, o = blocks(affine_input(x, weights) + affine_hidden(hidden, weights), 4)
    forget, update, output = sigmoid(f), sigmoid(u), sigmoid(o)
    candidate = tanh(g)
    cell = cell + update * candidate
    return LSTMStep(output * tanh(cell), cell, forget, update, output, candidate)


def test_a_change_of_the_equations_changes_training_translation_and_gates(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = with_model(recipe, kernels="reference")
    before = trained(recipe, tmp_path / "before")
    lstm = BUILT_IN_CELLS["lstm"]
    monkeypatch.setitem(BUILT_IN_CELLS, "lstm", replace(lstm, step=without_forget_gate))
    after = trained(recipe, tmp_path / "after")
    assert before[0] != after[0]
    assert np.allclose(trained(with_model(recipe, kernels="fused"), tmp_path / "fused"), before)
    changed = scores(tmp_path / "after"), cells(tmp_path / "after")
    monkeypatch.setitem(BUILT_IN_CELLS, "lstm", lstm)
    assert not np.allclose(changed[0], scores(tmp_path / "after"))
    assert not np.allclose(changed[1], cells(tmp_path / "after"))


def scores(run: Path) -> Array:
    """How likely the translation of a sentence is, to the torch engine."""
    opened = open_model(run)
    [best] = opened.translate([opened.read("ka lo mi", opened.directions[0])])
    return best.log_prob


def cells(run: Path) -> Array:
    """The memory cells (T, H) of the decoder over a sentence."""
    opened = open_model(run)
    wanted = places(opened.network.config, layer="decoder.1", gate="cell")
    [panel] = gates(opened, "ka lo mi", opened.directions[0], wanted).panels
    return panel.values[:1]


def test_a_run_by_the_equations_is_exported_as_any_other(recipe: Recipe, tmp_path: Path) -> None:
    trained(with_model(recipe, kernels="reference"), tmp_path / "run")
    export_run(tmp_path / "run", tmp_path / "m.s2s")
    assert read_config(tmp_path / "m.s2s").model == recipe.model
    assert '"kernels"' not in (tmp_path / "m.s2s" / "config.json").read_text()


def test_changed_equations_are_not_exported_as_what_they_are_not(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = replace(BUILT_IN_CELLS["lstm"], step=without_forget_gate)
    monkeypatch.setitem(BUILT_IN_CELLS, "lstm", changed)
    trained(with_model(recipe, kernels="reference"), tmp_path / "run")
    told = complaint(lambda: export_run(tmp_path / "run", tmp_path / "m.s2s"), UsageError)
    assert "seq2seq/nn/cells.py was changed" in told
    assert not (tmp_path / "m.s2s").exists()
