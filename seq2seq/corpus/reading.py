"""Reading parallel text: two files side by side, a TSV file, or a Hugging Face `datasets` source.

A line ends at a line feed and nowhere else: U+2028, U+0085 and their like occur inside sentences.
"""

import gzip
import os
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.config import HubSource, Source
from seq2seq.errors import Seq2SeqError

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class ParallelText:
    """Sentence pairs in order: `target[i]` translates `source[i]`. `name` is what errors say."""

    name: str
    source: list[str]
    target: list[str]

    def __len__(self) -> int:
        return len(self.source)


def read_parallel(source: Source, source_language: str, target_language: str) -> ParallelText:
    """Read every pair of `source`.

    - `dir/train` is `dir/train.en` beside `dir/train.de`, each plain or `.gz` (plain goes first).
    - `dir/train.tsv` and `dir/train.tsv.gz` have the source sentence, a tab and the target
      sentence on each line. Further columns (an attribution, say) are ignored.
    - A `HubSource` is loaded by the `datasets` package. A missing value is an empty sentence.

    Raises `Seq2SeqError` for what is missing, damaged, of unequal length or empty.
    """
    if isinstance(source, HubSource):
        text = _read_hub(source)
    elif source.endswith((".tsv", ".tsv.gz")):
        text = _read_tsv(Path(source))
    else:
        text = _read_side_by_side(source, source_language, target_language)
    if not len(text):
        raise Seq2SeqError(f"{text.name}: the corpus is empty.")
    return text


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file, plain or `.gz`, without `\\n` or `\\r\\n`.

    A byte order mark at the start is no text, and a line feed at the end starts no further line.
    """
    data = _read_bytes(path).removeprefix(_BOM)
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Seq2SeqError(
            f"{path}, line {line}: not UTF-8 (byte 0x{data[error.start]:02x}); "
            "save the file as UTF-8."
        ) from None
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Seq2SeqError(f"{path}: not a gzip file, or a damaged one; get it again.") from None
    except FileNotFoundError:
        raise Seq2SeqError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise Seq2SeqError(f"{path}: cannot be read: {error.strerror}.") from None


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
    packed = Path(f"{plain}.gz")
    for path in (plain, packed):
        if os.path.exists(path):
            return path
    if os.path.isfile(prefix):
        stem, _, ending = prefix.removesuffix(".gz").rpartition(".")
        if ending in languages:
            raise Seq2SeqError(f"{prefix} is one side of a corpus; give the prefix {stem}.")
        raise Seq2SeqError(
            f"{prefix}: a corpus is a TSV file, whose name must end in .tsv or .tsv.gz, or a "
            f"prefix (dir/train for dir/train.{language} and its translation)."
        )
    raise Seq2SeqError(
        f"neither {plain} nor {packed} exists; a corpus is a prefix (dir/train for "
        f"dir/train.{language} and its translation) or a .tsv file, and its languages are those of "
        "the recipe, or --from and --to of `seq2seq check`."
    )


def _read_tsv(path: Path) -> ParallelText:
    text = ParallelText(str(path), [], [])
    for number, line in enumerate(read_lines(path), start=1):
        source, tab, rest = line.partition("\t")
        if not tab:
            raise Seq2SeqError(
                f"{path}, line {number}: no tab; write the source sentence, a tab and the target "
                "sentence."
            )
        text.source.append(source)
        text.target.append(rest.partition("\t")[0])
    return text


def _read_hub(source: HubSource) -> ParallelText:
    try:
        import datasets
    except ImportError:
        raise Seq2SeqError(
            f"{source.dataset}: reading it needs the datasets package; "
            "pip install 'seq2seq[train]'."
        ) from None
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
    first, second = (_sentences(rows[column], name, column) for column in source.columns)
    return ParallelText(name, first, second)


def _sentences(values: Iterable[Any], name: str, column: str) -> list[str]:
    """A column as sentences. A line feed inside becomes a space: a sentence is one line."""
    sentences = []
    for number, value in enumerate(values, start=1):
        if not isinstance(value, str | None):
            raise Seq2SeqError(
                f"{name}, row {number}: column {column!r} has a {type(value).__name__}, not text."
            )
        sentences.append((value or "").replace("\n", " "))
    return sentences
