"""The blockwise loss equals torch's cross-entropy, in value and gradients."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from seq2seq.training.loss import smoothed_cross_entropy

V, H = 37, 8
SIZES = [1, 255, 256, 257, 600]

Loss = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]


def make_inputs(size: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """readout (P, H), embedding (V, H), bias (V,), targets (P,)"""
    torch.manual_seed(size)
    readout, embedding, bias = torch.randn(size, H), torch.randn(V, H), torch.randn(V)
    leaves = [(scale * tensor).requires_grad_() for tensor in (readout, embedding, bias)]
    return leaves[0], leaves[1], leaves[2], torch.randint(V, (size,))


def reference(
    readout: Tensor, embedding: Tensor, bias: Tensor, targets: Tensor, smoothing: float
) -> Tensor:
    logits = functional.linear(readout, embedding, bias)
    return functional.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum")


def ours(
    readout: Tensor, embedding: Tensor, bias: Tensor, targets: Tensor, smoothing: float
) -> Tensor:
    return smoothed_cross_entropy(readout, embedding, bias, targets, smoothing)[0]


def value_and_gradients(
    loss: Loss, size: int, smoothing: float, scale: float = 1.0
) -> list[Tensor]:
    *leaves, targets = make_inputs(size, scale)
    value = loss(leaves[0], leaves[1], leaves[2], targets, smoothing)
    return [value.detach(), *torch.autograd.grad(value / 7, leaves)]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("size", SIZES)
def test_value_and_gradients(size: int, smoothing: float) -> None:
    for actual, expected in zip(
        value_and_gradients(ours, size, smoothing),
        value_and_gradients(reference, size, smoothing),
        strict=True,
    ):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_large_logits_do_not_overflow() -> None:
    for actual, expected in zip(
        value_and_gradients(ours, 300, 0.1, scale=20.0),
        value_and_gradients(reference, 300, 0.1, scale=20.0),
        strict=True,
    ):
        assert actual.isfinite().all()
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_likelihood_is_plain(smoothing: float) -> None:
    inputs = make_inputs(300)
    loss, likelihood = smoothed_cross_entropy(*inputs, smoothing)
    torch.testing.assert_close(likelihood, reference(*inputs, 0.0).detach(), rtol=1e-4, atol=1e-4)
    assert loss.requires_grad
    assert not likelihood.requires_grad
    assert (loss.item() == likelihood.item()) == (smoothing == 0)


def test_it_is_a_sum_over_positions() -> None:
    readout, embedding, bias, targets = make_inputs(300)
    whole = ours(readout, embedding, bias, targets, 0.1)
    parts = [
        ours(r, embedding, bias, t, 0.1)
        for r, t in zip(torch.split(readout, 70), torch.split(targets, 70), strict=True)
    ]
    torch.testing.assert_close(whole, torch.stack(parts).sum(), rtol=1e-5, atol=1e-4)


def test_no_positions_no_loss() -> None:
    readout, embedding, bias, targets = make_inputs(1)
    loss, likelihood = smoothed_cross_entropy(readout[:0], embedding, bias, targets[:0], 0.1)
    assert loss.item() == likelihood.item() == 0


def test_without_gradients() -> None:
    expected, _ = smoothed_cross_entropy(*make_inputs(300), 0.1)
    with torch.inference_mode():
        loss, likelihood = smoothed_cross_entropy(*make_inputs(300), 0.1)
    assert not loss.requires_grad
    assert loss.item() == expected.item()
    assert likelihood.isfinite()


def test_bfloat16_products_are_close() -> None:
    exact = value_and_gradients(ours, 300, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = value_and_gradients(ours, 300, 0.1)
    assert {tensor.dtype for tensor in rounded} == {torch.float32}
    assert not torch.equal(rounded[0], exact[0])
    torch.testing.assert_close(rounded[0], exact[0], rtol=0.01, atol=0)
    for actual, expected in zip(rounded[1:], exact[1:], strict=True):
        assert (actual - expected).norm() < 0.02 * expected.norm()


def test_a_readout_of_low_precision_has_a_gradient_of_low_precision() -> None:
    readout, embedding, bias, targets = make_inputs(300)
    low = readout.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = ours(low, embedding, bias, targets, 0.1)
    gradients = torch.autograd.grad(loss, [low, embedding, bias])
    assert [gradient.dtype for gradient in gradients] == [
        torch.bfloat16,
        torch.float32,
        torch.float32,
    ]


def test_a_sample_of_all_words_is_the_full_softmax() -> None:
    readout, embedding, bias, _ = make_inputs(50)
    targets = torch.arange(50) % 7
    full = smoothed_cross_entropy(readout, embedding, bias, targets, 0.0)
    for sampled_words in (V, V + 1):
        sampled = smoothed_cross_entropy(readout, embedding, bias, targets, 0.0, sampled_words)
        torch.testing.assert_close(sampled, full, rtol=1e-5, atol=1e-4)


def test_the_sum_over_a_sampled_vocabulary_is_estimated_without_bias() -> None:
    """The mean of exp(log-sum) over many draws is the sum over the whole vocabulary."""
    readout, embedding, bias, _ = (tensor.detach() for tensor in make_inputs(1))
    targets = torch.tensor([3])
    logits = functional.linear(readout, embedding, bias)[0]
    sums = []
    for _ in range(4000):
        _, nll = smoothed_cross_entropy(readout, embedding, bias, targets, 0.0, 7)
        sums.append((nll + logits[3]).exp())
    assert torch.stack(sums).mean().item() == pytest.approx(logits.exp().sum().item(), rel=0.05)


@pytest.mark.parametrize(("sampled_words", "expected"), [(9, 9), (5, 5), (2, 5)])
def test_as_many_words_are_learnt_as_are_sampled_and_those_of_the_batch_always(
    sampled_words: int, expected: int
) -> None:
    readout, embedding, bias, _ = make_inputs(20)
    targets = torch.arange(20) % 5
    loss, _ = smoothed_cross_entropy(readout, embedding, bias, targets, 0.1, sampled_words)
    gradient = torch.autograd.grad(loss, embedding)[0]
    learnt = gradient.abs().sum(dim=1) > 0
    assert learnt[:5].all()
    assert learnt.sum().item() == expected
