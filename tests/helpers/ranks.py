"""What the processes of a run do in tests: picklable, for `run_processes`."""

import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers.training_runs import Recorder, make_small
from seq2seq.cli.exit import reported_errors
from seq2seq.config.recipe import Recipe
from seq2seq.corpus.batches import Batch
from seq2seq.training.optimizer_step import Learner
from seq2seq.training.process_group import process_group
from seq2seq.training.trainer import train

RATE = 0.01


class _Dying(Recorder):
    """Dies as by `kill -9` after a number of steps; 0: never."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._left = steps

    def advance(self, progress: float, loss: float, tokens_per_second: float) -> None:
        super().advance(progress, loss, tokens_per_second)
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@reported_errors("seq2seq")
def train_on_rank(
    recipes: list[Recipe], run: Path, resume: bool = False, dying: int = -1, steps: int = 0
) -> None:
    """Train by the recipe of this rank; the rank `dying` does so after so many steps."""
    with pytest.MonkeyPatch.context() as patch, process_group() as group:
        make_small(patch)
        reporter = _Dying(steps if group.rank == dying else 0)
        recipe = recipes[group.rank % len(recipes)]
        train(recipe, run, reporter, resume=resume, group=group)
        if group.is_first:
            (run / "messages").write_text("\n".join(reporter.messages))


@reported_errors("seq2seq")
def steps_on_rank(recipe: Recipe, size: int, steps: list[list[Batch]], file: Path) -> None:
    """Take optimizer steps, each with a batch for every rank or for the first ones only."""
    torch.set_num_threads(1)
    with process_group() as group:
        learner = Learner(recipe, size, group=group)
        losses = []
        for number, batches in enumerate(steps):
            batch = batches[group.rank] if group.rank < len(batches) else None
            losses.append(learner.train_step(batch, RATE, number).loss_of_a_token)
        if group.is_first:
            weights = {name: weight.clone() for name, weight in learner.model.state_dict().items()}
            save_file(weights | {"losses": torch.tensor(losses)}, file)
