"""Read parallel text: two files side by side, TSV, catalogues, or a Hugging Face `datasets` source.

A line ends at a line feed and nowhere else: U+2028, U+0085 and their like occur inside sentences.

Whatever is small is held in memory. Everything else is copied to the cache once, and read from
there; see `seq2seq.corpus.lines` for why a copy.
"""

import bz2
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.config.recipe import HubSource, Source
from seq2seq.corpus import cache
from seq2seq.corpus.lines import Chosen, Index, Lines, LinesWriter
from seq2seq.errors import Seq2SeqError, require_extra
from seq2seq.files import file_digest, kind_of

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20  # bytes
_ROWS = 10_000  # of `datasets`, at a time
_SMALL_ROWS = 20_000
_VERSION = "1"  # of what is written to the cache
_ZSTD_INPUT = 1 << 14  # bytes; each may become thousands

_PACKINGS: Mapping[str, str] = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard"}
"""Endings of packed files, and what these are called."""

TSV_ENDINGS = tuple(f".tsv{ending}" for ending in ("", *_PACKINGS))

CATALOGUE_ENDINGS = (".tmx", ".po", ".xlf", ".xliff")

_INLINE = re.compile(r"</?g+\d+/?>")  # a tag of an inline element, see `TaggedText`

Columns = tuple[bytes, bytes]


@dataclass(frozen=True)
class ParallelText:
    """Sentence pairs in order: `target[i]` translates `source[i]`. `name` is what errors say."""

    name: str
    source: Sequence[str]
    target: Sequence[str]

    def __len__(self) -> int:
        return len(self.source)

    def select(self, index: Index) -> "ParallelText":
        """Select the pairs with these numbers."""
        return ParallelText(self.name, Chosen(self.source, index), Chosen(self.target, index))

    def sample(self, number: int) -> "ParallelText":
        """Select at most `number` pairs, spread evenly over the text."""
        if number >= len(self):
            return self
        return self.select(np.arange(number) * len(self) // max(number, 1))


def read_parallel(source: Source, source_language: str, target_language: str) -> ParallelText:
    """Read every pair of `source`.

    - `dir/train` is `dir/train.en` beside `dir/train.de`, each plain or packed: `.gz`, `.bz2`,
      `.xz` or `.zst` (plain goes first).
    - `dir/train.tsv`, which may be packed too, has the source sentence, a tab and the target
      sentence on each line. Further columns (an attribution, say) are ignored.
    - `dir/memory.tmx`, a `.po`, `.xlf` or `.xliff` file, or a folder of such files, has the texts
      that it calls translated, without their inline elements.
    - A `HubSource` is loaded by the `datasets` package. A missing value is an empty sentence.

    Raises `Seq2SeqError` for what is missing, damaged, of unequal length or empty.
    """
    if isinstance(source, HubSource):
        text = _read_hub(source)
    elif source.endswith(TSV_ENDINGS):
        text = _read_tsv(Path(source))
    elif _has_catalogues(source, source_language):
        text = _read_catalogues(Path(source), source_language, target_language)
    else:
        text = _read_side_by_side(source, source_language, target_language)
    if not len(text):
        raise Seq2SeqError(f"{text.name}: the corpus is empty.")
    return text


def read_lines(path: Path) -> Lines:
    """Read the lines of a UTF-8 file, plain or packed, without `\\n` or `\\r\\n`.

    A byte order mark at the start is no text, and a line feed at the end starts no further line.
    """
    if _is_small(path):
        return Lines.of(_blocks(path))

    def write(folder: Path) -> None:
        with LinesWriter(folder / "lines") as writer:
            for block in _blocks(path):
                writer.write(block)

    return Lines.open(_entry("text", path, write) / "lines")


def _is_small(path: Path) -> bool:
    with _readable(path):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise Seq2SeqError(f"{path}: not a file; a corpus is read more than once.")
        if path.suffix not in _PACKINGS:
            return path.stat().st_size <= cache.SMALL
        size = 0
        for block in _unpacked(path):
            size += len(block)
            if size > cache.SMALL:
                return False
        return True


def _entry(kind: str, path: Path, write: cache.Make) -> Path:
    """Return the cache entry that `write` makes of a file."""
    before = _digest(path)

    def make(folder: Path) -> None:
        write(folder)
        if _digest(path) != before:
            raise Seq2SeqError(f"{path}: has changed while it was read; run the command again.")

    form = _PACKINGS.get(path.suffix, "plain")
    return cache.entry(kind, (before, form, _VERSION), make)


def _digest(path: Path) -> str:
    with _readable(path):
        return file_digest(path)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever makes a file unreadable into a `Seq2SeqError`."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError):
        raise _damaged(path) from None
    except FileNotFoundError:
        raise Seq2SeqError(f"{path}: there is no such file.") from None
    except OSError as error:
        if error.errno is None:  # from the unpacking of bzip2
            raise _damaged(path) from None
        raise Seq2SeqError(f"{path}: cannot be read: {error.strerror}.") from None


def _damaged(path: Path) -> Seq2SeqError:
    name = _PACKINGS.get(path.suffix, "whole")
    return Seq2SeqError(f"{path}: not a {name} file, or a damaged one; get it again.")


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the file in blocks of whole lines of UTF-8, each line ended by a line feed."""
    before = 0  # lines
    for block in _whole_lines(path):
        try:
            block.decode()
        except UnicodeDecodeError as error:
            if not before and (kind := kind_of(block)):
                raise Seq2SeqError(f"{path}: {kind}, not plain text; save it as that.") from None
            line = before + block.count(b"\n", 0, error.start) + 1
            raise Seq2SeqError(
                f"{path}, line {line}: not UTF-8 (byte 0x{block[error.start]:02x}); "
                "save the file as UTF-8."
            ) from None
        before += block.count(b"\n")
        yield block.replace(b"\r\n", b"\n")


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the file in blocks of whole lines; the last line feed is added if missing."""
    rest = [b""]
    for block in _read(path):
        whole, feed, begun = block.rpartition(b"\n")
        if feed:
            yield b"".join((*rest, whole, feed))
            rest = [begun]
        else:
            rest.append(begun)
    if last := b"".join(rest):
        yield last + b"\n"


def _read(path: Path) -> Iterator[bytes]:
    """Yield the bytes of the file, unpacked, without a byte order mark."""
    with _readable(path):
        begun = b""  # as long as a byte order mark may still come
        blocks = _unpacked(path)
        for block in blocks:
            begun += block
            if len(begun) >= len(_BOM):
                break
        yield begun.removeprefix(_BOM)
        yield from blocks


def _unpacked(path: Path) -> Iterator[bytes]:
    """Yield the bytes of the file, unpacked, in blocks of about a megabyte."""
    if path.suffix == ".zst":
        yield from _unpacked_zstd(path)
        return
    with _OPENERS.get(path.suffix, Path.open)(path, "rb") as file:
        while block := file.read(_BLOCK):
            yield block


_OPENERS: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def _unpacked_zstd(path: Path) -> Iterator[bytes]:
    """Unpack Zstandard; raises `EOFError` if the file is damaged or cut short."""
    require_extra("zstandard", f"{path}: reading it", "train")
    import zstandard

    with path.open("rb") as file:
        frame = None  # there may be several, one behind the other
        data = b""
        while data := data or file.read(_ZSTD_INPUT):
            if frame is None or frame.eof:
                frame = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
            try:
                block = frame.decompress(data)
            except zstandard.ZstdError:
                raise EOFError from None
            data = frame.unused_data
            if block:
                yield block
        if frame is not None and not frame.eof:
            raise EOFError


def _read_side_by_side(prefix: str, *languages: str) -> ParallelText:
    paths = [_find(prefix, language, languages) for language in languages]
    source, target = (read_lines(path) for path in paths)
    if len(source) != len(target):
        raise Seq2SeqError(
            f"{paths[0]} has {len(source):,} lines and {paths[1]} has {len(target):,}; "
            "line n of one must translate line n of the other."
        )
    return ParallelText(prefix, source, target)


def _find(prefix: str, language: str, languages: Collection[str]) -> Path:
    plain = Path(f"{prefix}.{language}")
    packed = [Path(f"{plain}{ending}") for ending in _PACKINGS]
    for path in (plain, *packed):
        if os.path.exists(path):
            return path
    if os.path.isfile(prefix):
        bare = Path(prefix).with_suffix("") if Path(prefix).suffix in _PACKINGS else Path(prefix)
        stem, _, ending = str(bare).rpartition(".")
        if ending in languages:
            raise Seq2SeqError(f"{prefix} is one side of a corpus; give the prefix {stem}.")
        raise Seq2SeqError(
            f"{prefix}: a corpus is a TSV file, whose name must end in {', '.join(TSV_ENDINGS)}, "
            f"or a prefix (dir/train for dir/train.{language} and its translation)."
        )
    raise Seq2SeqError(
        f"neither {plain} nor {' nor '.join(map(str, packed))} exists; a corpus is a prefix "
        f"(dir/train for dir/train.{language} and its translation) or a .tsv file, and its "
        "languages are those of the recipe, or --from and --to of `seq2seq check`."
    )


def _read_tsv(path: Path) -> ParallelText:
    if _is_small(path):
        return ParallelText(str(path), *_in_memory(_columns(path)))
    folder = _entry("pairs", path, _writer_of(lambda: _columns(path)))
    return ParallelText(str(path), *_opened(folder))


def _columns(path: Path) -> Iterator[Columns]:
    """Yield the first two columns in blocks of whole lines."""
    before = 0  # lines
    for block in _blocks(path):
        lines = block.split(b"\n")[:-1]
        parts = [line.split(b"\t", 2) for line in lines]
        for number, part in enumerate(parts, start=before + 1):
            if len(part) == 1:
                raise Seq2SeqError(
                    f"{path}, line {number}: no tab; write the source sentence, a tab and the "
                    "target sentence."
                )
        before += len(lines)
        yield _block(part[0] for part in parts), _block(part[1] for part in parts)


def _block(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _in_memory(columns: Iterable[Columns]) -> tuple[Lines, Lines]:
    source, target = list[bytes](), list[bytes]()
    for first, second in columns:
        source.append(first)
        target.append(second)
    return Lines.of(source), Lines.of(target)


def _writer_of(columns: Callable[[], Iterable[Columns]]) -> cache.Make:
    """Make the function that writes both columns to a cache entry."""

    def make(folder: Path) -> None:
        with (
            LinesWriter(folder / "source") as source,
            LinesWriter(folder / "target") as target,
        ):
            for first, second in columns():
                source.write(first)
                target.write(second)

    return make


def _opened(folder: Path) -> tuple[Lines, Lines]:
    return Lines.open(folder / "source"), Lines.open(folder / "target")


def _has_catalogues(source: str, language: str) -> bool:
    """Tell whether it is a catalogue, or a folder and not the prefix of files as well."""
    if os.path.isdir(source):
        names = (f"{source}.{language}{ending}" for ending in ("", *_PACKINGS))
        return not any(map(os.path.exists, names))
    return source.endswith(CATALOGUE_ENDINGS)


def _read_catalogues(path: Path, source_language: str, target_language: str) -> ParallelText:
    from seq2seq.documents.bilingual import read_pairs

    pairs = read_pairs(path, source_language, target_language)
    columns = ((_line(source), _line(target)) for source, target in pairs)
    return ParallelText(str(path), *_in_memory(columns))


def _line(text: str) -> bytes:
    """Return a text in one line, as a model reads it."""
    return f"{' '.join(_INLINE.sub('', text).split())}\n".encode()


def _read_hub(source: HubSource) -> ParallelText:
    require_extra("datasets", f"{source.dataset}: reading it", "train")
    import datasets

    name = " ".join(filter(None, (source.dataset, source.config, source.data_files, source.split)))
    try:
        rows = datasets.load_dataset(
            source.dataset, source.config, split=source.split, data_files=source.data_files
        ).flatten()
    except Exception as error:  # whatever the reader of that format, or the network, raises
        reason = str(error.__cause__ or error).strip().split("\n")[0].rstrip(".")
        raise Seq2SeqError(f"{name}: datasets cannot load it: {reason}.") from None
    for column in source.columns:
        if column not in rows.column_names:
            raise Seq2SeqError(
                f"{name}: there is no column {column!r}; it has {', '.join(rows.column_names)}."
            )
    if len(rows) <= _SMALL_ROWS:
        return ParallelText(name, *_in_memory(_hub_columns(rows, source, name)))
    made_from = (rows._fingerprint, *source.columns, _VERSION)  # as `datasets` names its own cache
    folder = cache.entry("rows", made_from, _writer_of(lambda: _hub_columns(rows, source, name)))
    return ParallelText(name, *_opened(folder))


def _hub_columns(rows: Any, source: HubSource, name: str) -> Iterator[Columns]:
    """Yield both columns in blocks. A line feed in a sentence becomes a space."""
    before = 0  # rows
    for part in rows.select_columns(sorted(set(source.columns))).iter(batch_size=_ROWS):
        blocks = []
        for column in source.columns:
            for number, value in enumerate(part[column], start=before + 1):
                if not isinstance(value, str | None):
                    raise Seq2SeqError(
                        f"{name}, row {number}: column {column!r} has a {type(value).__name__}, "
                        "not text."
                    )
            blocks.append(
                _block((value or "").replace("\n", " ").encode() for value in part[column])
            )
        before += len(part[column])
        yield blocks[0], blocks[1]
