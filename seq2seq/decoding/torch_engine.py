"""Runs the torch network behind the search: validation during training, and translation on a GPU.

What ships runs on ONNX Runtime, see `seq2seq.decoding.onnx_engine`.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seq2seq.decoding.protocol import Step
from seq2seq.nn.attention import Memory
from seq2seq.nn.model import EncoderDecoder
from seq2seq.nn.recurrent import State


@dataclass(frozen=True, eq=False)
class TorchState:
    """What the next step needs to know of B sentences with K hypotheses each."""

    memory: Memory  # of B sentences, shared by their hypotheses
    layers: list[State]  # per decoder layer, each part (B * K, H)
    beam: int  # K
    source_size: int  # S; the memory of a model without attention is empty

    def select(self, parents: NDArray[np.int64]) -> Self:
        """The state of the hypotheses `parents` (B', K'), by their row numbers b * K + k."""
        device = self.layers[0][0].device
        sentences = parents[:, 0] // self.beam
        memory = self.memory
        if not np.array_equal(sentences, np.arange(len(memory.mask))):
            kept = torch.from_numpy(sentences).to(device)
            memory = Memory(*(part.index_select(0, kept) for part in memory))
        rows = torch.from_numpy(parents.reshape(-1)).to(device)
        layers = [tuple(part.index_select(0, rows) for part in layer) for layer in self.layers]
        return type(self)(memory, layers, parents.shape[1], self.source_size)


class TorchEngine:
    """An `Engine` over a model on `device`, in float32 and without gradients.

    The model is used as it is at each call: put it into evaluation mode first.
    """

    def __init__(self, model: EncoderDecoder, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device)

    def start(self, source: NDArray[np.int64], lengths: NDArray[np.int64]) -> TorchState:
        """source (B, S), lengths (B,) -> the state before the first token, with K = 1."""
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            memory, layers = self.model.encode(self._tensor(source), self._tensor(lengths))
        return TorchState(memory, layers, beam=1, source_size=source.shape[1])

    def step(self, state: TorchState, tokens: NDArray[np.int64]) -> Step[TorchState]:
        """tokens (B, K) -> the log-probabilities of what follows, and the state after them."""
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            log_probs, weights, layers = self.model.step(
                self._tensor(tokens), state.memory, state.layers
            )
            mean = (
                log_probs.new_zeros(*tokens.shape, state.source_size)
                if weights is None
                else weights.mean(dim=1)
            )  # (B, K, S)
        new_state = TorchState(state.memory, layers, state.beam, state.source_size)
        return Step(log_probs.cpu().numpy(), mean.cpu().numpy(), new_state)

    def _tensor(self, array: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
