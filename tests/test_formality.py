"""Forms of address: told by the pronouns of the target."""

import pytest

from seq2seq.text.formality import formality_of


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
