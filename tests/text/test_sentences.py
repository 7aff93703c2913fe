"""Cutting over-long texts: nothing is lost, and the cuts lie where a reader would put them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.text.masking import INLINE_TAG
from seq2seq.text.sentences import sentences, split

WORDS = st.sampled_from(
    ["Haus", "a", "Dr.", "3.", "ende.", "so,", "(x)", "“q”", "東京。", "e\u0301"]
)
SPACES = st.sampled_from([" ", "  ", "\n", "\u00a0", "\u2028", ""])
TEXTS = st.one_of(
    st.text(max_size=80),
    st.lists(st.tuples(WORDS, SPACES), max_size=30).map(lambda w: "".join(a + b for a, b in w)),
)


def words(text: str) -> int:
    return len(text.split())


def cut(text: str, limit: int) -> list[str]:
    """The pieces of a text, its length counted in characters."""
    return [piece.text for piece in split(text, limit, len)]


@given(TEXTS, st.integers(1, 40))
def test_the_pieces_give_the_text_back(text: str, limit: int) -> None:
    pieces = split(text, limit, len)
    assert "".join(piece.text + piece.separator for piece in pieces) == text
    assert all(piece.separator.strip() == "" for piece in pieces)


@given(TEXTS, st.integers(1, 40))
def test_the_pieces_are_within_the_limit(text: str, limit: int) -> None:
    assert all(len(piece) <= limit for piece in cut(text, limit))


@given(st.lists(st.sampled_from(["Haus", "a", "Dr.", "3.", "ende.", "so,"])), st.integers(1, 5))
def test_words_are_whole_where_words_are_counted(spoken: list[str], limit: int) -> None:
    text = " ".join(spoken)
    pieces = [piece.text for piece in split(text, limit, words)]
    assert [word for piece in pieces for word in piece.split()] == spoken
    assert all(words(piece) <= limit for piece in pieces)


@given(TEXTS)
def test_a_text_within_the_limit_is_one_piece(text: str) -> None:
    assert cut(text, len(text)) == [text.rstrip() or text]


def test_sentences_come_first_and_stay_apart() -> None:
    text = "It rains. Does it? Yes! He said: “Go.” Then he went."
    expected = ["It rains.", "Does it?", "Yes!", "He said: “Go.”", "Then he went."]
    assert cut(text, 40) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "Dr. Smith met Mr. Jones.",
        "J. R. R. Tolkien wrote it.",
        "Er kam am 3. Oktober an.",
        "Obst, z. B. Birnen.",
        "Obst, z.B. Birnen.",
        "He asked “why?” and left.",
        "It costs 3.50 euros.",
        "Well ... maybe.",
    ],
)
def test_a_full_stop_is_not_always_an_end(sentence: str) -> None:
    assert cut(f"{sentence} {sentence}", len(sentence) + 3) == [sentence, sentence]


@pytest.mark.parametrize(
    ("language", "text", "number"),
    [
        ("en", "I have 5. You have 12. He has 100.", 3),
        ("en", "It starts at 5 p.m. Bring food.", 2),
        ("en", "No. 5 is alive. No. He is not.", 3),
        ("en", "Gen. Powell met Gov. Brown at Mt. Vernon on Jan. 5.", 1),
        ("de", "Er kam am 3. Oktober an. Nr. 5 lebt.", 2),
        ("de", "Obst, z. B. Birnen, ca. 5 Kilo.", 1),
        ("fr", "Mme. Bovary a 5. Bien.", 2),
        ("es", "El Sr. Pérez tiene 5. La pág. 3 falta.", 2),
        ("fi", "Dr. Mlle. Gen. Powell am 3. Oktober.", 1),
        ("", "Dr. Mlle. Gen. Powell am 3. Oktober.", 1),
    ],
)
def test_each_language_has_its_abbreviations(language: str, text: str, number: int) -> None:
    assert len([*sentences(text, language)]) == number


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It is here.<It was there.", ["It is here.", "<It was there."]),
        ("“Here?”<<No.", ["“Here?”", "<<No."]),
        ("Here, <it is. <it is", ["Here, <it is. <it is"]),
        ("Dr.<Smith", ["Dr.<Smith"]),
        ("here.<", ["here.<"]),
    ],
)
def test_a_tag_behind_a_full_stop_ends_a_sentence(text: str, parts: list[str]) -> None:
    found = sentences(text.replace("<", INLINE_TAG), "en")
    assert [part.text for part in found] == [part.replace("<", INLINE_TAG) for part in parts]


def test_a_long_sentence_is_cut_at_clauses_that_are_put_together_again() -> None:
    text = "one two, three four, five six; seven eight"
    assert cut(text, 23) == ["one two, three four,", "five six; seven eight"]


def test_a_long_clause_is_cut_at_words() -> None:
    assert cut("one two three four five", 9) == ["one two", "three", "four five"]


def test_scripts_without_spaces_are_cut_at_their_own_marks() -> None:
    text = "私は学生です。彼は先生です。「はい。」と言った。"
    assert cut(text, 12) == ["私は学生です。", "彼は先生です。", "「はい。」", "と言った。"]


def test_a_long_word_is_cut_between_characters_and_keeps_its_marks() -> None:
    pieces = cut("e\u0301" * 50, 7)
    assert all(len(piece) <= 7 for piece in pieces)
    assert not any(unicodedata.combining(piece[0]) for piece in pieces)


def test_marks_alone_are_cut_too() -> None:
    assert all(len(piece) <= 5 for piece in cut("\u0301" * 40, 5))


@pytest.mark.parametrize("character", list(". 。\n\u0301,x"))
def test_a_hundred_thousand_of_the_same_are_no_trouble(character: str) -> None:
    text = character * 100_000
    assert "".join(p.text + p.separator for p in split(text, 500, len)) == text
