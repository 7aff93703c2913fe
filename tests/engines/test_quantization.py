"""Eight bits: how far a weight can move, what is measured, and what unlisted words get."""

import numpy as np
import pytest
from helpers import tiny

from seq2seq.config.model_config import Cell, ModelConfig, SearchConfig
from seq2seq.engines.quantization import (
    _logistic_regression,
    calibrate,
)
from seq2seq.engines.shortlist import Lexicon, learn_shortlist
from seq2seq.engines.weights import (
    OUTPUT,
    linear_layers,
    pack,
    quantize,
    quantize_rows,
    schema,
)
from seq2seq.tokenizer import UNK_ID

V = 420


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_every_weight_moves_by_half_a_step_at_most(cell: Cell) -> None:
    model = ModelConfig(cell, hidden_size=16)
    weights = pack(
        {name: part.numpy() for name, part in tiny.network(model).state_dict().items()}, model
    )
    ranges = dict.fromkeys(
        (name for layer in linear_layers(model).values() for name in layer.activation_scales), 2.0
    )
    eight = quantize(weights, model, ranges)
    expected = schema(model, V, "int8")
    expected.pop(OUTPUT)
    assert {name: (part.dtype.type, part.shape) for name, part in eight.items()} == expected
    for name in linear_layers(model):
        scale = eight[f"{name}.scale"]
        restored = eight[f"{name}.weight"].T * scale[:, None] / np.float32(2.0 / 127)
        limit = scale[:, None] / np.float32(2.0 / 127) * 0.501
        assert (np.abs(restored - weights[f"{name}.weight"]) <= limit).all()
        assert np.abs(eight[f"{name}.weight"]).max() == 63  # 7 bits: nothing can overflow
    embedding = eight["embedding.weight"] * eight["embedding.scale"][:, None]
    error = np.abs(embedding - weights["embedding.weight"])
    assert (error <= eight["embedding.scale"][:, None] * 0.501).all()


def test_weights_that_are_0_stay_0() -> None:
    """A word that training never saw may have no weight at all."""
    rows, scale = quantize_rows(np.array([[0.0, 0.0], [0.5, -1.0]], np.float32))
    assert rows[0].tolist() == [0, 0]
    assert (scale > 0).all()


def test_calibration_measures_the_range_of_each_input_and_what_is_unlisted() -> None:
    model = ModelConfig(hidden_size=32)
    weights = pack(
        {name: part.numpy() for name, part in tiny.network(model).state_dict().items()}, model
    )
    sources, targets = tiny.corpus()
    lexicon = Lexicon.learn(sources, targets, V)
    shortlist = learn_shortlist({("en", "de"): lexicon}, {"de": 5}, V, 5, 10)
    seen = calibrate(model, weights, sources[:20], SearchConfig(beam_size=2), shortlist)
    assert seen.ranges.keys() == {name for name in schema(model, V, "int8") if ".step." in name}
    # Embeddings are as large as the largest that occurs, states of cells never exceed 1.
    used = sorted({id_ for source in sources[:20] for id_ in source})
    largest = np.abs(weights["embedding.weight"][used]).max() * model.embedding_scale
    assert seen.ranges["encoder.layers.0.input.step.0"] == pytest.approx(largest, rel=1e-6)
    assert seen.ranges["encoder.layers.0.forwards.step.0"] == 1.0
    assert 0 < seen.ranges["decoder.layers.0.step.1"] <= 1.0
    assert seen.unlisted is not None
    eight = quantize(seen.with_unlisted(weights), model, seen.ranges)
    assert eight["output_bias"][UNK_ID] == pytest.approx(seen.unlisted[1])
    unk = eight["embedding.weight"][UNK_ID] * eight["embedding.scale"][UNK_ID]
    assert np.abs(unk - seen.unlisted[0]).max() <= eight["embedding.scale"][UNK_ID]


def test_without_a_shortlist_nothing_is_unlisted() -> None:
    model = ModelConfig(hidden_size=16)
    weights = pack(
        {name: part.numpy() for name, part in tiny.network(model).state_dict().items()}, model
    )
    seen = calibrate(model, weights, tiny.corpus()[0][:3], SearchConfig(beam_size=2), None)
    assert seen.unlisted is None


def test_the_unlisted_share_is_fitted_to_few_rows_too() -> None:
    """Where a whole step of Newton's method would lead ever farther away."""
    rng = np.random.default_rng(1)
    x = np.tanh(rng.normal(size=(20, 64)))
    offsets = 30 + 10 * rng.normal(size=20)
    shares = np.clip(rng.normal(0.05, 0.2, 20), 0, 1)
    w, b = _logistic_regression(x, offsets, shares, rounds=40)
    found = 1 / (1 + np.exp(offsets - x @ w - b))
    assert np.abs(found - shares).max() < 0.1
