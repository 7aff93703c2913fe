"""Our ONNX models are, to the byte, what the package onnx writes, and they are valid."""

from collections.abc import Callable
from itertools import product
from typing import Any, get_args

import numpy as np
import onnx
import pytest
from helpers import tiny
from onnx import TensorProto, helper, numpy_helper

from seq2seq.config.model_config import Cell, ModelConfig
from seq2seq.engines import onnx_wire
from seq2seq.engines.onnx_builder import OUTSIDE, CalibrationGraph, Graph, QuantizedGraph
from seq2seq.engines.onnx_graphs import encoder_graph, step_graph
from seq2seq.engines.weights import GATE_ORDER
from seq2seq.nn.cells import BUILT_IN_CELLS

V = 40
MODELS = [
    ModelConfig(cell, attention, 12, 2, 2, 3)
    for cell, attention in product(get_args(Cell), tiny.EXPORTED_ATTENTION)
]


def graphs(model: ModelConfig) -> list[bytes]:
    """Every graph that a model can have."""
    found = []
    for kind, shortlist in ((Graph, False), (CalibrationGraph, False), (QuantizedGraph, False)):
        for build in (encoder_graph, step_graph):
            found.append(build(kind(model, V), shortlist))
    for build in (encoder_graph, step_graph):
        found.append(build(QuantizedGraph(model, V), True))
    return found


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_graphs_are_written_as_onnx_writes_them(model: ModelConfig) -> None:
    for data in graphs(model):
        parsed = onnx.load_from_string(data)
        assert parsed.SerializeToString(deterministic=True) == data
        nodes = [rebuilt(node) for node in parsed.graph.node]
        assert nodes == list(parsed.graph.node)


@pytest.mark.parametrize("build", [encoder_graph, step_graph])
def test_a_cell_without_equations_is_refused(
    build: Callable[[Graph], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelConfig("cells.py:New", "multihead", 12, 2, 2, 3)
    monkeypatch.setitem(BUILT_IN_CELLS, model.cell, BUILT_IN_CELLS["rnn"])
    monkeypatch.setitem(GATE_ORDER, model.cell, (0,))
    with pytest.raises(NotImplementedError, match=r"'cells\.py:New'"):
        build(Graph(model, V))


def rebuilt(node: Any) -> Any:
    """The node as `onnx.helper` makes it."""
    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    if "body" in attributes:
        body = attributes["body"]
        attributes["body"] = helper.make_graph(
            [rebuilt(one) for one in body.node],
            body.name,
            [helper.make_empty_tensor_value_info(one.name) for one in body.input],
            [helper.make_empty_tensor_value_info(one.name) for one in body.output],
        )
    domain = node.domain or None
    return helper.make_node(node.op_type, node.input, node.output, domain=domain, **attributes)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_graphs_are_valid(model: ModelConfig) -> None:
    for data in graphs(model):
        parsed = onnx.load_from_string(data)
        for tensor in parsed.graph.initializer:
            if tensor.data_location == TensorProto.EXTERNAL:  # onnx looks only in a model's folder
                assert tensor.external_data[0].value == OUTSIDE.name
                assert OUTSIDE.is_file()
                array = np.zeros(tensor.dims, helper.tensor_dtype_to_np_dtype(tensor.data_type))
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        onnx.checker.check_model(parsed)


def test_graphs_hold_no_weights() -> None:
    for data in graphs(ModelConfig()):
        for tensor in onnx.load_from_string(data).graph.initializer:
            outside = tensor.data_location == TensorProto.EXTERNAL
            assert outside or np.prod(tensor.dims) <= 8, tensor.name


ATTRIBUTES: list[onnx_wire.Attribute] = [0, 1, -1, 127, 128, -(2**63), 2**63 - 1, 0.0, 1e-5, -2.5]


@pytest.mark.parametrize("value", [*ATTRIBUTES, [1, 0, 2], [-1], [300, -300]])
def test_attributes(value: Any) -> None:
    node = helper.make_node("A", ["x", "y"], ["z"], domain="d", b=value, a=1)
    ours = onnx_wire.node("A", ["x", "y"], ["z"], "d", b=value, a=1)
    assert ours == node.SerializeToString(deterministic=True)


@pytest.mark.parametrize("type_", [np.float32, np.uint8, np.int8, np.int64])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 300)])
def test_tensors(type_: type[np.generic], shape: tuple[int, ...]) -> None:
    array = np.ones(shape, type_)
    ours = onnx_wire.tensor("größe", array)
    assert ours == numpy_helper.from_array(array, "größe").SerializeToString(deterministic=True)


def test_values() -> None:
    expected = helper.make_tensor_value_info("x", TensorProto.INT64, ["B", 1, 300])
    ours = onnx_wire.value("x", onnx_wire.INT64, ["B", 1, 300])
    assert ours == expected.SerializeToString(deterministic=True)
