"""Translate a table in parts, and resume: each part is written atomically, and never done again.

The table is split into parts before the work begins, and the parts are recorded in the manifest.
An engine calls `_translate_part` for each part whose file is missing, and again if a worker dies;
repeated calls write the same file. So no row is lost or duplicated.
"""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from seq2seq.bulk.batch_translator import BatchTranslator
from seq2seq.bulk.table_files import Part, split, table_files, table_format
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import file_digest, remove_leftovers, write_file
from seq2seq.process_pool import ProcessPool, cores

Engine = Literal["local", "ray", "spark"]
_ATTEMPTS = 4  # how often an engine tries a part whose worker dies

# Readers of tables ignore files whose names begin with an underscore.
_MANIFEST = "_manifest.json"
_LOCK = "_lock"
_SUCCESS = "_SUCCESS"


@dataclass(frozen=True)
class Outcome:
    """The result of a part; `error` is a sentence that names the part, or "" if it succeeded."""

    rows: int
    failed: int
    error: str = ""


@dataclass(frozen=True)
class BulkJob:
    """The parts of a table, and those that are not translated yet."""

    translator: BatchTranslator
    output: Path
    parts: tuple[Part, ...]
    missing: tuple[Part, ...]

    def run(self, engine: Engine, processes: int = 0) -> Iterator[Outcome]:
        """Translate the missing parts; yield the outcome of each as it is written.

        With `processes` 0 there is one per core, or as many as the cluster has. Raises
        `Seq2SeqError` if a part cannot be translated; parts that are already written are kept.
        """
        task = partial(_translate_part, self.translator, self.output, engine != "local")
        if self.missing:
            for outcome in _ENGINES[engine](task, self.missing, processes):
                if outcome.error:
                    raise Seq2SeqError(outcome.error)
                yield outcome
        lost = [part.name for part in self.parts if not (self.output / part.name).is_file()]
        if lost:
            raise Seq2SeqError(
                f"{self.output / lost[0]} is not there, although it was written: do all hosts "
                "share this folder?"
            )
        write_file(self.output / _SUCCESS, b"")


@contextmanager
def open_job(
    source: Path,
    output: Path,
    translator: BatchTranslator,
    rows: int,
    options: Mapping[str, object],
) -> Iterator[BulkJob]:
    """Start a job, or resume the one in the folder `output`.

    `options` are further settings that affect the translations. Raises `UsageError` if the job was
    started with other options or another input, and `Seq2SeqError` if another process is running
    it.
    """
    output = output.absolute()
    files = table_files(source)
    manifest = output / _MANIFEST
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; give a folder for the partitions.")
    if output.exists() and not manifest.exists() and {*os.listdir(output)} - {_LOCK}:
        raise UsageError(f"{output}: other files are in this folder; give a new one.")
    settings = {
        "seq2seq": version("seq2seq"),
        "column": translator.column,
        "into": translator.into,
        "models": [_folder_digest(folder) for folder in translator.models],
        "rows": rows,
        **options,
    }
    digests = {path.name: file_digest(path) for path in files}
    begun = _read_manifest(manifest) if manifest.exists() else None
    if begun:
        _require_same(output, begun, settings, digests)
    else:
        parts = split(files, translator, rows)
        begun = {
            "settings": settings,
            "input": digests,
            "parts": [[part.path.name, part.start, part.end, part.rows] for part in parts],
        }
    paths = {path.name: path for path in files}
    parts = [
        Part(f"part-{number:05}{paths[name].suffix}", paths[name], start, end, count)
        for number, (name, start, end, count) in enumerate(begun["parts"])
    ]
    with _locked(output):
        if not manifest.exists():
            write_file(manifest, json.dumps(begun, ensure_ascii=False).encode())
        remove_leftovers(output, "part-*")
        missing = [part for part in parts if not (output / part.name).exists()]
        yield BulkJob(translator, output, tuple(parts), tuple(missing))


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_bytes())
        if manifest.keys() == {"settings", "input", "parts"}:
            return manifest  # type: ignore[no-any-return]
    except (ValueError, AttributeError):
        pass
    raise Seq2SeqError(f"{path}: damaged, or not of a job; give another folder.")


def _require_same(
    output: Path, begun: dict[str, Any], settings: dict[str, object], digests: dict[str, str]
) -> None:
    """Raise `UsageError` if a job is resumed with other settings or another input."""
    before = begun["settings"]
    for name in settings.keys() | before.keys():
        if settings.get(name) != before.get(name):
            raise UsageError(
                f"{output}: begun with another value of {name!r}; give the same, or a new folder."
            )
    for name in sorted(digests.keys() | begun["input"].keys()):
        if digests.get(name) != begun["input"].get(name):
            raise UsageError(
                f"{output}: begun with another input: {name} has changed; give the same, or a new "
                "folder."
            )


@contextmanager
def _locked(output: Path) -> Iterator[None]:
    output.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Seq2SeqError(f"{output}: another process is using this folder.") from None
    try:
        yield
    finally:
        lock.release()


def _folder_digest(folder: Path) -> str:
    digests = [f"{path.name} {file_digest(path)}" for path in sorted(folder.iterdir())]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _translate_part(
    translator: BatchTranslator, output: Path, names_host: bool, part: Part
) -> Outcome:
    """Translate a part and write it atomically; runs on a worker, and never raises."""
    try:
        translated = table_format(part.path).translate(part, translator)
        if translated.rows != part.rows:
            raise Seq2SeqError(
                f"{part.path}: {translated.rows:,} rows in place of {part.rows:,}: it has changed."
            )
        write_file(output / part.name, translated.data)
        return Outcome(translated.rows, translated.failed)
    except OSError as error:
        reason = f"{error.filename or output}: {error.strerror or error}."
    except Exception as error:  # an engine would retry, in vain
        is_known = isinstance(error, Seq2SeqError)
        reason = str(error) if is_known else f"{type(error).__name__}: {error}"
    host = f"host {platform.node()}, " if names_host else ""
    return Outcome(0, 0, f"{host}{part.name}: {reason}")


Task = Callable[[Part], Outcome]


def _run_local(task: Task, parts: Sequence[Part], processes: int) -> Iterator[Outcome]:
    pool = ProcessPool(min(processes or cores(), len(parts)))
    try:
        yield from pool.map(task, ((part,) for part in parts))
    finally:
        pool.close()


def _run_ray(task: Task, parts: Sequence[Part], processes: int) -> Iterator[Outcome]:
    """Run on the Ray cluster at $RAY_ADDRESS, or else start one on this machine."""
    _require_engine("ray")
    import ray

    started: dict[str, Any] = {}
    if "RAY_ADDRESS" not in os.environ:
        started = {"num_cpus": processes or cores(), "include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True, **started)
    except Exception as error:  # Ray has no class for this error
        raise Seq2SeqError(f"Ray does not start: {_first_line(error)}") from None
    try:
        remote = ray.remote(num_cpus=1, max_retries=_ATTEMPTS - 1)(_call)
        shared = ray.put(task)
        coming = iter(parts)
        at_once = 2 * (processes or int(ray.cluster_resources().get("CPU", 1)))
        pending = [remote.remote(shared, part) for part in islice(coming, at_once)]
        while pending:
            done, pending = ray.wait(pending)
            yield from ray.get(done)
            pending += [remote.remote(shared, part) for part in islice(coming, len(done))]
    except ray.exceptions.RayError as error:
        raise Seq2SeqError(f"Ray gave up: {_first_line(error)}") from None
    finally:
        ray.shutdown()


def _run_spark(task: Task, parts: Sequence[Part], processes: int) -> Iterator[Outcome]:
    """Run on the configured Spark master, or else start one on this machine."""
    _require_engine("pyspark")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    from pyspark import SparkConf
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("seq2seq bulk")
    if not SparkConf().contains("spark.master"):
        builder = builder.master(f"local[{processes or cores()},{_ATTEMPTS}]").config(
            "spark.ui.enabled", "false"
        )
    session = builder.getOrCreate()
    try:
        context = session.sparkContext
        context.setLogLevel("OFF")
        yield from context.parallelize(parts, len(parts)).map(task).collect()
    except Exception as error:
        if not (isinstance(error, PySparkException) or type(error).__module__ == "py4j.protocol"):
            raise
        raise Seq2SeqError(f"Spark gave up: {_first_line(error)}") from None
    finally:
        session.stop()


_ENGINES: Mapping[Engine, Callable[[Task, Sequence[Part], int], Iterator[Outcome]]] = {
    "local": _run_local,
    "ray": _run_ray,
    "spark": _run_spark,
}


def _call(task: Task, part: Part) -> Outcome:
    return task(part)


def _require_engine(module: str) -> None:
    if find_spec(module) is None:
        raise Seq2SeqError(f"this engine needs {module}: pip install {module}")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") + "."
