"""Cells of the user's own: trained, kept, looked at; and never run unless their file is named."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.training_runs import Recorder, assert_same_run, complaint, make_small, with_model
from typer.testing import CliRunner

from seq2seq.cli import main
from seq2seq.config.model_config import ModelConfig
from seq2seq.config.recipe import Recipe
from seq2seq.errors import UsageError
from seq2seq.evaluation.test_sets import open_translator
from seq2seq.inspection.activations import gates, places
from seq2seq.inspection.loading import open_model
from seq2seq.inspection.training_history import read_history
from seq2seq.nn.cell_file import CellFile
from seq2seq.training.exporter import export_run
from seq2seq.training.finetune import PretrainedInit, named_cell
from seq2seq.training.run_dir import RunDir
from seq2seq.training.trainer import train

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "cells"
NAMED_GATES = {
    "minimal_gated_unit.py:MinimalGatedUnit": ("forget",),
    "no_forget_lstm.py:NoForgetLSTM": ("update", "output"),
    "peephole_lstm.py:PeepholeLSTM": ("forget", "update", "output"),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A copy of an example, in the user's folder."""
    return Path(shutil.copy(EXAMPLES / "peephole_lstm.py", tmp_path / "mine.py"))


@pytest.fixture
def own_recipe(recipe: Recipe, file: Path) -> Recipe:
    """A recipe of that cell."""
    return with_model(recipe, cell=f"{file}:PeepholeLSTM")


def cell_of(recipe: Recipe) -> CellFile:
    assert recipe.model.own_cell is not None
    file, name = recipe.model.own_cell
    return CellFile.read(Path(file), name)


@pytest.mark.parametrize("cell", NAMED_GATES)
def test_each_example_learns_and_shows_its_gates(cell: str, recipe: Recipe, tmp_path: Path) -> None:
    recipe = with_model(recipe, cell=f"{EXAMPLES}/{cell}")
    run, display = tmp_path / "run", Recorder()
    train(recipe, run, display, own_cell=cell_of(recipe))
    assert display.losses[-1] < display.losses[0] - 0.5
    assert read_history(run).gate_names.gates == NAMED_GATES[cell]
    opened = open_model(run, RunDir(run).cell_file)
    wanted = places(opened.network.config, "decoder.2", own_cell=opened.network.cell)
    assert tuple(place.gate for place in wanted if place.is_gate) == NAMED_GATES[cell]
    seen = gates(opened, "ka lo mi", opened.directions[0], wanted)
    for panel in seen.panels:
        low = 0 if panel.place.is_gate else -np.inf
        assert (panel.values > low).all()
    translator = open_translator(run, cell=RunDir(run).cell_file)
    assert len([*translator.translate_lines(["ka lo mi", "mi"])]) == 2


def test_the_networks_of_training_and_inspection_agree(own_recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(own_recipe, run, Recorder(), own_cell=cell_of(own_recipe))
    opened = open_model(run, RunDir(run).cell_file)
    model, _, _ = RunDir.open(run).best_model(RunDir(run).cell_file)
    assert model.get_parameter("decoder.layers.0.fused.peephole_forget").abs().sum() > 0
    ids = opened.read("ka lo mi", opened.directions[0])
    with torch.inference_mode():
        memory, _ = model.encode(torch.tensor([ids]), torch.tensor([len(ids)]))
        encoded = torch.from_numpy(opened.network.encode(ids).memory).float()[None]
        expected = model.decoder.attention.remember(encoded, memory.mask)  # type: ignore[union-attr]
    torch.testing.assert_close(memory.keys, expected.keys, rtol=0, atol=1e-5)


def test_a_run_of_an_own_cell_goes_on_as_if_never_stopped(
    own_recipe: Recipe, tmp_path: Path
) -> None:
    cell = cell_of(own_recipe)
    train(own_recipe, tmp_path / "whole", Recorder(), own_cell=cell)
    assert train(own_recipe, tmp_path / "parts", Recorder(7), own_cell=cell).interrupted
    train(own_recipe, tmp_path / "parts", Recorder(), own_cell=cell, resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_run_keeps_the_file_of_its_cell_with_a_digest(
    own_recipe: Recipe, file: Path, tmp_path: Path
) -> None:
    train(own_recipe, tmp_path / "run", Recorder(3), own_cell=cell_of(own_recipe))
    run = RunDir.open(tmp_path / "run")
    assert run.cell_file.read_bytes() == file.read_bytes()
    assert f"{cell_of(own_recipe).digest}  cell.py" in run.sums_file.read_text()


def test_no_code_of_a_run_is_run_unless_its_file_is_named(
    own_recipe: Recipe, file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(own_recipe, run, Recorder(), own_cell=cell_of(own_recipe))
    trap = f"\nopen({str(tmp_path / 'ran')!r}, 'w')\n".encode()
    for path in (file, RunDir(run).cell_file):
        path.write_bytes(path.read_bytes() + trap)
    told = (
        f"{run}: its cell is PeepholeLSTM of {file}, and such code is run only if you name its "
        f"file: read it, and add --cell {run}/cell.py"
    )
    assert complaint(lambda: open_model(run), UsageError) == told
    assert complaint(lambda: open_translator(run), UsageError) == told
    assert complaint(RunDir.open(run).best_model, UsageError) == told
    PretrainedInit.load(str(run))
    for path in (file, RunDir(run).cell_file):  # altered since: not run even where it is named
        assert complaint(partial(open_model, run, path), UsageError).startswith(
            f"{path}: not as it was when {run} was started, by its SHA-256; "
        )
    told = complaint(
        lambda: train(own_recipe, run, Recorder(), own_cell=cell_of(own_recipe), resume=True),
        UsageError,
    )
    assert told.startswith(f"{file}: not as it was when {run} was started")
    assert not (tmp_path / "ran").exists()


def test_a_recipe_does_not_name_code_for_the_user(own_recipe: Recipe, file: Path) -> None:
    cell = own_recipe.model.cell
    path = Path("theirs.toml")
    told = complaint(lambda: named_cell(own_recipe, path, []), UsageError)
    assert told == (
        f"theirs.toml: model.cell is code, {cell}, which is run only if the command names it: read "
        f"it, and add --set model.cell={cell}"
    )
    named = named_cell(own_recipe, path, [f"model.cell={cell}"])
    assert named is not None
    assert (named.path, named.name) == (file, "PeepholeLSTM")


def test_a_model_directory_with_code_for_a_cell_is_refused(
    own_recipe: Recipe, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(own_recipe, run, Recorder(), own_cell=cell_of(own_recipe))
    told = complaint(lambda: export_run(run, tmp_path / "m.s2s"), UsageError)
    assert told == (
        f"{run}: a run with a cell of your own cannot be exported, only lstm, gru and rnn; use the "
        f"run as it is: seq2seq evaluate {run} --cell {run}/cell.py"
    )
    assert not (tmp_path / "m.s2s").exists()


def test_a_built_in_cell_has_no_file(recipe: Recipe, tmp_path: Path, file: Path) -> None:
    train(recipe, tmp_path / "run", Recorder())
    told = complaint(lambda: open_model(tmp_path / "run", file), UsageError)
    assert told == f"{tmp_path / 'run'} has a built-in cell; leave --cell out."


@pytest.mark.parametrize("cell", ["lstn", "mine.py", "mine.py:", "mine.txt:Mine", "mine.py:a b"])
def test_a_name_of_no_cell_is_told(cell: str) -> None:
    told = complaint(lambda: ModelConfig(cell), UsageError)
    assert told == f"'model.cell' is {cell!r}; it can be 'lstm', 'gru', 'rnn', or FILE.py:NAME."


def test_the_commands_take_a_cell(recipe: Recipe, file: Path, tmp_path: Path) -> None:
    [corpus] = recipe.corpus
    path = tmp_path / "recipe.toml"
    path.write_text(
        "[corpus]\nsource_language = 'en'\ntarget_language = 'de'\n"
        f"train = {json.dumps(corpus.train)}\nvalid = {json.dumps(corpus.valid)}\n"
        "[tokenizer]\nvocabulary_size = 385\n[model]\nhidden_size = 16\n"
        "[training]\nepochs = 1\nbatch_tokens = 100\n"
    )
    run = str(tmp_path / "run")
    setting = ["--set", f"model.cell={file}:PeepholeLSTM"]
    runner = CliRunner()
    trained = runner.invoke(main.app, ["train", str(path), "-o", run, *setting])
    assert trained.exit_code == 0, trained.output
    assert f"seq2seq evaluate {run} --cell {file}" in trained.output
    assert "export" not in trained.output
    looked = runner.invoke(
        main.app, ["inspect", "gates", run, "ka lo mi", "--cell", str(file), "--layer", "decoder.1"]
    )
    assert looked.exit_code == 0, looked.output
    assert "dec1, forget" in looked.output
