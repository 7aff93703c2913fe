"""Files of columns, Parquet and Arrow: their schema, and their rows in batches.

pyarrow is imported when one of them is read.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seq2seq.errors import Seq2SeqError

COLUMNAR_ENDINGS = (".parquet", ".arrow", ".feather")


ReadColumns = Callable[[Sequence[str]], Iterator[Any]]
"""Reads these columns of a file, in record batches."""


@contextmanager
def columnar_file(path: Path) -> Iterator[tuple[Any, ReadColumns]]:
    """Give the schema of a file, and what reads its columns.

    Raises `Seq2SeqError` where the file is damaged; so does the block.
    """
    from pyarrow.parquet import ParquetFile

    with readable_columns(path):
        if path.suffix == ".parquet":
            with ParquetFile(path) as file:
                yield file.schema_arrow, lambda columns: file.iter_batches(columns=[*columns])
        else:
            with arrow_batches(path) as (schema, batches):
                yield schema, lambda columns: (batch.select([*columns]) for batch in batches)


@contextmanager
def arrow_batches(path: Path) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Give schema and batches of an Arrow file, or of a stream, which `datasets` writes."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        try:
            file = pa.ipc.open_file(source)
            batches = (file.get_batch(number) for number in range(file.num_record_batches))
            schema = file.schema
        except pa.ArrowInvalid:
            source.seek(0)
            stream = pa.ipc.open_stream(source)
            batches, schema = iter(stream), stream.schema
        yield schema, batches


@contextmanager
def readable_columns(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises into a `Seq2SeqError`."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise Seq2SeqError(f"{path}: cannot be read: {reason}.") from None


def is_text_type(kind: Any) -> bool:
    """Tell whether a column of this type of pyarrow is text; so is one of nothing but nulls."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_null,
        )
    )
