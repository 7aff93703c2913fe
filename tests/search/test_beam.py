"""The beam search over hand-made probability tables, against exhaustive search."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import pytest
from helpers.tables import (
    WORDS,
    A,
    B,
    C,
    Ids,
    Model,
    TableEngine,
    V,
    alphas,
    attention_of,
    longest,
    plain,
    random_model,
    seeds,
    sources,
    table,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seq2seq.config.model_config import SearchConfig
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.search.beam import Floats, Outcome, beam_search, length_penalty
from seq2seq.search.engine_protocol import Ints
from seq2seq.search.repetition import RepetitionRule, WordIds, repeats
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID


def exhaustive(model: Model, source: Ids, limit: int, alpha: float) -> list[tuple[float, Ids]]:
    """Score and ids of every possible translation, best first."""

    def every() -> Iterator[tuple[float, Ids]]:
        for length in range(limit):
            for ids in product(WORDS, repeat=length):
                spelled = (*ids, EOS_ID)
                log_prob = sum(
                    float(model(source, spelled[:t])[id_]) for t, id_ in enumerate(spelled)
                )
                yield log_prob / length_penalty(len(spelled), alpha), ids

    return sorted(every(), reverse=True)


def greedy(model: Model, source: Ids, limit: int) -> Ids:
    ids: Ids = ()
    while len(ids) + 1 < limit:
        log_probs = model(source, ids)
        best = max((EOS_ID, *WORDS), key=lambda id_: log_probs[id_])
        if best == EOS_ID:
            break
        ids = (*ids, best)
    return ids


def test_the_beam_finds_what_greedy_misses() -> None:
    model = table(
        {
            (): {A: 0.6, B: 0.4},
            (A,): {EOS_ID: 0.3, A: 0.35, C: 0.35},
            (B,): {EOS_ID: 0.9, C: 0.1},
            (A, A): {EOS_ID: 1.0},
            (A, C): {EOS_ID: 1.0},
        }
    )
    [[one]] = beam_search(TableEngine(model), [(A,)], longest(5, beam_size=1, alpha=0))
    [[two]] = beam_search(TableEngine(model), [(A,)], longest(5, beam_size=2, alpha=0))
    assert (one.ids, two.ids) == ((A, A), (B,))
    assert np.exp(one.log_prob) == pytest.approx(0.6 * 0.35)
    assert np.exp(two.log_prob) == pytest.approx(0.4 * 0.9)


def test_score_is_the_log_probability_over_the_length_penalty() -> None:
    """The length counts EOS: two ids make three tokens."""
    model = table({(): {A: 0.5}, (A,): {B: 0.5}, (A, B): {EOS_ID: 0.5}})
    [[found]] = beam_search(TableEngine(model), [(A,)], longest(5, beam_size=2, alpha=0.6))
    assert found.ids == (A, B)
    assert found.log_prob == pytest.approx(3 * np.log(0.5))
    assert found.score == pytest.approx(3 * np.log(0.5) / ((5 + 3) / 6) ** 0.6)
    assert length_penalty(1, 0.6) == 1.0
    assert length_penalty(40, 0.0) == 1.0


def test_the_length_penalty_decides_between_short_and_long() -> None:
    model = table(
        {
            (): {EOS_ID: 0.36, A: 0.64},
            (A,): {B: 0.75, EOS_ID: 0.25},
            (A, B): {EOS_ID: 0.7, C: 0.3},
        }
    )
    best = {
        alpha: beam_search(TableEngine(model), [(A,)], longest(9, beam_size=3, alpha=alpha))
        for alpha in (0.0, 1.0)
    }
    assert best[0.0][0][0].ids == ()
    assert best[1.0][0][0].ids == (A, B)


@dataclass
class Recorder:
    """A `Trace` that reads each hypothesis back from its parents."""

    runners_up: int
    kept: list[Ids] = field(default_factory=lambda: [()])
    finished: dict[Ids, float] = field(default_factory=dict)
    outside: list[int] = field(default_factory=list)  # at each step

    def record(
        self, log_probs: Floats, parents: Ints, tokens: Ints, outcomes: Sequence[Outcome]
    ) -> None:
        assert log_probs.tolist() == sorted(log_probs.tolist(), reverse=True)
        extended = [
            (*self.kept[parent], token)
            for parent, token in zip(parents.tolist(), tokens.tolist(), strict=True)
        ]
        told = list(zip(extended, log_probs.tolist(), outcomes, strict=True))
        self.kept = [ids for ids, _, outcome in told if outcome == "kept"]
        self.finished |= {ids: total for ids, total, outcome in told if outcome == "finished"}
        self.outside.append(outcomes.count("outside"))


@settings(deadline=None, max_examples=30)
@given(seeds, sources, alphas, st.integers(1, 4), st.sampled_from([None, 0.5, 2.0]))
def test_a_trace_hears_of_every_result_and_changes_none(
    seed: int, source: Ids, alpha: float, beam_size: int, prune: float | None
) -> None:
    config = replace(longest(6, beam_size=beam_size, alpha=alpha), prune=prune)
    engine = TableEngine(random_model(seed))
    recorder = Recorder(runners_up=2)
    [traced] = beam_search(engine, [source], config, n_best=beam_size, trace=recorder)
    [plainly] = beam_search(engine, [source], config, n_best=beam_size)
    assert plain(traced) == plain(plainly)
    assert recorder.finished == {(*found.ids, EOS_ID): found.log_prob for found in traced}
    assert max(recorder.outside) <= 2
    assert recorder.kept == []


@settings(deadline=None, max_examples=30)
@given(seeds, sources, alphas)
def test_a_wide_beam_is_exhaustive(seed: int, source: Ids, alpha: float) -> None:
    model, limit = random_model(seed), 4
    expected = exhaustive(model, source, limit, alpha)
    for n_best in (1, 3, len(expected)):
        engine = TableEngine(model)
        [found] = beam_search(engine, [source], longest(limit, 100, alpha), n_best)
        assert [one.ids for one in found] == [ids for _, ids in expected[:n_best]]
        assert [one.score for one in found] == pytest.approx(
            [score for score, _ in expected[:n_best]], abs=1e-5
        )


@settings(deadline=None, max_examples=30)
@given(seeds, sources, st.integers(1, 8))
def test_a_beam_of_one_is_greedy(seed: int, source: Ids, limit: int) -> None:
    model = random_model(seed, sharpness=2.0)
    [[found]] = beam_search(TableEngine(model), [source], longest(limit, beam_size=1))
    assert found.ids == greedy(model, source, limit)


@settings(deadline=None, max_examples=30)
@given(seeds, sources, st.integers(1, 6), alphas)
def test_n_best_are_distinct_sorted_and_honest(
    seed: int, source: Ids, beam_size: int, alpha: float
) -> None:
    model, limit = random_model(seed), 5
    [found] = beam_search(TableEngine(model), [source], longest(limit, beam_size, alpha), beam_size)
    assert len(found) == beam_size
    assert len({one.ids for one in found}) == beam_size
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    scores = {ids: score for score, ids in exhaustive(model, source, limit, alpha)}
    for one in found:
        assert one.score == pytest.approx(scores[one.ids], abs=1e-5)


@settings(deadline=None, max_examples=30)
@given(seeds, sources, st.integers(2, 6), alphas)
def test_the_stop_rule_never_changes_the_result(
    seed: int, source: Ids, beam_size: int, alpha: float
) -> None:
    """Asked for all K hypotheses the search may not stop early; the best must be the same."""
    model, config = random_model(seed, sharpness=2.0), longest(6, beam_size, alpha)
    [all_of_them] = beam_search(TableEngine(model), [source], config, beam_size)
    for n_best in range(1, beam_size):
        [found] = beam_search(TableEngine(model), [source], config, n_best)
        assert plain(found) == plain(all_of_them[:n_best])


def test_the_search_stops_when_nothing_can_get_better() -> None:
    """EOS has 0.9 at once. What is left has 0.1, and a limit of 3 tokens cannot mend that."""
    engine = TableEngine(table({(): {EOS_ID: 0.9, A: 0.1}, (A,): {A: 1.0}}))
    [[found]] = beam_search(engine, [(A,)], longest(3, beam_size=4))
    assert found.ids == ()
    assert len(engine.rows) == 1


@settings(deadline=None, max_examples=30)
@given(seeds, st.lists(sources, min_size=2, max_size=6), st.integers(1, 4))
def test_a_batch_equals_its_sentences_alone(seed: int, batch: list[Ids], beam_size: int) -> None:
    model = random_model(seed, sharpness=2.0)
    config = SearchConfig(beam_size, max_length_ratio=1.5, max_length_extra=2)
    together = beam_search(TableEngine(model), batch, config, beam_size)
    for source, found in zip(batch, together, strict=True):
        [alone] = beam_search(TableEngine(model), [source], config, beam_size)
        assert plain(found) == plain(alone)
        for one, other in zip(found, alone, strict=True):
            assert one.attention.shape == (len(one.ids), len(source))
            assert np.array_equal(one.attention, other.attention)


@settings(deadline=None, max_examples=30)
@given(seeds, st.lists(sources, min_size=2, max_size=6), st.integers(1, 4))
def test_sources_with_a_repetition_rule_may_share_a_batch_with_others(
    seed: int, batch: list[Ids], beam_size: int
) -> None:
    model = random_model(seed, sharpness=2.0)
    config = SearchConfig(beam_size, max_length_ratio=1.5, max_length_extra=4)
    word_ids = WordIds(continuing=[C], letters=[A, B, C])
    rules = [RepetitionRule(ids, word_ids) if n % 2 else None for n, ids in enumerate(batch)]
    together = beam_search(TableEngine(model), batch, config, repetition_rules=rules)
    for source, rule, found in zip(batch, rules, together, strict=True):
        [alone] = beam_search(TableEngine(model), [source], config, repetition_rules=[rule])
        assert plain(found) == plain(alone)
        assert len(found) <= (beam_size if rule else 1)
        for hypothesis in found if rule else ():
            assert repeats(hypothesis.ids) <= max(repeats(source), 1)
            assert hypothesis.ids[0] in (A, B)


def test_finished_sentences_and_unused_places_leave_the_batch() -> None:
    def model(source: Ids, prefix: Ids) -> NDArray[np.float32]:
        """Translates n ids into n ids, surely."""
        certain = np.full(V, -np.inf, dtype=np.float32)
        certain[A if len(prefix) < len(source) else EOS_ID] = 0.0
        return certain

    engine = TableEngine(model)
    batch = [(A,) * 3, (A,), (A,) * 2]
    found = beam_search(engine, batch, SearchConfig(beam_size=5))
    assert [one.ids for [one] in found] == [(A,) * 3, (A,), (A,) * 2]
    assert engine.rows == [3, 3, 2, 1]


def test_what_cannot_win_any_more_leaves_and_changes_nothing() -> None:
    """After B nothing is sure: its extensions lose against the finished (A,) and are not asked."""
    model = table(
        {
            (): {A: 0.9, B: 0.1},
            (A,): {EOS_ID: 0.9, A: 0.1},
            (B,): {A: 0.5, B: 0.5},
            (A, A): {EOS_ID: 1.0},
        }
    )
    engine = TableEngine(model)
    [[found]] = beam_search(engine, [(A,)], longest(4, beam_size=4))
    assert found.ids == (A,)
    assert engine.rows == [1, 2]


@settings(deadline=None, max_examples=50)
@given(seeds, st.lists(sources, min_size=1, max_size=4), st.integers(1, 5), st.data())
def test_candidates_narrow_the_search(
    seed: int, batch: list[Ids], beam_size: int, data: st.DataObject
) -> None:
    """The same as a model that gives all other ids no probability."""
    model = random_model(seed, sharpness=2.0)
    allowed = {
        source: (
            PAD_ID,
            BOS_ID,
            EOS_ID,
            UNK_ID,
            *sorted(data.draw(st.sets(st.sampled_from(WORDS)))),
        )
        for source in set(batch)
    }

    def narrow(source: Ids, prefix: Ids) -> NDArray[np.float32]:
        log_probs = np.full(V, -np.inf, dtype=np.float32)
        log_probs[list(allowed[source])] = model(source, prefix)[list(allowed[source])]
        return log_probs

    forbidden = [data.draw(st.sampled_from(WORDS))]
    engine = TableEngine(model, lambda source: allowed[source])
    found = beam_search(engine, batch, longest(5, beam_size), beam_size, forbidden)
    expected = beam_search(TableEngine(narrow), batch, longest(5, beam_size), beam_size, forbidden)
    assert list(map(plain, found)) == list(map(plain, expected))


@settings(deadline=None, max_examples=50)
@given(seeds, st.lists(sources, min_size=1, max_size=4), st.integers(1, 5))
def test_wide_pruning_changes_nothing_and_narrow_pruning_keeps_one(
    seed: int, batch: list[Ids], beam_size: int
) -> None:
    model, config = random_model(seed, sharpness=2.0), longest(6, beam_size)
    plainly = beam_search(TableEngine(model), batch, config)
    wide = beam_search(TableEngine(model), batch, replace(config, prune=1e9))
    assert list(map(plain, wide)) == list(map(plain, plainly))
    engine = TableEngine(model)
    beam_search(engine, batch, replace(config, prune=1e-30))
    assert max(engine.rows) <= len(batch)


def test_the_limit_follows_the_source_and_forces_eos_at_its_honest_price() -> None:
    """A model that never wants to stop: EOS has 0.01 wherever it comes."""
    endless = {A: 0.99, EOS_ID: 0.01}
    model = table({(A,) * n: endless for n in range(20)})
    config = SearchConfig(beam_size=1, max_length_ratio=1.5, max_length_extra=2)
    short, long = beam_search(TableEngine(model), [(A,), (A,) * 4], config)
    assert short[0].ids == (A,) * 2  # 3 tokens: int(1.5 * 1) + 2
    assert long[0].ids == (A,) * 7  # 8 tokens: int(1.5 * 4) + 2
    assert long[0].log_prob == pytest.approx(7 * np.log(0.99) + np.log(0.01), rel=1e-5)


def test_forbidden_ids_are_never_generated() -> None:
    tempting = {PAD_ID: 0.3, BOS_ID: 0.2, UNK_ID: 0.2, C: 0.1, A: 0.09, B: 0.06, EOS_ID: 0.05}
    model = table({ids: tempting for n in range(5) for ids in product(WORDS, repeat=n)})
    [found] = beam_search(TableEngine(model), [(A,)], longest(4, 30), n_best=30, forbidden=[C])
    assert {id_ for one in found for id_ in one.ids} == {A, B}
    assert len(found) == 1 + 2 + 4 + 8  # all that A and B can say in three ids


@settings(deadline=None, max_examples=30)
@given(seeds, st.lists(sources, min_size=1, max_size=3), st.integers(1, 5))
def test_attention_follows_the_backpointers(seed: int, batch: list[Ids], beam_size: int) -> None:
    found = beam_search(TableEngine(random_model(seed)), batch, longest(5, beam_size), beam_size)
    for source, hypotheses in zip(batch, found, strict=True):
        for one in hypotheses:
            expected = [attention_of(source, one.ids[:t], len(source)) for t in range(len(one.ids))]
            assert np.array_equal(one.attention, np.reshape(expected, (-1, len(source))))


def test_equals_are_ordered_by_parent_and_id() -> None:
    even = {A: 0.25, B: 0.25, C: 0.25, EOS_ID: 0.25}
    model = table({(): {A: 0.3, B: 0.3, C: 0.3}} | {(id_,): even for id_ in WORDS})
    [found] = beam_search(TableEngine(model), [(A,)], longest(2, beam_size=3), n_best=3)
    assert [one.ids for one in found] == [(A,), (B,), (C,)]
    assert found[0].score == found[1].score == found[2].score


def test_no_sources_need_no_model() -> None:
    assert beam_search(TableEngine(table({})), [], SearchConfig()) == []


def test_fewer_hypotheses_than_asked_for_where_there_are_no_more() -> None:
    model = table({(): {A: 0.5, EOS_ID: 0.5}, (A,): {EOS_ID: 1.0}})
    [found] = beam_search(TableEngine(model), [(A,)], longest(5, beam_size=4), n_best=4)
    assert {one.ids for one in found} == {(), (A,)}


@pytest.mark.parametrize("n_best", [0, 6])
def test_n_best_must_fit_the_beam(n_best: int) -> None:
    with pytest.raises(UsageError, match="beam of 5"):
        beam_search(TableEngine(table({})), [(A,)], longest(5, beam_size=5), n_best)


def test_a_broken_model_is_an_error_and_no_endless_loop() -> None:
    def broken(source: Ids, prefix: Ids) -> NDArray[np.float32]:
        return np.full(V, np.nan, dtype=np.float32)

    with pytest.raises(Seq2SeqError, match="weights are broken"):
        beam_search(TableEngine(broken), [(A,)], SearchConfig())
