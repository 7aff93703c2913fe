"""CSV and TSV with a header: a column of texts, and one of translations.

The delimiter is whichever of tab, comma, semicolon and bar is most frequent in the header. A cell
is quoted if it was quoted before or has to be.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from seq2seq.documents.column_names import Columns, columns_of
from seq2seq.documents.document import Document, State, TextUnit
from seq2seq.documents.encoding import decode
from seq2seq.documents.spliced_document import Slot, SplicedDocument, has_words
from seq2seq.errors import Seq2SeqError

_DELIMITERS = ",\t;|"
_CELL = r'("(?:[^"]|"")*+"(?=[{0}\r\n]|\Z)|[^{0}\r\n]*+)({0}|\r\n|\n|\r|\Z)'


class _Cell(NamedTuple):
    """A cell; `start` and `end` include its quotes."""

    text: str
    start: int
    end: int
    is_quoted: bool


def read(data: bytes, source: str | None, target: str, columns: Sequence[str] = ()) -> Document:
    """Read a table; raise `Seq2SeqError` if no column fits.

    `columns` are the names of columns that the user wants translated in place.
    """
    text, encoding = decode(data)
    first, *_ = text.split("\n", 1)
    delimiter = max(_DELIMITERS, key=first.count)
    rows = _rows(text, delimiter)
    header = next(rows, [])
    if not any(cell.text.strip() for cell in header):
        raise Seq2SeqError("has no header, a first line with the names of its columns.")
    found = columns_of([cell.text for cell in header], source, target, columns)
    slots = list[Slot]()
    if found.added:
        end = header[-1].end
        slots.append(Slot(end, end, (), lambda _: delimiter + found.added))
    for number, row in enumerate(rows, 2):
        slots += _slots(row, number, header, found, delimiter)
    return SplicedDocument(text, encoding, slots)


def _rows(text: str, delimiter: str) -> Iterator[list[_Cell]]:
    """Yield the rows that are not empty."""
    row = list[_Cell]()
    for match in re.compile(_CELL.format(re.escape(delimiter))).finditer(text):
        raw, end = match.groups()
        is_quoted = raw[:1] == raw[-1:] == '"' and len(raw) > 1
        plain = raw[1:-1].replace('""', '"') if is_quoted else raw
        row.append(_Cell(plain, *match.span(1), is_quoted))
        if end != delimiter:
            if len(row) > 1 or raw:
                yield row
            row = []


def _slots(
    row: Sequence[_Cell], number: int, header: Sequence[_Cell], columns: Columns, delimiter: str
) -> Iterator[Slot]:
    """Yield the slots of a row; if a column is added, each row gets a cell."""
    end = row[-1].end
    where, lacking = columns.translations, ""
    if columns.added:
        new = delimiter * (len(header) - len(row) + 1)
        yield Slot(end, end, (), lambda _: new)
    elif where is not None:
        lacking = delimiter * (where - len(row) + 1)
    for place in columns.texts:
        if place >= len(row) or not has_words(row[place].text):
            continue
        cell = goal = row[place]
        if where is not None and where < len(row):
            goal = row[where]
        elif columns.added or where is not None:
            goal = _Cell("", end, end, False)
        core = cell.text.strip()
        before, _, after = cell.text.partition(core)
        is_done = goal is not cell and goal.text.strip() != ""
        unit = TextUnit(
            text=core,
            translation=goal.text.strip() if is_done else "",
            state=State.TRANSLATED if is_done else State.UNTRANSLATED,
            context=f"row {number} {_name(row, header, columns, place)}".strip(),
        )
        write = partial(_written, goal.is_quoted, (before, after), lacking, delimiter)
        yield Slot(goal.start, goal.end, [unit], write, is_bilingual=goal is not cell)


def _name(row: Sequence[_Cell], header: Sequence[_Cell], columns: Columns, place: int) -> str:
    """Name a cell by the key of its row, and by its column if several are translated."""
    key = row[columns.key].text if columns.key is not None and columns.key < len(row) else ""
    return f"{key[:80]} {header[place].text if len(columns.texts) > 1 else ''}".strip()


def _written(
    is_quoted: bool, around: tuple[str, str], lacking: str, delimiter: str, texts: Sequence[str]
) -> str:
    """Write a cell, after the delimiters that are missing before it."""
    text = texts[0].join(around)
    if is_quoted or re.search(rf'^\s|\s$|["\r\n{re.escape(delimiter)}]', text):
        text = '"' + text.replace('"', '""') + '"'
    return lacking + text
