"""A model directory: everything that `translate` needs, and nothing that could run code.

config.json             format version, languages, shape of the network, search settings, and the
                        SHA-256 of the other files
weights.safetensors     see `seq2seq.engines.weights`; in 8 bits, or matrices in 16, vectors in 32
shortlist.safetensors   optional; see `seq2seq.engines.shortlist`
tokenizer.model         SentencePiece
README.md               the model card; the only file that may be edited, so it has no checksum

A directory from a stranger is only data: loading it runs no code from it. The graphs are built by
us from the settings. The settings have limits, and are checked against the sizes of the files
before much memory is used.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq.confidence import Calibration
from seq2seq.config.model_config import Direction, ModelConfig, SearchConfig, WeightPrecision
from seq2seq.config.parse import from_table
from seq2seq.engines.onnx_builder import Graph, QuantizedGraph
from seq2seq.engines.onnx_engine import OnnxEngine
from seq2seq.engines.onnx_graphs import encoder_graph, step_graph
from seq2seq.engines.shortlist import Shortlist
from seq2seq.engines.weights import OUTPUT, Tensor, read_tensors, schema
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.tokenizer import Tokenizer

FORMAT_VERSION = 4
_OLDEST_VERSION = 3  # that can still be read; it has no calibrations
CONFIG = "config.json"
WEIGHTS = "weights.safetensors"
SHORTLIST = "shortlist.safetensors"
TOKENIZER = "tokenizer.model"
CARD = "README.md"
FILES = (CONFIG, WEIGHTS, SHORTLIST, TOKENIZER, CARD)
OLDER_FILES = ("encoder.onnx", "step.onnx")
"""Files that directories of format versions 1 and 2 had in addition."""

_LARGEST: Mapping[str, int] = {  # bytes; larger files are not read
    CONFIG: 1 << 20,
    WEIGHTS: 2 << 30,
    SHORTLIST: 256 << 20,
    TOKENIZER: 16 << 20,
}
_HEADER = 1 << 20  # bytes for the header of a safetensors file, more than any model needs

_MOST_DIRECTIONS = 1000

# Within these limits a search comes to an end, and takes some hundred megabytes at most.
_WIDEST_BEAM = 100
_LONGEST_SOURCE = 10_000
_LONGEST_EXTRA = 1000
_SHORTEST_LIMIT = 10  # minimum of max_source_length; shorter pieces would be too many
_MOST_TOKENS = 20_000  # of all hypotheses of the longest source together

_LONGEST_MESSAGE = 1000


@dataclass(frozen=True)
class ModelDirConfig:
    """The content of `config.json`."""

    format_version: int
    directions: tuple[Direction, ...]
    precision: WeightPrecision
    shortlist: bool
    model: ModelConfig
    search: SearchConfig
    checksums: dict[str, str]  # SHA-256 of the other files, except the card
    calibrations: tuple[Calibration, ...] = ()


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A loaded model directory, ready to translate."""

    engine: OnnxEngine
    tokenizer: Tokenizer
    directions: tuple[Direction, ...]
    search: SearchConfig
    model: ModelConfig
    calibrations: tuple[Calibration, ...]
    path: Path


def load_model_dir(path: Path, threads: int = 0) -> LoadedModel:
    """Read and check a model directory; raise a `Seq2SeqError` that names the file at fault.

    `threads` 0: one per core.
    """
    try:
        return _load(path, threads)
    except Seq2SeqError as error:
        raise Seq2SeqError(_legible(str(error))) from None


def read_weights(path: Path) -> tuple[ModelDirConfig, Tokenizer, dict[str, NDArray[Any]]]:
    """Read settings, tokenizer and weights, with the checks of `load_model_dir`."""
    try:
        config = read_config(path)
        tokenizer = _read_tokenizer(path / TOKENIZER, config)
        return config, tokenizer, _read_weights(path / WEIGHTS, config, len(tokenizer))
    except Seq2SeqError as error:
        raise Seq2SeqError(_legible(str(error))) from None


def _load(path: Path, threads: int) -> LoadedModel:
    config = read_config(path)
    tokenizer = _read_tokenizer(path / TOKENIZER, config)
    weights = _read_weights(path / WEIGHTS, config, len(tokenizer))
    shortlist = None
    if config.shortlist:
        tags = [tokenizer.language_id(language) for language in _targets(config)]
        largest = Shortlist.most_bytes(len(tokenizer), len(tags)) + _HEADER
        data = _read(path / SHORTLIST, config, largest)
        try:
            shortlist = Shortlist.from_bytes(data, len(tokenizer), tags)
        except ValueError as error:
            raise Seq2SeqError(f"{path / SHORTLIST}: {error}.") from None
    graph = QuantizedGraph if config.precision == "int8" else Graph
    engine = OnnxEngine(
        encoder_graph(graph(config.model, len(tokenizer)), config.shortlist),
        step_graph(graph(config.model, len(tokenizer)), config.shortlist),
        weights,
        shortlist,
        threads,
    )
    return LoadedModel(
        engine,
        tokenizer,
        config.directions,
        config.search,
        config.model,
        config.calibrations,
        path,
    )


def _targets(config: ModelDirConfig) -> list[str]:
    """Return the distinct target languages."""
    return [*dict.fromkeys(direction.target for direction in config.directions)]


def _legible(message: str) -> str:
    """Put a message on one line of limited length, whatever an untrusted file has in it."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in message)
    if len(line) <= _LONGEST_MESSAGE:
        return line
    half = _LONGEST_MESSAGE // 2
    return f"{line[:half]} ... {line[-half:]}"


def is_training_run(path: Path) -> bool:
    """Return whether a directory is that of a training run, not a model directory."""
    return (path / "recipe.json").is_file()


def read_config(path: Path) -> ModelDirConfig:
    """Read the settings of a model directory; raise `Seq2SeqError` if they are not valid."""
    file = path / CONFIG
    try:
        if not path.is_dir():
            what = "a file" if path.exists() else "not there"
            raise Seq2SeqError(f"{path}: {what}; a model is a directory made by `seq2seq export`.")
        if not file.exists() and is_training_run(path):
            raise Seq2SeqError(
                f"{path}: a training run; export it first: seq2seq export {path} -o NAME.s2s"
            )
        if not file.exists():
            raise Seq2SeqError(f"{path}: not a model directory: it has no {CONFIG}.")
    except OSError as error:
        raise Seq2SeqError(f"{path}: cannot be read: {error.strerror}.") from None
    try:
        table = json.loads(_read_bytes(file))
    except (ValueError, RecursionError) as error:
        raise Seq2SeqError(f"{file}: damaged: {error}.") from None
    version = table.get("format_version") if isinstance(table, dict) else None
    if type(version) is not int:  # True is an instance of int
        raise Seq2SeqError(f"{file}: not the config of a model directory: no format_version.")
    if version > FORMAT_VERSION:
        raise Seq2SeqError(
            f"{file}: format version {version} is newer than this program, which reads up to "
            f"{FORMAT_VERSION}; upgrade seq2seq."
        )
    if version < _OLDEST_VERSION:
        raise Seq2SeqError(
            f"{file}: format version {version} is older than this program reads, which is "
            f"{_OLDEST_VERSION} to {FORMAT_VERSION}; export the model again."
        )
    try:
        config = from_table(ModelDirConfig, table)
        _check_bounds(config)
    except UsageError as error:
        raise Seq2SeqError(f"{file}: {error}") from None
    except (OverflowError, RecursionError) as error:
        raise Seq2SeqError(f"{file}: damaged: {error}.") from None
    return config


def _check_bounds(config: ModelDirConfig) -> None:
    """Raise `UsageError` if a setting is beyond what any model needs."""
    if config.model.own_cell:
        raise UsageError("'model.cell' is code, which a model directory never has.")
    if setting := config.model.not_exported:
        raise UsageError(f"{setting} is only for training runs: a model directory never has it.")
    if not 0 < len(config.directions) <= _MOST_DIRECTIONS:
        raise UsageError(f"'directions' must be at least 1 and at most {_MOST_DIRECTIONS:,}.")
    for number, direction in enumerate(config.directions):
        for language in (direction.source, direction.target):
            if not (language and language.isprintable()):
                raise UsageError(
                    f"'directions.{number}' has {language!r}, which is not a language."
                )
    if config.shortlist and config.precision != "int8":
        raise UsageError("'shortlist' needs the precision 'int8'.")
    check_search(config.search)


def check_search(search: SearchConfig) -> None:
    """Raise `UsageError` if a search would take longer than a model directory may ask for.

    The options of a translation can still exceed these limits.
    """
    if search.beam_size > _WIDEST_BEAM:
        raise UsageError(f"'search.beam_size' must be at most {_WIDEST_BEAM} in a model directory.")
    if not _SHORTEST_LIMIT <= search.max_source_length <= _LONGEST_SOURCE:
        raise UsageError(
            f"'search.max_source_length' must lie in [{_SHORTEST_LIMIT}, {_LONGEST_SOURCE}] in a "
            "model directory."
        )
    if search.max_length_extra > _LONGEST_EXTRA:
        raise UsageError(
            f"'search.max_length_extra' must be at most {_LONGEST_EXTRA} in a model directory."
        )
    longest = search.max_length_ratio * search.max_source_length + search.max_length_extra
    if search.beam_size * longest > _MOST_TOKENS:
        raise UsageError(
            "'search' must have a beam_size * (max_length_ratio * max_source_length + "
            f"max_length_extra) of at most {_MOST_TOKENS} in a model directory."
        )


def _read(file: Path, config: ModelDirConfig, largest: int | None = None) -> bytes:
    """Read a file of the directory, and verify its checksum.

    It is read only once, so the bytes that were checked are the bytes that are used.
    """
    data = _read_bytes(file, largest)
    if sha256(data).hexdigest() != config.checksums.get(file.name):
        raise Seq2SeqError(
            f"{file}: altered: its checksum is not the one in {CONFIG}; copy or export the model "
            "again."
        )
    return data


def _read_bytes(file: Path, largest: int | None = None) -> bytes:
    """Read a file, following links, unless it is too large or not a file, such as a pipe."""
    largest = min(_LARGEST[file.name], largest or _LARGEST[file.name])
    try:
        if file.exists() and not file.is_file():
            raise Seq2SeqError(f"{file}: not a file; the model directory is incomplete.")
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > largest:
                raise Seq2SeqError(
                    f"{file}: {size:,} bytes, too large for this model directory, where it has at "
                    f"most {largest:,}."
                )
            return stream.read(size)
    except FileNotFoundError:
        raise Seq2SeqError(f"{file}: missing; the model directory is incomplete.") from None
    except OSError as error:
        raise Seq2SeqError(f"{file}: cannot be read: {error.strerror}.") from None


def _read_tokenizer(file: Path, config: ModelDirConfig) -> Tokenizer:
    data = _read(file, config)
    tokenizer = Tokenizer(data, name=str(file))
    try:
        for language in _targets(config):
            tokenizer.language_id(language)
    except Seq2SeqError as error:
        raise Seq2SeqError(f"{file}: {error}") from None
    return tokenizer


def _read_weights(
    file: Path, config: ModelDirConfig, vocabulary_size: int
) -> dict[str, NDArray[Any]]:
    """Read the weights in the form for the graphs; raise `Seq2SeqError` if they do not fit."""
    expected = schema(config.model, vocabulary_size, config.precision)
    expected.pop(OUTPUT, None)
    largest = sum(prod(shape) * np.dtype(type_).itemsize for type_, shape in expected.values())
    data = _read(file, config, largest + _HEADER)
    try:
        weights = read_tensors(data)
    except ValueError as error:
        raise Seq2SeqError(f"{file}: {error}.") from None
    _check_weights(file, weights, expected)
    weights = {
        name: weight.astype(expected[name].type, copy=False) for name, weight in weights.items()
    }
    if config.precision == "int8" and not config.shortlist:
        weights[OUTPUT] = np.ascontiguousarray(weights["embedding.weight"].T)
    return weights


def _check_weights(
    file: Path, weights: Mapping[str, NDArray[Any]], expected: Mapping[str, Tensor]
) -> None:
    for name in expected:
        if name not in weights:
            raise Seq2SeqError(f"{file}: '{name}' is missing; the weights belong to another model.")
    for name in sorted(weights):
        if name not in expected:
            raise Seq2SeqError(f"{file}: '{name}' is unknown; the weights belong to another model.")
    for name, weight in sorted(weights.items()):
        type_, wanted = expected[name]
        shape = weight.shape
        if name in ("embedding.weight", "output_bias") and shape[:1] != wanted[:1]:
            raise Seq2SeqError(
                f"{file}: the weights have a vocabulary of {shape[0] if shape else 0}, but "
                f"{TOKENIZER} has {wanted[0]} pieces; they belong to different models."
            )
        if shape != wanted:
            raise Seq2SeqError(
                f"{file}: '{name}' has the shape {shape}, not {wanted} as {CONFIG} says."
            )
        types = [np.int8] if type_ is np.int8 else [np.float16, np.float32]
        if weight.dtype not in types:
            raise Seq2SeqError(
                f"{file}: '{name}' holds {weight.dtype}, not "
                f"{' or '.join(np.dtype(known).name for known in types)}."
            )
        if ".step." in name and weight <= 0:
            raise Seq2SeqError(f"{file}: '{name}' is {weight}, but must be above 0.")
