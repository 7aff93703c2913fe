"""One recurrent layer over a whole sequence: torch's fused kernels under one signature."""

import torch
from torch import Tensor, nn

from seq2seq.config.model_config import Cell

State = tuple[Tensor, ...]
"""A layer's state, each (N, H): `(hidden, cell)` for an LSTM, `(hidden,)` for GRU and RNN."""

_FUSED = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class RecurrentLayer(nn.Module):
    """Runs one of the cells of `seq2seq.nn.cells` over time, left to right.

    The input is never packed. On a CPU torch has its fast oneDNN kernel for unpacked input only,
    and the layer runs left to right, so padding on the right cannot leak into what is before it.
    """

    def __init__(self, cell: Cell, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.fused = _FUSED[cell](input_size, hidden_size, batch_first=True)
        self.is_lstm = cell == "lstm"
        for name, weight in self.fused.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(weight)
            elif name.startswith("weight_hh"):
                for block in weight.data.split(hidden_size):
                    nn.init.orthogonal_(block)
            else:
                nn.init.zeros_(weight)
        if self.is_lstm:
            # Start with open forget gates, so that the first gradients reach far back
            # (Gers et al. 2000; Jozefowicz et al. 2015).
            self.fused.bias_ih_l0.data[hidden_size : 2 * hidden_size] = 1.0

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over inputs (B, T, X) from a state or zeros -> outputs (B, T, H), the last state."""
        if state is None:
            outputs, last = self.fused(inputs)
        else:
            stacked = tuple(part.unsqueeze(0) for part in state)  # each (1, B, H)
            outputs, last = self.fused(inputs, stacked if self.is_lstm else stacked[0])
        parts = last if self.is_lstm else (last,)
        return outputs, tuple(part.squeeze(0) for part in parts)


def reverse_rows(lengths: Tensor, size: int) -> Tensor:
    """Row numbers that reverse each sequence within its length; padding stays in its place.

    lengths (B,) -> (B * size,), for `index_select` on a (B * size, H) view. It is its own
    inverse.
    """
    position = torch.arange(size, device=lengths.device).expand(len(lengths), size)  # (B, S)
    last = lengths.unsqueeze(1) - 1
    mirrored = torch.where(position <= last, last - position, position)  # (B, S)
    first_row = torch.arange(len(lengths), device=lengths.device).unsqueeze(1) * size
    return (first_row + mirrored).flatten()
