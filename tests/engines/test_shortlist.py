"""Candidates: learned from a corpus whose translations are known, and looked up."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save

from seq2seq.engines.shortlist import Lexicon, Shortlist, learn_shortlist
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

V, TAG, OTHER = 40, 4, 5
SPECIAL = {PAD_ID, BOS_ID, EOS_ID, UNK_ID}


def dictionary_corpus(number: int) -> tuple[list[list[int]], list[list[int]]]:
    """Word 6 + i is translated as 21 + i, in another order, and 39 is in every translation."""
    rng = np.random.default_rng(1)
    sources = [rng.integers(6, 18, size=rng.integers(1, 7)) for _ in range(number)]
    return (
        [[TAG, *source.tolist()] for source in sources],
        [[*reversed((source + 15).tolist()), 39] for source in sources],
    )


def learn(number: int, translations: int = 100, frequent: int = 100) -> Shortlist:
    lexicon = Lexicon.learn(*dictionary_corpus(number), V, rounds=8)
    return learn_shortlist({("en", "de"): lexicon}, {"de": TAG}, V, translations, frequent)


def test_the_translation_of_a_word_comes_first() -> None:
    shortlist = learn(400, translations=3, frequent=1)
    assert shortlist.tags.tolist() == [TAG]
    [table] = shortlist.translations
    assert table[6:18, 0].tolist() == list(range(21, 33))
    assert table[TAG, 0] == 39  # what no word explains
    assert table[18:20].tolist() == [[PAD_ID] * 3] * 2  # never seen
    assert shortlist.frequent.tolist() == [[39]]


@pytest.mark.parametrize("vocabulary_size", [256, 257, 65_536, 65_537])
def test_the_last_id_of_a_vocabulary_is_kept_whole(vocabulary_size: int) -> None:
    """Where a byte, or two, hold one id less."""
    last = vocabulary_size - 1
    lexicon = Lexicon.learn([[TAG, 6]] * 9, [[last]] * 9, vocabulary_size, rounds=2)
    learnt = {("en", "de"): lexicon}
    shortlist = learn_shortlist(learnt, {"de": TAG}, vocabulary_size, translations=1, frequent=1)
    assert shortlist.translations[0, 6, 0] == last


def test_blank_lines_say_nothing() -> None:
    sources, targets = dictionary_corpus(50)
    plain = Lexicon.learn(sources, targets, V)
    blank = Lexicon.learn([*sources, [TAG, 6], []], [*targets, [], [20]], V)
    for part in ("source", "target", "count"):
        assert np.array_equal(getattr(plain, part), getattr(blank, part))
    nothing = learn_shortlist({("en", "de"): Lexicon.learn([[TAG]], [[]], V)}, {"de": TAG}, V)
    assert set(nothing.translations.reshape(-1).tolist()) == {PAD_ID}


def word_for_word(pairs: dict[int, int]) -> Lexicon:
    words = [word for word in pairs for _ in range(3)]
    return Lexicon.learn([[word] for word in words], [[pairs[word]] for word in words], V)


def test_each_language_has_its_own_translations() -> None:
    learnt = {("en", "de"): word_for_word({10: 20}), ("en", "fr"): word_for_word({10: 30})}
    shortlist = learn_shortlist(learnt, {"fr": OTHER, "de": TAG}, V, 2, 1)
    assert shortlist.tags.tolist() == [TAG, OTHER]
    assert shortlist.translations[:, 10].tolist() == [[20, PAD_ID], [30, PAD_ID]]
    together = shortlist.candidates(np.array([[TAG, 10], [OTHER, 10]])).ids
    assert [set(row[row > UNK_ID].tolist()) for row in together] == [{4, 10, 20}, {5, 10, 30}]


def test_what_nobody_has_translated_goes_by_way_of_a_third_language() -> None:
    learnt = {
        ("fr", "en"): word_for_word({10: 20, 11: 21}),
        ("en", "de"): word_for_word({20: 30, 21: 31, 11: 35}),
        ("de", "en"): word_for_word({30: 20}),
    }
    shortlist = learn_shortlist(learnt, {"de": TAG, "en": OTHER}, V, 3, 1)
    into_german = shortlist.translations[0]
    assert into_german[20].tolist() == [30, PAD_ID, PAD_ID]
    assert into_german[10].tolist() == [30, PAD_ID, PAD_ID]  # French, over English
    assert into_german[11].tolist() == [35, 31, PAD_ID]  # English too, which goes first


def test_candidates_are_translations_copies_and_what_is_frequent() -> None:
    shortlist = learn(400, translations=1, frequent=1)
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
    translations = rng.integers(0, V, (2, V, 3))
    translations[:, PAD_ID] = PAD_ID
    shortlist = Shortlist(np.array([TAG, OTHER]), translations, rng.integers(0, V, (2, 2)))
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
    one = learn(50)
    lexicon = Lexicon.learn(*dictionary_corpus(50), V)
    learnt = {("en", "de"): lexicon, ("en", "fr"): lexicon}
    two = learn_shortlist(learnt, {"de": TAG, "fr": OTHER}, V)
    for shortlist, tags in ((one, [TAG]), (two, [OTHER, TAG])):
        again = Shortlist.from_bytes(shortlist.to_bytes(), V, tags)
        source = np.array([[tags[0], 6, 7, 20], [tags[-1], 8, 9, 10]])
        for before, after in zip(
            shortlist.candidates(source), again.candidates(source), strict=True
        ):
            assert np.array_equal(before, after)


def raw(translations: NDArray[Any], *shape: int) -> bytes:
    frequent = np.zeros(shape or 1, np.uint8)
    return save({"translations": translations, "frequent": frequent})


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"junk",
        raw(np.zeros((V + 1, 2), np.uint8)),
        raw(np.full((V, 2), 9, np.uint8)),
        raw(np.full((V, 2), V, np.uint8)),
        raw(np.full((V, 2), -1, np.int8)),
        raw(np.zeros((V, 2), np.float32)),
        raw(np.zeros(V, np.uint8)),
        raw(np.zeros((2, V, 2), np.uint8), 2, 1),  # of two languages
    ],
)
def test_what_is_not_a_shortlist_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError, match="not a shortlist"):
        Shortlist.from_bytes(broken, V, [TAG])


def test_a_shortlist_for_other_languages_is_refused() -> None:
    with pytest.raises(ValueError, match="for 2 target languages"):
        Shortlist.from_bytes(learn(50).to_bytes(), V, [TAG, OTHER])
