"""Writes a model folder: what ships and what `translate` runs."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from seq2seq.config import Cell, ModelConfig, SearchConfig, to_table
from seq2seq.decoding.folder import (
    CARD,
    CONFIG,
    FILES,
    FORMAT_VERSION,
    SHORTLIST,
    TOKENIZER,
    FolderConfig,
)
from seq2seq.decoding.layout import ENCODER, STEP, WEIGHTS, layout
from seq2seq.decoding.shortlist import learn_shortlist
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import write_folder
from seq2seq.nn.cells import Weights
from seq2seq.tokenizer import Tokenizer

Corpus = tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]]

_OBSERVED_SENTENCES = 300  # some ten thousand hypotheses

Floats = NDArray[np.float32]


def export_folder(
    weights: Mapping[str, Floats],
    model: ModelConfig,
    tokenizer: Tokenizer,
    source_language: str,
    target_language: str,
    search: SearchConfig,
    card: str,
    output: Path,
    corpus: Corpus | None = None,
    shortlist: bool = True,
) -> None:
    """Write the model folder `output`; it appears whole or not at all.

    `weights` is the state of an `EncoderDecoder`, `card` the text of the model card. With `corpus`,
    the ids of sources and targets of the training corpus, the model is exported in 8 bits, and with
    a shortlist unless that is false. An older model folder is replaced; raises `UsageError` where
    something else is in the way.
    """
    try:
        from seq2seq.decoding.graph import Graph, QuantisedGraph  # needs onnx
        from seq2seq.decoding.graphs import encoder_graph, step_graph
        from seq2seq.decoding.quantisation import observe, quantise
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise UsageError(
            "export needs the package onnx, which comes with: pip install 'seq2seq[train]'"
        ) from None
    output = output.resolve()
    _refuse_others(output)
    tokenizer.language_id(target_language)
    arranged = arrange(weights, model)
    shapes = {name: weight.shape for name, weight in arranged.items()}
    if shapes != {name: shape for name, (_, shape) in layout(model, len(tokenizer)).items()}:
        raise Seq2SeqError(
            f"{output}: the weights do not fit the model's settings and a tokenizer of "
            f"{len(tokenizer)} pieces."
        )
    # Also where 8 bits follow: weights that are not finite are found out here.
    files = {WEIGHTS: save({name: _in_16_bits(name, one) for name, one in arranged.items()})}
    graph, shortlist = (Graph, False) if corpus is None else (QuantisedGraph, shortlist)
    if corpus is not None:
        candidates = learn_shortlist(*corpus, len(tokenizer)) if shortlist else None
        sources = corpus[0][:: -(-len(corpus[0]) // _OBSERVED_SENTENCES)]
        observations = observe(model, arranged, sources, search, candidates)
        files[WEIGHTS] = save(quantise(model, arranged, observations))
        if candidates is not None:
            files[SHORTLIST] = candidates.to_bytes()
    files[ENCODER] = encoder_graph(graph(model, len(tokenizer)), shortlist)
    files[STEP] = step_graph(graph(model, len(tokenizer)), shortlist)
    files[TOKENIZER] = tokenizer.model
    config = FolderConfig(
        FORMAT_VERSION,
        source_language,
        target_language,
        graph.precision,
        shortlist,
        model,
        search,
        {name: sha256(data).hexdigest() for name, data in files.items()},
    )
    table = json.dumps(to_table(config), indent=2, ensure_ascii=False) + "\n"
    try:
        write_folder(files | {CONFIG: table.encode(), CARD: card.encode()}, output)
    except OSError as error:
        raise Seq2SeqError(f"{output}: cannot be written: {error.strerror}.") from None


def arrange(weights: Mapping[str, Floats], model: ModelConfig) -> dict[str, Floats]:
    """The state of an `EncoderDecoder` in the layout "fp32", see `seq2seq.decoding.layout`."""
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
    if names and (CONFIG not in names or not names <= set(FILES)):
        raise UsageError(
            f"{output}: a folder that is not a model is in the way; choose another with -o."
        )
