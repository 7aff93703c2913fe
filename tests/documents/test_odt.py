"""ODT: paragraphs are translated with their formatting, and all else stays."""

import shutil
import subprocess
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from helpers.document_translators import TAG, backwards, rendered, same, shout, texts, untagged
from helpers.zipped_documents import facts_of, hostile_zips, odt, parts_of
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.odt import read
from seq2seq.errors import Seq2SeqError

STYLES = (
    '<style:style style:name="T1" style:family="text"><style:text-properties fo:color="#f00"/>'
    '</style:style><style:style style:name="T2" style:family="text"><style:text-properties '
    'officeooo:rsid="0012"/></style:style><style:style style:name="T3" style:family="text">'
    '<style:text-properties fo:color="#f00" officeooo:rsid="0034"/></style:style><style:style '
    'style:name="T4" style:family="text"><style:text-properties fo:language="en" '
    'fo:country="US"/></style:style>'
)
NOTE = (
    '<text:note text:id="f" text:note-class="footnote"><text:note-citation>1</text:note-citation>'
    "<text:note-body><text:p>{}</text:p></text:note-body></text:note>"
)
COMMENT = "<office:annotation><text:p>remark</text:p></office:annotation>"
BOX = "<draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"


def span(style: str, text: str) -> str:
    return f'<text:span text:style-name="{style}">{text}</text:span>'


def body_of(data: bytes) -> str:
    content = parts_of(data)["content.xml"].decode()
    return content[content.index("<office:text>") + 13 : content.index("</office:text>")]


@pytest.mark.parametrize(
    ("content", "unit_texts", "expected"),
    [
        ("One", ["One"], "ONE"),
        ("One\n  two", ["One two"], "ONE TWO"),
        ("A " + span("T1", "big") + " dog", ["A <g1>big</g1> dog"],
         "A " + span("T1", "BIG") + " DOG"),
        ("On" + span("T2", "e ") + span("T4", "two"), ["One two"], "ONE TWO"),
        (
            "A " + span("T1", "bi") + span("T3", "g") + " dog",
            ["A <g1>big</g1> dog"],
            "A " + span("T1", "BIG") + " DOG",
        ),
        (span("T1", "One"), ["One"], span("T1", "ONE")),
        (
            "One<text:tab/>two<text:line-break/>three", ["One\ttwo\nthree"],
            "ONE<text:tab/>TWO<text:line-break/>THREE",
        ),
        ("One <text:s/>two<text:soft-page-break/>", ["One two"], "ONE TWO"),
        ('One<text:s text:c="5"/>two', ["One<g1/>two"], 'ONE<text:s text:c="5"/>TWO'),
        ("One" + NOTE.format("a note") + " two", ["One<g1/> two", "a note"],
         "ONE" + NOTE.format("A NOTE") + " TWO"),
        ("One" + span("T1", NOTE.format("a note")), ["One", "a note"],
         "ONE" + span("T1", NOTE.format("A NOTE"))),
        ("One " + COMMENT + "two", ["One <g1/>two"], "ONE " + COMMENT + "TWO"),
        ("One " + BOX.format("in it") + "two", ["One <g1/>two", "in it"],
         "ONE " + BOX.format("IN IT") + "TWO"),
        (BOX.format("in it"), ["in it"], BOX.format("IN IT")),
        ('See <text:a text:h="x">this</text:a>', ["See <g1>this</g1>"],
         'SEE <text:a text:h="x">THIS</text:a>'),
        ("Page <text:page-number>3</text:page-number> of it", ["Page <g1/> of it"],
         "PAGE <text:page-number>3</text:page-number> OF IT"),
        ("1 <text:s/>2", [], "1 <text:s/>2"),
        ("a &amp; b", ["a & b"], "A &amp; B"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["text:p", "text:h"])
def test_a_paragraph_is_one_text_with_its_formatting(
    content: str, unit_texts: list[str], expected: str, name: str
) -> None:
    start, end = f'<{name} text:style-name="P1">', f"</{name}>"
    data = odt(start + content + end, STYLES)
    document = read(data, None, "de")
    assert texts(document) == unit_texts
    assert body_of(rendered(document)) == start + expected + end
    assert same(document) == data


WHOLE = odt(
    "<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p>"
    "</text:deletion></text:changed-region></text:tracked-changes>"
    '<text:h text:outline-level="1">The house</text:h><table:table table:name="t">'
    "<table:table-column/><table:table-row><table:table-cell><text:p>Name</text:p>"
    "</table:table-cell></table:table-row></table:table>"
    f"<text:p>We see {span('T1', 'it')}{NOTE.format('A note')}.</text:p>",
    STYLES,
    "<text:p>My holiday</text:p>",
)


def test_tables_notes_and_headers_are_translated_and_other_parts_stay() -> None:
    document = read(WHOLE, None, "fr-CA")
    expected = ["The house", "Name", "We see <g1>it</g1><g2/>.", "A note", "My holiday"]
    assert texts(document) == expected
    output = rendered(document)
    before, after = parts_of(WHOLE), parts_of(output)
    assert [name for name in before if before[name] != after[name]] == ["content.xml", "styles.xml"]
    assert b'fo:language="fr" fo:country="CA"' in after["styles.xml"]
    assert facts_of(output) == facts_of(WHOLE)
    assert output[38:77] == b"application/vnd.oasis.opendocument.text"
    assert document.render([None] * 5) == WHOLE


def test_a_flat_file_is_read_too() -> None:
    content = parts_of(WHOLE)["content.xml"]
    flat = content.replace(b"office:document-content", b"office:document")
    document = read(flat, None, "de")
    assert texts(document)[0] == "The house"
    assert b">THE HOUSE<" in rendered(document)
    assert same(document) == flat


_CONTENT = st.recursive(
    st.sampled_from([
        "One ", "two, ", "&amp; three", "\n  ", "4", "<text:tab/>", "<text:line-break/>",
        "<text:s/>", '<text:s text:c="3"/>', '<text:bookmark text:name="x"/>', COMMENT,
        NOTE.format("five"), BOX.format("six"), "<text:soft-page-break/>", "<!-- c -->",
        "<text:date>seven</text:date>", "<text:span/>",
    ]),
    lambda content: st.one_of(
        st.builds(
            lambda style, inside: span(style, "".join(inside)),
            st.sampled_from(["T1", "T2", "T3", "T4", "Emphasis"]),
            st.lists(content, max_size=4),
        ),
        st.lists(content, max_size=4).map(
            lambda inside: f'<text:a xlink="x">{"".join(inside)}</text:a>'
        ),
    ),
)  # fmt: skip


@given(st.lists(_CONTENT, max_size=8).map("".join))
def test_what_is_translated_to_itself_is_the_same_byte_for_byte(content: str) -> None:
    data = odt(f"<text:p>{content}</text:p>", STYLES)
    assert same(read(data, None, "de")) == data


@given(st.lists(_CONTENT, max_size=8).map("".join), st.sampled_from([shout, backwards, untagged]))
def test_all_that_is_no_text_stays_whatever_the_translation(
    content: str, translate: Callable[[str], str]
) -> None:
    data = odt(f"<text:p>{content}</text:p>", STYLES)
    document = read(data, None, "de")
    output = rendered(document, translate)
    for tag in (
        "<text:note ", "<text:bookmark", "<office:annotation", "<text:date", "<draw:frame",
        "<text:a ", "</text:a>", 'text:c="3"', "<!--",
    ):  # fmt: skip
        assert body_of(output).count(tag) == body_of(data).count(tag)
    if translate is shout:
        before = [TAG.sub("", shout(text)).split() for text in texts(document)]
        after = [TAG.sub("", text).split() for text in texts(read(output, None, "de"))]
        assert before == after


@pytest.mark.parametrize("data", [*hostile_zips(WHOLE)])
def test_what_is_no_sound_document_is_told_in_a_sentence(data: bytes) -> None:
    with pytest.raises(Seq2SeqError, match=r"^[^\n]{10,200}\.$"):
        rendered(read(data, None, "de"))


def test_an_encrypted_document_is_told() -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, part in parts_of(WHOLE).items():
            data = part.replace(
                b'full-path="content.xml" manifest:media-type="text/xml"/>',
                b'full-path="content.xml"><manifest:encryption-data/></manifest:file-entry>',
            )
            archive.writestr(name, data)
    with pytest.raises(Seq2SeqError, match="is encrypted"):
        read(packed.getvalue(), None, "de")


def test_another_library_reads_the_same_structure() -> None:
    library = pytest.importorskip("odf.opendocument")
    trees = []
    for data in (WHOLE, rendered(read(WHOLE, None, "de"))):
        document = library.load(BytesIO(data))
        open_, names = [document.text], []
        while open_:
            node = open_.pop()
            names.append(getattr(node, "tagName", "") or str(node).upper())
            open_ += node.childNodes
        trees.append([name for name in names if name != "GONE"])
    assert trees[0] == trees[1]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("soffice"), reason="needs LibreOffice")
def test_libreoffice_opens_the_output(tmp_path: Path) -> None:
    (tmp_path / "a.odt").write_bytes(rendered(read(WHOLE, None, "de")))
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless"]
    arguments = ["--convert-to", "txt:Text", "--outdir", str(tmp_path), str(tmp_path / "a.odt")]
    subprocess.run([*command, *arguments], check=True, capture_output=True, timeout=120)
    text = (tmp_path / "a.txt").read_text("utf-8-sig")
    for expected in ("THE HOUSE", "NAME", "WE SEE IT"):
        assert expected in text
