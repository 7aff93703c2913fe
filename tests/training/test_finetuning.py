"""Runs that start from a model: what they take of it, what they refuse, and how they go on."""

import json
import re
import shutil
import signal
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny
from helpers.training_runs import (
    ROW_STEPS,
    Recorder,
    assert_same_run,
    complaint,
    make_small,
    read_metrics,
    with_corpus,
    with_model,
    with_training,
)
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner, Result

from seq2seq.cli import main
from seq2seq.config.model_config import ModelConfig
from seq2seq.config.recipe import CorpusConfig, Recipe
from seq2seq.errors import UsageError
from seq2seq.model_dir.read import load_model_dir
from seq2seq.tokenizer import PAD_ID, UNK_ID
from seq2seq.training import trainer as trainer_module
from seq2seq.training import validation as validation_module
from seq2seq.training.checkpoint import load_checkpoint
from seq2seq.training.exporter import export_run
from seq2seq.training.finetune import PretrainedInit, load_recipe
from seq2seq.training.run_dir import RunDir
from seq2seq.training.trainer import train
from seq2seq.training.validation import Validation

pytestmark = pytest.mark.slow

MODEL = ModelConfig("gru", hidden_size=16, encoder_layers=1, decoder_layers=2, heads=2)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture
def recipe(recipe: Recipe) -> Recipe:
    """The usual one, of the network that the model has."""
    return replace(with_training(recipe, epochs=2), model=MODEL)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model directory as it mostly is: in 8 bits, with a shortlist."""
    return tiny.export(tiny.network(MODEL), tmp_path / "model.s2s", quantised=True, shortlist=True)


@pytest.fixture
def file(corpus: CorpusConfig, tmp_path: Path) -> Path:
    """A recipe that says nothing about the network."""
    path = tmp_path / "recipe.toml"
    path.write_text(
        f'[corpus]\nsource_language = "en"\ntarget_language = "de"\n'
        f"train = {json.dumps(corpus.train)}\nvalid = {json.dumps(corpus.valid)}\n"
        "[training]\nepochs = 1\nbatch_tokens = 400\nthreads = 1\n"
    )
    return path


def first_weights(run: Path, part: str = "model") -> dict[str, torch.Tensor]:
    """What a run began with."""
    _, tensors = load_checkpoint(run / "checkpoints" / "step-00000000")
    names = [name for name in tensors if name.startswith(f"{part}/")]
    return {name.removeprefix(f"{part}/"): tensors[name] for name in names}


def start_of(model: Path, recipe: Recipe, run: Path) -> PretrainedInit:
    """Train from `model`, keeping all checkpoints."""
    start = PretrainedInit.load(str(model))
    train(with_training(recipe, keep_checkpoints=99), run, Recorder(), init=start)
    return start


def assert_began_with(run: Path, weights: dict[str, torch.Tensor]) -> None:
    for part in ("model", "average"):
        began = first_weights(run, part)
        assert began.keys() == weights.keys()
        assert all(torch.equal(began[name], weight) for name, weight in weights.items())


def test_a_run_starts_from_an_exported_model(recipe: Recipe, tmp_path: Path) -> None:
    network = tiny.network(MODEL)
    folder, run = tiny.export(network, tmp_path / "model.s2s"), tmp_path / "run"
    start_of(folder, recipe, run)
    assert_began_with(run, network.state_dict())  # which fits into 16 bits
    assert (run / "tokenizer.model").read_bytes() == tiny.tokenizer().model
    digest = sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    parent = RunDir.open(run).parent()
    assert parent is not None
    assert (parent.path, parent.sha256) == (str(folder), digest)
    assert RunDir.open(run).recipe() == with_training(recipe, keep_checkpoints=99)


@pytest.mark.parametrize("shortlist", [False, True])
def test_a_run_starts_from_eight_bits(shortlist: bool, recipe: Recipe, tmp_path: Path) -> None:
    network = tiny.network(MODEL)
    folder = tiny.export(network, tmp_path / "model.s2s", quantised=True, shortlist=shortlist)
    start_of(folder, recipe, tmp_path / "run")
    began = first_weights(tmp_path / "run")
    for name, weight in network.state_dict().items():
        ours, theirs = began[name].numpy(), weight.numpy()
        if shortlist and name in ("embedding.weight", "output_bias"):
            np.testing.assert_array_equal(ours[UNK_ID], ours[PAD_ID])
            ours, theirs = (np.delete(one, UNK_ID, axis=0) for one in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=np.abs(theirs).max() / 20)


def test_a_run_starts_from_the_best_weights_of_another(recipe: Recipe, tmp_path: Path) -> None:
    """Also from those that it has while it goes on."""
    first, second = tmp_path / "first", tmp_path / "second"
    steps = len(whole_run(recipe, tmp_path / "whole").losses) // 2 + 1
    assert train(recipe, first, Recorder(interrupt_after=steps)).interrupted
    weights, digest = RunDir.open(first).best_weights()
    start = start_of(first, recipe, second)
    assert start.parent.sha256 == digest
    assert_began_with(second, weights)
    assert (second / "tokenizer.model").read_bytes() == (first / "tokenizer.model").read_bytes()


def whole_run(recipe: Recipe, run: Path, start: PretrainedInit | None = None) -> Recorder:
    display = Recorder()
    train(recipe, run, display, init=start)
    return display


def test_the_model_that_ships_is_a_start() -> None:
    start = PretrainedInit.load("bundled")
    assert start.weights["embedding.weight"].shape == (
        len(start.tokenizer),
        start.model.hidden_size,
    )
    assert start.parent.path == "bundled"


def test_the_start_is_validated_before_the_first_step(
    recipe: Recipe, model: Path, tmp_path: Path
) -> None:
    whole_run(recipe, tmp_path / "run", PretrainedInit.load(str(model)))
    rows = read_metrics(tmp_path / "run")
    assert [row["epoch"] for row in rows if row["kind"] == "valid"] == [0, 1, 2]
    assert (rows[0]["kind"], rows[0]["step"]) == ("valid", 0)


def test_where_training_brings_nothing_the_start_stays_the_best(
    recipe: Recipe, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([30.0, 29.0, 28.0])
    falling = lambda *_: Validation(3.0, {tiny.EN_DE: next(scores)}, {tiny.EN_DE: 9.0})  # noqa: E731
    monkeypatch.setattr(trainer_module, "validate", falling)
    run, start = tmp_path / "run", PretrainedInit.load(str(model))
    assert train(recipe, run, Recorder(), init=start).best_bleu == 30.0
    best, _ = RunDir.open(run).best_weights()
    assert all(torch.equal(best[name], weight) for name, weight in start.weights.items())


# Going on


def test_a_run_from_a_model_goes_on_as_if_nothing_had_happened(
    recipe: Recipe, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before its first step and twice later; the model is no longer there."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    steps = len(whole_run(recipe, whole, PretrainedInit.load(str(model))).losses)
    validate = validation_module.validate

    def stopped(*arguments: Any) -> Validation:
        signal.raise_signal(signal.SIGINT)
        return validate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "validate", stopped)
        assert train(recipe, parts, Recorder(), init=PretrainedInit.load(str(model))).interrupted
    assert not (parts / "metrics.jsonl").exists()
    shutil.rmtree(model)
    for after in (ROW_STEPS - 1, steps // 2):
        display = Recorder(interrupt_after=after)
        assert train(recipe, parts, display, resume=True).interrupted
    assert not train(recipe, parts, Recorder(), resume=True).interrupted
    assert_same_run(parts, whole)


def test_a_run_that_lost_its_first_weights_says_so(
    recipe: Recipe, model: Path, tmp_path: Path
) -> None:
    """Random ones in their place would be another run."""
    run = tmp_path / "run"
    whole_run(recipe, run, PretrainedInit.load(str(model)))
    shutil.rmtree(run / "checkpoints")
    assert complaint(lambda: train(recipe, run, Recorder(), resume=True)) == (
        f"{run}: no checkpoint is left, and the first weights were in one; start another run from "
        f"{model}."
    )


def test_a_recipe_of_a_resumed_run_need_not_tell_the_network(
    file: Path, model: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    recipe, start = load_recipe(file, where=str(model))
    train(recipe, run, Recorder(interrupt_after=1), init=start)
    shutil.rmtree(model)
    for where in (None, str(model)):  # the same command with --resume
        assert load_recipe(file, where=where, resumed=run) == (recipe, None)
    message = complaint(lambda: load_recipe(file, where="other", resumed=run), UsageError)
    assert message.startswith(f"{run} was started from {model}, not from other; ")
    other, _ = load_recipe(file, ["model.cell=rnn"], resumed=run)
    message = complaint(lambda: train(other, run, Recorder(), resume=True), UsageError)
    assert message.startswith(f"{run} was started with model.cell = 'gru', not 'rnn'; ")


def test_a_run_without_a_start_is_resumed_without_one(
    recipe: Recipe, file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(recipe, run, Recorder(interrupt_after=1))
    message = complaint(lambda: load_recipe(file, where="bundled", resumed=run), UsageError)
    assert message.startswith(f"{run} was started without --init-from, not from bundled; ")
    assert load_recipe(file, resumed=run)[0].model == ModelConfig()  # as it says, by default


# The recipe


def test_what_the_recipe_leaves_out_of_the_network_is_as_the_model_has_it(
    file: Path, model: Path
) -> None:
    recipe, start = load_recipe(file, where=str(model))
    assert start is not None
    assert recipe.model == start.model == MODEL
    text = file.read_text()
    file.write_text(f'{text}[model]\ncell = "gru"\nhidden_size = 16\n')
    assert load_recipe(file, where=str(model))[0] == recipe
    file.write_text(f'{text}[model]\ncell = "rnn"\n')
    assert load_recipe(file, ["model.cell=gru"], where=str(model))[0] == recipe
    assert complaint(lambda: load_recipe(file, where=str(model)), UsageError) == (
        f"model.cell is 'rnn', but {model} has 'gru'; leave model.cell out, or train without "
        "--init-from."
    )


def test_the_network_is_that_of_the_model_or_an_error(
    recipe: Recipe, file: Path, model: Path, tmp_path: Path
) -> None:
    message = f"model.hidden_size is 32, but {model} has 16; leave model.hidden_size out, or train "
    message += "without --init-from."
    overrides = ["model.hidden_size=32"]
    assert complaint(lambda: load_recipe(file, overrides, where=str(model)), UsageError) == message
    start, other = PretrainedInit.load(str(model)), with_model(recipe, hidden_size=32)
    attempt = complaint(lambda: train(other, tmp_path / "run", Recorder(), init=start), UsageError)
    assert attempt == message
    assert not (tmp_path / "run").exists()


def test_the_model_has_to_know_the_languages(recipe: Recipe, model: Path) -> None:
    start = PretrainedInit.load(str(model))
    for languages in (
        {"target_language": "fr"},
        {"source_language": "fr"},
        {"source_language": "fr", "both_directions": True},
    ):
        other = with_corpus(recipe, **languages)
        assert complaint(lambda: start.require(other), UsageError) == (  # noqa: B023
            f"{model} does not know the language 'fr', and cannot learn another; it knows en, de."
        )


def test_another_tokenizer_is_refused(recipe: Recipe, model: Path) -> None:
    other = replace(recipe, tokenizer=replace(recipe.tokenizer, path="other.model"))
    assert complaint(lambda: PretrainedInit.load(str(model)).require(other), UsageError) == (
        f"tokenizer.path is 'other.model', but {model} has a tokenizer of its own; leave "
        "tokenizer.path out, or train without --init-from."
    )


# The model


def test_a_model_that_is_no_start(recipe: Recipe, model: Path, tmp_path: Path) -> None:
    none, run = tmp_path / "none", tmp_path / "run"
    assert complaint(lambda: PretrainedInit.load(str(none))).startswith(f"{none}: not there; ")
    assert complaint(lambda: PretrainedInit.load(str(tmp_path))).startswith(
        f"{tmp_path}: not a model directory"
    )
    train(recipe, run, Recorder(interrupt_after=1))
    assert (
        complaint(lambda: PretrainedInit.load(str(run)))
        == f"{run}: the run has no validated model yet."
    )
    whole = (model / "weights.safetensors").read_bytes()
    (model / "weights.safetensors").write_bytes(whole[:-1])
    assert "weights.safetensors: altered" in complaint(lambda: PretrainedInit.load(str(model)))


def test_weights_that_are_no_numbers(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    whole_run(recipe, run)
    weights = load_file(run / "best.safetensors")
    weights["output_bias"] = np.full_like(weights["output_bias"], np.nan)
    (run / "best.safetensors").unlink()
    save_file(weights, run / "best.safetensors")
    assert (
        complaint(lambda: PretrainedInit.load(str(run)))
        == f"{run}: its weights are not all finite."
    )


# What comes of it


def test_the_card_says_what_a_model_was_made_from(
    recipe: Recipe, model: Path, tmp_path: Path
) -> None:
    run, output = tmp_path / "run", tmp_path / "tuned.s2s"
    start = PretrainedInit.load(str(model))
    whole_run(recipe, run, start)
    export_run(run, output, precision="fp32")
    card = (output / "README.md").read_text()
    assert f"- Fine-tuned from: `{model}`" in card
    assert start.parent.sha256 in card
    whole_run(recipe, tmp_path / "other")
    export_run(tmp_path / "other", output, precision="fp32")
    assert "Fine-tuned" not in (output / "README.md").read_text()


def test_a_fine_tuned_model_has_no_shortlist_of_a_small_corpus(
    recipe: Recipe, model: Path, tmp_path: Path
) -> None:
    """It would lose all the words that are not in there."""
    run, output = tmp_path / "run", tmp_path / "tuned.s2s"
    whole_run(recipe, run, PretrainedInit.load(str(model)))
    export_run(run, output)
    assert not (output / "shortlist.safetensors").exists()
    load_model_dir(output)
    export_run(run, output, corpus=str(recipe.corpus[0].train))
    assert (output / "shortlist.safetensors").exists()


def test_the_command_fine_tunes_on_a_memory_without_a_recipe(model: Path, tmp_path: Path) -> None:
    def command(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main.app, ["train", *map(str, arguments)])

    memory, run = tmp_path / "memory.tsv", tmp_path / "run"
    memory.write_text("".join(f"a {n} b\tc {n} d\n" for n in range(400)))
    shorter = "--set", "training.epochs=1"
    done = command("--memory", memory, "-o", run, "--init-from", model, *shorter)
    assert done.exit_code == 0, done.stderr
    assert re.search(
        r"done: best validation BLEU .* \(greedy\), before \d+\.\d\d\. Next:", done.stderr
    )
    recipe = tmp_path / "run.corpus" / "recipe.toml"
    again = command(recipe, "-o", run, "--resume", "--quiet", *shorter)
    assert (again.exit_code, again.stderr) == (0, "")
    wrong: list[list[str | Path]] = [["--memory", memory], [recipe, "--memory", memory], []]
    for arguments in wrong:
        refused = command(*arguments, "-o", tmp_path / "other")
        assert refused.exit_code == 2
        assert "--init-from" in refused.stderr


def test_the_command_fine_tunes(file: Path, model: Path, tmp_path: Path) -> None:
    def command(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main.app, ["train", *map(str, arguments)])

    run = tmp_path / "run"
    done = command(file, "-o", run, "--init-from", model)
    assert done.exit_code == 0, done.stderr
    assert "epoch 0, step 0: validation BLEU" in done.stderr
    assert RunDir.open(run).recipe().model == MODEL
    again = command(file, "-o", run, "--init-from", model, "--resume", "--quiet")
    assert (again.exit_code, again.stderr) == (0, "")
    refused = command(
        file, "-o", tmp_path / "other", "--init-from", model, "--set", "model.heads=4"
    )
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"seq2seq: model.heads is 4, but {model} has 2; ")
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "other").exists()
