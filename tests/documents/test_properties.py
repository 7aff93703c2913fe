"""Java's .properties: escapes, continued lines, encodings, messages."""

import re

import javaproperties
import pytest
from helpers.catalogues import TRANSLATORS, Translate, shout, texts_of, translated
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.document import UnitTranslation
from seq2seq.documents.properties import read
from seq2seq.errors import Seq2SeqError


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# one\n! two\na=three\n\n b : four \n", "# one\n! two\na=THREE\n\n b : FOUR \n"),
        ("a one two\r\nb\r\nc=\r\n", "a ONE TWO\r\nb\r\nc=\r\n"),
        ("a\\ b\\=c=one\\: two\\\\\n", "a\\ b\\=c=ONE\\: TWO\\\\\n"),
        ("a=one \\\n   two\n", "a=ONE TWO\n"),
        ("a = \\\n   one\n", "a = \\\n   ONE\n"),
        ("a=one\\n\\\n   two\\n\\\n   three\n", "a=ONE\\n\\\n   TWO\\n\\\n   THREE\n"),
        ("a=\\u00e9t\\u00e9 \\ud83d\\ude00\n", "a=\\u00C9T\\u00C9 \\uD83D\\uDE00\n"),
        ("a=\u00e9t\u00e9 \\u2014\n", "a=\u00c9T\u00c9 \\u2014\n"),
        ("a=\\ one\n", "a=\\ ONE\n"),
        ("a=one\\tb\\qc\n", "a=ONE\\tBQC\n"),
        ("a=12\nb=%s\n", "a=12\nb=%s\n"),
        ("a=one\nb=two\\", "a=ONE\nb=TWO\\"),
    ],
)
def test_values_are_spliced_and_all_else_stays(source: str, expected: str) -> None:
    def as_java(text: str) -> str:
        return re.sub(r"\\u[\da-f]{4}", lambda match: "\\u" + match[0][2:].upper(), text)

    assert as_java(translated(read, source)) == expected


def test_letters_beyond_the_encoding_are_escaped() -> None:
    for data, expected in (
        (b"a=one", b"a=\\u00e9\\u2014\\ud83d\\ude00"),
        (b"# \xe9\na=one", b"# \xe9\na=\xe9\\u2014\\ud83d\\ude00"),
        ("# é\na=one".encode(), "# é\na=é—😀".encode()),
    ):
        document = read(data, "en", "de")
        assert document.render([None]) == data
        assert document.render([UnitTranslation("é—😀")]) == expected


def test_messages_of_java_double_apostrophes_where_the_file_has_arguments() -> None:
    source = "a=It''s {0}\nb=It''s\nc=it's\nd={0,choice,0#no cats|1<{0} cats}\n"
    assert texts_of(read, source) == ["It's {0}", "It's", "it's", "no cats", "{0} cats"]
    assert translated(read, source, lambda text: text.replace("It", "l'")) == (
        "a=l''''s {0}\nb=l''''s\nc=it's\nd={0,choice,0#no cats|1<{0} cats}\n"
    )
    assert texts_of(read, "a=It''s\nb=it's {name}") == ["It''s", "it's {name}"]


def test_messages_of_icu_are_translated_by_branches() -> None:
    source = "a={n, plural, one {# cat} other {# cats}}\nb=it''s {0}"
    assert texts_of(read, source) == ["{#} cat", "{#} cats", "it's {0}"]


@pytest.mark.parametrize("data", [b"=one", b"\0\xff\0\xff"])
def test_what_is_no_such_file_is_told_in_one_sentence(data: bytes) -> None:
    with pytest.raises(Seq2SeqError, match=r"^[^\n]{10,200}\.$"):
        read(data, "en", "de")


@given(
    st.dictionaries(
        st.text(st.sampled_from("ab =:#!\\é"), min_size=1, max_size=5),
        st.text(st.sampled_from("ab c'{0}=:#!\\\n\t\fé😀"), max_size=10),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(TRANSLATORS),
)
def test_another_reader_finds_the_same_keys(texts: dict[str, str], translate: Translate) -> None:
    source = javaproperties.dumps(texts, timestamp=False)
    result = javaproperties.loads(translated(read, source, translate))
    assert [*result] == [*texts]
    if translate is shout:
        assert all(
            value.upper() == texts[key].upper() for key, value in result.items() if "'" not in value
        )


@pytest.mark.parametrize("source", ["", "# one\n", "\n\n"])
def test_a_file_without_entries_stays(source: str) -> None:
    assert translated(read, source) == source


def test_a_million_backslashes_are_read_in_no_time() -> None:
    assert translated(read, "a=" + "\\" * 1_000_000 + "\nb=one").endswith("b=ONE")
