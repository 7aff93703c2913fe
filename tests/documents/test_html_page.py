"""HTML files: encodings, and the attributes that a reader sees."""

import html
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.document import UnitTranslation
from seq2seq.documents.html_page import read
from seq2seq.errors import Seq2SeqError

_PAGE = """<!DOCTYPE html>
<html><head><title>Cats &amp; dogs</title>
<meta name="description" content="All about cats">
<meta name="viewport" content="width=device-width">
<meta property="og:title" content="Cats &quot;and&quot; dogs">
<style title="x">p {}</style><script title="x">let a = "b";</script></head>
<body><h1 title='The cat&#39;s title'>Cats</h1>
<p><img src="a.png" alt="a cat" title=Cat> and <a href="/x" aria-label="more
  cats">more</a></p>
<pre title="code">x</pre><p translate="no" title="kept">kept</p>
<input type="submit" value="Send"><input type="text" value="kept" placeholder="Your name">
<textarea placeholder="Tell us">kept</textarea><iframe title="A map" src="x"></iframe>
<select><optgroup label="Pets"><option label="A pet">Pet</option></optgroup></select>
</body></html>
"""


def translated(data: bytes) -> bytes:
    document = read(data, "en", "de")
    return document.render(
        [UnitTranslation(unit.text.replace("a", "ä").upper()) for unit in document.units]
    )


def test_attributes_that_a_reader_sees_are_units_with_their_name() -> None:
    units = read(_PAGE.encode(), "en", "de").units
    assert [(unit.context, unit.text) for unit in units if unit.context] == [
        ("content", "All about cats"),
        ("content", 'Cats "and" dogs'),
        ("title", "The cat's title"),
        ("alt", "a cat"),
        ("title", "Cat"),
        ("aria-label", "more cats"),
        ("value", "Send"),
        ("placeholder", "Your name"),
        ("placeholder", "Tell us"),
        ("title", "A map"),
        ("label", "Pets"),
        ("label", "A pet"),
    ]


def test_translations_of_attributes_are_spliced_in_place() -> None:
    document = read(b"<p title='a' id=x><img alt=b src=y> text</p>", "en", "de")
    texts = [document.units[0].text, 'it\'s "<so>"', 'b "c" & d']
    rendered = document.render([*map(UnitTranslation, texts)])
    assert rendered == (
        b"<p title='it&#39;s \"&lt;so&gt;\"' id=x>"
        b'<img alt="b &quot;c&quot; &amp; d" src=y> text</p>'
    )


def test_what_a_browser_reads_is_the_translation() -> None:
    seen = list[str]()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.extend(value or "" for name, value in attrs if name in ("title", "alt"))

    Reader().feed(translated(_PAGE.encode()).decode())
    assert seen == ["x", "x", "THE CÄT'S TITLE", "Ä CÄT", "CÄT", "code", "kept", "A MÄP"]


@pytest.mark.parametrize(
    "text", [_PAGE, "", "\ufeffone", "<p>a\r\nb</p>\r\n", "<p title>", "<a b="]
)
def test_without_translations_the_bytes_are_the_same(text: str) -> None:
    document = read(text.encode(), "en", "de")
    assert document.render([None] * len(document.units)) == text.encode()
    assert document.render([UnitTranslation(u.text) for u in document.units]) == text.encode()


@given(
    st.lists(
        st.sampled_from(
            [
                "<p",
                "title=a",
                "'",
                '"',
                ">",
                "a",
                "&amp;",
                "&",
                "</p>",
                "<img",
                "alt=",
                "/>",
                "é",
                "<!--",
                "-->",
            ]
        )
    )
)
def test_any_markup_comes_out_as_it_was(parts: list[str]) -> None:
    data = " ".join(parts).encode()
    document = read(data, "en", "de")
    assert document.render([UnitTranslation(unit.text) for unit in document.units]) == data


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="iso-8859-1">', "cp1252"),
        ("<meta http-equiv=Content-Type content='text/html; charset=windows-1251'>", "cp1251"),
        ('<?xml version="1.0" encoding="ISO-8859-2"?>', "iso8859-2"),
        ("<meta charset=utf-8>", "utf-8"),
        ("<meta charset=utf-16>", "utf-8"),
    ],
)
def test_the_encoding_that_a_page_declares_is_kept(head: str, encoding: str) -> None:
    letter = "я" if encoding == "cp1251" else "é"
    data = f"{head}<p>{letter} one \N{EM DASH}</p>".replace("\N{EM DASH}", "").encode(encoding)
    document = read(data, "en", "de")
    [unit] = document.units
    assert unit.text == f"{letter} one"
    assert document.render([None]) == data
    rendered = document.render([UnitTranslation(f"{letter} 日")]).decode(encoding)
    assert html.unescape(rendered) == f"{head}<p>{letter} 日 </p>"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_of_the_byte_order_is_kept(encoding: str) -> None:
    data = "<meta charset=latin1><p>é</p>".encode(encoding)
    document = read(data, "en", "de")
    assert document.units[0].text == "é"
    assert document.render([UnitTranslation("ü")]) == data.decode(encoding).replace(
        "é", "ü"
    ).encode(encoding)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<p>caf\xe9", "byte 7 is not UTF-8"),
        (b"<meta charset=rot13><p>a", "'rot13' is not known"),
        (b"<meta charset=unicode_escape><p>a", "is not known"),
        (b"PK\x03\x04", "document of Word"),
        (b"%PDF-1.4", "a PDF"),
    ],
)
def test_what_cannot_be_decoded_is_told_in_one_sentence(data: bytes, message: str) -> None:
    with pytest.raises(Seq2SeqError, match=message) as error:
        read(data, "en", "de")
    assert "\n" not in str(error.value)


def test_a_no_break_space_is_what_xhtml_knows() -> None:
    document = read(b"<p>one</p>", "en", "de")
    assert document.render([UnitTranslation("a\u00a0b")]) == b"<p>a&#160;b</p>"
