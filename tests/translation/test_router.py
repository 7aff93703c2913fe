"""Which model a text is for where its language is identified, and what the options may do there."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers.corpora import make_sentences
from helpers.engines import CopyEngine

from seq2seq import Glossary, Router, Term, Translator, UsageError
from seq2seq.config.model_config import Direction, SearchConfig
from seq2seq.config.recipe import TokenizerConfig
from seq2seq.tokenizer import Tokenizer
from seq2seq.translation import router as router_module

GOLDEN = Path(__file__).parents[1] / "golden" / "int8"
GLOSSARY = Glossary([Term("kalo", "miren")])


class FirstWordIdentifier:
    """The first word of a text is its language, and "??" is none."""

    def identify_batch(self, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        return [self._identify((text.split() or [""])[0]) for text in texts]

    def _identify(self, word: str) -> list[tuple[str, float]]:
        others = [(code, 0.01) for code in ("de", "en", "es", "fr") if code != word]
        return others if word == "??" else [(word, 0.95), *others]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    languages = ["de", "en", "es", "fr"]
    return Tokenizer.train(make_sentences(400, 1), TokenizerConfig(vocabulary_size=480), languages)


@pytest.fixture
def models(tokenizer: Tokenizer) -> list[Translator]:
    """Two models that copy: between English and German, and between English and French."""
    return [
        Translator.over(
            CopyEngine(len(tokenizer)),
            tokenizer,
            [Direction(*name.split("-")) for name in names.split()],
            SearchConfig(beam_size=2),
        )
        for names in ("en-de de-en", "en-fr fr-en")
    ]


def notes(router: Router, text: str, **options: Glossary) -> tuple[str, ...]:
    [translation] = router.translate([text], **options)  # type: ignore[arg-type]
    assert translation.source == text
    return translation.notes


def test_each_text_takes_the_way_of_its_language(
    models: list[Translator], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "seq2seq")
    router = Router(models, source="AUTO", target="de", identifier=FirstWordIdentifier())
    texts = ["en kalo.", "fr kalo.", "", "de kalo.", "fr wog.", "17"]
    translations = [*router.translate_lines(texts)]
    assert [translation.source for translation in translations] == texts
    assert [translation.text for translation in translations] == texts  # they all copy
    assert [translation.notes for translation in translations] == [()] * 6
    assert caplog.messages == ["fr-de goes through en, since no model was trained for it."]


def test_a_text_that_no_model_translates_is_left_with_a_note(models: list[Translator]) -> None:
    router = Router(models, source="auto", target="de", identifier=FirstWordIdentifier())
    assert notes(router, "es kalo.") == ("left as it is: it is in 'es'",)
    assert notes(router, "?? kalo.") == ("left as it is: it is in no language that is known",)
    assert notes(router, "de kalo.") == ()  # is in the target language


def test_a_glossary_holds_where_one_step_is_enough(models: list[Translator]) -> None:
    router = Router(models, target="de", identifier=FirstWordIdentifier())
    [english, french] = router.translate(["en kalo.", "fr kalo."], source="auto", glossary=GLOSSARY)
    assert "miren" in english.text
    assert french.text == "fr kalo."
    assert french.notes == (
        "left as it is: it is in 'fr', and a glossary cannot be used with pivot translation",
    )
    with pytest.raises(UsageError, match=r"pivot translation \(fr-de goes through en\)"):
        router.translate(["kalo"], source="fr", glossary=GLOSSARY)


def test_options_that_do_not_fit_are_refused_before_a_text_is_read(
    models: list[Translator],
) -> None:
    for source in ("en", "auto"):
        with pytest.raises(UsageError, match="n-best 3 is more than the beam size 2"):
            Router(models).translate_lines(iter([]), source=source, n_best=3)


def test_codes_are_known_in_any_case_and_with_a_region(models: list[Translator]) -> None:
    route = Router(models).route("EN-gb", "FR")
    assert str(route.direction) == "en-fr"


def test_the_default_direction_loads_the_default_model_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[str] = []

    def load(model: Path, threads: int) -> Translator:
        loaded.append(model.name)
        return Translator(GOLDEN, 1)

    def directions_of(model: Path) -> tuple[Direction, ...]:
        assert model.name == "en-de.s2s"
        return read(model)

    read = router_module._directions_of
    monkeypatch.setattr(router_module, "Translator", load)
    monkeypatch.setattr(router_module, "_directions_of", directions_of)
    for source, target in ((None, None), ("en", "de"), ("en", None)):
        assert str(Router().route(source, target).direction) == "en-de"
    assert loaded == ["en-de.s2s"] * 3


def test_a_router_can_be_pickled() -> None:
    router = Router([GOLDEN], 1, target="de")
    text = ["the old man saw the dog"]
    again = pickle.loads(pickle.dumps(router))
    assert again.translate(text)[0].text == router.translate(text)[0].text
