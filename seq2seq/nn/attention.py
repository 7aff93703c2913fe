"""Where the decoder looks: multi-head attention over the encoder's memory."""

import math
from typing import NamedTuple

from torch import Tensor, nn


class Memory(NamedTuple):
    """What the encoder leaves for the decoder, G heads of D = H / G dimensions.

    `keys` and `values` are projected once a sentence, not once a step; both are empty
    (S = 0) in a model without attention.
    """

    keys: Tensor  # (B, G, S, D)
    values: Tensor  # (B, G, S, D)
    mask: Tensor  # (B, S), true where there is a token


class MultiHeadAttention(nn.Module):
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
        hidden = ~memory.mask[:, None, None, :]  # (B, 1, 1, S)
        weights = scores.float().masked_fill(hidden, -math.inf).softmax(dim=-1)
        context = weights.to(memory.values.dtype) @ memory.values  # (B, G, T, D)
        return self.output(context.transpose(1, 2).flatten(2)), weights

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, H) -> (B, G, T, D)"""
        return x.view(*x.shape[:2], self.heads, x.shape[-1] // self.heads).transpose(1, 2)
