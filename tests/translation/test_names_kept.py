"""Names that a model has not learnt come through; words that it knows are translated."""

import pytest

from seq2seq.bundled import bundled_model
from seq2seq.translation.translator import Translator

pytestmark = pytest.mark.slow

_NOTE = "searched again, since the first translation changes a name"


@pytest.fixture(scope="module")
def many() -> Translator:
    return Translator(bundled_model("en", "fr"), threads=1)


@pytest.mark.parametrize("target", ["de", "fr", "es"])
@pytest.mark.parametrize("name", ["Hutchinson", "Thistlethwaite", "Goldsworthy", "Ramanujan"])
def test_a_name_that_the_model_changes_is_searched_again_and_kept(
    many: Translator, name: str, target: str
) -> None:
    sentence = f"Did {name} call you last night?"

    [translation] = many.translate([sentence], source="en", target=target)

    assert name in translation.text
    assert not set(translation.notes) - {_NOTE}


@pytest.mark.parametrize(
    ("source", "text", "word"),
    [
        ("fr", "Je veux vivre en Italie.", "Italy"),
        ("fr", "Je pense que Tom et Mary sont Canadiens.", "Canadians"),
        ("es", "Nunca he estado en España.", "Spain"),
        ("es", "Tom está leyendo la Biblia.", "Bible"),
        ("de", "Der Bahnhof ist neben dem Supermarkt.", "station"),
    ],
)
def test_a_word_that_the_model_knows_is_translated_though_it_has_a_capital(
    many: Translator, source: str, text: str, word: str
) -> None:
    [translation] = many.translate([text], source=source, target="en")

    assert word in translation.text
    assert _NOTE not in translation.notes


def test_without_the_guard_a_name_is_as_the_model_says_it(many: Translator) -> None:
    sentence = "Did Hutchinson call you last night?"

    [translation] = many.translate([sentence], source="en", target="de", guard=False)

    assert translation.notes == ()


def test_a_name_keeps_its_tags(many: Translator) -> None:
    sentence = "Did <b>Hutchinson</b> call you last night?"

    [translation] = many.translate([sentence], source="en", target="de")

    assert "<b>Hutchinson</b>" in translation.text
