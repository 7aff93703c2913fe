"""Attention of the decoder over the encoder's outputs, with one of three score functions."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.config.model_config import ModelConfig


class Memory(NamedTuple):
    """The encoder's output as the decoder attends to it, in G heads of D = H / G dimensions.

    `keys` and `values` are projected once per sentence, not once per step. In a model without
    attention both are empty (S = 0).
    """

    keys: Tensor  # (B, G, S, D)
    values: Tensor  # (B, G, S, D)
    mask: Tensor  # (B, S), true for tokens, false for padding


class Attention(nn.Module):
    """The interface of the three kinds: a softmax over scores weights the mean of the values."""

    def remember(self, encoded: Tensor, mask: Tensor) -> Memory:
        """Prepare encoded (B, S, H) and mask (B, S) for `forward`, once per sentence."""
        raise NotImplementedError

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attend with queries (B, T, H) -> context (B, T, H), weights (B, G, T, S) summing to 1."""
        raise NotImplementedError


class MultiHeadAttention(Attention):
    """Scaled dot-product attention (Luong et al. 2015; Vaswani et al. 2017, section 3.2)."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.key_value = nn.Linear(hidden_size, 2 * hidden_size, bias=False)
        self.output = nn.Linear(hidden_size, hidden_size, bias=False)
        for layer in (self.query, self.key_value, self.output):
            nn.init.xavier_uniform_(layer.weight)

    def remember(self, encoded: Tensor, mask: Tensor) -> Memory:
        """Project encoded (B, S, H) to the keys and values of each head; mask is (B, S)."""
        keys, values = self.key_value(encoded).chunk(2, dim=-1)  # each (B, S, H)
        return Memory(self._split(keys), self._split(values), mask)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attend with queries (B, T, H) -> context (B, T, H), weights (B, G, T, S) summing to 1."""
        q = self._split(self.query(queries))  # (B, G, T, D)
        scores = q @ memory.keys.transpose(-1, -2) / math.sqrt(q.shape[-1])  # (B, G, T, S)
        context, weights = _attend(scores, memory)  # (B, G, T, D)
        return self.output(context.transpose(1, 2).flatten(2)), weights

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, H) -> (B, G, T, D)"""
        return x.view(*x.shape[:2], self.heads, x.shape[-1] // self.heads).transpose(1, 2)


class DotAttention(Attention):
    """The unscaled dot product of query and encoder state: q . h (Luong et al. 2015, eq. 8).

    It has one head and no parameters: the context is the weighted mean of the encoder states.
    """

    def remember(self, encoded: Tensor, mask: Tensor) -> Memory:
        """Use encoded (B, S, H) as keys and values of the single head; mask is (B, S)."""
        return Memory(encoded.unsqueeze(1), encoded.unsqueeze(1), mask)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attend with queries (B, T, H) -> context (B, T, H), weights (B, 1, T, S) summing to 1."""
        scores = queries.unsqueeze(1) @ memory.keys.transpose(-1, -2)  # (B, 1, T, S)
        context, weights = _attend(scores, memory)
        return context.squeeze(1), weights


class AdditiveAttention(Attention):
    """A small network as the score: v . tanh(W q + U h) (Bahdanau et al. 2015, section A.1.2).

    It has one head; the context is the weighted mean of the encoder states. Training needs memory
    proportional to T * S * H.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)  # W
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)  # U
        self.score = nn.Linear(hidden_size, 1, bias=False)  # v
        for layer in (self.query, self.key, self.score):
            nn.init.xavier_uniform_(layer.weight)

    def remember(self, encoded: Tensor, mask: Tensor) -> Memory:
        """Project encoded (B, S, H) to keys U h, with h itself as values; mask is (B, S)."""
        return Memory(self.key(encoded).unsqueeze(1), encoded.unsqueeze(1), mask)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attend with queries (B, T, H) -> context (B, T, H), weights (B, 1, T, S) summing to 1."""
        q = self.query(queries)[:, None, :, None]  # (B, 1, T, 1, H)
        scores = self.score(torch.tanh(q + memory.keys.unsqueeze(2))).squeeze(-1)  # (B, 1, T, S)
        context, weights = _attend(scores, memory)
        return context.squeeze(1), weights


def make_attention(config: ModelConfig) -> Attention | None:
    """Make the attention that `config` asks for, or None if the model has none."""
    match config.attention:
        case "multihead":
            return MultiHeadAttention(config.hidden_size, config.heads)
        case "dot":
            return DotAttention()
        case "additive":
            return AdditiveAttention(config.hidden_size)
        case "none":
            return None


def _attend(scores: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
    """scores (B, G, T, S) -> context (B, G, T, D), weights (B, G, T, S) summing to 1"""
    padding = ~memory.mask[:, None, None, :]  # (B, 1, 1, S)
    weights = scores.float().masked_fill(padding, -math.inf).softmax(dim=-1)
    return weights.to(memory.values.dtype) @ memory.values, weights
