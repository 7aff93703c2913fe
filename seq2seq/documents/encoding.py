"""Find the encoding of a text document, by its byte order mark or its own declaration."""

import codecs
import re
from typing import NamedTuple

from seq2seq.errors import Seq2SeqError
from seq2seq.files import kind_of

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # must come before UTF-16, which begins alike
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_KNOWN = re.compile(  # labels in use; excludes Python codecs that are not for text
    r"utf-?8|utf-?16-?[lb]e|(us-)?ascii|iso-?8859-\d+|latin-?\d+|(windows|cp)-?\d{3,4}|koi8-[rut]"
    r"|macintosh|mac-?roman|gb2312|gbk|gb18030|big5(-?hkscs)?|euc-(jp|kr)|shift-jis|sjis"
)
_OF_WEB = {  # what browsers read instead, https://encoding.spec.whatwg.org/#names-and-labels
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}


class Encoding(NamedTuple):
    """How the characters of a document are written."""

    name: str = "utf-8"  # of Python's codec
    mark: bytes = b""  # the byte order mark at the start

    def encode(self, text: str, errors: str = "strict") -> bytes:
        """Encode a text, with the byte order mark first."""
        return self.mark + text.encode(self.name, errors)


def decode(data: bytes, declared: str = "", of_web: bool = False) -> tuple[str, Encoding]:
    """Decode a document; return its text without the mark, and the encoding that gives it back.

    Without a mark or a declared encoding, it is UTF-8. `of_web`: read Latin-1 as Windows-1252, as
    browsers do. Raises `Seq2SeqError` if the document is not in its encoding, or if that is
    unknown.
    """
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    if not mark and (kind := kind_of(data)):
        raise Seq2SeqError(f"{kind}, not plain text; save it as plain text in UTF-8.")
    codec = _MARKS[mark] if mark else _codec(declared or "utf-8")
    encoding = Encoding(_OF_WEB.get(codec, codec) if of_web else codec, mark)
    try:
        text = data[len(mark) :].decode(encoding.name)
        is_same = encoding.encode(text) == data
    except UnicodeDecodeError as error:
        raise Seq2SeqError(
            f"byte {len(mark) + error.start + 1} is not {declared or encoding.name.upper()}; "
            "convert it first, for example with iconv."
        ) from None
    if not is_same:
        raise Seq2SeqError(f"it is not well-formed {declared}; convert it to UTF-8 first.")
    return text, encoding


def _codec(label: str) -> str:
    """Return Python's name of an encoding."""
    name = label.strip().lower().replace("_", "-")
    try:
        if not _KNOWN.fullmatch(name):
            raise LookupError
        return codecs.lookup(name).name
    except LookupError:
        raise Seq2SeqError(
            f"the encoding {label[:40]!r} is not known; convert it to UTF-8 first."
        ) from None
