"""Apple's .strings: keys, escapes, comments, encodings."""

import pytest
from helpers.catalogues import TRANSLATORS, Translate, translated
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.apple_strings import read
from seq2seq.documents.document import UnitTranslation
from seq2seq.errors import Seq2SeqError


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('/* one "two" = "x"; */\n"a" = "three";\n', '/* one "two" = "x"; */\n"a" = "THREE";\n'),
        ('// "a" = "one";\nA.b="two %@";', '// "a" = "one";\nA.b="TWO %@";'),
        (r'"a" = "say \"one\"\n\\ \U00e9";', r'"a" = "SAY \"ONE\"\n\\ É";'),
        ('"a" = "one\ntwo";', '"a" = "ONE\nTWO";'),
        ('"a;" = "https://example.org";',) * 2,
    ],
)
def test_values_are_spliced_and_all_else_stays(source: str, expected: str) -> None:
    assert translated(read, source) == expected


def test_a_comment_and_the_key_are_the_context() -> None:
    data = b'/* The\n title */\n"a" = "one";\n"b" = "two";'
    assert [unit.context for unit in read(data, "en", "de").units] == ["a: The title", "b"]


def test_utf_16_stays() -> None:
    data = '"a" = "one";'.encode("utf-16")
    document = read(data, "en", "de")
    assert document.render([UnitTranslation("é")]) == '"a" = "é";'.encode("utf-16")


@pytest.mark.parametrize("data", [b"", b"one", b'"a" = "b', b"\xff"])
def test_what_is_no_such_file_is_told_in_one_sentence(data: bytes) -> None:
    with pytest.raises(Seq2SeqError, match=r"^[^\n]{10,200}[.;]$"):
        read(data, "en", "de")


@given(st.text(st.sampled_from('ab "\\\n;/*é'), max_size=8), st.sampled_from(TRANSLATORS))
def test_all_entries_are_there_after_the_translation(text: str, translate: Translate) -> None:
    value = text.replace("\\", "\\\\").replace('"', '\\"')
    result = translated(read, f'"k" = "{value}";\n"l" = "x y";', translate)
    assert [unit.context for unit in read(result.encode(), "en", "de").units][-1] == "l"


@pytest.mark.parametrize("part", ['\\"', "/* ", '"a" ', '"a"=', "a=", '"a"="b\\"', "a " + " " * 50])
def test_a_million_letters_are_read_in_no_time(part: str) -> None:
    source = '"a"="one";"' + part * (1_000_000 // len(part))
    assert translated(read, source).startswith('"a"="ONE";"')
