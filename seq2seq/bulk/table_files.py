"""Table files: split them into parts for workers, and write the parts with their translations.

The existing data is preserved: the cells of CSV and the fields of JSON lines byte for byte, the
columns of Parquet and Arrow with their types.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from seq2seq.bulk.batch_translator import BatchTranslator
from seq2seq.errors import Seq2SeqError, UsageError, require_extra
from seq2seq.parquet_arrow import arrow_batches, is_text_type, readable_columns

_BOM = b"\xef\xbb\xbf"
_DELIMITERS = (",", ";", "\t")
_LARGEST_CELL = 1 << 30  # characters; the default of 128 K is too small for a document


@dataclass(frozen=True)
class Part:
    """Consecutive rows of the file `path`, which become the output file `name`."""

    name: str
    path: Path
    start: int
    """Like `end`, a row number in Parquet and Arrow, a byte offset in CSV and JSON lines."""
    end: int
    rows: int


@dataclass(frozen=True)
class TranslatedPart:
    """The bytes of a file with translations, and the numbers of its rows and of failed rows."""

    data: bytes
    rows: int
    failed: int


class TableFormat(Protocol):
    """Reads and writes the files of a format."""

    def header(self, path: Path) -> object:
        """Return what must be the same in all files of a table, such as the columns."""

    def split(
        self, path: Path, translator: BatchTranslator, rows: int
    ) -> Iterator[tuple[int, int, int]]:
        """Yield start, end and number of rows of each part, in order; at least one part.

        Raises `Seq2SeqError` if the file is damaged or cannot be translated.
        """

    def translate(self, part: Part, translator: BatchTranslator) -> TranslatedPart:
        """Read a part and translate it."""


class _Csv:
    """CSV with a header; the delimiter is the candidate that is most frequent in the header."""

    def header(self, path: Path) -> object:
        with path.open("rb") as file:
            return self._names(path, file)[1:]

    def split(
        self, path: Path, translator: BatchTranslator, rows: int
    ) -> Iterator[tuple[int, int, int]]:
        with path.open("rb") as file:
            raw, names, delimiter = self._names(path, file)
            with _in_file(path):
                translator.check_columns(names)
            start = end = len(raw)
            file.seek(start)
            number = first = 0  # rows
            for raw, cells in _csv_records(path, file, delimiter):
                if cells and number - first == rows:
                    yield start, end, rows
                    start, first = end, number
                end += len(raw)
                number += bool(cells)
                if len(cells) > len(names):
                    raise Seq2SeqError(
                        f"{path}, row {number:,}: {len(cells)} cells, and the header has "
                        f"{len(names)}."
                    )
            yield start, end, number - first

    def translate(self, part: Part, translator: BatchTranslator) -> TranslatedPart:
        with part.path.open("rb") as file:
            header, names, delimiter = self._names(part.path, file)
            records = [*_csv_records(part.path, _bytes(file, part), delimiter)]
        place = names.index(translator.column)
        texts = [cells[place] if place < len(cells) else None for _, cells in records if cells]
        column = translator.translate_values(texts)
        added = zip(*column, strict=True)
        parts = [_with_cells(header, 0, delimiter, translator.added)]
        for raw, cells in records:
            lacking = len(names) - len(cells)
            parts.append(_with_cells(raw, lacking, delimiter, next(added)) if cells else raw)
        return TranslatedPart(b"".join(parts), len(texts), _failed(column.errors))

    def _names(self, path: Path, file: BinaryIO) -> tuple[bytes, list[str], str]:
        """Return the raw header, the column names, and the delimiter."""
        start = file.readline().decode(errors="replace")
        delimiter = max(_DELIMITERS, key=start.count)
        file.seek(0)
        raw, names = next(_csv_records(path, file, delimiter), (b"", []))
        if not names:
            raise Seq2SeqError(f"{path}: no header, a first line with the names of the columns.")
        return raw, names, delimiter


def _csv_records(path: Path, file: BinaryIO, delimiter: str) -> Iterator[tuple[bytes, list[str]]]:
    """Yield the raw bytes and the cells of each record; an empty line has no cells."""
    csv.field_size_limit(_LARGEST_CELL)
    raw: list[bytes] = []

    def lines() -> Iterator[str]:
        for line in file:
            raw.append(line)
            yield line.removeprefix(_BOM).decode()

    try:
        for cells in csv.reader(lines(), delimiter=delimiter, strict=True):
            yield b"".join(raw), cells
            raw.clear()
    except (csv.Error, UnicodeDecodeError) as error:
        text = b"".join(raw)[:60].decode(errors="replace")
        raise Seq2SeqError(f"{path}: not CSV in UTF-8 at {text!r}: {error}.") from None


def _with_cells(raw: bytes, lacking: int, delimiter: str, cells: Sequence[str | None]) -> bytes:
    """Return a raw record with `cells` appended, after empty ones for those it is `lacking`."""
    buffer = StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="").writerow(cells)
    body = raw.rstrip(b"\r\n")
    end = raw[len(body) :] or b"\n"
    return body + f"{delimiter * (lacking + 1)}{buffer.getvalue()}".encode() + end


class _JsonLines:
    """JSON lines, with an object on each line; a missing field counts as null."""

    def header(self, path: Path) -> object:
        return None  # each line has its own fields

    def split(
        self, path: Path, translator: BatchTranslator, rows: int
    ) -> Iterator[tuple[int, int, int]]:
        has_column, has_text, kind = False, False, "null"
        with path.open("rb") as file:
            start = end = number = first = 0
            for line in file:
                if not line.isspace():
                    if number - first == rows:
                        yield start, end, rows
                        start, first = end, number
                    number += 1
                    row = _json_row(path, number, line)
                    if taken := [name for name in translator.added if name in row]:
                        raise UsageError(
                            f"{path}, row {number:,}: there is a field {taken[0]!r} already; give "
                            "the translations another name."
                        )
                    value = row.get(translator.column)
                    has_column = has_column or translator.column in row
                    has_text = has_text or isinstance(value, str)
                    kind = kind if value is None else type(value).__name__
                end += len(line)
        if number and not has_column:
            raise UsageError(f"{path}: no row has a field {translator.column!r}.")
        if kind != "null" and not has_text:
            raise UsageError(f"{path}: the field {translator.column!r} is not text but {kind}.")
        yield start, end, number - first

    def translate(self, part: Part, translator: BatchTranslator) -> TranslatedPart:
        with part.path.open("rb") as file:
            lines = [line for line in _bytes(file, part) if not line.isspace()]
        rows = [_json_row(part.path, number, line) for number, line in enumerate(lines, 1)]
        column = translator.translate_values(row.get(translator.column) for row in rows)
        parts = []
        for line, row, *values in zip(lines, rows, *column, strict=True):
            added = json.dumps(dict(zip(translator.added, values, strict=True)), ensure_ascii=False)
            body = line.removeprefix(_BOM).strip()[:-1].rstrip()
            comma = ", " if row else ""
            parts.append(body + f"{comma}{added[1:]}\n".encode())
        return TranslatedPart(b"".join(parts), len(rows), _failed(column.errors))


def _json_row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.removeprefix(_BOM))
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise Seq2SeqError(f"{path}, row {number:,}: not a JSON object in UTF-8: {line[:60]!r}.")
    return row


class _Columnar:
    """Parquet or Arrow: a schema, and numbered rows."""

    def __init__(
        self,
        open_file: Callable[[Path], tuple[Any, int]],
        read: Callable[[Path, int, int], Iterator[Any]],
        write: Callable[[Any, BytesIO], None],
    ) -> None:
        """Take the functions of the format.

        `open_file` returns the schema and the number of rows, `read` yields batches with the rows
        from a start to an end, and `write` writes a table.
        """
        self._open, self._read, self._write = open_file, read, write

    def header(self, path: Path) -> object:
        with readable_columns(path):
            return self._open(path)[0].remove_metadata()

    def split(
        self, path: Path, translator: BatchTranslator, rows: int
    ) -> Iterator[tuple[int, int, int]]:
        with readable_columns(path):
            schema, total = self._open(path)
        with _in_file(path):
            translator.check_columns(schema.names)
            kind = schema.field(translator.column).type
            if not is_text_type(kind):
                raise UsageError(f"the column {translator.column!r} is not text but {kind}.")
        for start in range(0, total or 1, rows):
            end = min(start + rows, total)
            yield start, end, end - start

    def translate(self, part: Part, translator: BatchTranslator) -> TranslatedPart:
        import pyarrow as pa

        with readable_columns(part.path):
            schema, _ = self._open(part.path)
            batches = [*self._read(part.path, part.start, part.end)]
            table = translator(pa.Table.from_batches(batches, schema))
        buffer = BytesIO()
        self._write(table, buffer)
        failed = _failed(table.column(translator.added[1]).to_pylist())
        return TranslatedPart(buffer.getvalue(), table.num_rows, failed)


def _open_parquet(path: Path) -> tuple[Any, int]:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        return file.schema_arrow, file.metadata.num_rows


def _read_parquet(path: Path, start: int, end: int) -> Iterator[Any]:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        groups, first, before = list[int](), 0, 0
        for number in range(file.num_row_groups):
            after = before + file.metadata.row_group(number).num_rows
            if before < end and after > start:
                first = first if groups else before
                groups.append(number)
            before = after
        yield from _slices(file.iter_batches(row_groups=groups), start - first, end - first)


def _write_parquet(table: Any, buffer: BytesIO) -> None:
    from pyarrow.parquet import write_table

    write_table(table, buffer)


def _open_arrow(path: Path) -> tuple[Any, int]:
    with arrow_batches(path) as (schema, batches):
        return schema, sum(batch.num_rows for batch in batches)


def _read_arrow(path: Path, start: int, end: int) -> Iterator[Any]:
    with arrow_batches(path) as (_, batches):
        yield from _slices(batches, start, end)


def _write_arrow(table: Any, buffer: BytesIO) -> None:
    import pyarrow as pa

    with pa.ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table)


def _slices(batches: Iterator[Any], start: int, end: int) -> Iterator[Any]:
    """Yield the rows from `start` to `end`, counted over all batches."""
    before = 0
    for batch in batches:
        if before >= end:
            return
        first, last = max(start - before, 0), min(end - before, batch.num_rows)
        if first < last:
            yield batch.slice(first, last - first)
        before += batch.num_rows


_PARQUET = _Columnar(_open_parquet, _read_parquet, _write_parquet)
_ARROW = _Columnar(_open_arrow, _read_arrow, _write_arrow)
_FORMATS: dict[str, TableFormat] = {
    ".parquet": _PARQUET,
    ".arrow": _ARROW,
    ".feather": _ARROW,
    ".csv": _Csv(),
    ".tsv": _Csv(),
    ".jsonl": _JsonLines(),
    ".ndjson": _JsonLines(),
}


def table_files(source: Path) -> list[Path]:
    """List the files of a table: the file itself, or the files of a folder, sorted by name.

    Like other readers of tables, it ignores names that begin with `_` or `.`. Raises `UsageError`
    if there is no file, or if the files differ in format, and `Seq2SeqError` if pyarrow is needed
    but not installed.
    """
    if not source.exists():
        raise UsageError(f"{source}: there is no such file or folder.")
    files = [source]
    if source.is_dir():
        files = [path for path in sorted(source.iterdir()) if path.name[0] not in "_."]
    if not files:
        raise UsageError(f"{source}: there is no file in this folder.")
    for path in files:
        if path.suffix not in _FORMATS or not path.is_file():
            raise UsageError(f"{path}: not a file whose name ends in {', '.join(_FORMATS)}.")
        if path.suffix != files[0].suffix:
            raise UsageError(f"{path}: not of the same format as {files[0].name}.")
    if isinstance(_FORMATS[files[0].suffix], _Columnar):
        require_extra("pyarrow", f"{files[0]}: reading it", "bulk")
    return [path.absolute() for path in files]


def split(files: Sequence[Path], translator: BatchTranslator, rows: int) -> list[Part]:
    """Split a table into parts of at most `rows` rows, each from a single file.

    Raises `Seq2SeqError` if a file is damaged, has other columns than the first file, or cannot be
    translated.
    """
    parts = list[Part]()
    header = table_format(files[0]).header(files[0])
    for path in files:
        if table_format(path).header(path) != header:
            raise UsageError(f"{path}: its columns are not those of {files[0].name}.")
        for start, end, number in table_format(path).split(path, translator, rows):
            name = f"part-{len(parts):05}{path.suffix}"
            parts.append(Part(name, path, start, end, number))
    return parts


def table_format(path: Path) -> TableFormat:
    """Return the format of a file from `table_files`."""
    return _FORMATS[path.suffix]


def _bytes(file: BinaryIO, part: Part) -> BytesIO:
    file.seek(part.start)
    return BytesIO(file.read(part.end - part.start))


def _failed(errors: Sequence[str]) -> int:
    return sum(error != "" for error in errors)


@contextmanager
def _in_file(path: Path) -> Iterator[None]:
    """Name the file in any `UsageError` of the block."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
