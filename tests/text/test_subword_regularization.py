"""The draws of subwords follow the distributions that the papers give."""

import math
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from seq2seq.text.subword_regularization import DropoutSampler, Pieces, UnigramSampler

BYTES = tuple(range(100, 356))
SCORES = {"a": -3.0, "b": -2.5, "ab": -2.0, "ba": -3.5, "aba": -1.5, "bab": -4.0}
PIECES = Pieces({piece: i for i, piece in enumerate(SCORES)}, SCORES, BYTES)
DRAWS = 4000

Ids = tuple[int, ...]


def segmentations(word: str) -> Iterator[list[str]]:
    if not word:
        yield []
    for end in range(1, len(word) + 1):
        if word[:end] in SCORES:
            for rest in segmentations(word[end:]):
                yield [word[:end], *rest]


def assert_drawn_from(drawn: Counter[Ids], expected: dict[Ids, float]) -> None:
    """Each share lies within five standard errors of its probability."""
    assert drawn.keys() <= expected.keys()
    for ids, probability in expected.items():
        error = math.sqrt(probability * (1 - probability) / DRAWS)
        assert abs(drawn[ids] / DRAWS - probability) < 5 * error + 1e-9, ids


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0])
def test_unigram_draws_in_proportion_to_the_sharpened_probability(alpha: float) -> None:
    word = "ababab"
    weights = {
        tuple(PIECES.ids[piece] for piece in pieces): math.exp(
            alpha * sum(SCORES[piece] for piece in pieces)
        )
        for pieces in segmentations(word)
    }
    total = sum(weights.values())
    sampler, random = UnigramSampler(PIECES, alpha), Random(1)
    drawn = Counter(tuple(sampler.draw(word, random)) for _ in range(DRAWS))
    assert_drawn_from(drawn, {ids: weight / total for ids, weight in weights.items()})


def test_unigram_spells_what_has_no_piece() -> None:
    sampler = UnigramSampler(PIECES, 0.5)
    euro = [BYTES[byte] for byte in "€".encode()]
    assert sampler.draw("€", Random(1)) == euro
    assert sampler.draw("a€€b", Random(1)) == [0, *euro, *euro, 1]


def test_long_words_neither_overflow_nor_vanish() -> None:
    ids = UnigramSampler(PIECES, 1.0).draw("ab" * 5000, Random(1))
    names = list(SCORES)
    assert "".join(names[i] for i in ids) == "ab" * 5000


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.7, 1.0])
def test_dropout_passes_over_each_merge_with_its_rate(rate: float) -> None:
    merges = Pieces({"a": 0, "b": 1, "ab": 2, "aba": 3}, {"ab": -0.0, "aba": -1.0}, BYTES)
    sampler, random = DropoutSampler(merges, rate), Random(1)
    drawn = Counter(tuple(sampler.draw("aba", random)) for _ in range(DRAWS))
    stays = {(0, 1, 0): rate, (2, 0): (1 - rate) * rate, (3,): (1 - rate) ** 2}
    assert_drawn_from(drawn, stays)


def test_merges_go_by_rank_and_then_from_left_to_right() -> None:
    ids = {"a": 0, "b": 1, "ab": 2, "ba": 3, "aa": 4}
    sampler = DropoutSampler(Pieces(ids, {"ba": -0.0, "ab": -1.0, "aa": -2.0}, BYTES), 0.0)
    assert sampler.draw("aba", Random(1)) == [0, 3]
    assert sampler.draw("aaa", Random(1)) == [4, 0]
    assert sampler.draw("é", Random(1)) == [BYTES[0xC3], BYTES[0xA9]]
