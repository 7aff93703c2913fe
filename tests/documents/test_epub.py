"""EPUB: chapters, contents and title are translated, and all else stays."""

from collections.abc import Callable
from io import BytesIO
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest
from helpers.document_translators import backwards, rendered, same, shout, texts, untagged
from helpers.zipped_documents import epub, facts_of, hostile_zips, parts_of
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.epub import read
from seq2seq.errors import Seq2SeqError

WHOLE = epub(
    {
        "two": '<h1>On <i>the</i> sea</h1><p>We swim<a id="x"/>.<br/>And <b>run</b>.</p>',
        "one": '<p><img src="a.png" alt="A dog"/></p><script/><p>See <code>x = 1</code> now</p>',
    },
    {"OEBPS/style.css": "p { color: red }", "OEBPS/a.png": "no text"},
)


def chapter_of(data: bytes, name: str = "one") -> str:
    chapter = parts_of(data)[f"OEBPS/{name}.xhtml"].decode()
    return chapter[chapter.index("<body>") + 6 : chapter.index("</body>")]


@pytest.mark.parametrize(
    ("body", "unit_texts", "expected"),
    [
        ("<p>One</p>", ["One"], "<p>ONE</p>"),
        ("<p>One <b>big</b><br/>dog</p>", ["One <g1>big</g1>", "dog"],
         "<p>ONE <b>BIG</b><br/>DOG</p>"),
        ('<p>One<a id="x"/> <i/>two</p>', ["One<g1/> <g2/>two"], '<p>ONE<a id="x"/> <i/>TWO</p>'),
        ('<script src="x"/><p>One</p><script>two &lt; three</script>', ["One"],
         '<script src="x"/><p>ONE</p><script>two &lt; three</script>'),
        ("<style/><title/><p>One</p><textarea/><p>two</p>", ["One", "two"],
         "<style/><title/><p>ONE</p><textarea/><p>TWO</p>"),
        ('<svg xmlns="http://www.w3.org/2000/svg"><svg/><text>one</text></svg><p>two</p>', ["two"],
         '<svg xmlns="http://www.w3.org/2000/svg"><svg/><text>one</text></svg><p>TWO</p>'),
        ("<pre>one</pre><p translate='no'>two</p><p>three</p>", ["three"],
         "<pre>one</pre><p translate='no'>two</p><p>THREE</p>"),
        ("<p>a &amp; b &lt;c&gt; &#233;</p>", ["a & b <c> é"], "<p>A &amp; B &lt;C&gt; É</p>"),
        ("<p>a\u00a0b</p>", ["a\u00a0b"], "<p>A&#160;B</p>"),
        ("<!-- x --><p>One<!-- y --> two<?z?></p>", ["One<g1/> two"],
         "<!-- x --><p>ONE<!-- y --> TWO<?z?></p>"),
        ('<p title="a &lt; b">1</p>', ["a < b"], '<p title="A &lt; B">1</p>'),
        ("<p><![CDATA[one]]></p>", [], "<p><![CDATA[one]]></p>"),
    ],
)  # fmt: skip
def test_a_chapter_is_read_as_xml(body: str, unit_texts: list[str], expected: str) -> None:
    data = epub({"one": body})
    document = read(data, None, "de")
    others = ["The red dog", "one", "Contents", "Chapter one", "The red dog", "Chapter one"]
    found = [*texts(document)]
    for text in others:
        found.remove(text)
    assert found == unit_texts
    output = rendered(document)
    assert chapter_of(output) == expected
    ElementTree.fromstring(parts_of(output)["OEBPS/one.xhtml"])
    assert same(document) == data


def test_chapters_are_read_in_their_order_then_the_contents() -> None:
    assert texts(read(WHOLE, None, "de")) == [
        "The red dog", "two", "On <g1>the</g1> sea", "We swim<g1/>.", "And <g1>run</g1>.", "one",
        "See <g1/> now", "A dog", "Contents", "Chapter two", "Chapter one", "The red dog",
        "Chapter two", "Chapter one",
    ]  # fmt: skip


def test_the_language_is_set_and_other_parts_stay() -> None:
    document = read(WHOLE, None, "fr")
    output = rendered(document)
    before, after = parts_of(WHOLE), parts_of(output)
    assert [name for name in before if before[name] == after[name]] == [
        "mimetype", "META-INF/container.xml", "OEBPS/style.css", "OEBPS/a.png",
    ]  # fmt: skip
    assert facts_of(output) == facts_of(WHOLE)
    assert output[30:58] == b"mimetypeapplication/epub+zip"
    assert b"<dc:title>THE RED DOG</dc:title>" in after["OEBPS/book.opf"]
    assert b"<dc:language>fr</dc:language>" in after["OEBPS/book.opf"]
    assert b'lang="fr" xml:lang="fr"' in after["OEBPS/one.xhtml"]
    assert b"Tom Old" in after["OEBPS/book.opf"]
    assert document.render([None] * len(document.units)) == WHOLE


_BODY = st.recursive(
    st.sampled_from([
        "One ", "two, ", "&amp;", "&#233;", " ", "4", "<br/>", '<a id="x"/>', "<img alt='five'/>",
        "<!-- c -->", "<script>x &lt; y</script>", "<svg><svg/>six</svg>", "<i/>", "<title/>",
        "<![CDATA[<p>]]>", "<?z?>", '"', "'", ">",
    ]),
    lambda content: st.builds(
        lambda name, inside: f"<{name}>{''.join(inside)}</{name}>",
        st.sampled_from(["p", "b", "i", "div", "li", "a", "code", "sup", "br", "h:p"]),
        st.lists(content, max_size=4),
    ),
).map(lambda body: f'<div xmlns:h="http://www.w3.org/1999/xhtml">{body}</div>')  # fmt: skip


@given(_BODY)
def test_what_is_translated_to_itself_is_the_same_byte_for_byte(body: str) -> None:
    data = epub({"one": body})
    assert same(read(data, None, "de")) == data


@given(_BODY, st.sampled_from([shout, backwards, untagged]))
def test_the_tree_stays_whatever_the_translation(
    body: str, translate: Callable[[str], str]
) -> None:
    data = epub({"one": body})
    output = rendered(read(data, None, "de"), translate)
    before, after = (
        [
            element.tag
            for element in ElementTree.fromstring(parts_of(book)["OEBPS/one.xhtml"]).iter()
        ]
        for book in (data, output)
    )
    assert sorted(before) == sorted(after)


@pytest.mark.parametrize("data", [*hostile_zips(WHOLE)])
def test_what_is_no_sound_book_is_told_in_a_sentence(data: bytes) -> None:
    with pytest.raises(Seq2SeqError, match=r"^[^\n]{9,200}\.$"):
        rendered(read(data, None, "de"))


@pytest.mark.parametrize(
    ("chapter", "message"),
    [
        ("<p>One", r"in OEBPS/one\.xhtml: is not well-formed XML: mismatched tag"),
        ("<p>&nbsp;</p>", "undefined entity"),
        ("<p>" * 300 + "</p>" * 300, "more than 200 deep"),
    ],
)
def test_a_chapter_that_is_no_xml_is_named(chapter: str, message: str) -> None:
    with pytest.raises(Seq2SeqError, match=message):
        read(epub({"one": chapter}), None, "de")


def test_a_protected_book_is_told() -> None:
    encryption = (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<e:EncryptedData xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:CipherData>'
        '<e:CipherReference URI="{}"/></e:CipherData></e:EncryptedData></encryption>'
    )
    name = "META-INF/encryption.xml"
    protected = epub({"one": "<p>a</p>"}, {name: encryption.format("OEBPS/one.xhtml")})
    with pytest.raises(Seq2SeqError, match=r"copy-protected: OEBPS/one\.xhtml is encrypted"):
        read(protected, None, "de")
    assert read(epub({"one": "<p>a</p>"}, {name: encryption.format("a.otf")}), None, "de").units


def test_an_address_in_the_manifest_leads_nowhere_outside() -> None:
    parts = {"OEBPS/x": "x"}
    data = epub({"../../etc/passwd": "<p>One</p>"} | {"one": "<p>One</p>"}, parts)
    with pytest.raises(Seq2SeqError, match="leaves the archive"):
        read(data, None, "de")


def _structure(data: bytes) -> tuple[list[tuple[str, ...]], list[str], list[str]]:
    """Return the manifest, the spine, and the titles in capitals, by the standard library."""
    package = "{http://www.idpf.org/2007/opf}"
    with ZipFile(BytesIO(data)) as book:
        container = ElementTree.fromstring(book.read("META-INF/container.xml"))
        [root] = (element for element in container.iter() if element.tag.endswith("rootfile"))
        opf = ElementTree.fromstring(book.read(root.attrib["full-path"]))
        for name in book.namelist():
            if name.endswith(("xhtml", "ncx", "opf")):
                ElementTree.fromstring(book.read(name))  # every part is still XML
    return (
        [tuple(sorted(item.attrib.values())) for item in opf.iter(f"{package}item")],
        [item.attrib["idref"] for item in opf.iter(f"{package}itemref")],
        [(element.text or "").upper() for element in opf.iter() if element.tag.endswith("}title")],
    )


def test_the_standard_library_reads_the_same_structure() -> None:
    data = rendered(read(WHOLE, None, "de"))
    assert _structure(data) == _structure(WHOLE)
    assert BytesIO(data).read(4) == b"PK\x03\x04"
