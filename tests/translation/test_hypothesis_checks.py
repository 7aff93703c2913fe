"""A search that failed is repeated, and at last the source stands; it is always told."""

import re
from pathlib import Path

import pytest
from helpers import tiny
from helpers.engines import GREEDY, ScriptEngine, hostile, spelled, translator
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.confidence import Calibration
from seq2seq.config.model_config import SearchConfig
from seq2seq.translation.hypothesis_checks import failure, repeats_itself
from seq2seq.translation.postprocess import is_unbalanced
from seq2seq.translation.translator import Translator

NOT_FOUND = "no acceptable translation was found; the source text was kept"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Monday", "Montag Montag."),
        ("Monday", "Montag nächsten Montag."),
        ("Friday afternoon", "Freitag am Freitag, dem Freitag"),
        ("In the garden behind the house", "Im Garten hinter dem Haus hinter dem Haus."),
        ("Photo of the week", "Foto DER WOCHE der Woche"),
        ("Read this first", "Lies die U-Seter-Seter-Ster-Seter-Seter-"),
        ("It is high", "Es ist hoch--Motter-Hotter-Hottel."),
        ("Save", "Darfflölflflölflölflt"),
    ],
)
def test_what_the_source_says_once_is_not_said_again(source: str, text: str) -> None:
    assert repeats_itself(source, text)
    assert failure(source, text) == "repeats itself"
    assert not repeats_itself(text, text)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("We get up.", "Nous nous levons."),
        ("I think that he saw her.", "Ich denke, dass sie sie sah."),
        ("What happened?", "Qu'est-ce qui s'est passé ?"),
        ("very, very good", "sehr, sehr gut"),
        ("Bora Bora", "Bora Bora"),
        ("again and again", "immer und immer wieder"),
        ("谢谢你们的帮助", "Thank you for the help that the others and the children needed"),
        ("The captain of the steamship company", "Der Donaudampfschifffahrtskapitän"),
        ("the dog and the cat and the bird", "der Hund und die Katze und der Vogel"),
    ],
)
def test_what_a_language_repeats_by_itself_is_no_loop(source: str, text: str) -> None:
    assert not repeats_itself(source, text)


def test_nothing_but_marks_is_no_translation_of_words() -> None:
    assert failure("yes", ".") == "has no letters"
    assert failure("5 %", "5") is None


def test_words_between_two_placeholders_do_not_go() -> None:
    first, second = "\U000f0000", "\U000f0000"
    reason = "has no words between placeholders"
    assert failure(f"From {first} to {second}", f"{first}, {second} kalo") == reason
    assert failure(f"From {first} to {second}", f"Von {first} zu {second}") is None
    assert failure(f"{first}, {second} kalo", f"kalo {first}, {second}") is None


def engine_saying(text: str) -> ScriptEngine:
    tokenizer = tiny.tokenizer()
    return ScriptEngine(len(tokenizer), spelled(tokenizer, text))


@pytest.mark.parametrize("said", [".", "", "55."])
def test_where_nothing_was_said_another_search_says_something(said: str) -> None:
    [translation] = translator(engine_saying(said)).translate(["kalo"])
    assert any(map(str.isalpha, translation.text))
    assert "searched again, since the first translation has no letters" in translation.notes


@pytest.mark.parametrize("name", hostile())
def test_whatever_a_model_says_a_word_is_never_lost_or_said_twice(name: str) -> None:
    for source in ("kalo", "Kalo", "wog elbo", "KALO!"):
        [translation] = hostile()[name].translate([source])
        assert any(map(str.isalpha, translation.text))
        assert not repeats_itself(source, translation.text)


def test_at_last_the_source_stands_with_no_confidence_at_all() -> None:
    calibration = Calibration(tiny.EN_DE, (-3.0, 0.0), (0.3, 0.9))
    tokenizer = tiny.tokenizer()
    [word] = tokenizer.encode(["kalo wog elbo"])
    endless = ScriptEngine(len(tokenizer), word, for_ever=True)
    stubborn = Translator.over(endless, tokenizer, [tiny.EN_DE], GREEDY, [calibration])
    [translation] = stubborn.translate(["sta ren <b>ku</b>"])
    assert translation.text == "sta ren <b>ku</b>"
    assert NOT_FOUND in translation.notes
    assert translation.confidence == 0
    assert stubborn.translate(["sta ren"], min_confidence=0.1)[0].text == "⟦sta ren⟧"


def test_without_the_guard_the_model_is_heard_as_it_is() -> None:
    [translation] = translator(engine_saying(".")).translate(["kalo"], guard=False)
    assert (translation.text, translation.notes) == (".", ())


def test_a_failed_hypothesis_is_no_candidate() -> None:
    tokenizer = tiny.tokenizer()
    [ids] = tokenizer.encode(["kalo"])
    found = translator(ScriptEngine(len(tokenizer), ids), SearchConfig(beam_size=4))
    [translation] = found.translate(["wog elbo"], n_best=4)
    assert "wog elbo" not in [one.text for one in translation.candidates]
    [translation] = found.translate(["wog elbo"], n_best=4, guard=False)
    assert "wog elbo" in [one.text for one in translation.candidates]  # nothing was said


def test_a_fragment_gets_no_full_stop() -> None:
    says_stop = translator(engine_saying("kalo."))
    texts = [one.text for one in says_stop.translate(["wog", "wog.", "wog!", "sta wog"])]
    assert texts == ["kalo", "kalo.", "kalo.", "kalo"]


@pytest.mark.stress
def test_a_thousand_words_each_alone() -> None:
    sample = Path(__file__).parents[2] / "data" / "sample" / "train.en"
    found = [*dict.fromkeys(re.findall(r"[^\W\d_]+", sample.read_text(encoding="utf-8").lower()))]
    words = [*found, *map(str.capitalize, found), *map(str.upper, found)][:1000]
    shipped = Translator(threads=1)
    assert len(words) == 1000
    silent = twice = 0
    for one in shipped.translate(words):
        said = re.findall(r"\w+", one.text.lower())
        silent += not any(map(str.isalpha, one.text))
        twice += len(said) > len(set(said))
    print(f"{len(words)} words; {silent} without a letter, {twice} said twice")
    assert (silent, twice) == (0, 0)


@pytest.mark.parametrize(
    ("source", "said", "written"),
    [
        ("Kalo miren", "kalo wog.", "kalo wog"),
        ("Kalo miren", "kalo wog!", "kalo wog"),
        ("Kalo miren,", "kalo wog.", "kalo wog"),
        ("Kalo miren", "¿kalo wog?", "kalo wog"),
        ("Kalo (miren)", "kalo (wog).", "kalo (wog)"),
        ("Kalo miren.", "kalo wog.", "kalo wog."),
        ("“Kalo miren?”", "kalo wog?", "kalo wog?"),
    ],
)
def test_a_text_without_an_end_gets_none(source: str, said: str, written: str) -> None:
    [translation] = translator(engine_saying(said)).translate([source])
    assert translation.text == written


@given(st.text(st.sampled_from('ab ()[]{}"„“”«»'), max_size=12))
def test_a_mark_taken_out_of_a_balanced_text_is_missed(text: str) -> None:
    if is_unbalanced(text):
        return
    for place, mark in enumerate(text):
        rest = text[:place] + text[place + 1 :]
        assert is_unbalanced(rest) == (mark not in "ab ")


def test_a_placeholder_that_the_source_lacks_is_a_failure() -> None:
    reason = "has a placeholder that the source lacks"
    assert failure("the percent-operator", "der %spoloror") == reason
    assert failure("the name", "der {name}") == reason
    assert failure("a 20% solution", "eine 20%ige Lösung") is None
    assert failure("a 20 % solution", "eine 20 %ige Lösung") is None
    assert failure("use %s here", "hier %s verwenden") is None


@pytest.mark.parametrize(
    ("text", "expected"), [('« Oui," dit-il.', True), ("« Oui », dit-il.", False), ("»Ja«", False)]
)
def test_a_quotation_mark_of_another_kind_is_no_other_half(text: str, expected: bool) -> None:
    assert is_unbalanced(text) is expected
