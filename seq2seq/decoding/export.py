"""Writes a model folder: what ships and what `translate` runs."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from seq2seq.config import Cell, ModelConfig, SearchConfig, to_table
from seq2seq.decoding.folder import (
    CARD,
    CONFIG,
    ENCODER,
    FILES,
    FORMAT_VERSION,
    STEP,
    TOKENIZER,
    WEIGHTS,
    FolderConfig,
    weight_shapes,
)
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import replace_folder, sync
from seq2seq.nn.cells import Weights
from seq2seq.tokenizer import Tokenizer

Floats = NDArray[np.float32]

_SHUT, _OPEN = -1e4, 1e4  # biases that hold a gate at 0 or at 1


def export_folder(
    weights: Mapping[str, Floats],
    model: ModelConfig,
    tokenizer: Tokenizer,
    source_language: str,
    target_language: str,
    search: SearchConfig,
    card: str,
    output: Path,
) -> None:
    """Write the model folder `output`; it appears whole or not at all.

    `weights` is the state of an `EncoderDecoder`, `card` the text of the model card. An older
    model folder is replaced; raises `UsageError` where something else is in the way.
    """
    try:
        from seq2seq.decoding.graphs import encoder_graph, step_graph  # needs onnx
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise UsageError(
            "export needs the package onnx, which comes with: pip install 'seq2seq[train]'"
        ) from None
    tokenizer.language_id(target_language)
    arranged = arrange(weights, model)
    shapes = {name: weight.shape for name, weight in arranged.items()}
    if shapes != weight_shapes(model, len(tokenizer)):
        raise Seq2SeqError(
            f"{output}: the weights do not fit the model's settings and a tokenizer of "
            f"{len(tokenizer)} pieces."
        )
    config = FolderConfig(FORMAT_VERSION, source_language, target_language, model, search)
    table = json.dumps(to_table(config), indent=2, ensure_ascii=False) + "\n"

    output = output.resolve()
    _refuse_others(output)
    aside = output.with_name(f"{output.name}.partial")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        (aside / CONFIG).write_text(table, encoding="utf-8")
        (aside / ENCODER).write_bytes(encoder_graph(model, len(tokenizer)))
        (aside / STEP).write_bytes(step_graph(model, len(tokenizer)))
        stored = {name: _stored(name, weight) for name, weight in arranged.items()}
        (aside / WEIGHTS).write_bytes(save(stored))
        (aside / TOKENIZER).write_bytes(tokenizer.model)
        (aside / CARD).write_text(card, encoding="utf-8")
        for path in (*aside.iterdir(), aside):
            sync(path)
        replace_folder(aside, output)
    except OSError as error:
        raise Seq2SeqError(f"{output}: cannot be written: {error.strerror}.") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def arrange(weights: Mapping[str, Floats], model: ModelConfig) -> dict[str, Floats]:
    """The state of an `EncoderDecoder` as `seq2seq.decoding.folder.weight_shapes` lays it out."""
    arranged = {name: weight for name, weight in weights.items() if ".fused." not in name}
    for layer in range(model.encoder_layers):
        name = f"encoder.layers.{layer}"
        both = [
            _operator_weights(model.cell, _fused(weights, f"{name}.{direction}"))
            for direction in ("forwards", "backwards")
        ]
        arranged[f"{name}.input"] = np.stack([one.input for one in both])
        arranged[f"{name}.hidden"] = np.stack([one.hidden for one in both])
        arranged[f"{name}.bias"] = np.stack(
            [np.concatenate([one.input_bias, one.hidden_bias]) for one in both]
        )
    for layer in range(model.decoder_layers):
        name = f"decoder.layers.{layer}"
        fused = _fused(weights, name)
        if model.cell == "lstm":
            fused = _reorder(fused, (0, 1, 3, 2))
        arranged[f"{name}.input.weight"] = fused.input
        arranged[f"{name}.hidden.weight"] = fused.hidden
        if model.cell == "gru":
            arranged[f"{name}.input.bias"] = fused.input_bias
            arranged[f"{name}.hidden.bias"] = fused.hidden_bias
        else:
            arranged[f"{name}.input.bias"] = fused.input_bias + fused.hidden_bias
    return arranged


def _fused(weights: Mapping[str, Floats], layer: str) -> Weights:
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return Weights(*(weights[f"{layer}.fused.{part}_l0"] for part in parts))


def _operator_weights(cell: Cell, fused: Weights) -> Weights:
    """From the order of torch to that of the ONNX operators."""
    if cell == "lstm":
        return _reorder(fused, (0, 3, 1, 2))
    if cell == "gru":
        return _reorder(fused, (1, 0, 2))
    # A GRU whose update gate is shut and whose reset gate is open is a plain cell.
    nothing = [np.zeros_like(part) for part in fused]
    shut = Weights(*nothing)._replace(input_bias=np.full_like(fused.input_bias, _SHUT))
    opened = Weights(*nothing)._replace(input_bias=np.full_like(fused.input_bias, _OPEN))
    return Weights(*(np.concatenate(parts) for parts in zip(shut, opened, fused, strict=True)))


def _reorder(fused: Weights, order: Sequence[int]) -> Weights:
    """The blocks of the gates in another order."""

    def reorder(part: Floats) -> Floats:
        blocks = np.split(part, len(order))
        return np.concatenate([blocks[gate] for gate in order])

    return Weights(*map(reorder, fused))


def _stored(name: str, weight: Floats) -> NDArray[Any]:
    """Matrices in 16 bits; biases and norms are few, and keep their 32."""
    matrix = weight.ndim > 1 and not name.endswith(".bias")
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(weight, np.float16 if matrix else np.float32)
    if not np.isfinite(stored).all():
        raise Seq2SeqError(f"the weight '{name}' is not finite in 16 bits: training diverged.")
    return stored


def _refuse_others(output: Path) -> None:
    """Raises `UsageError` unless `output` is free, empty or a model folder."""
    if not output.exists():
        return
    if not output.is_dir():
        raise UsageError(f"{output}: a file is in the way; choose another folder with -o.")
    names = {path.name for path in output.iterdir()}
    if names and (CONFIG not in names or not names <= set(FILES)):
        raise UsageError(
            f"{output}: a folder that is not a model is in the way; choose another with -o."
        )
