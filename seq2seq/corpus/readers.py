"""Read parallel text: two files side by side, TSV, tables, catalogues, a Hugging Face data set.

Only a line feed ends a line: U+2028, U+0085 and the like occur inside sentences.

Small texts are held in memory. Others are copied to the cache once and read from there; see
`seq2seq.corpus.lines` for the reason.
"""

import bz2
import glob
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.config.recipe import HubSource, Source
from seq2seq.corpus import cache
from seq2seq.corpus.column_blocks import Columns, block_of, in_cache, in_memory, keep_columns
from seq2seq.corpus.lines import Chosen, Index, Lines, LinesWriter
from seq2seq.corpus.tables import check_table_files, load_dataset, table_columns
from seq2seq.errors import Seq2SeqError, require_extra
from seq2seq.files import file_digest, kind_of
from seq2seq.parquet_arrow import COLUMNAR_ENDINGS

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20  # bytes
_VERSION = "1"  # of the format in the cache
_ZSTD_INPUT = 1 << 14  # bytes; each may unpack to thousands

_PACKINGS: Mapping[str, str] = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard"}
"""Endings of compressed files, and the names of the formats."""

TSV_ENDINGS = tuple(f".tsv{ending}" for ending in ("", *_PACKINGS))

CATALOGUE_ENDINGS = (".tmx", ".po", ".xlf", ".xliff")

PARALLEL_ENDINGS = (*TSV_ENDINGS, *COLUMNAR_ENDINGS, *CATALOGUE_ENDINGS)
"""Endings of files that contain both languages."""

_INLINE = re.compile(r"</?g+\d+/?>")  # a tag of an inline element, see `TaggedText`


@dataclass(frozen=True)
class ParallelText:
    """Sentence pairs in order: `target[i]` translates `source[i]`. `name` is for messages."""

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

    - `dir/train` stands for `dir/train.en` and `dir/train.de`, each plain or compressed: `.gz`,
      `.bz2`, `.xz` or `.zst` (a plain file is preferred).
    - `dir/train.tsv`, which may be compressed too, has the source sentence, a tab and the target
      sentence on each line. Further columns (an attribution, say) are ignored.
    - `dir/train.parquet`, or an Arrow file, has a column for each language, named by its code.
    - `dir/part-*.tsv.zst` and `dir/part-*.parquet` stand for all files that match, in the order of
      their names.
    - `dir/memory.tmx`, a `.po`, `.xlf` or `.xliff` file, or a folder of such files, gives the texts
      that are marked as translated, without their inline elements.
    - A `HubSource` is loaded by the `datasets` package. A missing value is an empty sentence.

    Raises `Seq2SeqError` if a file is missing, damaged, of unequal length or empty.
    """
    if isinstance(source, HubSource):
        text = _read_dataset(source)
    elif source.endswith(TSV_ENDINGS):
        text = _read_tsv(source)
    elif source.endswith(COLUMNAR_ENDINGS):
        text = _read_tables(source, (source_language, target_language))
    elif _has_catalogues(source, source_language):
        text = _read_catalogues(Path(source), source_language, target_language)
    else:
        text = _read_side_by_side(source, source_language, target_language)
    if not len(text):
        raise Seq2SeqError(f"{text.name}: the corpus is empty.")
    return text


def read_lines(path: Path) -> Lines:
    """Read the lines of a UTF-8 file, plain or compressed, without `\\n` or `\\r\\n`.

    A byte order mark at the start is skipped, and a line feed at the end begins no further line.
    """
    if _are_small(path):
        return Lines.of(_blocks(path))

    def write(folder: Path) -> None:
        with LinesWriter(folder / "lines") as writer:
            for block in _blocks(path):
                writer.write(block)

    return Lines.open(_entry("text", [path], (), write) / "lines")


def _are_small(*paths: Path) -> bool:
    """Return whether files, decompressed, are together small enough to hold in memory."""
    size = 0
    for path in paths:
        for block_size in _block_sizes(path):
            size += block_size
            if size > cache.SMALL:
                return False
    return True


def _block_sizes(path: Path) -> Iterator[int]:
    """Yield the size of a file in bytes; if compressed, block by block as it is decompressed."""
    with _readable(path):
        _require_file(path)
        if path.suffix not in _PACKINGS:
            yield path.stat().st_size
        else:
            yield from map(len, _unpacked(path))


def _require_file(path: Path) -> None:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise Seq2SeqError(f"{path}: not a file; a corpus is read more than once.")


def _entry(kind: str, paths: Sequence[Path], settings: tuple[str, ...], write: cache.Make) -> Path:
    """Return the cache entry that `write` makes from files."""
    before = [_digest(path) for path in paths]

    def make(folder: Path) -> None:
        write(folder)
        for path, digest in zip(paths, before, strict=True):
            if _digest(path) != digest:
                raise Seq2SeqError(f"{path}: changed while being read; run the command again.")

    forms = (_PACKINGS.get(path.suffix, "plain") for path in paths)
    files = chain.from_iterable(zip(before, forms, strict=True))
    return cache.entry(kind, (*files, *settings, _VERSION), make)


def _digest(path: Path) -> str:
    with _readable(path):
        return file_digest(path)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn errors of reading a file into a `Seq2SeqError`."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError):
        raise _damaged(path) from None
    except FileNotFoundError:
        raise Seq2SeqError(f"{path}: there is no such file.") from None
    except OSError as error:
        if error.errno is None:  # raised by the bzip2 decompressor
            raise _damaged(path) from None
        raise Seq2SeqError(f"{path}: cannot be read: {error.strerror}.") from None


def _damaged(path: Path) -> Seq2SeqError:
    name = _PACKINGS.get(path.suffix, "whole")
    return Seq2SeqError(f"{path}: not a {name} file, or a damaged one; get it again.")


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file in blocks of whole UTF-8 lines, each line ended by a line feed."""
    before = 0  # lines
    for block in _whole_lines(path):
        try:
            block.decode()
        except UnicodeDecodeError as error:
            if not before and (kind := kind_of(block)):
                raise Seq2SeqError(
                    f"{path}: {kind}, not plain text; save it as plain text in UTF-8."
                ) from None
            line = before + block.count(b"\n", 0, error.start) + 1
            raise Seq2SeqError(
                f"{path}, line {line}: not UTF-8 (byte 0x{block[error.start]:02x}); "
                "save the file as UTF-8."
            ) from None
        before += block.count(b"\n")
        yield block.replace(b"\r\n", b"\n")


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Yield a file in blocks of whole lines, adding the last line feed if it is missing."""
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
    """Yield the bytes of a file, decompressed, without a byte order mark."""
    with _readable(path):
        begun = b""  # collected until it is long enough for a byte order mark
        blocks = _unpacked(path)
        for block in blocks:
            begun += block
            if len(begun) >= len(_BOM):
                break
        yield begun.removeprefix(_BOM)
        yield from blocks


def _unpacked(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed, in blocks of about a megabyte."""
    if path.suffix == ".zst":
        yield from _unpacked_zstd(path)
        return
    with _OPENERS.get(path.suffix, Path.open)(path, "rb") as file:
        while block := file.read(_BLOCK):
            yield block


_OPENERS: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def _unpacked_zstd(path: Path) -> Iterator[bytes]:
    """Decompress Zstandard; raise `EOFError` if the file is damaged or cut short."""
    require_extra("zstandard", f"{path}: reading it", "train")
    import zstandard

    with path.open("rb") as file:
        frame = None  # a file may contain several, one after another
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
            f"{prefix}: a corpus is a file whose name ends in {', '.join(PARALLEL_ENDINGS)}, "
            f"or a prefix (dir/train for dir/train.{language} and its translation)."
        )
    if is_pattern(prefix):
        raise Seq2SeqError(
            f"{prefix}: a pattern must match files whose names end in "
            f"{', '.join((*TSV_ENDINGS, *COLUMNAR_ENDINGS))}."
        )
    raise Seq2SeqError(
        f"neither {plain} nor {' nor '.join(map(str, packed))} exists; a corpus is a prefix "
        f"(dir/train for dir/train.{language} and its translation) or a file of both languages, "
        "such as train.tsv, train.parquet or memory.tmx; its languages are those of the recipe, "
        "or --from and --to of `seq2seq check`."
    )


def _read_tsv(source: str) -> ParallelText:
    paths = _files(source)

    def read() -> Iterator[Columns]:
        return chain.from_iterable(map(_columns, paths))

    if _are_small(*paths):
        return ParallelText(source, *in_memory(read()))
    return ParallelText(source, *in_cache(read, partial(_entry, "pairs", paths, ())))


def _read_tables(source: str, columns: tuple[str, str]) -> ParallelText:
    paths = _files(source)
    check_table_files(paths, columns)

    def read() -> Iterator[Columns]:
        return chain.from_iterable(table_columns(path, columns) for path in paths)

    return ParallelText(source, *keep_columns(read, partial(_entry, "columns", paths, columns)))


def _files(source: str) -> list[Path]:
    """List the file that a source names, or all files that match its pattern, sorted."""
    paths = [Path(source)]
    if is_pattern(source) and not os.path.exists(source):
        paths = [Path(name) for name in sorted(glob.glob(source, recursive=True))]
        if not paths:
            raise Seq2SeqError(f"{source}: there is no file whose name fits this pattern.")
    for path in paths:
        _require_file(path)
    return paths


def is_parallel(source: str) -> bool:
    """Return whether a file or folder contains both languages, going by its name."""
    return source.endswith(PARALLEL_ENDINGS) or os.path.isdir(source)


def is_pattern(source: str) -> bool:
    """Return whether a source has one of the characters of a pattern for several files."""
    return any(character in source for character in "*?[")


def _columns(path: Path) -> Iterator[Columns]:
    """Yield the first two columns of a TSV file, in blocks of whole lines."""
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
        yield block_of(part[0] for part in parts), block_of(part[1] for part in parts)


def _has_catalogues(source: str, language: str) -> bool:
    """Return whether a source is a catalogue, or a folder that is not also a prefix of files."""
    if os.path.isdir(source):
        names = (f"{source}.{language}{ending}" for ending in ("", *_PACKINGS))
        return not any(map(os.path.exists, names))
    return source.endswith(CATALOGUE_ENDINGS)


def _read_catalogues(path: Path, source_language: str, target_language: str) -> ParallelText:
    from seq2seq.documents.bilingual import read_pairs

    pairs = read_pairs(path, source_language, target_language)
    columns = ((_line(source), _line(target)) for source, target in pairs)
    return ParallelText(str(path), *in_memory(columns))


def _line(text: str) -> bytes:
    """Return a text on one line, without inline tags, as a model reads it."""
    return f"{' '.join(_INLINE.sub('', text).split())}\n".encode()


def _read_dataset(source: HubSource) -> ParallelText:
    dataset = load_dataset(source)
    made_from = dataset.fingerprint, *source.columns, _VERSION
    return ParallelText(
        dataset.name, *keep_columns(dataset.read, partial(cache.entry, "rows", made_from))
    )
