"""A forced prefix: the translation begins with it, and the model goes on."""

import pytest
from helpers.commands import run
from helpers.engines import copying

from seq2seq import Router, Translator
from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.evaluation.scoring import score_translations

LINES = ["Where is the station?", "My brother has never seen this book.", "I lost my key."]


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator(DEFAULT_MODEL, threads=1)


def test_the_beginning_of_its_own_translation_changes_nothing(translator: Translator) -> None:
    for translation in translator.translate(LINES):
        words = translation.text.split()
        for number in range(1, len(words)):
            prefix = " ".join(words[:number])
            [prefixed] = translator.translate([translation.source], prefix=prefix)
            assert prefixed.text == translation.text
            assert prefixed.score == pytest.approx(translation.score, abs=1e-5)


@pytest.mark.parametrize("prefix", ["Wo", "Ich glaube,", "日本", "nein nein nein nein nein nein"])
def test_any_prefix_comes_first_and_counts_in_the_score(
    translator: Translator, prefix: str
) -> None:
    for translation in translator.translate(LINES, prefix=prefix):
        assert translation.text.startswith(prefix)
        [part] = translation.parts
        assert part.hypothesis is not None
        ids = tuple(translator.tokenizer.encode([translation.text])[0])
        if part.hypothesis.ids == ids:  # not where the model puts words together otherwise
            pair = translation.source, translation.text
            [scored] = score_translations(translator, [pair], translator.direction)
            assert translation.score == pytest.approx(scored.score, abs=1e-5)


def test_the_first_sentence_that_is_translated_has_the_prefix(translator: Translator) -> None:
    [translation, number] = translator.translate(
        ["1234. Good morning! Where is the station?", "17"], prefix="Guten"
    )
    assert translation.text.startswith("1234. Guten Morgen! Wo")
    assert number.text == "17"


def test_spans_and_terms_come_up_behind_the_prefix(translator: Translator) -> None:
    [translation] = translator.translate(["I have <b>never</b> seen {city}."], prefix="Ich sah")
    assert translation.text.startswith("Ich sah")
    assert translation.text.count("{city}") == translation.text.count("<b>") == 1


def test_another_script_is_no_reason_to_search_again() -> None:
    [translation] = copying().translate(["kalo"], prefix="ka ka ka ka ka ka")
    assert translation.text.startswith("ka ka ka ka ka ka")


def test_pivot_translation_has_the_prefix_in_its_last_step() -> None:
    [translation] = Router().translate(
        ["Wo ist der Bahnhof?"], source="de", target="fr", prefix="Savez-vous"
    )
    assert translation.text.startswith("Savez-vous")


def test_the_command_takes_a_prefix() -> None:
    done = run("--prefix", "Wo befindet sich", "Where is the station?")
    assert (done.returncode, done.stdout) == (0, "Wo befindet sich der Bahnhof?\n")
