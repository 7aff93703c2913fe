"""What a reviewer checks: findings in translations."""

import pytest

from seq2seq.documents import json_document, markdown_document
from seq2seq.documents.document import Document, TextUnit
from seq2seq.errors import Seq2SeqError
from seq2seq.text.glossary import Glossary, Term
from seq2seq.translation.review_checks import CHECKS, NAMES, Reviewer, with_sources

_REVIEWER = Reviewer("en", "de", Glossary([Term("station", "Bahnhof"), Term("big house", "Haus")]))


def findings(text: str, translation: str, max_length: int | None = None) -> list[tuple[str, str]]:
    unit = TextUnit(text=text, translation=translation, max_length=max_length)
    return [(finding.check, finding.message) for finding in _REVIEWER.review([unit])]


@pytest.mark.parametrize(
    ("text", "translation", "check", "message"),
    [
        ("a cat", " ", "untranslated", "there is no translation"),
        ("My cat", "my  cat", "unchanged", "it is the source"),
        ("3 cats", "4 Katzen", "numbers", "the number 4 should be 3"),
        ("31 cats", "Katzen", "numbers", "the number 31 is not in the translation"),
        ("a cat", "99 Katzen", "numbers", "the number 99 is not in the source"),
        ("%s cats", "Katzen", "placeholders", "%s is missing"),
        ("{n} cats", "{m} Katzen {n}", "placeholders", "{m} is not in the source"),
        ("run `ls`", "führe `la` aus", "placeholders", "`ls` is missing"),
        ("a <b>cat</b>", "eine <b>Katze", "tags", "</b> is missing"),
        ("see https://a.org now", "siehe jetzt", "links", "the source has 1 links"),
        ("the station", "die Haltestelle", "terms", '"station" should be "Bahnhof"'),
        ("a cat.", "eine Katze", "punctuation", 'ends with ".", the translation without'),
        ("a cat", "eine Katze!", "punctuation", 'without a mark, the translation with "!"'),
        ("a (cat)", "eine (Katze", "punctuation", "lost its other half"),
        ("a cat", "eine  Katze", "spaces", "two spaces"),
        ("a cat", "Katze Katze Katze Katze Katze", "repetition", "repeats itself"),
    ],
)
def test_a_finding_has_its_check_and_its_message(
    text: str, translation: str, check: str, message: str
) -> None:
    found = findings(text, translation)
    assert check in [name for name, _ in found]
    assert any(message in each for name, each in found if name == check)


@pytest.mark.parametrize(
    ("text", "translation"),
    [
        ("A cat.", "Eine Katze."),
        ("12", ""),
        ("OK", "OK"),
        ("https://a.org", "https://a.org"),
        ("%1$s has %2$s", "%2$s hat %1$s"),
        ("1,234.5 cats", "1.234,5 Katzen"),
        ("Done...", "Fertig…"),
        ("Done.", "完成。"),
        ("Is it <b>so?</b>", "Ist es <b>so?</b>"),
        ('He said "yes".', "Er sagte „ja“."),
        ("two stations", "zwei Bahnhöfen"),
        ("three dogs", "3 Hunde"),
        ("a  b cat", "eine  b Katze"),
        ("{n, plural, one {a cat} other {cats}}", "{n, plural, one {Katze} other {Katzen}}"),
        ('<a href="/en">a cat</a>', '<a href="/de">Katze</a>'),
    ],
)
def test_a_good_translation_has_no_finding(text: str, translation: str) -> None:
    assert findings(text, translation) == []


def test_a_translation_beyond_its_limit_is_found() -> None:
    assert findings("a cat", "eine Katze", 9) == [
        ("length", "it has 10 characters, and no more than 9 are allowed")
    ]


def test_a_source_with_two_translations_is_found_but_not_its_plural_forms() -> None:
    def unit(translation: str, context: str) -> TextUnit:
        return TextUnit(text="files", translation=translation, context=context)

    units = [unit("Dateien", "line 1"), unit("Datei", "line 1"), unit("Akten", "line 9")]
    (finding,) = Reviewer().review(units)
    assert (finding.check, finding.unit) == ("inconsistent", units[2])
    assert finding.message == '"Dateien" is what line 1 has'
    assert not [*Reviewer().review([units[0], unit("Akten", "line 9, 'menu'"), units[1]])]


def test_all_checks_have_names() -> None:
    assert {*CHECKS} < {*NAMES}


def test_a_translation_is_matched_with_its_source_by_keys() -> None:
    source = b'{"en": {"a": "one", "b": ["two"], "c": "three"}}'
    translation = b'{"de": {"c": "drei", "a": "eins", "x": "y"}}'
    units = with_sources(
        json_document.read(translation, "de", ""), json_document.read(source, "en", "")
    )
    assert [(unit.text, unit.translation) for unit in units] == [
        ("one", "eins"),
        ("two", ""),
        ("three", "drei"),
    ]


def test_a_translation_without_keys_is_matched_in_order() -> None:
    def read(text: bytes) -> Document:
        return markdown_document.read(text, "en", "")

    units = with_sources(read(b"# eins\n\nzwei"), read(b"# one\n\n\ntwo"))
    assert [unit.translation for unit in units] == ["eins", "zwei"]
    with pytest.raises(Seq2SeqError, match="has 1 texts, and its source 2"):
        with_sources(read(b"eins"), read(b"one\n\ntwo"))
