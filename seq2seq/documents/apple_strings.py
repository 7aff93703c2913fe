"""Apple's .strings: `"key" = "value";`, and comments, which become the context of a text."""

import re
from collections.abc import Callable, Sequence
from functools import partial

from seq2seq.documents.document import Document
from seq2seq.documents.encoding import decode
from seq2seq.documents.icu_message import message_texts
from seq2seq.documents.spliced_document import Slot, SplicedDocument
from seq2seq.errors import Seq2SeqError

_STRING = r'"(?:[^"\\]++|\\.)*+"'
_ENTRY = re.compile(
    rf"""/\*(?P<comment>(?:[^*]|\*(?!/))*+)(?:\*/|\Z) | //[^\n]*
    | (?P<key>{_STRING}|(?<![\w.-])[\w.-]++) \s*+ = \s*+ "(?P<value>(?:[^"\\]++|\\.)*+)" \s*+ ;
    | "(?:[^"\\]++|\\.)*+ (?: " | \\?\Z )  # any other string, even unclosed""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:[uU]([\da-fA-F]{4})|(.))", re.DOTALL)
_NAMED = {"n": "\n", "t": "\t", "r": "\r"}


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read a file of strings; raise `Seq2SeqError` if it has no entries."""
    text, encoding = decode(data)
    entries, contexts, comment = list[re.Match[str]](), list[str](), ""
    for match in _ENTRY.finditer(text):
        if match["key"]:
            entries.append(match)
            contexts.append(": ".join(filter(None, [_plain(match["key"].strip('"')), comment])))
        comment = " ".join((match["comment"] or "").split())
    if not entries:
        raise Seq2SeqError('has no entry of the form "key" = "value";.')
    messages = message_texts([_plain(match["value"]) for match in entries], contexts)
    slots = [
        Slot(*match.span("value"), units, partial(_written, match["value"], render))
        for match, (units, render) in zip(entries, messages, strict=True)
        if units
    ]
    return SplicedDocument(text, encoding, slots)


def _plain(raw: str) -> str:
    return _ESCAPE.sub(
        lambda match: chr(int(match[1], 16)) if match[1] else _NAMED.get(match[2], match[2]), raw
    )


def _written(raw: str, render: Callable[[Sequence[str]], str], texts: Sequence[str]) -> str:
    written = render(texts).replace("\\", "\\\\").replace('"', '\\"')
    return written if "\n" in raw else written.replace("\n", "\\n")
