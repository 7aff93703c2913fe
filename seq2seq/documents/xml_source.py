"""XML that keeps its bytes: a tree of nodes with their places, and edits at such places.

expat parses the document and gives the places. Entities that a document defines, and anything
external, are refused, so what is read is never larger than the file. Internally the document is
UTF-8; its own encoding and byte order mark are restored when it is rendered.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.entities import html5
from itertools import islice
from typing import NamedTuple
from xml.parsers import expat

from seq2seq.documents.document import TextUnit, UnitTranslation
from seq2seq.documents.encoding import Encoding, decode
from seq2seq.documents.spliced_document import has_words
from seq2seq.documents.tagged_text import Mark, Role, TaggedText
from seq2seq.errors import Seq2SeqError

MOST_BYTES = 100 * 1024**2
_MOST_NODES = 3_000_000
_DEEPEST = 200
_AT_ONCE = 10_000  # characters searched for words at a time
_DECLARED = re.compile(rb"""<\?xml[^>]{1,100}?\sencoding\s*=\s*["']([A-Za-z][\w.-]{0,40})["']""")
_UTF16 = {b"<\0?\0": "utf-16-le", b"\0<\0?": "utf-16-be"}  # without a byte order mark
_LONGEST_TAG = 1_000_000
_LONG_TAG = re.compile(rb"<[^<>!?][^<>]{%d}" % _LONGEST_TAG)  # expat takes quadratic time for it
_TAG = re.compile(rb"""<[^>"']+(?:(?:"[^"]*"|'[^']*')[^>"']*)*>""")
_TAG_NAME = re.compile(r"</?([^\s/>]+)")
_ATTRIBUTE = re.compile(r"""(?<!\s)\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")
_REFERENCE = re.compile(r"&(?:#(\d{1,7})|#x([\dA-Fa-f]{1,6})|(\w{1,32}));")
_ILLEGAL = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
_SPACE = " \t\r\n"
_SPACES = re.compile(f"[\t\r\n][{_SPACE}]*| [{_SPACE}]+")  # anything but a single space
_QUOTED = re.compile("\x00(\\d+):(\\d+)\x00")


_NO_ATTRIBUTES: Mapping[str, str] = {}


@dataclass(slots=True, eq=False)
class Element:
    """An element: its start tag ends at `inner_start`, its end tag begins at `inner_end`."""

    name: str
    attributes: Mapping[str, str]
    parent: "Element | None"
    start: int
    inner_start: int
    inner_end: int = 0
    end: int = 0
    children: "list[Element | TextNode | Other]" = field(default_factory=list)

    def elements(self, *names: str) -> "Iterator[Element]":
        """Yield the child elements, or only those with the given names."""
        for child in self.children:
            if isinstance(child, Element) and (not names or child.name in names):
                yield child

    def first(self, name: str) -> "Element | None":
        """Return the first child with a name, or None."""
        return next(self.elements(name), None)

    def descendants(self, *names: str) -> "Iterator[Element]":
        """Yield the elements inside, at any depth, in the order of the document."""
        remaining = [*self.elements()][::-1]
        while remaining:
            element = remaining.pop()
            if not names or element.name in names:
                yield element
            remaining += [*element.elements()][::-1]

    def inherited(self, attribute: str) -> str | None:
        """Return the attribute of the element, or of the nearest ancestor that has it."""
        element: Element | None = self
        while element:
            if attribute in element.attributes:
                return element.attributes[attribute]
            element = element.parent
        return None

    @property
    def text(self) -> str:
        """The text directly inside."""
        return "".join(child.value for child in self.children if isinstance(child, TextNode))


@dataclass(slots=True, eq=False)
class TextNode:
    """Text between tags, or a CDATA section with its delimiters."""

    value: str
    start: int
    end: int
    is_cdata: bool


@dataclass(slots=True, eq=False)
class Other:
    """A comment, a processing instruction, or a reference to an unknown entity."""

    start: int
    end: int


Node = Element | TextNode | Other


class Edit(NamedTuple):
    """Markup that replaces what is between two places; it may contain what `quote` returns."""

    start: int
    end: int
    markup: str


class XmlSource:
    """An XML document, with the place of each of its nodes.

    Names are local names with the prefix that `prefixes` gives to their namespace, whatever prefix
    the document uses: with `{"urn:w": "w"}`, `w:p`. The prefix "" gives the local name alone; a
    namespace that is not listed is written out before the name, followed by a space.
    """

    def __init__(self, data: bytes, prefixes: Mapping[str, str]) -> None:
        if len(data) > MOST_BYTES:
            raise Seq2SeqError(f"has XML of more than {MOST_BYTES // 1024**2} MiB.")
        text, self._encoding = decode_xml(data)
        self._utf8 = text.encode()
        if _LONG_TAG.search(self._utf8):
            raise Seq2SeqError(f"has a tag of more than {_LONGEST_TAG} bytes.")
        self.root = _Reader(self._utf8, prefixes).read()

    def raw(self, start: int, end: int) -> str:
        """Return the markup between two places."""
        return self._utf8[start:end].decode()

    def start_tag(self, element: Element) -> str:
        """Return the start tag as written."""
        return self.raw(element.start, element.inner_start)

    def end_tag(self, element: Element) -> str:
        """Return the end tag as written; "" for an empty-element tag."""
        return self.raw(element.inner_end, element.end)

    def written_name(self, element: Element) -> str:
        """Return the name with the prefix that the document uses."""
        match = _TAG_NAME.match(self.start_tag(element))
        assert match  # it is a start tag
        return match[1]

    def name_beside(self, element: Element, local_name: str) -> str:
        """Return `local_name` with the written prefix of `element`'s namespace."""
        prefix, colon, _ = self.written_name(element).rpartition(":")
        return f"{prefix}{colon}{local_name}"

    def space_before(self, node: Node, parent: Element) -> str:
        """Return the white space before a child: a line end and indentation."""
        number = parent.children.index(node)
        before = parent.children[number - 1] if number else None
        if not isinstance(before, TextNode) or before.is_cdata or before.value.strip(_SPACE):
            return ""
        return self.raw(before.start, before.end)

    def set_attributes(self, element: Element, attributes: Mapping[str, str | None]) -> Edit:
        """Return the edit that sets attributes of an element, see `with_attributes`."""
        tag = with_attributes(self.start_tag(element), attributes)
        return Edit(element.start, element.inner_start, tag)

    def resolved(self, mark: Mark) -> Mark:
        """Return a mark with its quotes replaced by the markup that they stand for."""
        raw = _QUOTED.sub(lambda match: self.raw(int(match[1]), int(match[2])), mark.raw)
        return mark._replace(raw=raw)

    def render(self, edits: Iterable[Edit]) -> bytes:
        """Return the edited document; an edit inside another is made in what the other quotes."""
        ordered = sorted(edits, key=lambda edit: (edit.start, edit.end > edit.start, -edit.end))
        starts = [edit.start for edit in ordered]

        def edited(start: int, end: int) -> str:
            parts = list[str]()
            place = start
            for number in range(bisect_left(starts, start), bisect_left(starts, end)):
                edit = ordered[number]
                is_before = edit.end == start > 0  # an insertion before the quoted range
                if edit.start >= place and edit.end <= end and not is_before:
                    parts.append(self.raw(place, edit.start))
                    parts.append(_QUOTED.sub(lambda m: edited(int(m[1]), int(m[2])), edit.markup))
                    place = edit.end
            return "".join([*parts, self.raw(place, end)])

        text = edited(0, len(self._utf8))
        return self._encoding.encode(text, "xmlcharrefreplace")

    def escapes(self, start: int, end: int) -> dict[int, str]:
        """Return a table for `escaped`, for text that replaces what is between two places.

        Characters that are always written as references there stay so.
        """
        raw = self.raw(start, end)
        bare = _REFERENCE.sub("", raw)
        table = {ord("&"): "&amp;", ord("<"): "&lt;"}
        for match in _REFERENCE.finditer(raw):
            character = _character(match)
            if len(character) == 1 and character not in bare:
                table.setdefault(ord(character), match[0])
        if "\r\n" in bare:
            table[ord("\n")] = "\r\n"
        return table

    def cdata(self, text: str) -> str:
        """Return a CDATA section, or escaped text if the encoding cannot represent it."""
        text = legal(text)
        try:
            self._encoding.encode(text)
        except UnicodeEncodeError:
            return escaped(text)
        return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"


class XmlText:
    """The text between two places of the source, with marks."""

    def __init__(
        self,
        source: XmlSource,
        nodes: Sequence[Node],
        parts: Sequence[str | Mark],
        *,
        keeps_space: bool = False,
        escape: Callable[[str], str] = str,
        elements: Mapping[str, str] | None = None,
    ) -> None:
        """Take the nodes that are to be replaced, and their `parts`.

        White space is collapsed to single spaces unless the element `keeps_space`. `escape` applies
        the format's own escapes, before those of XML. `elements` are written instead of characters.
        """
        self._escape = escape
        self._elements = {ord(key): element for key, element in (elements or {}).items()}
        self._source = source
        self._place = (nodes[0].start, nodes[-1].end) if nodes else (0, 0)
        self._is_cdata = is_cdata(nodes)
        self._keeps_space = keeps_space
        self._before, core, self._after = _trimmed(_with_whole_pairs(parts, self._elements))
        if not keeps_space:
            core = [part if isinstance(part, Mark) else _SPACES.sub(" ", part) for part in core]
        self.core = core
        self.tagged = TaggedText(core)
        bare = " ".join(part for part in core if isinstance(part, str))
        self.has_words = any(
            has_words(bare[start : start + _AT_ONCE]) for start in range(0, len(bare), _AT_ONCE)
        )

    @property
    def text(self) -> str:
        """The text for the translator."""
        return self.tagged.text

    def existing(self, nodes: Sequence[Node], parts: Sequence[str | Mark]) -> str:
        """Return an existing translation, in the same form as `text`."""
        translation = XmlText(self._source, nodes, parts, keeps_space=self._keeps_space)
        own = {self._source.resolved(mark): mark for mark in self.tagged.marks}
        return self.tagged.tagged(
            [
                part if isinstance(part, str) else own.get(self._source.resolved(part), part)
                for part in translation.core
            ]
        )

    def markup(self, translation: str) -> str:
        """Return a translation as markup, with its marks and the white space around it."""
        escapes = self._source.escapes(*self._place) | self._elements
        parts = [*self._before, *self.tagged.parts(translation), *self._after]
        return "".join(
            part.raw if isinstance(part, Mark) else self._written(self._escape(part), escapes)
            for part in parts
        )

    def _written(self, text: str, escapes: Mapping[int, str]) -> str:
        if self._is_cdata and text.strip(_SPACE):
            return self._source.cdata(text)
        return escaped(text, escapes)

    def edit(self, translation: str) -> Edit:
        """Return the edit that replaces the text by a translation."""
        return Edit(*self._place, self.markup(translation))

    def slots(self, context: str = "") -> "Iterator[XmlSlot]":
        """Yield the slot of this text alone, if it has words."""
        if self.has_words:
            unit = TextUnit(text=self.text, context=context)
            yield XmlSlot([unit], lambda given: [self.edit(given[0].text)] if given[0] else [])


class XmlSlot(NamedTuple):
    """Units that are written together, such as the segments of a paragraph."""

    units: Sequence[TextUnit]
    write: Callable[[Sequence[UnitTranslation | None]], Iterable[Edit]]
    """Return the edits that write the translations; None stands for a unit that stays."""


class XmlDocument:
    """An XML document made of slots, see `Document`."""

    def __init__(
        self, source: XmlSource, slots: Iterable[XmlSlot], settings: Sequence[Edit] = ()
    ) -> None:
        """Take the slots, and `settings`: edits that are made if anything is translated."""
        self._source = source
        self._slots = [*slots]
        self._settings = settings
        self.units: Sequence[TextUnit] = [unit for slot in self._slots for unit in slot.units]

    def render(
        self, translations: Sequence[UnitTranslation | None], is_changed: bool = False
    ) -> bytes:
        """Return the document with the translation of each unit in place; None leaves it.

        The settings are applied if this part has a translation, or if another one `is_changed`.
        """
        given = [
            translation if translation and is_new(unit, translation) else None
            for unit, translation in zip(self.units, translations, strict=True)
        ]
        remaining = iter(given)
        edits = dict[Edit, None]()  # without duplicates, such as setting the language
        for slot in self._slots:
            own = [*islice(remaining, len(slot.units))]
            if any(own):
                edits.update(dict.fromkeys(slot.write(own)))
        return self._source.render([*edits, *(self._settings if edits or is_changed else ())])


def is_new(unit: TextUnit, translation: UnitTranslation) -> bool:
    """Return whether a translation differs from what the document already has."""
    is_known = translation.text in (unit.text, unit.translation)
    return bool(translation.text.strip()) and not is_known


def inline_parts(
    source: XmlSource,
    nodes: Iterable[Node],
    role_of: Callable[[Element], tuple[Role, str] | None],
) -> list[str | Mark]:
    """Return the text and the marks of nodes.

    `role_of` returns the role and key of an element that is one mark: it stands alone or for a
    word, or it opens or closes a pair, whose other half has the same key. For None, the element's
    two tags are marks around its content.
    """
    parts = [*_inline_parts(source, nodes, role_of)]
    alone = _unnested([mark for mark in parts if isinstance(mark, _KeyedMark)])
    return [
        part if isinstance(part, str) else Mark(part.raw) if part.number in alone else part.mark
        for part in parts
    ]


class _KeyedMark(NamedTuple):
    raw: str
    role: Role
    key: str
    is_tag: bool  # of an element whose content is read
    number: int  # its place in the source

    @property
    def mark(self) -> Mark:
        return Mark(self.raw, self.role)


def _inline_parts(
    source: XmlSource,
    nodes: Iterable[Node],
    role_of: Callable[[Element], tuple[Role, str] | None],
) -> Iterator[str | _KeyedMark]:
    for node in nodes:
        if isinstance(node, TextNode):
            yield node.value
            continue
        role, key = Role.STANDS_ALONE, ""
        if isinstance(node, Element):
            given = role_of(node)
            if given is None and node.children:
                key = f"<{node.start}"
                yield _KeyedMark(source.start_tag(node), Role.OPENS, key, True, node.start)
                yield from _inline_parts(source, node.children, role_of)
                yield _KeyedMark(source.end_tag(node), Role.CLOSES, key, True, node.inner_end)
                continue
            role, key = given or (role, key)
        yield _KeyedMark(quote(node), role, key, False, node.start)


def _unnested(marks: Sequence[_KeyedMark]) -> set[int]:
    """Return the numbers of opening and closing marks that have no partner or cross another."""
    alone = {mark.number for mark in marks if mark.role in (Role.OPENS, Role.CLOSES)}
    open_ = list[_KeyedMark]()
    for mark in marks:
        if mark.role is Role.OPENS:
            open_.append(mark)
        elif mark.role is Role.CLOSES:
            inside = 0
            while inside < len(open_) and open_[-1 - inside].key != mark.key:
                if open_[-1 - inside].is_tag and not mark.is_tag:
                    inside = len(open_)
                else:
                    inside += 1
            if inside < len(open_):
                partner = open_[-1 - inside]
                del open_[-1 - inside :]
                alone -= {partner.number, mark.number}
    return alone


def with_attributes(tag: str, attributes: Mapping[str, str | None]) -> str:
    """Return a start tag with attributes added or replaced; None removes one."""
    for name, value in attributes.items():
        attribute = "" if value is None else f" {name}={quoted(value)}"
        old = next((match for match in _ATTRIBUTE.finditer(tag) if match[1] == name), None)
        end = re.search(r"\s*/?>\Z", tag)
        assert end  # it is a tag
        start, stop = old.span() if old else (end.start(), end.start())
        tag = tag[:start] + attribute + tag[stop:]
    return tag


def quote(first: Node, last: Node | None = None) -> str:
    """Return a token that stands for a node, or for a range of nodes, in the markup of an edit.

    Edits inside the range are applied to it.
    """
    return f"\x00{first.start}:{(last or first).end}\x00"


def legal(text: str) -> str:
    """Remove characters that XML does not allow."""
    return _ILLEGAL.sub("", text)


def escaped(text: str, escapes: Mapping[int, str] | None = None) -> str:
    """Escape a text for XML, by `escapes`, or else no more than necessary."""
    text = legal(text).translate(escapes or {ord("&"): "&amp;", ord("<"): "&lt;"})
    return text.replace("]]>", "]]&gt;")


def quoted(value: str) -> str:
    """Return an attribute value with its quotation marks."""
    value = escaped(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
    return f'"{value}"'


def is_cdata(nodes: Iterable[Node]) -> bool:
    """Return whether all text of the nodes is in CDATA sections."""
    texts = [node for node in nodes if isinstance(node, TextNode) and node.value.strip(_SPACE)]
    return bool(texts) and all(text.is_cdata for text in texts)


def _with_whole_pairs(parts: Sequence[str | Mark], elements: Mapping[int, str]) -> list[str | Mark]:
    """Make each pair without text inside one mark; `elements` are written for its white space."""
    done = list[str | Mark]()
    open_ = list[int]()  # places of opening marks with no text after them
    for part in parts:
        if isinstance(part, str) and part.strip(_SPACE):
            open_ = []
        done.append(part)
        if isinstance(part, Mark) and part.role is Role.OPENS:
            open_.append(len(done) - 1)
        elif isinstance(part, Mark) and part.role is Role.CLOSES and open_:
            start = open_.pop()
            raw = "".join(
                inner.translate(elements) if isinstance(inner, str) else inner.raw
                for inner in done[start:]
            )
            done[start:] = [Mark(raw)]
    return done


def _trimmed(
    parts: Sequence[str | Mark],
) -> tuple[list[str | Mark], list[str | Mark], list[str | Mark]]:
    """Split off what surrounds the text: white space, single marks, and pairs around all of it."""
    core = [*parts]
    before, after = list[str | Mark](), list[str | Mark]()
    while core:
        for end, edge in ((0, before), (-1, after)):
            while core and (part := _edge(core[end], end)):
                edge.append(part)
                whole = core.pop(end)
                if isinstance(whole, str) and len(part) < len(whole):
                    rest = whole[: -len(part)] if end else whole[len(part) :]
                    core.insert(len(core) if end else 0, rest)
        if not _is_around(core):
            break
        before.append(core.pop(0))
        after.append(core.pop())
    return before, core, after[::-1]


def _edge(part: str | Mark, end: int) -> str | Mark:
    """Return the part of `part` at one end (0 or -1) that is not text: all, white space or none."""
    if isinstance(part, Mark):
        return part if part.role is Role.STANDS_ALONE else ""
    bare = part.strip(_SPACE)
    before, _, after = part.partition(bare) if bare else (part, "", part)
    return after if end else before


def _is_around(parts: Sequence[str | Mark]) -> bool:
    """Return whether the first and the last part are a pair of marks."""
    depth = 0
    for number, part in enumerate(parts):
        if isinstance(part, Mark):
            depth += (part.role is Role.OPENS) - (part.role is Role.CLOSES)
        if depth == 0:
            return number == len(parts) - 1 > 0
    return False


def decode_xml(data: bytes) -> tuple[str, Encoding]:
    """Decode XML; return its text and its encoding."""
    declared = _DECLARED.match(data)
    return decode(data, _UTF16.get(data[:4]) or (declared[1].decode() if declared else ""))


def _character(reference: re.Match[str]) -> str:
    decimal, hexadecimal, name = reference.groups()
    if name:
        return html5.get(f"{name};", "")
    number = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(number) if number < 0x11_0000 else ""


class _Reader:
    """Reads a document into a tree, using a parser that reports its position."""

    def __init__(self, utf8: bytes, prefixes: Mapping[str, str]) -> None:
        self._utf8 = utf8
        self._prefixes = prefixes
        self._open = [Element("", {}, None, 0, 0)]
        self._nodes = 0
        self._text = list[str]()
        self._text_start = 0
        self._is_cdata = False

    def read(self) -> Element:
        parser = self._parser = expat.ParserCreate("utf-8", " ")
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartCdataSectionHandler = self._start_cdata
        parser.EndCdataSectionHandler = self._end_cdata
        parser.CommentHandler = lambda _: self._other(b"-->")
        parser.ProcessingInstructionHandler = lambda *_: self._other(b"?>")
        parser.SkippedEntityHandler = self._entity
        parser.EntityDeclHandler = self._refuse_entities
        try:
            parser.Parse(self._utf8, True)
        except expat.ExpatError as error:
            raise Seq2SeqError(
                f"is not well-formed XML: {expat.ErrorString(error.code)}, in line {error.lineno}."
            ) from None
        root = next(self._open[0].elements())
        root.parent = None
        return root

    def _place(self) -> int:
        return self._parser.CurrentByteIndex

    def _start(self, name: str, attributes: Sequence[str]) -> None:
        self._end_text(self._place())
        if len(self._open) > _DEEPEST:
            raise Seq2SeqError(f"has elements nested more than {_DEEPEST} deep.")
        tag = _TAG.match(self._utf8, self._place())
        assert tag  # the parser has read it
        names = map(self._name, attributes[::2])
        values = dict(zip(names, attributes[1::2], strict=True)) if attributes else _NO_ATTRIBUTES
        element = Element(self._name(name), values, self._open[-1], *tag.span())
        self._add(element)
        self._open.append(element)

    def _end(self, name: str) -> None:
        place = self._place()
        self._end_text(place)
        element = self._open.pop()
        element.inner_end = element.end = place
        if self._utf8[element.inner_start - 2 : element.inner_start] != b"/>":
            element.end = self._utf8.index(b">", place) + 1

    def _characters(self, text: str) -> None:
        if not self._text and not self._is_cdata:
            self._text_start = self._place()
        self._text.append(text)

    def _entity(self, name: str, is_parameter: bool) -> None:
        if is_parameter:
            return
        if f"{name};" in html5:
            self._characters(html5[f"{name};"])
        else:
            self._other(b";")

    def _start_cdata(self) -> None:
        self._end_text(self._place())
        self._text_start, self._is_cdata = self._place(), True

    def _end_cdata(self) -> None:
        end = self._place() + len("]]>")
        self._add(TextNode("".join(self._text), self._text_start, end, True))
        self._text, self._is_cdata = [], False

    def _other(self, last: bytes) -> None:
        place = self._place()
        self._end_text(place)
        if len(self._open) > 1:
            self._add(Other(place, self._utf8.index(last, place) + len(last)))

    def _end_text(self, place: int) -> None:
        if self._text:
            self._add(TextNode("".join(self._text), self._text_start, place, False))
            self._text = []

    def _add(self, node: Node) -> None:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise Seq2SeqError(f"has more than {_MOST_NODES} elements and texts.")
        self._open[-1].children.append(node)

    def _name(self, name: str) -> str:
        namespace, _, local_name = name.rpartition(" ")
        if not namespace:
            return local_name
        if namespace == "http://www.w3.org/XML/1998/namespace":
            return f"xml:{local_name}"
        prefix = self._prefixes.get(namespace)
        if prefix is None:
            return name
        return f"{prefix}:{local_name}" if prefix else local_name

    def _refuse_entities(self, *_: object) -> None:
        raise Seq2SeqError("defines entities, which are not expanded.")
