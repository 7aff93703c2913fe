"""XLIFF 1.2 and 2: targets are filled, and all else stays byte for byte."""

from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from helpers.document_translators import backwards, rendered, same, shout, texts, untagged
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.document import State, UnitTranslation
from seq2seq.documents.xliff import read
from seq2seq.errors import Seq2SeqError

HEAD_1 = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<xliff xmlns="urn:oasis:names:tc:xliff:document:1.2" version="1.2">\n'
    '<file original="a" source-language="en" datatype="plaintext"{}>\n<body>\n'
)
END_1 = "\n</body>\n</file>\n</xliff>\n"
HEAD_2 = (
    '<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en"{}>\n'
    '<file id="f">\n'
)
END_2 = "\n</file>\n</xliff>\n"
STATE_1 = 'state="needs-review-translation" state-qualifier="leveraged-mt"'
STATE_2 = 'state="translated" subState="seq2seq:needs-review"'


def xliff_1(body: str, attributes: str = ' target-language="de"') -> bytes:
    return (HEAD_1.format(attributes) + body + END_1).encode()


def xliff_2(body: str, attributes: str = ' trgLang="de"') -> bytes:
    return (HEAD_2.format(attributes) + body + END_2).encode()


@pytest.mark.parametrize(
    ("unit", "unit_texts", "expected"),
    [
        (
            '<trans-unit id="1">\n  <source>Open &amp; close</source>\n</trans-unit>',
            ["Open & close"],
            '<trans-unit id="1">\n  <source>Open &amp; close</source>\n'
            f"  <target {STATE_1}>OPEN &amp; CLOSE</target>\n</trans-unit>",
        ),
        (
            '<trans-unit id="1"><source>One <g id="1">big</g> <x id="2"/>house</source>'
            "</trans-unit>",
            ["One <g1>big</g1> <g2/>house"],
            '<trans-unit id="1"><source>One <g id="1">big</g> <x id="2"/>house</source>'
            f'<target {STATE_1}>ONE <g id="1">BIG</g> <x id="2"/>HOUSE</target></trans-unit>',
        ),
        (
            '<trans-unit id="1"><source>A <bpt id="1">&lt;b></bpt>big<ept id="1">&lt;/b></ept> '
            "dog</source></trans-unit>",
            ["A <g1>big</g1> dog"],
            '<trans-unit id="1"><source>A <bpt id="1">&lt;b></bpt>big<ept id="1">&lt;/b></ept> '
            f'dog</source><target {STATE_1}>A <bpt id="1">&lt;b></bpt>BIG<ept id="1">&lt;/b></ept> '
            "DOG</target></trans-unit>",
        ),
        (
            '<trans-unit id="1"><source>a</source><target state="new"/></trans-unit>',
            ["a"],
            f'<trans-unit id="1"><source>a</source><target {STATE_1}>A</target></trans-unit>',
        ),
        (
            '<trans-unit id="1" approved="yes"><source>a</source><target>b</target>'
            "<alt-trans><source>a</source><target>c</target></alt-trans></trans-unit>",
            ["a"],
            '<trans-unit id="1" approved="no"><source>a</source>'
            f"<target {STATE_1}>A</target>"
            "<alt-trans><source>a</source><target>c</target></alt-trans></trans-unit>",
        ),
        (
            '<trans-unit id="1"><source><![CDATA[<b>a</b>]]></source></trans-unit>',
            ["<b>a</b>"],
            '<trans-unit id="1"><source><![CDATA[<b>a</b>]]></source>'
            f"<target {STATE_1}><![CDATA[<B>A</B>]]></target></trans-unit>",
        ),
        (
            '<trans-unit id="1"><source>One. Two.</source><seg-source><mrk mtype="seg" mid="0">One.'
            '</mrk> <mrk mtype="seg" mid="1">Two.</mrk></seg-source></trans-unit>',
            ["One.", "Two."],
            '<trans-unit id="1"><source>One. Two.</source><seg-source><mrk mtype="seg" mid="0">One.'
            '</mrk> <mrk mtype="seg" mid="1">Two.</mrk></seg-source>'
            f'<target {STATE_1}><mrk mtype="seg" mid="0">ONE.</mrk> '
            '<mrk mtype="seg" mid="1">TWO.</mrk></target></trans-unit>',
        ),
        (
            '<trans-unit id="1"><source>See <ph id="1">[img alt="<sub>a dog</sub>"]</ph> now'
            "</source></trans-unit>",
            ["See <g1/> now", "a dog"],
            '<trans-unit id="1"><source>See <ph id="1">[img alt="<sub>a dog</sub>"]</ph> now'
            f'</source><target {STATE_1}>SEE <ph id="1">[img alt="<sub>A DOG</sub>"]</ph> NOW'
            "</target></trans-unit>",
        ),
        (
            '<trans-unit id="1"><source>Ask <mrk mtype="protected">Kalo</mrk>, '
            '<mrk mtype="term">friend</mrk></source></trans-unit>',
            ["Ask <g1/>, <g2>friend</g2>"],
            '<trans-unit id="1"><source>Ask <mrk mtype="protected">Kalo</mrk>, '
            f'<mrk mtype="term">friend</mrk></source><target {STATE_1}>ASK '
            '<mrk mtype="protected">Kalo</mrk>, <mrk mtype="term">FRIEND</mrk></target>'
            "</trans-unit>",
        ),
    ],
)
def test_xliff_1_gets_the_target_after_the_source(
    unit: str, unit_texts: list[str], expected: str
) -> None:
    document = read(xliff_1(unit), None, "de")
    assert texts(document) == unit_texts
    assert rendered(document) == xliff_1(expected)


@pytest.mark.parametrize(
    ("unit", "unit_texts", "expected"),
    [
        (
            '<unit id="1">\n <segment>\n  <source>a</source>\n </segment>\n</unit>',
            ["a"],
            f'<unit id="1">\n <segment {STATE_2}>\n  <source>a</source>\n  <target>A</target>\n'
            " </segment>\n</unit>",
        ),
        (
            '<unit id="1"><segment state="initial"><source>One <pc id="1">big</pc><ph id="2"/> '
            "dog</source><target>x</target></segment><ignorable><source> </source></ignorable>"
            '<segment><source><sc id="3"/>b<ec startRef="3"/> c</source></segment></unit>',
            ["One <g1>big</g1><g2/> dog", "<g1>b</g1> c"],
            f'<unit id="1"><segment {STATE_2}><source>One <pc id="1">big</pc><ph id="2"/> '
            'dog</source><target>ONE <pc id="1">BIG</pc><ph id="2"/> DOG</target></segment>'
            "<ignorable><source> </source></ignorable>"
            f'<segment {STATE_2}><source><sc id="3"/>b<ec startRef="3"/> c</source>'
            '<target><sc id="3"/>B<ec startRef="3"/> C</target></segment></unit>',
        ),
        (
            '<unit id="1"><segment><source>Ask <mrk id="m" translate="no">Kalo</mrk> '
            "now</source></segment></unit>",
            ["Ask <g1/> now"],
            f'<unit id="1"><segment {STATE_2}><source>Ask <mrk id="m" translate="no">Kalo</mrk> '
            'now</source><target>ASK <mrk id="m" translate="no">Kalo</mrk> NOW</target></segment>'
            "</unit>",
        ),
    ],
)
def test_xliff_2_gets_the_target_in_each_segment(
    unit: str, unit_texts: list[str], expected: str
) -> None:
    document = read(xliff_2(unit), None, "de")
    assert texts(document) == unit_texts
    assert rendered(document) == xliff_2(expected)


@pytest.mark.parametrize(
    "data",
    [
        xliff_1('<group translate="no"><trans-unit id="1"><source>a</source></trans-unit></group>'),
        xliff_1('<trans-unit id="1" translate="no"><source>a</source></trans-unit>'),
        xliff_1('<trans-unit id="1"><source>1 <x id="1"/></source></trans-unit>'),
        xliff_2('<group translate="no"><unit id="1"><segment><source>a</source></segment></unit>'
                "</group>"),
        xliff_2('<unit id="1"><segment><source/></segment></unit>'),
        xliff_2('<unit id="1"><ignorable><source>a</source></ignorable></unit>'),
    ],
)  # fmt: skip
def test_what_is_not_to_be_translated_is_no_unit(data: bytes) -> None:
    assert texts(read(data, None, "de")) == []


def test_translate_yes_inside_of_no_is_translated() -> None:
    body = (
        '<group translate="no"><unit id="1" translate="yes"><segment><source>a</source></segment>'
        "</unit></group>"
    )
    assert texts(read(xliff_2(body), None, "de")) == ["a"]


@pytest.mark.parametrize(
    ("attributes", "target", "state"),
    [
        ("", "<target>b</target>", State.TRANSLATED),
        ("", "<target/>", State.UNTRANSLATED),
        ("", "", State.UNTRANSLATED),
        ("", '<target state="new">b</target>', State.UNTRANSLATED),
        ("", '<target state="needs-review-translation">b</target>', State.NEEDS_REVIEW),
        ("", '<target state="final">b</target>', State.TRANSLATED),
        (' approved="no"', "<target>b</target>", State.NEEDS_REVIEW),
        (' approved="yes"', "<target>b</target>", State.TRANSLATED),
    ],
)
def test_xliff_1_tells_the_state(attributes: str, target: str, state: State) -> None:
    body = f'<trans-unit id="1"{attributes}><source>a</source>{target}</trans-unit>'
    (unit,) = read(xliff_1(body), None, "de").units
    assert unit.state is state
    assert unit.translation == ("b" if "b<" in target else "")


@pytest.mark.parametrize(
    ("attributes", "state"),
    [
        ("", State.NEEDS_REVIEW),
        (' state="initial"', State.NEEDS_REVIEW),
        (' state="translated"', State.TRANSLATED),
        (f" {STATE_2}", State.NEEDS_REVIEW),
        (' state="final"', State.TRANSLATED),
    ],
)
def test_xliff_2_tells_the_state(attributes: str, state: State) -> None:
    body = (
        f'<unit id="1"><segment{attributes}><source>a</source><target>b</target></segment></unit>'
    )
    (unit,) = read(xliff_2(body), None, "de").units
    assert unit.state is state


def test_an_existing_translation_has_the_tags_of_the_text() -> None:
    body = (
        '<trans-unit id="1"><source><g id="1">One</g> <x id="3"/>of <g id="2">two</g></source>'
        '<target><g id="2">Zwei</g>,<x id="9"/> <g id="1">eins</g><x id="3"/></target></trans-unit>'
    )
    (unit,) = read(xliff_1(body), None, "de").units
    assert unit.text == "<g1>One</g1> <g2/>of <g3>two</g3>"
    assert unit.translation == "<g3>Zwei</g3>, <g1>eins</g1>"


def test_limits_and_notes_come_with_the_unit() -> None:
    first = (
        '<trans-unit id="1" resname="menu.open" maxwidth="12" size-unit="char"><source>a</source>'
        "<note>A verb</note></trans-unit>"
        '<trans-unit id="2" maxwidth="12"><source>a</source></trans-unit>'
    )
    second = (
        '<unit id="1" xmlns:s="urn:oasis:names:tc:xliff:sizerestriction:2.0" '
        's:sizeRestriction="2,8"><notes><note>A noun</note></notes><segment><source>a</source>'
        "</segment></unit>"
    )
    unit, pixels = read(xliff_1(first), None, "de").units
    assert (unit.context, unit.max_length, pixels.max_length) == ("menu.open: A verb", 12, None)
    (unit,) = read(xliff_2(second), None, "de").units
    assert (unit.context, unit.max_length) == ("1: A noun", 8)


@pytest.mark.parametrize(
    ("data", "attribute"),
    [
        (xliff_1('<trans-unit id="1"><source>a</source></trans-unit>', ""), 'target-language="de"'),
        (xliff_1('<trans-unit id="1"><source>a</source></trans-unit>', ' target-language="fr"'),
         'target-language="de"'),
        (xliff_2('<unit id="1"><segment><source>a</source></segment></unit>', ""), 'trgLang="de"'),
    ],
)  # fmt: skip
def test_the_target_language_is_set_where_there_is_none(data: bytes, attribute: str) -> None:
    document = read(data, None, "de")
    assert attribute in rendered(document).decode()
    assert same(document) == data


def test_a_file_with_translations_to_another_language_is_refused() -> None:
    unit = '<trans-unit id="1"><source>a</source><target>b</target></trans-unit>'
    with pytest.raises(Seq2SeqError, match="has translations into fr, not into de"):
        read(xliff_1(unit, ' target-language="fr"'), None, "de")
    assert read(xliff_1(unit, ' target-language="de-AT"'), None, "de").units


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (xliff_1('<trans-unit id="1">\n<source>a</source>\n</trans-unit>'),
         '</target>\n<note from="seq2seq">confidence 87%; numbers</note>'),
        (xliff_2('<unit id="1">\n<segment><source>a</source></segment>\n</unit>'),
         '<unit id="1">\n<notes><note category="seq2seq">confidence 87%; numbers</note></notes>\n'),
        (xliff_2('<unit id="1"><notes><note>x</note></notes><segment><source>a</source></segment>'
                 "</unit>"),
         '<note>x</note><note category="seq2seq">confidence 87%; numbers</note></notes>'),
    ],
)  # fmt: skip
def test_confidence_and_notes_are_written_once(data: bytes, note: str) -> None:
    once = read(data, None, "de").render(
        [UnitTranslation("b", 0.874, State.NEEDS_REVIEW, ("numbers",))]
    )
    assert note in once.decode()
    again = read(once, None, "de")
    assert again.units[0].state is State.NEEDS_REVIEW
    assert "confidence" not in again.units[0].context
    twice = again.render([UnitTranslation("c", 0.5, State.NEEDS_REVIEW, ("new",))]).decode()
    assert "confidence 50%; new" in twice
    assert "87" not in twice
    assert "confidence" not in again.render([UnitTranslation("c")]).decode()


def test_a_variable_stands_for_a_word() -> None:
    first = '<trans-unit id="1"><source>Hi <x id="1" equiv-text="{{name}}"/>!</source></trans-unit>'
    second = '<unit id="1"><segment><source>Hi <ph id="1" disp="%s"/>!</source></segment></unit>'
    for data in (xliff_1(first), xliff_2(second)):
        document = read(data, None, "de")
        assert texts(document) == ["Hi {g1}!"]
        assert b"HI <" in rendered(document)


def test_what_needs_no_review_has_no_note() -> None:
    translation = UnitTranslation("b", 0.5, State.TRANSLATED, ("numbers",))
    unit = '<trans-unit id="1"><source>a</source></trans-unit>'
    output = read(xliff_1(unit), None, "de").render([translation]).decode()
    assert '<target state="translated" state-qualifier="leveraged-mt">b</target></trans' in output
    unit = f'<unit id="1"><segment {STATE_2}><source>a</source></segment></unit>'
    output = read(xliff_2(unit), None, "de").render([translation]).decode()
    assert '<unit id="1"><segment state="translated"><source>a</source><target>b</' in output


def test_a_segment_without_translation_keeps_what_it_has() -> None:
    body = (
        '<trans-unit id="1"><source>One. Two. Three.</source><seg-source><mrk mtype="seg" mid="0">'
        'One.</mrk> <mrk mtype="seg" mid="1">Two.</mrk> <mrk mtype="seg" mid="2">Three.</mrk>'
        '</seg-source><target><mrk mtype="seg" mid="0">Eins &amp; <x id="1"/></mrk></target>'
        "</trans-unit>"
    )
    document = read(xliff_1(body), None, "de")
    assert [unit.translation for unit in document.units] == ["Eins &", "", ""]
    output = document.render([None, UnitTranslation("Zwei."), None]).decode()
    assert (
        '<mrk mtype="seg" mid="0">Eins &amp; <x id="1"/></mrk> <mrk mtype="seg" mid="1">Zwei.</mrk>'
        ' <mrk mtype="seg" mid="2"></mrk></target>'
    ) in output


def test_white_space_is_kept_where_the_file_says_so() -> None:
    unit = '<trans-unit id="1"{}><source>\n  One\n  two </source></trans-unit>'
    assert texts(read(xliff_1(unit.format("")), None, "de")) == ["One two"]
    document = read(xliff_1(unit.format(' xml:space="preserve"')), None, "de")
    assert texts(document) == ["One\n  two"]
    assert ">\n  ONE\n  TWO </target>" in rendered(document).decode()


@pytest.mark.parametrize(
    "data",
    [b"", b"a", b"<a/>", b"<xliff>", xliff_1("")[:-9]],
)
def test_what_is_no_xliff_is_told(data: bytes) -> None:
    with pytest.raises(Seq2SeqError, match=r"^(is|has|defines) .*\.$"):
        read(data, None, "de")


_INLINE_1 = st.sampled_from([
    "One ", "two, ", "&amp; three ", "&#xe9; ", " ", "\n", '<x id="1"/>', '<g id="2">', "</g>",
    '<bx id="3"/>', '<ex id="3"/>', '<bpt id="4">&lt;</bpt>', '<ept id="4">></ept>', "<!-- c -->",
    '<ph id="5">{<sub>four</sub>}</ph>', '<mrk mtype="x">', "</mrk>", "<![CDATA[<p>five</p>]]>",
])  # fmt: skip
_INLINE_2 = st.sampled_from([
    "One ", "two, ", "&lt;three> ", '<ph id="1"/>', '<pc id="2">', "</pc>", '<sc id="3"/>',
    '<ec startRef="3"/>', '<cp hex="0001"/>', '<mrk id="m">', "</mrk>", '<sm id="4"/>',
    '<em startRef="4"/>',
])  # fmt: skip


def _nested(parts: list[str]) -> str:
    """The parts without end tags that have no start tag, and with those that lack."""
    written, open_ = list[str](), list[str]()
    for part in parts:
        name = part.strip("</>").split()[0] if part.startswith("<") else ""
        if part.startswith("</"):
            if not open_ or open_[-1] != name:
                continue
            open_.pop()
        elif name in ("g", "mrk", "pc"):
            open_.append(name)
        written.append(part)
    return "".join([*written, *(f"</{name}>" for name in reversed(open_))])


_FILES = st.one_of(
    st.lists(_INLINE_1).map(_nested).map(
        lambda text: xliff_1(f'<trans-unit id="1"><source>{text}</source></trans-unit>', "")
    ),
    st.lists(_INLINE_2).map(_nested).map(
        lambda text: xliff_2(f'<unit id="1"><segment><source>{text}</source></segment></unit>', "")
    ),
)  # fmt: skip


@given(_FILES)
def test_what_is_translated_to_itself_is_the_same_byte_for_byte(data: bytes) -> None:
    document = read(data, None, "de")
    assert same(document) == data
    assert document.render([None] * len(document.units)) == data


@given(_FILES, st.sampled_from([shout, backwards, untagged]))
def test_the_target_has_every_code_of_the_source_whatever_the_translation(
    data: bytes, translate: Callable[[str], str]
) -> None:
    document = read(data, None, "de")
    tree = ElementTree.fromstring(rendered(document, translate))
    names = {element.tag.split("}")[1]: element for element in tree.iter()}
    if document.units and "target" in names:
        source, target = (
            sorted((code.tag, *code.attrib.items()) for code in [*names[side].iter()][1:])
            for side in ("source", "target")
        )
        assert source == target


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_the_encoding_stays(encoding: str) -> None:
    unit = '<trans-unit id="1"><source>caf\xe9</source></trans-unit>'
    data = xliff_1(unit).decode().replace("UTF-8", encoding).encode(encoding)
    output = rendered(read(data, None, "de"), lambda _: "Café 漢")
    assert output.startswith(data[:200])
    assert "".join(ElementTree.fromstring(output).itertext()).strip() == "caféCafé 漢"


@pytest.mark.parametrize(
    ("match", "state", "marks"),
    [
        (None, State.TRANSLATED, 'state="translated" state-qualifier="leveraged-mt"'),
        (1.0, State.TRANSLATED, 'state="translated" state-qualifier="exact-match"'),
        (0.8, State.NEEDS_REVIEW,
         'state="needs-review-translation" state-qualifier="fuzzy-match"'),
    ],
)  # fmt: skip
def test_the_qualifier_tells_matches_of_a_memory_from_machine_translation(
    match: float | None, state: State, marks: str
) -> None:
    document = read(xliff_1('<trans-unit id="1"><source>a</source></trans-unit>'), None, "de")
    output = document.render([UnitTranslation("b", None, state, (), match)]).decode()
    assert f"<target {marks}>b</target>" in output
