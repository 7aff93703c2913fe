"""Builds ONNX graphs node by node, without their weights.

Each weight is an initializer with external data, stored as in `seq2seq.engines.weights`, so that
the embedding, which encoder, decoder and softmax share, exists only once. ONNX Runtime gets all of
them in memory and never reads the file that is named as their location; but it checks that the file
exists, so an arbitrary one is named.
"""

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seq2seq.config.model_config import ModelConfig, WeightPrecision
from seq2seq.engines import onnx_wire
from seq2seq.engines.onnx_wire import Attribute
from seq2seq.engines.weights import OUTPUT, linear_layers, schema
from seq2seq.tokenizer import PAD_ID

_OPSET, _IR_VERSION = 17, 8  # read by every ONNX Runtime since 1.12
_MICROSOFT = "com.microsoft"  # ONNX Runtime's own operators, part of every build of it
_ZERO = 128  # the zero point of unsigned bytes

OUTSIDE = Path(onnxruntime.__file__).resolve()
"""The file that is named as the location of the weights."""


class Graph:
    """Collects nodes. Most methods add some, and return the name of the value of the last."""

    precision: ClassVar[WeightPrecision] = "fp32"

    def __init__(self, model: ModelConfig, vocabulary_size: int) -> None:
        self.model = model
        self._layers = linear_layers(model)
        self._tensors = schema(model, vocabulary_size, self.precision)
        self._nodes: list[bytes] = []
        self._initializers: dict[str, bytes] = {}
        self._numbers = count()
        self._inside = False  # whether nodes go to the body of a loop

    def node(
        self,
        operator: str,
        *inputs: str,
        output: str = "",
        domain: str = "",
        **attributes: Attribute,
    ) -> str:
        """Add a node with one output, with a new name unless `output` is given."""
        output = output or f"{operator}_{next(self._numbers)}"
        self._nodes.append(onnx_wire.node(operator, inputs, [output], domain, **attributes))
        return output

    def split(self, x: str, *sizes: int, axis: int = -1) -> list[str]:
        """Split x (..., sum of sizes) into parts (..., size), or along another axis."""
        if len(sizes) == 1:
            return [x]
        number = next(self._numbers)
        outputs = [f"Split_{number}_{part}" for part in range(len(sizes))]
        inputs = [x, self.ints(*sizes)]
        self._nodes.append(onnx_wire.node("Split", inputs, outputs, axis=axis))
        return outputs

    def scan(
        self,
        step: Callable[[str, list[str]], list[str]],
        x: str,
        initial: Sequence[str],
    ) -> str:
        """Run `step` over x (S, B, X); return its first output at all positions (S, B, Y).

        `step` takes x (B, X) at one position and the states, and returns the new states.
        """
        number = next(self._numbers)
        here, states = f"x_{number}", [f"state_{number}_{i}" for i in range(len(initial))]
        outside, self._nodes, self._inside = self._nodes, [], True
        new_states = step(here, states)
        emitted = self.node("Identity", new_states[0])
        body = onnx_wire.graph(
            f"body_{number}",
            self._nodes,
            map(onnx_wire.value, (*states, here)),
            map(onnx_wire.value, (*new_states, emitted)),
        )
        self._nodes, self._inside = outside, False
        outputs = [f"last_{name}" for name in states] + [f"Scan_{number}"]
        node = onnx_wire.node("Scan", [*initial, x], outputs, body=body, num_scan_inputs=1)
        self._nodes.append(node)
        return outputs[-1]

    def weight(self, name: str) -> str:
        """Declare a tensor of the schema, if it is not declared yet."""
        if name not in self._initializers:
            tensor = self._tensors[name]
            self._initializers[name] = onnx_wire.outside_tensor(name, *tensor, OUTSIDE.name)
        return name

    def constant(self, value: NDArray[Any]) -> str:
        name = f"{value.dtype}:{value.tolist()}"
        self._initializers[name] = onnx_wire.tensor(name, value)
        return name

    def ints(self, *values: int) -> str:
        """Declare a vector of integers: axes, sizes, positions."""
        return self.constant(np.array(values, np.int64))

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def linear(self, name: str, *inputs: str) -> str:
        """Apply the linear layer `name` to inputs (N, X1), (N, X2)..., concatenated: (N, Y)."""
        x = self.side_by_side(*inputs)
        bias = [self.weight(f"{name}.bias")] if self._layers[name].biases else []
        return self.node("Gemm", x, self.weight(f"{name}.weight"), *bias, transB=1)

    def side_by_side(self, *parts: str) -> str:
        """Concatenate (..., X1), (..., X2)... to (..., X1 + X2...)."""
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=-1)

    def norm(self, x: str, name: str) -> str:
        """Normalise the last axis (layer normalisation)."""
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-5)

    def embed(self, ids: str) -> str:
        """Look up the embeddings of ids (...): (..., H)."""
        rows = self.node("Gather", self.weight("embedding.weight"), ids)
        return self.node("Mul", rows, self.scalar(self.model.embedding_scale))

    def logits(self, readout: str) -> str:
        """Multiply readout (N, H) by the vocabulary: (N, V)."""
        weight, bias = self.weight("embedding.weight"), self.weight("output_bias")
        return self.node("Gemm", readout, weight, bias, transB=1)

    def reshape(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.ints(*shape))

    def grid(self, x: str, like: str, *sizes: int) -> str:
        """Reshape x (R * C, ...) to (R, C, *sizes), where `like` is (R, C, ...)."""
        two = self.node("Slice", self.node("Shape", like), self.ints(0), self.ints(2))
        shape = self.node("Concat", two, self.ints(*sizes), axis=0)
        return self.node("Reshape", x, shape)

    def serialise(self, inputs: Sequence[bytes], outputs: Sequence[bytes]) -> bytes:
        """Serialise the ONNX model; inputs and outputs come from `onnx_wire.value`."""
        initializers = self._initializers.values()
        graph = onnx_wire.graph("seq2seq", self._nodes, inputs, outputs, initializers)
        return onnx_wire.model(graph, _IR_VERSION, {"": _OPSET, _MICROSOFT: 1})


class CalibrationGraph(Graph):
    """Has two kinds of additional outputs: the largest magnitude of each layer's inputs; readout.

    Inputs inside loops are not measured: they are states of cells, which are bounded by 1.
    """

    def __init__(self, model: ModelConfig, vocabulary_size: int) -> None:
        super().__init__(model, vocabulary_size)
        self.measured: list[str] = []

    def linear(self, name: str, *inputs: str) -> str:
        if not self._inside:
            scales = self._layers[name].activation_scales
            for scale, x in zip(scales, inputs, strict=True):
                self.node("ReduceMax", self.node("Abs", x), keepdims=0, output=scale)
                self.measured.append(scale)
        return super().linear(name, *inputs)

    def logits(self, readout: str) -> str:
        self.measured.append(self.node("Identity", readout, output="readout"))
        return super().logits(readout)

    def serialise(self, inputs: Sequence[bytes], outputs: Sequence[bytes]) -> bytes:
        measured = [
            onnx_wire.value(name, onnx_wire.FLOAT, ("N", "H") if name == "readout" else ())
            for name in self.measured
        ]
        return super().serialise(inputs, [*outputs, *measured])


class QuantizedGraph(Graph):
    """Linear layers in 8 bits, with exact sums in 32 bits; everything else in float32."""

    precision: ClassVar[WeightPrecision] = "int8"

    def linear(self, name: str, *inputs: str) -> str:
        layer = self._layers[name]
        quantized = [
            self._quantize(x, self.weight(scale))
            for x, scale in zip(inputs, layer.activation_scales, strict=True)
        ]
        bias = [self.weight(f"{name}.bias")] if layer.biases else []
        return self._exact_product(
            self.side_by_side(*quantized),
            self.weight(f"{name}.weight"),
            self.scalar(1.0),  # the activation scales are in the weights
            self.weight(f"{name}.scale"),
            *bias,
        )

    def embed(self, ids: str) -> str:
        rows = self.node("Gather", self.weight("embedding.weight"), ids)
        scales = self.node("Gather", self.weight("embedding.scale"), ids)
        scales = self.node("Mul", scales, self.scalar(self.model.embedding_scale))
        column = self.node("Unsqueeze", scales, self.ints(-1))
        return self.node("Mul", self.node("Cast", rows, to=onnx_wire.FLOAT), column)

    def logits(self, readout: str) -> str:
        step = self.scalar(1 / 127)  # a tanh is in [-1, 1]
        weight = self.weight(OUTPUT)
        scale, bias = self.weight("embedding.scale"), self.weight("output_bias")
        return self._exact_product(self._quantize(readout, step), weight, step, scale, bias)

    def remember_candidates(self, pool: str) -> None:
        """Output candidate_weights (H, U), candidate_scales and candidate_biases (U,) of a pool.

        pool (U,) holds ids. PAD, which pads the lists of candidates, gets the bias -inf.
        """
        rows = self.node("Gather", self.weight("embedding.weight"), pool)  # (U, H)
        self.node("Transpose", rows, perm=[1, 0], output="candidate_weights")
        self.node("Gather", self.weight("embedding.scale"), pool, output="candidate_scales")
        biases = self.node("Gather", self.weight("output_bias"), pool)
        is_pad = self.node("Equal", pool, self.constant(np.array(PAD_ID)))
        self.node("Where", is_pad, self.scalar(-np.inf), biases, output="candidate_biases")

    def candidate_logits(self, readout: str, columns: str) -> str:
        """Compute the logits (N, C) of readout (N, H) at columns (N, C) of the pool."""
        step = self.scalar(1 / 127)
        quantized = self._quantize(readout, step)
        parts = "candidate_weights", step, "candidate_scales", "candidate_biases"
        return self.node("GatherElements", self._exact_product(quantized, *parts), columns, axis=1)

    def _quantize(self, x: str, step: str) -> str:
        zero = self.constant(np.array(_ZERO, np.uint8))
        return self.node("QuantizeLinear", x, step, zero)

    def _exact_product(self, x: str, weight: str, step: str, scale: str, bias: str = "") -> str:
        zeros = self.constant(np.array(_ZERO, np.uint8)), self.constant(np.array(0, np.int8))
        inputs = [x, weight, step, scale, *zeros, *([bias] if bias else [])]
        return self.node("MatMulIntegerToFloat", *inputs, domain=_MICROSOFT)
