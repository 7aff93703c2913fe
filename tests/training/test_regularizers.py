"""Weight drop, variational dropout and R-Drop do what their papers say, and nothing when off."""

import re
from collections.abc import Sequence
from typing import get_args

import pytest
import torch
from helpers.training_runs import with_model, with_training
from torch import nn
from torch.nn import functional

from seq2seq.config.model_config import Cell, Kernels
from seq2seq.config.recipe import Recipe
from seq2seq.corpus.batches import make_batch
from seq2seq.errors import UsageError
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.recurrent import RecurrentLayer
from seq2seq.training.loss import symmetric_divergence
from seq2seq.training.optimizer_step import Learner, forward

BATCH = make_batch([0, 1], [[30, 31], [32]], [[40, 41, 42], [43]])


@pytest.mark.parametrize("kernels", get_args(Kernels))
@pytest.mark.parametrize("cell", get_args(Cell))
@pytest.mark.parametrize("with_state", [False, True])
def test_weight_drop_is_a_layer_with_some_recurrent_weights_at_zero(
    cell: Cell, kernels: Kernels, with_state: bool
) -> None:
    torch.manual_seed(1)
    layer = RecurrentLayer(cell, 5, 8, kernels, weight_drop=0.5)
    inputs = torch.randn(2, 6, 5)
    state = tuple(torch.randn(2, 8) for _ in layer.cell.states) if with_state else None
    torch.manual_seed(2)
    outputs, last = layer(inputs, state)

    plain = RecurrentLayer(cell, 5, 8)
    plain.load_state_dict(layer.state_dict())
    torch.manual_seed(2)
    hidden = plain.fused.weight_hh_l0.data
    hidden.copy_(functional.dropout(hidden, 0.5))
    assert 0.3 < (hidden == 0).double().mean() < 0.7
    expected, expected_last = plain(inputs, state)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(last, expected_last)
    outputs.sum().backward()
    assert layer.fused.weight_hh_l0.grad is not None


@pytest.mark.parametrize("cell", get_args(Cell))
def test_weight_drop_is_off_outside_of_training(cell: Cell) -> None:
    layer = RecurrentLayer(cell, 5, 8, weight_drop=0.5).eval()
    plain = RecurrentLayer(cell, 5, 8)
    plain.load_state_dict(layer.state_dict())
    inputs = torch.randn(2, 6, 5)
    assert torch.equal(layer(inputs)[0], plain(inputs)[0])


def test_variational_dropout_has_one_mask_for_a_sentence_and_another_for_the_next() -> None:
    torch.manual_seed(1)
    masks = Dropout(0.5, tied=True)(torch.ones(3, 7, 64))
    assert torch.equal(masks, masks[:, :1].expand_as(masks))
    assert not torch.equal(masks[0], masks[1])
    assert set(masks.unique().tolist()) == {0.0, 2.0}


def test_dropout_that_is_not_tied_differs_from_position_to_position() -> None:
    torch.manual_seed(1)
    masks = Dropout(0.5)(torch.ones(3, 7, 64))
    assert not torch.equal(masks[:, 0], masks[:, 1])


def test_the_divergence_of_r_drop_is_the_mean_of_both_kullback_leibler_divergences() -> None:
    torch.manual_seed(1)
    embedding, bias = torch.randn(9, 4), torch.randn(9)
    readout, other = torch.randn(5, 4), torch.randn(5, 4)
    log_p, log_q = ((x @ embedding.T + bias).log_softmax(dim=-1) for x in (readout, other))
    both = [
        functional.kl_div(a, b, log_target=True, reduction="sum")
        for a, b in ((log_p, log_q), (log_q, log_p))
    ]
    actual = symmetric_divergence(readout, other, embedding, bias)
    torch.testing.assert_close(actual, (both[0] + both[1]) / 2)


def learner(recipe: Recipe, **changes: object) -> Learner:
    return Learner(with_training(recipe, label_smoothing=0.0, **changes), 385)


def weights_after_a_step(made: Learner) -> Sequence[torch.Tensor]:
    made.train_step(BATCH, 0.01, 0)
    return [weight.detach() for weight in made.model.parameters()]


def test_without_dropout_r_drop_changes_nothing(recipe: Recipe) -> None:
    still = {"dropout": 0.0, "word_dropout": 0.0}
    plain = weights_after_a_step(learner(recipe, **still))
    twice = weights_after_a_step(learner(recipe, r_drop=5.0, **still))
    for expected, actual in zip(plain, twice, strict=True):
        torch.testing.assert_close(actual, expected)


def test_r_drop_adds_to_the_mean_of_two_passes_how_far_they_differ(recipe: Recipe) -> None:
    made = learner(recipe, r_drop=4.0)
    made.model.train()
    torch.manual_seed(3)
    loss, nll = made._loss(BATCH, 0)
    torch.manual_seed(3)
    readouts, nlls = [], []
    for _ in range(2):
        readout, targets = forward(made.model, BATCH)
        readouts.append(readout)
        nlls.append(
            nn.functional.cross_entropy(made.model.logits(readout), targets, reduction="sum")
        )
    softmax = made.model.embedding.weight, made.model.output_bias
    divergence = symmetric_divergence(readouts[0], readouts[1], *softmax)
    assert divergence > 0
    torch.testing.assert_close(nll, (nlls[0] + nlls[1]) / 2)
    torch.testing.assert_close(loss, (nlls[0] + nlls[1]) / 2 + 2.0 * divergence)


@pytest.mark.parametrize(
    ("training", "model", "message"),
    [
        ({"r_drop": -1.0}, {}, "training.r_drop must not be negative"),
        ({"r_drop": 1.0, "sampled_words": 100}, {}, "leave training.sampled_words out"),
        ({"weight_drop": 1.0}, {}, "training.weight_drop must lie in"),
        ({"weight_drop": 0.1}, {"input_feeding": True}, "leave one of them out"),
        ({"variational_dropout": True}, {"input_feeding": True}, "leave one of them out"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    recipe: Recipe, training: dict[str, object], model: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        with_model(with_training(recipe, **training), **model)
