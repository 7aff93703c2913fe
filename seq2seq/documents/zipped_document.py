"""Documents that are zip files of XML: parts that are not translated stay as they are.

Nothing is unpacked to disk, and no more is unpacked than the limits allow.
"""

import copy
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from typing import Protocol
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from seq2seq.documents.document import TextUnit, UnitTranslation
from seq2seq.documents.xml_source import MOST_BYTES, XmlSource, is_new
from seq2seq.errors import Seq2SeqError

_MOST_PARTS = 10_000
_MOST_UNPACKED = 1024**3
_UNPACKED_ANYHOW = 2 * 1024**2
_MOST_TIMES = 200  # factor by which a larger file may grow when it is unpacked
_ENCRYPTED = 1  # a flag of a part


class ZipSource:
    """A zip file in memory."""

    def __init__(self, data: bytes) -> None:
        with _told():
            self._archive = ZipFile(BytesIO(data))
        infos = self._archive.infolist()
        self.names = [info.filename for info in infos]
        size = sum(info.file_size for info in infos)
        most = max(_UNPACKED_ANYHOW, min(_MOST_UNPACKED, _MOST_TIMES * len(data)))
        if len(infos) > _MOST_PARTS:
            raise Seq2SeqError(f"has more than {_MOST_PARTS} parts.")
        if size > most or sum(info.compress_size for info in infos) > len(data):
            raise Seq2SeqError(f"would be unpacked to {size // 1024**2} MiB, which is refused.")
        if len({*self.names}) < len(infos):
            raise Seq2SeqError("has two parts of the same name.")
        for info in infos:
            if info.flag_bits & _ENCRYPTED:
                raise Seq2SeqError("is encrypted; save it without a password.")
            if info.compress_type not in (ZIP_DEFLATED, ZIP_STORED):
                raise Seq2SeqError(f"has a part compressed in an unknown way: {info.filename}.")
            if not _is_inside(info.filename):
                raise Seq2SeqError(f"has a part whose path leaves the archive: {info.filename!r}.")

    def read(self, name: str) -> bytes:
        """Return a part; raise `Seq2SeqError` if it is missing, damaged or too large."""
        if name not in self.names:
            raise Seq2SeqError(f"has no part {name!r}.")
        if self._archive.getinfo(name).file_size > MOST_BYTES:
            raise Seq2SeqError(f"has a part of more than {MOST_BYTES // 1024**2} MiB: {name}.")
        with self.naming(name), _told():
            return self._archive.read(name)

    def read_xml(self, name: str, prefixes: Mapping[str, str]) -> XmlSource:
        """Return a part, parsed as XML."""
        data = self.read(name)
        with self.naming(name):
            return XmlSource(data, prefixes)

    @contextmanager
    def naming(self, name: str) -> Iterator[None]:
        """Add the name of the part to errors about it."""
        try:
            yield
        except Seq2SeqError as error:
            raise Seq2SeqError(f"in {name}: {error}") from None

    def with_parts(self, parts: Mapping[str, bytes]) -> bytes:
        """Return the zip file with some parts replaced, by name."""
        packed = BytesIO()
        with _told(), ZipFile(packed, "w") as archive:
            archive.comment = self._archive.comment
            for info in self._archive.infolist():
                part = parts.get(info.filename)
                data = self._archive.read(info) if part is None else part
                written = copy.copy(info)  # keeps its date, compression and permissions
                written.extra = _without_sizes(info.extra)
                archive.writestr(written, data)
        return packed.getvalue()


class ZipPart(Protocol):
    """A part of a document, see `Document`."""

    @property
    def units(self) -> Sequence[TextUnit]:
        """The texts to translate."""

    def render(self, translations: Sequence[UnitTranslation | None], is_changed: bool) -> bytes:
        """Return the translated part; if the document `is_changed`, also with settings changed."""


class ZippedDocument:
    """A document whose texts are in parts of a zip file, see `Document`."""

    def __init__(self, data: bytes, archive: ZipSource, parts: Mapping[str, ZipPart]) -> None:
        """Take the parts by name, in reading order."""
        self._data, self._archive, self._parts = data, archive, parts
        self.units: Sequence[TextUnit] = [unit for part in parts.values() for unit in part.units]

    def render(self, translations: Sequence[UnitTranslation | None]) -> bytes:
        """Return the document with the translation of each unit in place; None leaves it."""
        pairs = zip(self.units, translations, strict=True)
        if not any(given and is_new(unit, given) for unit, given in pairs):
            return self._data
        remaining = iter(translations)
        rendered = {
            name: part.render([*islice(remaining, len(part.units))], True)
            for name, part in self._parts.items()
        }
        return self._archive.with_parts(rendered)


@contextmanager
def _told() -> Iterator[None]:
    """Raise `Seq2SeqError` if a zip file is damaged."""
    try:
        yield
    except (
        BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError, struct.error,
        zlib.error,
    ) as error:  # fmt: skip
        raise Seq2SeqError(f"is not a valid zip file: {str(error).rstrip('.')}.") from None


def _is_inside(name: str) -> bool:
    """Return whether a path stays inside the folder where the archive would be unpacked."""
    parts = name.replace("\\", "/").split("/")
    return not (name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name)


def _without_sizes(extra: bytes) -> bytes:
    """Return a part's extra fields without its sizes (Zip64), which are written anew."""
    kept = b""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        field, extra = extra[: 4 + length], extra[4 + length :]
        if kind != 1:
            kept += field
    return kept
