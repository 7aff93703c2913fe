"""Writes a model folder: what ships and what `translate` runs."""

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
from seq2seq.config.model_config import Cell, Direction, ModelConfig, SearchConfig
from seq2seq.config.parse import to_table
from seq2seq.engines.lexicon import Lexicon
from seq2seq.engines.quantization import observe, quantise
from seq2seq.engines.shortlist import Shortlist, learn_shortlist
from seq2seq.engines.weights import layout
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
    FolderConfig,
    check_search,
    read_config,
)
from seq2seq.nn.cells import Weights
from seq2seq.tokenizer import Tokenizer

Ids = Sequence[Sequence[int]]
Corpora = Mapping[Direction, tuple[Ids, Ids]]
"""Sources, their language tag first, and targets of each direction."""

_OBSERVED_SENTENCES = 300  # some ten thousand hypotheses

Floats = NDArray[np.float32]


def export_folder(
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
    """Write the model folder `output`; it appears whole or not at all.

    `weights` is the state of an `EncoderDecoder`, `card` the text of the model card. With
    `corpora`, those it was trained on, the model is exported in 8 bits, and with a shortlist unless
    that is false. The first of `directions` is what is translated unless another is asked for.
    `calibrate` is given the model folder before it takes its place. An older model folder is
    replaced; raises `UsageError` where something else is in the way.
    """
    output = output.resolve()
    _refuse_others(output)
    check_search(search)
    for direction in directions:
        tokenizer.language_id(direction.target)
    arranged = arrange(weights, model)
    shapes = {name: weight.shape for name, weight in arranged.items()}
    if shapes != {name: shape for name, (_, shape) in layout(model, len(tokenizer)).items()}:
        raise Seq2SeqError(
            f"{output}: the weights do not fit the model's settings and a tokenizer of "
            f"{len(tokenizer)} pieces."
        )
    # Also where 8 bits follow: weights that are not finite are found out here.
    files = {WEIGHTS: save({name: _in_16_bits(name, one) for name, one in arranged.items()})}
    shortlist = shortlist and corpora is not None
    if corpora is not None:
        candidates = _shortlist(corpora, tokenizer) if shortlist else None
        number = -(-_OBSERVED_SENTENCES // len(corpora))
        sources = [one for ids, _ in corpora.values() for one in ids[:: -(-len(ids) // number)]]
        observations = observe(model, arranged, sources, search, candidates)
        files[WEIGHTS] = save(quantise(model, arranged, observations))
        if candidates is not None:
            files[SHORTLIST] = candidates.to_bytes()
    files[TOKENIZER] = tokenizer.model
    config = FolderConfig(
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
    """Put into a model folder what makes a score a confidence; of other directions it stays."""
    config = read_config(path)
    measured = {calibration.direction for calibration in calibrations}
    others = (one for one in config.calibrations if one.direction not in measured)
    config = replace(config, calibrations=(*others, *calibrations))
    try:
        write_file(path / CONFIG, _config_json(config))
    except OSError as error:
        raise Seq2SeqError(f"{path}: cannot be written: {error.strerror}.") from None


def _config_json(config: FolderConfig) -> bytes:
    return (json.dumps(to_table(config), indent=2, ensure_ascii=False) + "\n").encode()


def _shortlist(corpora: Corpora, tokenizer: Tokenizer) -> Shortlist:
    size = len(tokenizer)
    lexicons = {
        (way.source, way.target): Lexicon.learn(sources, targets, size)
        for way, (sources, targets) in corpora.items()
    }
    tags = {way.target: tokenizer.language_id(way.target) for way in corpora}
    return learn_shortlist(lexicons, tags, size)


def arrange(weights: Mapping[str, Floats], model: ModelConfig) -> dict[str, Floats]:
    """The state of an `EncoderDecoder` in the layout "fp32", see `seq2seq.engines.weights`."""
    arranged = {name: weight for name, weight in weights.items() if ".fused." not in name}
    for layer in range(model.encoder_layers):
        name = f"encoder.layers.{layer}"
        both = {
            direction: _fused(weights, f"{name}.{direction}", model.cell)
            for direction in ("forwards", "backwards")
        }
        arranged[f"{name}.input.weight"] = np.concatenate([one.input for one in both.values()])
        arranged[f"{name}.input.bias"] = np.concatenate([one.input_bias for one in both.values()])
        for direction, one in both.items():
            arranged[f"{name}.{direction}.weight"] = one.hidden
            if model.cell == "gru":
                arranged[f"{name}.{direction}.bias"] = one.hidden_bias
    for layer in range(model.decoder_layers):
        name = f"decoder.layers.{layer}"
        one = _fused(weights, name, model.cell)
        if model.cell == "gru":
            arranged[f"{name}.input.weight"], arranged[f"{name}.hidden.weight"] = one[:2]
            arranged[f"{name}.input.bias"], arranged[f"{name}.hidden.bias"] = one[2:]
        else:
            arranged[f"{name}.weight"] = np.concatenate(one[:2], axis=1)
            arranged[f"{name}.bias"] = one.input_bias
    return arranged


def _fused(weights: Mapping[str, Floats], layer: str, cell: Cell) -> Weights:
    """The weights of one layer and direction, an LSTM's three sigmoid gates first.

    The two biases are one, the input's, where they are only added (LSTM, plain cell).
    """
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    found = Weights(*(weights[f"{layer}.fused.{part}_l0"] for part in parts))
    if cell == "lstm":
        found = _reorder(found, (0, 1, 3, 2))
    if cell == "gru":
        return found
    return found._replace(
        input_bias=found.input_bias + found.hidden_bias,
        hidden_bias=np.zeros_like(found.hidden_bias),
    )


def _reorder(fused: Weights, order: Sequence[int]) -> Weights:
    """The blocks of the gates in another order."""

    def reorder(part: Floats) -> Floats:
        blocks = np.split(part, len(order))
        return np.concatenate([blocks[gate] for gate in order])

    return Weights(*map(reorder, fused))


def _in_16_bits(name: str, weight: Floats) -> NDArray[Any]:
    """Matrices in 16 bits; biases and norms are few, and keep their 32."""
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(weight, np.float16 if weight.ndim > 1 else np.float32)
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
    if names and (CONFIG not in names or not names <= {*FILES, *OLDER_FILES}):
        raise UsageError(
            f"{output}: a folder that is not a model is in the way; choose another with -o."
        )
