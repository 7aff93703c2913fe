"""The decoder: writes the target, one token at a time.

The output of the first layer is the query of the attention, whose context goes to the layers above
but never back into the first layer (as in GNMT and RNMT+). So with teacher forcing each layer runs
over the whole target in one fused call, without a loop over time in Python.

With input feeding (Luong et al. 2015, section 3.3) the first layer also reads the readout of the
previous position, so the positions must be computed one by one, in a loop.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.config.model_config import ModelConfig
from seq2seq.nn.attention import Memory, make_attention
from seq2seq.nn.cells import CellType, cell_type
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.recurrent import RecurrentLayer, State


class Decoded(NamedTuple):
    """The decoder's output at T positions (or for K hypotheses at one position)."""

    features: Tensor  # (B, T, F), F = 2 H with attention, else H; the input of `Decoder.readout`
    weights: Tensor | None  # (B, G, T, S), the attention of each head
    states: list[State]  # per layer, after the last position; with input feeding also the readout


class Decoder(nn.Module):
    """Recurrent layers with attention after the first one, and the readout below the softmax."""

    def __init__(
        self,
        config: ModelConfig,
        dropout: float,
        cell: str | CellType,
        *,
        tied_dropout: bool = False,
        weight_drop: float = 0.0,
    ) -> None:
        super().__init__()
        size, layers = config.hidden_size, config.decoder_layers
        self.input_feeding = config.input_feeding
        inputs = [2 * size if self.input_feeding else size, *[size] * (layers - 1)]
        self.layers = nn.ModuleList(
            RecurrentLayer(cell, input_size, size, config.kernels, weight_drop)
            for input_size in inputs
        )
        self.parts = len(cell_type(cell).states)
        self.bridge = nn.Linear(size, layers * self.parts * size)
        self.attention = make_attention(config)
        if self.attention is not None:
            self.norm = nn.LayerNorm(size)
        self.project = nn.Linear(size if self.attention is None else 2 * size, size)
        self.dropout = Dropout(dropout, tied_dropout)
        self.readout_dropout = Dropout(dropout)  # never tied: its input has no sentence dimension
        for layer in (self.bridge, self.project):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def initial_states(self, final_state: Tensor) -> list[State]:
        """Compute the state of each layer before the first token from final_state (B, H).

        With input feeding, zeros (B, H) follow: the readout that is fed to the first token.
        """
        parts = self.bridge(final_state).tanh().chunk(len(self.layers) * self.parts, dim=-1)
        states = [parts[i : i + self.parts] for i in range(0, len(parts), self.parts)]
        return [*states, (torch.zeros_like(final_state),)] if self.input_feeding else states

    def forward(self, embedded: Tensor, memory: Memory, states: list[State]) -> Decoded:
        """Decode with teacher forcing; embedded (B, T, H) is the target shifted by one."""
        if self.input_feeding:
            return self._forward_by_steps(embedded, memory, states)
        below, first = self.layers[0](embedded, states[0])
        below = self.dropout(below)  # (B, T, H)
        context, weights = self._attend(below, memory)
        x = below if context is None else below + context
        last = [first]
        for layer, state in zip(list(self.layers)[1:], states[1:], strict=True):
            y, new = layer(x, state)
            x = x + self.dropout(y)
            last.append(new)
        return Decoded(x if context is None else torch.cat([x, context], dim=-1), weights, last)

    def step(self, embedded: Tensor, memory: Memory, states: list[State]) -> Decoded:
        """Decode one token for each of K hypotheses per sentence.

        embedded is (B, K, H), states are (B * K, H). It computes the same as `forward` with T = 1;
        the dimension of the positions holds the hypotheses, which share their sentence's memory.
        """
        grid = embedded.shape[:2]  # (B, K)
        x = embedded
        if self.input_feeding:
            *states, (fed,) = states
            x = torch.cat([x, fed.view(*grid, -1)], dim=-1)  # (B, K, 2 H)
        context, weights, new_states = None, None, []
        for number, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            y, new = layer(x.flatten(0, 1).unsqueeze(1), state)  # (B * K, 1, H)
            y = self.dropout(y.view(*grid, -1))  # (B, K, H)
            new_states.append(new)
            x = x + y if number else y
            if number == 0:
                context, weights = self._attend(x, memory)
                x = x if context is None else x + context
        features = x if context is None else torch.cat([x, context], dim=-1)
        if self.input_feeding:
            new_states.append((self.readout(features).flatten(0, 1),))
        return Decoded(features, weights, new_states)

    def _forward_by_steps(self, embedded: Tensor, memory: Memory, states: list[State]) -> Decoded:
        """Compute `forward` position by position."""
        steps = []
        for token in embedded.unbind(dim=1):  # each (B, H)
            steps.append(self.step(token.unsqueeze(1), memory, states))
            states = steps[-1].states
        features, weights, _ = zip(*steps, strict=True)
        return Decoded(torch.cat(features, dim=1), torch.cat(weights, dim=2), states)

    def readout(self, features: Tensor) -> Tensor:
        """Project features (..., F) to (..., H), which is compared with the word embeddings."""
        output: Tensor = self.readout_dropout(self.project(features).tanh())
        return output

    def _attend(self, queries: Tensor, memory: Memory) -> tuple[Tensor | None, Tensor | None]:
        if self.attention is None:
            return None, None
        context, weights = self.attention(queries, memory)
        return self.norm(context), weights
