"""Numbers of a source against those of its translation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.text.numbers import (
    _WORDS,
    UNITS,
    NumberCheck,
    check_numbers,
    localised_amount,
    lost_units,
)

ANY = st.one_of(
    st.text(),
    st.text("0123٣४²½①Ⅷ十.,:' \u00a0’abm%-"),
    st.lists(st.sampled_from(["3", "3.50", "1,000", "٣", "x²", "12/31/2018", "p.m.", "17"])).map(
        " ".join
    ),
)


@given(ANY, ANY)
def test_no_text_is_trouble(source: str, text: str) -> None:
    checked = check_numbers(source, text)
    assert all(note.startswith("the number ") for note in checked.notes)
    assert checked.text == text or checked.notes
    assert len(checked.text.split()) >= 1 or not text.split()


@given(ANY)
def test_what_is_equal_is_left_as_it_is(text: str) -> None:
    assert check_numbers(text, text) == NumberCheck(text, ())
    assert check_numbers(text, text).text == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("It costs 3.50.", "Es kostet 3,50."),
        ("1,000,000 people", "1.000.000 Menschen"),
        ("1,000,000 people", "1 000 000 Menschen".replace(" ", "\u00a0")),
        ("on 12/31/2018", "am 31.12.2018"),
        ("at 10:30", "um 10.30 Uhr"),
        ("two dogs", "2 Hunde"),
        ("1,000,000 people", "1 000 000 personnes"),
        ("It is -5 degrees.", "Es ist −5 Grad."),
        ("It is -5 degrees.", "Es sind minus 5 Grad."),
        ("It is -5 degrees.", "5 Grad unter null"),
        ("pages 3-5", "Seiten 3–5"),
        ("1,234.50 dollars", "1.234,50 Dollar"),
        ("3 dogs", "drei Hunde"),
        ("at 3 p.m.", "um 15 Uhr"),
        ("x² and H₂O", "x² und H₂O"),
        ("He has 100.", "Er hat hundert."),
        ("He has 1,000.", "Tiene mil."),
    ],
)
def test_other_ways_to_write_it_are_no_loss(source: str, text: str) -> None:
    assert check_numbers(source, text) == NumberCheck(text, ())


@pytest.mark.parametrize(
    ("source", "text", "mended"),
    [
        ("It is 1,234 m.", "Es ist 1.324 m.", "Es ist 1.234 m."),
        ("from 14 to 27", "von 14 bis 72", "von 14 bis 27"),
        ("14 and 27", "14 und 14", "14 und 27"),
        ("14, 27 and 39", "41, 72 und 39", "14, 27 und 39"),
        ("5 of 5", "5 von 6", "5 von 5"),
        ("I am 37 years old.", "Ich bin 73 Jahre alt.", "Ich bin 37 Jahre alt."),
        ("I earn 3.5 dollars.", "Ich verdiene 35 Dollar.", "Ich verdiene 3,5 Dollar."),
        ("It costs 1.25.", "Es kostet 12,5.", "Es kostet 1,25."),
        ("at 10:30", "um 1030 Uhr", "um 10:30 Uhr"),
        ("1.2.3 The cat", "123 ist die Katze", "1.2.3 ist die Katze"),
        ("It is -5 degrees.", "Es ist 5 Grad.", "Es ist -5 Grad."),
        ("It is 1,234.50 m.", "Es ist 1.234,5 m.", "Es ist 1.234,50 m."),
    ],
)
def test_a_wrong_number_is_corrected_and_told(source: str, text: str, mended: str) -> None:
    checked = check_numbers(source, text, "de")
    assert checked.text == mended
    assert all("was corrected to" in note for note in checked.notes)
    assert len(checked.notes) == sum(
        a != b for a, b in zip(text.split(), mended.split(), strict=True)
    )


@pytest.mark.parametrize(
    ("text", "language", "told"),
    [
        ("Wir haben Hunde.", "de", True),
        ("Wir haben drei Hunde.", "de", False),
        ("Nous avons trois chiens.", "fr", False),
        ("Nous avons des chiens.", "fr", True),
        ("Es mi tercer perro.", "es", False),
        ("The Third Man", "en", False),
        ("Meillä on kolme koiraa.", "fi", False),
    ],
)
def test_a_small_number_may_be_a_word(text: str, language: str, told: bool) -> None:
    notes = check_numbers("3", text, language).notes
    assert bool(notes) == told
    assert notes == (("the number 3 is not in the translation",) if told else ())


def test_the_words_of_each_language_are_thirteen() -> None:
    assert {len(words.split()) for words in _WORDS.values()} == {13}


def test_a_lost_number_is_told() -> None:
    checked = check_numbers("In 1984 and 2019.", "Im Jahr 1984.")
    assert checked.text == "Im Jahr 1984."
    assert checked.notes == ("the number 2019 is not in the translation",)
    assert check_numbers("9" * 5000, "so").notes


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("On 5, 1989 it was 98.6.", "Im Jahr 1989 war es 989."),  # fewer: whose place is whose?
        ("14 cats and 27 dogs", "72 Hunde und 14 Katzen"),  # in another order
        ("3 dogs and 14 cats at 6 p.m.", "drei Hunde und 148 Katzen um 18"),
    ],
)
def test_nothing_is_mended_into_the_place_of_another_number(source: str, text: str) -> None:
    checked = check_numbers(source, text, "de", "en")
    assert checked.text == text
    assert checked.notes


@pytest.mark.parametrize(
    ("source", "text", "told"),
    [
        ("five", "55.", True),
        ("five", "5", False),
        ("fifty-five", "55", False),
        ("I am here.", "Ich bin 3 hier.", True),
        ("at noon", "um 12 Uhr", False),
    ],
)
def test_a_source_without_digits_gains_none_but_those_of_its_words(
    source: str, text: str, told: bool
) -> None:
    assert bool(check_numbers(source, text, "de", "en").notes) == told


@pytest.mark.parametrize(
    ("amount", "source", "target", "written"),
    [
        ("$204.72 USD", "en", "de", "$204,72 USD"),
        ("1,234.50 kg", "en", "fr", "1\u202f234,50 kg"),
        ("1,234 kg", "de", "en", "1.234 kg"),  # a decimal comma
        ("1,234 kg", "en", "de", "1.234 kg"),
        ("-5.5 °C", "en", "es", "-5,5 °C"),
        ("204.72 €", "en", "xx", "204.72 €"),
    ],
)
def test_an_amount_is_written_as_its_language_does(
    amount: str, source: str, target: str, written: str
) -> None:
    assert localised_amount(amount, target, source) == written


WRITTEN = {"v.chr": "v. Chr.", "av.j": "av. J.-C.", "a.c": "a. C."}
words = st.text(st.sampled_from("bkwxyz ,."), max_size=12)  # no unit has all of its letters here


@given(
    st.sampled_from(UNITS), st.data(), words, words, st.sampled_from(["3", "44", "2,200", "1.5"])
)
def test_a_unit_is_lost_where_no_language_has_it(
    unit: str, data: st.DataObject, before: str, behind: str, number: str
) -> None:
    forms = [WRITTEN.get(form, form) for form in unit.split()]
    word = data.draw(st.sampled_from([form for form in forms if form.strip("°$€£¥%")]))
    said = data.draw(st.sampled_from(forms))
    source = f"{before} {number} {word} {behind}"
    assert lost_units(source, f"{before} {number} {said} {behind}") == []
    assert lost_units(source, f"{before} {number} {behind}") == [
        word.rstrip(".").removesuffix(".-C")
    ]


@pytest.mark.parametrize(
    ("source", "text", "lost"),
    [
        ("In 2019 there were 2,200,112 tons.", "2019 waren es 2.200.112.", ["tons"]),
        ("It was 12 pounds and 50 pence.", "Es waren zwölf Pfund und 50.", ["pence"]),
        ("He was born in 44 BC.", "Er wurde 44 geboren.", ["BC"]),
        ("He was born in 44 BC.", "Er wurde 44 v. Chr. geboren.", []),
        ("a 100-meter dash, 5%, 3 dogs", "un 100 mètres, 5, 3 chiens", []),
        ("Give me 300 dollars.", "Gib mir 300 $.", []),
        ("a hundred dollars", "hundert", []),
    ],
)
def test_a_unit_behind_a_number_is_looked_for(source: str, text: str, lost: list[str]) -> None:
    assert lost_units(source, text) == lost


@pytest.mark.parametrize(
    ("source", "text"),
    [("À 18h30", "At 18:30"), ("De 9h05 à 10h", "From 9:05 to 10"), ("1 234,50", "1,234.50")],
)
def test_a_french_time_or_number_is_the_same_in_english_notation(source: str, text: str) -> None:
    assert check_numbers(source, text, "en", "fr") == NumberCheck(text, ())


def test_a_french_number_in_groups_is_written_with_its_fraction() -> None:
    assert localised_amount("1 234,50 €", "en", "fr") == "1,234.50 €"


@pytest.mark.parametrize("source", ["Il est 18h30.", "À 18h30, il dort.", "Il est 18h30"])
def test_a_french_time_is_the_same_with_a_colon_at_the_end_of_a_clause_too(source: str) -> None:
    assert check_numbers(source, "It is 18:30.", "en", "fr") == NumberCheck("It is 18:30.", ())
