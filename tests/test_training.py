"""Training runs: what they leave behind, and that a resumed run is the run that was stopped."""

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from seq2seq.batching import Batch
from seq2seq.config import Attention, Cell, Recipe, TokenizerConfig, to_table
from seq2seq.corpus import ParallelText, prepare
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.evaluation import open_translator
from seq2seq.tokenizer import Tokenizer
from seq2seq.training import checkpoint as checkpoint_module
from seq2seq.training import trainer as trainer_module
from seq2seq.training.checkpoint import (
    Position,
    last_checkpoint,
    load_checkpoint,
    load_tensors,
    prune_checkpoints,
    save_checkpoint,
    save_tensors,
)
from seq2seq.training.display import Display, open_display
from seq2seq.training.loss import smoothed_cross_entropy
from seq2seq.training.pairs import TrainingPairs, encode_pairs
from seq2seq.training.run import RunFolder
from seq2seq.training.schedule import learning_rate
from seq2seq.training.step import uses_bfloat16
from seq2seq.training.trainer import Outcome, Trainer, train
from seq2seq.training.validation import Validation

ROW_STEPS = 4
CLOCK_FIELDS = ("time", "seconds", "tokens_per_second")

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

Metrics = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def _small_and_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte-for-byte promises are those of a CPU; a row every few steps for runs this short."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(trainer_module, "_ROW_STEPS", ROW_STEPS)


class Recorder(Display):
    """Keeps what it is told, and presses Ctrl-C after a number of steps."""

    def __init__(self, interrupt_after: int = 0, number: int = signal.SIGINT) -> None:
        super().__init__(Console(quiet=True), None, quiet=True)
        self.messages: list[str] = []
        self.losses: list[float] = []
        self._interrupt_after = interrupt_after
        self._number = number

    def say(self, message: str) -> None:
        self.messages.append(message)

    def advance(self, loss: float, tokens_per_second: float) -> None:
        self.losses.append(loss)
        if len(self.losses) == self._interrupt_after:
            signal.raise_signal(self._number)


def with_training(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, training=replace(recipe.training, **changes))


def with_model(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, model=replace(recipe.model, **changes))


def read_metrics(run: Path) -> Metrics:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().split("\n")[:-1]]


def without_clock(rows: Metrics) -> Metrics:
    return [{key: value for key, value in row.items() if key not in CLOCK_FIELDS} for row in rows]


def wait_for_checkpoint(run: Path, process: subprocess.Popen[Any]) -> None:
    while last_checkpoint(run / "checkpoints") is None and process.poll() is None:
        time.sleep(0.01)


def checkpoint_names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def assert_same_run(run: Path, other: Path) -> None:
    """The same weights, averages, moments, random numbers, position and metrics, to the bit."""
    # An interruption leaves a checkpoint more, in place of an older one.
    assert checkpoint_names(run)[-1] == checkpoint_names(other)[-1]
    for name in set(checkpoint_names(run)) & set(checkpoint_names(other)):
        ours, theirs = run / "checkpoints" / name, other / "checkpoints" / name
        file = "tensors.safetensors"
        assert (ours / file).read_bytes() == (theirs / file).read_bytes()
        # The rows of metrics.jsonl hold clock times, so their length may differ.
        positions = [load_checkpoint(path)[0] for path in (ours, theirs)]
        assert replace(positions[0], metrics_bytes=0) == replace(positions[1], metrics_bytes=0)
    assert (run / "best.safetensors").read_bytes() == (other / "best.safetensors").read_bytes()
    assert (run / "tokenizer.model").read_bytes() == (other / "tokenizer.model").read_bytes()
    assert without_clock(read_metrics(run)) == without_clock(read_metrics(other))


@pytest.fixture
def text(recipe: Recipe) -> ParallelText:
    return prepare(recipe.corpus).train


def test_every_pair_is_trained_on_once_an_epoch(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: dict[int, list[int]] = {}
    step = Trainer._step

    def watch(trainer: Trainer, batch: Batch, progress: float) -> tuple[float, float, float]:
        lines.setdefault(trainer.position.epoch, []).extend(batch.lines.tolist())
        return step(trainer, batch, progress)

    monkeypatch.setattr(Trainer, "_step", watch)
    train(recipe, tmp_path / "run", Recorder(interrupt_after=5))
    train(recipe, tmp_path / "run", Recorder(interrupt_after=9), resume=True)
    train(recipe, tmp_path / "run", Recorder(), resume=True)
    assert list(lines) == [0, 1, 2]
    for epoch in lines.values():
        assert sorted(epoch) == list(range(80))
    assert lines[0] != lines[1]


def test_the_average_follows_the_weights(recipe: Recipe, tmp_path: Path) -> None:
    recipe = with_training(recipe, epochs=1, validate_every=1, keep_checkpoints=99, ema_decay=0.3)
    train(recipe, tmp_path / "run", Recorder())
    weights, averages = [], []
    for name in checkpoint_names(tmp_path / "run"):
        _, tensors = load_checkpoint(tmp_path / "run" / "checkpoints" / name)
        weights.append(tensors["model/embedding.weight"])
        averages.append(tensors["average/embedding.weight"])
    for step in range(1, len(weights)):
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * averages[step - 1] + (1 - decay) * weights[step]
        torch.testing.assert_close(averages[step], expected, rtol=1e-5, atol=1e-6)


def test_each_epoch_draws_its_own_subwords(text: ParallelText, tokenizer: Tokenizer) -> None:
    pairs = TrainingPairs(text, tokenizer, "de", max_length=1000)
    plain = encode_pairs(text, tokenizer, "de")
    config = TokenizerConfig(sampling=0.1)
    drawn = pairs.sample(config, seed=1, epoch=0)
    assert drawn == pairs.sample(config, seed=1, epoch=0)
    for other in (
        pairs.sample(config, seed=1, epoch=1),
        pairs.sample(config, seed=2, epoch=0),
        plain,
    ):
        assert drawn.sources != other.sources
        assert drawn.targets != other.targets
        assert {ids[0] for ids in other.sources} == {tokenizer.language_id("de")}
        assert [tokenizer.decode(ids) for ids in other.sources] == text.source
        assert [tokenizer.decode(ids) for ids in other.targets] == text.target
    # The two sides are equal here, and are drawn independently.
    assert [ids[1:] for ids in drawn.sources] != drawn.targets
    assert pairs.sample(TokenizerConfig(), seed=1, epoch=0) == plain


def test_pairs_within_a_length(text: ParallelText, tokenizer: Tokenizer) -> None:
    encoded = encode_pairs(text, tokenizer, "de")
    sizes = [max(len(s), len(t) + 1) for s, t in zip(encoded.sources, encoded.targets, strict=True)]
    limit = sorted(sizes)[len(sizes) // 2]
    pairs = TrainingPairs(text, tokenizer, "de", limit)
    kept = [i for i, size in enumerate(sizes) if size <= limit]
    for config in (TokenizerConfig(), TokenizerConfig(sampling=0.1)):
        drawn = pairs.sample(config, seed=1, epoch=0)
        assert [tokenizer.decode(ids) for ids in drawn.sources] == [text.source[i] for i in kept]
        assert [tokenizer.decode(ids) for ids in drawn.targets] == [text.target[i] for i in kept]
    assert len(pairs) == len(kept)
    assert pairs.left_out == len(text) - len(kept) > 0


def test_what_a_run_leaves_behind(recipe: Recipe, tmp_path: Path) -> None:
    run, display = tmp_path / "runs" / "mine", Recorder()
    outcome = train(recipe, run, display)
    assert {path.name for path in run.iterdir()} == {
        "best.safetensors",
        "checkpoints",
        "metrics.jsonl",
        "recipe.json",
        "tokenizer.model",
    }
    rows = read_metrics(run)
    steps = len(display.losses)
    assert [row["step"] for row in rows if row["kind"] == "train"] == [
        *range(ROW_STEPS, steps + 1, ROW_STEPS)
    ]
    validations = [row for row in rows if row["kind"] == "valid"]
    assert [row["epoch"] for row in validations] == [1, 2, 3]
    assert validations[-1]["step"] == steps
    for row in rows:
        assert all(math.isfinite(value) for key, value in row.items() if key != "kind")
    assert outcome == Outcome(max(row["bleu"] for row in validations), interrupted=False)
    assert RunFolder.open(run).recipe() == recipe

    [last] = checkpoint_names(run)[-1:]
    assert last == f"step-{steps:08d}"
    assert len(checkpoint_names(run)) == recipe.training.keep_checkpoints
    position, _ = load_checkpoint(run / "checkpoints" / last)
    assert (position.epoch, position.batch, position.step) == (3, 0, steps)
    assert position.finished
    assert position.metrics_bytes == (run / "metrics.jsonl").stat().st_size


def test_rows_add_up(recipe: Recipe, tmp_path: Path) -> None:
    display = Recorder()
    train(recipe, tmp_path / "run", display)
    rows = [row for row in read_metrics(tmp_path / "run") if row["kind"] == "train"]
    window = display.losses[:ROW_STEPS]
    assert min(window) <= rows[0]["loss"] <= max(window)
    for row in rows:
        assert row["nll"] == pytest.approx(row["loss"], rel=0.1)
        assert 0 <= row["padding_share"] < 1
        assert row["gradient_norm"] > 0
        assert 0 < row["learning_rate"] <= recipe.training.learning_rate


def test_the_best_model_is_the_average_that_validated_best(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(with_training(recipe, keep_checkpoints=9), run, Recorder())
    rows = [row for row in read_metrics(run) if row["kind"] == "valid"]
    best = max(rows, key=lambda row: (round(row["bleu"], 2), -row["nll"]))
    _, tensors = load_checkpoint(run / "checkpoints" / f"step-{best['step']:08d}")
    model, tokenizer, _ = RunFolder.open(run).best_model()
    assert not model.training
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, tensors[f"average/{name}"])
    assert not torch.equal(tensors["average/output_bias"], tensors["model/output_bias"])
    assert len(tokenizer) == recipe.tokenizer.vocabulary_size


def test_a_copy_task_is_learned(recipe: Recipe, tmp_path: Path) -> None:
    recipe = with_training(
        recipe, epochs=10, learning_rate=0.01, dropout=0.0, word_dropout=0.0, ema_decay=0.9
    )
    recipe = replace(recipe, tokenizer=replace(recipe.tokenizer, sampling=0.0))
    display = Recorder()
    train(with_model(recipe, hidden_size=32), tmp_path / "run", display)
    first, last = display.losses[:10], display.losses[-10:]
    assert sum(last) < 0.7 * sum(first)
    perplexities = [
        row["perplexity"] for row in read_metrics(tmp_path / "run") if row["kind"] == "valid"
    ]
    assert perplexities[-1] < 0.7 * perplexities[0]


KINDS: list[tuple[Cell, Attention]] = [
    ("lstm", "none"),
    ("gru", "multihead"),
    ("gru", "none"),
    ("rnn", "multihead"),
    ("rnn", "none"),
]


@pytest.mark.parametrize(("cell", "attention"), KINDS)
def test_every_cell_trains(
    cell: Cell, attention: Attention, recipe: Recipe, tmp_path: Path
) -> None:
    recipe = with_training(recipe, epochs=5, learning_rate=0.01, dropout=0.0, word_dropout=0.0)
    display = Recorder()
    train(with_model(recipe, cell=cell, attention=attention), tmp_path / "run", display)
    assert sum(display.losses[-5:]) < 0.9 * sum(display.losses[:5])


@pytest.mark.parametrize("when", ["within an epoch", "again and again", "after an epoch"])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    when: str, recipe: Recipe, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    display = Recorder()
    outcome = train(recipe, whole, display)
    assert not outcome.interrupted
    ends = [row["step"] for row in read_metrics(whole) if row["kind"] == "valid"]
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_returns(number: int, recipe: Recipe, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    outcome = train(recipe, tmp_path / "run", Recorder(interrupt_after=3, number=number))
    assert outcome == Outcome(-1.0, interrupted=True)
    assert checkpoint_names(tmp_path / "run") == ["step-00000003"]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_at_the_last_step_interrupts_nothing(recipe: Recipe, tmp_path: Path) -> None:
    recipe = with_training(recipe, epochs=1)
    display = Recorder()
    outcome = train(recipe, tmp_path / "whole", display)
    last = Recorder(interrupt_after=len(display.losses))
    assert train(recipe, tmp_path / "run", last) == outcome
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_a_killed_run_goes_on_as_if_nothing_had_happened(recipe: Recipe, tmp_path: Path) -> None:
    """The draws of subwords included, which come from another process here."""
    recipe = with_training(recipe, epochs=6, validate_every=3)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(recipe, whole, Recorder())
    script = (
        "import sys, json, torch\n"
        "from pathlib import Path\n"
        "from seq2seq.config import Recipe, from_table\n"
        "from seq2seq.training import trainer\n"
        "from seq2seq.training.display import open_display\n"
        "torch.cuda.is_available = lambda: False\n"
        f"trainer._ROW_STEPS = {ROW_STEPS}\n"
        "recipe = from_table(Recipe, json.loads(sys.argv[1]))\n"
        "with open_display() as display:\n"
        "    trainer.train(recipe, Path(sys.argv[2]), display)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, json.dumps(to_table(recipe)), killed],
        env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
    )
    wait_for_checkpoint(killed, process)
    process.kill()
    assert process.wait() in (0, -signal.SIGKILL)
    train(recipe, killed, Recorder(), resume=True)
    assert_same_run(killed, whole)


def test_a_run_that_was_stopped_before_its_first_checkpoint(recipe: Recipe, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(recipe, whole, Recorder())
    train(recipe, stopped, Recorder(interrupt_after=ROW_STEPS + 1))
    shutil.rmtree(stopped / "checkpoints")
    display = Recorder()
    train(recipe, stopped, display, resume=True)
    assert "no checkpoint yet: the run starts from the beginning." in display.messages
    assert_same_run(stopped, whole)


def test_half_written_checkpoints_are_passed_over(recipe: Recipe, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(recipe, whole, Recorder())
    train(recipe, stopped, Recorder(interrupt_after=5))
    half = stopped / "checkpoints" / "step-00000009.partial"
    half.mkdir()
    (half / "tensors.safetensors.partial").write_bytes(b"half")
    train(recipe, stopped, Recorder(), resume=True)
    assert_same_run(stopped, whole)


def test_rows_after_the_last_checkpoint_are_dropped(recipe: Recipe, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(recipe, whole, Recorder())
    train(recipe, killed, Recorder(interrupt_after=5))
    with (killed / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "step": 6}\n{"half')
    train(recipe, killed, Recorder(), resume=True)
    assert_same_run(killed, whole)


def test_metrics_that_lost_their_end_are_not_filled_up(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe, run, Recorder(interrupt_after=3 * ROW_STEPS))
    metrics = run / "metrics.jsonl"
    first, *_ = metrics.read_bytes().split(b"\n")
    metrics.write_bytes(first + b"\n")
    train(recipe, run, Recorder(), resume=True)
    steps = [row["step"] for row in read_metrics(run) if row["kind"] == "train"]
    assert steps == [ROW_STEPS, *range(4 * ROW_STEPS, steps[-1] + 1, ROW_STEPS)]


def test_resuming_a_finished_run_changes_nothing(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    outcome = train(recipe, run, Recorder())
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    display = Recorder()
    assert train(recipe, run, display, resume=True) == outcome
    assert display.losses == []
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_two_runs_of_a_seed_are_one(recipe: Recipe, tmp_path: Path) -> None:
    losses = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        display = Recorder(interrupt_after=5)
        train(with_training(recipe, seed=seed), tmp_path / name, display)
        losses.append(display.losses)
    assert losses[0] == losses[1] != losses[2]


def test_validation_leaves_training_alone(recipe: Recipe, tmp_path: Path) -> None:
    losses = []
    for every in (0, 2):
        display = Recorder()
        train(with_training(recipe, validate_every=every), tmp_path / str(every), display)
        losses.append(display.losses)
    assert losses[0] == losses[1]


def test_validation_every_few_steps(recipe: Recipe, tmp_path: Path) -> None:
    display = Recorder()
    train(with_training(recipe, validate_every=5), tmp_path / "run", display)
    steps = [row["step"] for row in read_metrics(tmp_path / "run") if row["kind"] == "valid"]
    last = len(display.losses)
    assert steps == sorted({*range(5, last + 1, 5), last})


def test_training_stops_when_validation_no_longer_rises(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([3.0, 5.0, 5.0, 4.0, 9.0])
    monkeypatch.setattr(trainer_module, "validate", lambda *_: Validation(1.0, next(scores)))
    recipe = with_training(recipe, epochs=9, validate_every=3, patience=2)
    display = Recorder()
    outcome = train(recipe, tmp_path / "run", display)
    assert outcome == Outcome(5.0, interrupted=False)
    assert len(display.losses) == 12
    assert display.messages[-1] == "validation BLEU has not risen 2 times: stopped."
    position, _ = load_checkpoint(tmp_path / "run" / "checkpoints" / "step-00000012")
    assert position.finished
    resumed = Recorder()
    assert train(recipe, tmp_path / "run", resumed, resume=True) == outcome
    assert resumed.losses == []


def complaint(attempt: Callable[[], object], kind: type[Seq2SeqError] = Seq2SeqError) -> str:
    with pytest.raises(kind) as caught:
        attempt()
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_run_is_not_overwritten(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe, run, Recorder(interrupt_after=1))
    assert complaint(lambda: train(recipe, run, Recorder()), UsageError) == (
        f"{run}: there is a run already; add --resume to go on with it, "
        "or choose another folder with -o."
    )


def test_nothing_to_resume(recipe: Recipe, tmp_path: Path) -> None:
    attempt = lambda: train(recipe, tmp_path / "none", Recorder(), resume=True)  # noqa: E731
    assert complaint(attempt) == (
        f"{tmp_path / 'none'}: not a training run (it has no recipe.json)."
    )
    assert not (tmp_path / "none").exists()


def test_a_run_is_not_resumed_with_another_recipe(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe, run, Recorder(interrupt_after=1))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    other = with_training(recipe, dropout=0.25)
    message = complaint(lambda: train(other, run, Recorder(), resume=True), UsageError)
    assert message == (
        f"{run} was started with training.dropout = 0.2, not 0.25; resume with the same recipe, "
        "or start another run."
    )
    named = replace(recipe, tokenizer=replace(recipe.tokenizer, path="x.model"))
    message = complaint(lambda: train(named, run, Recorder(), resume=True), UsageError)
    assert "was started with tokenizer.path = None, not 'x.model'; " in message
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_what_is_wrong_with_a_recipe_leaves_no_run(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    too_large = replace(recipe, tokenizer=replace(recipe.tokenizer, vocabulary_size=5000))
    missing = replace(recipe, tokenizer=replace(recipe.tokenizer, path=str(tmp_path / "x.model")))
    no_corpus = replace(recipe, corpus=replace(recipe.corpus, train=str(tmp_path / "none")))
    too_long = with_training(recipe, max_length=1)
    for wrong, reason in (
        (too_large, "tokenizer.vocabulary_size = 5000 does not fit this corpus"),
        (missing, "x.model: cannot be read"),
        (no_corpus, "none.en"),
        (too_long, "every training pair is longer than training.max_length = 1."),
    ):
        assert reason in complaint(lambda wrong=wrong: train(wrong, run, Recorder()))  # type: ignore[misc]
        assert not run.exists()
    train(recipe, run, Recorder(interrupt_after=1))


def test_a_folder_that_cannot_be_made(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = tmp_path / "file" / "run"
    assert complaint(lambda: train(recipe, run, Recorder())) == (
        f"{run}: cannot be written: Not a directory."
    )


def test_a_tokenizer_can_be_given(recipe: Recipe, tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "given.model"
    path.write_bytes(tokenizer.model)
    recipe = replace(recipe, tokenizer=replace(recipe.tokenizer, path=str(path)))
    train(recipe, tmp_path / "run", Recorder(interrupt_after=1))
    assert (tmp_path / "run" / "tokenizer.model").read_bytes() == tokenizer.model
    # The run has its own copy now.
    path.unlink()
    train(recipe, tmp_path / "run", Recorder(interrupt_after=1), resume=True)

    for name in ("train", "valid"):
        shutil.copy(tmp_path / f"{name}.de", tmp_path / f"{name}.fr")
    path.write_bytes(tokenizer.model)
    french = replace(recipe, corpus=replace(recipe.corpus, target_language="fr"))
    assert complaint(lambda: train(french, tmp_path / "x", Recorder())) == (
        "the tokenizer has no tag for the language 'fr'; train a tokenizer with this pair of "
        "languages (leave tokenizer.path out)."
    )


def test_long_pairs_are_left_out_and_counted(recipe: Recipe, tmp_path: Path) -> None:
    for language, text in (("en", "ka " * 200), ("de", "lo")):
        with (tmp_path / f"train.{language}").open("a", encoding="utf-8") as file:
            file.write(f"{text}\n" * 3)
    recipe = replace(recipe, corpus=replace(recipe.corpus, length_ratio="keep"))
    display = Recorder(interrupt_after=1)
    train(recipe, tmp_path / "run", display)
    assert any(
        message.startswith("80 training pairs (3 longer than 120 ids left out), 330 subwords, ")
        for message in display.messages
    )


def interrupted_run(recipe: Recipe, run: Path) -> Path:
    """A run with one checkpoint, and the path of that."""
    train(recipe, run, Recorder(interrupt_after=2))
    checkpoint = last_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    return checkpoint


def test_a_damaged_checkpoint_is_named(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    checkpoint = interrupted_run(recipe, run)
    tensors, state = checkpoint / "tensors.safetensors", checkpoint / "state.json"
    whole_tensors, whole_state = tensors.read_bytes(), state.read_text()

    def resume() -> str:
        return complaint(lambda: train(recipe, run, Recorder(), resume=True))

    for damaged in (b"", whole_tensors[:1000], whole_tensors[:-1], b"\xff" * 100):
        tensors.write_bytes(damaged)
        assert resume().startswith(f"{tensors}: not a whole safetensors file: ")
    tensors.unlink()
    assert resume().startswith(f"{tensors}: not a whole safetensors file: ")
    tensors.write_bytes(whole_tensors)

    for broken in ("", whole_state[:50], "[1]", "{}x", '{"epochs": 1}', '{"epoch": "one"}'):
        state.write_text(broken)
        assert resume().startswith(f"{state}: not a checkpoint's state: ")
    state.write_text(whole_state)
    train(recipe, run, Recorder(interrupt_after=1), resume=True)


def test_a_checkpoint_of_another_model_is_named(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    checkpoint = interrupted_run(recipe, run)
    other = interrupted_run(with_model(recipe, hidden_size=8), tmp_path / "other")
    file = "tensors.safetensors"
    shutil.copy(other / file, checkpoint / file)
    message = complaint(lambda: train(recipe, run, Recorder(), resume=True))
    assert message.startswith(f"{checkpoint}: the weights do not fit the recipe: size mismatch for")

    save_file({"weights": torch.zeros(3)}, checkpoint / file)
    message = complaint(lambda: train(recipe, run, Recorder(), resume=True))
    assert message == f"{checkpoint}: not a checkpoint of a run: 'random'."
    save_file({"random": torch.zeros(3), "what/weights": torch.zeros(3)}, checkpoint / file)
    message = complaint(lambda: train(recipe, run, Recorder(), resume=True))
    assert message == f"{checkpoint}: not a checkpoint of a run: 'what'."


def test_a_run_without_a_model(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted_run(recipe, run)
    assert complaint(RunFolder.open(run).best_model) == (
        f"{run}: the run has no validated model yet."
    )
    (run / "best.safetensors").write_bytes(b"")
    assert complaint(RunFolder.open(run).best_model).startswith(
        f"{run / 'best.safetensors'}: not a whole safetensors file: "
    )
    (run / "recipe.json").write_text("[]")
    assert complaint(RunFolder.open(run).best_model) == (
        f"{run / 'recipe.json'}: not a run's recipe: not a table."
    )


def test_a_loss_that_is_not_a_number_ends_the_run(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    checkpoint = interrupted_run(recipe, run)
    before = (checkpoint / "tensors.safetensors").read_bytes()

    def explode(*arguments: Any) -> tuple[torch.Tensor, torch.Tensor]:
        loss, likelihood = smoothed_cross_entropy(*arguments)
        return loss * math.nan, likelihood

    monkeypatch.setattr(trainer_module, "smoothed_cross_entropy", explode)
    assert complaint(lambda: train(recipe, run, Recorder(), resume=True)) == (
        "the loss became nan and its gradient nan at step 3; start another run with a lower "
        "training.learning_rate."
    )
    assert checkpoint_names(run) == [checkpoint.name]
    assert (checkpoint / "tensors.safetensors").read_bytes() == before


def test_the_best_model_translates_alone_as_together(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe, run, Recorder())
    translator = open_translator(run)
    texts = ["ka lo sta mi.", "tur.", "el bo fi.", "ren ka."]
    together = [translation.text for translation in translator.translate(texts * 20)]
    alone = [translator.translate([text])[0].text for text in texts]
    assert together == alone * 20


def test_checkpoints_come_back_as_they_were(tmp_path: Path) -> None:
    position = Position(1, 2, 34, 56, 7.125, 1.5, 8, 0.1, 0.2, 3, 4, 5, True, "c", "cpu")
    tensors = {"a": torch.randn(2, 3), "b/c": torch.arange(3, dtype=torch.uint8)}
    path = save_checkpoint(tmp_path, position, tensors)
    assert path == tmp_path / "step-00000034"
    loaded, loaded_tensors = load_checkpoint(path)
    assert loaded == position
    assert loaded_tensors.keys() == tensors.keys()
    assert all(torch.equal(loaded_tensors[name], tensors[name]) for name in tensors)

    position.finished = True
    assert save_checkpoint(tmp_path, position, tensors) == path
    assert load_checkpoint(path)[0] == dataclasses.replace(position, finished=True)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "none") is None
    for step in (9, 100, 20, 3):
        save_checkpoint(tmp_path, Position(step=step), {})
    (tmp_path / "step-00000200.partial").mkdir()
    assert last_checkpoint(tmp_path) == tmp_path / "step-00000100"
    prune_checkpoints(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000020", "step-00000100"]
    prune_checkpoints(tmp_path, keep=5)
    assert last_checkpoint(tmp_path) == tmp_path / "step-00000100"


def test_tensors_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best.safetensors"
    save_tensors(path, {"a": torch.ones(3)})

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="full"):
        save_tensors(path, {"a": torch.zeros(3)})
    assert torch.equal(load_tensors(path)["a"], torch.ones(3))
    assert torch.equal(load_file(path)["a"], torch.ones(3))


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(checkpoint_module, "save_file", fail)
    path = tmp_path / "best.safetensors"
    assert complaint(lambda: save_tensors(path, {})) == (
        f"{path}: cannot be written: No space left on device."
    )


@pytest.mark.parametrize(
    ("step", "progress", "expected"),
    [
        (0, 0.0, 0.1),
        (4, 0.0, 0.5),
        (9, 0.0, 1.0),
        (99, 0.0, 1.0),
        (99, 0.25, (1 + math.sqrt(0.5)) / 2),
        (99, 0.5, 0.5),
        (99, 1.0, 0.0),
        (4, 0.5, 0.25),
    ],
)
def test_the_learning_rate_warms_up_and_cools_down(
    step: int, progress: float, expected: float
) -> None:
    assert learning_rate(3e-3, step, 10, progress) == pytest.approx(3e-3 * expected, abs=1e-12)


def test_the_learning_rate_without_warm_up() -> None:
    assert learning_rate(3e-3, 0, 0, 0.0) == 3e-3


def test_the_learning_rate_of_a_run_falls_to_nothing(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path / "run", Recorder())
    rates = [
        row["learning_rate"]
        for row in read_metrics(tmp_path / "run")
        if row["kind"] == "train" and row["step"] > recipe.training.warmup_steps
    ]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.1 * recipe.training.learning_rate


def test_precision_is_as_the_recipe_says() -> None:
    cpu = torch.device("cpu")
    assert uses_bfloat16(cpu, "bfloat16")
    assert not uses_bfloat16(cpu, "float32")
    assert isinstance(uses_bfloat16(cpu, "auto"), bool)


def test_bfloat16_trains(recipe: Recipe, tmp_path: Path) -> None:
    display = Recorder()
    train(with_training(recipe, precision="bfloat16"), tmp_path / "run", display)
    assert any("; cpu, bfloat16, " in message for message in display.messages)
    assert all(map(math.isfinite, display.losses))
    _, tensors = load_checkpoint(last_checkpoint(tmp_path / "run" / "checkpoints") or tmp_path)
    floating = {t.dtype for t in tensors.values() if t.is_floating_point()}
    assert floating == {torch.float32}


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_the_display_of_a_log_and_of_a_terminal(
    quiet: bool,
    terminal: bool,
    recipe: Recipe,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with open_display(quiet) as display:
        train(with_training(recipe, epochs=1), tmp_path / "run", display)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("validation BLEU" in captured.err) == (not quiet)
    assert ("tok/s" in captured.err) == (terminal and not quiet)
    if not terminal:
        assert "\x1b" not in captured.err
        assert "\r" not in captured.err


def test_a_changed_corpus_is_another_run(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted_run(recipe, run)
    assert isinstance(recipe.corpus.train, str)
    for language in ("en", "de"):
        path = Path(f"{recipe.corpus.train}.{language}")
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert "has changed" in complaint(lambda: train(recipe, run, Recorder(), resume=True))


def test_of_equal_scores_the_likelier_model_is_best(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        likelihoods = iter([3.0, 2.0, 2.5])
        patch.setattr(
            trainer_module, "validate", lambda *_: Validation(nll=next(likelihoods), bleu=1.0)
        )
        train(recipe, run, Recorder())
    position, _ = load_checkpoint(last_checkpoint(run / "checkpoints") or run)
    assert (position.best_nll, position.validations_since_best) == (2.0, 1)
