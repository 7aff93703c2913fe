"""The search under constraints, against all translations that meet them."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product, repeat

import numpy as np
import pytest
from helpers.tables import (
    WORDS,
    A,
    B,
    C,
    Ids,
    Ints,
    Model,
    TableEngine,
    TableState,
    V,
    alphas,
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
from seq2seq.errors import Seq2SeqError
from seq2seq.search.beam import beam_search, length_penalty
from seq2seq.search.constrained import Constraints, Phrase, constrained_search
from seq2seq.search.engine_protocol import Step
from seq2seq.search.repetition import allowed_repeats, closes_loop
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

D, E = V, V + 1  # forbidden but for phrases; the models of `test_search` do not know them


class WideEngine(TableEngine):
    """Knows D and E too, which it would rather say than all else."""

    def decode_step(self, state: TableState, tokens: Ints) -> Step[TableState]:
        step = super().decode_step(state, tokens)
        more = np.full((len(tokens), 2), -0.1, np.float32)
        return replace(step, log_probs=np.hstack([step.log_probs, more]))


def settings_of(limit: int, beam_size: int, alpha: float = 1.0) -> SearchConfig:
    """At most `limit` tokens besides those of the phrases."""
    return SearchConfig(beam_size, alpha, max_length_ratio=0.01, max_length_extra=limit)


def contains(ids: Ids, phrases: tuple[Ids, ...]) -> bool:
    """Whether all `phrases` are in `ids`, apart from one another."""
    if not phrases:
        return True
    first, *rest = phrases
    size = len(first)
    return any(
        contains((*ids[:start], PAD_ID, *ids[start + size :]), tuple(rest))
        for start in range(len(ids) - size + 1)
        if ids[start : start + size] == first
    )


def repeats_too_often(source: Ids, ids: Ids) -> bool:
    allowed = allowed_repeats(source)
    return any(ids[n] in closes_loop(ids[:n], allowed) for n in range(len(ids)))


def exhaustive(
    model: Model, source: Ids, limit: int, alpha: float, phrases: tuple[Ids, ...]
) -> list[tuple[float, Ids]]:
    """Score and ids of all that contains the `phrases` and does not go round in circles."""

    def every() -> Iterator[tuple[float, Ids]]:
        for length in range(limit):
            for ids in product(WORDS, repeat=length):
                if not contains(ids, phrases) or repeats_too_often(source, ids):
                    continue
                spelled = (*ids, EOS_ID)
                log_prob = sum(
                    float(model(source, spelled[:t])[id_]) for t, id_ in enumerate(spelled)
                )
                yield log_prob / length_penalty(len(spelled), alpha), ids

    return sorted(every(), reverse=True)


phrase_ids = st.sampled_from([(A,), (A, B), (B, C), (A, B, C), (C, A)])
alone = st.lists(phrase_ids, max_size=2).map(tuple)
tempting = st.lists(
    st.sampled_from([(D,), (E,), (A, D), (D, B), (D, E), (B, C)]), min_size=1, max_size=4
).map(tuple)


def phrased(phrases: tuple[Ids, ...], positions: Ids = (), firm: int = 9) -> Constraints:
    """As `Constraints`."""
    return Constraints(tuple(Phrase(ids, positions, firm=firm) for ids in phrases))


@settings(max_examples=30)
@given(seeds, sources, alphas, st.sampled_from([(), ((A,),), ((A, B),), ((B, C),), ((A,), (B,))]))
def test_a_wide_beam_is_exhaustive(
    seed: int, source: Ids, alpha: float, phrases: tuple[Ids, ...]
) -> None:
    model, extra = random_model(seed), 3
    limit = extra + sum(map(len, phrases))
    expected = exhaustive(model, source, limit, alpha, phrases)
    config = settings_of(extra, 400, alpha)
    [found] = constrained_search(TableEngine(model), [source], [phrased(phrases)], config, 5)
    assert [one.ids for one in found] == [ids for _, ids in expected[:5]]
    assert [one.score for one in found] == pytest.approx(
        [score for score, _ in expected[:5]], abs=1e-5
    )


@settings(max_examples=30)
@given(seeds, sources, st.sampled_from([(A,), (A, B), (C, A)]), st.sampled_from([(), ((B,),)]))
def test_a_wide_beam_finds_the_best_that_begin_with_a_prefix(
    seed: int, source: Ids, prefix: Ids, phrases: tuple[Ids, ...]
) -> None:
    model, extra = random_model(seed), 3
    limit = extra + len(prefix) + sum(map(len, phrases))
    expected = [
        (score, ids)
        for score, ids in exhaustive(model, source, limit, 1.0, phrases)
        if ids[: len(prefix)] == prefix
    ]
    constraints = replace(phrased(phrases), prefix=prefix)
    [found] = constrained_search(
        TableEngine(model), [source], [constraints], settings_of(extra, 400), 5
    )
    assert [each.ids for each in found] == [ids for _, ids in expected[:5]]
    assert [each.score for each in found] == pytest.approx(
        [score for score, _ in expected[:5]], abs=1e-5
    )


def test_a_prefix_may_be_longer_than_translations_are_and_say_what_is_forbidden() -> None:
    prefix = (A, A, A, D, A)
    constraints = Constraints(prefix=prefix)
    for beam_size in (1, 3):
        [[found]] = constrained_search(
            WideEngine(random_model(1)), [(B,)], [constraints], settings_of(1, beam_size), 1, [D]
        )
        assert found.ids == prefix


@settings(max_examples=60)
@given(seeds, sources, alone, st.integers(1, 4), st.integers(1, 6), st.integers(1, 3))
def test_what_is_found_contains_all(
    seed: int, source: Ids, phrases: tuple[Ids, ...], beam_size: int, extra: int, firm: int
) -> None:
    config = settings_of(extra, beam_size)
    engine = TableEngine(random_model(seed, sharpness=3.0))
    constraints = phrased(phrases, (0,), firm)
    [found] = constrained_search(engine, [source], [constraints], config, beam_size)
    assert found
    assert len({one.ids for one in found}) == len(found)
    for one in found:
        assert contains(one.ids, phrases)
        assert len(one.ids) + 1 <= extra + constraints.size
        assert one.attention.shape == (len(one.ids), len(source))
        assert one.score <= 0


@settings(max_examples=60)
@given(seeds, sources, tempting, st.integers(1, 4), st.booleans())
def test_forbidden_ids_come_as_often_as_in_the_phrases(
    seed: int, source: Ids, phrases: tuple[Ids, ...], beam_size: int, with_positions: bool
) -> None:
    engine = WideEngine(random_model(seed, sharpness=3.0))
    positions = (0,) if with_positions else ()
    firm = [1 if ids[0] in (D, E) else 2 for ids in phrases]  # no forbidden id is broken off
    constraints = Constraints(tuple(map(Phrase, phrases, repeat(positions), repeat(True), firm)))
    [found] = constrained_search(
        engine, [source], [constraints], settings_of(5, beam_size), beam_size, [D, E]
    )
    for one in found:
        assert contains(one.ids, phrases)
        for id_ in (D, E):
            assert one.ids.count(id_) == sum(ids.count(id_) for ids in phrases)
        assert not {PAD_ID, BOS_ID, UNK_ID, EOS_ID} & {*one.ids}


@settings(max_examples=30)
@given(seeds, sources, st.integers(2, 3))
def test_nothing_goes_round_in_circles(seed: int, source: Ids, beam_size: int) -> None:
    config = settings_of(12, beam_size, alpha=2.0)
    engine = TableEngine(random_model(seed, sharpness=5.0))
    [found] = constrained_search(engine, [source], [Constraints()], config, beam_size)
    assert not any(repeats_too_often(source, one.ids) for one in found)


def test_a_loop_is_left() -> None:
    """A model that says A without end."""
    model = table({ids: {A: 0.9, EOS_ID: 0.1} for n in range(9) for ids in product([A], repeat=n)})
    config = settings_of(8, 2, alpha=2.0)
    [[found]] = constrained_search(TableEngine(model), [(B,)], [Constraints()], config)
    assert found.ids == (A, A)
    [[found]] = constrained_search(TableEngine(model), [(B, B, B)], [Constraints()], config)
    assert found.ids == (A, A, A)  # its source does it too


@settings(max_examples=30)
@given(seeds, st.lists(st.tuples(sources, alone), min_size=2, max_size=5), st.integers(1, 4))
def test_a_batch_equals_its_sentences_alone(
    seed: int, batch: list[tuple[Ids, tuple[Ids, ...]]], beam_size: int
) -> None:
    model = random_model(seed, sharpness=2.0)
    config = SearchConfig(beam_size, max_length_ratio=1.5, max_length_extra=2)
    every = [phrased(phrases) for _, phrases in batch]
    together = constrained_search(
        TableEngine(model), [source for source, _ in batch], every, config, beam_size
    )
    for (source, _), needs, found in zip(batch, every, together, strict=True):
        [by_itself] = constrained_search(TableEngine(model), [source], [needs], config, beam_size)
        assert plain(found) == plain(by_itself)
        for one, other in zip(found, by_itself, strict=True):
            assert np.array_equal(one.attention, other.attention)


@settings(max_examples=30)
@given(seeds, st.lists(sources, min_size=1, max_size=4), st.integers(1, 4), st.data())
def test_candidates_narrow_the_search(
    seed: int, batch: list[Ids], beam_size: int, data: st.DataObject
) -> None:
    """The same as a model that gives all other ids no probability; what is required is there."""
    model = random_model(seed, sharpness=2.0)
    needs = [phrased(data.draw(st.sampled_from([(), ((A,),), ((A, B),)]))) for _ in batch]
    asked: list[Ints] = []
    special = (PAD_ID, BOS_ID, EOS_ID, UNK_ID)
    words: Ids = data.draw(st.sampled_from([(A, B), (A, B, C)]))
    allowed = dict.fromkeys(batch, (*special, *words))

    class Narrow(TableEngine):
        def encode(self, source: Ints, lengths: Ints, forced: Ints | None = None) -> TableState:
            assert forced is not None
            asked.append(forced)
            return super().encode(source, lengths, forced)

    def narrow(source: Ids, prefix: Ids) -> NDArray[np.float32]:
        log_probs = np.full(V, -np.inf, dtype=np.float32)
        log_probs[list(allowed[source])] = model(source, prefix)[list(allowed[source])]
        return log_probs

    config = settings_of(5, beam_size)
    engine = Narrow(model, lambda source: allowed[source])
    found = constrained_search(engine, batch, needs, config, beam_size)
    expected = constrained_search(TableEngine(narrow), batch, needs, config, beam_size)
    assert list(map(plain, found)) == list(map(plain, expected))
    assert [[*filter(None, row)] for row in asked[0].tolist()] == [one.ids for one in needs]


def test_what_goes_on_with_a_word_may_not_follow_its_end() -> None:
    rows = {(): {A: 1.0}, (A,): {B: 0.9, C: 0.1}, (A, C): {EOS_ID: 1.0}}
    engine = TableEngine(table(rows | {(A, B): {EOS_ID: 1.0}}))
    for ends_word, expected in ((False, (A, B)), (True, (A, C))):
        needs = Constraints((Phrase((A,), (), ends_word),))
        [[found]] = constrained_search(engine, [(A,)], [needs], settings_of(5, 3), continuing=[B])
        assert found.ids == expected


def test_what_is_attended_to_is_said() -> None:
    """A phrase comes where the model looks at what it stands for."""

    class Looking(WideEngine):
        def decode_step(self, state: TableState, tokens: Ints) -> Step[TableState]:
            step = super().decode_step(state, tokens)
            step.log_probs[:, V] = -30  # the model would never say D
            attention = np.full_like(step.attention, 0.05)
            for row, (_, source, prefix) in zip(attention, step.state.rows, strict=True):
                row[min(len(prefix) - 1, len(source) - 1)] = 0.9
            return replace(step, attention=attention)

    def copies(source: Ids, prefix: Ids) -> NDArray[np.float32]:
        """Says four words and EOS, whatever it has said."""
        words = {WORDS[len(prefix) % 3]: 0.98, EOS_ID: 0.02}
        return table({(): words if len(prefix) < 4 else {EOS_ID: 1.0}})(source, ())

    for place in range(4):
        needs = Constraints((Phrase((D,), (place,)),))
        engine = Looking(copies)
        [[found]] = constrained_search(
            engine, [(A, B, C, A)], [needs], settings_of(5, 4), forbidden=[D, E]
        )
        assert found.ids.index(D) == place


@settings(max_examples=20)
@given(seeds, sources)
def test_without_constraints_it_is_the_plain_search(seed: int, source: Ids) -> None:
    """Where nothing repeats itself."""
    config = settings_of(3, 300)
    engine = TableEngine(random_model(seed))
    [[plainly]] = beam_search(engine, [source], config)
    [[found]] = constrained_search(engine, [source], [Constraints()], config)
    assert plain([found]) == plain([plainly])


def test_no_sources_need_no_model() -> None:
    assert constrained_search(TableEngine(table({})), [], [], SearchConfig()) == []


def test_a_broken_model_is_an_error_and_no_endless_loop() -> None:
    def broken(source: Ids, prefix: Ids) -> NDArray[np.float32]:
        return np.full(V, np.nan, dtype=np.float32)

    for needs in (Constraints(), phrased(((A, B),))):
        with pytest.raises(Seq2SeqError, match="weights are broken"):
            constrained_search(TableEngine(broken), [(A,)], [needs], SearchConfig())


@settings(max_examples=10)
@given(seeds, sources, alphas, st.sampled_from([((A,), (B,)), ((B, C), (C, A)), ((A, B), (A, C))]))
def test_of_a_group_of_phrases_the_best_is_found(
    seed: int, source: Ids, alpha: float, group: tuple[Ids, ...]
) -> None:
    """As likely as the model says, where phrases stand for nothing in the source."""
    model, extra = random_model(seed), 2
    limit = extra + max(map(len, group))
    expected = sorted(
        {
            result
            for phrase in group
            for result in exhaustive(model, source, limit, alpha, (phrase,))
        },
        reverse=True,
    )
    constraints = Constraints(tuple(Phrase(ids, firm=9, group=0) for ids in group))
    config = settings_of(extra, 400, alpha)
    [found] = constrained_search(TableEngine(model), [source], [constraints], config, 400)
    distinct = [*dict.fromkeys(hypothesis.ids for hypothesis in found)]
    assert distinct[:3] == [ids for _, ids in expected[:3]]


@settings(max_examples=20)
@given(seeds, sources, st.integers(1, 4), st.integers(1, 3))
def test_each_group_has_one_of_its_phrases_in_what_is_found(
    seed: int, source: Ids, beam_size: int, firm: int
) -> None:
    groups = ((A,), (A, B)), ((C, C), (B, A, B))
    constraints = Constraints(
        tuple(
            Phrase(ids, (0,), firm=firm, group=number)
            for number, group in enumerate(groups)
            for ids in group
        )
    )
    assert constraints.size == 5
    [found] = constrained_search(
        TableEngine(random_model(seed, sharpness=3.0)),
        [source],
        [constraints],
        settings_of(3, beam_size),
        beam_size,
    )
    assert found
    for hypothesis in found:
        assert any(contains(hypothesis.ids, pair) for pair in product(*groups))
