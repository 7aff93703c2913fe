"""A batch of columns keeps its kind, its rows and its order, and gets the translations."""

import pickle
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from seq2seq import Router, Translator, UsageError
from seq2seq.bulk import BatchTranslator
from seq2seq.errors import Seq2SeqError
from seq2seq.translation.result import Translation

GOLDEN = Path(__file__).parents[1] / "golden" / "int8"
TEXTS = ["the old man saw the dog", None, "the dog saw the man", "the old man saw the dog"]
NAMES = ["id", "text", "text_de", "text_de_error", "text_de_notes"]


@pytest.fixture
def translator() -> BatchTranslator:
    return BatchTranslator(GOLDEN, column="text", into="text_de")


@pytest.fixture(scope="module")
def expected() -> list[str | None]:
    golden = Translator(GOLDEN, 1)
    return [golden.translate([text])[0].text if text else None for text in TEXTS]


def rows_of(batch: Any) -> list[dict[str, Any]]:
    """The rows of a batch of any kind."""
    if isinstance(batch, dict):
        columns = [list(values) for values in batch.values()]
        return [dict(zip(batch, row, strict=True)) for row in zip(*columns, strict=True)]
    if isinstance(batch, pd.DataFrame):
        batch = batch.astype(object).where(batch.notna(), None)
        return batch.to_dict("records")  # type: ignore[no-any-return]
    return batch.to_pylist()  # type: ignore[no-any-return]


TABLE = {"id": [1, 2, 3, 4], "text": TEXTS}
KINDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "lists": lambda table: table,
    "arrays": lambda table: {
        "id": np.array(table["id"]),
        "text": np.array(table["text"], dtype=object),
    },
    "pandas": pd.DataFrame,
    "pandas objects": lambda table: pd.DataFrame(table).astype({"text": object}),
    "table": lambda table: pa.table(table),
    "record batch": lambda table: pa.RecordBatch.from_pydict(table),
    "dictionary": lambda table: pa.table(
        {"id": table["id"], "text": pa.array(table["text"]).dictionary_encode()}
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_each_kind_gets_the_translations(
    kind: str, translator: BatchTranslator, expected: list[str | None]
) -> None:
    batch = KINDS[kind](TABLE)
    translated = translator(batch)
    assert type(translated) is type(batch)
    rows = rows_of(translated)
    assert [[*row] for row in rows] == [NAMES] * 4
    assert [(row["id"], row["text"]) for row in rows] == [*zip([1, 2, 3, 4], TEXTS, strict=True)]
    assert [row["text_de"] for row in rows] == expected
    assert [row["text_de_error"] for row in rows] == [""] * 4
    assert [*rows_of(batch)[0]] == ["id", "text"]  # which is not changed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [0, 2])
def test_a_batch_without_texts_gets_all_columns_and_needs_no_model(kind: str, number: int) -> None:
    batch = KINDS[kind]({"id": [1, 2][:number], "text": [None, None][:number]})
    translated = BatchTranslator("no-such-model", into="text_de")(batch)
    assert [row["text_de"] for row in rows_of(translated)] == [None] * number


def test_arrays_and_data_frames_keep_their_kind_of_strings(translator: BatchTranslator) -> None:
    array = translator({"text": np.array(["the dog"])})["text_de"]
    assert isinstance(array, np.ndarray)
    frame = pd.DataFrame({"text": ["the dog"]}, index=[7]).astype({"text": "string"})
    translated = translator(frame)
    assert [*translated.index] == [7]
    assert {name: str(dtype) for name, dtype in translated.dtypes.items()} == dict.fromkeys(
        ["text", "text_de", "text_de_error", "text_de_notes"], "string"
    )
    table = pa.table({"text": pa.array(["the dog"], pa.large_string())}, metadata={"a": "b"})
    schema = translator(table).schema
    assert schema.field("text_de").type == pa.large_string()
    assert schema.metadata == {b"a": b"b"}


def test_an_iterator_of_batches_gives_one_of_translated_batches(
    translator: BatchTranslator, expected: list[str | None]
) -> None:
    batches = translator(iter([{"text": TEXTS[:2]}, {"text": TEXTS[2:]}]))
    assert next(batches)["text_de"] == expected[:2]
    assert next(batches)["text_de"] == expected[2:]
    assert next(batches, None) is None


def test_a_row_that_fails_is_told_in_its_column_and_the_others_are_translated(
    translator: BatchTranslator, expected: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    translate = Router.translate

    def failing(self: Any, texts: list[str], **options: Any) -> list[Translation]:
        if "boom" in texts:
            raise MemoryError("no more")
        return translate(self, texts, **options)

    monkeypatch.setattr(Router, "translate", failing)
    batch = translator({"text": [*TEXTS, 7, "boom", float("nan")]})
    assert batch["text_de"] == [*expected, None, None, None]
    errors = ["", "", "", "", "not text but int", "MemoryError: no more", ""]
    assert batch["text_de_error"] == errors


def test_notes_have_a_column_of_their_own(
    translator: BatchTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Router,
        "translate",
        lambda _, texts, **options: [Translation.unchanged(text, "one", "two") for text in texts],
    )
    assert translator({"text": ["a", None]})["text_de_notes"] == ["one; two", ""]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"id": [1], "words": ["a"]}, "no column 'text'; the columns are 'id', 'words'"),
        ({"text": ["a"], "text_de_error": ["b"]}, "a column 'text_de_error' already"),
        ({"text": [1, 2]}, "'text' is not text but int"),
        ({"text": np.array([1.5])}, "'text' is not text but float64"),
        (pd.DataFrame({"text": [1, 2]}), "'text' is not text but int"),
        (pa.table({"text": [1, 2]}), "'text' is not text but int64"),
        (pa.table({"text": [b"a"]}), "'text' is not text but binary"),
    ],
)
def test_a_column_that_is_missing_taken_or_not_text_is_refused_in_one_sentence(
    batch: Any, message: str, translator: BatchTranslator
) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        translator(batch)
    assert str(raised.value).count("\n") == 0


def test_what_is_no_batch_is_refused(translator: BatchTranslator) -> None:
    with pytest.raises(TypeError, match="not a str"):
        translator("the dog")
    with pytest.raises(TypeError, match="beam"):
        BatchTranslator(GOLDEN, beam=3)  # type: ignore[call-arg]


def test_it_is_pickled_without_the_model_which_another_process_loads_once(
    translator: BatchTranslator, expected: list[str | None]
) -> None:
    translator({"text": TEXTS})
    data = pickle.dumps(translator)
    assert len(data) < 1000
    code = (
        "import pickle, sys; from seq2seq.bulk import batch_translator\n"
        "translator = pickle.loads(sys.stdin.buffer.read())\n"
        f"batch = {{'text': {TEXTS!r}}}\n"
        f"assert [translator(batch)['text_de'] for _ in 'ab'] == [{expected!r}] * 2\n"
        "print(batch_translator._router.cache_info().misses)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout.strip() == b"1"


def test_a_worker_without_the_model_names_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "worker-7")
    with pytest.raises(Seq2SeqError, match=r"^host worker-7: .*no-such-model"):
        BatchTranslator("no-such-model")({"text": ["a"]})


def test_options_that_do_not_fit_the_model_are_refused() -> None:
    with pytest.raises(UsageError, match="'xx'"):
        BatchTranslator(GOLDEN, target="xx").check()
    with pytest.raises(UsageError, match="'xx'"):
        BatchTranslator(GOLDEN, target="xx")({"text": ["a"]})


# Real engines.


@pytest.mark.slow
def test_datasets_maps_it_over_two_processes(
    translator: BatchTranslator, expected: list[str | None]
) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict(TABLE)
    translated = rows.map(translator, batched=True, batch_size=2, num_proc=2)
    assert translated["text_de"][:] == expected
    assert translated["id"][:] == [1, 2, 3, 4]


@pytest.mark.slow
def test_dask_maps_it_over_partitions(
    translator: BatchTranslator, expected: list[str | None]
) -> None:
    dask = pytest.importorskip("dask.dataframe")
    table = dask.from_pandas(pd.DataFrame(TABLE), npartitions=2)
    translated = table.map_partitions(translator, meta=translator(table._meta)).compute()
    assert [row["text_de"] for row in rows_of(translated)] == expected


@pytest.mark.slow
@pytest.mark.parametrize("batch_format", ["pyarrow", "pandas", "numpy"])
def test_ray_maps_it_over_batches(
    batch_format: str, translator: BatchTranslator, expected: list[str | None]
) -> None:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    table = ray.data.from_arrow([pa.table(TABLE), pa.table(TABLE)])
    translated = table.map_batches(translator, batch_format=batch_format).take_all()
    assert [[*row] for row in translated] == [NAMES] * 8
    assert sorted(row["id"] for row in translated) == sorted([1, 2, 3, 4] * 2)
    assert {row["id"]: row["text_de"] for row in translated} == dict(enumerate(expected, 1))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_spark_maps_it_in_arrow_and_in_pandas(
    translator: BatchTranslator, expected: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = pytest.importorskip("pyspark.sql")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.getOrCreate()
    try:
        rows = [(1, TEXTS[0]), (2, TEXTS[1]), (3, TEXTS[2]), (4, TEXTS[3])]
        table = session.createDataFrame(rows, "id long, text string")
        schema = "id long, " + ", ".join(f"{name} string" for name in NAMES[1:])
        for engine_map in (table.mapInArrow, table.mapInPandas):
            translated = engine_map(translator, schema)
            found = {row["id"]: row["text_de"] for row in translated.collect()}
            assert found == dict(enumerate(expected, 1))
    finally:
        session.stop()
