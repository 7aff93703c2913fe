"""Runs a torch network for the search: validation during training, translation on a GPU.

Exported models run on ONNX Runtime, see `seq2seq.engines.onnx_engine`.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seq2seq.nn.attention import Memory
from seq2seq.nn.model import EncoderDecoder
from seq2seq.nn.recurrent import State
from seq2seq.search.engine_protocol import Ints, Step, grid, renumber


@dataclass(frozen=True, eq=False)
class TorchState:
    """The state of B sentences with N hypotheses."""

    memory: Memory  # of B sentences, shared by their hypotheses
    layers: list[State]  # one per decoder layer, each part (N, H)
    sentences: Ints  # (N,) ascending
    source_size: int  # S; the memory of a model without attention is empty

    def select(self, rows: Ints) -> Self:
        """Return the state of the hypotheses `rows` (N',)."""
        device = self.layers[0][0].device
        kept, sentences = renumber(self.sentences[rows])
        memory = self.memory
        if len(kept) < len(memory.mask):
            chosen = torch.from_numpy(kept).to(device)
            memory = Memory(*(part.index_select(0, chosen) for part in memory))
        layers = _rows(self.layers, torch.from_numpy(rows).to(device))
        return type(self)(memory, layers, sentences, self.source_size)


class TorchEngine:
    """An `Engine` over a model on `device`, in float32 and without gradients.

    The model is used in its present mode: put it into evaluation mode first.
    """

    def __init__(self, model: EncoderDecoder, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device)

    def candidates(self, source: Ints) -> None:
        """All ids are candidates."""

    def encode(self, source: Ints, lengths: Ints, forced: Ints | None = None) -> TorchState:
        """Encode source (B, S), lengths (B,); return the state before the first token, N = B.

        All ids are candidates, so `forced` changes nothing.
        """
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            memory, layers = self.model.encode(self._tensor(source), self._tensor(lengths))
        return TorchState(memory, layers, np.arange(len(source)), source.shape[1])

    def decode_step(self, state: TorchState, tokens: Ints) -> Step[TorchState]:
        """Read tokens (N,); return the log-probabilities of the next ones, and the new state.

        The network takes a full grid of hypotheses; the results of unused slots are discarded.
        """
        slots, numbers = grid(state.sentences, len(state.memory.mask))  # (B, K), (N,)
        filled = self._tensor(state.sentences * slots.shape[1] + numbers)
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            log_probs, weights, layers = self.model.step(
                self._tensor(tokens[slots]),
                state.memory,
                _rows(state.layers, self._tensor(slots.reshape(-1))),
            )
            mean = (
                log_probs.new_zeros(*slots.shape, state.source_size)
                if weights is None
                else weights.mean(dim=1)
            )  # (B, K, S)
            new_state = TorchState(
                state.memory, _rows(layers, filled), state.sentences, state.source_size
            )
            return Step(_flat(log_probs, filled), None, _flat(mean, filled), new_state)

    def _tensor(self, array: Ints) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def _rows(layers: list[State], rows: Tensor) -> list[State]:
    return [tuple(part.index_select(0, rows) for part in layer) for layer in layers]


def _flat(x: Tensor, places: Tensor) -> NDArray[np.float32]:
    """Select the rows `places` (N,) of x (B, K, X), flattened: (N, X)."""
    array: NDArray[np.float32] = x.flatten(0, 1).index_select(0, places).cpu().numpy()
    return array
