"""Forced decoding: the probability of ids that are given, on torch and on ONNX Runtime."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import tiny

from seq2seq.config.model_config import ModelConfig, SearchConfig
from seq2seq.engines.torch_engine import TorchEngine
from seq2seq.model_dir.read import load_model_dir
from seq2seq.search.beam import beam_search
from seq2seq.search.forced import forced_log_probs
from seq2seq.tokenizer import BOS_ID, EOS_ID

CONFIG = ModelConfig("lstm", "multihead", 16, encoder_layers=1, decoder_layers=1, heads=2)
GOLDEN = Path(__file__).parents[1] / "golden"


def test_log_probs_are_those_of_the_network_with_teacher_forcing() -> None:
    model = tiny.network(CONFIG)
    sources, targets = (side[:5] for side in tiny.corpus())
    log_probs = forced_log_probs(TorchEngine(model), sources, targets)
    for source, target, found in zip(sources, targets, log_probs, strict=True):
        with torch.inference_mode():
            readout = model(
                torch.tensor([source]),
                torch.tensor([len(source)]),
                torch.tensor([[BOS_ID, *target]]),
                torch.arange(len(target) + 1),
            )
            logits = readout @ model.embedding.weight.T + model.output_bias
            expected = logits.log_softmax(dim=-1)[range(len(target) + 1), [*target, EOS_ID]]
        assert found == pytest.approx(expected.numpy(), abs=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_the_search_finds_has_its_log_probability_to_the_last_bit(precision: str) -> None:
    model = load_model_dir(GOLDEN / precision, threads=1)
    lines = ["Where is the station?", "My brother is reading a book.", "I have no time."]
    sources = model.tokenizer.encode_sources(lines, "de")
    beams = beam_search(model.engine, sources, SearchConfig(beam_size=4), n_best=3)
    pairs = [
        (source, found.ids, found.log_prob)
        for source, beam in zip(sources, beams, strict=True)
        for found in beam
    ]
    log_probs = forced_log_probs(model.engine, [p[0] for p in pairs], [p[1] for p in pairs])
    assert [sum(each.tolist()) for each in log_probs] == [p[2] for p in pairs]


def test_words_outside_of_the_shortlist_have_a_probability_too() -> None:
    model = load_model_dir(GOLDEN / "int8", threads=1)
    [source] = model.tokenizer.encode_sources(["Where is the station?"], "de")
    plain = model.engine.encode(np.array([source]), np.array([len(source)])).candidates
    assert plain is not None
    outside = [i for i in range(30, len(model.tokenizer)) if i not in plain[0]][:3]
    [log_probs] = forced_log_probs(model.engine, [source], [outside])
    assert len(log_probs) == 4
    assert np.isfinite(log_probs).all()
    assert (log_probs < 0).all()


def test_the_empty_translation_is_scored_by_its_end() -> None:
    engine = TorchEngine(tiny.network(CONFIG))
    [source, other], _ = (side[:2] for side in tiny.corpus())
    alone, _ = forced_log_probs(engine, [source, other], [[], [40, 41]])
    assert alone.shape == (1,)
    assert forced_log_probs(engine, [], []) == []
