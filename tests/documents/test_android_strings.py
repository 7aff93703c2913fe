r"""Android's strings.xml: escapes, markup, arrays and plurals."""

from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from helpers.document_translators import backwards, rendered, same, shout, texts, untagged
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.android_strings import read
from seq2seq.documents.document import UnitTranslation
from seq2seq.errors import Seq2SeqError

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<resources xmlns:xliff="urn:oasis:names:tc:xliff:document:1.2" '
    'xmlns:tools="http://schemas.android.com/tools" tools:ignore="MissingTranslation">\n'
)


def resources(body: str) -> bytes:
    return f"{HEAD}{body}\n</resources>\n".encode()


def string(value: str) -> bytes:
    return resources(f'<string name="a">{value}</string>')


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("Hello", "Hello", "HELLO"),
        (r"It\'s \"here\"", 'It\'s "here"', r"IT\'S \"HERE\""),
        ("\n    Two\n    lines\n  ", "Two lines", "\n    TWO LINES\n  "),
        (r"One\nTwo\tthree\n", "One\nTwo\tthree", r"ONE\nTWO\tTHREE\n"),
        ('"It\'s  here "', "It's  here", r'"IT\'S \u0020HERE "'),
        ('  "Hi"  ', "Hi", '  "HI"  '),
        ('Say "two  words" now', "Say two  words now", r"SAY TWO \u0020WORDS NOW"),
        (r"caf\u00e9 \u0020 x", "café   x", r"CAFÉ \u0020\u0020X"),
        (r"a\u00a0b \ud83d\ude00", "a\u00a0b 😀", r"A\u00a0B \ud83d\ude00"),
        (r"\@home \?x", "@home ?x", r"\@HOME ?X"),
        (r"a\\b", r"a\b", r"A\\B"),
        ("Fish &amp; chips &lt; 3", "Fish & chips < 3", "FISH &amp; CHIPS &lt; 3"),
        ("A <b>big</b> dog", "A <g1>big</g1> dog", "A <b>BIG</b> DOG"),
        ("A<br/>dog", "A<g1/>dog", "A<br/>DOG"),
        (
            'Hi <xliff:g id="name" example="Tom">%1$s</xliff:g>, come',
            "Hi {g1}, come",
            'HI <xliff:g id="name" example="Tom">%1$s</xliff:g>, COME',
        ),
        ("<![CDATA[<b>It\\'s</b> & so]]>", "<b>It's</b> & so", "<![CDATA[<B>IT\\'S</B> & SO]]>"),
        (
            '<![CDATA[See <a href="x">this</a>]]>',
            'See <a href="x">this</a>',
            '<![CDATA[SEE <A HREF="X">THIS</A>]]>',
        ),
        ("&lt;b>Hi&lt;/b>", "<b>Hi</b>", "&lt;B>HI&lt;/B>"),
    ],
)
def test_a_string_is_read_without_its_escapes_and_written_with_them(
    value: str, text: str, expected: str
) -> None:
    document = read(string(value), None, "de")
    assert texts(document) == [text]
    assert rendered(document) == string(expected)
    assert same(document) == string(value)


@pytest.mark.parametrize(
    "body",
    [
        '<string name="a" translatable="false">Hello</string>',
        '<string-array name="a" translatable="false"><item>Hello</item></string-array>',
        '<plurals name="a" translatable="false"><item quantity="other">x</item></plurals>',
        '<string name="a">@string/app_name</string>',
        '<string name="a">@android:string/ok</string>',
        '<string name="a">?attr/title</string>',
        '<string name="a">%1$s: %2$d</string>',
        '<string name="a"/>',
        '<color name="a">red</color><integer-array name="b"><item>1</item></integer-array>',
    ],
)
def test_what_is_no_text_is_no_unit(body: str) -> None:
    document = read(resources(body), None, "de")
    assert texts(document) == []
    assert document.render([]) == resources(body)


def test_arrays_and_items_are_translated_with_name_and_comment_as_context() -> None:
    body = (
        '<!-- The days -->\n<string-array name="days">\n<item>One</item><!-- x -->\n'
        "<item>@string/two</item><item>Three</item></string-array>\n"
        '<item type="string" name="four">Four</item>'
    )
    document = read(resources(body), None, "de")
    assert texts(document) == ["One", "Three", "Four"]
    assert [unit.context for unit in document.units] == ["days: The days"] * 2 + ["four"]
    expected = (
        body.replace(">One<", ">ONE<").replace(">Three<", ">THREE<").replace(">Four<", ">FOUR<")
    )
    assert rendered(document) == resources(expected)


PLURALS = (
    '<plurals name="files">\n    <!-- c -->\n    <item quantity="one">%d file</item>\n'
    '    <item quantity="other">%d files</item>\n</plurals>'
)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("de", PLURALS.replace("file", "FILE").replace('FILEs"', 'files"').replace("s<", "S<")),
        (
            "pl",
            '<plurals name="files">\n    <!-- c -->\n    <item quantity="one">%d FILE</item>\n'
            '    <item quantity="few">%d FILES</item>\n    <item quantity="many">%d FILES</item>\n'
            '    <item quantity="other">%d FILES</item>\n</plurals>',
        ),
        (
            "ja",
            '<plurals name="files">\n    <!-- c -->\n'
            '    <item quantity="other">%d FILES</item>\n</plurals>',
        ),
    ],
)
def test_plurals_have_the_categories_of_the_target(target: str, expected: str) -> None:
    document = read(resources(PLURALS), None, target)
    output = rendered(document, lambda text: text.replace("file", "FILE").replace("s", "S"))
    assert output == resources(expected.replace('"FILES"', '"files"'))
    assert same(document) == resources(PLURALS)
    assert document.render([None] * len(document.units)) == resources(PLURALS)


def test_plurals_without_translation_of_a_category_keep_it() -> None:
    document = read(resources(PLURALS), None, "de")
    output = document.render([None, UnitTranslation("%d Dateien")])
    assert output == resources(PLURALS.replace("%d files", "%d Dateien"))


@pytest.mark.parametrize(
    "data", [b"", b"<a/>", b"<resources>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><resources/>"]
)
def test_what_is_no_resources_is_told(data: bytes) -> None:
    with pytest.raises(Seq2SeqError, match=r"^(is|has|defines) .*\.$"):
        read(data, None, "de")


_PARTS = st.sampled_from([
    "One ", "two, ", r"\'", r"\n", r"\u0041", r"\u00e9", '"', "  ", "\n", "&amp;", "&lt;b>", r"\\",
    "%1$s", '<xliff:g id="x">%d</xliff:g>', "<b>three</b>", "<i>four <b>five</b></i>", "<br/>",
    "\\", "@", "?", "'", "<!-- c -->", "<![CDATA[<p>six</p>]]>", "é", r"\u12", r"\ud83d",
])  # fmt: skip


@given(st.lists(_PARTS).map("".join))
def test_what_is_translated_to_itself_is_the_same_byte_for_byte(value: str) -> None:
    document = read(string(value), None, "de")
    assert same(document) == string(value)


@given(st.lists(_PARTS).map("".join), st.sampled_from([shout, backwards, untagged]))
def test_elements_stay_and_the_text_is_read_again_as_it_was_written(
    value: str, translate: Callable[[str], str]
) -> None:
    document = read(string(value), None, "de")
    output = rendered(document, translate)
    before, after = (
        sorted(
            (element.tag, *element.attrib.items())
            for element in ElementTree.fromstring(data).iter()
        )
        for data in (string(value), output)
    )
    assert before == after
    if translate is shout and document.units and "&lt;" not in value and "CDATA" not in value:
        again = texts(read(output, None, "de"))
        assert again in ([], [shout(text) for text in texts(document)])
