"""`seq2seq bulk`: rows in are rows out, whatever is killed, on each engine that is installed."""

import csv
import errno
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.bulk_workers import bulk_workers
from helpers.commands import SEQ2SEQ, only_error, run_seq2seq

from seq2seq import UsageError
from seq2seq.bulk import BatchTranslator, job
from seq2seq.bulk.job import open_job
from seq2seq.errors import Seq2SeqError

GOLDEN = Path(__file__).parents[1] / "golden" / "int8"
WORDS = ("dog", "man", "cat", "old man")
TEXTS = [None if n % 10 == 3 else f"the {WORDS[n % 4]} saw the {WORDS[n % 3]}" for n in range(25)]
ADDED = ["text_de", "text_de_error", "text_de_notes"]


@pytest.fixture(scope="module")
def translator() -> BatchTranslator:
    return BatchTranslator(GOLDEN, column="text", into="text_de", beam_size=1)


@pytest.fixture(scope="module")
def expected(translator: BatchTranslator) -> list[str | None]:
    return translator({"text": TEXTS})["text_de"]  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(job._ENGINES, "local", lambda task, parts, _: map(task, parts))


def run(
    source: Path, output: Path, translator: BatchTranslator, rows: int = 4, **options: object
) -> list[str]:
    """Translate; return the names of the parts that were."""
    with open_job(source, output, translator, rows, options) as opened:
        assert sum(outcome.rows for outcome in opened.run("local")) == sum(
            part.rows for part in opened.missing
        )
        return [part.name for part in opened.missing]


def write(path: Path, texts: list[str | None] = TEXTS) -> Path:
    """A table in the format of the name, with what a writer would like to change."""
    table = pa.table({"id": pa.array(range(len(texts)), pa.int32()), "text": texts})
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=3)
    elif path.name.endswith("stream.arrow"):
        with pa.ipc.new_stream(str(path), table.schema) as stream:
            stream.write_table(table, max_chunksize=3)
    elif path.suffix == ".arrow":
        with pa.ipc.new_file(str(path), table.schema) as file:
            file.write_table(table, max_chunksize=3)
    elif path.suffix == ".csv":
        lines = [f'{n:03};"{text or ""}";"a\r\n""b"""\r\n' for n, text in enumerate(texts)]
        path.write_bytes("\ufeffid;text;more\r\n".encode() + "".join(lines).encode() + b"\r\n")
    else:
        lines = [f'{{"id":1.50e1,"text" :{json.dumps(text)}}}\n' for text in texts]
        path.write_text("\n".join(lines), encoding="utf-8")
    return path


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The rows of all partitions, in order."""
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("part-*")):
        if path.suffix == ".parquet":
            rows += pq.read_table(path).to_pylist()
        elif path.suffix == ".arrow":
            rows += pa.ipc.open_file(path).read_all().to_pylist()
        elif path.suffix == ".csv":
            text = path.read_bytes().decode("utf-8-sig")
            rows += csv.DictReader(StringIO(text, newline=""), delimiter=";")
        else:
            rows += map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return rows


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "stream.arrow", "a.csv", "a.jsonl"])
def test_each_format_keeps_its_rows_and_columns_and_gets_the_translations(
    name: str, tmp_path: Path, translator: BatchTranslator, expected: list[str | None]
) -> None:
    source, output = write(tmp_path / name), tmp_path / "out"
    assert len(run(source, output, translator)) == 7
    rows = rows_of(output)
    is_csv = name.endswith(".csv")
    texts, translations = TEXTS, expected
    if is_csv:  # which has no nulls
        texts = [text or "" for text in TEXTS]
        translations = [text or "" for text in expected]
    assert [row["text"] for row in rows] == texts
    assert [row["text_de"] for row in rows] == translations
    assert [[*row][-3:] for row in rows] == [ADDED] * len(TEXTS)
    if is_csv:
        assert (
            b'001;"the man saw the man";"a\r\n""b""";' in (output / "part-00000.csv").read_bytes()
        )
        assert [row["id"] for row in rows] == [f"{number:03}" for number in range(25)]
    elif name.endswith(".jsonl"):
        assert '{"id":1.50e1,"text" :"the man saw the man", "text_de": "' in (
            output / "part-00000.jsonl"
        ).read_text(encoding="utf-8")
    else:
        assert [row["id"] for row in rows] == [*range(25)]
    assert (output / "_SUCCESS").exists()


def test_a_folder_of_files_is_one_table(
    tmp_path: Path, translator: BatchTranslator, expected: list[str | None]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "b.parquet", TEXTS[5:])
    write(folder / "a.parquet", TEXTS[:5])
    (folder / "_SUCCESS").touch()
    assert len(run(folder, tmp_path / "out", translator)) == 2 + 5
    assert [row["text_de"] for row in rows_of(tmp_path / "out")] == expected


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.csv", "a.jsonl"])
def test_a_table_without_rows_gives_a_partition_without_rows(
    name: str, tmp_path: Path, translator: BatchTranslator
) -> None:
    source = write(tmp_path / name, [])
    if name == "a.parquet":
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), source)
    assert len(run(source, tmp_path / "out", translator)) == 1
    assert rows_of(tmp_path / "out") == []


def test_a_restart_does_what_is_missing_and_nothing_else(
    tmp_path: Path, translator: BatchTranslator, expected: list[str | None]
) -> None:
    source, output = write(tmp_path / "a.parquet"), tmp_path / "out"
    run(source, output, translator)
    whole = {path.name: path.read_bytes() for path in output.glob("part-*")}
    (output / "part-00002.parquet").unlink()
    (output / ".part-00002.parquet.0123456789abcdef.partial").write_bytes(b"PAR1")
    assert run(source, output, translator) == ["part-00002.parquet"]
    assert {path.name: path.read_bytes() for path in output.glob("*part-*")} == whole
    assert not [*output.glob("*.partial")]
    assert run(source, output, translator) == []


def test_a_restart_with_another_input_or_other_options_is_refused(
    tmp_path: Path, translator: BatchTranslator
) -> None:
    source, output = write(tmp_path / "a.parquet"), tmp_path / "out"
    run(source, output, translator, beam_size=1)
    for options in ({"beam_size": 2}, {"rows": 5, "beam_size": 1}):
        with pytest.raises(UsageError, match=r"begun with another value of '(beam_size|rows)'"):
            run(source, output, translator, **options)
    other = BatchTranslator(GOLDEN, into="other", beam_size=1)
    with pytest.raises(UsageError, match="another value of 'into'"):
        run(source, output, other, beam_size=1)
    model = shutil.copytree(GOLDEN, tmp_path / "model")
    same = BatchTranslator(model, into="text_de")
    assert run(source, output, same, beam_size=1) == []  # in another place
    (model / "README.md").write_text("another")
    with pytest.raises(UsageError, match="another value of 'models'"):
        run(source, output, same, beam_size=1)
    write(source, TEXTS[:-1])
    with pytest.raises(UsageError, match=r"begun with another input: a\.parquet has changed"):
        run(source, output, translator, beam_size=1)


def test_two_processes_are_not_at_work_in_one_folder(
    tmp_path: Path, translator: BatchTranslator
) -> None:
    source = write(tmp_path / "a.parquet")
    with (
        open_job(source, tmp_path / "out", translator, 4, {}),
        pytest.raises(Seq2SeqError, match="another process is using this folder"),
    ):
        run(source, tmp_path / "out", translator)


def test_a_file_that_changes_under_way_is_told_and_its_part_is_not_written(
    tmp_path: Path, translator: BatchTranslator
) -> None:
    source = write(tmp_path / "a.parquet")
    with open_job(source, tmp_path / "out", translator, 4, {}) as opened:
        write(source, TEXTS[:6])
        with pytest.raises(Seq2SeqError, match=r"^part-00001.parquet: .*it has changed"):
            list(opened.run("local"))
    assert [path.name for path in (tmp_path / "out").glob("*part-*")] == ["part-00000.parquet"]
    assert not (tmp_path / "out" / "_SUCCESS").exists()


def _refused() -> Iterator[tuple[str, bytes, str]]:
    yield "a.csv", b"id,words\n1,a\n", "no column 'text'; the columns are 'id', 'words'"
    yield "a.csv", b"text,text_de\na,b\n", "a column 'text_de' already"
    yield "a.csv", b"text\na,b\n", "row 1: 2 cells, and the header has 1"
    yield "a.csv", b'text\n"a\n', "not CSV"
    yield "a.csv", b"text\n\xff\n", "not CSV in UTF-8"
    yield "a.csv", b"", "no header"
    yield "a.jsonl", b'{"words": "a"}\n', "no row has a field 'text'"
    yield "a.jsonl", b'{"text": 1}\n', "'text' is not text but int"
    yield "a.jsonl", b'{"text": "a"}\n{"text": "a"\n', "row 2: not a JSON object"
    yield "a.jsonl", b'{"text": "a", "text_de": ""}\n', "a field 'text_de' already"
    yield "a.parquet", b"text\n", "cannot be read"
    yield "a.arrow", b"text\n", "cannot be read"
    yield "a.txt", b"text\n", "ends in .parquet"


@pytest.mark.parametrize(("name", "data", "message"), [*_refused()])
def test_what_cannot_be_translated_is_refused_before_any_work(
    name: str, data: bytes, message: str, tmp_path: Path, translator: BatchTranslator
) -> None:
    source = tmp_path / name
    source.write_bytes(data)
    with pytest.raises(Seq2SeqError, match=message) as raised:
        run(source, tmp_path / "out", translator)
    assert "\n" not in str(raised.value)
    assert name in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_files_with_other_columns_formats_or_no_files_are_refused(
    tmp_path: Path, translator: BatchTranslator
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(UsageError, match="no file in this folder"):
        run(folder, tmp_path / "out", translator)
    write(folder / "a.parquet")
    pq.write_table(pa.table({"text": ["a"]}), folder / "b.parquet")
    with pytest.raises(UsageError, match=r"b.parquet: its columns are not those of a.parquet"):
        run(folder, tmp_path / "out", translator)
    (folder / "b.parquet").rename(folder / "b.csv")
    with pytest.raises(UsageError, match=r"b.csv: not of the same format as a.parquet"):
        run(folder, tmp_path / "out", translator)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(UsageError, match="other files are in this folder"):
        run(folder / "a.parquet", tmp_path / "out", translator)


def test_rows_that_fail_are_counted(tmp_path: Path, translator: BatchTranslator) -> None:
    source = tmp_path / "a.jsonl"
    source.write_bytes(b'{"text": "the dog"}\n{"text": 7}\n{}\n')
    with open_job(source, tmp_path / "out", translator, 4, {}) as opened:
        assert [outcome.failed for outcome in opened.run("local")] == [1]
    rows = rows_of(tmp_path / "out")
    assert [row["text_de_error"] for row in rows] == ["", "not text but int", ""]
    assert [row["text_de"] is None for row in rows] == [False, True, True]


@pytest.mark.parametrize("names_host", [False, True])
def test_a_full_disk_names_the_part_and_on_a_cluster_the_host(
    names_host: bool, tmp_path: Path, translator: BatchTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_nothing(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with open_job(write(tmp_path / "a.csv"), tmp_path / "out", translator, 30, {}) as opened:
        monkeypatch.setattr(job, "write_file", write_nothing)
        [part] = opened.missing
        outcome = job._translate_part(translator, tmp_path / "out", names_host, part)
    host = f"host {platform.node()}, " if names_host else ""
    path = tmp_path / "out" / "part-00000.csv"
    assert outcome.error == f"{host}part-00000.csv: {path}: No space left on device."
    assert not path.exists()


# Real workers, one of which is killed half-way.

MANY = TEXTS * 240  # 6000 rows, 12 partitions


def _command(source: Path, output: Path, engine: str) -> list[str]:
    return [
        *SEQ2SEQ, "bulk", str(source), str(output), "--engine", engine, "--processes", "2",
        "--into", "text_de", "-m", str(GOLDEN), "-b", "1", "--rows", "500", "--quiet",
    ]  # fmt: skip


def _kill_a_worker(process: subprocess.Popen[bytes], output: Path) -> None:
    """Wait for the first partition, and kill one of the workers that go on."""
    deadline = time.monotonic() + 500  # Spark takes minutes to start on a busy machine
    while time.monotonic() < deadline:
        if [*output.glob("part-*")] and (workers := bulk_workers(process.pid)):
            workers[-1].kill()
            return
        assert process.poll() is None
        time.sleep(0.05)
    raise AssertionError("no partition in time")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers by their mapped files")
@pytest.mark.parametrize("engine", ["local", "ray", "spark"])
def test_a_killed_worker_loses_and_doubles_no_row(
    engine: str, tmp_path: Path, expected: list[str | None]
) -> None:
    if engine != "local":
        pytest.importorskip({"ray": "ray", "spark": "pyspark"}[engine])
    source, output = write(tmp_path / "a.parquet", MANY), tmp_path / "out"
    command = _command(source, output, engine)
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        _kill_a_worker(process, output)
        _, errors = process.communicate(timeout=600)
    if engine == "local":  # which leaves it to the user to go on; the others do
        assert process.returncode == 1
        assert errors.decode().startswith("seq2seq: a worker process has died")
        assert not (output / "_SUCCESS").exists()
        subprocess.run(command, check=True)
    else:
        assert process.returncode == 0, errors.decode()
    assert (output / "_SUCCESS").exists()
    assert len([*output.glob("*part-*")]) == 12
    rows = rows_of(output)
    assert [row["id"] for row in rows] == [*range(6000)]
    assert [row["text"] for row in rows] == MANY
    assert [row["text_de"] for row in rows] == expected * 240


@pytest.mark.slow
def test_the_command_says_what_it_did_and_what_is_wrong(tmp_path: Path) -> None:
    source, output = write(tmp_path / "a.csv", ["the dog"] * 3), tmp_path / "out"
    arguments = ("bulk", source, output, "--into", "text_de", "-m", GOLDEN, "--processes", "1")
    done = run_seq2seq(*arguments)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"{output}: 3 rows; partitions: 1\n"
    again = run_seq2seq(*arguments)
    assert again.stderr == f"{output}: 3 rows; partitions: 1, 1 of them there before\n"
    error = only_error(run_seq2seq(*arguments, "-b", "2"), 2, "seq2seq")
    assert "begun with another value of 'beam_size'" in error


@pytest.mark.slow
def test_the_command_reads_a_glossary_in_the_languages_of_the_model(tmp_path: Path) -> None:
    source, output = write(tmp_path / "a.csv", ["the dog"]), tmp_path / "out"
    (tmp_path / "terms.csv").write_text("de,en\nBahnhof,dog\n")
    arguments = ("bulk", source, output, "-m", GOLDEN, "--processes", "1")
    done = run_seq2seq(*arguments, "--glossary", tmp_path / "terms.csv")
    assert done.returncode == 0, done.stderr
    assert "Bahnhof" in next(output.glob("*.csv")).read_text("utf-8")
