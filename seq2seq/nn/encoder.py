"""The encoder: reads the source in both directions."""

import torch
from torch import Tensor, nn

from seq2seq.config.model_config import ModelConfig
from seq2seq.nn.cells import CellType
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.recurrent import RecurrentLayer, reverse_rows


class BidirectionalLayer(nn.Module):
    """Two layers of H / 2 units, one forward, one backward; padding never leaks."""

    def __init__(self, config: ModelConfig, cell: str | CellType, weight_drop: float = 0.0) -> None:
        super().__init__()
        size = config.hidden_size
        self.forwards = RecurrentLayer(cell, size, size // 2, config.kernels, weight_drop)
        self.backwards = RecurrentLayer(cell, size, size // 2, config.kernels, weight_drop)

    def forward(self, inputs: Tensor, reverse: Tensor) -> Tensor:
        """Read inputs (B, S, H) both ways; reverse (B * S,) is from `reverse_rows` -> (B, S, H)."""
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

        The final state is what both directions know at their last token: the whole sentence.
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
    """Put the (B * S) rows of x (B, S, H) in another order."""
    return _rows(x, rows).view_as(x)


def _rows(x: Tensor, rows: Tensor) -> Tensor:
    """Take rows of the (B * S, H) view of x (B, S, H), no row twice."""
    # By torch's list (`use_deterministic_algorithms`) the backward pass of x[rows] adds in no fixed
    # order on a CPU, and that of index_select on a GPU: where no row comes twice, none is needed.
    return x.flatten(0, 1).index_select(0, rows)
