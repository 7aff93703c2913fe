"""Runs that are stopped, killed, starved of disk and memory, or come off the rails."""

import dataclasses
import errno
import json
import math
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from helpers.training_runs import (
    ROW_STEPS,
    Recorder,
    assert_same_run,
    checkpoint_names,
    complaint,
    contents,
    interrupted_run,
    make_small,
    newest,
    read_metrics,
    with_model,
    with_training,
)
from safetensors.torch import load_file, save_file
from torch import Tensor
from typer.testing import CliRunner

from seq2seq import files
from seq2seq.cli.main import app
from seq2seq.config.parse import to_table
from seq2seq.config.recipe import AugmentationConfig, Recipe
from seq2seq.corpus import prepare
from seq2seq.corpus.batches import Batch, make_batch
from seq2seq.errors import UsageError
from seq2seq.files import digest
from seq2seq.nn.model import EncoderDecoder
from seq2seq.tokenizer import Tokenizer
from seq2seq.training import optimizer_step as step_module
from seq2seq.training import trainer as trainer_module
from seq2seq.training import training_pairs as pairs_module
from seq2seq.training import validation as validation_module
from seq2seq.training.checkpoint import (
    WriteError,
    last_checkpoint,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from seq2seq.training.optimizer_step import Learner, forward, halves
from seq2seq.training.run_dir import RunDir
from seq2seq.training.state import LossWatch, RunningAverages, TrainState
from seq2seq.training.trainer import Outcome, Trainer, train
from seq2seq.training.training_pairs import ShuffleBuffer, TrainingPairs
from seq2seq.training.validation import Validation

pytestmark = pytest.mark.slow

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def validation_steps(run: Path) -> list[int]:
    return [row["step"] for row in read_metrics(run) if row["kind"] == "valid"]


def resumed(recipe: Recipe, run: Path) -> Recorder:
    """What a run says that is gone on with to its end."""
    display = Recorder()
    assert not train(recipe, run, display, resume=True).interrupted
    return display


# Stopped


def test_several_directions_and_pools_go_on_too(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs_module, "_BUFFER", 1)
    few = tmp_path / "few"
    for language, suffix in (("en", "en"), ("de", "fr")):
        lines = (tmp_path / f"train.{language}").read_text(encoding="utf-8").split("\n")[:20]
        few.with_suffix(f".{suffix}").write_text("\n".join(lines) + "\n", encoding="utf-8")
        valid = (tmp_path / f"valid.{language}").read_text(encoding="utf-8")
        (tmp_path / f"valid.{suffix}").write_text(valid, encoding="utf-8")
    [corpus] = recipe.corpus
    both = replace(corpus, both_directions=True)
    french = replace(both, target_language="fr", train=str(few))
    augmentation = AugmentationConfig(0.2, 0.2, 0.2, 0.2)
    recipe = replace(recipe, corpus=(both, french), augmentation=augmentation)
    recipe = with_training(recipe, temperature=3.0, epochs=2)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(recipe, whole, Recorder())
    stopped_at = []
    for number, steps in enumerate([5, 11, 2, 9]):
        assert train(recipe, parts, Recorder(steps), resume=number > 0).interrupted
        stopped_at.append(load_checkpoint(newest(parts))[0])
    assert any(state.buffer and state.batch for state in stopped_at)
    resumed(recipe, parts)
    assert_same_run(parts, whole)


@pytest.mark.parametrize("when", ["within an epoch", "again and again", "after an epoch"])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    when: str, recipe: Recipe, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    display = Recorder()
    outcome = train(recipe, whole, display)
    assert not outcome.interrupted
    ends = validation_steps(whole)
    assert ends[0] > 8, "the epochs are too short to be interrupted within"
    stops = {
        "within an epoch": [ends[0] + 3],
        "again and again": [1, 2, ends[1], 1],
        "after an epoch": [ends[0]],
    }[when]

    losses = []
    for number, steps in enumerate(stops):
        part = Recorder(interrupt_after=steps)
        assert train(recipe, parts, part, resume=number > 0).interrupted
        losses += part.losses
        assert checkpoint_names(parts)[-1] == f"step-{len(losses):08d}"
    rest = Recorder()
    assert train(recipe, parts, rest, resume=True) == outcome
    assert any(m.startswith(f"resumed at step {sum(stops)}, epoch ") for m in rest.messages)
    assert losses + rest.losses == display.losses
    assert_same_run(parts, whole)


SIGNALS = [s for s in signal.Signals if s.name in ("SIGINT", "SIGTERM", "SIGHUP")]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_saves_and_returns(number: int, recipe: Recipe, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(number)
    outcome = train(recipe, tmp_path / "run", Recorder(interrupt_after=3, number=number))
    assert outcome == Outcome(-1.0, -1.0, stopped_by=number)
    assert outcome.interrupted
    assert checkpoint_names(tmp_path / "run") == ["step-00000000", "step-00000003"]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(number)) == before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has none")
def test_a_signal_that_is_ignored_stays_ignored(recipe: Recipe, tmp_path: Path) -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        display = Recorder(interrupt_after=1, number=signal.SIGHUP)
        outcome = train(with_training(recipe, epochs=1), tmp_path / "run", display)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert not outcome.interrupted


def test_a_signal_at_the_last_step(recipe: Recipe, tmp_path: Path) -> None:
    """What is left is the last validation."""
    recipe = with_training(recipe, epochs=1)
    display = Recorder()
    outcome = train(recipe, tmp_path / "whole", display)
    steps = len(display.losses)
    last = Recorder(interrupt_after=steps)
    assert train(recipe, tmp_path / "run", last).interrupted
    assert not (tmp_path / "run" / "best.safetensors").exists()
    rest = Recorder()
    assert train(recipe, tmp_path / "run", rest, resume=True) == outcome
    assert rest.losses == []
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_a_signal_does_not_wait_for_validation(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take longer than the machine stays."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(recipe, whole, Recorder())
    validate = validation_module.validate
    calls = 0

    def stopped(*arguments: Any) -> Validation:
        nonlocal calls
        calls += 1
        if calls == 2:
            signal.raise_signal(signal.SIGTERM)
        return validate(*arguments)

    monkeypatch.setattr(trainer_module, "validate", stopped)
    outcome = train(recipe, run, Recorder())
    assert outcome.stopped_by == signal.SIGTERM
    assert checkpoint_names(run)[-1] == f"step-{validation_steps(whole)[1]:08d}"
    assert validation_steps(run) == validation_steps(whole)[:1]
    resumed(recipe, run)
    assert calls == 4
    assert_same_run(run, whole)


def test_a_signal_waits_until_all_is_saved(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(recipe, whole, Recorder())
    write_file = files.write_file

    def stopped(path: Path, data: bytes) -> None:
        write_file(path, data)
        if "step-00000000" not in path.parent.name and path.name == "state.json":
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr("seq2seq.training.checkpoint.write_file", stopped)
        assert train(recipe, run, Recorder()).interrupted
    step = validation_steps(whole)[0]
    assert checkpoint_names(run)[-1] == f"step-{step:08d}"
    assert validation_steps(run) == [step]
    resumed(recipe, run)
    assert_same_run(run, whole)


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
@pytest.mark.parametrize("where", ["prepare", "save_checkpoint"])
def test_a_signal_before_there_is_anything_to_save(
    number: int,
    kind: type[BaseException],
    where: str,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer_module, where, lambda *_: signal.raise_signal(number))
    with pytest.raises(kind) as caught:
        train(recipe, tmp_path / "runs" / "mine", Recorder())
    if isinstance(caught.value, SystemExit):
        assert caught.value.code == 143
    assert not (tmp_path / "runs").exists()


def test_a_second_signal_stops_at_once(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(recipe, whole, Recorder())

    class Impatient(Recorder):
        def advance(self, progress: float, loss: float, tokens_per_second: float) -> None:
            super().advance(progress, loss, tokens_per_second)
            if len(self.losses) == 3:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(recipe, run, Impatient(interrupt_after=3))
    assert checkpoint_names(run) == ["step-00000000"]
    resumed(recipe, run)
    assert_same_run(run, whole)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_command_tells_the_shell_which_signal(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = list[int]()

    def stopped(recipe: Recipe, *_: object, **__: object) -> Outcome:
        kept.append(recipe.training.keep_checkpoints)
        return Outcome(1.0, 2.0, stopped_by=number)

    monkeypatch.setattr(trainer_module, "train", stopped)
    path = tmp_path / "recipe.toml"
    path.write_text('[corpus]\nsource_language="en"\ntarget_language="de"\ntrain="t"\nvalid="v"\n')
    result = CliRunner().invoke(app, ["train", str(path), "-o", "run", "--keep", "5"])
    assert result.exit_code == 128 + number
    assert kept == [5]
    assert result.stderr.splitlines() == [
        "stopped; everything is saved. To continue:",
        f"  seq2seq train {path} -o run --set training.keep_checkpoints=5 --resume",
    ]


# Killed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
def test_a_run_can_be_killed_at_any_change_to_its_folder(recipe: Recipe, tmp_path: Path) -> None:
    """At every seventh of them here. From nothing and from a checkpoint, the same comes of it."""
    recipe = with_training(recipe, batch_tokens=400, epochs=1, validate_every=2, checkpoint_every=1)
    script = Path(__file__).parents[1] / "helpers" / "crash_points.py"
    arguments = [json.dumps(to_table(recipe)), str(tmp_path), "1", "7"]
    done = subprocess.run(
        [sys.executable, script, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    from_start, from_first = map(int, done.stdout.split())
    assert from_start > from_first > 20


def test_a_run_without_checkpoints_starts_from_the_beginning(
    recipe: Recipe, tmp_path: Path
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(recipe, whole, Recorder())
    interrupted_run(recipe, stopped, ROW_STEPS + 1)
    shutil.rmtree(stopped / "checkpoints")
    display = resumed(recipe, stopped)
    assert "no checkpoint is left: the run starts from the beginning." in display.messages
    assert_same_run(stopped, whole)


def test_what_a_killed_run_left_half_written_goes(recipe: Recipe, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(recipe, whole, Recorder())
    checkpoint = interrupted_run(recipe, stopped, 5)
    half = stopped / "checkpoints" / ".step-00000009.0123456789abcdef.partial"
    half.mkdir()
    (half / ".tensors.safetensors.0123456789abcdef.partial").write_bytes(b"half")
    (stopped / ".best.safetensors.0123456789abcdef.partial").write_bytes(b"half")
    checkpoint.rename(checkpoint.with_name(f".{checkpoint.name}.0123456789abcdef.old"))
    display = resumed(recipe, stopped)
    assert "resumed at step 5, epoch 1." in display.messages
    assert_same_run(stopped, whole)


def test_rows_after_the_last_checkpoint_are_dropped(recipe: Recipe, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(recipe, whole, Recorder())
    interrupted_run(recipe, killed, 5)
    with (killed / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "step": 6}\n{"half')
    resumed(recipe, killed)
    assert_same_run(killed, whole)


def test_metrics_that_lost_their_end_are_not_filled_up(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted_run(recipe, run, 3 * ROW_STEPS)
    metrics = run / "metrics.jsonl"
    first, *_ = metrics.read_bytes().split(b"\n")
    metrics.write_bytes(first + b"\n")
    resumed(recipe, run)
    steps = [row["step"] for row in read_metrics(run) if row["kind"] == "train"]
    assert steps == [ROW_STEPS, *range(4 * ROW_STEPS, steps[-1] + 1, ROW_STEPS)]


def test_the_best_weights_are_never_those_of_a_validation_to_come(
    recipe: Recipe, tmp_path: Path
) -> None:
    """Where the newest checkpoint is lost, `best.safetensors` goes back with the run."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(recipe, whole, Recorder())
    train(recipe, run, Recorder())
    shutil.rmtree(newest(run))
    at_two = newest(run)
    state, _ = load_checkpoint(at_two)
    later = (run / "best.safetensors").read_bytes()
    assert (at_two / "best.safetensors").read_bytes() != later, "the last one must be the best"
    display = Recorder(interrupt_after=1)
    train(recipe, run, display, resume=True)
    assert (run / "best.safetensors").read_bytes() == (at_two / "best.safetensors").read_bytes()
    assert f"resumed at step {state.step}, epoch 3." in display.messages
    resumed(recipe, run)
    assert_same_run(run, whole)


# Checkpoints


def test_checkpoints_come_back_as_they_were(tmp_path: Path) -> None:
    state = TrainState(
        epoch=1,
        buffer=2,
        batch=5,
        step=34,
        best_bleu=7.125,
        best_chrf=30.25,
        best_nll=0.1,
        averages=RunningAverages(1.5, 0.1, 8, 9, 10),
        loss_watch=LossWatch(0.1, 0.2, 3, 4),
        validation_due=True,
        corpus="c",
        compute="cpu",
    )
    tensors = {"a": torch.randn(2, 3), "b/c": torch.arange(3, dtype=torch.uint8)}
    path = save_checkpoint(tmp_path, state, tensors)
    assert path == tmp_path / "step-00000034"
    loaded, loaded_tensors = load_checkpoint(path)
    assert loaded == state
    assert loaded_tensors.keys() == tensors.keys()
    assert all(torch.equal(loaded_tensors[name], tensors[name]) for name in tensors)

    state.finished = True
    assert save_checkpoint(tmp_path, state, tensors) == path
    assert load_checkpoint(path)[0] == dataclasses.replace(state, finished=True)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_state_with_the_field_names_of_version_0_1_is_read() -> None:
    """As the first release wrote it."""
    table = {
        "epoch": 2, "pool": 1, "batch": 3, "step": 101, "validation_due": False,
        "metrics_bytes": 2218, "best_bleu": 0.5, "best_chrf": 1.5, "best_nll": 4.5,
        "validations_since_best": 0,
        "window": {"loss": 8.5, "nll": 7.5, "tokens": 1883, "padding": 258, "positions": 3978},
        "watch": {"mean": 5.5, "variance": 0.5, "seen": 101, "high": 0},
        "good_step": 100, "rollbacks": 1, "finished": False, "corpus": "6cf0",
        "arithmetic": "cpu, float32, 1 threads",
    }  # fmt: skip
    state = TrainState.from_json(table)
    assert (state.buffer, state.stable_step, state.compute) == (1, 100, "cpu, float32, 1 threads")
    assert state.averages == RunningAverages(8.5, 7.5, 1883, 258, 3978)
    assert state.loss_watch == LossWatch(5.5, 0.5, 101, 0)
    assert TrainState.from_json(state.to_json()) == state


def test_sums_are_those_that_sha256sum_reads(recipe: Recipe, tmp_path: Path) -> None:
    train(with_training(recipe, epochs=1), tmp_path / "run", Recorder())
    checkpoint = newest(tmp_path / "run")
    assert (checkpoint / "SHA256SUMS").read_text().splitlines() == [
        f"{digest((checkpoint / name).read_bytes())}  {name}"
        for name in ("best.safetensors", "state.json", "tensors.safetensors")
    ]


def test_files_have_the_rights_that_files_have(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    train(with_training(recipe, epochs=1), tmp_path / "run", Recorder())
    rights = {stat.S_IMODE(path.stat().st_mode) for path in contents(tmp_path / "run")}
    assert rights == {stat.S_IMODE((tmp_path / "file").stat().st_mode)}


def test_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "none") is None
    for step in (9, 100, 20, 3):
        save_checkpoint(tmp_path, TrainState(step=step), {})
    (tmp_path / "step-finetune").mkdir()
    assert last_checkpoint(tmp_path) == tmp_path / "step-00000100"
    prune_checkpoints(tmp_path, keep=2, stable_step=3)
    names = ["step-00000003", "step-00000020", "step-00000100", "step-finetune"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    prune_checkpoints(tmp_path, keep=5, stable_step=100)
    assert last_checkpoint(tmp_path) == tmp_path / "step-00000100"


@pytest.mark.parametrize("every", [0, 3, 5])
def test_more_checkpoints_change_nothing(every: int, recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path / "whole", Recorder())
    often = with_training(recipe, checkpoint_every=every, keep_checkpoints=99)
    train(often, tmp_path / "often", Recorder())
    steps = [int(name.removeprefix("step-")) for name in checkpoint_names(tmp_path / "often")]
    regular = range(0, steps[-1], every) if every else [0]
    assert steps == sorted({*regular, *validation_steps(tmp_path / "whole")})
    best = [(tmp_path / name / "best.safetensors").read_bytes() for name in ("whole", "often")]
    assert best[0] == best[1]
    last = [newest(tmp_path / name) / "tensors.safetensors" for name in ("whole", "often")]
    assert last[0].read_bytes() == last[1].read_bytes()


def test_how_many_are_kept_may_change(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted_run(recipe, run)
    resumed(with_training(recipe, keep_checkpoints=1), run)
    assert len(checkpoint_names(run)) == 1


def test_a_damaged_checkpoint_is_named(recipe: Recipe, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(recipe, whole, Recorder())
    train(recipe, run, Recorder())
    checkpoint, earlier = newest(run), sorted((run / "checkpoints").iterdir())[-2]

    def resume() -> str:
        return complaint(lambda: train(recipe, run, Recorder(), resume=True))

    advice = (
        f"; remove the folder {checkpoint} and resume once more, to go on from step "
        f"{int(earlier.name[-8:])}."
    )
    for name in ("tensors.safetensors", "state.json", "best.safetensors"):
        file = checkpoint / name
        data = file.read_bytes()
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        for damaged in (b"", data[:100], data[:-1], data + b"\n", bytes(flipped)):
            file.unlink()  # it may be a file of other checkpoints too
            file.write_bytes(damaged)
            assert resume() == (
                f"{file}: damaged: it is not as it was written, by its SHA-256{advice}"
            )
        file.unlink()
        assert resume() == f"{file}: damaged: No such file or directory{advice}"
        file.write_bytes(data)

    sums = checkpoint / "SHA256SUMS"
    text = sums.read_text()
    for broken in ("", text[:20], "x", text.replace("state.json", "state.jsom"), "\xff"):
        sums.write_text(broken, encoding="latin-1")
        assert ": damaged: " in resume()
    sums.write_text(text)
    resumed(recipe, run)

    sums.unlink()
    assert resume() == f"{sums}: damaged: No such file or directory{advice}"
    shutil.rmtree(checkpoint)
    resumed(recipe, run)
    assert_same_run(run, whole)


def test_a_checkpoint_of_another_model_is_named(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    checkpoint = interrupted_run(recipe, run)
    other = interrupted_run(with_model(recipe, hidden_size=8), tmp_path / "other")

    def put(tensors: dict[str, Tensor]) -> str:
        state, _ = load_checkpoint(checkpoint)
        save_checkpoint(checkpoint.parent, state, tensors)
        return complaint(lambda: train(recipe, run, Recorder(), resume=True))

    message = put(load_checkpoint(other)[1])
    assert message.startswith(f"{checkpoint}: the weights do not fit the recipe: size mismatch for")
    message = put({"weights": torch.zeros(3)})
    assert message == f"{checkpoint}: not a checkpoint of a run: 'random'."
    message = put({"random": torch.zeros(3), "what/weights": torch.zeros(3)})
    assert message == f"{checkpoint}: not a checkpoint of a run: 'what'."


def test_a_state_of_another_version_is_named(tmp_path: Path) -> None:
    checkpoint = save_checkpoint(tmp_path, TrainState(), {})
    sums = (checkpoint / "SHA256SUMS").read_text()
    for state in ('{"epochs": 1}', '{"epoch": "one"}', "[1]", "{"):
        old = digest((checkpoint / "state.json").read_bytes())
        (checkpoint / "state.json").write_text(state)
        sums = sums.replace(old, digest(state.encode()))
        (checkpoint / "SHA256SUMS").write_text(sums)
        message = complaint(lambda: load_checkpoint(checkpoint))
        assert message.startswith(f"{checkpoint / 'state.json'}: not a checkpoint's state: ")


def test_checkpoints_without_a_recipe_are_not_taken_for_a_new_run(
    recipe: Recipe, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    interrupted_run(recipe, run)
    (run / "recipe.json").unlink()
    before = contents(run)
    assert "no recipe.json" in complaint(lambda: train(recipe, run, Recorder()), UsageError)
    before.pop(run / "lock")
    assert contents(run) == before


# One trainer a folder


def test_a_second_trainer_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    refused = list[str]()

    class Busy(Recorder):
        def advance(self, progress: float, loss: float, tokens_per_second: float) -> None:
            if not refused:
                for resume in (False, True):
                    second = lambda: train(recipe, run, Recorder(), resume=resume)  # noqa: B023, E731
                    refused.append(complaint(second))

    train(with_training(recipe, epochs=1), run, Busy())
    assert refused == 2 * [
        f"{run}: another training is using this folder; wait until it ends, or choose "
        "another folder with -o."
    ]


def test_two_trainers_do_not_make_a_folder_at_once(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    refused = list[str]()

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(trainer_module, "prepare", prepare)
        refused.append(complaint(lambda: train(recipe, run, Recorder())))
        return prepare(*arguments)

    monkeypatch.setattr(trainer_module, "prepare", meanwhile)
    train(with_training(recipe, epochs=1), run, Recorder())
    assert len(refused) == 1
    assert "another training is using this folder" in refused[0]


def test_a_lock_that_nobody_holds_is_no_lock(recipe: Recipe, tmp_path: Path) -> None:
    """The kernel let go of it when its process was killed."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "lock").write_text("")
    train(with_training(recipe, epochs=1), run, Recorder())


def test_a_model_larger_than_the_memory_is_refused_before_it_is_made(
    recipe: Recipe, tmp_path: Path
) -> None:
    huge = with_model(recipe, hidden_size=1 << 16, heads=2, encoder_layers=64)
    message = complaint(lambda: train(huge, tmp_path / "run", Recorder()), UsageError)
    assert re.fullmatch(
        r"the model has [\d,]+ parameters and takes [\d,]+ GB to train, but this machine has "
        r"[\d,]+ GB; lower model.hidden_size, the layers or tokenizer.vocabulary_size.",
        message,
    )
    assert not (tmp_path / "run").exists()


# What a run reads back


def flip_bit(path: Path, place: int) -> None:
    """Another byte at `place`, as a disk may return it."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.fixture
def finished(recipe: Recipe, tmp_path: Path) -> Path:
    """A run of one epoch."""
    run = tmp_path / "run"
    train(with_training(recipe, epochs=1), run, Recorder())
    return run


def test_best_weights_with_a_wrong_bit_are_refused_until_a_resumed_run_brings_them_back(
    finished: Path, recipe: Recipe
) -> None:
    best = finished / "best.safetensors"
    before = best.read_bytes()
    for place in (-1, len(before) // 2, 100, 3):
        flip_bit(best, place)
        message = complaint(lambda: RunDir(finished).best_model())
        assert message.startswith(f"{best}: damaged: ")
        assert message.endswith("(--resume), which brings it back from its last checkpoint.")
        train(with_training(recipe, epochs=1), finished, Recorder(), resume=True)
        assert best.read_bytes() == before


def test_a_run_does_not_go_on_with_another_tokenizer_or_recipe(
    finished: Path, recipe: Recipe
) -> None:
    for name in ("tokenizer.model", "recipe.json"):
        file = finished / name
        before = file.read_bytes()
        flip_bit(file, len(before) // 2)
        expected = f"{file}: altered: it is not the file that the run began with, by SHA256SUMS"
        resume = lambda: train(with_training(recipe, epochs=1), finished, Recorder(), resume=True)  # noqa: E731
        assert complaint(resume).startswith(expected)
        assert complaint(lambda: RunDir(finished).best_model()).startswith(expected)
        file.write_bytes(before)


def test_a_run_from_before_there_were_digests_is_read(finished: Path) -> None:
    (finished / "SHA256SUMS").unlink()
    save_file(load_file(finished / "best.safetensors"), finished / "best.safetensors")
    RunDir(finished).best_model()


def test_checkpoints_share_no_bytes(finished: Path) -> None:
    files = [*finished.rglob("best.safetensors")]
    assert len(files) > 1
    assert all(file.stat().st_nlink == 1 for file in files)


@pytest.mark.parametrize("name", ["tokenizer.model", "metrics.jsonl", "best.safetensors", "lock"])
def test_a_new_run_does_not_write_over_what_is_not_its_own(
    name: str, recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("dear")
    message = complaint(lambda: train(recipe, tmp_path, Recorder()), UsageError)
    assert message == f"{tmp_path / name} is in the way; choose another folder with -o."
    assert (tmp_path / name).read_text() == "dear"


# A full disk


def fill_disk(monkeypatch: pytest.MonkeyPatch, when: Callable[[Path], bool]) -> None:
    """From the first file on that `when` says, half of it is written and no more."""
    replacing_file, open_file = files.replacing_file, Path.open
    full = False

    def is_full(path: Path) -> bool:
        nonlocal full
        full = full or when(path)
        return full

    @contextmanager
    def replacing(path: Path) -> Iterator[BinaryIO]:
        with replacing_file(path) as file:
            yield file
            if is_full(path):
                file.truncate(file.tell() // 2)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open_(path: Path, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        file = open_file(path, mode, *arguments, **named)
        if mode == "ab" and is_full(path):
            file.write(b'{"half')
            file.close()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return file

    monkeypatch.setattr(files, "replacing_file", replacing)
    monkeypatch.setattr(Path, "open", open_)


@pytest.mark.parametrize(
    "name",
    ["tensors.safetensors", "state.json", "SHA256SUMS", "best.safetensors", "metrics.jsonl"],
)
def test_a_full_disk_leaves_the_last_checkpoint(
    name: str, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = with_training(recipe, checkpoint_every=5)
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(recipe, whole, Recorder())
    with monkeypatch.context() as patch:
        fill_disk(
            patch,
            lambda path: path.name == name and (run / "checkpoints" / "step-00000005").exists(),
        )
        message = complaint(lambda: train(recipe, run, Recorder()))
    last = newest(run)
    load_checkpoint(last)
    assert message.endswith(
        f": cannot be written: No space left on device. Everything is saved up to step "
        f"{int(last.name[-8:])}. Make room, and continue with --resume."
    )
    assert str(run) in message
    assert not list(run.rglob("*.partial"))
    if (run / "metrics.jsonl").exists():
        read_metrics(run)
    resumed(recipe, run)
    assert_same_run(run, whole)


@pytest.mark.parametrize("name", ["tokenizer.model", "recipe.json", "tensors.safetensors"])
def test_a_disk_that_is_full_from_the_start(
    name: str, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "runs" / "mine"
    with monkeypatch.context() as patch:
        fill_disk(patch, lambda path: path.name == name)
        message = complaint(lambda: train(recipe, run, Recorder()), WriteError)
    assert message.endswith(": cannot be written: No space left on device.")
    assert not run.parent.exists()
    train(with_training(recipe, epochs=1), run, Recorder())


def test_a_disk_without_links(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe, tmp_path / "whole", Recorder())

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    train(recipe, tmp_path / "run", Recorder())
    assert_same_run(tmp_path / "run", tmp_path / "whole")


# Off the rails


def poison(
    monkeypatch: pytest.MonkeyPatch, step: int, times: int, change: Callable[[Tensor], Tensor]
) -> None:
    """Weights become useless before `step`, until the run has gone back `times` times."""
    go = Trainer._step

    def poisoned(trainer: Trainer, buffer: ShuffleBuffer, numbers: range) -> None:
        state = trainer.state
        if state.step + 1 == step and state.rollbacks < times:
            bias = trainer.learner.model.output_bias.data
            bias.copy_(change(bias))
        go(trainer, buffer, numbers)

    monkeypatch.setattr(Trainer, "_step", poisoned)


def to_nan(weights: Tensor) -> Tensor:
    return weights * math.nan


def to_nonsense(weights: Tensor) -> Tensor:
    return torch.linspace(-300, 300, len(weights))


@pytest.mark.parametrize("change", [to_nan, to_nonsense])
def test_an_unstable_run_goes_back(
    change: Callable[[Tensor], Tensor],
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = with_training(recipe, checkpoint_every=5, warmup_steps=0)
    plain = Recorder()
    train(recipe, tmp_path / "plain", plain)
    poison(monkeypatch, step=8, times=2, change=change)
    run, display = tmp_path / "run", Recorder()
    assert not train(recipe, run, display).interrupted

    [first, second] = [row for row in read_metrics(run) if row["kind"] == "rollback"]
    assert [(row["step"], row["failed_step"]) for row in (first, second)] == [(5, 8), (5, 8)]
    assert [row["rate_factor"] for row in (first, second)] == [0.5, 0.25]
    said = [message for message in display.messages if "rolled back to step 5" in message]
    lines = f"({tmp_path / 'train'}, line"
    assert all(message.startswith("step 8: the loss of a token is ") for message in said)
    assert all(lines in message for message in said)
    assert said[1].endswith(
        ": rolled back to step 5; training continues with half the learning rate (rollback 2 of at "
        "most 3)."
    )
    # Nothing is left out, and the rate is a quarter from step 5 on.
    assert display.losses[:7] == plain.losses[:7]
    assert len(display.losses) == len(plain.losses) + 4
    rates = [
        {row["step"]: row["learning_rate"] for row in read_metrics(path) if row["kind"] == "train"}
        for path in (tmp_path / "plain", run)
    ]
    assert rates[0].keys() == rates[1].keys()
    for step, rate in rates[0].items():
        assert rates[1][step] == pytest.approx(rate if step <= 5 else rate / 4)


@pytest.mark.parametrize("keep", [1, 2])
@pytest.mark.parametrize("stops", [[6], [7, 1], [3, 3, 3, 3]])
def test_a_run_that_goes_back_goes_back_to_the_same_place_after_a_stop(
    stops: list[int],
    keep: int,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = with_training(recipe, epochs=1, checkpoint_every=5, keep_checkpoints=keep)
    poison(monkeypatch, step=8, times=2, change=to_nan)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(recipe, whole, Recorder())
    for number, steps in enumerate(stops):
        train(recipe, parts, Recorder(interrupt_after=steps), resume=number > 0)
    resumed(recipe, parts)
    assert_same_run(parts, whole)


def test_a_run_goes_back_to_its_start(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, step=3, times=1, change=to_nan)
    display = Recorder()
    train(recipe, tmp_path / "run", display)
    assert any("rolled back to step 0" in message for message in display.messages)
    assert display.losses[0] == display.losses[2]


def test_a_run_goes_back_three_times(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = with_training(recipe, checkpoint_every=5)
    run = tmp_path / "run"
    poison(monkeypatch, step=8, times=99, change=to_nan)
    for resume in (False, True):
        message = complaint(lambda: train(recipe, run, Recorder(), resume=resume))  # noqa: B023
        assert message.startswith("step 8: the loss of a token is nan and its gradient nan, on ")
        assert message.endswith(
            ", and the run has been rolled back 3 times. Everything is saved up to step 5. Start "
            "another run with a lower training.learning_rate."
        )
        load_checkpoint(newest(run))
    assert checkpoint_names(run)[-1] == "step-00000005"


def test_lines_are_those_of_the_file(recipe: Recipe, tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Also where pairs above them were dropped."""
    for language in ("en", "de"):
        path = tmp_path / f"train.{language}"
        path.write_text("\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    pairs = TrainingPairs(prepare(recipe.corpus).train, tokenizer, recipe)
    name = tmp_path / "train"
    assert pairs.describe([4]) == f"1 pair ({name}, line 6)"
    assert pairs.describe([4, 0]) == f"2 pairs ({name}, lines 2, 6)"
    first_ten = ", ".join(map(str, range(2, 12)))
    assert pairs.describe(range(12)) == f"12 pairs ({name}, lines {first_ten} ...)"


def test_weights_that_are_not_numbers_are_not_saved(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = with_training(recipe, checkpoint_every=5)
    run = tmp_path / "run"
    learn, times = Learner.train_step, iter([True, False])

    def poisoned(learner: Learner, batch: Batch, rate: float, step: int, *settings: Any) -> Any:
        learnt = learn(learner, batch, rate, step, *settings)
        if step == 9 and next(times):
            learner.model.output_bias.data.fill_(math.inf)
        return learnt

    monkeypatch.setattr(Learner, "train_step", poisoned)
    display = Recorder()
    train(recipe, run, display)
    assert any(
        message.startswith("step 10: the weights are not finite: rolled back to step 5; ")
        for message in display.messages
    )


def losses(number: int, seed: int, start: float, end: float, spread: float) -> list[float]:
    draw = random.Random(seed)
    return [
        end + (start - end) * math.exp(-4 * i / number) + draw.gauss(0, spread)
        for i in range(number)
    ]


@pytest.mark.parametrize("spread", [0.05, 0.4, 1.0])
def test_no_false_alarm(spread: float) -> None:
    """Loss falls, as it does, and every tenth batch is garbage to the model."""
    watch = LossWatch()
    for number, loss in enumerate(losses(20_000, 1, 9.0, 1.5, spread)):
        assert not watch.explodes(max(0.0, loss) + 8 * (number % 10 == 0), 8000)


@pytest.mark.parametrize("rise", [1.5, 4.0])
def test_a_loss_that_rises_and_stays_is_an_explosion(rise: float) -> None:
    watch = LossWatch()
    for loss in losses(2_000, 1, 9.0, 2.0, 0.2):
        assert not watch.explodes(loss, 8000)
    assert [watch.explodes(2.0 + rise, 8000) for _ in range(10)] == 9 * [False] + [True]


def test_a_loss_far_above_blind_guessing_is_an_explosion() -> None:
    assert LossWatch().explodes(30.0, 8000)
    assert not LossWatch().explodes(20.0, 8000)


def test_a_rate_that_is_much_too_high_ends_the_run(recipe: Recipe, tmp_path: Path) -> None:
    recipe = with_training(recipe, epochs=9, learning_rate=30.0, warmup_steps=0)
    message = complaint(lambda: train(recipe, tmp_path / "run", Recorder()))
    assert "rolled back 3 times" in message


# Out of memory


def test_halves_of_a_batch() -> None:
    sources, targets = [[9, 5, 6], [9, 8], [9, 7, 7, 7]], [[4], [5, 6, 7, 8], []]
    first, second = halves(make_batch([3, 1, 4], sources, targets))
    for half, lines, pairs in ((first, [3, 1], slice(2)), (second, [4], slice(2, 3))):
        alone = make_batch(lines, sources[pairs], targets[pairs])
        for field in dataclasses.fields(Batch):
            assert np.array_equal(getattr(half, field.name), getattr(alone, field.name))


def starve(monkeypatch: pytest.MonkeyPatch, positions: int) -> None:
    """As a GPU that holds batches of so many positions, and runs out in backward too."""
    turns = iter(range(10**6))

    def hungry(model: EncoderDecoder, batch: Batch) -> tuple[Tensor, Tensor]:
        readout, targets = forward(model, batch)
        if batch.src.size + batch.tgt_out.size > positions:
            if next(turns) % 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            readout.register_hook(fail)  # type: ignore[no-untyped-call]
        return readout, targets

    def fail(_: Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(step_module, "forward", hungry)


def still(recipe: Recipe) -> Recipe:
    """Without dropout, which differs in a batch that is learnt in parts."""
    return with_training(recipe, dropout=0.0, word_dropout=0.0, epochs=1)


def test_a_batch_is_split_where_memory_does_not_suffice(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, display = Recorder(), Recorder()
    train(still(recipe), tmp_path / "plain", plain)
    starve(monkeypatch, 60)
    train(still(recipe), tmp_path / "run", display)
    assert display.losses == pytest.approx(plain.losses, rel=1e-4)
    weights = [load_file(tmp_path / name / "best.safetensors") for name in ("plain", "run")]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-3, atol=1e-5)
    rows = [row for row in read_metrics(tmp_path / "run") if row["kind"] == "split"]
    assert rows
    assert all(row["parts"] > 1 and not row["left_out"] for row in rows)
    [said] = [message for message in display.messages if "memory" in message]
    assert f"a batch of {rows[0]['pairs']} pairs does not fit" in said
    assert f"accumulated over {rows[0]['parts']} parts" in said


def test_a_pair_that_is_too_large_alone_is_left_out(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starve(monkeypatch, 20)
    display = Recorder()
    train(still(recipe), tmp_path / "run", display)
    rows = [row for row in read_metrics(tmp_path / "run") if row["kind"] == "split"]
    left_out = [row for row in rows if row["left_out"]]
    assert left_out
    assert f" ({tmp_path / 'train'}, line" in left_out[0]["left_out"]
    assert any(left_out[0]["left_out"] in message for message in display.messages)
    assert all(map(math.isfinite, display.losses))


def test_no_memory_at_all(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ):

        def hungry(*_: object, error: RuntimeError = error) -> Validation:
            raise error

        monkeypatch.setattr(trainer_module, "validate", hungry)
        run = tmp_path / type(error).__name__
        assert complaint(lambda run=run: train(recipe, run, Recorder())) == (  # type: ignore[misc]
            "the memory does not suffice. Everything is saved up to step 0. Start another run with "
            "a lower training.batch_tokens or model.hidden_size."
        )
