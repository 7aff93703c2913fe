"""Read pairs of texts and translations from catalogues, translation memories and tables."""

from collections.abc import Iterator
from pathlib import Path

from seq2seq.documents.document import State
from seq2seq.documents.encoding import decode
from seq2seq.documents.formats import format_of, open_document
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import read_bounded

BILINGUAL = ("csv", "jsonl", "po", "tmx", "xliff")
"""The names of the formats with texts and their translations."""
_MOST_BYTES = 100_000_000


def read_pairs(path: Path, source: str | None, target: str) -> Iterator[tuple[str, str]]:
    """Yield each translated text of a file, or of the files in a folder, with its translation.

    In a table without a header, the second column is the translation of the first. In a folder,
    only files of bilingual formats are read. Raises a `Seq2SeqError` that names the file.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and _is_bilingual(file):
                yield from _pairs_of_file(file, source, target)
        return
    if not _is_bilingual(path):
        raise UsageError(
            f"{path}: {format_of(path).title} has no translations beside its texts; give TMX, PO, "
            "XLIFF, CSV, TSV or JSON Lines."
        )
    yield from _pairs_of_file(path, source, target)


def _is_bilingual(path: Path) -> bool:
    try:
        return format_of(path).name in BILINGUAL
    except UsageError:
        return False


def _pairs_of_file(path: Path, source: str | None, target: str) -> Iterator[tuple[str, str]]:
    try:
        data = read_bounded(path, _MOST_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from None
    form = format_of(path)
    try:
        document = open_document(data, form, source, target)
    except Seq2SeqError as error:
        if form.name != "csv" or b"\t" not in data.partition(b"\n")[0]:
            raise type(error)(f"{path}: {error}") from None
        yield from _two_columns(data)
        return
    for unit in document.units:
        if unit.translation and unit.state is State.TRANSLATED:
            yield unit.text, unit.translation


def _two_columns(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the first two columns of tab-separated lines."""
    text, _ = decode(data)
    for line in text.splitlines():
        source, _, rest = line.partition("\t")
        target = rest.partition("\t")[0]
        if source.strip() and target.strip():
            yield source, target
