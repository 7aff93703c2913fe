"""Weights are packed for a model directory and unpacked again without loss, but for rounding."""

from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from helpers import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seq2seq.config.model_config import Cell, ModelConfig, SearchConfig
from seq2seq.engines.torch_engine import TorchEngine
from seq2seq.engines.weights import (
    OUTPUT,
    activation_scales,
    dequantize,
    linear_layers,
    pack,
    quantize,
    schema,
    unpack,
)
from seq2seq.model_dir.read import load_model_dir, read_weights
from seq2seq.nn.model import EncoderDecoder
from seq2seq.search.beam import beam_search
from seq2seq.search.engine_protocol import Engine, S
from seq2seq.tokenizer import BOS_ID, PAD_ID, UNK_ID

Floats = NDArray[np.float32]

SEARCH = SearchConfig(beam_size=3)
CONFIGS = [
    ModelConfig(cell, attention, 32, encoder_layers=2, decoder_layers=2, heads=2)
    for cell, attention in product(get_args(Cell), tiny.EXPORTED_ATTENTION)
]


@pytest.fixture(params=CONFIGS, ids=lambda one: f"{one.cell}-{one.attention}")
def model(request: pytest.FixtureRequest) -> EncoderDecoder:
    return tiny.network(request.param)


def restored(folder: Path) -> EncoderDecoder:
    """The network behind a model directory, in torch."""
    config, tokenizer, weights = read_weights(folder)
    state = unpack(weights, config.model, config.precision, config.shortlist)
    network = EncoderDecoder(config.model, len(tokenizer)).eval()
    network.load_state_dict({name: torch.from_numpy(weight) for name, weight in state.items()})
    return network


def first_log_probs(network: EncoderDecoder) -> Floats:
    """(60, V) of the first word of made-up sentences."""
    engine = TorchEngine(network)
    found = []
    for source in tiny.corpus()[0]:
        state = engine.encode(np.array([source]), np.array([len(source)]))
        found.append(engine.decode_step(state, np.array([BOS_ID])).log_probs[0])
    return np.array(found)


@st.composite
def models(draw: st.DrawFn) -> ModelConfig:
    heads = draw(st.integers(1, 3))
    return ModelConfig(
        draw(st.sampled_from(get_args(Cell))),
        draw(st.sampled_from(tiny.EXPORTED_ATTENTION)),
        2 * heads * draw(st.integers(1, 3)),
        encoder_layers=draw(st.integers(1, 3)),
        decoder_layers=draw(st.integers(1, 3)),
        heads=heads,
    )


def random_weights(model: ModelConfig, seed: int) -> dict[str, Floats]:
    """Any numbers in the schema "fp32"."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(size=shape).astype(np.float32)
        for name, (_, shape) in schema(model, 7).items()
    }


@settings(deadline=None, max_examples=60)
@given(models(), st.integers(0, 10**6))
def test_pack_and_unpack_are_inverses(model: ModelConfig, seed: int) -> None:
    packed = random_weights(model, seed)
    state = unpack(packed, model)
    torchs = EncoderDecoder(model, 7).state_dict()
    assert {name: part.shape for name, part in state.items()} == {
        name: tuple(part.shape) for name, part in torchs.items()
    }
    again = pack(state, model)
    assert again.keys() == packed.keys()
    for name, weight in packed.items():
        np.testing.assert_array_equal(again[name], weight)


@settings(deadline=None, max_examples=60)
@given(models(), st.integers(0, 10**6))
def test_quantize_and_dequantize_are_inverses_up_to_rounding(model: ModelConfig, seed: int) -> None:
    packed = random_weights(model, seed)
    rng = np.random.default_rng(seed)
    names = [name for layer in linear_layers(model).values() for name in layer.activation_scales]
    ranges = {name: float(rng.uniform(0.1, 10)) for name in names}
    quantized = quantize(packed, model, ranges)
    assert {name: part.shape for name, part in quantized.items()} == {
        name: shape for name, (_, shape) in schema(model, 7, "int8").items() if name != OUTPUT
    }
    floats = dequantize(quantized, model)
    for name, weight in packed.items():
        if weight.ndim == 1:
            np.testing.assert_array_equal(floats[name], weight)
            continue
        error = np.abs(floats[name] - weight)
        layer = name.removesuffix(".weight")
        if layer in linear_layers(model):
            parts = np.split(error, len(linear_layers(model)[layer].inputs), axis=1)
            steps = [quantized[f"{layer}.step.{number}"] for number in range(len(parts))]
            error = np.concatenate(
                [part * step for part, step in zip(parts, steps, strict=True)], 1
            )
        assert (error <= quantized[f"{layer}.scale"][:, None] * 0.501).all()
    again = quantize(floats, model, ranges)
    for name, part in quantized.items():
        if part.dtype == np.int8:
            np.testing.assert_array_equal(again[name], part)
        else:
            np.testing.assert_allclose(again[name], part, rtol=1e-5)


@settings(deadline=None, max_examples=30)
@given(models(), st.integers(0, 10**6))
def test_each_weight_in_torch_has_an_activation_scale_for_each_input(
    model: ModelConfig, seed: int
) -> None:
    packed = random_weights(model, seed)
    names = [name for layer in linear_layers(model).values() for name in layer.activation_scales]
    numbered = {name: np.array(number) for number, name in enumerate(names)}
    scales = activation_scales(numbered, model)
    state = unpack(packed, model)
    assert scales.keys() == {
        name for name, part in state.items() if part.ndim == 2 and name != "embedding.weight"
    }
    assert {scale for of_weight in scales.values() for scale in of_weight} == {*range(len(names))}


def translations(engine: Engine[S]) -> list[list[tuple[int, ...]]]:
    sources = tiny.corpus()[0][:20]
    found = beam_search(engine, sources, SEARCH, n_best=3)
    return [[tuple(one.ids) for one in hypotheses] for hypotheses in found]


def test_packed_weights_unpack_to_what_torch_had(model: EncoderDecoder) -> None:
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    packed = pack(weights, model.config)
    back = unpack(packed, model.config)
    shapes = {name: (weight.shape, weight.dtype) for name, weight in weights.items()}
    assert {name: (weight.shape, weight.dtype) for name, weight in back.items()} == shapes
    for name, weight in weights.items():
        if "bias_" not in name or model.config.cell == "gru":
            np.testing.assert_array_equal(back[name], weight)
        elif "bias_ih" in name:  # the two are only ever added up
            total = weight + weights[name.replace("bias_ih", "bias_hh")]
            np.testing.assert_array_equal(back[name], total)
        else:
            assert not back[name].any()
    again = pack(back, model.config)
    assert again.keys() == packed.keys()
    for name, weight in packed.items():
        np.testing.assert_array_equal(again[name], weight)


def test_an_unpacked_model_translates_as_the_exported_one(
    model: EncoderDecoder, tmp_path: Path
) -> None:
    folder = tiny.export(model, tmp_path / "model.s2s")
    exported = translations(load_model_dir(folder, threads=1).engine)
    assert translations(TorchEngine(restored(folder))) == exported


@pytest.mark.slow
@pytest.mark.parametrize("shortlist", [False, True])
def test_eight_bits_come_back_close(shortlist: bool, model: EncoderDecoder, tmp_path: Path) -> None:
    folder = tiny.export(model, tmp_path / "model.s2s", quantised=True, shortlist=shortlist)
    _, _, stored = read_weights(folder)
    back = restored(folder)
    ours, theirs = (pack(_numbers(one), model.config) for one in (back, model))
    layers = linear_layers(model.config)
    for name, weight in ours.items():
        error = np.abs(weight - theirs[name])
        if shortlist and name in ("embedding.weight", "output_bias"):
            np.testing.assert_array_equal(weight[UNK_ID], weight[PAD_ID])
            error[UNK_ID] = 0
        if weight.ndim == 1:
            assert not error.any()
            continue
        layer = name.removesuffix(".weight")
        if layer in layers:
            parts = np.split(error, len(layers[layer].inputs), axis=1)
            scaled = [part * stored[f"{layer}.step.{number}"] for number, part in enumerate(parts)]
            error = np.concatenate(scaled, axis=1)
        # Up to half a step is rounded away.
        assert (error <= stored[f"{layer}.scale"][:, None] * 0.501).all()
    found, expected = (np.delete(first_log_probs(one), UNK_ID, axis=1) for one in (back, model))
    assert np.corrcoef(found.reshape(-1), expected.reshape(-1))[0, 1] > 0.98


def test_what_is_not_in_the_shortlist_takes_no_probability(tmp_path: Path) -> None:
    """In the folder UNK stands for all of that, and would be the likeliest word by far."""
    model = tiny.network(ModelConfig(hidden_size=32, heads=2))
    folder = tiny.export(model, tmp_path / "model.s2s", quantised=True, shortlist=True)
    config, _, weights = read_weights(folder)
    kept = unpack(weights, config.model, "int8")
    network = restored(folder)
    log_probs = first_log_probs(network)
    np.testing.assert_array_equal(log_probs[:, UNK_ID], log_probs[:, PAD_ID])
    network.load_state_dict({name: torch.from_numpy(weight) for name, weight in kept.items()})
    assert first_log_probs(network)[:, UNK_ID].mean() > log_probs[:, UNK_ID].mean() + 1


def test_unpacking_changes_no_weights_of_the_directory(tmp_path: Path) -> None:
    model = tiny.network(ModelConfig(hidden_size=16, heads=2))
    folder = tiny.export(model, tmp_path / "model.s2s", quantised=True, shortlist=True)
    config, tokenizer, weights = read_weights(folder)
    before = {name: weight.copy() for name, weight in weights.items()}
    unpack(weights, config.model, "int8", shortlist=True)
    assert weights.keys() == schema(config.model, len(tokenizer), "int8").keys() - {"output.weight"}
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight, before[name])


def _numbers(model: EncoderDecoder) -> dict[str, Floats]:
    return {name: weight.numpy() for name, weight in model.state_dict().items()}
