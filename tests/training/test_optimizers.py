"""Optimizers, the schedule that lowers the rate at a plateau, and the metric that decides."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from helpers.tiny import EN_DE
from helpers.training_runs import (
    ROW_STEPS,
    Recorder,
    assert_same_run,
    interrupted_run,
    make_small,
    read_metrics,
    with_training,
)

from seq2seq.bleu_chrf import validation_rank
from seq2seq.config.recipe import Optimizer, Recipe, ValidationMetric
from seq2seq.corpus.batches import make_batch
from seq2seq.errors import UsageError
from seq2seq.training import trainer as trainer_module
from seq2seq.training.optimizer_step import Learner
from seq2seq.training.state import TrainState
from seq2seq.training.trainer import train
from seq2seq.training.validation import Validation

RATE, DECAY = 0.01, 0.1


@pytest.mark.parametrize("name", get_args(Optimizer))
def test_the_first_step_is_that_of_the_literature(name: Optimizer, recipe: Recipe) -> None:
    quiet = with_training(
        recipe, optimizer=name, weight_decay=DECAY, dropout=0.0, word_dropout=0.0, clip_norm=1e9
    )
    learner = Learner(quiet, 385)
    before = {key: weight.clone() for key, weight in learner.model.named_parameters()}
    learner.train_step(make_batch([0], [[30, 31]], [[40, 41, 42]]), RATE, 0)
    for key, weight in learner.model.named_parameters():
        assert weight.grad is not None
        decay = DECAY if weight.ndim > 1 else 0.0
        old, gradient = before[key], weight.grad
        coupled = gradient + decay * old  # the decay is a part of the gradient: L2
        if name == "sgd":
            expected = old - RATE * coupled
        elif name == "adam":  # Kingma & Ba 2015: at the first step both moments are the gradient's
            expected = old - RATE * coupled / (coupled.abs() + 1e-8)
        else:  # Loshchilov & Hutter 2019: decoupled
            expected = old - RATE * (decay * old + gradient / (gradient.abs() + 1e-8))
        torch.testing.assert_close(weight.data, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_run_with_any_optimizer_and_plateaus_resumes_to_the_bit(
    name: Optimizer, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(monkeypatch)
    same = Validation(1.0, {EN_DE: 1.0}, {EN_DE: 1.0})  # so that nothing gets better
    monkeypatch.setattr(trainer_module, "validate", lambda *_: same)
    changed = with_training(
        recipe,
        optimizer=name,
        schedule="plateau",
        plateau_patience=1,
        metric="chrf",
        warmup_steps=1,
        validate_every=3,
    )
    train(changed, tmp_path / "whole", Recorder())
    interrupted_run(changed, tmp_path / "resumed", steps=10)
    train(changed, tmp_path / "resumed", Recorder(), resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "resumed")
    rates = [r["learning_rate"] for r in read_metrics(tmp_path / "whole") if r["kind"] == "train"]
    assert rates[0] == recipe.training.learning_rate  # at step 4, after one validation
    halvings = 0.5 ** ((len(rates) * ROW_STEPS - 1) // 3 - 1)
    assert rates[-1] == pytest.approx(rates[0] * halvings)


def validated(state: TrainState, chrfs: Sequence[float], patience: int) -> list[int]:
    """Validate so, and return how many plateaus there were after each."""
    plateaus = []
    for chrf in chrfs:
        state.take_validation(0.0, chrf, 1.0, "chrf")
        state.take_plateau(patience)
        plateaus.append(state.plateaus)
    return plateaus


def test_a_plateau_is_so_many_validations_without_a_new_best() -> None:
    chrfs = [5.0, 4.0, 4.0, 6.0, 5.0, 6.0, 6.0, 1.0, 7.0]
    assert validated(TrainState(), chrfs, 2) == [0, 0, 1, 1, 1, 2, 2, 3, 3]
    assert validated(TrainState(), chrfs, 9)[-1] == 0


@pytest.mark.parametrize(
    ("metric", "order"),
    [("bleu", [2, 1, 0]), ("chrf", [0, 2, 1]), ("perplexity", [1, 2, 0])],
)
def test_the_metric_decides_which_validation_is_best(
    metric: ValidationMetric, order: list[int]
) -> None:
    validations = [(10.0, 50.0, 3.0), (11.0, 40.0, 1.0), (12.0, 45.0, 2.0)]
    ranked = sorted(
        validations, key=lambda v: validation_rank(v[0], v[1], v[2], metric), reverse=True
    )
    assert ranked == [validations[i] for i in order]
    state = TrainState()
    assert state.take_validation(*validations[order[2]], metric)
    assert state.take_validation(*validations[order[0]], metric)
    assert not state.take_validation(*validations[order[1]], metric)
    assert state.validations_since_best == 1


@pytest.mark.slow
def test_the_best_weights_of_a_run_are_those_of_its_metric(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(monkeypatch)
    changed = with_training(recipe, metric="perplexity", keep_checkpoints=9)
    train(changed, tmp_path / "run", Recorder())
    rows = [row for row in read_metrics(tmp_path / "run") if row["kind"] == "valid"]
    assert {row["metric"] for row in rows} == {"perplexity"}
    best = min(rows, key=lambda row: row["nll"])
    checkpoint = tmp_path / "run" / "checkpoints" / f"step-{best['step']:08d}"
    assert (checkpoint / "best.safetensors").read_bytes() == (
        tmp_path / "run" / "best.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("factor", [0.0, 1.0])
def test_a_plateau_lowers_the_rate(factor: float, recipe: Recipe) -> None:
    with pytest.raises(UsageError, match="plateau_factor"):
        replace(recipe.training, plateau_factor=factor)
