"""The encoder and one decoder step as ONNX graphs.

ONNX Runtime gives a sentence the same bits in any batch, with any padding and number of threads,
provided that each number is summed in the same order. That takes care in four places:
* Products with weights: integer sums are exact in any order. In float32 the weights are packed when
  they are loaded, and rows do not affect each other.
* Products with a sentence's memory: a long sum is cut into pieces at places that depend on the
  number of columns. Sums over positions always have the same columns; sums over the dimensions of a
  head are cut here, into pieces that are never cut again. A single row or column would use another
  kernel, so there is one row more than hypotheses, and a source has at least two positions.
* The softmax over positions: its sum would run in an order that depends on S. Instead, the product
  with the values computes it, by one more column of ones. Padding adds zeros at the end.
* The softmax over candidates, and the product with their pool: both have a multiple of 64 columns,
  so that all vector registers are full. There is one pool for all sentences of a batch, from which
  each takes its own candidates, since one large product is faster than many small ones.

Shapes: B sentences, S source positions, N hypotheses, up to K of them (and one more column) per
sentence, A heads of D dimensions, H hidden, V vocabulary, C candidates for the next token from a
pool of U, M state columns (layers * parts * H).
"""

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np

from seq2seq.config.model_config import ModelConfig
from seq2seq.engines import onnx_wire
from seq2seq.engines.onnx_builder import Graph, QuantizedGraph
from seq2seq.engines.weights import GATE_ORDER, states_of

_ONE_PIECE = 128  # length up to which ONNX Runtime never cuts a sum


def encoder_graph(graph: Graph, shortlist: bool = False) -> bytes:
    """Build the encoder: src (B, S), lengths (B,) -> first states (B, M) and the memory.

    With attention, the memory is keys (B, A, D, S), values (B, A, S, D + 1) with a column of ones,
    and mask (B, 1, 1, S), 0 or -inf. With a shortlist, there is also pool (U,), the candidates of
    all sentences, and the outputs of `QuantizedGraph.remember_candidates`.
    """
    model, size = graph.model, graph.model.hidden_size
    x = graph.embed(graph.node("Transpose", "src", perm=[1, 0]))  # (S, B, H)
    for number in range(model.encoder_layers):
        y = _bidirectional(graph, f"encoder.layers.{number}", x)
        x = graph.node("Add", x, y) if number else y
    encoded = graph.norm(graph.node("Transpose", x, perm=[1, 0, 2]), "encoder.norm")  # (B, S, H)

    last = graph.node("Unsqueeze", graph.node("Sub", "lengths", graph.ints(1)), graph.ints(1))
    at_last = graph.node("GatherND", encoded, last, batch_dims=1)  # (B, H)
    at_first = graph.node("Gather", encoded, graph.constant(np.array(0)), axis=1)  # (B, H)
    forward, _ = graph.split(at_last, size // 2, size // 2)
    _, backward = graph.split(at_first, size // 2, size // 2)
    final_state = graph.side_by_side(forward, backward)  # (B, H)
    graph.node("Tanh", graph.linear("decoder.bridge", final_state), output="states")

    inputs, outputs = [_ints("src", "B", "S"), _ints("lengths", "B")], [_floats("states", "B", "M")]
    if model.attention == "multihead":
        _remember(graph, encoded)
        outputs += _attention_memory(model)
    if shortlist:
        assert isinstance(graph, QuantizedGraph)
        inputs.append(_ints("pool", "U"))
        graph.remember_candidates("pool")
        outputs += _candidate_memory(model)
    return graph.serialise(inputs, outputs)


def step_graph(graph: Graph, shortlist: bool = False) -> bytes:
    """Build a step: tokens (N,), states (N, M), memory -> log_probs (N, C), new_states (N, M).

    Further inputs are slots (B, K + 1), the row in each slot, and places (N, 2), the sentence and
    slot of each row. With attention there is also attention (N, S), the mean over the heads.
    Without a shortlist, C = V; with one, there are columns (B, C), the places of each sentence's
    candidates in the pool, and sentences (N,), the sentence of each row.
    """
    model, size = graph.model, graph.model.hidden_size
    parts = states_of(model)
    states = graph.split("states", *[size] * (model.decoder_layers * parts))  # each (N, H)
    new_states: list[str] = []
    features: list[str] = []
    x = graph.embed("tokens")  # (N, H)
    for number in range(model.decoder_layers):
        state = states[number * parts : (number + 1) * parts]
        name = f"decoder.layers.{number}"
        if model.cell == "gru":
            sums = [graph.linear(f"{name}.input", x), graph.linear(f"{name}.hidden", state[0])]
        else:
            sums = [graph.linear(name, x, state[0])]
        new_state = _advance(graph, model.cell, size, sums, state)
        new_states += new_state
        x = graph.node("Add", x, new_state[0]) if number else new_state[0]
        if number == 0 and model.attention == "multihead":
            context = graph.norm(_attend(graph, x), "decoder.norm")  # (N, H)
            x = graph.node("Add", x, context)
            features = [context]
    graph.node("Concat", *new_states, axis=-1, output="new_states")

    readout = graph.node("Tanh", graph.linear("decoder.project", x, *features))  # (N, H)
    if shortlist:
        assert isinstance(graph, QuantizedGraph)
        columns = graph.node("Gather", "columns", "sentences")  # (N, C)
        logits = graph.candidate_logits(readout, columns)
    else:
        logits = graph.logits(readout)  # (N, V)
    graph.node("LogSoftmax", logits, axis=-1, output="log_probs")

    inputs = [_ints("tokens", "N"), _floats("states", "N", "M")]
    outputs = [_floats("log_probs", "N", "C"), _floats("new_states", "N", "M")]
    if features:
        inputs += [_ints("slots", "B", "K1"), _ints("places", "N", 2)]
        inputs += _attention_memory(model)
        outputs.append(_floats("attention", "N", "S"))
    if shortlist:
        inputs += [_ints("columns", "B", "C"), _ints("sentences", "N"), *_candidate_memory(model)]
    return graph.serialise(inputs, outputs)


def _bidirectional(graph: Graph, name: str, x: str) -> str:
    """Read x (S, B, H) in both directions, and concatenate the states: (S, B, H)."""
    model, half = graph.model, graph.model.hidden_size // 2
    width = len(GATE_ORDER[model.cell]) * half
    sums = graph.linear(f"{name}.input", graph.reshape(x, -1, 2 * half))  # (S * B, 2 G h)
    forwards, backwards = graph.split(graph.grid(sums, x, 2 * width), width, width)
    sentences = graph.node("Shape", "lengths")
    shape = graph.node("Concat", sentences, graph.ints(half), axis=0)
    zeros = graph.node("ConstantOfShape", shape)  # (B, h)
    first = [zeros] * states_of(model)

    def step(direction: str, x: str, state: list[str]) -> list[str]:
        from_state = graph.linear(f"{name}.{direction}", state[0])
        sums = [x, from_state] if model.cell == "gru" else [graph.node("Add", x, from_state)]
        return _advance(graph, model.cell, half, sums, state)

    def reverse(x: str) -> str:
        """Reverse each sentence up to its own length; padding stays at the end."""
        return graph.node("ReverseSequence", x, "lengths", time_axis=0, batch_axis=1)

    read_forward = graph.scan(lambda x, state: step("forwards", x, state), forwards, first)
    read_backward = graph.scan(
        lambda x, state: step("backwards", x, state), reverse(backwards), first
    )
    return graph.side_by_side(read_forward, reverse(read_backward))


def _remember(graph: Graph, encoded: str) -> None:
    """Output the memory of encoded (B, S, H), laid out so that a step only needs to multiply."""
    heads, size = graph.model.heads, graph.model.hidden_size
    rows = graph.reshape(encoded, -1, size)  # (B * S, H)
    both = graph.linear("decoder.attention.key_value", rows)  # (B * S, 2 H)
    keys, values = (
        graph.grid(part, "src", heads, size // heads) for part in graph.split(both, size, size)
    )  # each (B, S, A, D)
    scaled = graph.node("Mul", keys, graph.scalar(math.sqrt(heads / size)))
    graph.node("Transpose", scaled, perm=[0, 2, 3, 1], output="keys")

    rows = graph.node("Transpose", values, perm=[0, 2, 1, 3])  # (B, A, S, D)
    one_column = graph.ints(0, 0, 0, 0, 0, 0, 0, 1)
    graph.node("Pad", rows, one_column, graph.scalar(1.0), output="values")

    zero, one = graph.constant(np.array(0)), graph.constant(np.array(1))
    source_size = graph.node("Gather", graph.node("Shape", "src"), one)
    positions = graph.node("Range", zero, source_size, one)  # (S,)
    is_token = graph.node("Less", positions, graph.node("Unsqueeze", "lengths", graph.ints(1)))
    mask = graph.node("Where", is_token, graph.scalar(0.0), graph.scalar(-math.inf))  # (B, S)
    graph.node("Unsqueeze", mask, graph.ints(1, 2), output="mask")


def _attend(graph: Graph, x: str) -> str:
    """Attend from each row x (N, H) to the source: (N, H)."""
    heads, size = graph.model.heads, graph.model.hidden_size
    queries = graph.node("Gather", graph.linear("decoder.attention.query", x), "slots")
    split = graph.reshape(queries, 0, 0, heads, size // heads)  # (B, K + 1, A, D)
    by_head = graph.node("Transpose", split, perm=[0, 2, 1, 3])  # (B, A, K + 1, D)

    scores = graph.node("Add", _similarity(graph, by_head), "mask")  # (B, A, K + 1, S)
    highest = graph.node("ReduceMax", scores, axes=[3])
    powers = graph.node("Exp", graph.node("Sub", scores, highest))
    sums = graph.node("MatMul", powers, "values")  # (B, A, K + 1, D + 1)

    def of_rows(x: str) -> str:
        """Select the rows from (B, A, K + 1, X): (N, A, X)."""
        return graph.node("GatherND", graph.node("Transpose", x, perm=[0, 2, 1, 3]), "places")

    weighted, total = graph.split(of_rows(sums), size // heads, 1)
    weights = graph.node("Div", of_rows(powers), total)  # (N, A, S)
    graph.node("ReduceMean", weights, axes=[1], keepdims=0, output="attention")
    found = graph.reshape(graph.node("Div", weighted, total), -1, size)  # (N, H)
    return graph.linear("decoder.attention.output", found)


def _similarity(graph: Graph, queries: str) -> str:
    """Multiply queries (B, A, K + 1, D) by keys (B, A, D, S): (B, A, K + 1, S)."""
    dimensions = graph.model.hidden_size // graph.model.heads
    sizes = [min(_ONE_PIECE, dimensions - begin) for begin in range(0, dimensions, _ONE_PIECE)]
    parts = zip(graph.split(queries, *sizes), graph.split("keys", *sizes, axis=2), strict=True)
    products = [graph.node("MatMul", *part) for part in parts]
    return reduce(lambda x, y: graph.node("Add", x, y), products)


def _advance(
    graph: Graph, cell: str, size: int, sums: Sequence[str], state: Sequence[str]
) -> list[str]:
    """Return the new state of a cell, by the equations of `seq2seq.nn.cells`.

    `sums` (N, G * size) are the contributions of input and state to each gate, biases included. A
    GRU gets two: that of the input and that of the state.
    """
    if cell == "lstm":
        gates, candidate = graph.split(sums[0], 3 * size, size)
        update, forget, output = graph.split(graph.node("Sigmoid", gates), size, size, size)
        written = graph.node("Mul", update, graph.node("Tanh", candidate))
        new_cell = graph.node("Add", graph.node("Mul", forget, state[1]), written)
        return [graph.node("Mul", output, graph.node("Tanh", new_cell)), new_cell]
    if cell == "gru":
        x_gates, x_candidate = graph.split(sums[0], 2 * size, size)
        h_gates, h_candidate = graph.split(sums[1], 2 * size, size)
        gates = graph.node("Sigmoid", graph.node("Add", x_gates, h_gates))
        reset, update = graph.split(gates, size, size)
        past = graph.node("Mul", reset, h_candidate)
        candidate = graph.node("Tanh", graph.node("Add", x_candidate, past))
        # (1 - z) * n + z * h
        kept = graph.node("Mul", update, graph.node("Sub", state[0], candidate))
        return [graph.node("Add", candidate, kept)]
    if cell == "rnn":
        return [graph.node("Tanh", sums[0])]
    raise NotImplementedError(f"the cell {cell!r} has no graph yet: add it here")


def _attention_memory(model: ModelConfig) -> list[bytes]:
    heads, size = model.heads, model.hidden_size // model.heads
    return [
        _floats("keys", "B", heads, size, "S"),
        _floats("values", "B", heads, "S", size + 1),
        _floats("mask", "B", 1, 1, "S"),
    ]


def _candidate_memory(model: ModelConfig) -> list[bytes]:
    return [
        onnx_wire.value("candidate_weights", onnx_wire.INT8, (model.hidden_size, "U")),
        _floats("candidate_scales", "U"),
        _floats("candidate_biases", "U"),
    ]


def _floats(name: str, *shape: int | str) -> bytes:
    return onnx_wire.value(name, onnx_wire.FLOAT, shape)


def _ints(name: str, *shape: int | str) -> bytes:
    return onnx_wire.value(name, onnx_wire.INT64, shape)
