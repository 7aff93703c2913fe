"""A recurrent layer over a whole sequence, with fused kernels or step by step."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.config.model_config import Kernels
from seq2seq.nn.cells import CellType, Weights, cell_type

State = tuple[Tensor, ...]
"""The state of a layer: `(hidden, cell)` for an LSTM, `(hidden,)` for GRU and RNN, each (N, H)."""

_FUSED: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
_KERNEL: dict[str, Any] = {"lstm": torch.lstm, "gru": torch.gru, "rnn": torch.rnn_tanh}


class CellParameters(nn.Module):
    """The weights of a cell that runs step by step, under the names that torch's layers use."""

    def __init__(self, cell: CellType, input_size: int, hidden_size: int) -> None:
        super().__init__()
        rows = len(cell.blocks) * hidden_size
        self.weight_ih_l0 = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(rows))
        self.bias_hh_l0 = nn.Parameter(torch.empty(rows))
        for name in cell.vectors:
            self.register_parameter(name, nn.Parameter(torch.zeros(hidden_size)))
        for weight in (self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0):
            # Draw as many random numbers as torch's layers do, so both kernels train alike.
            nn.init.uniform_(weight, -(hidden_size**-0.5), hidden_size**-0.5)


class RecurrentLayer(nn.Module):
    """Runs one of the cells of `seq2seq.nn.cells` over time, left to right.

    The input is not packed: on a CPU, torch's fast oneDNN kernel takes unpacked input only. As the
    layer runs left to right, padding on the right does not affect the tokens before it.

    In training, each recurrent weight is dropped with the probability `weight_drop`, the same
    weights at all positions of the whole batch (DropConnect; Merity et al. 2018, section 2).
    """

    def __init__(
        self,
        cell: str | CellType,
        input_size: int,
        hidden_size: int,
        kernels: Kernels = "fused",
        weight_drop: float = 0.0,
    ) -> None:
        """Make a layer of a built-in cell, given by name, or of a `CellType`, run step by step."""
        super().__init__()
        self.weight_drop = weight_drop
        self.cell = cell_type(cell)
        # Both kinds are called `fused`, so that the same weights fit both.
        self.fused: Any = (
            _FUSED[cell](input_size, hidden_size, batch_first=True)
            if isinstance(cell, str) and cell in _FUSED and kernels == "fused"
            else CellParameters(self.cell, input_size, hidden_size)
        )
        for name, weight in self.fused.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(weight)
            elif name.startswith("weight_hh"):
                for block in weight.data.split(hidden_size):
                    nn.init.orthogonal_(block)
            else:
                nn.init.zeros_(weight)
        biases = self.fused.get_parameter("bias_ih_l0").data.split(hidden_size)
        for block in self.cell.open_at_first:
            biases[self.cell.blocks.index(block)].fill_(1.0)

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over inputs (B, T, X), from zeros if no state is given.

        Returns the outputs (B, T, H) and the last state.
        """
        if isinstance(self.fused, CellParameters):
            trace = self.trace(inputs, state)
            return trace[0], tuple(part[:, -1] for part in trace[: len(self.cell.states)])
        if self.training and self.weight_drop:
            return self._run_dropped(inputs, state)
        has_one_state = len(self.cell.states) == 1
        if state is None:
            outputs, last = self.fused(inputs)
        else:
            stacked = tuple(part.unsqueeze(0) for part in state)  # each (1, B, H)
            outputs, last = self.fused(inputs, stacked[0] if has_one_state else stacked)
        parts = (last,) if has_one_state else last
        return outputs, tuple(part.squeeze(0) for part in parts)

    def _run_dropped(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Run torch's kernel with some of the recurrent weights dropped."""
        parameters = self._dropped_parameters()
        if state is None:
            size = self.fused.hidden_size
            state = (inputs.new_zeros(len(inputs), size),) * len(self.cell.states)
        stacked = tuple(part.unsqueeze(0) for part in state)  # each (1, B, H)
        kernel = _KERNEL[self.fused.mode.partition("_")[0].lower()]
        outputs, *last = kernel(
            inputs,
            stacked[0] if len(stacked) == 1 else stacked,
            [*parameters.values()],
            True,  # biases
            1,  # layer
            0.0,  # dropout between layers
            True,  # training
            False,  # bidirectional
            True,  # batch first
        )
        return outputs, tuple(part.squeeze(0) for part in last)

    def _dropped_parameters(self) -> dict[str, Tensor]:
        """Return the parameters by name, in torch's order, with the recurrent weights dropped."""
        parameters = dict(self.fused.named_parameters())
        if self.training and self.weight_drop:
            hidden = parameters["weight_hh_l0"]
            parameters["weight_hh_l0"] = functional.dropout(hidden, self.weight_drop)
        return parameters

    def trace(self, inputs: Tensor, state: State | None = None) -> Any:
        """Run the cell step by step over inputs (B, T, X), in float32, and return all its values.

        The result is the NamedTuple of the cell's step function, with fields (B, T, H).
        """
        parameters = self._dropped_parameters()
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = Weights(*(parameters[name] for name in names))
        vectors = {name: parameters[name] for name in self.cell.vectors}
        if state is None:
            size = weights.hidden.shape[1]
            state = (inputs.new_zeros(len(inputs), size),) * len(self.cell.states)
        steps = []
        with torch.autocast(inputs.device.type, enabled=False):
            state = tuple(part.to(weights.hidden.dtype) for part in state)
            for x in inputs.to(weights.hidden.dtype).unbind(1):
                steps.append(self.cell.step(x, *state, weights, **vectors))
                state = steps[-1][: len(state)]
            fields = (torch.stack(values, dim=1) for values in zip(*steps, strict=True))
            return type(steps[0])(*fields)


@torch.no_grad()
def computes_as_built_in(cell: str) -> bool:
    """Return whether the built-in cell of that name computes the same as torch's fused layer."""
    with torch.random.fork_rng(devices=[]):
        layer = RecurrentLayer(cell, 4, 4)
        for weight in layer.parameters():
            nn.init.normal_(weight)
        inputs = torch.randn(2, 5, 4)
    outputs, _ = layer(inputs)
    return bool(torch.allclose(outputs, layer.trace(inputs).hidden, atol=1e-4))


def reverse_rows(lengths: Tensor, size: int) -> Tensor:
    """Return row numbers that reverse each sequence within its length; padding stays in place.

    lengths (B,) -> (B * size,), for `index_select` on a (B * size, H) view. The permutation is its
    own inverse.
    """
    position = torch.arange(size, device=lengths.device).expand(len(lengths), size)  # (B, S)
    last = lengths.unsqueeze(1) - 1
    mirrored = torch.where(position <= last, last - position, position)  # (B, S)
    first_row = torch.arange(len(lengths), device=lengths.device).unsqueeze(1) * size
    return (first_row + mirrored).flatten()
