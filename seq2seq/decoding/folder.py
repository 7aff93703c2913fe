"""A model folder: everything `translate` needs, and nothing that could run code.

config.json           format version, languages, shape of the network, search settings
encoder.onnx          the graphs, without weights; see `seq2seq.decoding.graphs`
step.onnx
weights.safetensors   matrices in 16 bits, biases and norms in 32, each of them once
tokenizer.model       SentencePiece
README.md             the model card
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from seq2seq.config import ModelConfig, SearchConfig, from_table
from seq2seq.decoding.onnx_engine import OnnxEngine
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.tokenizer import BOS_ID, EOS_ID, Tokenizer

FORMAT_VERSION = 1
CONFIG = "config.json"
ENCODER = "encoder.onnx"
STEP = "step.onnx"
WEIGHTS = "weights.safetensors"
TOKENIZER = "tokenizer.model"
CARD = "README.md"
FILES = (CONFIG, ENCODER, STEP, WEIGHTS, TOKENIZER, CARD)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class FolderConfig:
    """What `config.json` holds."""

    format_version: int
    source_language: str
    target_language: str
    model: ModelConfig
    search: SearchConfig


@dataclass(frozen=True, eq=False)
class ShippedModel:
    """A model folder that is loaded and ready to translate."""

    engine: OnnxEngine
    tokenizer: Tokenizer
    source_language: str
    target_language: str
    search: SearchConfig
    model: ModelConfig
    path: Path


def load_folder(path: Path, threads: int = 0) -> ShippedModel:
    """Read and check a model folder; raises `Seq2SeqError` naming the file that is at fault.

    `threads` 0: one a core.
    """
    config = _read_config(path)
    for name in (ENCODER, STEP, WEIGHTS, TOKENIZER):
        if not (path / name).is_file():
            raise Seq2SeqError(f"{path / name}: missing; the model folder is not whole.")
    tokenizer = Tokenizer.load(path / TOKENIZER)
    try:
        tokenizer.language_id(config.target_language)
    except Seq2SeqError as error:
        raise Seq2SeqError(f"{path / TOKENIZER}: {error}") from None
    weights = _read_weights(path / WEIGHTS, config.model, len(tokenizer))
    engine = OnnxEngine(path / ENCODER, path / STEP, weights, threads)
    _try_out(engine, path, len(tokenizer))
    return ShippedModel(
        engine,
        tokenizer,
        config.source_language,
        config.target_language,
        config.search,
        config.model,
        path,
    )


def weight_shapes(model: ModelConfig, vocabulary_size: int) -> dict[str, Shape]:
    """Names and shapes of the weights: those of the torch network, but for the recurrent layers.

    The encoder's lie as the ONNX operators read them: both directions in one, gates in the order
    input, output, forget, cell (LSTM) or update, reset, candidate (GRU), a plain cell as a GRU
    whose gates stand still. The decoder's lie as in torch, except that the LSTM's three sigmoid
    gates come first (input, forget, output, candidate), and that the two biases are one where
    they are only added (LSTM, plain cell).
    """
    size, half = model.hidden_size, model.hidden_size // 2
    shapes: dict[str, Shape] = {
        "embedding.weight": (vocabulary_size, size),
        "output_bias": (vocabulary_size,),
        "encoder.norm.weight": (size,),
        "encoder.norm.bias": (size,),
    }
    gates = 4 if model.cell == "lstm" else 3
    for layer in range(model.encoder_layers):
        name = f"encoder.layers.{layer}"
        shapes[f"{name}.input"] = (2, gates * half, size)
        shapes[f"{name}.hidden"] = (2, gates * half, half)
        shapes[f"{name}.bias"] = (2, 2 * gates * half)
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[model.cell]
    for layer in range(model.decoder_layers):
        name = f"decoder.layers.{layer}"
        shapes[f"{name}.input.weight"] = (gates * size, size)
        shapes[f"{name}.hidden.weight"] = (gates * size, size)
        shapes[f"{name}.input.bias"] = (gates * size,)
        if model.cell == "gru":
            shapes[f"{name}.hidden.bias"] = (gates * size,)
    columns = model.decoder_layers * size * (2 if model.cell == "lstm" else 1)
    shapes["decoder.bridge.weight"] = (columns, size)
    shapes["decoder.bridge.bias"] = (columns,)
    features = size
    if model.attention == "multihead":
        shapes["decoder.attention.key_value.weight"] = (2 * size, size)
        shapes["decoder.attention.query.weight"] = (size, size)
        shapes["decoder.attention.output.weight"] = (size, size)
        shapes["decoder.norm.weight"] = (size,)
        shapes["decoder.norm.bias"] = (size,)
        features = 2 * size
    shapes["decoder.project.weight"] = (size, features)
    shapes["decoder.project.bias"] = (size,)
    return shapes


def _try_out(engine: OnnxEngine, path: Path, vocabulary_size: int) -> None:
    """One step, so that graphs of another model are found out here and not amid a translation."""
    try:
        state = engine.start(np.array([[EOS_ID, EOS_ID]]), np.array([2]))
        log_probs = engine.step(state, np.array([[BOS_ID]])).log_probs
    except Exception as error:  # the exceptions of ONNX Runtime have no other base
        reason = str(error).splitlines()[0].rstrip(".")
        raise Seq2SeqError(
            f"{path}: {ENCODER} and {STEP} do not fit {WEIGHTS}: {reason}."
        ) from None
    if log_probs.shape != (1, 1, vocabulary_size):
        raise Seq2SeqError(f"{path / STEP}: made for another vocabulary than {TOKENIZER}.")


def _read_config(path: Path) -> FolderConfig:
    if not path.is_dir():
        what = "a file" if path.exists() else "not there"
        raise Seq2SeqError(f"{path}: {what}; a model is a folder that `seq2seq export` made.")
    file = path / CONFIG
    if not file.is_file() and (path / "recipe.json").is_file():
        raise Seq2SeqError(
            f"{path}: a training run; export it first: seq2seq export {path} -o NAME.s2s"
        )
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Seq2SeqError(f"{path}: not a model folder: it has no {CONFIG}.") from None
    except OSError as error:
        raise Seq2SeqError(f"{file}: cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise Seq2SeqError(f"{file}: damaged: {error}.") from None
    version = table.get("format_version") if isinstance(table, dict) else None
    if not isinstance(version, int):
        raise Seq2SeqError(f"{file}: not the config of a model folder: no format_version.")
    if version > FORMAT_VERSION:
        raise Seq2SeqError(
            f"{file}: format version {version} is newer than this program, which reads up to "
            f"{FORMAT_VERSION}; upgrade seq2seq."
        )
    if version != FORMAT_VERSION:
        raise Seq2SeqError(f"{file}: there is no format version {version}.")
    try:
        return from_table(FolderConfig, table)
    except UsageError as error:
        raise Seq2SeqError(f"{file}: {error}") from None


def _read_weights(
    file: Path, model: ModelConfig, vocabulary_size: int
) -> dict[str, NDArray[np.float32]]:
    """The weights in float32; raises `Seq2SeqError` unless they are those of this model."""
    shapes = weight_shapes(model, vocabulary_size)
    try:
        with safe_open(file, framework="numpy") as stored:
            names = stored.keys()
            _check_weights(file, {name: stored.get_slice(name) for name in names}, shapes)
            return {name: stored.get_tensor(name).astype(np.float32) for name in shapes}
    except (OSError, SafetensorError) as error:
        raise Seq2SeqError(f"{file}: not a whole safetensors file: {error}.") from None


def _check_weights(file: Path, stored: Mapping[str, Any], shapes: Mapping[str, Shape]) -> None:
    """`stored` are safetensors slices: what the header says, before any data are read."""
    for name in shapes:
        if name not in stored:
            raise Seq2SeqError(f"{file}: '{name}' is missing; the weights are of another model.")
    for name, part in stored.items():
        if name not in shapes:
            raise Seq2SeqError(f"{file}: '{name}' is unknown; the weights are of another model.")
        shape = tuple(part.get_shape())
        if name in ("embedding.weight", "output_bias") and shape[:1] != shapes[name][:1]:
            raise Seq2SeqError(
                f"{file}: the weights are of a vocabulary of {shape[0] if shape else 0}, but "
                f"{TOKENIZER} has {shapes[name][0]} pieces; they are of different models."
            )
        if shape != shapes[name]:
            raise Seq2SeqError(
                f"{file}: '{name}' has the shape {shape}, not {shapes[name]} as {CONFIG} says."
            )
        if part.get_dtype() not in ("F16", "F32"):
            raise Seq2SeqError(f"{file}: '{name}' holds {part.get_dtype()}, not F16 or F32.")
