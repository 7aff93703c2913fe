r"""Android's `strings.xml`: strings, arrays and plurals, with the escapes `\'`, `\n` and `\u00e9`.

Plurals get an item for each category of the target language, copied from the source's item of that
category, or else from `other`; items of other categories are removed. `xliff:g`, references to
other resources and strings that are not `translatable` stay.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from seq2seq.documents.document import Document, TextUnit, UnitTranslation
from seq2seq.documents.plural_categories import plural_categories
from seq2seq.documents.tagged_text import Mark, Role
from seq2seq.documents.xml_source import (
    Edit,
    Element,
    Other,
    TextNode,
    XmlDocument,
    XmlSlot,
    XmlSource,
    XmlText,
    inline_parts,
    with_attributes,
)
from seq2seq.errors import Seq2SeqError

_NAMESPACES = {"urn:oasis:names:tc:xliff:document:1.2": "xliff"}
_PART = re.compile(  # of a string
    r"""(?P<code>(?:\\u[\dA-Fa-f]{4})+) | \\(?P<escaped>.) | (?P<quote>")
    | (?P<tag></?[A-Za-z][^<>]*>) | (?P<space>[\t\r\n][ \t\r\n]* | [ ][ \t\r\n]+)""",
    re.VERBOSE | re.DOTALL,
)
_TAG = re.compile(r"(</?[A-Za-z][^<>]*>)")
_REFERENCE = re.compile(r"\s*(?:@(?:null|empty|[\w.+*:-]*/[\w./]+)|\?[\w.:]*(?:/[\w.]+)?)\s*")
_SPACES = " \t\n"
_CONTROLS = {"n": "\n", "t": "\t"}
_ESCAPES = str.maketrans({"\\": r"\\", "'": r"\'", '"': r"\"", "\n": r"\n", "\t": r"\t"})


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read a file of resources."""
    xml = XmlSource(data, _NAMESPACES)
    if xml.root.name != "resources":
        raise Seq2SeqError("is not an Android resource file.")
    slots = list[XmlSlot]()
    comment = ""
    for child in xml.root.children:
        if isinstance(child, Other):
            comment = xml.raw(child.start, child.end).strip("<!- >")
        if not isinstance(child, Element):
            continue
        context = ": ".join(filter(None, (child.attributes.get("name"), comment)))
        comment = ""
        if child.attributes.get("translatable") == "false":
            continue
        if child.name == "plurals":
            slots += _plurals(xml, child, context, plural_categories(target))
        elif child.name == "string-array":
            for item in child.elements("item"):
                slots += _string(xml, item, context)
        elif child.name == "string" or child.attributes.get("type") == "string":
            slots += _string(xml, child, context)
    return XmlDocument(xml, slots)


def _string(xml: XmlSource, string: Element, context: str) -> Iterator[XmlSlot]:
    if not _REFERENCE.fullmatch(string.text):
        yield from _text(xml, string).slots(context)


def _plurals(
    xml: XmlSource, plurals: Element, context: str, categories: Sequence[str]
) -> Iterator[XmlSlot]:
    items = {item.attributes.get("quantity", ""): item for item in plurals.elements("item")}
    texts = {category: _text(xml, item) for category, item in items.items()}
    if "other" not in items or not any(text.has_words for text in texts.values()):
        return
    units = [
        TextUnit(text=texts.get(category, texts["other"]).text, context=f"{context} ({category})")
        for category in categories
    ]

    def write(translations: Sequence[UnitTranslation | None]) -> Iterator[Edit]:
        other = items["other"]
        space = xml.space_before(other, plurals)
        for category, translation in zip(categories, translations, strict=True):
            if translation and category in items:
                yield texts[category].edit(translation.text)
            elif translation:
                tag = with_attributes(xml.start_tag(other), {"quantity": category})
                markup = f"{tag}{texts['other'].markup(translation.text)}{xml.end_tag(other)}"
                yield Edit(other.start, other.start, markup + space)
        for category, item in items.items():
            if category not in categories:
                before = len(xml.space_before(item, plurals).encode())
                yield Edit(item.start - before, item.end, "")

    yield XmlSlot(units, write)


def _text(xml: XmlSource, string: Element) -> XmlText:
    parts = inline_parts(xml, string.children, _role_of)
    raw = "".join(node.value for node in string.children if isinstance(node, TextNode))
    tokens = [token for token in _tokens(raw) if token.raw.startswith(r"\u")] if "\\" in raw else []
    codes = {token.text: token.raw for token in tokens if token.text.strip(_SPACES)}
    return XmlText(
        xml,
        string.children,
        _decoded(parts),
        keeps_space=True,
        escape=lambda text: _escaped(text, codes),
    )


def _decoded(parts: Sequence[str | Mark]) -> list[str | Mark]:
    """Decode the parts; white space and quotes at both ends become marks, as written."""
    tokens = [token for part in parts for token in _tokens(part)]
    quotes = [number for number, token in enumerate(tokens) if token.raw == '"']
    inside = [number for number, token in enumerate(tokens) if not token.is_edge]
    start, stop = (inside[0], inside[-1] + 1) if inside else (0, 0)
    is_quoted = len(quotes) == 2 and quotes[0] < start and quotes[1] >= stop
    is_open = False
    decoded = list[str | Mark]()
    for number, token in enumerate(tokens):
        is_open ^= token.raw == '"'
        if token.mark:
            decoded.append(token.mark)
        elif not start <= number < stop:
            if token.raw != '"' or is_quoted:
                decoded.append(Mark(token.raw))
        else:
            decoded.append(token.raw if is_open and token.raw.isspace() else token.text)
    return decoded


class _Token(NamedTuple):
    """A piece of a string, decoded and raw."""

    text: str
    raw: str
    mark: Mark | None = None

    @property
    def is_edge(self) -> bool:
        return not (self.mark or self.text.strip())


def _tokens(part: str | Mark) -> Iterator[_Token]:
    if isinstance(part, Mark):
        yield _Token("", "", part)
        return
    place = 0
    for match in _PART.finditer(part):
        if place < match.start():
            yield _Token(part[place : match.start()], part[place : match.start()])
        place = match.end()
        if match["code"]:
            text = "".join(chr(int(code, 16)) for code in match[0].split(r"\u")[1:])
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        elif match["escaped"]:
            text = _CONTROLS.get(match["escaped"], match["escaped"])
        elif match["tag"]:
            text = match["tag"]
        else:
            text = " " if match["space"] else ""
        yield _Token(text, match[0])
    if place < len(part):
        yield _Token(part[place:], part[place:])


def _escaped(text: str, codes: Mapping[str, str]) -> str:
    """Escape a text for a string; `codes` maps characters to the source's escapes of them."""
    parts = _TAG.split(text)
    for number, part in enumerate(parts[::2]):
        part = part.translate(_ESCAPES)
        for character, code in codes.items():
            part = part.replace(character, code)
        parts[2 * number] = re.sub("(?<= ) ", r"\\u0020", part)
    return re.sub(r"\A(?=[@?])", r"\\", "".join(parts))


def _role_of(element: Element) -> tuple[Role, str] | None:
    """Return the role of an inline element, see `inline_parts`."""
    return (Role.STANDS_FOR_WORD, "") if element.name == "xliff:g" else None
