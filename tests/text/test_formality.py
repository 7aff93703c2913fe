"""Forms of address: told by the pronouns of the target, asked for by a tag."""

import pytest
from helpers.corpora import make_sentences

from seq2seq.config.recipe import TokenizerConfig
from seq2seq.errors import Seq2SeqError
from seq2seq.text.alignment import word_numbers
from seq2seq.text.formality import Formality, formality_of
from seq2seq.tokenizer import Tokenizer
from seq2seq.translation.preprocess import Preprocessor


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("de", "Wie geht es Ihnen?", "formal"),
        ("de", "Können Sie Ihre Adresse nennen?", "formal"),
        ("de", "Wie geht es dir?", "informal"),
        ("de", "Du hast deinen Schlüssel vergessen.", "informal"),
        ("de", "Sie ist müde.", None),  # she
        ("de", "Kommt sie? Sie kommt.", None),  # she, at the start of the second sentence
        ("de", "Das Haus ist alt.", None),
        ("de", "Wenn Sie kommen, sage ich es dir.", None),  # both
        ("de", "Der Druide und die Dirne", None),  # no whole words
        ("fr", "Comment allez-vous ?", "formal"),
        ("fr", "Où est ton frère ?", "informal"),
        ("fr", "Je t’aime.", "informal"),
        ("fr", "A-t-il faim ?", None),
        ("fr", "Le train est parti.", None),
        ("es", "¿Cómo está usted?", "formal"),
        ("es", "Pregunte a Ud. mismo.", "formal"),
        ("es", "¿Dónde está tu hermano?", "informal"),
        ("es", "El tren ha salido.", None),
        ("de-AT", "Wie geht es Ihnen?", "formal"),
        ("it", "Come sta Lei?", None),  # a language without a table
    ],
)
def test_the_form_of_address_is_told_by_whole_pronouns(
    language: str, text: str, expected: str | None
) -> None:
    assert formality_of(text, language) == expected


@pytest.fixture(scope="module")
def polite() -> Tokenizer:
    """A tokenizer with tags for the forms of address."""
    config = TokenizerConfig(vocabulary_size=420)
    return Tokenizer.train(make_sentences(300, 1), config, ["en", "de"], formality=True)


def read(tokenizer: Tokenizer, target: str, formality: Formality | None, text: str) -> list[str]:
    preprocessor = Preprocessor(tokenizer, "en", target, 100, None, None, formality)
    [segment] = preprocessor.preprocess(text, "line")
    return tokenizer.pieces(segment.ids)


@pytest.mark.parametrize("text", ["katola", "katola {name} lopa"])
def test_the_tag_of_a_form_of_address_stands_behind_that_of_the_language(
    polite: Tokenizer, text: str
) -> None:
    plain = read(polite, "de", None, text)
    assert read(polite, "de", "formal", text) == [plain[0], "<formal>", *plain[1:]]
    assert read(polite, "de", "informal", text) == [plain[0], "<informal>", *plain[1:]]


def test_no_form_is_asked_for_where_the_target_language_has_none(polite: Tokenizer) -> None:
    assert read(polite, "en", "formal", "katola") == read(polite, "en", None, "katola")


def test_a_model_that_has_not_learnt_the_forms_says_so(tokenizer: Tokenizer) -> None:
    with pytest.raises(Seq2SeqError, match="not trained to choose between formal and informal"):
        read(tokenizer, "de", "formal", "katola")


def test_tags_are_of_no_word(polite: Tokenizer) -> None:
    assert word_numbers(read(polite, "de", "formal", "katola lopa"))[:2] == [-1, -1]
