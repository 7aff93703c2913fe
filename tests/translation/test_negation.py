"""A negation on one side alone is told, and lowers the confidence."""

import pytest
from helpers import tiny
from helpers.engines import GREEDY, ScriptEngine, ScriptState, spelled

from seq2seq.confidence import Calibration
from seq2seq.config.model_config import SearchConfig
from seq2seq.search.engine import Ints, Step
from seq2seq.translation.checks import negation_differs
from seq2seq.translation.translator import Translator


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("I disagree with you.", "Ich stimme dir zu."),
        ("I never said that.", "Das habe ich gesagt."),
        ("I'm here.", "Ich bin nicht hier."),
        ("Neither of us came.", "Wir kamen."),
    ],
)
def test_a_negation_on_one_side_alone_negation_differs(source: str, text: str) -> None:
    assert negation_differs(source, text, "en", "de")
    assert negation_differs(text, source, "de", "en")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("I don't know our uncle.", "Ich kenne unseren Onkel nicht."),
        ("You are rich, aren't you?", "Du bist reich, oder?"),
        ("We live under the roof.", "Wir wohnen unter dem Dach."),
        ("He is impolite.", "Er ist unfreundlich."),
        ("I am unhappy.", "Ich bin nicht froh."),
        ("I don't care.", "Es ist mir egal."),
    ],
)
def test_a_negation_on_both_sides_or_on_none_is_not(source: str, text: str) -> None:
    assert not negation_differs(source, text, "en", "de")
    assert not negation_differs(text, source, "de", "en")


@pytest.mark.parametrize(
    ("source", "text", "target"),
    [
        ("Two cars were in an accident.", "Zwei Autos waren in einen Unfall verwickelt.", "de"),
        ("We were wrong.", "Wir haben unrecht.", "de"),
        ("Music is a universal language.", "Musik ist eine Weltsprache.", "de"),
        ("Have you ever been there?", "Avez-vous jamais été là ?", "fr"),
        ("I only did my duty.", "Je n'ai fait que mon devoir.", "fr"),
    ],
)
def test_a_word_that_one_language_alone_negates_is_no_difference(
    source: str, text: str, target: str
) -> None:
    assert not negation_differs(source, text, "en", target)
    assert not negation_differs(text, source, target, "en")


def test_french_never_is_a_negation() -> None:
    assert negation_differs("I saw her.", "Je ne l'ai jamais vue.", "en", "fr")
    assert negation_differs("Il n'a jamais dit ça.", "He said that.", "fr", "en")


def test_of_other_languages_nothing_is_known() -> None:
    assert not negation_differs("I never said that.", "sanoin sen", "en", "fi")


KALO_DIE, KALO_NIE = tiny.tokenizer().encode(["kalo die", "kalo nie"])


class UndecidedEngine(ScriptEngine):
    """Says `kalo die`, or nearly as gladly `kalo nie`."""

    def decode_step(self, state: ScriptState, tokens: Ints) -> Step[ScriptState]:
        step = super().decode_step(state, tokens)
        for said, log_prob in ((KALO_DIE, -0.5), (KALO_NIE, -1.0)):
            if state.position == 3:
                step.log_probs[:, said[3]] = log_prob
        return step


@pytest.mark.parametrize("n_best", [1, 2])
def test_another_hypothesis_that_keeps_it_is_preferred(n_best: int) -> None:
    tokenizer = tiny.tokenizer()
    engine = UndecidedEngine(len(tokenizer), KALO_DIE)
    translator = Translator.over(engine, tokenizer, [tiny.EN_DE], SearchConfig(3))
    said = [one.text for one in translator.translate(["they never wog", "they wog"], n_best=n_best)]
    assert said == ["kalo nie", "kalo die"]
    [unguarded] = translator.translate(["they never wog"], n_best=n_best, guard=False)
    assert unguarded.text == "kalo die"


def test_it_is_told_and_halves_the_confidence() -> None:
    calibration = Calibration(tiny.EN_DE, (-3.0, 0.0), (0.8, 0.8))
    tokenizer = tiny.tokenizer()
    engine = ScriptEngine(len(tokenizer), spelled(tokenizer, "kalo nicht"))
    translator = Translator.over(engine, tokenizer, [tiny.EN_DE], GREEDY, [calibration])
    [same, contrary] = translator.translate(["not kalo wog", "kalo wog"])
    assert (same.confidence, contrary.confidence) == (0.8, 0.4)
    assert contrary.notes == ("only the source or only the translation is negated",)
