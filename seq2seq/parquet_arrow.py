"""Read columnar files, Parquet and Arrow: the schema, and the rows in batches.

pyarrow is imported only when such a file is read.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seq2seq.errors import Seq2SeqError

COLUMNAR_ENDINGS = (".parquet", ".arrow", ".feather")


ReadColumns = Callable[[Sequence[str]], Iterator[Any]]
"""A function that reads the named columns of a file, in record batches."""


@contextmanager
def columnar_file(path: Path) -> Iterator[tuple[Any, ReadColumns]]:
    """Yield the schema of a file, and a function that reads its columns.

    Raises `Seq2SeqError` if the file is damaged, also if that shows only within the block.
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
    """Yield schema and batches of an Arrow file, or of an Arrow stream as `datasets` writes it."""
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
    """Turn errors of pyarrow within the block into `Seq2SeqError`."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise Seq2SeqError(f"{path}: cannot be read: {reason}.") from None


def is_text_type(kind: Any) -> bool:
    """Return whether a pyarrow type is text; the type of columns that are all null counts too."""
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
