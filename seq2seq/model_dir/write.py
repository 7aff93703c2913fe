"""Write a model directory, which `translate` runs."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from seq2seq.confidence import Calibration
from seq2seq.config.model_config import Direction, ModelConfig, SearchConfig
from seq2seq.config.parse import to_table
from seq2seq.engines import quantization
from seq2seq.engines.shortlist import Lexicon, Shortlist, learn_shortlist
from seq2seq.engines.weights import pack, quantize, schema
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import replacing_folder, write_file
from seq2seq.model_dir.read import (
    CARD,
    CONFIG,
    FILES,
    FORMAT_VERSION,
    OLDER_FILES,
    SHORTLIST,
    TOKENIZER,
    WEIGHTS,
    ModelDirConfig,
    check_search,
    read_config,
)
from seq2seq.tokenizer import Tokenizer

Ids = Sequence[Sequence[int]]
Corpora = Mapping[Direction, tuple[Ids, Ids]]
"""Sources, with their language tag first, and targets, by direction."""

_OBSERVED_SENTENCES = 300  # give some ten thousand hypotheses

Floats = NDArray[np.float32]


def export_model_dir(
    weights: Mapping[str, Floats],
    model: ModelConfig,
    tokenizer: Tokenizer,
    directions: Sequence[Direction],
    search: SearchConfig,
    card: str,
    output: Path,
    corpora: Corpora | None = None,
    shortlist: bool = True,
    calibrate: Callable[[Path], Sequence[Calibration]] | None = None,
) -> None:
    """Write the model directory `output`, which appears complete or not at all.

    `weights` is the state of an `EncoderDecoder`, `card` the text of the model card. With
    `corpora`, which the model was trained on, it is exported in 8 bits, with a shortlist unless
    `shortlist` is false. The first of `directions` is the default. `calibrate` is called with the
    new model directory before it takes its place. An older model directory is replaced; anything
    else in the way raises `UsageError`.
    """
    output = output.resolve()
    _refuse_others(output)
    check_search(search)
    for direction in directions:
        tokenizer.language_id(direction.target)
    packed = pack(weights, model)
    shapes = {name: weight.shape for name, weight in packed.items()}
    if shapes != {name: shape for name, (_, shape) in schema(model, len(tokenizer)).items()}:
        raise Seq2SeqError(
            f"{output}: the weights do not fit the model's settings and a tokenizer of "
            f"{len(tokenizer)} pieces."
        )
    # For 8 bits too, as this detects weights that are not finite.
    files = {WEIGHTS: save({name: _in_16_bits(name, weight) for name, weight in packed.items()})}
    shortlist = shortlist and corpora is not None
    if corpora is not None:
        candidates = _shortlist(corpora, tokenizer) if shortlist else None
        number = -(-_OBSERVED_SENTENCES // len(corpora))
        sources = [
            source for ids, _ in corpora.values() for source in ids[:: -(-len(ids) // number)]
        ]
        calibrated = quantization.calibrate(model, packed, sources, search, candidates)
        packed = calibrated.with_unlisted(packed)
        files[WEIGHTS] = save(quantize(packed, model, calibrated.ranges))
        if candidates is not None:
            files[SHORTLIST] = candidates.to_bytes()
    files[TOKENIZER] = tokenizer.model
    config = ModelDirConfig(
        FORMAT_VERSION,
        tuple(directions),
        "fp32" if corpora is None else "int8",
        shortlist,
        model,
        search,
        {name: sha256(data).hexdigest() for name, data in files.items()},
    )
    try:
        with replacing_folder(output) as aside:
            for name, data in (files | {CONFIG: _config_json(config), CARD: card.encode()}).items():
                (aside / name).write_bytes(data)
            if calibrate and (calibrations := calibrate(aside)):
                add_calibrations(aside, calibrations)
    except OSError as error:
        raise Seq2SeqError(f"{output}: cannot be written: {error.strerror}.") from None


def add_calibrations(path: Path, calibrations: Sequence[Calibration]) -> None:
    """Add calibrations to a model directory, keeping those of other directions."""
    config = read_config(path)
    measured = {calibration.direction for calibration in calibrations}
    others = (kept for kept in config.calibrations if kept.direction not in measured)
    config = replace(config, calibrations=(*others, *calibrations))
    try:
        write_file(path / CONFIG, _config_json(config))
    except OSError as error:
        raise Seq2SeqError(f"{path}: cannot be written: {error.strerror}.") from None


def _config_json(config: ModelDirConfig) -> bytes:
    table = to_table(config)
    del table["model"]["kernels"]  # only for training
    del table["model"]["input_feeding"]  # never used in a model directory
    return (json.dumps(table, indent=2, ensure_ascii=False) + "\n").encode()


def _shortlist(corpora: Corpora, tokenizer: Tokenizer) -> Shortlist:
    size = len(tokenizer)
    lexicons = {
        (way.source, way.target): Lexicon.learn(sources, targets, size)
        for way, (sources, targets) in corpora.items()
    }
    tags = {way.target: tokenizer.language_id(way.target) for way in corpora}
    return learn_shortlist(lexicons, tags, size)


def _in_16_bits(name: str, weight: Floats) -> NDArray[Any]:
    """Store matrices in 16 bits; biases and norms are few, and keep 32."""
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(weight, np.float16 if weight.ndim > 1 else np.float32)
    if not np.isfinite(stored).all():
        raise Seq2SeqError(f"the weight '{name}' is not finite in 16 bits: training diverged.")
    return stored


def _refuse_others(output: Path) -> None:
    """Raise `UsageError` unless `output` does not exist, is empty or is a model directory."""
    if not output.exists():
        return
    if not output.is_dir():
        raise UsageError(f"{output}: a file is in the way; choose another directory with -o.")
    names = {path.name for path in output.iterdir()}
    if names and (CONFIG not in names or not names <= {*FILES, *OLDER_FILES}):
        raise UsageError(
            f"{output}: a directory that is not a model is in the way; choose another with -o."
        )
