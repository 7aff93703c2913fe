"""Runs of several processes: equal steps, one writer, exact resumption, and an end for all."""

import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.ranks import RATE, steps_on_rank, train_on_rank
from helpers.training_runs import (
    Recorder,
    assert_same_run,
    make_small,
    newest,
    read_metrics,
    with_training,
)
from safetensors.torch import load_file

from seq2seq.config.recipe import Recipe
from seq2seq.corpus.batches import Batch, make_batch
from seq2seq.training.checkpoint import load_checkpoint
from seq2seq.training.launcher import run_processes
from seq2seq.training.optimizer_step import Learner
from seq2seq.training.state import TrainState
from seq2seq.training.trainer import train

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def random_pairs(seed: int, count: int) -> tuple[list[list[int]], list[list[int]]]:
    random = np.random.default_rng(seed)

    def sentences() -> list[list[int]]:
        return [random.integers(10, 380, random.integers(2, 9)).tolist() for _ in range(count)]

    return sentences(), sentences()


def batch_of(*pairs: tuple[list[list[int]], list[list[int]]]) -> Batch:
    sources = [ids for part, _ in pairs for ids in part]
    targets = [ids for _, part in pairs for ids in part]
    return make_batch(range(len(sources)), sources, targets)


def test_steps_of_two_processes_are_those_of_one_with_both_batches(
    recipe: Recipe, tmp_path: Path
) -> None:
    recipe = with_training(recipe, dropout=0.0, word_dropout=0.0)
    # Of different sizes; and the last has nothing for rank 1.
    steps = [[random_pairs(2 * i, 7), random_pairs(2 * i + 1, 3)] for i in range(4)]
    steps.append([random_pairs(9, 4)])
    shares = [[batch_of(pairs) for pairs in step] for step in steps]
    file = tmp_path / "weights"
    assert run_processes(2, partial(steps_on_rank, recipe, 385, shares, file)) == 0

    learner = Learner(recipe, 385)
    results = [
        learner.train_step(batch_of(*step), RATE, number) for number, step in enumerate(steps)
    ]
    both = load_file(file)
    losses = torch.tensor([result.loss_of_a_token for result in results])
    torch.testing.assert_close(both.pop("losses"), losses, rtol=1e-5, atol=0.0)
    start = Learner(recipe, 385).model.state_dict()
    for name, weight in learner.model.state_dict().items():
        torch.testing.assert_close(both[name], weight, rtol=1e-3, atol=1e-5)
        assert not torch.equal(weight, start[name])


def test_a_killed_rank_ends_the_run_which_resumes_byte_for_byte(
    recipe: Recipe, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = with_training(recipe, checkpoint_every=4)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run_processes(2, partial(train_on_rank, [recipe], whole)) == 0
    capfd.readouterr()
    for dying, steps in ((1, 7), (0, 3)):
        begun = time.monotonic()
        resume = parts.exists()
        code = run_processes(2, partial(train_on_rank, [recipe], parts, resume, dying, steps))
        assert code == 1
        assert time.monotonic() - begun < 120  # most of it is the start of the processes
        error = capfd.readouterr().err
        assert re.fullmatch(
            f"seq2seq: rank {dying} has ended, or does not answer. .*--resume.\n", error
        )
    # Rank 0 saves all that was done before rank 1 died.
    assert newest(parts).name >= "step-00000007"
    assert run_processes(2, partial(train_on_rank, [recipe], parts, True)) == 0
    (whole / "messages").unlink()
    (parts / "messages").unlink()
    assert_same_run(parts, whole)


def test_a_run_goes_on_with_another_number_of_processes(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(recipe, run, Recorder(interrupt_after=3)).interrupted
    assert run_processes(2, partial(train_on_rank, [recipe], run, True)) == 0
    said = (run / "messages").read_text()
    assert "continues on cpu, float32, 1 threads, 2 processes: the result will not" in said
    assert load_checkpoint(newest(run))[0].finished
    steps = [row["step"] for row in read_metrics(run) if row["kind"] == "valid"]
    # Three steps of one batch, then of two: no batch is trained on twice, or left out.
    batches = 3 + 2 * (steps[0] - 3)
    epoch = steps[2] - steps[1]
    assert batches in (2 * epoch, 2 * epoch - 1, 2 * epoch + 1)


def test_a_step_counts_a_batch_for_each_process() -> None:
    state = TrainState()
    for _ in range(2):
        state.advance(5, 2, 2)
    assert (state.step, state.batch) == (2, 4)
    state.advance(5, 2, 1)
    assert (state.step, state.batch, state.buffer) == (3, 0, 1)


@pytest.mark.parametrize("difference", ["recipe", "corpus"])
def test_ranks_that_differ_are_refused(
    difference: str, recipe: Recipe, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if difference == "recipe":
        recipes, expected = [recipe, with_training(recipe, seed=2)], "training.seed = 2"
        assert run_processes(2, partial(train_on_rank, recipes, tmp_path / "run")) == 2
        error = capfd.readouterr().err
        assert error.startswith(f"seq2seq: rank 1 has {expected}, but rank 0 has 1; ")
    else:
        [corpus] = recipe.corpus
        other = replace(recipe, corpus=(replace(corpus, train=corpus.valid),))
        assert other != recipe
        recipes = [recipe, other]
        assert run_processes(2, partial(train_on_rank, recipes, tmp_path / "run")) == 2
        error = capfd.readouterr().err
        assert error.startswith("seq2seq: rank 1 has ")
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "RANK": "0",
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        words = ["train", "data/recipes/sample.toml", "-o", str(tmp_path / "run")]
        done = subprocess.run(
            [sys.executable, "-m", "seq2seq", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"seq2seq: rank 0: the port is in use: 127.0.0.1:{port}; ")
    assert done.stderr.count("\n") == 1
