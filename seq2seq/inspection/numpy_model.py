"""The network in NumPy, as its equations, one sentence at a time: for inspection, not for speed.

It computes the same as `seq2seq.nn` and the graphs of `seq2seq.engines.onnx_graphs`, with the cells
of `seq2seq.nn.cells`, and keeps all intermediate values. Tests check that all three agree.

A model in 8 bits is computed as such: the inputs of a linear layer are rounded by the activation
scales that were fixed at export, and multiplied by the dequantized weights. This agrees with the
engine's integer arithmetic except in the last bits: everything here is float64, while the engine
uses float32 and its own tanh. Occasionally these bits decide which way a number is rounded, and
later values then differ by a fraction of a quantization step. For the bundled model, over the 3,276
steps of its translations of `data/sample/test.en`, the states agree to within 0.00001 at 96% of the
steps; at the others, states differ by up to 0.08, attention weights by up to 0.003 and
log-probabilities by up to 0.18. Computing in float32 here was tried, and differed as often.

Shapes: S source and T target tokens, G heads of D dimensions, H hidden units, h = H / 2 in each
direction of the encoder, V the vocabulary size.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq.config.model_config import ModelConfig
from seq2seq.engines.weights import cell_parameters
from seq2seq.nn.cells import CellType, GRUStep, Weights, cell_type
from seq2seq.tokenizer import BOS_ID

Floats = NDArray[np.float64]
State = tuple[Floats, ...]
"""The state of a layer, each part (H,): (hidden, cell) for an LSTM, (hidden,) for GRU and RNN."""

Trace = Any
"""Everything that a cell computed over T steps: a named tuple, each field (T, H)."""

_READOUT_SCALE = 1 / 127  # a tanh lies in [-1, 1]


class Encoded(NamedTuple):
    """What the encoder computed for S tokens."""

    layers: tuple[tuple[Trace, Trace], ...]  # forwards and backwards, each (S, h) in source order
    memory: Floats  # (S, H)
    states: tuple[State, ...]  # per decoder layer, before its first token


class Decoded(NamedTuple):
    """What the decoder computed for T tokens: BOS and T - 1 tokens of the translation."""

    layers: tuple[Trace, ...]  # each (T, H)
    attention: Floats | None  # (T, G, S), rows sum to 1; None: the model has none
    readout: Floats  # (T, H), see `Network.logits`


@dataclass(frozen=True, eq=False)
class Layer:
    """A recurrent layer in one direction."""

    cell: CellType
    weights: Weights
    vectors: Mapping[str, Floats]  # further weights of the cell, each (H,)
    input_scale: float | None  # step to whose multiples inputs are rounded; None: no rounding
    hidden_scale: float | None  # the same for hidden states

    def run(self, inputs: Floats, state: State) -> Trace:
        """Run over inputs (T, X) from a state; return everything computed at the T steps."""
        steps: list[Trace] = []
        for x in _rounded(inputs, self.input_scale):
            steps.append(self._step(x, state))
            state = steps[-1][: len(state)]  # the first fields of a step are the new state
        return type(steps[0])(*map(np.stack, zip(*steps, strict=True)))

    def _step(self, x: Floats, state: State) -> Trace:
        hidden = _rounded(state[0], self.hidden_scale)
        step = self.cell.step(x, hidden, *state[1:], self.weights, **self.vectors)
        if isinstance(step, GRUStep):
            # Only linear layers take rounded inputs; the part of the state that a GRU keeps is
            # not rounded.
            return step._replace(hidden=step.hidden + step.update * (state[0] - hidden))
        return step


class Network:
    """An encoder-decoder: encode a source once, then decode any translation of it."""

    def __init__(
        self,
        config: ModelConfig,
        state: Mapping[str, NDArray[np.floating]],
        scales: Mapping[str, Sequence[float]] | None = None,
        own_cell: CellType | None = None,
    ) -> None:
        """Take the state dict of an `EncoderDecoder`; for 8 bits, its activation scales too.

        See `seq2seq.engines.weights.activation_scales`.
        """
        self.config = config
        self.cell = cell_type(own_cell or config.cell)
        self._weights = {name: weight.astype(np.float64) for name, weight in state.items()}
        self._scales = scales or {}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter, by its name in the state dict."""
        return {name: weight.shape for name, weight in self._weights.items()}

    def encode(self, ids: Sequence[int]) -> Encoded:
        """Read the source, the language tag first, in both directions."""
        half = self.config.hidden_size // 2
        x = self._embed(ids)  # (S, H)
        layers = []
        for number in range(self.config.encoder_layers):
            name = f"encoder.layers.{number}"
            forwards = self._layer(f"{name}.forwards").run(x, self._zeros(half))
            reverse = self._layer(f"{name}.backwards").run(x[::-1], self._zeros(half))
            backwards = type(reverse)(*(part[::-1] for part in reverse))
            y = np.concatenate([forwards.hidden, backwards.hidden], axis=-1)  # (S, H)
            x = x + y if number else y
            layers.append((forwards, backwards))
        memory = self._norm("encoder.norm", x)
        final_state = np.concatenate([memory[-1, :half], memory[0, half:]])  # (H,)
        return Encoded(tuple(layers), memory, self._first_states(final_state))

    def decode(self, encoded: Encoded, ids: Sequence[int]) -> Decoded:
        """Read BOS and the `ids` of a translation: T = len(ids) + 1 steps; the last predicts EOS.

        The first layer queries the attention but takes no input from it, so each layer runs over
        all steps before the next layer begins. With input feeding, all layers run step by step.
        """
        x = self._embed([BOS_ID, *ids])  # (T, H)
        if not self.config.input_feeding:
            return self._decode(encoded, x, encoded.states)
        fed, states, steps = np.zeros_like(x[0]), encoded.states, []
        for token in x:
            step = self._decode(encoded, np.concatenate([token, fed])[None], states)
            steps.append(step)
            parts = len(self.cell.states)
            states = tuple(tuple(part[-1] for part in trace[:parts]) for trace in step.layers)
            fed = step.readout[-1]
        layers, attention, readout = zip(*steps, strict=True)
        traces = tuple(
            type(layer[0])(*map(np.concatenate, zip(*layer, strict=True)))
            for layer in zip(*layers, strict=True)
        )
        return Decoded(traces, np.concatenate(attention), np.concatenate(readout))

    def _decode(self, encoded: Encoded, x: Floats, states: tuple[State, ...]) -> Decoded:
        """Run over x, (T, H) or with input feeding (1, 2 H), from the states of the layers."""
        first, *above = [
            self._layer(f"decoder.layers.{n}") for n in range(self.config.decoder_layers)
        ]
        traces = [first.run(x, states[0])]
        x = traces[0].hidden
        features, attention = [], None
        if self.config.attention != "none":
            found, attention = self._attend(x, encoded.memory)
            context = self._norm("decoder.norm", found)
            x = x + context
            features = [context]
        for layer, state in zip(above, states[1:], strict=True):
            traces.append(layer.run(x, state))
            x = x + traces[-1].hidden
        readout = np.tanh(self._linear("decoder.project", x, *features))  # (T, H)
        return Decoded(tuple(traces), attention, readout)

    def logits(self, readout: Floats) -> Floats:
        """Return the logits (T, V) of the readout (T, H); the embeddings serve as weights."""
        x = _rounded(readout, _READOUT_SCALE if self._scales else None)
        return x @ self._weights["embedding.weight"].T + self._weights["output_bias"]

    def _attend(self, queries: Floats, memory: Floats) -> tuple[Floats, Floats]:
        """Attend with queries (T, H) to memory (S, H) -> context (T, H), weights (T, G, S).

        weights = softmax(q k / sqrt(D)), found = weights v  (Vaswani et al. 2017, section 3.2.1).
        For the kinds of attention with one head, see `seq2seq.nn.attention`.
        """
        if self.config.attention != "multihead":
            weights = _softmax(self._scores(queries, memory))  # (T, S)
            return weights @ memory, weights[:, None]
        keys, values = np.split(self._linear("decoder.attention.key_value", memory), 2, axis=-1)
        q, k, v = map(
            self._by_head, (self._linear("decoder.attention.query", queries), keys, values)
        )  # (G, T, D), (G, S, D), (G, S, D)
        weights = _softmax(q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1]))  # (G, T, S)
        found = (weights @ v).swapaxes(0, 1).reshape(queries.shape)  # (T, H)
        return self._linear("decoder.attention.output", found), weights.swapaxes(0, 1)

    def _scores(self, queries: Floats, memory: Floats) -> Floats:
        """Score memory (S, H) for queries (T, H) -> (T, S), for an attention with one head."""
        if self.config.attention == "dot":
            return queries @ memory.T
        q = self._linear("decoder.attention.query", queries)[:, None]  # (T, 1, H)
        summed = np.tanh(q + self._linear("decoder.attention.key", memory))  # (T, S, H)
        scores: Floats = self._linear("decoder.attention.score", summed)[..., 0]
        return scores

    def _by_head(self, x: Floats) -> Floats:
        """Split x (T, H) by head -> (G, T, D)."""
        return x.reshape(len(x), self.config.heads, -1).swapaxes(0, 1)

    def _first_states(self, final_state: Floats) -> tuple[State, ...]:
        """Map final_state (H,) to the state of each decoder layer before the first token."""
        layers = self.config.decoder_layers
        states = np.tanh(self._linear("decoder.bridge", final_state))  # (layers * parts * H,)
        return tuple(tuple(state) for state in states.reshape(layers, -1, len(final_state)))

    def _embed(self, ids: Sequence[int]) -> Floats:
        embedded: Floats = self._weights["embedding.weight"][list(ids)]
        return embedded * self.config.embedding_scale

    def _norm(self, name: str, x: Floats) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
        scale, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        normalised: Floats = centred / deviation
        return normalised * scale + bias

    def _linear(self, name: str, *inputs: Floats) -> Floats:
        """Apply the linear layer `name` to inputs (..., X1), (..., X2) side by side -> (..., Y)."""
        scales = self._scales.get(f"{name}.weight", [None] * len(inputs))
        parts = [_rounded(x, scale) for x, scale in zip(inputs, scales, strict=True)]
        bias = self._weights.get(f"{name}.bias", 0.0)
        return np.concatenate(parts, axis=-1) @ self._weights[f"{name}.weight"].T + bias

    def _zeros(self, size: int) -> State:
        return (np.zeros(size),) * len(self.cell.states)

    def _layer(self, name: str) -> Layer:
        names = cell_parameters(name)
        scales = (self._scales.get(weight, [None])[0] for weight in (names.input, names.hidden))
        vectors = {vector: self._weights[f"{name}.fused.{vector}"] for vector in self.cell.vectors}
        weights = Weights(*map(self._weights.__getitem__, names))
        return Layer(self.cell, weights, vectors, *scales)


def _rounded(x: Floats, scale: float | None) -> Floats:
    """Round x to one of 256 values, as the engine does for 8 bits; return x if `scale` is None."""
    return x if scale is None else np.clip(np.rint(x / scale), -128, 127) * scale


def _softmax(x: Floats) -> Floats:
    """Compute the softmax over the last axis."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    softmax: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return softmax
