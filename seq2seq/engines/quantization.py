"""Weights and activations in 8 bits, and what has to be observed for that.

A weight takes one of 127 values, the scale is its output's own: 7 bits, because on processors
without VNNI the kernels add two products of 8 bits in a signed 16-bit number. An input takes one of
255 values, evenly spaced up to the largest magnitude that was seen on real sentences; what a cell
remembers never exceeds 1. These steps are fixed: an input is rounded in the same way whatever else
is in the batch, and sums of whole numbers are exact in any order.

A shortlist needs one thing more. The softmax over a few candidates gives them all of the
probability, also where the model sees none of them coming, and so it flatters the hypotheses that
have gone astray. What all other words would get together is close to exp(w . readout + b); w and b
are fitted here, and take the place of UNK, which is never written: in the softmax it stands for
everything that is not in the list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seq2seq.config.model_config import ModelConfig, SearchConfig
from seq2seq.engines.onnx_builder import ObservingGraph
from seq2seq.engines.onnx_engine import OnnxEngine, OnnxState
from seq2seq.engines.onnx_graphs import encoder_graph, step_graph
from seq2seq.engines.shortlist import Shortlist
from seq2seq.engines.weights import products
from seq2seq.search.beam import beam_search
from seq2seq.search.engine import Ints, Step
from seq2seq.tokenizer import EOS_ID, UNK_ID

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_WEIGHT_LIMIT = 63
_INPUT_LIMIT = 127


@dataclass(frozen=True, eq=False)
class Observations:
    """What a model was seen to do."""

    peaks: Mapping[str, float]  # PRODUCT.step.NUMBER: the largest magnitude of that input
    rest: tuple[Doubles, float] | None  # w (H,) and b of what is not in the shortlist


def observe(
    model: ModelConfig,
    weights: Mapping[str, Floats],
    sources: Sequence[Sequence[int]],
    search: SearchConfig,
    shortlist: Shortlist | None,
) -> Observations:
    """Translate `sources` in float32 and look; `weights` have the layout "fp32"."""
    observer = _Observer(model, weights, shortlist)
    for source in sources:
        beam_search(observer, [source], search)
    return Observations(observer.peaks, observer.rest())


def quantise(
    model: ModelConfig, weights: Mapping[str, Floats], observations: Observations
) -> dict[str, NDArray[Any]]:
    """The layout "int8" of `weights`, which have the layout "fp32"."""
    quantised: dict[str, NDArray[Any]] = {
        name: weight for name, weight in weights.items() if weight.ndim < 2
    }
    embedding, bias = weights["embedding.weight"].copy(), weights["output_bias"].copy()
    if observations.rest is not None:
        embedding[UNK_ID], bias[UNK_ID] = observations.rest
    quantised["output_bias"] = bias
    quantised["embedding.weight"], quantised["embedding.scale"] = _rows(embedding)
    for name, product in products(model).items():
        parts = np.split(weights[f"{name}.weight"], product.inputs, axis=1)
        for number, part in enumerate(parts):
            peak = max(observations.peaks[f"{name}.step.{number}"], 1e-6)
            step = np.float32(peak / _INPUT_LIMIT)
            quantised[f"{name}.step.{number}"] = np.array(step)
            parts[number] = part * step
        rounded, quantised[f"{name}.scale"] = _rows(np.concatenate(parts, axis=1))
        quantised[f"{name}.weight"] = np.ascontiguousarray(rounded.T)
    return quantised


def _rows(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """weight (Y, X) -> whole numbers (Y, X) and a scale for each row (Y,)"""
    scale = np.maximum(np.abs(weight).max(axis=1), 1e-12) / _WEIGHT_LIMIT
    return np.rint(weight / scale[:, None]).astype(np.int8), scale.astype(np.float32)


class _Observer(OnnxEngine):
    """Computes in float32 over the whole vocabulary, one sentence at a time, and takes notes."""

    def __init__(
        self, model: ModelConfig, weights: Mapping[str, Floats], shortlist: Shortlist | None
    ) -> None:
        graphs = [ObservingGraph(model, len(weights["embedding.weight"])) for _ in range(2)]
        encoder, step = encoder_graph(graphs[0]), step_graph(graphs[1])
        super().__init__(encoder, step, weights, threads=1)
        # The states of cells, inside of loops, are not observed.
        self.peaks = {
            f"{name}.step.{number}": 1.0
            for name, product in products(model).items()
            for number in range(product.inputs)
        }
        observed = {name for graph in graphs for name in graph.observed}
        self.peaks.update(dict.fromkeys(observed & self.peaks.keys(), 0.0))
        self._observed = observed
        self._end = weights["embedding.weight"][EOS_ID], weights["output_bias"][EOS_ID]
        self._list = shortlist
        self._candidates: Ints | None = None
        self._readouts: list[Floats] = []  # each (N, H)
        self._normalisers: list[Floats] = []  # (N,) ln of the sum of exp(logit) over candidates
        self._shares: list[Floats] = []  # (N,) what is not in the shortlist

    def start(self, source: Ints, lengths: Ints, required: Ints | None = None) -> OnnxState:
        if self._list is not None:
            known = self._list.candidates(source, required).ids
            self._candidates = known[known > UNK_ID]
        return super().start(source, lengths, required)

    def step(self, state: OnnxState, tokens: Ints) -> Step[OnnxState]:
        step = super().step(state, tokens)
        if self._candidates is not None:
            readout, log_probs = self._readouts[-1], step.log_probs
            weight, bias = self._end
            everything = readout @ weight + bias - log_probs[:, EOS_ID]  # ln Z, (N,)
            within = np.exp(log_probs[:, [EOS_ID, *self._candidates]]).sum(axis=1)
            self._normalisers.append(everything + np.log(within))
            self._shares.append(np.clip(1 - within, 0, 1))
        return step

    def rest(self) -> tuple[Doubles, float] | None:
        """w (H,) and b such that exp(w . readout + b) is the rest's share of the softmax."""
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
        for name in self._observed & outputs.keys():
            output = outputs.pop(name)
            if name in self.peaks:
                self.peaks[name] = max(self.peaks[name], float(output))
            else:
                self._readouts.append(output)
        return outputs


def _logistic_regression(
    x: Doubles, offsets: Doubles, shares: Doubles, rounds: int = 15, penalty: float = 0.01
) -> tuple[Doubles, float]:
    """w, b of sigmoid(x @ w + b - offsets) = shares by Newton's method; x (N, H), the others (N,)

    That is a softmax between the candidates, exp(offset), and the rest, exp(x @ w + b).
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
        # With little to see a whole step can lead too far, and from there on farther away.
        most = loss(w) * (1 + 1e-9)
        while loss(w - step) > most:
            step /= 2
        w -= step
    return w[:-1], float(w[-1])
