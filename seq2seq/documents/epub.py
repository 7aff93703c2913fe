"""EPUB, books: the chapters in reading order, the table of contents, the title.

A chapter is XHTML: its tags are read as XML, its text as HTML. The names of parts are those of
EPUB 3.3, and of the NCX of EPUB 2.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import unquote

from seq2seq.documents.document import Document, TextUnit, UnitTranslation
from seq2seq.documents.html_page import HtmlPage
from seq2seq.documents.html_tokens import FOREIGN, RAW, Token, TokenKind
from seq2seq.documents.xml_source import (
    Edit,
    Element,
    XmlDocument,
    XmlSlot,
    XmlSource,
    XmlText,
    decode_xml,
    inline_parts,
    legal,
)
from seq2seq.documents.zipped_document import ZipPart, ZippedDocument, ZipSource
from seq2seq.errors import Seq2SeqError

_NAMESPACES = {
    "urn:oasis:names:tc:opendocument:xmlns:container": "",
    "http://www.idpf.org/2007/opf": "",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://www.daisy.org/z3986/2005/ncx/": "",
    "http://www.w3.org/2001/04/xmlenc#": "enc",
}
_CONTAINER, _ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
_XHTML, _NCX = "application/xhtml+xml", "application/x-dtbncx+xml"
_MARKUP = re.compile(
    r"""<!--.*?(?:-->|\Z) | <!\[CDATA\[.*?(?:\]\]>|\Z) | <\?.*?(?:\?>|\Z)
    | <!DOCTYPE [^\[>]*+ (?: \[.*?\]\s* )? >
    | < (?P<slash>/?) (?P<name>[^\s/<>]++) [^<>"']*+ (?: (?: "[^"]*" | '[^']*' ) [^<>"']*+ )*+ >
    | (?P<text>[^<]++)""",
    re.VERBOSE | re.DOTALL,
)


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read a book."""
    archive = ZipSource(data)
    if _CONTAINER not in archive.names:
        raise Seq2SeqError("is not an EPUB.")
    container = archive.read_xml(_CONTAINER, _NAMESPACES).root
    package = next(container.descendants("rootfile"), None)
    if package is None:
        raise Seq2SeqError("is an EPUB without a book in it.")
    name = package.attributes.get("full-path", "")
    book = archive.read_xml(name, _NAMESPACES)
    parts = dict[str, ZipPart]()
    parts[name] = XmlDocument(book, _titles(book), [*_languages(book, target)])
    encrypted = _encrypted(archive)
    for part, kind in _contents(book.root, posixpath.dirname(name)):
        if part in encrypted:
            raise Seq2SeqError(f"is copy-protected: {part} is encrypted.")
        if part in parts or part not in archive.names:
            continue
        if kind == _XHTML:
            with archive.naming(part):
                parts[part] = _Chapter(archive.read(part), target)
        else:
            labels = archive.read_xml(part, _NAMESPACES)
            parts[part] = XmlDocument(labels, _labels(labels))
    return ZippedDocument(data, archive, parts)


def _contents(package: Element, folder: str) -> Iterator[tuple[str, str]]:
    """Yield each part with text, and its type: first in reading order, then the others."""
    items = {
        item.attributes.get("id", ""): item
        for manifest in package.elements("manifest")
        for item in manifest.elements("item")
    }
    order = [
        reference.attributes.get("idref", "")
        for spine in package.elements("spine")
        for reference in spine.elements("itemref")
    ]
    for number in dict.fromkeys([*order, *items]):
        attributes = items[number].attributes if number in items else {}
        kind = attributes.get("media-type", "")
        if kind in (_XHTML, _NCX):
            path = posixpath.join(folder, unquote(attributes.get("href", "")))
            yield posixpath.normpath(path), kind


def _encrypted(archive: ZipSource) -> set[str]:
    """Return the names of the parts that are encrypted."""
    if _ENCRYPTION not in archive.names:
        return set()
    root = archive.read_xml(_ENCRYPTION, _NAMESPACES).root
    references = root.descendants("enc:CipherReference")
    return {unquote(reference.attributes.get("URI", "")) for reference in references}


def _titles(book: XmlSource) -> Iterator[XmlSlot]:
    for metadata in book.root.elements("metadata"):
        for element in metadata.elements("dc:title", "dc:description"):
            yield from _text(book, element).slots(element.name.removeprefix("dc:"))


def _languages(book: XmlSource, target: str) -> Iterator[Edit]:
    for metadata in book.root.elements("metadata"):
        language = metadata.first("dc:language")
        if language:
            yield Edit(language.inner_start, language.inner_end, target)


def _labels(contents: XmlSource) -> Iterator[XmlSlot]:
    """Yield the slots of the labels in a table of contents (NCX)."""
    for label in contents.root.descendants("docTitle", "navLabel"):
        for element in label.elements("text"):
            yield from _text(contents, element).slots()


def _text(xml: XmlSource, element: Element) -> XmlText:
    return XmlText(xml, element.children, inline_parts(xml, element.children, lambda _: None))


class _Chapter:
    """A chapter, in XHTML."""

    def __init__(self, data: bytes, target: str) -> None:
        xml = XmlSource(data, {})  # raises an error if it is not well-formed
        root = xml.root
        languages = {name: target for name in ("lang", "xml:lang") if name in root.attributes}
        translated = xml.render([xml.set_attributes(root, languages)])
        self._page = _page(data)
        self._page_in_target = _page(translated)
        self.units: Sequence[TextUnit] = self._page.units

    def render(self, translations: Sequence[UnitTranslation | None], is_changed: bool) -> bytes:
        """Return the translated chapter; if the book `is_changed`, with the target language."""
        page = self._page_in_target if is_changed else self._page
        return page.render(
            [given and replace(given, text=legal(given.text)) for given in translations]
        )


def _page(data: bytes) -> HtmlPage:
    text, encoding = decode_xml(data)
    return HtmlPage(text, encoding, _tokens)


def _tokens(markup: str) -> Iterator[Token]:
    """Yield the tokens of well-formed XHTML, see `html_tokens`."""
    raw, name, depth = "", "", 0  # of the open element that becomes one token
    for match in _MARKUP.finditer(markup):
        tag = (match["name"] or "").rpartition(":")[2].lower()
        is_open = bool(tag) and not match["slash"] and not match[0].endswith("/>")
        if depth:
            raw += match[0]
            depth += (is_open - bool(match["slash"])) if tag == name else 0
            if not depth:
                yield Token(TokenKind.ATOM, raw, name)
        elif is_open and (tag in RAW or tag in FOREIGN):
            raw, name, depth = match[0], tag, 1
        elif match["text"]:
            yield Token(TokenKind.TEXT, match[0])
        elif is_open:
            yield Token(TokenKind.START, match[0], tag)
        else:
            yield Token(TokenKind.END if match["slash"] else TokenKind.ATOM, match[0], tag)
