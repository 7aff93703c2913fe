"""XML with the places of its nodes: edits alone change it, and what is hostile is refused."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.xml_source import Edit, Element, TextNode, XmlSource, quote, with_attributes
from seq2seq.errors import Seq2SeqError

ALL = (
    '<?xml version="1.0"?>\r\n<!DOCTYPE a PUBLIC "x" "y">\n<!-- c --><a b="1>2" c=\'"\' '
    'xmlns:w="urn:w"><w:p/>t&amp;x<b>é\r\ny</b><c></c><![CDATA[a<b]]>&nbsp;&foo;<!--q-->z<?pi x?>'
    "<d e='1' /></a>\n<!-- end -->"
)


@pytest.mark.parametrize(
    "data",
    [
        ALL.encode(),
        b"\xef\xbb\xbf" + ALL.encode(),
        ALL.encode("utf-16"),
        b"\xfe\xff" + ALL.encode("utf-16-be"),
        ALL.encode("utf-16-le"),
        ALL.replace("?>", " encoding='ISO-8859-1'?>", 1).encode("iso-8859-1"),
        ALL.replace("?>", ' encoding="windows-1252"?>', 1).encode("cp1252"),
        ALL.replace("é", "キ").replace("?>", ' encoding="Shift_JIS"?>', 1).encode("shift_jis"),
    ],
)
def test_every_node_has_its_place_and_the_bytes_stay(data: bytes) -> None:
    source = XmlSource(data, {"urn:w": "w"})
    children = source.root.children
    raws = [source.raw(child.start, child.end) for child in children]
    letter = "キ" if b"JIS" in data else "é"
    assert raws == [
        "<w:p/>", "t&amp;x", f"<b>{letter}\r\ny</b>", "<c></c>", "<![CDATA[a<b]]>", "&nbsp;",
        "&foo;", "<!--q-->", "z", "<?pi x?>", "<d e='1' />",
    ]  # fmt: skip
    assert [child.name for child in children if isinstance(child, Element)] == [
        "w:p", "b", "c", "d",
    ]  # fmt: skip
    assert source.root.text == "t&xa<b\u00a0z"
    assert source.render([]) == data
    assert source.render([Edit(0, 0, "")]) == data


def test_an_edit_comes_in_the_encoding_of_the_document() -> None:
    data = "<?xml version='1.0' encoding='iso-8859-1'?><a>é</a>".encode("iso-8859-1")
    source = XmlSource(data, {})
    (text,) = source.root.children
    output = source.render([Edit(text.start, text.end, "è 漢")])
    assert output == data.replace(b"\xe9", b"\xe8 &#28450;")


def test_edits_inside_of_what_an_edit_quotes_are_made_too() -> None:
    source = XmlSource(b"<a><b>1</b> <b>2</b></a>", {})
    first, _, last = source.root.children
    assert isinstance(first, Element)
    assert isinstance(last, Element)
    edits = [
        Edit(first.start, last.end, f"{quote(last)}-{quote(first)}"),
        Edit(first.inner_start, first.inner_end, "one"),
        Edit(last.inner_start, last.inner_end, "two"),
        Edit(first.start, first.start, "<!---->"),
    ]
    assert source.render(edits) == b"<a><!----><b>two</b>-<b>one</b></a>"


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("<a>", '<a x="1">'),
        ("<a />", '<a x="1" />'),
        ("<a y='2' x = '3'>", "<a y='2' x=\"1\">"),
        ("<a z='x=\"3\"'/>", '<a z=\'x="3"\' x="1"/>'),
        ('<a z="/>" x="3" y="4">', '<a z="/>" x="1" y="4">'),
    ],
)
def test_an_attribute_is_set_in_place_of_the_old_one(tag: str, expected: str) -> None:
    assert with_attributes(tag, {"x": "1"}) == expected
    assert " x=" not in with_attributes(expected, {"x": None})


_PARTS = st.lists(
    st.sampled_from([
        "<a>", "</a>", "<b c='>'/>", "<d e=\"'\">", "</d>", "text", "&amp;", "é", "\r\n",
        "<!--x-->", "<![CDATA[y]]>", "<![CDATA[]]>", "<?z?>", "&#233;",
    ])
).map("".join)  # fmt: skip


@given(_PARTS)
def test_places_are_those_of_the_nodes(inner: str) -> None:
    data = f"<r>{inner}</r>".encode()
    try:
        source = XmlSource(data, {})
    except Seq2SeqError:
        return
    open_ = [source.root]
    while open_:
        element = open_.pop()
        place = element.inner_start
        for child in element.children:
            assert child.start >= place
            assert source.raw(place, child.start) in ("", "<![CDATA[]]>")
            if isinstance(child, Element):
                assert source.raw(child.start, child.end).startswith(f"<{child.name}")
                assert source.raw(child.inner_end, child.end) in ("", f"</{child.name}>")
                open_.append(child)
            elif isinstance(child, TextNode) and not child.is_cdata:
                assert "<" not in source.raw(child.start, child.end)
            place = child.end


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no element found"),
        (b"<a>", "no element found"),
        (b"<a></b>", "mismatched tag"),
        (b"<a>&b;</a>", "undefined entity"),
        (b"<w:a/>", "unbound prefix"),
        (b"<a>\xff</a>", "byte 4 is not UTF-8"),
        (b"<?xml version='1.0' encoding='hex'?><a/>", "the encoding 'hex' is not known"),
        (b"<?xml version='1.0' encoding='cp99999'?><a/>", "the encoding 'cp99999' is not known"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "defines entities"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "defines entities"),
        (b'<!DOCTYPE a [<!ENTITY % b SYSTEM "http://localhost/">%b;]><a/>', "defines entities"),
        (b"<a>" * 10_000, "more than 200 deep"),
        (b"<a " + b'b="c" ' * 200_000 + b"/>", "has a tag of more than 1000000 bytes"),
        (b"<a>" + b"<b/>" * 1_001 + b"</a>", "more than 1000 elements"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(
    data: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seq2seq.documents.xml_source._MOST_NODES", 1_000)
    with pytest.raises(Seq2SeqError, match=message) as error:
        XmlSource(data, {})
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_an_entity_bomb_takes_no_memory() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 30))
    data = f'<!DOCTYPE a [<!ENTITY e0 "ha">{entities}]><a>&e29;</a>'.encode()
    tracemalloc.start()
    with pytest.raises(Seq2SeqError, match="defines entities"):
        XmlSource(data, {})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1_000_000


def test_a_document_type_outside_is_not_fetched_and_its_entities_stay() -> None:
    data = b'<!DOCTYPE a SYSTEM "http://localhost:9/x.dtd"><a>caf&eacute; &own; x</a>'
    source = XmlSource(data, {})
    assert source.root.text == "café  x"
    assert source.render([]) == data
