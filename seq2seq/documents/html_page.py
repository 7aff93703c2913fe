"""HTML files: the texts of a page and of its attributes."""

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from seq2seq.documents.document import TextUnit, UnitTranslation
from seq2seq.documents.encoding import Encoding, decode
from seq2seq.documents.html_fragment import HtmlFragment, is_kept, kept_whole
from seq2seq.documents.html_tokens import (
    SPACE,
    VOID,
    Token,
    TokenKind,
    attributes,
    tokens,
    value_spans,
)
from seq2seq.documents.html_tokens import names as words

_HEAD_BYTES = 1024  # a page declares its encoding within these
_DECLARED = re.compile(
    r"""<meta [^>]{0,200}? charset \s{0,9} = \s{0,9} ["']? \s{0,9} ([\w:.-]{1,40})
    | \A \s{0,9} <\?xml [^>]{0,100}? encoding \s{0,9} = \s{0,9} ["'] ([\w:.-]{1,40})""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_SPACES = re.compile(f"[{SPACE}]+")
_READ = words("alt aria-description aria-label aria-placeholder placeholder title")
_LABELLED = words("optgroup option track")
_BUTTONS = words("button reset submit")
_DESCRIPTIONS = words("""
    description og:description og:image:alt og:title twitter:description twitter:image:alt
    twitter:title
    """)


class _Value(NamedTuple):
    """An attribute value that a reader sees."""

    name: str
    start: int  # in the page, without quotes
    end: int
    text: str
    quote: str  # the quotation mark around it; "" for none


class HtmlPage:
    """A page, with the texts of its content first and those of its attributes after them."""

    def __init__(
        self,
        markup: str,
        encoding: Encoding,
        read_tokens: Callable[[str], Iterator[Token]] = tokens,
    ) -> None:
        self._markup, self._encoding, self._read_tokens = markup, encoding, read_tokens
        self._values = [*_values(read_tokens(markup))]
        texts = HtmlFragment(markup, read_tokens).texts
        self.units = [
            *(TextUnit(text=text) for text in texts),
            *(TextUnit(text=value.text, context=value.name) for value in self._values),
        ]

    def render(self, translations: Sequence[UnitTranslation | None]) -> bytes:
        texts = [
            translation.text if translation else unit.text
            for unit, translation in zip(self.units, translations, strict=True)
        ]
        page, done = list[str](), 0
        number = len(texts) - len(self._values)  # of texts outside attributes
        for value, text in zip(self._values, texts[number:], strict=True):
            if text != value.text and text.strip():
                page += self._markup[done : value.start], _quoted(text, value.quote)
                done = value.end
        page.append(self._markup[done:])
        # Attribute values do not affect how the page is split, so the texts are the same.
        rendered = HtmlFragment("".join(page), self._read_tokens).render(texts[:number])
        if "&nbsp;" not in self._markup:
            rendered = rendered.replace("&nbsp;", "&#160;")  # valid in XHTML without a DTD
        return self._encoding.encode(rendered, "xmlcharrefreplace")


def read(data: bytes, source: str | None, target: str) -> HtmlPage:
    """Read a page, in the encoding that it declares."""
    match = _DECLARED.search(data[:_HEAD_BYTES].decode("latin-1"))
    declared = (match[1] or match[2]) if match else ""
    if declared.lower().startswith(("utf-16", "utf-32")):
        declared = ""  # cannot be true, or the declaration would not have been found
    return HtmlPage(*decode(data, declared, of_web=True))


def _values(all_tokens: Iterator[Token]) -> Iterator[_Value]:
    """Yield the attribute values to translate, in order."""
    place = 0
    for token in kept_whole(all_tokens):
        if _has_values(token):
            wanted = _wanted(token.name, attributes(token.raw))
            for name, (start, end) in value_spans(token.raw).items():
                raw = token.raw[start:end]
                body = raw.strip(SPACE)
                text = _SPACES.sub(" ", html.unescape(body))
                if name in wanted and any(map(str.isalpha, text)):
                    before = token.raw[start - 1]
                    start = place + start + raw.index(body)
                    quote = before if before in "\"'" else ""
                    yield _Value(name, start, start + len(body), text, quote)
        place += len(token.raw)


def _has_values(token: Token) -> bool:
    """Return whether a token begins with the tag of an element whose attributes are translated."""
    if token.kind is TokenKind.START:
        return True
    if token.kind is not TokenKind.ATOM:
        return False
    if token.name in VOID:
        return not is_kept(token)
    return token.name in ("iframe", "textarea") and not is_kept(token._replace(name=""))


def _wanted(element: str, values: Mapping[str, str]) -> frozenset[str]:
    """Return the names of an element's attributes that a reader sees."""
    if element == "meta":
        kind = values.get("name") or values.get("property") or values.get("itemprop", "")
        return frozenset(("content",)) if kind.lower() in _DESCRIPTIONS else frozenset()
    if element == "input" and values.get("type", "").lower() in _BUTTONS:
        return _READ | {"value"}
    return _READ | {"label"} if element in _LABELLED else _READ


def _quoted(text: str, quote: str) -> str:
    """Write a text as an attribute value inside `quote`, or inside new quotes if that is ""."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = escaped.replace("\N{NO-BREAK SPACE}", "&nbsp;")
    if quote == "'":
        return escaped.replace("'", "&#39;")
    escaped = escaped.replace('"', "&quot;")
    return escaped if quote else f'"{escaped}"'
