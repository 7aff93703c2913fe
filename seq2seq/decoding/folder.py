"""A model folder: everything `translate` needs, and nothing that could run code.

config.json             format version, languages, shape of the network, search settings, and the
                        SHA-256 of the other files
encoder.onnx            the graphs, without weights; see `seq2seq.decoding.graphs`
step.onnx
weights.safetensors     see `seq2seq.decoding.layout`; 8 bits, or matrices in 16 and vectors in 32
shortlist.safetensors   where there is one; see `seq2seq.decoding.shortlist`
tokenizer.model         SentencePiece
README.md               the model card; the only file that may be edited, so it has no checksum

A folder from a stranger is data: loading it runs no code of it, and its graphs read no file outside
of it (ONNX Runtime sees to that from 1.24.1 on). How long they run and how much memory they take is
not bounded.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from seq2seq.config import ModelConfig, SearchConfig, WeightPrecision, from_table
from seq2seq.decoding.layout import ENCODER, OUTPUT, STEP, WEIGHTS, Shape, Tensor, layout
from seq2seq.decoding.onnx_engine import OnnxEngine, Signature, reason
from seq2seq.decoding.shortlist import Shortlist
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.tokenizer import BOS_ID, EOS_ID, Tokenizer

FORMAT_VERSION = 2
CONFIG = "config.json"
SHORTLIST = "shortlist.safetensors"
TOKENIZER = "tokenizer.model"
CARD = "README.md"
FILES = (CONFIG, ENCODER, STEP, WEIGHTS, SHORTLIST, TOKENIZER, CARD)

_LARGEST: Mapping[str, int] = {  # bytes; what is larger is not read
    CONFIG: 1 << 20,
    ENCODER: 16 << 20,
    STEP: 16 << 20,
    WEIGHTS: 2 << 30,
    SHORTLIST: 256 << 20,
    TOKENIZER: 64 << 20,
}
_STORED_TYPES: Mapping[str, type] = {"F16": np.float16, "F32": np.float32, "I8": np.int8}


@dataclass(frozen=True)
class FolderConfig:
    """What `config.json` holds."""

    format_version: int
    source_language: str
    target_language: str
    precision: WeightPrecision
    shortlist: bool
    model: ModelConfig
    search: SearchConfig
    checksums: dict[str, str]  # SHA-256 of each other file but the card


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
    tokenizer = Tokenizer(_read(path / TOKENIZER, config), name=str(path / TOKENIZER))
    try:
        tokenizer.language_id(config.target_language)
    except Seq2SeqError as error:
        raise Seq2SeqError(f"{path / TOKENIZER}: {error}") from None
    weights = _read_weights(path / WEIGHTS, config, len(tokenizer))
    shortlist = None
    if config.shortlist:
        data = _read(path / SHORTLIST, config)
        try:
            shortlist = Shortlist.from_bytes(data, len(tokenizer))
        except ValueError as error:
            raise Seq2SeqError(f"{path / SHORTLIST}: {error}.") from None
    engine = OnnxEngine(
        path, _read(path / ENCODER, config), _read(path / STEP, config), weights, shortlist, threads
    )
    _check_graphs(engine, path, config)
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


def _check_graphs(engine: OnnxEngine, path: Path, config: FolderConfig) -> None:
    """Raises `Seq2SeqError` unless the graphs read and give what the engine will expect."""
    found = engine.signatures()
    for part, expected in _signatures(config).items():
        graph, kind = part.split()
        file = path / {"encoder": ENCODER, "step": STEP}[graph]
        if found[part].keys() != expected.keys():
            raise Seq2SeqError(
                f"{file}: the graph has the {kind} {', '.join(sorted(found[part]))}, "
                f"not {', '.join(sorted(expected))}; export the model again."
            )
        for name, (type_, rank) in expected.items():
            found_type, found_rank = found[part][name]
            if (found_type, found_rank) != (type_, rank):
                raise Seq2SeqError(
                    f"{file}: among the {kind}, '{name}' is a {found_type} of rank {found_rank}, "
                    f"not a {type_} of rank {rank}; export the model again."
                )


def _signatures(config: FolderConfig) -> dict[str, Signature]:
    """What `seq2seq.decoding.graphs` builds for such a model."""
    source: Signature = {"src": _ints(2), "lengths": _ints(1)}
    memory: Signature = {}
    target: Signature = {"tokens": _ints(1), "states": _floats(2)}
    results: Signature = {"log_probs": _floats(2), "new_states": _floats(2)}
    if config.model.attention == "multihead":
        memory |= {"keys": _floats(4), "values": _floats(4), "mask": _floats(4)}
        target |= {"slots": _ints(2), "places": _ints(2)}
        results |= {"attention": _floats(2)}
    if config.shortlist:
        source |= {"pool": _ints(1)}
        memory |= {
            "candidate_weights": ("tensor(int8)", 2),
            "candidate_scales": _floats(1),
            "candidate_biases": _floats(1),
        }
        target |= {"columns": _ints(2), "sentences": _ints(1)}
    return {
        "encoder inputs": source,
        "encoder outputs": {"states": _floats(2)} | memory,
        "step inputs": target | memory,
        "step outputs": results,
    }


def _floats(rank: int) -> tuple[str, int]:
    return "tensor(float)", rank


def _ints(rank: int) -> tuple[str, int]:
    return "tensor(int64)", rank


def _try_out(engine: OnnxEngine, path: Path, vocabulary_size: int) -> None:
    """Two steps, so that graphs of another model are found out here and not amid a translation."""
    try:
        state = engine.start(np.array([[EOS_ID, EOS_ID]]), np.array([2]))
        step = engine.step(state, np.array([BOS_ID]))
        two = engine.step(step.state.select(np.array([0, 0])), np.array([EOS_ID, EOS_ID]))
    except Exception as error:  # the exceptions of ONNX Runtime have no other base
        raise Seq2SeqError(
            f"{path}: {ENCODER} and {STEP} do not fit {WEIGHTS}: {reason(error)}."
        ) from None
    width = vocabulary_size if step.candidates is None else step.candidates.shape[1]
    if (step.log_probs.shape, two.log_probs.shape) != ((1, width), (2, width)):
        raise Seq2SeqError(f"{path / STEP}: made for another vocabulary than {TOKENIZER}.")


def _read_config(path: Path) -> FolderConfig:
    file = path / CONFIG
    try:
        if not path.is_dir():
            what = "a file" if path.exists() else "not there"
            raise Seq2SeqError(f"{path}: {what}; a model is a folder that `seq2seq export` made.")
        if not file.exists() and (path / "recipe.json").is_file():
            raise Seq2SeqError(
                f"{path}: a training run; export it first: seq2seq export {path} -o NAME.s2s"
            )
        if not file.exists():
            raise Seq2SeqError(f"{path}: not a model folder: it has no {CONFIG}.")
    except OSError as error:
        raise Seq2SeqError(f"{path}: cannot be read: {error.strerror}.") from None
    try:
        table = json.loads(_read_bytes(file))
    except (ValueError, RecursionError) as error:
        raise Seq2SeqError(f"{file}: damaged: {error}.") from None
    version = table.get("format_version") if isinstance(table, dict) else None
    if type(version) is not int:  # True is an instance of int
        raise Seq2SeqError(f"{file}: not the config of a model folder: no format_version.")
    if version > FORMAT_VERSION:
        raise Seq2SeqError(
            f"{file}: format version {version} is newer than this program, which reads up to "
            f"{FORMAT_VERSION}; upgrade seq2seq."
        )
    if version != FORMAT_VERSION:
        raise Seq2SeqError(
            f"{file}: format version {version} is older than this program reads, which is "
            f"{FORMAT_VERSION}; export the model again."
        )
    try:
        return from_table(FolderConfig, table)
    except UsageError as error:
        raise Seq2SeqError(f"{file}: {error}") from None


def _read(file: Path, config: FolderConfig) -> bytes:
    """A file of the folder, checked against its checksum.

    It is read once: the bytes that were checked are those that are used.
    """
    data = _read_bytes(file)
    if sha256(data).hexdigest() != config.checksums.get(file.name):
        raise Seq2SeqError(
            f"{file}: altered: its checksum is not the one in {CONFIG}; copy or export the model "
            "again."
        )
    return data


def _read_bytes(file: Path) -> bytes:
    """A file or what a link leads to, unless it is too large or, as a pipe is, without end."""
    largest = _LARGEST[file.name]
    try:
        if file.exists() and not file.is_file():
            raise Seq2SeqError(f"{file}: not a file; the model folder is not whole.")
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > largest:
                raise Seq2SeqError(
                    f"{file}: {size:,} bytes, too large for a model folder, where it has at most "
                    f"{largest:,}."
                )
            return stream.read(size)
    except FileNotFoundError:
        raise Seq2SeqError(f"{file}: missing; the model folder is not whole.") from None
    except OSError as error:
        raise Seq2SeqError(f"{file}: cannot be read: {error.strerror}.") from None


def _read_weights(
    file: Path, config: FolderConfig, vocabulary_size: int
) -> dict[str, NDArray[Any]]:
    """The weights as the graphs read them; raises `Seq2SeqError` unless they are this model's."""
    expected = layout(config.model, vocabulary_size, config.precision)
    expected.pop(OUTPUT, None)
    try:
        stored = dict(deserialize(_read(file, config)))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise Seq2SeqError(f"{file}: not a whole safetensors file: {error}.") from None
    _check_weights(file, stored, expected)
    weights = {
        name: np.frombuffer(part["data"], _STORED_TYPES[part["dtype"]])
        .reshape(part["shape"])
        .astype(expected[name].type, copy=False)
        for name, part in stored.items()
    }
    if config.precision == "int8" and not config.shortlist:
        weights[OUTPUT] = np.ascontiguousarray(weights["embedding.weight"].T)
    return weights


def _check_weights(
    file: Path, stored: Mapping[str, Mapping[str, Any]], expected: Mapping[str, Tensor]
) -> None:
    for name in expected:
        if name not in stored:
            raise Seq2SeqError(f"{file}: '{name}' is missing; the weights are of another model.")
    for name, part in stored.items():
        if name not in expected:
            raise Seq2SeqError(f"{file}: '{name}' is unknown; the weights are of another model.")
        type_, wanted = expected[name]
        shape: Shape = tuple(part["shape"])
        if name in ("embedding.weight", "output_bias") and shape[:1] != wanted[:1]:
            raise Seq2SeqError(
                f"{file}: the weights are of a vocabulary of {shape[0] if shape else 0}, but "
                f"{TOKENIZER} has {wanted[0]} pieces; they are of different models."
            )
        if shape != wanted:
            raise Seq2SeqError(
                f"{file}: '{name}' has the shape {shape}, not {wanted} as {CONFIG} says."
            )
        types = ("I8",) if type_ is np.int8 else ("F16", "F32")
        if part["dtype"] not in types:
            raise Seq2SeqError(f"{file}: '{name}' holds {part['dtype']}, not {' or '.join(types)}.")
