"""ODT, LibreOffice documents: paragraphs of the text, tables, notes, headers and footers.

Spans of equal formatting are joined, and spans without visible formatting are removed; an editor's
own data (`officeooo:rsid`) and languages do not count as formatting. Elements are those of
OpenDocument 1.3; flat files (`.fodt`) are read too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from seq2seq.documents.document import Document
from seq2seq.documents.tagged_text import Mark, Role
from seq2seq.documents.xml_source import (
    Edit,
    Element,
    Node,
    TextNode,
    XmlDocument,
    XmlSlot,
    XmlSource,
    XmlText,
    quote,
    with_attributes,
)
from seq2seq.documents.zipped_document import ZippedDocument, ZipSource
from seq2seq.errors import Seq2SeqError

_NAMESPACES = {
    f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0": prefix
    for name, prefix in {
        "office": "office", "style": "style", "text": "text", "xsl-fo-compatible": "fo",
    }.items()
}  # fmt: skip
_TYPES = ("application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text-")
_PARAGRAPHS = ("text:p", "text:h")
_LEFT_ALONE = ("office:annotation", "text:tracked-changes", "office:forms", "office:scripts")
_CHARACTERS = {"text:tab": "\t", "text:line-break": "\n"}
_SPACES = re.compile(r"[ \t\r\n]+")
_RUN_OF_SPACES = re.compile(" {2,}")
_AROUND = ("text:a", "text:meta")
_NOISE = re.compile(  # formatting attributes that a reader does not see
    r"""(?<!\s)\s+(?:officeooo:(?:paragraph-)?rsid|fo:(?:language|country|script)
    |style:(?:language|country|rfc-language-tag)[\w-]*)="[^"]*\"""",
    re.VERBOSE,
)
_EMPTY = re.compile(r"\s*(?:<[\w.-]+:text-properties\s*(?:/>|>\s*</[\w.-]+:text-properties>)\s*)?")


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read a LibreOffice text document, zipped or flat."""
    if not data.startswith(b"PK"):
        xml = XmlSource(data, _NAMESPACES)
        if xml.root.name != "office:document" or not xml.root.first("office:body"):
            raise Seq2SeqError("is not a LibreOffice text document.")
        return XmlDocument(xml, _slots(xml), [*_language(xml, target)])
    archive = ZipSource(data)
    kind = archive.read("mimetype") if "mimetype" in archive.names else b""
    if not kind.decode("latin-1").strip().startswith(_TYPES):
        raise Seq2SeqError("is not a LibreOffice text document.")
    manifest = "META-INF/manifest.xml"
    # Not read as XML: some manifests use undeclared prefixes, and LibreOffice opens them anyway.
    if manifest in archive.names and b"encryption-data" in archive.read(manifest):
        raise Seq2SeqError("is encrypted; save it without a password.")
    content = archive.read_xml("content.xml", _NAMESPACES)
    parts = {"content.xml": XmlDocument(content, _slots(content))}
    if "styles.xml" in archive.names:
        styles = archive.read_xml("styles.xml", _NAMESPACES)
        settings = [*_language(styles, target)]
        parts["styles.xml"] = XmlDocument(styles, _slots(styles), settings)
    return ZippedDocument(data, archive, parts)


def _language(xml: XmlSource, target: str) -> Iterator[Edit]:
    """Yield the edits that set the language of the text, for the spelling checker."""
    language, _, country = target.partition("-")
    for styles in xml.root.elements("office:styles"):
        for default in styles.elements("style:default-style"):
            for properties in default.elements("style:text-properties"):
                if " fo:language=" in xml.start_tag(properties):
                    yield xml.set_attributes(
                        properties, {"fo:language": language, "fo:country": country or "none"}
                    )


def _slots(xml: XmlSource) -> Iterator[XmlSlot]:
    styles = _formattings(xml)
    for paragraph in _paragraphs(xml.root):
        prefix = xml.name_beside(paragraph, "")
        elements = {"\t": f"<{prefix}tab/>", "\n": f"<{prefix}line-break/>"}
        parts = _joined([*_parts(xml, paragraph.children, styles)])
        text = XmlText(xml, paragraph.children, parts, keeps_space=True, elements=elements)
        yield from text.slots()


def _paragraphs(element: Element) -> Iterator[Element]:
    """Yield the paragraphs inside, including nested ones, except in elements to be left alone."""
    for child in element.elements():
        if child.name in _PARAGRAPHS:
            yield child
        if child.name not in _LEFT_ALONE:
            yield from _paragraphs(child)


def _formattings(xml: XmlSource) -> dict[str, str]:
    """Map each automatic text style to the first style with the same formatting.

    A style without visible formatting maps to "".
    """
    first = dict[str, str]()
    styles = dict[str, str]()
    for holder in xml.root.elements("office:automatic-styles"):
        for style in holder.elements("style:style"):
            if style.attributes.get("style:family") == "text":
                name = style.attributes.get("style:name", "")
                inner = _NOISE.sub("", xml.raw(style.inner_start, style.inner_end))
                parent = style.attributes.get("style:parent-style-name", "")
                is_empty = not parent and _EMPTY.fullmatch(inner)
                styles[name] = "" if is_empty else first.setdefault(f"{parent} {inner}", name)
    return styles


def _parts(
    xml: XmlSource, nodes: Iterable[Node], styles: Mapping[str, str]
) -> Iterator[str | Mark]:
    """Yield the text and the marks of the nodes."""
    for node in nodes:
        if isinstance(node, TextNode):
            yield _SPACES.sub(" ", node.value)
        elif not isinstance(node, Element):
            yield Mark(quote(node))
        elif node.name == "text:span":
            name = node.attributes.get("text:style-name", "")
            style = styles.get(name, name)
            inside = _parts(xml, node.children, styles)
            if style and node.children:
                start = with_attributes(
                    xml.start_tag(node), {xml.name_beside(node, "style-name"): style}
                )
                yield Mark(start, Role.OPENS)
                yield from inside
                yield Mark(xml.end_tag(node), Role.CLOSES)
            else:
                yield from inside
        elif node.name in _AROUND and node.children:
            yield Mark(xml.start_tag(node), Role.OPENS)
            yield from _parts(xml, node.children, styles)
            yield Mark(xml.end_tag(node), Role.CLOSES)
        elif node.name in _CHARACTERS:
            yield _CHARACTERS[node.name]
        elif node.name == "text:s" and node.attributes.get("text:c", "1") == "1":
            yield " "
        elif node.name != "text:soft-page-break":
            yield Mark(quote(node))


def _joined(parts: Sequence[str | Mark]) -> list[str | Mark]:
    """Join adjacent spans of equal formatting, and adjacent white space."""
    joined = list[str | Mark]()
    open_ = list[Mark]()
    closed: Mark | None = None  # the opening mark that the last mark closed
    for part in parts:
        if isinstance(part, str):
            if joined and isinstance(joined[-1], str):
                part = _RUN_OF_SPACES.sub(" ", f"{joined.pop()}{part}")
            if part:
                joined.append(part)
                closed = None
            continue
        if part.role is Role.OPENS and part == closed and "span" in part.raw.split()[0]:
            joined.pop()
            open_.append(part)
            closed = None
            continue
        closed = None
        if part.role is Role.OPENS:
            open_.append(part)
        elif part.role is Role.CLOSES:
            closed = open_.pop()
        joined.append(part)
    return joined
