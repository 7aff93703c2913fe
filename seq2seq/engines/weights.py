"""The table of weights: their names in training, and how a model directory stores them.

`linear_layers` is the table. Everything else follows from it: the schema of `weights.safetensors`,
packing the state of an `EncoderDecoder` for a model directory and unpacking it again, the 8 bits,
the ONNX graphs, and the NumPy network of the inspection.
H hidden, h = H / 2 one direction of the encoder, V vocabulary. A linear layer with X inputs and Y
outputs has a weight (Y, X) and usually a bias (Y,). In 8 bits (precision "int8"), its weight is
(X, Y), as the kernel reads it, and has a `scale` (Y,); each of its inputs has a `step`, its
activation scale: the width of one of the 255 values that it can take. The activation scales are
already multiplied into the weights: output = (quantized input @ weight) * scale + bias.
"""

from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from seq2seq.config.model_config import ModelConfig, WeightPrecision
from seq2seq.nn.cells import BUILT_IN_CELLS, Weights
from seq2seq.tokenizer import PAD_ID, UNK_ID

Shape = tuple[int, ...]
Names = tuple[tuple[str, ...], ...]
Floats = NDArray[np.float32]

OUTPUT = "output.weight"
"""The embedding as (H, V) in 8 bits; not stored, but made when a model has no shortlist."""

DIRECTIONS = ("forwards", "backwards")

GATE_ORDER: Mapping[str, tuple[int, ...]] = {"lstm": (0, 1, 3, 2), "gru": (0, 1, 2), "rnn": (0,)}
"""The order of torch's gate blocks in a model directory: an LSTM's candidate comes last.

LSTM: input, forget, output, candidate. GRU: reset, update, candidate.
"""

_WEIGHT_LIMIT = 63
_INPUT_LIMIT = 127


class Linear(NamedTuple):
    """A linear layer of a model directory, and the torch parameters that it is made of.

    The weight consists of rows of blocks, each block a torch parameter. The bias consists of rows
    too, each the sum of torch parameters.
    """

    name: str
    inputs: tuple[int, ...]  # sizes of the input vectors, which are concatenated; X in all
    outputs: int  # Y
    weights: Names
    biases: Names = ()  # (): the layer has no bias
    gate_order: tuple[int, ...] = (0,)  # order of the blocks of each torch parameter

    @property
    def activation_scales(self) -> list[str]:
        """The names of the activation scales, one for each input."""
        return [f"{self.name}.step.{number}" for number in range(len(self.inputs))]


def linear_layers(model: ModelConfig) -> dict[str, Linear]:
    """Return all linear layers by name, except the embedding as output layer."""
    return {layer.name: layer for layer in (*_recurrent(model), *_others(model))}


def states_of(model: ModelConfig) -> int:
    """Return how many states (N, H) a layer has: 2 for an LSTM, otherwise 1."""
    return len(BUILT_IN_CELLS[model.cell].states)


def cell_parameters(layer: str) -> Weights:
    """Return the names of a recurrent layer's parameters in torch."""
    return Weights(
        *(f"{layer}.fused.{kind}_l0" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    )


def _recurrent(model: ModelConfig) -> Iterator[Linear]:
    """Yield the layers of the cells. Two biases that are always added are stored as their sum.

    A GRU's are stored separately, since its reset gate comes between the product and the sum.
    """
    size, half = model.hidden_size, model.hidden_size // 2
    order = GATE_ORDER[model.cell]
    gates, is_gru = len(order), model.cell == "gru"
    for number in range(model.encoder_layers):
        name = f"encoder.layers.{number}"
        both = [cell_parameters(f"{name}.{direction}") for direction in DIRECTIONS]
        weights: Names = tuple((cell.input,) for cell in both)
        biases: Names = tuple(
            (cell.input_bias, cell.hidden_bias)[: 1 if is_gru else 2] for cell in both
        )
        yield Linear(f"{name}.input", (size,), 2 * gates * half, weights, biases, order)
        for direction, cell in zip(DIRECTIONS, both, strict=True):
            weights, biases = ((cell.hidden,),), ((cell.hidden_bias,),) if is_gru else ()
            yield Linear(f"{name}.{direction}", (half,), gates * half, weights, biases, order)
    for number in range(model.decoder_layers):
        name = f"decoder.layers.{number}"
        cell = cell_parameters(name)
        if is_gru:
            for part, weight, bias in (
                ("input", cell.input, cell.input_bias),
                ("hidden", cell.hidden, cell.hidden_bias),
            ):
                yield Linear(
                    f"{name}.{part}", (size,), gates * size, ((weight,),), ((bias,),), order
                )
        else:
            weights, biases = ((cell.input, cell.hidden),), ((cell.input_bias, cell.hidden_bias),)
            yield Linear(name, (size, size), gates * size, weights, biases, order)


def _others(model: ModelConfig) -> Iterator[Linear]:
    """Yield the layers that have the same form in torch."""
    size = model.hidden_size
    parts = states_of(model)
    has_attention = model.attention == "multihead"
    layers: list[tuple[str, tuple[int, ...], int]] = [
        ("decoder.bridge", (size,), model.decoder_layers * parts * size)
    ]
    if has_attention:
        layers += [
            ("decoder.attention.key_value", (size,), 2 * size),
            ("decoder.attention.query", (size,), size),
            ("decoder.attention.output", (size,), size),
        ]
    layers.append(("decoder.project", (size, size) if has_attention else (size,), size))
    for name, inputs, outputs in layers:
        biases: Names = ((f"{name}.bias",),)
        if ".attention." in name:
            biases = ()
        yield Linear(name, inputs, outputs, ((f"{name}.weight",),), biases)


class Tensor(NamedTuple):
    """Type and shape of a tensor."""

    type: type[np.floating | np.integer]
    shape: Shape


def schema(
    model: ModelConfig, vocabulary_size: int, precision: WeightPrecision = "fp32"
) -> dict[str, Tensor]:
    """Return type and shape of all tensors, by name."""
    size = model.hidden_size
    tensors = {
        "embedding.weight": Tensor(np.float32, (vocabulary_size, size)),
        "output_bias": Tensor(np.float32, (vocabulary_size,)),
        "encoder.norm.weight": Tensor(np.float32, (size,)),
        "encoder.norm.bias": Tensor(np.float32, (size,)),
    }
    if model.attention == "multihead":
        tensors["decoder.norm.weight"] = Tensor(np.float32, (size,))
        tensors["decoder.norm.bias"] = Tensor(np.float32, (size,))
    if precision == "int8":
        tensors["embedding.weight"] = Tensor(np.int8, (vocabulary_size, size))
        tensors["embedding.scale"] = Tensor(np.float32, (vocabulary_size,))
        tensors[OUTPUT] = Tensor(np.int8, (size, vocabulary_size))
    for name, layer in linear_layers(model).items():
        columns, rows = sum(layer.inputs), layer.outputs
        if precision == "int8":
            tensors[f"{name}.weight"] = Tensor(np.int8, (columns, rows))
            tensors[f"{name}.scale"] = Tensor(np.float32, (rows,))
            tensors.update(dict.fromkeys(layer.activation_scales, Tensor(np.float32, ())))
        else:
            tensors[f"{name}.weight"] = Tensor(np.float32, (rows, columns))
        if layer.biases:
            tensors[f"{name}.bias"] = Tensor(np.float32, (rows,))
    return tensors


def pack(state: Mapping[str, Floats], model: ModelConfig) -> dict[str, Floats]:
    """Convert the state of an `EncoderDecoder` to weights in the schema "fp32".

    Raises `KeyError` if `state` lacks a parameter; parameters outside linear layers stay as is.
    """
    packed = dict(state)
    for name, layer in linear_layers(model).items():
        blocks = {
            parameter: _reordered(packed.pop(parameter), layer.gate_order)
            for parameter in chain(*layer.weights, *layer.biases)
        }
        rows = [np.concatenate([blocks[part] for part in row], axis=1) for row in layer.weights]
        packed[f"{name}.weight"] = np.concatenate(rows)
        if layer.biases:
            sums = [reduce(np.add, [blocks[part] for part in row]) for row in layer.biases]
            packed[f"{name}.bias"] = np.concatenate(sums)
    return packed


def unpack(
    weights: Mapping[str, NDArray[Any]],
    model: ModelConfig,
    precision: WeightPrecision = "fp32",
    shortlist: bool = False,
) -> dict[str, Floats]:
    """Return the state of an `EncoderDecoder`, undoing `pack` and `quantize`.

    Numbers come back exactly, except for rounding: in a directory of precision "fp32", matrices
    have 16 bits; in one of "int8", about 7, which further training soon makes up for. Two biases
    that were stored as their sum come back as that sum and zero.

    `shortlist` says whether the model directory has one.
    """
    state = dequantize(weights, model) if precision == "int8" else dict(weights)
    if shortlist:
        # UNK stands for everything outside the list, see `seq2seq.engines.quantization`; in a
        # softmax over all words it would take most of the probability. PAD is unchanged and can
        # replace it: neither is ever read or written, and both were trained only to be improbable.
        for name in ("embedding.weight", "output_bias"):
            state[name] = state[name].copy()
            state[name][UNK_ID] = state[name][PAD_ID]
    for name, layer in linear_layers(model).items():
        order = tuple(np.argsort(layer.gate_order).tolist())
        weight, bias = state.pop(f"{name}.weight"), state.pop(f"{name}.bias", None)
        for parameters, row in zip(
            layer.weights, np.split(weight, len(layer.weights)), strict=True
        ):
            blocks = np.split(row, len(parameters), axis=1)
            for parameter, block in zip(parameters, blocks, strict=True):
                state[parameter] = _reordered(block, order)
        if bias is not None:
            sums = np.split(bias, len(layer.biases))
            for (parameter, *added), total in zip(layer.biases, sums, strict=True):
                state[parameter] = _reordered(total, order)
                state.update({other: np.zeros_like(total) for other in added})
    return {name: np.ascontiguousarray(parameter) for name, parameter in state.items()}


def _reordered(parameter: Floats, order: tuple[int, ...]) -> Floats:
    """Reorder the blocks of rows, one for each gate."""
    blocks = np.split(parameter, len(order))
    return np.concatenate([blocks[gate] for gate in order])


def quantize(
    weights: Mapping[str, Floats], model: ModelConfig, ranges: Mapping[str, float]
) -> dict[str, NDArray[Any]]:
    """Convert weights from the schema "fp32" to "int8".

    `ranges` is the largest magnitude of each input, by the name of its activation scale.
    """
    quantized: dict[str, NDArray[Any]] = {
        name: weight for name, weight in weights.items() if weight.ndim < 2
    }
    rows, scale = quantize_rows(weights["embedding.weight"])
    quantized |= {"embedding.weight": rows, "embedding.scale": scale}
    for name, layer in linear_layers(model).items():
        parts = np.split(weights[f"{name}.weight"], len(layer.inputs), axis=1)
        for number, step_name in enumerate(layer.activation_scales):
            step = np.float32(max(ranges[step_name], 1e-6) / _INPUT_LIMIT)
            quantized[step_name] = np.array(step)
            parts[number] = parts[number] * step
        rows, quantized[f"{name}.scale"] = quantize_rows(np.concatenate(parts, axis=1))
        quantized[f"{name}.weight"] = np.ascontiguousarray(rows.T)
    return quantized


def quantize_rows(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Quantise weight (Y, X) to integers (Y, X), with a scale for each row (Y,)."""
    scale = np.maximum(np.abs(weight).max(axis=1), 1e-12) / _WEIGHT_LIMIT
    return np.rint(weight / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def dequantize(weights: Mapping[str, NDArray[Any]], model: ModelConfig) -> dict[str, Floats]:
    """Convert weights from the schema "int8" to "fp32"."""
    floats = {name: part for name, part in weights.items() if part.dtype == np.float32}
    with np.errstate(over="ignore", invalid="ignore"):  # may happen in an untrusted directory
        scale = floats.pop("embedding.scale")
        floats["embedding.weight"] = weights["embedding.weight"] * scale[:, None]
        for name, layer in linear_layers(model).items():
            whole = weights[f"{name}.weight"].T * floats.pop(f"{name}.scale")[:, None]
            steps = [floats.pop(step) for step in layer.activation_scales]
            parts = np.split(whole, len(steps), axis=1)
            floats[f"{name}.weight"] = np.concatenate(
                [part / step for part, step in zip(parts, steps, strict=True)], axis=1
            )
    return floats


def activation_scales(
    weights: Mapping[str, NDArray[Any]], model: ModelConfig
) -> dict[str, tuple[float, ...]]:
    """Return the activation scales of weights in the schema "int8", by name of the torch weight.

    There is one for each input of that weight.
    """
    by_weight: dict[str, tuple[float, ...]] = {}
    for layer in linear_layers(model).values():
        scales = [float(weights[name]) for name in layer.activation_scales]
        for row in layer.weights:
            if len(row) == 1:
                by_weight[row[0]] = tuple(scales)
            else:
                by_weight |= {part: (scale,) for part, scale in zip(row, scales, strict=True)}
    return by_weight


_TYPES = {
    "F16": np.float16,
    "F32": np.float32,
    "I8": np.int8,
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
}


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the tensors of an untrusted safetensors file, by name.

    Raises a `ValueError` that says why if they cannot be used.
    """
    try:
        stored = dict(deserialize(data))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ValueError(f"not a whole safetensors file: {error}") from None
    return {name: _array(name, **part) for name, part in stored.items()}


def _array(name: str, dtype: str, shape: list[int], data: bytearray) -> NDArray[Any]:
    if dtype not in _TYPES:
        raise ValueError(f"'{name}' holds {dtype}, which no model has")
    try:
        array = np.frombuffer(data, _TYPES[dtype]).reshape(shape)
    except ValueError:  # too many dimensions
        raise ValueError(f"'{name}' has a shape that cannot be used") from None
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"'{name}' holds numbers that are not finite")
    return array
