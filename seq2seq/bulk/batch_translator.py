"""Translate a batch of columns: a callable that Ray, Spark and Dask can map over a table."""

import platform
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np

from seq2seq.config.model_config import Combination
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.parquet_arrow import is_text_type
from seq2seq.translation.base import TranslateKeywords, TranslateOptions
from seq2seq.translation.result import Translation
from seq2seq.translation.router import Router
from seq2seq.translation.translator import Translator

_loading = threading.Lock()  # engines call from several threads


class TranslatedColumn(NamedTuple):
    """The translations of a column of N values; each list has N items."""

    translations: list[str | None]
    """None for a null, and for a row that failed."""
    errors: list[str]
    """Why a row could not be translated; "" if it was, or is null."""
    notes: list[str]
    """The notes on a translation, joined by "; "; usually ""."""


class BatchTranslator:
    """Translates a column of each batch, and adds the translations as a new column.

    from seq2seq.bulk import BatchTranslator

    translator = BatchTranslator(target="de", column="text", into="text_de")
    translator({"id": [1, 2], "text": ["Good morning!", None]})

    A batch is a dict of lists or NumPy arrays, a pandas DataFrame, or a pyarrow Table or
    RecordBatch; the result is of the same type. For an iterator of batches the result is an
    iterator of translated batches, as Spark's `mapInPandas` and `mapInArrow` need it.

    Three columns are added: `into`, in which nulls stay null; `into`_error, which says why a row
    failed; and `into`_notes. The latter two are "" in rows without an error or a note.

    Pickling leaves the model out; each process loads it once, at its first call.
    """

    def __init__(
        self,
        model: str | Path | Sequence[str | Path] | None = None,
        *,
        column: str = "text",
        into: str = "translation",
        threads: int = 1,
        ensemble: Combination = "log",
        **options: Unpack[TranslateKeywords],
    ) -> None:
        """Take a model directory that each worker can read, or several for an ensemble.

        Without one, the bundled models are used. `threads` is the number per process. `options` are
        fields of `TranslateOptions`, such as `source` and `target`; by default `unit` is
        "sentence", which keeps the lines of a value. Raises `TypeError` for an unknown option.
        """
        folders = [model] if isinstance(model, str | Path) else model or ()
        self.models = tuple(Path(folder).absolute() for folder in folders)
        self.column = column
        self.into = into
        self._threads, self._ensemble = threads, ensemble
        defaults: TranslateKeywords = {"unit": "sentence", "keep_parts": False}
        self._options: TranslateKeywords = {**defaults, **options}
        TranslateOptions(**self._options)

    @property
    def added(self) -> tuple[str, str, str]:
        """The names of the new columns: translations, errors, notes."""
        return self.into, f"{self.into}_error", f"{self.into}_notes"

    def check(self) -> None:
        """Load the model; raises `Seq2SeqError` if that fails or the options do not fit it."""
        with _loading:
            router = _router(self.models, self._threads, self._ensemble)
        router.stream((), TranslateOptions(**self._options))

    def check_columns(self, names: Iterable[str]) -> None:
        """Raise `UsageError` if a table with these column names cannot be translated."""
        known = [*names]
        if self.column not in known:
            listed = ", ".join(map(repr, known[:50])) or "none"
            raise UsageError(f"there is no column {self.column!r}; the columns are {listed}.")
        for name in self.added:
            if name in known:
                raise UsageError(
                    f"there is a column {name!r} already; give the translations another name."
                )

    def __call__(self, batch: Any) -> Any:
        """Translate a batch, or an iterator of batches.

        Raises `UsageError` if the column is missing or is not text, or if one of the new columns
        exists already, and `Seq2SeqError`, which names the host, if the model cannot be loaded.
        """
        if isinstance(batch, Iterator):
            return map(self, batch)
        if isinstance(batch, Mapping):
            return self._translate_mapping(batch)
        if hasattr(batch, "schema") and hasattr(batch, "num_rows"):
            return self._translate_arrow(batch)
        if hasattr(batch, "iloc") and hasattr(batch, "columns"):
            return self._translate_data_frame(batch)
        raise TypeError(
            "a batch is a dict of columns, a DataFrame of pandas, or a Table or RecordBatch of "
            f"pyarrow, not a {type(batch).__name__}"
        )

    def translate_values(self, values: Iterable[object]) -> TranslatedColumn:
        """Translate the texts of a column.

        None and NaN count as null; any other value that is not text gets an error.
        """
        known = [*values]
        texts = [value for value in known if isinstance(value, str)]
        translations = iter(self._translate(self._loaded(), texts) if texts else ())
        column = TranslatedColumn([], [], [])
        for value in known:
            translation, error = None, ""
            if isinstance(value, str):
                translation, error = next(translations)
            elif not _is_null(value):
                error = f"not text but {type(value).__name__}"
            column.translations.append(translation.text if translation else None)
            column.errors.append(error)
            column.notes.append("; ".join(translation.notes) if translation else "")
        return column

    def _translate(
        self, router: Router, texts: Sequence[str]
    ) -> list[tuple[Translation | None, str]]:
        """Return (translation, "") for each text, or (None, error) if it could not be translated.

        After an error the texts are translated in halves, until the text that causes it is alone.
        """
        try:
            return [(found, "") for found in router.translate(texts, **self._options)]
        except Seq2SeqError:
            raise  # the options or the model are wrong, not a text
        except Exception as error:
            if len(texts) == 1:
                return [(None, f"{type(error).__name__}: {error}")]
            middle = len(texts) // 2
            first, second = texts[:middle], texts[middle:]
            return self._translate(router, first) + self._translate(router, second)

    def _loaded(self) -> Router:
        try:
            with _loading:
                return _router(self.models, self._threads, self._ensemble)
        except (Seq2SeqError, OSError) as error:
            raise Seq2SeqError(f"host {platform.node()}: {error}") from None

    def _translate_mapping(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        self.check_columns(batch)
        values = batch[self.column]
        self._require_text(values)
        column = self.translate_values(values)
        is_array = isinstance(values, np.ndarray)
        new = (np.array(part, dtype=object) if is_array else part for part in column)
        return {**batch, **dict(zip(self.added, new, strict=True))}

    def _translate_data_frame(self, batch: Any) -> Any:
        self.check_columns(map(str, batch.columns))
        series = batch[self.column]
        values = series.astype(object).where(series.notna(), None)
        self._require_text(values)
        is_string = series.dtype == object or series.dtype.name in ("str", "string")
        dtype = series.dtype if is_string else object  # the string type of the table
        new = {
            name: type(series)(part, index=batch.index, dtype=dtype)
            for name, part in zip(self.added, self.translate_values(values), strict=True)
        }
        return batch.assign(**new)

    def _translate_arrow(self, batch: Any) -> Any:
        import pyarrow as pa

        self.check_columns(batch.schema.names)
        array = batch.column(self.column)
        if not is_text_type(array.type):
            raise self._not_text(array.type)
        column = self.translate_values(array.to_pylist())
        text = pa.large_string() if array.type == pa.large_string() else pa.string()
        schema, arrays = batch.schema, [*batch.columns]
        for name, part in zip(self.added, column, strict=True):
            schema = schema.append(pa.field(name, text))
            arrays.append(pa.array(part, text))
        return type(batch).from_arrays(arrays, schema=schema)

    def _require_text(self, values: Iterable[object]) -> None:
        """Raise `UsageError` if there are values other than null, but none is text."""
        present = [value for value in values if not _is_null(value)]
        if present and not any(isinstance(value, str) for value in present):
            raise self._not_text(type(present[0]).__name__)

    def _not_text(self, kind: object) -> UsageError:
        return UsageError(f"the column {self.column!r} is not text but {kind}.")


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)


@cache
def _router(models: tuple[Path, ...], threads: int, ensemble: Combination) -> Router:
    """Load the models, once per process."""
    if not models:
        return Router(threads=threads)
    return Router([Translator([*models], threads, ensemble=ensemble)], threads)
