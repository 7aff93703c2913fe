"""Candidates: learned from a corpus whose translations are known, and looked up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.decoding.shortlist import Shortlist, learn_shortlist
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

V, TAG = 40, 4
SPECIAL = {PAD_ID, BOS_ID, EOS_ID, UNK_ID}


def dictionary_corpus(number: int) -> tuple[list[list[int]], list[list[int]]]:
    """Word 5 + i is translated as 20 + i, in another order, and 39 is in every translation."""
    rng = np.random.default_rng(1)
    sources = [rng.integers(5, 18, size=rng.integers(1, 7)) for _ in range(number)]
    return (
        [[TAG, *source.tolist()] for source in sources],
        [[*reversed((source + 15).tolist()), 39] for source in sources],
    )


def test_the_translation_of_a_word_comes_first() -> None:
    shortlist = learn_shortlist(*dictionary_corpus(400), V, translations=3, frequent=1, rounds=8)
    assert shortlist.translations[5:18, 0].tolist() == list(range(20, 33))
    assert shortlist.translations[TAG, 0] == 39  # what no word explains
    assert shortlist.translations[18:20].tolist() == [[PAD_ID] * 3] * 2  # never seen
    assert shortlist.frequent.tolist() == [39]


def test_blank_lines_say_nothing() -> None:
    sources, targets = dictionary_corpus(50)
    plain = learn_shortlist(sources, targets, V)
    blank = learn_shortlist([*sources, [TAG, 6], []], [*targets, [], [20]], V)
    assert np.array_equal(blank.translations, plain.translations)
    assert set(learn_shortlist([[TAG]], [[]], V).translations.reshape(-1).tolist()) == {PAD_ID}


def test_candidates_are_translations_copies_and_what_is_frequent() -> None:
    shortlist = learn_shortlist(*dictionary_corpus(400), V, translations=1, frequent=1, rounds=8)
    candidates = shortlist.candidates(np.array([[TAG, 6, 7], [TAG, 18, PAD_ID]])).ids
    assert candidates.shape == (2, 64)
    known = [row[:4].tolist() + row[row > UNK_ID].tolist() for row in candidates]
    assert known[0] == [PAD_ID, BOS_ID, EOS_ID, UNK_ID, TAG, 6, 7, 21, 22, 39]
    assert known[1] == [PAD_ID, BOS_ID, EOS_ID, UNK_ID, TAG, 18, 39]


@given(
    st.lists(st.lists(st.integers(4, V - 1), min_size=1, max_size=8), min_size=1, max_size=5),
    st.integers(0, 3),
)
def test_candidates_do_not_depend_on_the_batch(sources: list[list[int]], extra: int) -> None:
    rng = np.random.default_rng(2)
    translations = rng.integers(0, V, (V, 3))
    translations[PAD_ID] = PAD_ID
    shortlist = Shortlist(translations, rng.integers(0, V, 2))
    padded = np.full((len(sources), max(map(len, sources)) + extra), PAD_ID)
    for row, source in zip(padded, sources, strict=True):
        row[: len(source)] = source
    together, pool, columns = shortlist.candidates(padded)
    assert np.array_equal(pool[columns], together)
    assert set(pool.tolist()) == set(together.reshape(-1).tolist())
    assert together.shape[1] % 64 == len(pool) % 64 == 0
    for row, source in zip(together, sources, strict=True):
        [alone] = shortlist.candidates(np.array([source])).ids
        number = 1 + int(row.argmax())
        assert (np.diff(row[:number]) > 0).all()
        assert not row[number:].any()
        assert np.array_equal(row[: len(alone)], alone)
        assert set(source) <= set(row.tolist())
        assert set(row[:4].tolist()) == SPECIAL


def test_bytes_and_back() -> None:
    shortlist = learn_shortlist(*dictionary_corpus(50), V)
    again = Shortlist.from_bytes(shortlist.to_bytes(), V)
    assert np.array_equal(again.translations, shortlist.translations)
    assert np.array_equal(again.frequent, shortlist.frequent)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"junk",
        Shortlist(np.zeros((V + 1, 2), np.uint8), np.zeros(1, np.uint8)).to_bytes(),
        Shortlist(np.full((V, 2), 9, np.uint8), np.zeros(1, np.uint8)).to_bytes(),
        Shortlist(np.full((V, 2), V, np.uint8), np.zeros(1, np.uint8)).to_bytes(),
        Shortlist(np.full((V, 2), -1, np.int8), np.zeros(1, np.uint8)).to_bytes(),
        Shortlist(np.zeros((V, 2), np.float32), np.zeros(1, np.uint8)).to_bytes(),
        Shortlist(np.zeros(V, np.uint8), np.zeros(1, np.uint8)).to_bytes(),
    ],
)
def test_what_is_not_a_shortlist_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError, match="not a shortlist"):
        Shortlist.from_bytes(broken, V)
