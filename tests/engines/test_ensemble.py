"""Ensembles: the mean of several models, on torch and on ONNX Runtime."""

import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from helpers import tiny
from helpers.commands import only_error, run, run_seq2seq

from seq2seq import Translator, UsageError, bundled_models
from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.config.model_config import Combination, Direction, ModelConfig, SearchConfig
from seq2seq.engines.ensemble import EnsembleEngine, Member
from seq2seq.engines.torch_engine import TorchEngine
from seq2seq.model_dir.read import load_model_dir
from seq2seq.search.beam import pad_sources
from seq2seq.search.forced import forced_log_probs
from seq2seq.translation.result import Translation

CONFIG = ModelConfig("lstm", "multihead", 16, encoder_layers=1, decoder_layers=1, heads=2)
V = len(tiny.tokenizer())
LINES = ["Where is the station?", "My brother has seen <b>{city}</b>.", "I lost my key."]

combinations = pytest.mark.parametrize("combination", get_args(Combination))


def figures(translations: Sequence[Translation]) -> list[list[tuple[str, float]]]:
    return [[(c.text, c.score) for c in translation.candidates] for translation in translations]


@combinations
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_ensemble_of_a_model_with_itself_is_the_model(
    combination: Combination, number: int
) -> None:
    alone = Translator(DEFAULT_MODEL, threads=1)
    ensemble = Translator([DEFAULT_MODEL] * number, threads=1, ensemble=combination)
    expected, found = (each.translate(LINES, n_best=3) for each in (alone, ensemble))
    assert figures(found) == figures(expected)  # to the last bit
    assert {translation.confidence is None for translation in found} == {number > 1}


@combinations
def test_torch_models_with_themselves_are_the_model_too(combination: Combination) -> None:
    engine = TorchEngine(tiny.network(CONFIG))
    ensemble = EnsembleEngine([engine] * 3, V, combination)
    sources, targets = (side[:8] for side in tiny.corpus())
    found = forced_log_probs(ensemble, sources, targets)
    for ours, theirs in zip(found, forced_log_probs(engine, sources, targets), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)


@combinations
def test_each_token_has_the_mean_of_the_models(combination: Combination) -> None:
    engines = [TorchEngine(tiny.network(CONFIG, seed)) for seed in (1, 2, 3)]
    sources, targets = (side[:8] for side in tiny.corpus())
    found = forced_log_probs(EnsembleEngine(engines, V, combination), sources, targets)
    each = [forced_log_probs(engine, sources, targets) for engine in engines]
    for ours, *theirs in zip(found, *each, strict=True):
        if combination == "log":
            expected = np.mean(theirs, axis=0)
        else:
            expected = np.log(np.mean(np.exp(theirs), axis=0))
        assert ours == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module")
def shortlisted(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The engines of two models with shortlists that differ."""
    folder = tmp_path_factory.mktemp("models")
    engines = [
        load_model_dir(
            tiny.export(tiny.network(CONFIG, seed), folder / str(seed), True, shortlist=True), 1
        ).engine
        for seed in (1, 2)
    ]
    for begin, engine in zip((100, 200), engines, strict=True):
        shortlist = engine._shortlist
        assert shortlist is not None
        fewer = np.full_like(shortlist.translations, begin)
        fewer[:, 0] = 0  # padding has none
        frequent = np.full_like(shortlist.frequent, begin + 1)
        engine._shortlist = replace(shortlist, translations=fewer, frequent=frequent)
    return engines


def test_the_candidates_of_one_model_are_those_of_all(shortlisted: list[Any]) -> None:
    [source, other], _ = (side[:2] for side in tiny.corpus())
    ensemble = EnsembleEngine(shortlisted, V)
    padded, lengths = pad_sources([source, other])
    state = ensemble.encode(padded, lengths, np.array([[300], [301]]))
    for row, (rows, ids) in enumerate((([0, 0, 1], source), ([1], other))):
        step = ensemble.decode_step(state.select(np.array(rows)), np.array([1] * len(rows)))
        assert step.candidates is not None
        wanted = {0, 1, 2, 3, *ids, 100, 101, 200, 201, 300 + row}
        assert {*step.candidates[0].tolist()} == wanted
        assert step.log_probs.shape == step.candidates.shape


@pytest.mark.slow
def test_a_model_without_a_shortlist_has_all_words_considered(shortlisted: list[Any]) -> None:
    engines: list[Member] = [TorchEngine(tiny.network(CONFIG)), shortlisted[0]]
    source, target = (side[0] for side in tiny.corpus())
    step_of = EnsembleEngine(engines, V)
    state = step_of.encode(*pad_sources([source]))
    step = step_of.decode_step(state, np.array([1]))
    assert (step.candidates, step.log_probs.shape) == (None, (1, V))
    [found] = forced_log_probs(step_of, [source], [target])
    [first] = forced_log_probs(engines[0], [source], [target])
    assert np.isfinite(found).all()
    assert (found != first).all()


def test_models_of_different_vocabularies_or_directions_are_refused() -> None:
    with pytest.raises(UsageError, match=r"model 2 .* another vocabulary .*\(tokenizer.path\)"):
        Translator([*bundled_models()], threads=1)
    engine = TorchEngine(tiny.network(CONFIG))
    one, other = (
        Translator.over(engine, tiny.tokenizer(), [direction], SearchConfig())
        for direction in (tiny.EN_DE, Direction("de", "en"))
    )
    with pytest.raises(UsageError, match="model 2 of the ensemble translates de-en"):
        Translator.together([one, other])
    with pytest.raises(UsageError, match="needs a model"):
        Translator([])
    with pytest.raises(UsageError, match="'log' or 'linear'"):
        Translator.together([one, one], "mean")  # type: ignore[arg-type]


def test_an_ensemble_translates_what_all_models_translate() -> None:
    engine, ways = TorchEngine(tiny.network(CONFIG)), [Direction("de", "en"), tiny.EN_DE]
    both, one = (
        Translator.over(engine, tiny.tokenizer(), directions, SearchConfig())
        for directions in (ways, [tiny.EN_DE])
    )
    assert Translator.together([both, one]).directions == (tiny.EN_DE,)


def test_a_pickled_ensemble_is_loaded_again() -> None:
    ensemble = Translator([DEFAULT_MODEL, DEFAULT_MODEL], threads=1, ensemble="linear")
    again = pickle.loads(pickle.dumps(ensemble))
    assert isinstance(again.engine, EnsembleEngine)
    assert figures(again.translate(LINES[:1])) == figures(ensemble.translate(LINES[:1]))


@pytest.mark.slow
def test_the_commands_take_several_models(tmp_path: Path) -> None:
    twice = ("-m", DEFAULT_MODEL, "-m", DEFAULT_MODEL)
    assert run(*twice, "--ensemble", "linear", LINES[0]).stdout == run(LINES[0]).stdout
    assert "another vocabulary" in only_error(
        run("-m", bundled_models()[0], "-m", bundled_models()[1], LINES[0]), 2
    )
    assert "only one is given" in only_error(run("--ensemble", "log", LINES[0]), 2)
    pair = tmp_path / "pair.tsv"
    pair.write_text("Where is the station?\tWo ist der Bahnhof?\n")
    scores = [
        run_seq2seq("score", *models, "--corpus", pair, "--quiet").stdout
        for models in ([DEFAULT_MODEL], [DEFAULT_MODEL] * 2)
    ]
    assert scores[0] == scores[1] != ""
    report = run_seq2seq("evaluate", DEFAULT_MODEL, DEFAULT_MODEL, "--corpus", pair).stdout
    assert report.startswith(f"{DEFAULT_MODEL} + {DEFAULT_MODEL}: en-de, 1 sentences")
