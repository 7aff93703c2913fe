"""Which texts have words: the quick look at their beginning finds no others than the long one."""

import pytest

from seq2seq.documents.spliced_document import has_words
from seq2seq.text.masking import mask
from seq2seq.text.protected_spans import KINDS

SPANS = [example for kind in KINDS for example in (*kind.examples, *kind.others)]


@pytest.mark.parametrize("span", SPANS)
def test_a_text_that_begins_with_a_span_has_words_if_letters_are_outside(span: str) -> None:
    for text in (span, f"{span} kalo", f"Kalo wog {span}", f"{span}, 12"):
        has_format_of_date = "%d" in text or "%b" in text
        assert has_format_of_date or has_words(text) is any(map(str.isalpha, mask(text).text))


@pytest.mark.parametrize("text", ["EUR 20", "`the red dog`", "https://example.org", "%d %B", "12"])
def test_what_is_never_translated_has_no_words(text: str) -> None:
    assert not has_words(text)
