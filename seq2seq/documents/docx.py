"""DOCX, Word documents: paragraphs of the text, tables, text boxes, notes, headers and footers.

A paragraph is divided into runs by formatting, often for no reason that a reader sees. Adjacent
runs of equal formatting are joined; formatting that differs from the rest of the paragraph goes
with the words it was on. Everything else in a paragraph (links, fields, notes, drawings, bookmarks,
comments) is a mark, or stays around the text. Tracked insertions are translated, tracked deletions
stay. Part names, content types and elements are those of ECMA-376.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from seq2seq.documents.document import Document, TextUnit, UnitTranslation
from seq2seq.documents.tagged_text import Mark, Role
from seq2seq.documents.xml_source import (
    Edit,
    Element,
    Node,
    XmlDocument,
    XmlSlot,
    XmlSource,
    XmlText,
    escaped,
    quote,
)
from seq2seq.documents.zipped_document import ZippedDocument, ZipSource
from seq2seq.errors import Seq2SeqError

_NAMESPACES = {
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main": "w",
    "http://purl.oclc.org/ooxml/wordprocessingml/main": "w",
    "http://schemas.microsoft.com/office/word/2010/wordml": "w14",
}
_CONTENT_TYPES = {"http://schemas.openxmlformats.org/package/2006/content-types": ""}
_KINDS = ("main", "footnotes", "endnotes", "header", "footer")  # of parts, in reading order
_FORMAT_NOISE = ("w:lang", "w:noProof")  # run properties that a reader does not see
_CHARACTERS = {"w:tab": "\t", "w:cr": "\n", "w:noBreakHyphen": "\N{NON-BREAKING HYPHEN}"}
_DROPPED = ("w:rPr", "w:lastRenderedPageBreak", "w:softHyphen", "w:proofErr")
_DEEPEST_FIELD = 20
_CONTAINERS = (
    "w:hyperlink", "w:ins", "w:moveTo", "w:smartTag", "w:customXml", "w:dir", "w:bdo",
)  # fmt: skip
_FORM_FIELDS = (
    "w:dataBinding", "w:date", "w:dropDownList", "w:comboBox", "w14:checkbox", "w:picture",
    "w:citation",
)  # fmt: skip


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read a Word document."""
    archive = ZipSource(data)
    if "[Content_Types].xml" not in archive.names:
        raise Seq2SeqError("is not a Word document.")
    parts = dict[str, str]()  # names by content type
    types = archive.read_xml("[Content_Types].xml", _CONTENT_TYPES).root
    for override in types.elements("Override"):
        kind = override.attributes.get("ContentType", "").removesuffix("+xml").split(".")[-1]
        parts[override.attributes.get("PartName", "").lstrip("/")] = kind
    if "main" not in parts.values():
        raise Seq2SeqError("is not a Word document.")
    documents = dict[str, XmlDocument]()
    for kind in _KINDS:
        for name in (name for name, kind_of_part in parts.items() if kind_of_part == kind):
            xml = archive.read_xml(name, _NAMESPACES)
            if kind == "main" and xml.root.name != "w:document":
                raise Seq2SeqError("is not a Word document.")
            documents[name] = XmlDocument(xml, _slots(xml))
    for name in (
        name for name, kind in parts.items() if kind == "styles" and name in archive.names
    ):
        xml = archive.read_xml(name, _NAMESPACES)
        documents[name] = XmlDocument(xml, [], [*_language(xml, target)])
    return ZippedDocument(data, archive, documents)


def _language(xml: XmlSource, target: str) -> Iterator[Edit]:
    """Yield the edits that set the language of the text, for the spelling checker."""
    for defaults in xml.root.elements("w:docDefaults"):
        for language in defaults.descendants("w:lang"):
            yield xml.set_attributes(language, {xml.name_beside(language, "val"): target})


def _slots(xml: XmlSource) -> Iterator[XmlSlot]:
    for element in xml.root.descendants("w:p"):
        paragraph = _Paragraph(xml, element)
        if paragraph.text.has_words and not _is_bound(element.parent):
            unit = TextUnit(text=paragraph.text.text)
            yield XmlSlot([unit], paragraph.write)


class _Piece(NamedTuple):
    """A piece of a paragraph: formatted text, markup that stays, or an element with content."""

    text: str = ""
    formatting: str = ""  # as markup
    markup: str = ""  # that stays; of an element with content, its beginning
    inside: "Sequence[_Piece]" = ()
    end: str = ""  # the end of an element with content
    field: str = ""  # role of a field character: begin, separate or end
    instruction: str = ""  # of a field


class _Paragraph:
    """A paragraph as text with marks, which can be written again."""

    def __init__(self, xml: XmlSource, paragraph: Element) -> None:
        self._xml = xml
        prefix = xml.written_name(paragraph).removesuffix("p")
        self._run, self._text = f"{prefix}r", f"{prefix}t"
        self._end = f"</{self._text}></{self._run}>"
        self._starts = set[str]()  # of runs
        nodes = [
            node
            for node in paragraph.children
            if not (isinstance(node, Element) and node.name == "w:pPr")
        ]
        text = f'<{self._text} xml:space="preserve">'
        self._elements = {
            character: f"</{self._text}><{prefix}{name}/>{text}"
            for name, character in (("tab", "\t"), ("br", "\n"), ("noBreakHyphen", "\u2011"))
        }
        pieces = _with_fields([*self._pieces(nodes)], self._written)
        self._base = _main_formatting(pieces)
        parts = [*self._parts(pieces, self._base)]
        self.text = XmlText(xml, nodes, parts, keeps_space=True, elements=self._elements)

    def write(self, translations: Sequence[UnitTranslation | None]) -> Iterator[Edit]:
        """Yield the edit that replaces the text by its translation."""
        for translation in filter(None, translations):
            edit = self.text.edit(translation.text)
            markup = self._without_empty_runs(self._start(self._base) + edit.markup + self._end)
            yield edit._replace(
                markup=markup.replace(f'<{self._text} xml:space="preserve"></{self._text}>', "")
            )

    def _without_empty_runs(self, markup: str) -> str:
        *pieces, last = markup.split(self._end)
        kept = list[str]()
        for piece in pieces:
            start = piece.rfind(f"<{self._run}>")
            is_empty = start >= 0 and piece[start:] in self._starts
            kept.append(piece[:start] if is_empty else piece + self._end)
        return "".join([*kept, last])

    def _start(self, formatting: str) -> str:
        """Return the markup that opens a run and its text element."""
        start = f'<{self._run}>{formatting}<{self._text} xml:space="preserve">'
        self._starts.add(start)
        return start

    def _pieces(self, nodes: Sequence[Node]) -> Iterator[_Piece]:
        """Yield the pieces of a paragraph, or of an element in it."""
        for node in nodes:
            if not isinstance(node, Element):
                continue
            content = node.first("w:sdtContent") if node.name == "w:sdt" else node
            if node.name == "w:r":
                yield from self._pieces_of_run(node)
            elif content and (node.name in _CONTAINERS or _is_text_control(node)):
                yield _Piece(
                    markup=self._xml.raw(node.start, content.inner_start),
                    inside=[*self._pieces(content.children)],
                    end=self._xml.raw(content.inner_end, node.end),
                )
            elif node.name not in _DROPPED:
                yield _Piece(markup=quote(node))

    def _pieces_of_run(self, run: Element) -> Iterator[_Piece]:
        properties = run.first("w:rPr")
        raw = self._xml.raw(properties.start, properties.end) if properties else ""
        formatting = self._formatting(properties) if properties else ""
        if properties and properties.first("w:vanish"):
            yield _Piece(markup=quote(run))
            return
        for child in run.elements():
            if child.name == "w:t":
                is_kept = child.attributes.get("xml:space") == "preserve"
                text = " ".join(child.text.splitlines()) if child.text else ""
                text = text if is_kept else text.strip()
                if text:
                    yield _Piece(text, formatting)
            elif child.name in _CHARACTERS:
                yield _Piece(_CHARACTERS[child.name], formatting)
            elif child.name == "w:br" and not _is_break_of_page(child):
                yield _Piece("\n", formatting)
            elif child.name not in _DROPPED:
                field = child.attributes.get("w:fldCharType", "")
                instruction = child.text if child.name == "w:instrText" else ""
                markup = f"<{self._run}>{raw}{quote(child)}</{self._run}>"
                yield _Piece(markup=markup, field=field, instruction=instruction)

    def _formatting(self, properties: Element) -> str:
        """Return a run's formatting as markup, without properties that a reader does not see."""
        kept = [child for child in properties.elements() if child.name not in _FORMAT_NOISE]
        if not kept:
            return ""
        markup = "".join(self._xml.raw(child.start, child.end) for child in kept)
        return f"{self._xml.start_tag(properties)}{markup}{self._xml.end_tag(properties)}"

    def _written(self, piece: _Piece) -> str:
        """Return the markup of a piece that is not translated."""
        if piece.text:
            text = escaped(piece.text)
            for character, element in self._elements.items():
                text = text.replace(character, element)
            return f"{self._start(piece.formatting)}{text}{self._end}"
        return f"{piece.markup}{''.join(map(self._written, piece.inside))}{piece.end}"

    def _parts(self, pieces: Sequence[_Piece], base: str) -> Iterator[str | Mark]:
        """Yield the text, and marks that end one run and begin the next."""
        current = base
        for piece, formatting in zip(pieces, _formattings(pieces, base), strict=True):
            if formatting != current and piece.text != " ":
                if current != base:
                    yield Mark(self._end + self._start(base), Role.CLOSES)
                current = formatting if piece.text else base
                if current != base:
                    yield Mark(self._end + self._start(current), Role.OPENS)
            if piece.text:
                yield piece.text
            elif piece.end:
                inner = _main_formatting(piece.inside)
                yield Mark(self._end + piece.markup + self._start(inner), Role.OPENS)
                yield from self._parts(piece.inside, inner)
                yield Mark(self._end + piece.end + self._start(base), Role.CLOSES)
            else:
                yield Mark(self._end + piece.markup + self._start(current))
        if current != base:
            yield Mark(self._end + self._start(base), Role.CLOSES)


def _formattings(pieces: Sequence[_Piece], base: str) -> list[str]:
    """Return the formatting of each piece; a piece without text takes that of the text after it."""
    formattings = list[str]()
    following = base
    for piece in reversed(pieces):
        if piece.text:
            following = piece.formatting
        elif piece.end:
            following = base
        formattings.append(following)
    return formattings[::-1]


def _main_formatting(pieces: Sequence[_Piece]) -> str:
    """Return the formatting of most of the text."""
    lengths = Counter[str]()
    for piece in pieces:
        lengths[piece.formatting] += len(piece.text.strip())
    return max(lengths, key=lambda formatting: lengths[formatting], default="")


def _with_fields(pieces: Sequence[_Piece], written: Callable[[_Piece], str]) -> list[_Piece]:
    """Join the pieces of each field: to a link around its text, or to markup that stays."""
    done = list[_Piece]()
    begun = list[int]()
    for piece in pieces:
        if piece.field == "begin":
            begun.append(len(done))
        done.append(piece)
        if len(begun) > _DEEPEST_FIELD:
            raise Seq2SeqError(f"has fields nested more than {_DEEPEST_FIELD} deep.")
        if piece.field == "end" and begun:
            start = begun.pop()
            done[start:] = [_field(done[start:], written)]
    return done


def _field(pieces: Sequence[_Piece], written: Callable[[_Piece], str]) -> _Piece:
    fields = [piece.field for piece in pieces]
    if "separate" in fields:
        separator = fields.index("separate")
        instruction = "".join(piece.instruction for piece in pieces[:separator])
        if instruction.split()[:1] == ["HYPERLINK"]:
            start = "".join(map(written, pieces[: separator + 1]))
            return _Piece(markup=start, inside=pieces[separator + 1 : -1], end=written(pieces[-1]))
    return _Piece(markup="".join(map(written, pieces)))


def _is_break_of_page(element: Element) -> bool:
    return element.attributes.get("w:type", "textWrapping") != "textWrapping"


def _is_text_control(element: Element) -> bool:
    """Return whether an element is a content control whose text is only in the document."""
    properties = element.first("w:sdtPr") if element.name == "w:sdt" else None
    return properties is not None and not any(properties.elements(*_FORM_FIELDS))


def _is_bound(element: Element | None) -> bool:
    """Return whether an element is in a content control that takes its text from elsewhere."""
    while element:
        if element.name == "w:sdt" and element.first("w:sdtPr") and not _is_text_control(element):
            return True
        element = element.parent
    return False
