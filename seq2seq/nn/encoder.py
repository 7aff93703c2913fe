"""The encoder: reads the source in both directions."""

import torch
from torch import Tensor, nn

from seq2seq.config.model_config import ModelConfig
from seq2seq.nn.cells import CellType
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.recurrent import RecurrentLayer, reverse_rows


class BidirectionalLayer(nn.Module):
    """A forward and a backward layer of H / 2 units each; padding affects neither."""

    def __init__(self, config: ModelConfig, cell: str | CellType, weight_drop: float = 0.0) -> None:
        super().__init__()
        size = config.hidden_size
        self.forwards = RecurrentLayer(cell, size, size // 2, config.kernels, weight_drop)
        self.backwards = RecurrentLayer(cell, size, size // 2, config.kernels, weight_drop)

    def forward(self, inputs: Tensor, reverse: Tensor) -> Tensor:
        """Read inputs (B, S, H) in both directions -> (B, S, H).

        reverse (B * S,) comes from `reverse_rows`.
        """
        forward, _ = self.forwards(inputs)  # (B, S, H/2)
        backward, _ = self.backwards(_permute(inputs, reverse))
        return torch.cat([forward, _permute(backward, reverse)], dim=-1)


class Encoder(nn.Module):
    """A stack of bidirectional layers with residuals from the second one on (Wu et al. 2016)."""

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
        self.layers = nn.ModuleList(
            BidirectionalLayer(config, cell, weight_drop) for _ in range(config.encoder_layers)
        )
        self.norm = nn.LayerNorm(config.hidden_size)
        self.dropout = Dropout(dropout, tied_dropout)

    def forward(self, embedded: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode embedded (B, S, H), lengths (B,) -> encoded (B, S, H), final state (B, H).

        The final state joins the outputs of both directions after their last token, when each has
        read the whole sentence.
        """
        reverse = reverse_rows(lengths, embedded.shape[1])
        x = embedded
        for number, layer in enumerate(self.layers):
            y = self.dropout(layer(x, reverse))
            x = y if number == 0 else x + y
        encoded = self.norm(x)  # (B, S, H)
        forward, backward = encoded.chunk(2, dim=-1)  # each (B, S, H/2)
        ends = torch.arange(len(lengths), device=lengths.device) * encoded.shape[1] + lengths - 1
        final_state = torch.cat([_rows(forward, ends), backward[:, 0]], dim=-1)  # (B, H)
        return encoded, final_state


def _permute(x: Tensor, rows: Tensor) -> Tensor:
    """Reorder the B * S rows of x (B, S, H) by `rows` (B * S,)."""
    return _rows(x, rows).view_as(x)


def _rows(x: Tensor, rows: Tensor) -> Tensor:
    """Select `rows` of x (B, S, H), seen as (B * S, H); no row may occur twice."""
    # According to torch's documentation of `use_deterministic_algorithms`, the backward pass adds
    # in no fixed order: that of x[rows] on a CPU, that of index_select on a GPU. With index_select
    # and no row twice, nothing is added up, so the order does not matter.
    return x.flatten(0, 1).index_select(0, rows)
