"""Training runs in tests: small ones, stopped and gone on with, and told apart to the bit."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from seq2seq.config.recipe import Recipe
from seq2seq.errors import Seq2SeqError
from seq2seq.training import trainer as trainer_module
from seq2seq.training.checkpoint import last_checkpoint, load_checkpoint
from seq2seq.training.reporter import ProgressReporter
from seq2seq.training.trainer import train

ROW_STEPS = 4
CLOCK_FIELDS = ("time", "seconds", "tokens_per_second")

Metrics = list[dict[str, Any]]


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte-for-byte promises are those of a CPU; a row every few steps for runs this short."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(trainer_module, "_ROW_STEPS", ROW_STEPS)


class Recorder(ProgressReporter):
    """Keeps what it is told, and presses Ctrl-C after a number of steps."""

    def __init__(self, interrupt_after: int = 0, number: int = signal.SIGINT) -> None:
        super().__init__(Console(quiet=True), None, quiet=True)
        self.messages: list[str] = []
        self.losses: list[float] = []
        self._interrupt_after = interrupt_after
        self._number = number

    def say(self, message: str) -> None:
        self.messages.append(message)

    def advance(self, progress: float, loss: float, tokens_per_second: float) -> None:
        self.losses.append(loss)
        if len(self.losses) == self._interrupt_after:
            signal.raise_signal(self._number)


def with_training(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, training=replace(recipe.training, **changes))


def with_corpus(recipe: Recipe, **changes: Any) -> Recipe:
    [corpus] = recipe.corpus
    return replace(recipe, corpus=(replace(corpus, **changes),))


def with_model(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, model=replace(recipe.model, **changes))


def read_metrics(run: Path) -> Metrics:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().split("\n")[:-1]]


def without_clock(rows: Metrics) -> Metrics:
    return [{key: value for key, value in row.items() if key not in CLOCK_FIELDS} for row in rows]


def checkpoint_names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def newest(run: Path) -> Path:
    checkpoint = last_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    return checkpoint


def interrupted_run(recipe: Recipe, run: Path, steps: int = 2) -> Path:
    """Start a run and stop it; return the path of its last checkpoint."""
    assert train(recipe, run, Recorder(interrupt_after=steps)).interrupted
    return newest(run)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same_run(run: Path, other: Path) -> None:
    """Compare weights, averages, moments, random numbers, state and metrics, to the bit."""
    # An interruption leaves a checkpoint more, in place of an older one.
    assert checkpoint_names(run)[-1] == checkpoint_names(other)[-1]
    for name in set(checkpoint_names(run)) & set(checkpoint_names(other)):
        ours, theirs = run / "checkpoints" / name, other / "checkpoints" / name
        weights = [
            {file.name: file.read_bytes() for file in path.glob("*.safetensors")}
            for path in (ours, theirs)
        ]
        assert weights[0] == weights[1]
        # The rows of metrics.jsonl hold clock times, so their length may differ.
        positions = [load_checkpoint(path)[0] for path in (ours, theirs)]
        assert replace(positions[0], metrics_bytes=0) == replace(positions[1], metrics_bytes=0)
    for name in ("best.safetensors", "tokenizer.model", "recipe.json"):
        assert (run / name).read_bytes() == (other / name).read_bytes()
    assert without_clock(read_metrics(run)) == without_clock(read_metrics(other))
    assert not [*run.rglob("*.partial"), *run.rglob("*.old")]


def complaint(attempt: Callable[[], object], kind: type[Seq2SeqError] = Seq2SeqError) -> str:
    """Return the line that `attempt` fails with."""
    with pytest.raises(kind) as caught:
        attempt()
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    return message
