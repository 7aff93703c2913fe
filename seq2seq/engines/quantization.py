"""Measure a model on real sentences, for its 8 bits and for the words outside its shortlist.

A weight takes one of 127 values, with a scale for each output. That is 7 bits, because on
processors without VNNI the kernels add two 8-bit products in a signed 16-bit number. An input takes
one of 255 values, evenly spaced up to the largest magnitude seen on real sentences; the state of a
cell never exceeds 1. These activation scales are fixed, so an input is rounded in the same way
whatever else is in the batch, and integer sums are exact in any order.

A shortlist needs one thing more. A softmax over a few candidates gives them all of the probability,
even if the model expects none of them, which favours hypotheses that have gone wrong. The sum of
exp(logit) over all other words is close to exp(w . readout + b). w and b are fitted here and stored
in place of UNK, which is never output: in the softmax, UNK stands for everything outside the list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seq2seq.config.model_config import ModelConfig, SearchConfig
from seq2seq.engines.onnx_builder import CalibrationGraph
from seq2seq.engines.onnx_engine import OnnxEngine, OnnxState
from seq2seq.engines.onnx_graphs import encoder_graph, step_graph
from seq2seq.engines.shortlist import Shortlist
from seq2seq.engines.weights import linear_layers
from seq2seq.search.beam import beam_search
from seq2seq.search.engine_protocol import Ints, Step
from seq2seq.tokenizer import EOS_ID, UNK_ID

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibrated:
    """The results of measuring a model while it translated."""

    ranges: Mapping[str, float]  # largest magnitude of each input, by name of its activation scale
    unlisted: tuple[Doubles, float] | None  # w (H,) and b for words outside the shortlist

    def with_unlisted(self, weights: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return `weights`, in the schema "fp32", with w and b in place of UNK."""
        if self.unlisted is None:
            return dict(weights)
        embedding, bias = weights["embedding.weight"].copy(), weights["output_bias"].copy()
        embedding[UNK_ID], bias[UNK_ID] = self.unlisted
        return {**weights, "embedding.weight": embedding, "output_bias": bias}


def calibrate(
    model: ModelConfig,
    weights: Mapping[str, Floats],
    sources: Sequence[Sequence[int]],
    search: SearchConfig,
    shortlist: Shortlist | None,
) -> Calibrated:
    """Translate `sources` in float32, and measure; `weights` have the schema "fp32"."""
    engine = _CalibrationEngine(model, weights, shortlist)
    for source in sources:
        beam_search(engine, [source], search)
    return Calibrated(engine.ranges, engine.unlisted())


class _CalibrationEngine(OnnxEngine):
    """Translates single sentences in float32 over the whole vocabulary, and measures."""

    def __init__(
        self, model: ModelConfig, weights: Mapping[str, Floats], shortlist: Shortlist | None
    ) -> None:
        graphs = [CalibrationGraph(model, len(weights["embedding.weight"])) for _ in range(2)]
        super().__init__(encoder_graph(graphs[0]), step_graph(graphs[1]), weights, threads=1)
        measured = {name for graph in graphs for name in graph.measured}
        # Inputs inside loops are states of cells: they are not measured, as they never exceed 1.
        self.ranges = {
            name: 0.0 if name in measured else 1.0
            for layer in linear_layers(model).values()
            for name in layer.activation_scales
        }
        self._end = weights["embedding.weight"][EOS_ID], weights["output_bias"][EOS_ID]
        self._calibrated_list = shortlist
        self._candidates: Ints | None = None
        self._readouts: list[Floats] = []  # each (N, H)
        self._normalisers: list[Floats] = []  # (N,) ln of the sum of exp(logit) over candidates
        self._shares: list[Floats] = []  # (N,) probability of all words outside the shortlist

    def encode(self, source: Ints, lengths: Ints, forced: Ints | None = None) -> OnnxState:
        if self._calibrated_list is not None:
            known = self._calibrated_list.candidates(source, forced).ids
            self._candidates = known[known > UNK_ID]
        return super().encode(source, lengths, forced)

    def decode_step(self, state: OnnxState, tokens: Ints) -> Step[OnnxState]:
        step = super().decode_step(state, tokens)
        if self._candidates is not None:
            assert step.readout is not None
            weight, bias = self._end
            # ln Z, (N,)
            everything = step.readout @ weight + bias - step.log_probs[:, EOS_ID]
            within = np.exp(step.log_probs[:, [EOS_ID, *self._candidates]]).sum(axis=1)
            self._readouts.append(step.readout)
            self._normalisers.append(everything + np.log(within))
            self._shares.append(np.clip(1 - within, 0, 1))
        return step

    def unlisted(self) -> tuple[Doubles, float] | None:
        """Fit w (H,) and b: exp(w . readout + b) is the sum over words outside the shortlist."""
        if not self._shares:
            return None
        return _logistic_regression(
            np.concatenate(self._readouts).astype(np.float64),
            np.concatenate(self._normalisers).astype(np.float64),
            np.concatenate(self._shares).astype(np.float64),
        )

    def _run(
        self, session: onnxruntime.InferenceSession, inputs: Mapping[str, NDArray[Any]]
    ) -> dict[str, Floats]:
        outputs = super()._run(session, inputs)
        for name in self.ranges.keys() & outputs.keys():
            self.ranges[name] = max(self.ranges[name], float(outputs.pop(name)))
        return outputs


def _logistic_regression(
    x: Doubles, offsets: Doubles, shares: Doubles, rounds: int = 15, penalty: float = 0.01
) -> tuple[Doubles, float]:
    """Fit w and b of sigmoid(x @ w + b - offsets) = shares by Newton's method.

    x is (N, H), the others (N,). The sigmoid is a softmax between the candidates, exp(offset), and
    the rest, exp(x @ w + b).
    """
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    ridge = penalty * np.eye(x.shape[1])
    w = np.zeros(x.shape[1])
    w[-1] = offsets.mean()

    def loss(w: Doubles) -> float:
        z = x @ w - offsets
        return float((np.logaddexp(0, z) - shares * z).sum() + w @ ridge @ w / 2)

    for _ in range(rounds):
        predicted = np.exp(-np.logaddexp(0, offsets - x @ w))
        gradient = x.T @ (predicted - shares) + ridge @ w
        curvature = x.T @ (x * (predicted * (1 - predicted))[:, None]) + ridge
        step = np.linalg.solve(curvature, gradient)
        # With little data a whole step may overshoot, and the next ones more and more.
        most = loss(w) * (1 + 1e-9)
        while loss(w - step) > most:
            step /= 2
        w -= step
    return w[:-1], float(w[-1])
