"""TMX: units get a variant in the target language."""

from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from helpers.document_translators import backwards, rendered, same, shout, texts, untagged
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.document import State, UnitTranslation
from seq2seq.documents.tmx import read
from seq2seq.errors import Seq2SeqError


def tmx(body: str, language: str = "en") -> bytes:
    return (
        '<?xml version="1.0"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4">\n'
        '<header creationtool="t" creationtoolversion="1" segtype="sentence" o-tmf="x" '
        f'adminlang="en" srclang="{language}" datatype="plaintext"/>\n<body>\n{body}\n</body>\n'
        "</tmx>"
    ).encode()


@pytest.mark.parametrize(
    ("unit", "unit_texts", "expected"),
    [
        (
            '<tu>\n  <tuv xml:lang="en-US">\n    <seg>a &amp; b</seg>\n  </tuv>\n</tu>',
            ["a & b"],
            '<tu>\n  <tuv xml:lang="en-US">\n    <seg>a &amp; b</seg>\n  </tuv>'
            '\n  <tuv xml:lang="de">\n    <note>seq2seq: needs review</note>'
            "\n    <seg>A &amp; B</seg>\n  </tuv>\n</tu>",
        ),
        (
            '<tu><tuv lang="EN"><seg>a</seg></tuv><tuv lang="fr"><seg>b</seg></tuv></tu>',
            ["a"],
            '<tu><tuv lang="EN"><seg>a</seg></tuv><tuv lang="fr"><seg>b</seg></tuv>'
            '<tuv lang="de"><note>seq2seq: needs review</note><seg>A</seg></tuv></tu>',
        ),
        (
            '<tu><tuv xml:lang="en"><seg>a</seg></tuv><tuv xml:lang="de-DE"><seg/></tuv></tu>',
            ["a"],
            '<tu><tuv xml:lang="en"><seg>a</seg></tuv><tuv xml:lang="de-DE">'
            "<note>seq2seq: needs review</note><seg>A</seg></tuv></tu>",
        ),
        (
            '<tu><tuv xml:lang="en"><seg>A <bpt i="1">&lt;b></bpt>big<ept i="1">&lt;/b></ept> dog'
            '<ph x="2">[<sub>see</sub>]</ph> <hi>here</hi></seg></tuv></tu>',
            ["A <g1>big</g1> dog<g2/> <g3>here</g3>", "see"],
            '<tu><tuv xml:lang="en"><seg>A <bpt i="1">&lt;b></bpt>big<ept i="1">&lt;/b></ept> dog'
            '<ph x="2">[<sub>see</sub>]</ph> <hi>here</hi></seg></tuv><tuv xml:lang="de">'
            '<note>seq2seq: needs review</note><seg>A <bpt i="1">&lt;b></bpt>BIG<ept i="1">&lt;/b>'
            '</ept> DOG<ph x="2">[<sub>SEE</sub>]</ph> <hi>HERE</hi></seg></tuv></tu>',
        ),
        ('<tu><tuv xml:lang="fr"><seg>a</seg></tuv></tu>',
         [], '<tu><tuv xml:lang="fr"><seg>a</seg></tuv></tu>'),
    ],
)  # fmt: skip
def test_a_variant_in_the_target_language_is_filled_or_added(
    unit: str, unit_texts: list[str], expected: str
) -> None:
    document = read(tmx(unit), None, "de")
    assert texts(document) == unit_texts
    assert rendered(document) == tmx(expected)
    assert same(document) == tmx(unit)


def test_what_has_a_translation_is_told_with_its_state() -> None:
    unit = '<tu tuid="7"><note>x</note><tuv xml:lang="en"><seg>a</seg></tuv>{}</tu>'
    (read_unit,) = read(tmx(unit.format('<tuv xml:lang="de"><seg>b</seg></tuv>')), None, "de").units
    assert (read_unit.translation, read_unit.state) == ("b", State.TRANSLATED)
    assert read_unit.context == "7: x"
    draft = UnitTranslation("c", 0.5, State.NEEDS_REVIEW)
    once = read(tmx(unit.format("")), None, "de").render([draft])
    assert b"<note>seq2seq: needs review; confidence 50%</note><seg>c</seg>" in once
    again = read(once, None, "de")
    assert again.units[0].state is State.NEEDS_REVIEW
    final = again.render([UnitTranslation("d")])
    assert final == tmx(unit.format('<tuv xml:lang="de"><seg>d</seg></tuv>'))


def test_the_source_is_that_of_the_option_the_unit_or_the_file() -> None:
    unit = (
        '<tu{}><tuv xml:lang="en"><seg>a</seg></tuv><tuv xml:lang="fr-FR"><seg>b</seg></tuv></tu>'
    )
    assert texts(read(tmx(unit.format("")), "fr", "de")) == ["b"]
    assert texts(read(tmx(unit.format(' srclang="fr"')), None, "de")) == ["b"]
    assert texts(read(tmx(unit.format("")), None, "de")) == ["a"]
    with pytest.raises(Seq2SeqError, match="does not state its source language"):
        read(tmx(unit.format(""), "*all*"), None, "de")


@pytest.mark.parametrize("data", [b"", b"<a/>", b"<tmx>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><tmx/>"])
def test_what_is_no_tmx_is_told(data: bytes) -> None:
    with pytest.raises(Seq2SeqError, match=r"^(is|has|defines) .*\.$"):
        read(data, None, "de")


_SEGMENTS = st.lists(
    st.sampled_from([
        "One ", "two, ", "&amp;", "\n  ", '<bpt i="1">&lt;</bpt>', '<ept i="1">&gt;</ept>',
        '<bpt i="2"/>', '<ept i="2"/>', '<ph x="3">{<sub>three</sub>}</ph>', "<hi>four</hi>",
        '<it pos="begin">x</it>', "<!-- c -->",
    ])
).map("".join)  # fmt: skip


@given(_SEGMENTS, st.sampled_from([shout, backwards, untagged]))
def test_the_new_segment_has_every_code_whatever_the_translation(
    segment: str, translate: Callable[[str], str]
) -> None:
    data = tmx(f'<tu><tuv xml:lang="en"><seg>{segment}</seg></tuv></tu>')
    document = read(data, None, "de")
    assert same(document) == data
    source, *rest = ElementTree.fromstring(rendered(document, translate)).iter("seg")
    for target in rest:
        codes, own = (
            sorted((code.tag, *code.attrib.items()) for code in element.iter())
            for element in (source, target)
        )
        assert codes == own
