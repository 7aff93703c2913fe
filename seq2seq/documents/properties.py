"""Java's .properties: escapes, continued lines, and messages of `java.text.MessageFormat`.

A file in UTF-8 or ISO-8859-1 keeps its encoding. In an ASCII file, other letters are written as
`\\uXXXX`, which works for readers of either encoding.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

from seq2seq.documents.document import Document
from seq2seq.documents.encoding import Encoding, decode
from seq2seq.documents.icu_message import Grammar, message_texts
from seq2seq.documents.spliced_document import Slot, SplicedDocument
from seq2seq.errors import Seq2SeqError

_ENTRY = re.compile(
    r"""^[ \t\f]*+ (?: [#!][^\r\n]*+
      | (?P<key> (?: [^\\\s:=] | \\. )++ )
        (?: [ \t\f] | \\\r?\n[ \t\f]* )*+ (?: [:=] (?: [ \t\f] | \\\r?\n[ \t\f]*+ )*+ )?+
        (?P<value> (?: [^\\\r\n]++ | \\ (?: \r\n | . ) )*+ ) )""",
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:(?P<end>\r?\n|\r)[ \t\f]*|u(?P<code>[\da-fA-F]{4})|(?P<letter>.))", re.DOTALL
)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}
_NAMED_LETTERS = {letter: name for name, letter in _NAMED.items()}
_BROKEN_LINE = re.compile(r"\\n\\\r?\n[ \t\f]*")
_HAS_BRANCHES = re.compile(r"\{\s*\w+\s*,\s*(?:plural|select)")


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read a properties file; raise `Seq2SeqError` if it has no entries."""
    try:
        text, encoding = decode(data)
    except Seq2SeqError:
        if b"\0" in data:
            raise
        text, encoding = data.decode("latin-1"), Encoding("latin-1")
    entries = [match for match in _ENTRY.finditer(text) if match["key"]]
    if not entries and any(line.strip()[:1] not in ("", "#", "!") for line in text.splitlines()):
        raise Seq2SeqError("has no line with a key and a value.")
    values = [_plain(match["value"]) for match in entries]
    grammar: Grammar = "unquoted"
    if any(map(_HAS_BRANCHES.search, values)):
        grammar = "icu"
    elif any(re.search(r"\{\d", value) for value in values):
        grammar = "java"
    last = 0x7F if text.isascii() else 0xFF if encoding.name == "latin-1" else 0x10_FFFF
    messages = message_texts(values, [_plain(match["key"]) for match in entries], grammar)
    slots = [
        Slot(*match.span("value"), units, partial(_written, match["value"], render, last))
        for match, (units, render) in zip(entries, messages, strict=True)
        if units
    ]
    return SplicedDocument(text, encoding, slots)


def _plain(raw: str) -> str:
    """Decode escapes and join continued lines."""

    def plain(match: re.Match[str]) -> str:
        if match["end"]:
            return ""
        return (
            chr(int(match["code"], 16)) if match["code"] else _NAMED.get(match[0][1], match[0][1])
        )

    text = _ESCAPE.sub(plain, raw)  # a character beyond 16 bits is two escapes
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _written(
    raw: str, render: Callable[[Sequence[str]], str], last: int, texts: Sequence[str]
) -> str:
    """Write a value, with the escapes it had; characters beyond `last` are escaped."""
    kept = {
        _plain(match[0]): match[0]
        for match in _ESCAPE.finditer(raw)
        if match["code"] or (match["letter"] and not match["letter"].isalnum())
    }
    broken = _BROKEN_LINE.search(raw)

    def escaped(letter: str) -> str:
        if letter == "\n" and broken:
            return broken[0]
        if letter in kept:
            return kept[letter]
        if letter in _NAMED_LETTERS:
            return f"\\{_NAMED_LETTERS[letter]}"
        if letter == "\\":
            return "\\\\"
        if letter.isprintable() and ord(letter) <= last:
            return letter
        units = letter.encode("utf-16-be", "surrogatepass").hex()
        return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))

    written = "".join(map(escaped, render(texts)))
    return f"\\{written}" if written.startswith(" ") else written
