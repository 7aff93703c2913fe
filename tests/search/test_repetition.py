"""Repetition, against the plain definition."""

import numpy as np
import pytest
from helpers.engines import ScriptEngine, hostile, translator
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config.model_config import SearchConfig
from seq2seq.search.repetition import (
    RepetitionRule,
    WordIds,
    allowed_repeats,
    closes_loop,
    loops,
    repeats,
)
from seq2seq.tokenizer import EOS_ID

Ids = tuple[int, ...]
sequences = st.one_of(
    st.lists(st.integers(0, 2), max_size=24),
    st.builds(
        lambda a, run, times, b: [*a, *run * times, *b],
        st.lists(st.integers(0, 3), max_size=3),
        st.lists(st.integers(0, 3), min_size=1, max_size=7),
        st.integers(1, 5),
        st.lists(st.integers(0, 3), max_size=3),
    ),
).map(tuple)


def naive(ids: Ids, longest: int = 24) -> int:
    """How often a run of up to `longest` ids stands in a row, by trying all."""
    return max(
        (
            times
            for size in range(1, longest + 1)
            for start in range(len(ids))
            for times in range(1, len(ids) // size + 1)
            if ids[start : start + size * times] == ids[start : start + size] * times
            and start + size * times <= len(ids)
        ),
        default=0,
    )


def naive_returns(ids: Ids) -> int:
    """How often three ids in a row come up."""
    threes = [ids[n : n + 3] for n in range(len(ids) - 2)]
    return max((threes.count(three) for three in threes), default=0)


@given(sequences)
def test_repeats(ids: Ids) -> None:
    assert repeats(ids) == naive(ids)


@given(sequences, sequences)
def test_a_loop_is_more_than_the_source_says(source: Ids, target: Ids) -> None:
    allowed = max(2, naive(source), naive_returns(source))
    assert allowed_repeats(source) == allowed
    often = naive_returns(target)
    returned = often > allowed and 3 * often >= len(target)
    assert loops(source, target) == (naive(target) > allowed or returned)


@given(sequences, st.integers(1, 4))
def test_what_closes_a_loop(ids: Ids, allowed: int) -> None:
    """Just that which makes the end of `ids` stand there once more than is allowed."""

    def ends_in_loop(said: Ids) -> bool:
        in_a_row = any(
            said[-size * (allowed + 1) :] == said[-size:] * (allowed + 1) for size in range(1, 25)
        )
        last = [n for n in range(len(said) - 2) if said[n : n + 3] == said[-3:]]
        return in_a_row or (len(last) > allowed and 3 * len(last) >= len(said))

    expected = {id_ for id_ in range(-1, 4) if ends_in_loop((*ids, id_))}
    assert closes_loop(ids, allowed) == expected


@pytest.mark.parametrize(("length", "is_loop"), [(24, True), (25, False)])
def test_runs_of_up_to_24_ids_are_loops(length: int, is_loop: bool) -> None:
    run = tuple(range(10, 10 + length))
    assert repeats(run * 3) == (3 if is_loop else 1)
    assert loops((1, 2, 3), run * 3) == is_loop
    assert closes_loop((run * 3)[:-1], 2) == ({run[-1]} if is_loop else set())


def test_what_comes_back_with_other_words_between_is_a_loop_too() -> None:
    """But only where it is all that is said: small pieces come back in any sentence."""
    loop = (5, 6, 5, 6, 5, 1, 5, 6, 5, 6, 5)
    assert loops((1, 2, 3), loop)
    assert not loops((1, 2, 3), (*loop[:5], 1, 2, 3))
    assert not loops((1, 2, 1, 3, 1, 2, 1, 4, 1, 2, 1, 5, 1, 2, 1), loop)
    assert not loops((1, 2, 3), (5, 6, 7, 1, 2, 5, 6, 7, 3, 4, 5, 6, 7))
    assert closes_loop((5, 6, 5, 6, 5, 1, 5, 6), 2) == {5}
    assert closes_loop((5, 6, 7, 1, 2, 5, 6, 7, 3, 4, 5, 6), 2) == set()


def test_the_rule_closes_what_repeats_and_an_end_before_the_first_letter() -> None:
    word_ids = WordIds(continuing=[7], letters=[5, 6, 7])
    rule = RepetitionRule((3, 5, 6, 8), word_ids)
    assert np.flatnonzero(rule.closed(())).tolist() == [EOS_ID, 7]
    assert np.flatnonzero(rule.closed((8,))).tolist() == [EOS_ID, 8]
    assert np.flatnonzero(rule.closed((5, 8))).tolist() == [8]
    assert np.flatnonzero(rule.closed((5, 6, 5))).tolist() == [5, 6]
    assert np.flatnonzero(rule.closed((99,))).tolist() == [EOS_ID]  # 99 is not in its masks
    twice = RepetitionRule((3, 5, 5, 6), word_ids)
    assert np.flatnonzero(twice.closed((5,))).tolist() == []
    word = RepetitionRule((3, 5, 7), word_ids)
    assert np.flatnonzero(word.closed((5, 3, 6, 3, 4))).tolist() == [4, 5, 6]


@pytest.mark.parametrize("run", ["kalo", "wog, elbo", "a b c d e"])
@pytest.mark.parametrize("beam_size", [1, 3])
def test_no_translation_is_a_loop(run: str, beam_size: int) -> None:
    tokenizer = hostile()["loops"].tokenizer
    [ids] = tokenizer.encode([run])
    engine = ScriptEngine(len(tokenizer), ids[:6], for_ever=True)
    sources = ["sta ren", "wog wog wog wog"]
    once, four_times = translator(engine, SearchConfig(beam_size)).translate(sources)
    for translation, allowed in ((once, 2), (four_times, 4)):
        [part] = translation.parts
        [source_ids] = tokenizer.encode_sources([part.source], "de")
        assert allowed_repeats(source_ids) == allowed
        assert part.hypothesis
        assert naive(part.hypothesis.ids) <= allowed
