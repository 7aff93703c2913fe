"""A negation on one side alone is told, and lowers the confidence."""

import pytest
import tiny
from hostile_engines import GREEDY, ScriptEngine, spelled

from seq2seq.confidence import Calibration
from seq2seq.text.negation import is_contrary
from seq2seq.translator import Translator


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("I disagree with you.", "Ich stimme dir zu."),
        ("I never said that.", "Das habe ich gesagt."),
        ("I'm here.", "Ich bin nicht hier."),
        ("Neither of us came.", "Wir kamen."),
    ],
)
def test_a_negation_on_one_side_alone_is_contrary(source: str, text: str) -> None:
    assert is_contrary(source, text, "en", "de")
    assert is_contrary(text, source, "de", "en")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("I don't know our uncle.", "Ich kenne unseren Onkel nicht."),
        ("You are rich, aren't you?", "Du bist reich, oder?"),
        ("We live under the roof.", "Wir wohnen unter dem Dach."),
        ("He is impolite.", "Er ist unfreundlich."),
    ],
)
def test_a_negation_on_both_sides_or_on_none_is_not(source: str, text: str) -> None:
    assert not is_contrary(source, text, "en", "de")


def test_of_other_languages_nothing_is_known() -> None:
    assert not is_contrary("I never said that.", "sanoin sen", "en", "fi")


def test_it_is_told_and_halves_the_confidence() -> None:
    calibration = Calibration(tiny.EN_DE, (-3.0, 0.0), (0.8, 0.8))
    tokenizer = tiny.tokenizer()
    engine = ScriptEngine(len(tokenizer), spelled(tokenizer, "kalo nicht"))
    translator = Translator.over(engine, tokenizer, [tiny.EN_DE], GREEDY, [calibration])
    [same, contrary] = translator.translate(["not kalo wog", "kalo wog"])
    assert (same.confidence, contrary.confidence) == (0.8, 0.4)
    assert contrary.notes == ("a negation is in the source or in the translation alone",)
