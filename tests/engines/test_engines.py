"""Both engines compute the network, and the ONNX one computes the same bits in every batch."""

from collections.abc import Iterator, Sequence
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

from seq2seq.config.model_config import Attention, Cell, ModelConfig, SearchConfig
from seq2seq.engines.onnx_engine import OnnxEngine, OnnxState
from seq2seq.engines.torch_engine import TorchEngine
from seq2seq.model_dir.read import load_model_dir
from seq2seq.nn.model import EncoderDecoder
from seq2seq.search.beam import beam_search
from seq2seq.search.engine_protocol import Engine, S
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

KINDS: list[tuple[Cell, Attention]] = list(product(get_args(Cell), tiny.EXPORTED_ATTENTION))
V = 420


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def onnx_engine(model: EncoderDecoder, folder: Path, threads: int = 1) -> OnnxEngine:
    return load_model_dir(tiny.export(model, folder / "model.s2s"), threads).engine


def pad(sources: Sequence[Ints], extra: int = 0) -> tuple[Ints, Ints]:
    """-> (B, S), lengths (B,); `extra` columns of padding that nobody needs"""
    lengths = np.array([len(source) for source in sources])
    padded = np.full((len(sources), lengths.max() + extra), PAD_ID)
    for row, source in zip(padded, sources, strict=True):
        row[: len(source)] = source
    return padded, lengths


def random_sources(rng: np.random.Generator, lengths: Sequence[int]) -> list[Ints]:
    return [rng.integers(4, V, size=length) for length in lengths]


def follow(
    engine: Engine[S], sources: Sequence[Ints], script: Ints, extra: int = 0
) -> Iterator[tuple[Floats, Floats]]:
    """Log-probs (B, K, C) and attention (B, K, S) after BOS and after each column of the script.

    script (B, K, T): the ids that each hypothesis reads. After BOS K is 1.
    """
    number, beam = script.shape[:2]
    result = engine.decode_step(engine.encode(*pad(sources, extra)), np.full(number, BOS_ID))
    yield result.log_probs[:, None], result.attention[:, None]
    rows = np.repeat(np.arange(number), beam)
    for column in range(script.shape[2]):
        result = engine.decode_step(result.state.select(rows), script[:, :, column].reshape(-1))
        yield (
            result.log_probs.reshape(number, beam, -1),
            result.attention.reshape(number, beam, -1),
        )
        rows = np.arange(number * beam)


@pytest.mark.parametrize(("cell", "attention"), KINDS)
@pytest.mark.parametrize(("layers", "heads"), [((1, 1), 1), ((2, 3), 4)])
def test_engines_agree(
    cell: Cell, attention: Attention, layers: tuple[int, int], heads: int, folder: Path
) -> None:
    config = ModelConfig(cell, attention, 32, *layers, heads)
    model = tiny.network(config)
    rng = np.random.default_rng(1)
    sources = random_sources(rng, [5, 12, 1, 2, 9])
    script = rng.integers(4, V, size=(5, 3, 4))
    onnx = follow(onnx_engine(model, folder), sources, script)
    for ours, theirs in zip(onnx, follow(TorchEngine(model), sources, script), strict=True):
        for mine, reference in zip(ours, theirs, strict=True):
            assert mine.shape == reference.shape
            assert mine.dtype == reference.dtype == np.float32
            np.testing.assert_allclose(mine, reference, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("cell", "attention"), list(product(get_args(Cell), get_args(Attention))))
def test_steps_equal_teacher_forcing(cell: Cell, attention: Attention, folder: Path) -> None:
    model = tiny.network(ModelConfig(cell, attention, 24, heads=3))
    rng = np.random.default_rng(2)
    sources = random_sources(rng, [4, 9, 1])
    script = rng.integers(4, V, size=(3, 1, 6))
    src, lengths = map(torch.from_numpy, pad(sources))
    tgt_in = torch.cat([torch.full((3, 1), BOS_ID), torch.from_numpy(script[:, 0])], dim=1)
    with torch.no_grad():
        readout = model(src, lengths, tgt_in, torch.arange(3 * 7))
        expected = model.logits(readout).log_softmax(-1).view(3, 7, V).numpy()
    by_engine = [follow(TorchEngine(model), sources, script)]
    if attention in tiny.EXPORTED_ATTENTION:
        by_engine.append(follow(onnx_engine(model, folder), sources, script))
    for steps in by_engine:
        found = np.concatenate([log_probs for log_probs, _ in steps], axis=1)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_eight_bits_come_close(folder: Path) -> None:
    model = tiny.network(ModelConfig(hidden_size=64))
    rng = np.random.default_rng(7)
    sources = random_sources(rng, [5, 12, 1, 30])
    script = rng.integers(4, V, size=(4, 3, 5))
    exact = load_model_dir(tiny.export(model, folder / "exact.s2s")).engine
    eight = load_model_dir(tiny.export(model, folder / "eight.s2s", quantised=True)).engine
    steps = zip(*(follow(engine, sources, script) for engine in (exact, eight)), strict=True)
    for (expected, _), (close, _) in steps:
        assert np.abs(close - expected).mean() < 0.1
        assert np.corrcoef(close.reshape(-1), expected.reshape(-1))[0, 1] > 0.99


def test_the_shortlist_gives_its_candidates_what_they_had(folder: Path) -> None:
    """All logits are the same. What the others had together is fitted, and close."""
    model = tiny.network(ModelConfig(hidden_size=64))
    rng = np.random.default_rng(8)
    sources = [source.tolist() for source in random_sources(rng, [4, 9, 1, 7] * 10)]
    eight = load_model_dir(tiny.export(model, folder / "eight.s2s", quantised=True)).engine
    path = tiny.export(model, folder / "short.s2s", quantised=True, shortlist=True)
    short = load_model_dir(path).engine
    tag = tiny.tokenizer().language_id("de")
    state = short.encode(*pad([np.array([tag, *source]) for source in sources]))
    assert state.candidates is not None
    known = [ids[(ids == EOS_ID) | (ids > UNK_ID)] for ids in state.candidates]
    tokens = np.full(len(sources), BOS_ID)
    few = short.decode_step(state, tokens)
    every = eight.decode_step(
        eight.encode(*pad([np.array([tag, *one]) for one in sources])), tokens
    )
    assert few.candidates is not None
    errors, shares = [], []
    for row, ids in enumerate(known):
        columns = np.searchsorted(few.candidates[row][: len(ids) + 3], ids)
        gain = few.log_probs[row, columns] - every.log_probs[row, ids]
        np.testing.assert_allclose(gain, gain.mean(), rtol=0, atol=1e-4)
        errors.append(abs(gain.mean()))
        shares.append(-np.logaddexp.reduce(every.log_probs[row, ids]))  # without the rest
    assert np.mean(errors) < 0.5 * np.mean(shares)


FORMATS = {"fp32": (False, False), "int8": (True, False), "shortlist": (True, True)}


@pytest.fixture(
    scope="module",
    params=[(*kind, form) for kind in KINDS for form in FORMATS],
    ids="-".join,
)
def twins(
    request: pytest.FixtureRequest, folder: Path
) -> tuple[OnnxEngine, OnnxEngine, OnnxEngine]:
    """One model on 1, 2 and 5 threads."""
    cell, attention, form = request.param
    # An odd head size and a vocabulary that no vector register divides.
    model = tiny.network(ModelConfig(cell, attention, 30, heads=2))
    path = tiny.export(model, folder / "t.s2s", *FORMATS[form])
    one, two, five = (load_model_dir(path, threads).engine for threads in (1, 2, 5))
    return one, two, five


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 4) | st.integers(1, 50), min_size=1, max_size=64),
    extra=st.integers(0, 9),
    beam=st.integers(1, 9),
    threads=st.integers(0, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_same_bits_in_every_batch(
    twins: tuple[OnnxEngine, OnnxEngine, OnnxEngine],
    lengths: list[int],
    extra: int,
    beam: int,
    threads: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    sources = random_sources(rng, lengths)
    script = rng.integers(4, V, size=(len(sources), beam, 3))
    together = list(follow(twins[threads], sources, script, extra))
    for b in rng.choice(len(sources), size=min(3, len(sources)), replace=False):
        for few in (script[b : b + 1], script[b : b + 1, :1]):  # all K hypotheses, and one
            alone = follow(twins[0], [sources[b]], few)
            for (log_probs, attention), (batched, spread) in zip(alone, together, strict=True):
                (k, width), size = log_probs.shape[1:], lengths[b]
                assert np.array_equal(log_probs[0], batched[b, :k, :width])
                assert (batched[b, :, width:] == -np.inf).all()  # candidates of others
                assert np.array_equal(attention[0], spread[b, :k, :size])
                assert not spread[b, :, size:].any()


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("heads", [1, 2])
def test_same_bits_of_long_sentences(heads: int, form: str, folder: Path) -> None:
    rng = np.random.default_rng(3)
    model = tiny.network(ModelConfig(hidden_size=64, heads=heads))
    path = tiny.export(model, folder / "l.s2s", *FORMATS[form])
    one, two = (load_model_dir(path, threads).engine for threads in (1, 2))
    sources = random_sources(rng, [300, 700, 130, 2])
    script = rng.integers(4, V, size=(4, 5, 2))
    for b, source in enumerate(sources):
        for engine in (one, two):
            alone = follow(one, [source], script[b : b + 1])
            together = follow(engine, sources, script)
            for (log_probs, _), (batched, _) in zip(alone, together, strict=True):
                assert np.array_equal(log_probs[0], batched[b, :, : log_probs.shape[2]])


@pytest.mark.slow
def test_search_is_the_same_alone_and_in_a_batch(
    twins: tuple[OnnxEngine, OnnxEngine, OnnxEngine],
) -> None:
    rng = np.random.default_rng(4)
    sources = [source.tolist() for source in random_sources(rng, [7, 1, 20, 3, 11])]
    config = SearchConfig(beam_size=4, max_length_ratio=0.5)
    together = beam_search(twins[1], sources, config, n_best=2)
    for source, expected in zip(sources, together, strict=True):
        (found,) = beam_search(twins[0], [source], config, n_best=2)
        for one, other in zip(found, expected, strict=True):
            assert (one.ids, one.score, one.log_prob) == (other.ids, other.score, other.log_prob)
            assert np.array_equal(one.attention, other.attention[:, : len(source)])


@pytest.mark.parametrize("attention", tiny.EXPORTED_ATTENTION)
def test_select(attention: Attention, folder: Path) -> None:
    """Sentences leave and change places, hypotheses too, and each goes on as if alone."""
    model = tiny.network(ModelConfig(attention=attention, hidden_size=16, heads=2))
    attended = 1 if attention == "multihead" else 0
    check_select(TorchEngine(model), attended)
    check_select(onnx_engine(model, folder), attended)


def check_select(engine: Engine[S], attended: int) -> None:
    sources = random_sources(np.random.default_rng(5), [6, 3, 8])
    first = engine.decode_step(engine.encode(*pad(sources)), np.full(3, BOS_ID))
    grown = first.state.select(np.array([0, 0, 1, 2, 2]))
    second = engine.decode_step(grown, np.array([10, 11, 20, 30, 31]))
    # Hypotheses 11, 10, 11 of the first sentence, then 31, 31 of the third.
    third = engine.decode_step(second.state.select(np.array([1, 0, 1, 4, 4])), np.arange(40, 45))
    # One more time, so that rows follow a memory that has been cut.
    fourth = engine.decode_step(third.state.select(np.array([2, 4])), np.array([50, 51]))
    read_by = {
        (0, 0): (0, [11, 40]),
        (0, 1): (0, [10, 41]),
        (0, 2): (0, [11, 42]),
        (0, 3): (2, [31, 43]),
        (0, 4): (2, [31, 44]),
        (1, 0): (0, [11, 42, 50]),
        (1, 1): (2, [31, 44, 51]),
    }
    for (step, row), (sentence, read) in read_by.items():
        *_, (log_probs, attention) = follow(engine, [sources[sentence]], np.array([[read]]))
        found, size = (third, fourth)[step], len(sources[sentence])
        width = log_probs.shape[-1]
        np.testing.assert_allclose(found.log_probs[row][:width], log_probs[0, 0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(found.attention[row][:size], attention[0, 0], atol=1e-5)
        assert found.attention[row].sum() == pytest.approx(attended, abs=1e-5)


def test_select_copies_no_memory_while_most_sentences_stay(folder: Path) -> None:
    model = tiny.network(ModelConfig(hidden_size=16, heads=2))
    source = pad(random_sources(np.random.default_rng(6), [6, 3, 2, 2, 2, 2]))
    everyone = np.repeat(np.arange(6), 3)
    in_torch = TorchEngine(model).encode(*source)
    assert in_torch.select(everyone).memory is in_torch.memory
    in_onnx: OnnxState = onnx_engine(model, folder).encode(*source)
    assert in_onnx.select(everyone).memory is in_onnx.memory
    assert in_onnx.select(everyone[3:]).memory is in_onnx.memory
    assert len(in_onnx.select(everyone[6:]).memory["keys"]) == 4


def test_log_probs_may_be_written(folder: Path) -> None:
    model = tiny.network(ModelConfig(hidden_size=16, heads=2))
    sources, script = [np.array([5, 6])], np.full((1, 1, 1), 7)
    in_torch = follow(TorchEngine(model), sources, script)
    in_onnx = follow(onnx_engine(model, folder), sources, script)
    for log_probs, _ in (*in_torch, *in_onnx):
        log_probs[..., PAD_ID] = -np.inf
