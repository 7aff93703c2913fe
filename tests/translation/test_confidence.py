"""Confidence, n-best lists and notes."""

import numpy as np
import pytest
from helpers.engines import (
    ScriptEngine,
    ScriptState,
    copying,
    hostile,
    random_engine,
    spelled,
    translator,
)
from helpers.tiny import EN_DE, tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.confidence import Calibration, calibration_error
from seq2seq.config.model_config import SearchConfig
from seq2seq.errors import UsageError
from seq2seq.search.engine_protocol import Ints, Step
from seq2seq.translation.translator import Translator

log_probs = st.floats(-20, 0)
qualities = st.floats(0, 1)
held_out = st.lists(st.tuples(log_probs, qualities), min_size=100, max_size=150)
few_values = st.tuples(st.sampled_from([-0.1, -0.7, -3.3]), st.sampled_from([0.1, 0.3, 1.0]))
LINE = Calibration(EN_DE, (-4.0, -1.0, 0.0), (0.1, 0.5, 0.9))


@settings(max_examples=50)
@given(st.one_of(held_out, st.lists(few_values, min_size=100, max_size=150)), log_probs, log_probs)
def test_it_rises_with_the_probability(
    pairs: list[tuple[float, float]], one: float, other: float
) -> None:
    fitted = Calibration.fit(EN_DE, [x for x, _ in pairs], [y for _, y in pairs])
    assert fitted
    assert fitted.direction == EN_DE
    low, high = sorted((one, other))
    assert 0 <= fitted.confidence(low) <= fitted.confidence(high) <= 1
    ys = [y for _, y in pairs]
    assert min(ys) - 1e-9 <= fitted.quality[0] <= fitted.quality[-1] <= max(ys) + 1e-9


def test_it_is_what_such_translations_came_to() -> None:
    x = np.linspace(-5, 0, 2000)
    quality = np.where(np.arange(2000) % 2, 0.2 - 0.1 * x / -5, 0.9 + 0.02 * x)
    fitted = Calibration.fit(EN_DE, x.tolist(), quality.tolist())
    assert fitted
    for point in (-4.0, -2.0, -0.5):
        near = np.abs(x - point) < 0.25
        assert fitted.confidence(point) == pytest.approx(quality[near].mean(), abs=0.02)
    told = [fitted.confidence(one) for one in x.tolist()]
    assert calibration_error(told, quality.tolist()) < 0.02
    assert calibration_error([1.0, 0.0], [0.5, 0.5]) == pytest.approx(0.5)
    mixed = [0.9] * 10 + [0.6] * 10
    assert calibration_error(mixed, [True] * 19 + [False], 15) == pytest.approx((0.1 + 0.3) / 2)


def test_where_quality_falls_the_mean_counts_each_sentence_once() -> None:
    """119 sentences make 19 groups of 6, and one of 5: a pool is no mean of means."""
    probable = np.linspace(-5, 0, 119).tolist()
    last_two = Calibration.fit(EN_DE, probable, [0.0] * 108 + [1.0] * 6 + [0.0] * 5)
    assert last_two
    assert last_two.quality[:18] == (0,) * 18
    assert last_two.quality[18:] == pytest.approx((6 / 11,) * 2, abs=1e-4)
    last_three = Calibration.fit(EN_DE, probable, [0.0] * 102 + [1.0] * 6 + [0.5] * 6 + [0.0] * 5)
    assert last_three
    assert last_three.quality[17:] == pytest.approx((9 / 17,) * 3, abs=1e-4)


def test_far_below_what_was_measured_it_comes_to_nothing() -> None:
    assert LINE.confidence(-4.0) == pytest.approx(0.1)
    assert LINE.confidence(-4.001) == pytest.approx(0.1, abs=1e-3)
    assert LINE.confidence(-4.5) < 0.07
    assert LINE.confidence(-9.0) < 0.001


def test_too_few_say_nothing() -> None:
    assert Calibration.fit(EN_DE, [-1.0] * 99, [0.5] * 99) is None


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ((), ()),
        ((-1.0,), (0.1, 0.2)),
        ((-1.0, -2.0), (0.1, 0.2)),
        ((-2.0, -1.0), (0.2, 0.1)),
        ((-2.0, -1.0), (0.2, 1.1)),
        ((-2.0, -1.0), (-0.1, 0.1)),
        ((-2.0, float("nan")), (0.1, 0.2)),
        ((float("-inf"), -1.0), (0.1, 0.2)),
        ((-2.0, -1.0), (0.1, float("nan"))),
    ],
)
def test_a_table_that_is_no_rising_line_is_refused(
    x: tuple[float, ...], y: tuple[float, ...]
) -> None:
    with pytest.raises(UsageError, match="en-de"):
        Calibration(EN_DE, x, y)


def calibrated(over: Translator) -> Translator:
    return Translator.over(over.engine, over.tokenizer, over.directions, over.search, [LINE])


@pytest.mark.parametrize("engine", hostile())
def test_confidence_is_a_share(engine: str) -> None:
    texts = ["kalo {x}", "", "17", "Kalo. <b>Miren!</b> " * 3]
    for translation in calibrated(hostile()[engine]).translate(texts):
        if any(part.hypothesis for part in translation.parts):
            assert translation.confidence is not None
            assert 0 <= translation.confidence <= 1
        else:
            assert translation.confidence is None


def test_of_what_is_not_calibrated_it_is_not_known() -> None:
    assert copying().translate(["kalo"])[0].confidence is None
    assert copying().translate(["kalo"])[0].notes == ()


def test_each_note_halves_it() -> None:
    says_twice = spelled(tokenizer(), "wog sta wog")
    over = translator(ScriptEngine(len(tokenizer()), says_twice), SearchConfig(1))
    over.calibrations = {EN_DE: Calibration(EN_DE, (-99.0,), (0.8,))}
    texts = ["wog sta wog", "wog sta wog 4711", "wog sta wog 4711 1147"]
    found = over.translate(texts)
    assert [(len(one.notes), one.confidence) for one in found] == [(0, 0.8), (1, 0.4), (2, 0.2)]


def test_what_is_not_certain_enough_is_left() -> None:
    text = "# Kalo miren.\n- {x} <b>wog</b>! 17"
    sure = calibrated(copying()).translate([text], unit="sentence", min_confidence=0.5)[0]
    assert sure.text == text
    assert sure.notes == ()
    [left] = calibrated(copying()).translate([text], unit="sentence", min_confidence=0.95)
    assert left.text == "# ⟦Kalo miren.⟧\n- ⟦{x} <b>wog</b>!⟧ 17"
    assert left.alignment == ()
    assert all(note.startswith("left untranslated: confidence 0.") for note in left.notes)
    assert left.notes
    assert left.confidence is not None
    assert left.confidence < 0.95


def test_a_confidence_is_the_mean_by_length() -> None:
    [translation] = calibrated(copying()).translate(
        ["Kalo. Wog miren sta ren. 17."], unit="sentence"
    )
    said = [part for part in translation.parts if part.confidence is not None]
    assert len(said) == 2
    weights = [len(part.source_ids) for part in said]
    expected = np.average([part.confidence or 0 for part in said], weights=weights)
    assert translation.confidence == pytest.approx(expected)


@settings(max_examples=15)
@given(
    st.lists(st.sampled_from(["Ka.", "{x}", "lo", "<b>lo</b>", "17"]), max_size=5).map(" ".join),
    st.integers(0, 3),
)
def test_n_best_texts_are_distinct(text: str, seed: int) -> None:
    over = translator(
        random_engine(seed), SearchConfig(4, max_length_ratio=0.5, max_length_extra=3)
    )
    [translation] = over.translate([text], n_best=4, unit="sentence")
    said = [one.text for one in translation.candidates]
    assert 1 <= len(said) == len({*said}) <= 4
    scores = [one.score for one in translation.candidates]
    assert scores == sorted(scores, reverse=True)


class SaidTwiceEngine(ScriptEngine):
    """Says `a` as a piece, or nearly as gladly as a byte, or, least of all, `b`."""

    def decode_step(self, state: ScriptState, tokens: Ints) -> Step[ScriptState]:
        step = super().decode_step(state, tokens)
        if state.position == 0:
            [piece] = (id_ for id_ in range(len(tokenizer())) if tokenizer().pieces([id_]) == ["a"])
            choices = [piece, *spelled(tokenizer(), "ab")]
            step.log_probs[:, choices] = (-0.5, -1.0, -3.0)
        return step


def test_a_text_found_twice_takes_no_place_of_an_n_best_list() -> None:
    over = translator(SaidTwiceEngine(len(tokenizer()), [0]), SearchConfig(3, max_length_extra=5))
    [translation] = over.translate(["kalo"], n_best=2)
    assert [candidate.text for candidate in translation.candidates] == ["a", "b"]


def test_what_differs_in_line_ends_alone_is_one_line() -> None:
    size = len(tokenizer())
    engine = ScriptEngine(size, spelled(tokenizer(), "a\na"))
    over = translator(engine, SearchConfig(6, max_length_extra=5))
    for unit in ("line", "sentence"):
        [translation] = over.translate(["kalo miren"], n_best=6, unit=unit)
        said = [one.text for one in translation.candidates]
        assert len(said) == len({*said}) > 1


def test_a_long_sentence_that_is_cut_is_told_once() -> None:
    for over in (copying(), hostile()["nothing"]):
        [translation] = over.translate(["kalo {x} miren, " * 40])
        assert len(translation.parts) > 1
        told = "a sentence of more than 120 subwords was split into clauses"
        assert [note for note in translation.notes if "split into" in note] == [told]
