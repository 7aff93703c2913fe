"""Sampling: tokens as often as the model says, the same ones for a seed, in any company."""

from collections import Counter
from math import exp

import numpy as np
import pytest
from helpers.commands import only_error, run
from helpers.tables import A, B, C, Ids, TableEngine, longest, plain, random_model, table
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq import Sampling, Translator, UsageError
from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.search.beam import beam_search, length_penalty
from seq2seq.search.forced import forced_log_probs
from seq2seq.search.sampling import sample
from seq2seq.tokenizer import EOS_ID

MODEL = table({(): {A: 0.5, B: 0.3, C: 0.2}} | {(i,): {EOS_ID: 1.0} for i in (A, B, C)})
LINES = ["Where is the station?", "My brother is reading a book.", "I lost my key."]


def shares(sampling: Sampling, number: int = 4000) -> dict[int, float]:
    """How often each of the three words was drawn."""
    [drawn] = sample(TableEngine(MODEL), [(A,)], sampling, longest(3, 1), number)
    counts = Counter(hypothesis.ids[0] for hypothesis in drawn)
    return {id_: counts[id_] / number for id_ in (A, B, C)}


def test_words_come_as_often_as_the_model_says() -> None:
    assert shares(Sampling()) == pytest.approx({A: 0.5, B: 0.3, C: 0.2}, abs=0.03)


def test_a_temperature_sharpens_or_flattens_the_distribution() -> None:
    powers = [0.5**2, 0.3**2, 0.2**2]
    sharp = dict(zip((A, B, C), np.array(powers) / sum(powers), strict=True))
    assert shares(Sampling(0.5)) == pytest.approx(sharp, abs=0.03)
    assert shares(Sampling(100.0)) == pytest.approx(dict.fromkeys((A, B, C), 1 / 3), abs=0.03)
    assert shares(Sampling(0.01)) == {A: 1.0, B: 0.0, C: 0.0}


def test_top_k_draws_from_the_likeliest() -> None:
    assert shares(Sampling(top_k=2)) == pytest.approx({A: 0.625, B: 0.375, C: 0.0}, abs=0.03)
    assert shares(Sampling(top_k=1))[A] == 1.0
    assert shares(Sampling(top_k=9)) == shares(Sampling())


@settings(max_examples=30)
@given(
    st.integers(0, 10**9), st.integers(0, 99), st.lists(st.sampled_from([(A,), (B, C), (C, A, B)]))
)
def test_a_source_has_the_same_samples_whatever_is_in_its_batch(
    model: int, seed: int, others: list[Ids]
) -> None:
    engine, config = TableEngine(random_model(model)), longest(6, 1)
    sampling = Sampling(seed=seed)
    [alone] = sample(engine, [(B, B)], sampling, config, 3)
    *_, among = sample(engine, [*others, (B, B)], sampling, config, 3)
    assert plain(among) == plain(alone)


def test_scores_are_those_of_the_model_at_temperature_1_and_fall() -> None:
    engine, config = TableEngine(random_model(3)), longest(6, 1)
    [drawn] = sample(engine, [(A, B)], Sampling(3.0), config, 20)
    log_probs = forced_log_probs(engine, [(A, B)] * 20, [hypothesis.ids for hypothesis in drawn])
    for hypothesis, of_tokens in zip(drawn, log_probs, strict=True):
        if len(hypothesis.ids) < 5:  # at the limit the end is all that may come
            assert hypothesis.log_prob == pytest.approx(of_tokens.sum())
            penalty = length_penalty(len(of_tokens), 1.0)
            assert hypothesis.score == pytest.approx(hypothesis.log_prob / penalty)
    scores = [hypothesis.score for hypothesis in drawn]
    assert scores == sorted(scores, reverse=True)


def test_the_likeliest_token_alone_is_greedy_search() -> None:
    engine, config = TableEngine(random_model(5)), longest(6, 1)
    sources = [(A,), (B, C), (C, A, B)]
    drawn = sample(engine, sources, Sampling(top_k=1), config)
    assert [*map(plain, drawn)] == [*map(plain, beam_search(engine, sources, config))]


def test_nothing_to_sample_gives_nothing() -> None:
    assert sample(TableEngine(MODEL), [], Sampling(), longest(3, 1)) == []


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator(DEFAULT_MODEL, threads=1)


def test_a_seed_gives_the_same_translations_in_any_batch_and_another_seed_others(
    translator: Translator,
) -> None:
    def texts(lines: list[str], seed: int) -> list[str]:
        options = Sampling(1.5, seed=seed)
        return [line.text for line in translator.translate(lines, sampling=options)]

    first = texts(LINES, 7)
    assert first == [texts([line], 7)[0] for line in LINES]
    assert first == [*reversed(texts([*reversed(LINES)], 7))]
    assert first != texts(LINES, 8)


def test_candidates_are_as_many_samples_with_each_text_once(translator: Translator) -> None:
    [translation] = translator.translate(LINES[:1], n_best=30, sampling=Sampling(seed=4))
    texts = [candidate.text for candidate in translation.candidates]
    scores = [candidate.score for candidate in translation.candidates]
    assert 1 < len(texts) == len({*texts}) <= 30
    assert scores == sorted(scores, reverse=True)
    assert exp(scores[0]) > 0.1


def test_what_must_not_change_does_not_where_tokens_are_drawn(translator: Translator) -> None:
    for seed in range(5):
        [translation] = translator.translate(
            ["I have <b>never</b> seen {city} 😀."], sampling=Sampling(2.0, seed=seed)
        )
        for span in ("<b>", "</b>", "{city}", "😀"):
            assert translation.text.count(span) == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"temperature": float("nan")}, "temperature must be above 0"),
        ({"top_k": -1}, "top-k"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_that_no_distribution_has(options: dict[str, float], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        Sampling(**options)  # type: ignore[arg-type]


def test_a_prefix_is_not_sampled(translator: Translator) -> None:
    with pytest.raises(UsageError, match="prefix"):
        translator.translate(LINES, prefix="Wo", sampling=Sampling())


def test_the_command_draws_by_its_seed() -> None:
    drawn = [
        run("--sample", "--temperature", "1.5", "--seed", seed, *LINES).stdout
        for seed in ("1", "1", "2")
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert "are for --sample" in only_error(run("--top-k", "5", "Good morning!"), 2)
    assert "temperature" in only_error(run("--sample", "--temperature", "0", "Good morning!"), 2)
