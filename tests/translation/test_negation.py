"""A negation on one side alone is told, and lowers the confidence."""

from collections.abc import Callable

import pytest
from helpers import tiny
from helpers.engines import GREEDY, ScriptEngine, ScriptState, spelled
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.confidence import Calibration
from seq2seq.config.model_config import SearchConfig
from seq2seq.search.engine_protocol import Ints, Step
from seq2seq.translation.hypothesis_checks import negation_differs
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


CLAIMS = {
    "en": ["I know him.", "She can swim.", "We have milk.", "Somebody came.", "He works here.",
           "You should go.", "They saw it.", "It was cheap."],
    "de": ["Ich kenne ihn.", "Sie kann schwimmen.", "Wir haben Milch.", "Jemand kam.",
           "Er arbeitet hier.", "Du solltest gehen.", "Sie haben es gesehen.", "Es war billig."],
    "fr": ["Je le connais.", "Elle sait nager.", "Nous avons du lait.", "Quelqu'un est venu.",
           "Il travaille ici.", "Tu devrais partir.", "Ils l'ont vu.", "C'était bon marché."],
    "es": ["Lo conozco.", "Ella sabe nadar.", "Tenemos leche.", "Alguien vino.",
           "Él trabaja aquí.", "Deberías irte.", "Lo vieron.", "Era barato."],
}  # fmt: skip
DENIALS = {
    "en": ["I don't know him.", "She cannot swim.", "We have no milk.", "Nobody came.",
           "He never works here.", "You shouldn't go.", "They saw nothing.", "It wasn't cheap."],
    "de": ["Ich kenne ihn nicht.", "Sie kann nicht schwimmen.", "Wir haben keine Milch.",
           "Niemand kam.", "Er arbeitet nie hier.", "Du solltest nicht gehen.",
           "Sie haben nichts gesehen.", "Es war nicht billig."],
    "fr": ["Je ne le connais pas.", "Elle ne sait pas nager.", "Nous n'avons pas de lait.",
           "Personne n'est venu.", "Il ne travaille jamais ici.", "Tu ne devrais pas partir.",
           "Ils n'ont rien vu.", "Ce n'était pas bon marché."],
    "es": ["No lo conozco.", "Ella no sabe nadar.", "No tenemos leche.", "Nadie vino.",
           "Él nunca trabaja aquí.", "No deberías irte.", "No vieron nada.", "No era barato."],
}  # fmt: skip
WRITTEN = st.sampled_from(
    [
        str,
        str.upper,
        str.lower,
        str.title,
        lambda text: text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}"),
    ]
)


@given(st.permutations(["de", "en", "es", "fr"]), st.integers(0, 7), WRITTEN, WRITTEN)
def test_a_claim_differs_from_its_denial_however_both_are_written(
    languages: list[str], number: int, first: Callable[[str], str], second: Callable[[str], str]
) -> None:
    source, target, *_ = languages
    claim, denial = first(CLAIMS[source][number]), first(DENIALS[source][number])
    its_claim, its_denial = second(CLAIMS[target][number]), second(DENIALS[target][number])
    assert negation_differs(claim, its_denial, source, target)
    assert negation_differs(denial, its_claim, source, target)
    assert not negation_differs(claim, its_claim, source, target)
    assert not negation_differs(denial, its_denial, source, target)


@pytest.mark.parametrize(
    "denial", ["Je ne l'ai jamais vue.", "Il n’a vu personne.", "Il ne la voit plus."]
)
def test_french_words_are_negations_after_ne(denial: str) -> None:
    assert negation_differs("I saw her.", denial, "en", "fr")
    assert negation_differs(denial, "I saw her.", "fr", "en")


@pytest.mark.parametrize("claim", ["Une personne est venue.", "Il est plus grand que moi."])
def test_french_words_are_no_negations_without_ne(claim: str) -> None:
    assert not negation_differs("I saw her.", claim, "en", "fr")
    assert not negation_differs(claim, "I saw her.", "fr", "en")


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
