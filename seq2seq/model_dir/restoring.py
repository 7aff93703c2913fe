"""A model folder's weights as training has them: what export did to them, undone.

Names and order of the weights come back exactly, and so do the numbers, but for what was rounded
away: matrices have 16 bits in a folder of precision "fp32", and about 7 in one of "int8", where a
training that goes on soon makes up for it. Two biases that are only ever added up come back as
their sum and zero.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq.config.model_config import ModelConfig, WeightPrecision
from seq2seq.engines.weights import products
from seq2seq.tokenizer import PAD_ID, UNK_ID

Floats = NDArray[np.float32]

_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def restore(
    weights: Mapping[str, NDArray[Any]],
    model: ModelConfig,
    precision: WeightPrecision,
    shortlist: bool = False,
) -> dict[str, Floats]:
    """The state of an `EncoderDecoder` from tensors as `seq2seq.engines.weights` has them.

    `shortlist` says whether the folder has one.
    """
    rest = _dequantise(weights, model) if precision == "int8" else dict(weights)
    if shortlist:
        # UNK stands for all that is not in the list, see `seq2seq.engines.quantization`; in a
        # softmax over everything it would take most of the probability. PAD is as it was: neither
        # is ever read or written, and all that training taught both is to be unlikely.
        for name in ("embedding.weight", "output_bias"):
            rest[name] = rest[name].copy()
            rest[name][UNK_ID] = rest[name][PAD_ID]
    state: dict[str, Floats] = {}

    def put(layer: str, *parts: Floats) -> None:
        for name, part in zip(_PARTS, parts, strict=True):
            ordered = _reorder(part) if model.cell == "lstm" else part
            state[f"{layer}.fused.{name}_l0"] = ordered

    for layer in range(model.encoder_layers):
        name = f"encoder.layers.{layer}"
        inputs = np.split(rest.pop(f"{name}.input.weight"), 2)
        biases = np.split(rest.pop(f"{name}.input.bias"), 2)
        for direction, weight, bias in zip(("forwards", "backwards"), inputs, biases, strict=True):
            hidden = rest.pop(f"{name}.{direction}.weight")
            hidden_bias = rest.pop(f"{name}.{direction}.bias", np.zeros_like(bias))
            put(f"{name}.{direction}", weight, hidden, bias, hidden_bias)
    for layer in range(model.decoder_layers):
        name = f"decoder.layers.{layer}"
        if model.cell == "gru":
            kinds = [(part, kind) for kind in ("weight", "bias") for part in ("input", "hidden")]
            put(name, *(rest.pop(f"{name}.{part}.{kind}") for part, kind in kinds))
        else:
            both, bias = rest.pop(f"{name}.weight"), rest.pop(f"{name}.bias")
            put(name, *np.split(both, 2, axis=1), bias, np.zeros_like(bias))
    return {name: np.ascontiguousarray(part) for name, part in (state | rest).items()}


def _reorder(part: Floats) -> Floats:
    """An LSTM's gates as torch has them: the last two change places."""
    first, second, third, fourth = np.split(part, 4)
    return np.concatenate([first, second, fourth, third])


def _dequantise(weights: Mapping[str, NDArray[Any]], model: ModelConfig) -> dict[str, Floats]:
    """The layout "int8" as "fp32"."""
    restored = {name: part for name, part in weights.items() if part.dtype == np.float32}
    with np.errstate(over="ignore", invalid="ignore"):  # as it may be in a folder from a stranger
        scale = restored.pop("embedding.scale")
        restored["embedding.weight"] = weights["embedding.weight"] * scale[:, None]
        for name, product in products(model).items():
            whole = weights[f"{name}.weight"].T * restored.pop(f"{name}.scale")[:, None]
            steps = [restored.pop(f"{name}.step.{number}") for number in range(product.inputs)]
            parts = np.split(whole, product.inputs, axis=1)
            restored[f"{name}.weight"] = np.concatenate(
                [part / step for part, step in zip(parts, steps, strict=True)], axis=1
            )
    return restored
