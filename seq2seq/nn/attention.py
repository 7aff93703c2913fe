"""Where the decoder looks: attention over the encoder's memory, by one of three scores."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.config.model_config import ModelConfig


class Memory(NamedTuple):
    """What the encoder leaves for the decoder, G heads of D = H / G dimensions.

    `keys` and `values` are projected once a sentence, not once a step; both are empty
    (S = 0) in a model without attention.
    """

    keys: Tensor  # (B, G, S, D)
    values: Tensor  # (B, G, S, D)
    mask: Tensor  # (B, S), true where there is a token


class Attention(nn.Module):
    """What the three kinds have in common: a softmax of scores, and the mean of values by it."""

    def remember(self, encoded: Tensor, mask: Tensor) -> Memory:
        """Make of encoded (B, S, H), mask (B, S) what each step needs."""
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
        """Project encoded (B, S, H), mask (B, S) -> keys and values of each head."""
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
    """The product of query and encoder state, unscaled: score = q . h (Luong et al. 2015, eq. 8).

    It has no weights, and one head: the context is the mean of the encoder states themselves.
    """

    def remember(self, encoded: Tensor, mask: Tensor) -> Memory:
        """Keep encoded (B, S, H), mask (B, S) as keys and values of the one head."""
        return Memory(encoded.unsqueeze(1), encoded.unsqueeze(1), mask)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attend with queries (B, T, H) -> context (B, T, H), weights (B, 1, T, S) summing to 1."""
        scores = queries.unsqueeze(1) @ memory.keys.transpose(-1, -2)  # (B, 1, T, S)
        context, weights = _attend(scores, memory)
        return context.squeeze(1), weights


class AdditiveAttention(Attention):
    """A small network as the score: v . tanh(W q + U h) (Bahdanau et al. 2015, section A.1.2).

    One head; the context is the mean of the encoder states themselves. The memory that it takes in
    training grows as T * S * H.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)  # W
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)  # U
        self.score = nn.Linear(hidden_size, 1, bias=False)  # v
        for layer in (self.query, self.key, self.score):
            nn.init.xavier_uniform_(layer.weight)

    def remember(self, encoded: Tensor, mask: Tensor) -> Memory:
        """Project encoded (B, S, H), mask (B, S) -> keys U h; the values are h itself."""
        return Memory(self.key(encoded).unsqueeze(1), encoded.unsqueeze(1), mask)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attend with queries (B, T, H) -> context (B, T, H), weights (B, 1, T, S) summing to 1."""
        q = self.query(queries)[:, None, :, None]  # (B, 1, T, 1, H)
        scores = self.score(torch.tanh(q + memory.keys.unsqueeze(2))).squeeze(-1)  # (B, 1, T, S)
        context, weights = _attend(scores, memory)
        return context.squeeze(1), weights


def make_attention(config: ModelConfig) -> Attention | None:
    """Make the attention that `config` asks for; None: the model has none."""
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
