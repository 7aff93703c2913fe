"""Tables with a column for each language: Parquet and Arrow files, and data sets of `datasets`.

A missing value is an empty sentence, and a line feed in a sentence becomes a space.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seq2seq.config.recipe import HubSource
from seq2seq.corpus.column_blocks import Columns, block_of
from seq2seq.errors import Seq2SeqError, require_extra
from seq2seq.parquet_arrow import columnar_file, is_text_type

_ROWS = 10_000  # of `datasets`, at a time


class Dataset(NamedTuple):
    """A data set that `datasets` has loaded."""

    name: str
    read: Callable[[], Iterator[Columns]]
    fingerprint: str  # changes whenever the rows do


def check_table_files(paths: Sequence[Path], columns: tuple[str, str]) -> None:
    """Raise `Seq2SeqError` if a column of a Parquet or Arrow file is missing or is not text."""
    require_extra("pyarrow", f"{paths[0]}: reading it", "train")
    for path in paths:
        with columnar_file(path) as (schema, _):
            _require_columns(str(path), columns, schema.names)
            for column in columns:
                kind = schema.field(column).type
                if not is_text_type(kind):
                    raise Seq2SeqError(f"{path}: the column {column!r} is not text but {kind}.")


def table_columns(path: Path, columns: tuple[str, str]) -> Iterator[Columns]:
    """Yield two columns of a Parquet or Arrow file, in blocks."""
    with columnar_file(path) as (_, read):
        for batch in read(columns):
            source, target = (_block(batch.column(name).to_pylist()) for name in columns)
            yield source, target


def load_dataset(source: HubSource) -> Dataset:
    """Load a data set with `datasets`, or open it as a stream with `streaming`."""
    require_extra("datasets", f"{source.dataset}: reading it", "train")
    import datasets

    name = " ".join(filter(None, (source.dataset, source.config, source.data_files, source.split)))
    try:
        if source.streaming:
            builder = datasets.load_dataset_builder(
                source.dataset, source.config, data_files=source.data_files
            )
            rows: Any = builder.as_streaming_dataset(split=source.split)
            fingerprint = f"{builder.cache_dir} {source.split}"
        else:
            rows = datasets.load_dataset(
                source.dataset, source.config, split=source.split, data_files=source.data_files
            ).flatten()
            _require_columns(name, source.columns, rows.column_names)
            rows = rows.select_columns(sorted(set(source.columns)))
            fingerprint = rows._fingerprint
    except Seq2SeqError:
        raise
    except Exception as error:  # anything that the reader of the format or the network raises
        raise _not_loaded(name, error) from None
    return Dataset(name, lambda: _dataset_columns(rows, source, name), fingerprint)


def _dataset_columns(rows: Any, source: HubSource, name: str) -> Iterator[Columns]:
    before = 0  # rows
    for part in _batches(rows, name):
        blocks = list[bytes]()
        for column in source.columns:
            values = _values(part, column, name)
            for number, value in enumerate(values, start=before + 1):
                if not isinstance(value, str | None):
                    raise Seq2SeqError(
                        f"{name}, row {number}: column {column!r} has a {type(value).__name__}, "
                        "not text."
                    )
            blocks.append(_block(values))
        before += len(values)
        yield blocks[0], blocks[1]


def _batches(rows: Any, name: str) -> Iterator[Mapping[str, Sequence[Any]]]:
    """Yield rows in batches of columns; errors of a stream show only now."""
    try:
        yield from rows.iter(batch_size=_ROWS)
    except Exception as error:
        raise _not_loaded(name, error) from None


def _values(part: Mapping[str, Sequence[Any]], column: str, name: str) -> Sequence[Any]:
    """Return a column of a batch; nested columns of a stream are not flattened yet."""
    outer, dot, inner = column.partition(".")
    if column in part or not dot:
        _require_columns(name, [column], part)
        return part[column]
    _require_columns(name, [outer], part)
    rows = [row if isinstance(row, Mapping) else {} for row in part[outer]]
    _require_columns(name, [inner], {key: None for row in rows for key in row})
    return _values({inner: [row.get(inner) for row in rows]}, inner, name)


def _block(values: Sequence[str | None]) -> bytes:
    return block_of((value or "").replace("\n", " ").encode() for value in values)


def _require_columns(name: str, columns: Sequence[str], known: Collection[str]) -> None:
    for column in columns:
        if column not in known:
            listed = ", ".join(known)
            raise Seq2SeqError(f"{name}: there is no column {column!r}; it has {listed}.")


def _not_loaded(name: str, error: Exception) -> Seq2SeqError:
    reason = str(error.__cause__ or error).strip().split("\n")[0].rstrip(".")
    return Seq2SeqError(f"{name}: datasets cannot load it: {reason}.")
