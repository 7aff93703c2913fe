"""The encoder and one decoder step as ONNX graphs, written node by node.

The graphs hold no weights. Each weight is an initializer whose data lie outside, as
`seq2seq.decoding.folder.weight_shapes` lays them out, so that the embedding, which the encoder,
the decoder and the softmax share, exists once.

ONNX Runtime gives a sentence the same bits in every batch, with every padding and number of threads
as long as each number is summed up in the same order. Where that takes care:

* Products with a weight: the weights are packed when they are loaded, and then rows never meet.
  So do the LSTM and GRU operators. The RNN operator does not pack; a plain recurrent encoder
  therefore runs as a GRU whose gates are held by their biases.
* Products with a sentence's memory: a sum is cut into pieces by the number of columns. So
  the columns are hypotheses, never positions; up to 15 of them, a sum over 1,024 positions is in
  one piece. A single row or column takes another kernel: there is one column more than hypotheses.
* The softmax over positions: its sum would run in an order that depends on S. It comes out of the
  product with the values instead, as one more row of ones. Padding adds zeros at the end.

Shapes: B sentences, S source positions, K hypotheses, N = B * K, G heads of D dimensions, H hidden,
V vocabulary, C state columns (layers * parts * H).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from seq2seq.config import Cell, ModelConfig
from seq2seq.decoding.folder import WEIGHTS, Shape, weight_shapes

_OPSET, _IR_VERSION = 17, 8  # read by every ONNX Runtime since 1.12


def encoder_graph(model: ModelConfig, vocabulary_size: int) -> bytes:
    """src (B, S), lengths (B,) -> the first states (B, C) and, with attention, the memory.

    The memory is keys (B, G, S, D), values (B, G, D + 1, S) with a row of ones, and mask
    (B, 1, S, 1), 0 or -inf.
    """
    graph = _Graph(weight_shapes(model, vocabulary_size))
    size = model.hidden_size
    lengths = graph.node("Cast", "lengths", to=TensorProto.INT32)
    x = graph.embed(graph.node("Transpose", "src", perm=[1, 0]), size)  # (S, B, H)
    for number in range(model.encoder_layers):
        y = _bidirectional(graph, model, f"encoder.layers.{number}", x, lengths)
        x = graph.node("Add", x, y) if number else y
    encoded = graph.norm(graph.node("Transpose", x, perm=[1, 0, 2]), "encoder.norm")  # (B, S, H)

    last = graph.node("Unsqueeze", graph.node("Sub", "lengths", graph.ints(1)), graph.ints(1))
    at_last = graph.node("GatherND", encoded, last, batch_dims=1)  # (B, H)
    at_first = graph.node("Gather", encoded, graph.constant(np.array(0)), axis=1)  # (B, H)
    reading, _ = graph.split(at_last, size // 2, size // 2)
    _, against = graph.split(at_first, size // 2, size // 2)
    summary = graph.node("Concat", reading, against, axis=-1)  # (B, H)
    graph.node("Tanh", graph.linear(summary, "decoder.bridge"), output="states")

    outputs = [_floats("states", "B", "C")]
    if model.attention == "multihead":
        _remember(graph, model, encoded)
        outputs += _memory(model)
    return graph.serialise([_ints("src", "B", "S"), _ints("lengths", "B")], outputs)


def step_graph(model: ModelConfig, vocabulary_size: int) -> bytes:
    """tokens (B, K), states (N, C) and the memory -> log_probs (B, K, V) and new_states (N, C).

    With attention also attention (B, K, S), the mean over the heads.
    """
    graph = _Graph(weight_shapes(model, vocabulary_size))
    size = model.hidden_size
    parts = 2 if model.cell == "lstm" else 1
    states = graph.split("states", *[size] * (model.decoder_layers * parts))  # each (N, H)
    new_states: list[str] = []
    features: list[str] = []
    x = graph.reshape(graph.embed("tokens", size), -1, size)  # (N, H)
    for number in range(model.decoder_layers):
        state = states[number * parts : (number + 1) * parts]
        new_state = _CELLS[model.cell](graph, f"decoder.layers.{number}", size, x, *state)
        new_states += new_state
        x = graph.node("Add", x, new_state[0]) if number else new_state[0]
        if number == 0 and model.attention == "multihead":
            context = graph.norm(_attend(graph, model, x), "decoder.norm")  # (N, H)
            x = graph.node("Add", x, context)
            features = [context]
    graph.node("Concat", *new_states, axis=-1, output="new_states")

    joined = graph.node("Concat", x, *features, axis=-1)  # (N, F)
    readout = graph.node("Tanh", graph.linear(joined, "decoder.project"))  # (N, H)
    logits = graph.product(readout, "embedding.weight", graph.weight("output_bias"))  # (N, V)
    log_probs = graph.node("LogSoftmax", logits, axis=-1)
    graph.grid(log_probs, "tokens", vocabulary_size, output="log_probs")

    inputs = [_ints("tokens", "B", "K"), _floats("states", "N", "C")]
    outputs = [_floats("log_probs", "B", "K", vocabulary_size), _floats("new_states", "N", "C")]
    if features:
        inputs += _memory(model)
        outputs.append(_floats("attention", "B", "K", "S"))
    return graph.serialise(inputs, outputs)


class _Graph:
    """Collects nodes. A method returns the name of the value that its last node computes."""

    def __init__(self, weights: Mapping[str, Shape]) -> None:
        self._weights = weights
        self._nodes: list[NodeProto] = []
        self._initializers: dict[str, TensorProto] = {}

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """A node with one output, which has a name of its own unless it is one of the graph's."""
        output = output or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def split(self, x: str, *sizes: int, axis: int = -1) -> list[str]:
        """x (..., sum of sizes) -> a part (..., size) each, or along another axis"""
        outputs = [f"Split_{len(self._nodes)}_{part}" for part in range(len(sizes))]
        self._nodes.append(helper.make_node("Split", [x, self.ints(*sizes)], outputs, axis=axis))
        return outputs

    def weight(self, name: str) -> str:
        """A weight of the file, declared where it is first used."""
        if name not in self._initializers:
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=self._weights[name])
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=WEIGHTS)
            self._initializers[name] = tensor
        return name

    def constant(self, value: NDArray[Any]) -> str:
        name = f"{value.dtype}:{value.tolist()}"
        self._initializers[name] = numpy_helper.from_array(value, name)
        return name

    def ints(self, *values: int) -> str:
        """A vector of whole numbers: axes, sizes, positions."""
        return self.constant(np.array(values, np.int64))

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def product(self, x: str, weight: str, added: str = "") -> str:
        """x (N, X) times the transpose of a weight (Y, X), and `added` (Y,) or (N, Y) -> (N, Y)"""
        inputs = [x, self.weight(weight), added] if added else [x, self.weight(weight)]
        return self.node("Gemm", *inputs, transB=1)

    def linear(self, x: str, name: str) -> str:
        """x (N, X) -> (N, Y)"""
        return self.product(x, f"{name}.weight", self.weight(f"{name}.bias"))

    def norm(self, x: str, name: str) -> str:
        """Layer normalisation over the last axis."""
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-5)

    def embed(self, ids: str, size: int) -> str:
        """ids (R, C) -> (R, C, H)"""
        rows = self.node("Gather", self.weight("embedding.weight"), ids)
        return self.node("Mul", rows, self.scalar(size**0.25))  # as `EncoderDecoder` does

    def reshape(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.ints(*shape))

    def grid(self, x: str, like: str, *sizes: int, output: str = "") -> str:
        """x (R * C, ...) -> (R, C, *sizes), where `like` is (R, C)"""
        shape = self.node("Concat", self.node("Shape", like), self.ints(*sizes), axis=0)
        return self.node("Reshape", x, shape, output=output)

    def serialise(self, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]) -> bytes:
        initializers = list(self._initializers.values())
        graph = helper.make_graph(self._nodes, "seq2seq", inputs, outputs, initializers)
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        return bytes(model.SerializeToString())


def _bidirectional(graph: _Graph, model: ModelConfig, name: str, x: str, lengths: str) -> str:
    """x (S, B, H) -> (S, B, H), the two directions side by side"""
    weights = [graph.weight(f"{name}.{part}") for part in ("input", "hidden", "bias")]
    size = model.hidden_size // 2
    shared: dict[str, Any] = {"hidden_size": size, "direction": "bidirectional"}
    if model.cell == "lstm":
        y = graph.node("LSTM", x, *weights, lengths, **shared)  # (S, 2, B, H / 2)
    else:
        y = graph.node("GRU", x, *weights, lengths, linear_before_reset=1, **shared)
    return graph.reshape(graph.node("Transpose", y, perm=[0, 2, 1, 3]), 0, 0, 2 * size)


def _remember(graph: _Graph, model: ModelConfig, encoded: str) -> None:
    """encoded (B, S, H) -> the memory, so laid out that a step only multiplies"""
    heads, size = model.heads, model.hidden_size
    rows = graph.reshape(encoded, -1, size)  # (B * S, H)
    both = graph.product(rows, "decoder.attention.key_value.weight")  # (B * S, 2 H)
    keys, values = (
        graph.grid(part, "src", heads, size // heads) for part in graph.split(both, size, size)
    )  # each (B, S, G, D)
    scaled = graph.node("Mul", keys, graph.scalar(math.sqrt(heads / size)))
    graph.node("Transpose", scaled, perm=[0, 2, 1, 3], output="keys")

    columns = graph.node("Transpose", values, perm=[0, 2, 3, 1])  # (B, G, D, S)
    one_row = graph.ints(0, 0, 0, 0, 0, 0, 1, 0)
    graph.node("Pad", columns, one_row, graph.scalar(1.0), output="values")

    zero, one = graph.constant(np.array(0)), graph.constant(np.array(1))
    source_size = graph.node("Gather", graph.node("Shape", "src"), one)
    positions = graph.node("Range", zero, source_size, one)  # (S,)
    is_token = graph.node("Less", positions, graph.node("Unsqueeze", "lengths", graph.ints(1)))
    mask = graph.node("Where", is_token, graph.scalar(0.0), graph.scalar(-math.inf))  # (B, S)
    graph.node("Unsqueeze", mask, graph.ints(1, 3), output="mask")


def _attend(graph: _Graph, model: ModelConfig, x: str) -> str:
    """x (N, H) -> what the attention finds for each row (N, H)"""
    heads, size = model.heads, model.hidden_size
    queries = graph.product(x, "decoder.attention.query.weight")  # (N, H)
    by_hypothesis = graph.grid(queries, "tokens", heads, size // heads)  # (B, K, G, D)
    columns = graph.node("Transpose", by_hypothesis, perm=[0, 2, 3, 1])  # (B, G, D, K)
    one_more = graph.node("Pad", columns, graph.ints(0, 0, 0, 0, 0, 0, 0, 1))  # (..., K + 1)

    scores = graph.node("Add", graph.node("MatMul", "keys", one_more), "mask")  # (B, G, S, K + 1)
    highest = graph.node("ReduceMax", scores, axes=[2])
    powers = graph.node("Exp", graph.node("Sub", scores, highest))
    sums = graph.node("MatMul", "values", powers)  # (B, G, D + 1, K + 1)
    weighted, total = graph.split(sums, size // heads, 1, axis=2)

    weights = graph.node("Div", powers, total)  # (B, G, S, K + 1)
    mean = graph.node("ReduceMean", weights, axes=[1], keepdims=0)  # (B, S, K + 1)
    first_k = (graph.ints(0), graph.ints(-1), graph.ints(1))
    per_row = graph.node("Transpose", mean, perm=[0, 2, 1])  # (B, K + 1, S)
    graph.node("Slice", per_row, *first_k, output="attention")

    found = graph.node("Div", weighted, total)  # (B, G, D, K + 1)
    rows = graph.node("Slice", graph.node("Transpose", found, perm=[0, 3, 1, 2]), *first_k)
    return graph.product(graph.reshape(rows, -1, size), "decoder.attention.output.weight")


def _lstm(graph: _Graph, name: str, size: int, x: str, hidden: str, cell: str) -> list[str]:
    gates, candidate = graph.split(_affine(graph, name, x, hidden), 3 * size, size)
    update, forget, output = graph.split(graph.node("Sigmoid", gates), size, size, size)
    written = graph.node("Mul", update, graph.node("Tanh", candidate))
    new_cell = graph.node("Add", graph.node("Mul", forget, cell), written)
    return [graph.node("Mul", output, graph.node("Tanh", new_cell)), new_cell]


def _gru(graph: _Graph, name: str, size: int, x: str, hidden: str) -> list[str]:
    from_input = graph.linear(x, f"{name}.input")  # (N, 3 H)
    from_hidden = graph.linear(hidden, f"{name}.hidden")
    x_gates, x_candidate = graph.split(from_input, 2 * size, size)
    h_gates, h_candidate = graph.split(from_hidden, 2 * size, size)
    gates = graph.node("Sigmoid", graph.node("Add", x_gates, h_gates))
    reset, update = graph.split(gates, size, size)
    past = graph.node("Mul", reset, h_candidate)
    candidate = graph.node("Tanh", graph.node("Add", x_candidate, past))
    # (1 - z) * n + z * h
    kept = graph.node("Mul", update, graph.node("Sub", hidden, candidate))
    return [graph.node("Add", candidate, kept)]


def _rnn(graph: _Graph, name: str, size: int, x: str, hidden: str) -> list[str]:
    return [graph.node("Tanh", _affine(graph, name, x, hidden))]


def _affine(graph: _Graph, name: str, x: str, hidden: str) -> str:
    """x (N, H), hidden (N, H) -> what both say to each gate, and the bias (N, gates * H)"""
    return graph.product(hidden, f"{name}.hidden.weight", graph.linear(x, f"{name}.input"))


_CELLS: dict[Cell, Callable[..., list[str]]] = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}


def _memory(model: ModelConfig) -> list[ValueInfoProto]:
    heads, size = model.heads, model.hidden_size // model.heads
    return [
        _floats("keys", "B", heads, "S", size),
        _floats("values", "B", heads, size + 1, "S"),
        _floats("mask", "B", 1, "S", 1),
    ]


def _floats(name: str, *shape: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _ints(name: str, *shape: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)
