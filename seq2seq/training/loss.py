"""Label-smoothed cross-entropy over a tied softmax, without ever holding all logits.

The product with the vocabulary is the most expensive part of a step, and its (P, V) logits are its
largest array: reading and writing them takes longer than computing them. Here the softmax is
computed for a few hundred positions at a time, and the gradients of each block in the forward pass,
while its logits are still in the cache. The backward pass only scales them.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_BLOCK = 256  # positions; 256 x 6,000 float32 logits are 6 MB


def smoothed_cross_entropy(
    readout: Tensor,
    embedding: Tensor,
    bias: Tensor,
    targets: Tensor,
    smoothing: float,
    sampled_words: int = 0,
) -> tuple[Tensor, Tensor]:
    """Return the loss and the plain negative log-likelihood (nll), summed over P positions.

    readout (P, H), embedding (V, H), bias (V,), targets (P,). With e = `smoothing`, the loss is
    -(1 - e) log p(target) - e / V * sum over the vocabulary of log p (Szegedy et al. 2016), in
    natural logarithms. Products use the autocast type; sums, exponentials and gradients are
    float32. Only the loss has a gradient.

    With `sampled_words`, the softmax is over that many words: those in `targets`, and others drawn
    uniformly at each call. Each drawn word is weighted for the absent words that it stands for, so
    that the sum over the vocabulary is estimated without bias (after Jean et al. 2015). Loss and
    nll are then estimates, and smoothing is over these words only.
    """
    vocabulary_size = len(embedding)
    if 0 < sampled_words < vocabulary_size:
        words, log_weights = _sample_words(targets, vocabulary_size, sampled_words)
        row_of_word = torch.zeros(vocabulary_size, dtype=torch.long, device=targets.device)
        row_of_word[words] = torch.arange(len(words), device=targets.device)
        embedding = embedding.index_select(0, words)  # (C, H)
        bias = bias.index_select(0, words) + log_weights
        targets = row_of_word[targets]
    low = torch.get_autocast_dtype(readout.device.type)
    dtype = low if torch.is_autocast_enabled(readout.device.type) else torch.float32
    loss, nll = _SmoothedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        readout, embedding, bias, targets, smoothing, dtype
    )
    return loss, nll


def symmetric_divergence(readout: Tensor, other: Tensor, embedding: Tensor, bias: Tensor) -> Tensor:
    """Return (KL(p || q) + KL(q || p)) / 2, summed over P positions.

    p and q are the softmaxes of two readouts (P, H), with embedding (V, H) and bias (V,). All
    (P, V) logits are held in memory, and all arguments get a gradient.
    """
    log_p, log_q = (
        functional.linear(features, embedding, bias).float().log_softmax(dim=-1)
        for features in (readout, other)
    )
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum() / 2


def _sample_words(
    targets: Tensor, vocabulary_size: int, sampled_words: int
) -> tuple[Tensor, Tensor]:
    """Draw the C words of a sampled softmax; return the log of the number each stands for too.

    targets (P,) -> distinct words (C,) and log_weights (C,). C is `sampled_words`, or the number of
    words in `targets` if that is larger. With one size for all batches, matrix products on the CPU
    need to be prepared only once.
    """
    occurs = torch.zeros(vocabulary_size, dtype=torch.bool, device=targets.device)
    occurs[targets] = True
    occurring, absent = occurs.nonzero().squeeze(1), (~occurs).nonzero().squeeze(1)
    order = torch.randperm(len(absent), device=targets.device)
    sampled = absent[order[: max(0, sampled_words - len(occurring))]]
    weight = len(absent) / max(1, len(sampled))
    log_weights = torch.zeros(len(occurring) + len(sampled), device=targets.device)
    log_weights[len(occurring) :] = math.log(max(1.0, weight))
    return torch.cat([occurring, sampled]), log_weights


class _SmoothedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        readout: Tensor,
        embedding: Tensor,
        bias: Tensor,
        targets: Tensor,
        smoothing: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        vocabulary_size = len(embedding)
        with torch.autocast(readout.device.type, enabled=False):
            words = embedding.to(dtype)  # (V, H)
            d_readout = torch.empty_like(readout, dtype=torch.float32)
            d_embedding = torch.zeros_like(embedding)
            d_bias = torch.zeros_like(bias)
            loss = bias.new_zeros(())
            total_nll = bias.new_zeros(())
            for first in range(0, len(readout), _BLOCK):
                block = slice(first, first + _BLOCK)
                features = readout[block].to(dtype)  # (b, H)
                target = targets[block].unsqueeze(1)  # (b, 1)
                logits = (features @ words.T).float() + bias  # (b, V)
                at_target = logits.gather(1, target)
                log_sum = logits.logsumexp(dim=1, keepdim=True)  # (b, 1)
                nll = (log_sum - at_target).sum()
                spread = (log_sum - logits.mean(dim=1, keepdim=True)).sum()
                total_nll += nll
                loss += (1 - smoothing) * nll + smoothing * spread
                if not any(ctx.needs_input_grad):
                    continue
                # d loss / d logits = p - (1 - e) [target] - e / V, in place of the logits
                d_logits = logits.sub_(log_sum).exp_().sub_(smoothing / vocabulary_size)
                d_logits.scatter_add_(1, target, torch.full_like(at_target, smoothing - 1))
                d_bias += d_logits.sum(dim=0)
                d_low = d_logits.to(dtype)
                d_readout[block] = d_low @ words
                d_embedding += d_low.T @ features
        ctx.save_for_backward(d_readout.to(readout.dtype), d_embedding, d_bias)
        ctx.mark_non_differentiable(total_nll)
        return loss, total_nll

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scale = gradients[0]
        d_readout, d_embedding, d_bias = ctx.saved_tensors
        return (
            d_readout * scale.to(d_readout.dtype),
            d_embedding * scale,
            d_bias * scale,
            None,
            None,
            None,
        )
