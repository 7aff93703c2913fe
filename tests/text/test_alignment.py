"""Which word came from which: the numbers fit the words of both texts."""

import numpy as np
import pytest
from helpers.engines import copying, hostile
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.text.alignment import joined_alignment, word_alignment, word_numbers
from seq2seq.text.blocks import Unit
from seq2seq.translation.result import Translation

WORDS = ["kalo", "Miren.", "(wog)", "{x}", "ka{x}lo,", "😀", "https://a.org/x", "17", "`a b`", "ß"]
WORDS += ['<a href="x y">lo', "</a>", "<br/>", "sta😀", "\u00ad", "駅はどこ", "a\u2581b", "😀😀"]
texts = st.lists(st.sampled_from(WORDS), max_size=10).map(" ".join)


def is_sound(translation: Translation) -> bool:
    ours, theirs = len(translation.source.split()), len(translation.text.split())
    links = translation.alignment
    return len({*links}) == len(links) and all(
        0 <= one < ours and 0 <= other < theirs for one, other in links
    )


@pytest.mark.slow
@pytest.mark.parametrize("engine", [*hostile(), "copies"])
@settings(max_examples=15)
@given(texts, st.sampled_from(["line", "sentence", "paragraph"]))
def test_numbers_are_those_of_words(engine: str, text: str, unit: Unit) -> None:
    translator = hostile().get(engine, copying())
    [translation] = translator.translate([text], unit=unit)
    assert is_sound(translation)


@settings(max_examples=50)
@given(st.text())
def test_any_text(text: str) -> None:
    [translation] = copying().translate([text])
    assert is_sound(translation)


def identity(words: int) -> list[tuple[int, int]]:
    return [(i, i) for i in range(words)]


@pytest.mark.parametrize(
    "text",
    [
        "kalo miren wog.",
        "Kalo miren. Wog! (Sta ren?)",
        "kalo {x} miren {{a b}} wog.",
        'kalo <a href="x y" id="z">miren wog</a> sta',
        "kalo <b>miren</b> wog <i>sta</i>.",
        "kalo https://a.org/x, miren",
        "Kalo miren sta. " * 30,
    ],
)
def test_a_copy_is_linked_to_itself(text: str) -> None:
    [translation] = copying().translate([text])
    assert translation.text == text.strip()
    words = text.split()
    links = translation.alignment
    # What tags consist of is linked to nothing.
    assert {*links} <= {*identity(len(words))}
    inside_tags = 'href="x', 'y"', 'id="z">miren', "<a"
    spoken = {i for i, word in enumerate(words) if word not in inside_tags}
    assert {ours for ours, _ in links} >= spoken


def test_a_picture_of_its_own_is_linked_to_nothing() -> None:
    [translation] = copying().translate(["kalo 😀 miren 👍🏽👍🏽 wog"])
    assert translation.alignment == ((0, 0), (2, 2), (4, 4))


def test_a_word_that_is_cut_is_still_one() -> None:
    [translation] = copying().translate(["kalo " + "miren" * 100 + " wog"])
    assert len(translation.parts) > 1
    assert translation.alignment == ((0, 0), (1, 1), (2, 2))


def test_pieces_have_the_number_of_their_word() -> None:
    pieces = ["<2de>", "▁a", "b", "▁", "<ph0>", ",", "▁c", "▁", "▁<2", "<2"]
    assert word_numbers(pieces) == [-1, 0, 0, 1, 1, 1, 2, 3, 3, 3]


def test_a_word_is_linked_to_what_it_looks_at_most() -> None:
    source, target = ["<2de>", "▁a", "b", "▁c"], ["▁x", "▁y", "z"]
    attention = np.array(
        [[0.9, 0.0, 0.04, 0.06], [0.1, 0.5, 0.0, 0.4], [0.0, 0.1, 0.1, 0.8]], np.float32
    )
    assert word_alignment(attention, source, target) == ((1, 0), (1, 1))
    assert word_alignment(attention, source, target, from_source=True) == ((0, 1), (1, 1))
    assert word_alignment(np.zeros((3, 4), np.float32), source, target) == ()
    assert word_alignment(np.zeros((0, 4), np.float32), source, []) == ()


def test_parts_are_counted_on() -> None:
    parts = [
        ("a b", "x", " ", ((0, 0), (1, 0))),
        ("", "", "- ", ()),
        ("c", "y z", "", ((0, 0), (0, 1))),
        ("d", "w", "", ((0, 0),)),  # goes on with the word before
    ]
    assert joined_alignment(parts) == ((0, 0), (1, 0), (3, 2), (3, 3))
