"""A batch of columns in, the same with translations out: what Ray, Spark and Dask map on tables."""

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
    """What becomes of a column of N values; each list is of length N."""

    translations: list[str | None]
    """None for a null, and for a row that failed."""
    errors: list[str]
    """Why a row has no translation; "" where it has one, or is null."""
    notes: list[str]
    """What a reader should know of the translation, parted by "; "; most often ""."""


class BatchTranslator:
    """Translates a column of each batch, and adds the translations as a further column.

    from seq2seq.bulk import BatchTranslator

    translator = BatchTranslator(target="de", column="text", into="text_de")
    translator({"id": [1, 2], "text": ["Good morning!", None]})

    A batch is a dict of lists or NumPy arrays, a pandas DataFrame, or a Table or RecordBatch of
    pyarrow; what comes out is of the same kind. An iterator of batches gives one of translated
    batches, as `mapInPandas` and `mapInArrow` of Spark want it. Beside the column `into`, where
    nulls stay null, there are `into`_error, which says why a row failed, and `into`_notes; both
    are "" else.

    It is pickled without the model, which each process that calls it loads once.
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
        """Take a model directory that each worker can read, or several, an ensemble of them.

        Without any, the bundled models translate. `threads` are those of each process. `options`
        are the fields of `TranslateOptions`, such as `source` and `target`; the lines of a value
        stay, unless `unit` says otherwise. Raises `TypeError` for an option that does not exist.
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
        """The names of the columns that it adds: translations, errors, notes."""
        return self.into, f"{self.into}_error", f"{self.into}_notes"

    def check(self) -> None:
        """Load the model; raise `Seq2SeqError` where that fails, or the options do not fit it."""
        with _loading:
            router = _router(self.models, self._threads, self._ensemble)
        router.stream((), TranslateOptions(**self._options))

    def check_columns(self, names: Iterable[str]) -> None:
        """Raise `UsageError` where a table of such columns cannot be translated."""
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

        Raises `UsageError` where the column is missing or is not text, or there is a column of the
        new names already, and `Seq2SeqError`, which names the host, where the model does not load.
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
        """Translate each text of a column; None and NaN are null, and anything else has failed."""
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
        """Return for each text its translation, or None and what went wrong with it."""
        try:
            return [(found, "") for found in router.translate(texts, **self._options)]
        except Seq2SeqError:
            raise  # it is about the options or the model, not about a text
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
        dtype = series.dtype if is_string else object  # the kind of strings that the table has
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
        """Raise `UsageError` where there are values, and not one of them is text."""
        present = [value for value in values if not _is_null(value)]
        if present and not any(isinstance(value, str) for value in present):
            raise self._not_text(type(present[0]).__name__)

    def _not_text(self, kind: object) -> UsageError:
        return UsageError(f"the column {self.column!r} is not text but {kind}.")


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)


@cache
def _router(models: tuple[Path, ...], threads: int, ensemble: Combination) -> Router:
    """Load the models, once in a process."""
    if not models:
        return Router(threads=threads)
    return Router([Translator([*models], threads, ensemble=ensemble)], threads)
