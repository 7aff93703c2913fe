"""Formats of documents, by the name of a file and by their own."""

from importlib import import_module
from pathlib import Path

import pytest

from seq2seq.documents.formats import FORMATS, Format, format_named, format_of, open_document
from seq2seq.errors import UsageError


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_each_format_has_a_reader(form: Format) -> None:
    assert callable(import_module(f"seq2seq.documents.{form.module}").read)
    assert format_named(form.name) is form
    for suffix in form.suffixes:
        assert format_of(Path(f"a/B{suffix.upper()}")) is form


def test_no_two_formats_have_a_name_or_suffix_in_common() -> None:
    names = [form.name for form in FORMATS]
    suffixes = [suffix for form in FORMATS for suffix in form.suffixes]
    assert len({*names}) == len(names)
    assert len({*suffixes}) == len(suffixes)
    assert all(suffix == suffix.lower() for suffix in suffixes)


def test_an_unknown_suffix_is_told_with_the_formats_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"a\.xyz: no format has the ending '\.xyz'.*html"):
        format_of(Path("a.xyz"))
    with pytest.raises(UsageError, match="no format 'xyz'"):
        format_named("xyz")


def test_plain_text_is_read_by_lines() -> None:
    document = open_document(b"one\r\n\n12\n two", format_named("text"), "en", "de")
    assert [unit.text for unit in document.units] == ["one", " two"]
    assert document.render([None, None]) == b"one\r\n\n12\n two"


def test_a_column_that_the_user_names_is_read() -> None:
    table = b"title,note\none,two\n"
    document = open_document(table, format_named("csv"), "en", "de", "note")
    assert [unit.text for unit in document.units] == ["two"]
