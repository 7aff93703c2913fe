"""DOCX: paragraphs are translated with their formatting, and all else stays."""

import shutil
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import pytest
from helpers.document_translators import backwards, rendered, same, shout, texts, untagged
from helpers.zipped_documents import docx, facts_of, hostile_zips, parts_of
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.docx import read
from seq2seq.errors import Seq2SeqError

T = '<w:t xml:space="preserve">'
BOLD = "<w:rPr><w:b/></w:rPr>"


def run(text: str, formatting: str = "") -> str:
    return f"<w:r>{formatting}{T}{text}</w:t></w:r>"


def paragraph(*content: str) -> str:
    return f"<w:p>{''.join(content)}</w:p>"


def body_of(data: bytes) -> str:
    document = parts_of(data)["word/document.xml"].decode()
    return document[document.index("<w:body>") + 8 : document.index("<w:sectPr")]


def field(instruction: str, *result: str) -> str:
    return (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f"<w:r><w:instrText>{instruction}</w:instrText></w:r>"
        f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{"".join(result)}'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


TOC = field("TOC").removesuffix('<w:r><w:fldChar w:fldCharType="end"/></w:r>')
LINK = '<w:hyperlink r:id="x" w:history="1">'
NOTE = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:footnoteReference w:id="2"/></w:r>'
BOX = (
    '<w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing><wps:txbx><w:txbxContent>{0}'
    "</w:txbxContent></wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox>"
    "<w:txbxContent>{0}</w:txbxContent></v:textbox></w:pict></mc:Fallback></mc:AlternateContent>"
    "</w:r>"
)


@pytest.mark.parametrize(
    ("content", "unit_texts", "expected"),
    [
        ([run("One")], ["One"], [run("ONE")]),
        ([run("On"), '<w:proofErr w:type="x"/>', run("e two")], ["One two"], [run("ONE TWO")]),
        (
            ['<w:r w:rsidR="1"><w:rPr><w:lang w:val="en-US"/></w:rPr><w:t>On</w:t></w:r>',
             "<w:r><w:rPr><w:noProof/></w:rPr><w:t>ly</w:t></w:r>"],
            ["Only"], [run("ONLY")],
        ),
        (
            [run("A "), run("bi", BOLD), run("g", BOLD), run(" dog")],
            ["A <g1>big</g1> dog"],
            [run("A "), run("BIG", BOLD), run(" DOG")],
        ),
        ([run("One two", BOLD)], ["One two"], [run("ONE TWO", BOLD)]),
        (
            [run("A &amp; b"), NOTE, run(" and"), NOTE],
            ["A & b<g1/> and"],
            [run("A &amp; B"), NOTE, run(" AND"), NOTE],
        ),
        (
            [run("See "), LINK, run("this", BOLD), "</w:hyperlink>", run(".")],
            ["See <g1>this</g1>."],
            [run("SEE "), LINK, run("THIS", BOLD), "</w:hyperlink>", run(".")],
        ),
        (
            ["<w:r><w:t>One</w:t><w:tab/><w:t>two</w:t><w:br/><w:t>three</w:t></w:r>"],
            ["One\ttwo\nthree"],
            [f"<w:r>{T}ONE</w:t><w:tab/>{T}TWO</w:t><w:br/>{T}THREE</w:t></w:r>"],
        ),
        (
            ["<w:r><w:t>On</w:t><w:lastRenderedPageBreak/><w:softHyphen/><w:t>ly</w:t></w:r>"],
            ["Only"], [run("ONLY")],
        ),
        (
            [run("One "), '<w:r><w:br w:type="page"/></w:r>', run("two")],
            ["One <g1/>two"],
            [run("ONE "), '<w:r><w:br w:type="page"/></w:r>', run("TWO")],
        ),
        (
            [run("Page "), field("PAGE", run("3", BOLD)), run(" of it")],
            ["Page <g1/> of it"],
            [run("PAGE "), field("PAGE", run("3", BOLD)), run(" OF IT")],
        ),
        (
            [run("See "), field('HYPERLINK "x"', run("this"))],
            ["See <g1>this</g1>"],
            [run("SEE "), field('HYPERLINK "x"', run("THIS"))],
        ),
        (
            [TOC, run("One"),
             "<w:r><w:tab/></w:r>", field("PAGEREF", run("1"))],
            ["One"],
            [TOC,
             f"<w:r>{T}ONE</w:t><w:tab/></w:r>", field("PAGEREF", run("1"))],
        ),
        (
            [run("One "), '<w:ins w:id="1" w:author="T">', run("new"), "</w:ins>",
             '<w:del w:id="2" w:author="T"><w:r><w:delText>old</w:delText></w:r></w:del>',
             run(" dog")],
            ["One <g1>new</g1><g2/> dog"],
            [run("ONE "), '<w:ins w:id="1" w:author="T">', run("NEW"), "</w:ins>",
             '<w:del w:id="2" w:author="T"><w:r><w:delText>old</w:delText></w:r></w:del>',
             run(" DOG")],
        ),
        (
            [run("One "), BOX.format(paragraph(run("box"))), run("two")],
            ["One <g1/>two", "box", "box"],
            [run("ONE "), BOX.format(paragraph(run("BOX"))), run("TWO")],
        ),
        (
            ["<w:sdt><w:sdtPr><w:alias/></w:sdtPr><w:sdtContent>", run("One"),
             "</w:sdtContent></w:sdt>", run(" of "),
             "<w:sdt><w:sdtPr><w:date/></w:sdtPr><w:sdtContent>", run("May"),
             "</w:sdtContent></w:sdt>", run(" is it")],
            ["<g1>One</g1> of <g2/> is it"],
            ["<w:sdt><w:sdtPr><w:alias/></w:sdtPr><w:sdtContent>", run("ONE"),
             "</w:sdtContent></w:sdt>", run(" OF "),
             "<w:sdt><w:sdtPr><w:date/></w:sdtPr><w:sdtContent>", run("May"),
             "</w:sdtContent></w:sdt>", run(" IS IT")],
        ),
        (
            [run("One "), "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>", run("two")],
            ["One <g1/>two"],
            [run("ONE "), "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>", run("TWO")],
        ),
        ([run("1 234")], [], [run("1 234")]),
        (
            ["<w:r><w:t>One</w:t><w:noBreakHyphen/><w:t>two</w:t></w:r>"], ["One\u2011two"],
            [f"<w:r>{T}ONE</w:t><w:noBreakHyphen/>{T}TWO</w:t></w:r>"],
        ),
    ],
)  # fmt: skip
def test_a_paragraph_is_one_text_with_its_formatting(
    content: Sequence[str], unit_texts: list[str], expected: Sequence[str]
) -> None:
    properties = '<w:pPr><w:jc w:val="left"/><w:rPr><w:b/></w:rPr></w:pPr>'
    data = docx(paragraph(properties, *content))
    document = read(data, None, "de")
    assert texts(document) == unit_texts
    assert body_of(rendered(document)) == paragraph(properties, *expected)
    assert same(document) == data


WHOLE = docx(
    paragraph('<w:pPr><w:pStyle w:val="Heading1"/></w:pPr>', run("The house"))
    + f"<w:tbl><w:tblPr/><w:tblGrid><w:gridCol/></w:tblGrid><w:tr><w:tc>{paragraph(run('Name'))}"
    f"</w:tc><w:tc>{paragraph(run('10'))}</w:tc></w:tr></w:tbl>"
    + paragraph(run("We see "), run("it", BOLD), NOTE, run(".")),
    f'<w:footnote w:id="2">{paragraph("<w:r><w:footnoteRef/></w:r>", run(" A note"))}</w:footnote>',
    paragraph(run("My trip "), run("home", BOLD)),
)


def test_tables_notes_and_headers_are_translated_and_other_parts_stay() -> None:
    document = read(WHOLE, None, "fr")
    assert texts(document) == [
        "The house", "Name", "We see <g1>it</g1><g2/>.", "A note", "My trip <g1>home</g1>",
    ]  # fmt: skip
    output = rendered(document)
    before, after = parts_of(WHOLE), parts_of(output)
    changed = [name for name, part in before.items() if after[name] != part]
    assert changed == [
        "word/styles.xml", "word/document.xml", "word/footnotes.xml", "word/header.xml",
    ]  # fmt: skip
    assert facts_of(output) == facts_of(WHOLE)
    assert after["word/styles.xml"] == before["word/styles.xml"].replace(b"en-US", b"fr")
    assert b"<w:footnoteRef/></w:r>" in after["word/footnotes.xml"]
    assert document.render([None] * 5) == WHOLE


_CONTENT = st.recursive(
    st.sampled_from([
        run("One "), run("two", BOLD), run(" ", BOLD), run(", three"), NOTE, run("4"),
        '<w:bookmarkStart w:id="1" w:name="x"/>', '<w:bookmarkEnd w:id="1"/>',
        "<w:r><w:tab/></w:r>", "<w:r><w:br/></w:r>", field("PAGE", run("7")),
        field("HYPERLINK x", run("link", BOLD)), '<w:r><w:fldChar w:fldCharType="end"/></w:r>',
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>', "<w:r><w:t/></w:r>", "<w:r/>",
        BOX.format(paragraph(run("five"))),
        "<w:del><w:r><w:delText>six</w:delText></w:r></w:del>",
    ]),
    lambda content: st.builds(
        lambda start, inside: f"{start}{''.join(inside)}</{start[1:].split()[0].rstrip('>')}>",
        st.sampled_from([LINK, '<w:ins w:id="3">', "<w:smartTag>"]),
        st.lists(content, max_size=4),
    ),
)  # fmt: skip


@given(st.lists(_CONTENT, max_size=8))
def test_what_is_translated_to_itself_is_the_same_byte_for_byte(content: list[str]) -> None:
    data = docx(paragraph(*content))
    assert same(read(data, None, "de")) == data


def test_a_line_break_alone_in_its_formatting_stays_one() -> None:
    link = (
        '<w:hyperlink r:id="x"><w:r><w:rPr><w:b/></w:rPr><w:t>two</w:t></w:r>'
        "<w:r><w:br/></w:r></w:hyperlink>"
    )
    data = docx(paragraph("<w:r><w:t>One and</w:t></w:r>", link))
    assert body_of(rendered(read(data, None, "de"))).count("<w:br/>") == 1


@given(st.lists(_CONTENT, max_size=8), st.sampled_from([shout, backwards, untagged]))
def test_all_that_is_no_text_stays_whatever_the_translation(
    content: list[str], translate: Callable[[str], str]
) -> None:
    data = docx(paragraph(*content))
    document = read(data, None, "de")
    output = rendered(document, translate)
    for tag in (
        "<w:footnoteReference", "<w:bookmarkStart", "<w:bookmarkEnd", "<w:fldChar", "<w:delText",
        "<w:hyperlink", "</w:hyperlink", "<w:ins ", "</w:ins", "<w:smartTag", "<w:instrText",
        "<w:txbxContent",
    ):  # fmt: skip
        assert body_of(output).count(tag) == body_of(data).count(tag)
    if translate is shout:
        again = read(output, None, "de")
        assert texts(again) == [shout(text) for text in texts(document)]


@pytest.mark.parametrize("data", [*hostile_zips(WHOLE)])
def test_what_is_no_sound_document_is_told_in_a_sentence(data: bytes) -> None:
    with pytest.raises(Seq2SeqError, match=r"^[^\n]{10,200}\.$"):
        rendered(read(data, None, "de"))


@pytest.mark.parametrize("entity", ['<!ENTITY e "x">', '<!ENTITY e SYSTEM "file:///etc/passwd">'])
def test_entities_are_refused(entity: str) -> None:
    document = parts_of(WHOLE)["word/document.xml"]
    hostile = document.replace(b"?>", f"?><!DOCTYPE w [{entity}]>".encode(), 1)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, part in parts_of(WHOLE).items():
            archive.writestr(name, hostile if name == "word/document.xml" else part)
    with pytest.raises(Seq2SeqError, match="defines entities"):
        read(packed.getvalue(), None, "de")


def test_fields_inside_each_other_are_bounded() -> None:
    begin = '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
    with pytest.raises(Seq2SeqError, match="fields nested"):
        read(docx(paragraph(begin * 1000, run("One"))), None, "de")


def test_another_library_reads_the_same_structure() -> None:
    library = pytest.importorskip("docx")
    before, after = (
        library.Document(BytesIO(data)) for data in (WHOLE, rendered(read(WHOLE, None, "de")))
    )

    def structure(document: object) -> list[object]:
        return [
            ("table", [[cell.text.upper() for cell in row.cells] for row in block.rows])
            if hasattr(block, "rows")
            else [(run.text.upper(), run.bold) for run in block.runs]
            for block in document.iter_inner_content()  # type: ignore[attr-defined]
        ]

    assert structure(before) == structure(after)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("soffice"), reason="needs LibreOffice")
def test_libreoffice_opens_the_output(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(rendered(read(WHOLE, None, "de")))
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless"]
    arguments = ["--convert-to", "txt:Text", "--outdir", str(tmp_path), str(tmp_path / "a.docx")]
    subprocess.run([*command, *arguments], check=True, capture_output=True, timeout=120)
    text = (tmp_path / "a.txt").read_text("utf-8-sig")
    for expected in ("THE HOUSE", "NAME", "WE SEE IT"):
        assert expected in text
