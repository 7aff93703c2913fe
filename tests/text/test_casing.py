"""Text in capitals is read as ordinary text and comes back in capitals."""

import pytest
from helpers.engines import copying, hostile
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.text.casing import is_all_caps, is_title_case, sentence_case, with_known_words


@pytest.mark.parametrize(
    "text", ["THE BIG DOG", "STOP!", "ÜBER ALLE 3 MASSE.", "ΠΟΥ ΕΙΝΑΙ;", "GO NOW", "ACHTUNG! "]
)
def test_text_of_capitals_is_all_caps(text: str) -> None:
    assert is_all_caps(text)


@pytest.mark.parametrize(
    "text",
    ["NASA", "UNESCO.", "USA!", "A B C", "The NASA", "駅はどこ", "", "123 !", "UN-EU 4", "I AM so"],
)
def test_abbreviations_and_mixed_case_are_not_all_caps(text: str) -> None:
    assert not is_all_caps(text)


@given(st.text())
def test_text_in_sentence_case_is_the_same_but_for_case(text: str) -> None:
    assert sentence_case(text).casefold() == text.lower().casefold()
    assert not is_all_caps(sentence_case(text.upper()))


@pytest.mark.parametrize("text", ["THE DOG SEES {x}.", "<b>STOP!</b>", "WO SIND ÄPFEL, STRASSE?"])
def test_capitals_come_back(text: str) -> None:
    [translation] = copying().translate([text])
    assert translation.text == text
    part = next(part for part in translation.parts if part.hypothesis)
    read = copying().tokenizer.decode(part.source_ids)
    assert sum(map(str.isupper, read)) <= 1
    for translator in hostile().values():
        [translation] = translator.translate([text])
        assert translation.text.replace("{x}", "").replace("b>", "").upper() in (
            translation.text.replace("{x}", "").replace("b>", "")
        )


def test_each_sentence_for_itself() -> None:
    text = "THE DOG SEES! The NASA sees. NASA. {x}"
    [translation] = copying().translate([text], unit="sentence")
    assert translation.text == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where is the STATION?", "Where is the station?"),
        ("ÜBERALL (STATION) ist es", "überall (station) ist es"),
        ("the NASA, UNESCO and WHO", "the NASA, UNESCO and WHO"),
        ("STATION2 and PRE_STATION", "STATION2 and PRE_STATION"),
        ("Station", "Station"),
    ],
)
def test_a_word_in_capitals_is_read_small_where_the_model_knows_it_only_so(
    text: str, expected: str
) -> None:
    known = {"station", "überall", "who", "nasa", "NASA"}
    assert with_known_words(text, lambda word: 1 if word in known else 5) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please Read The Instructions Before Use", True),
        ("“The Lord Of The Rings”", True),
        ("Where is the Station?", False),
        ("Tom Smith Mary Jones", False),  # names
        ("Der Hund sieht den Mann", False),
        ("The End Of", False),
        ("", False),
    ],
)
def test_a_headline_in_title_case_is_told_by_a_short_word_with_a_capital(
    text: str, expected: bool
) -> None:
    assert is_title_case(text) == expected
