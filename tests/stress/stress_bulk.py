"""Send a large table through `seq2seq bulk` on each engine, kill its processes, and compare.

    PYTHONPATH=tests python tests/stress/stress_bulk.py --rows 1000000 -m sample.s2s
    PYTHONPATH=tests python tests/stress/stress_bulk.py --rows 20000 --kills 10

The table has a key and a text in each row, in four files of Parquet; the keys are in random order.
The texts are sentences by the grammar of the sample corpus; with `--distinct` there are that many,
and each stands in as many rows, one after the other. Each engine must give the table back as it
is, in its order, with a translation in each row, and all engines the same ones. It prints rows per
second, and the CPU seconds of all processes, their start included.

With `--kills` it then begins a job for each kill, on one engine after the other, kills the command
or one of its workers at a random moment, and gives the command again if that ended it. What was
written before must stay, and the table come out the same.
"""

import hashlib
import random
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from helpers.bulk_workers import bulk_workers

from seq2seq.cli.exit import reported_errors
from seq2seq.errors import Seq2SeqError

ENGINES = ("local", "ray", "spark")
Victim = Literal["worker", "command"]

_GRAMMAR = Path(__file__).parents[2] / "data" / "make_sample.py"
_FILES = 4
_PAUSE = 1.0  # seconds between two looks at the processes, which take CPU time themselves


class Job(NamedTuple):
    """What the engines are given: a folder of tables, and the options of the command."""

    source: Path
    options: tuple[str, ...]

    def start(self, engine: str, output: Path) -> "subprocess.Popen[bytes]":
        """Begin it, or go on with it, as a shell does; what it says goes to a file."""
        command = [sys.executable, "-m", "seq2seq.cli.main", "bulk", str(self.source), str(output)]
        options = ["--engine", engine, *self.options]
        with output.with_suffix(".log").open("wb") as log:
            return subprocess.Popen([*command, *options], stderr=log)


class Run(NamedTuple):
    """What one engine took, and what it made of the table."""

    seconds: float
    cpu_seconds: float
    partitions: int
    digest: str


@reported_errors("stress_bulk")
def main(
    rows: Annotated[int, typer.Option(help="Of the table.", min=_FILES)] = 20_000,
    distinct: Annotated[
        int, typer.Option(help="Texts that differ; 0: those of all rows do.", min=0)
    ] = 0,
    engine: Annotated[
        list[str] | None, typer.Option(help="Repeat it for several; without it, all three.")
    ] = None,
    model: Annotated[Path | None, typer.Option("-m", "--model", help="A model directory.")] = None,
    beam_size: Annotated[int, typer.Option("-b", "--beam-size", min=1)] = 1,
    workers: Annotated[int, typer.Option(help="Processes of each engine.", min=1)] = 2,
    part_rows: Annotated[int, typer.Option(help="Rows of a partition.", min=1)] = 1000,
    kills: Annotated[int, typer.Option(help="Random moments to kill a process at.", min=0)] = 0,
    seed: Annotated[int, typer.Option(help="Of the table and of the moments.")] = 1,
) -> None:
    """Translate the table on each engine; fail where rows or translations differ."""
    engines = engine or ENGINES
    with tempfile.TemporaryDirectory(prefix="stress-") as place:
        folder = Path(place)
        distinct = min(distinct or rows, rows)
        write_table(folder / "table", rows, distinct, seed)
        print(f"{rows:,} rows, {distinct:,} distinct texts, {workers} workers, beam {beam_size}")
        options = ["--rows", str(part_rows), "--processes", str(workers), "-b", str(beam_size)]
        options += ["-t", "de"] if model is None else ["-m", str(model)]
        job = Job(folder / "table", (*options, "--column", "text", "--into", "text_de"))
        runs = {name: run(job, name, folder / name, rows) for name in engines}
        if len({result.digest for result in runs.values()}) > 1:
            raise Seq2SeqError("the engines do not give the same translations.")
        if kills:
            kill(job, runs, folder, kills, seed)
    print("passed")


def write_table(folder: Path, rows: int, distinct: int, seed: int) -> None:
    """Write the rows to files of the same size, but for one row."""
    folder.mkdir()
    keys = random.Random(seed).sample(range(rows), rows)
    pairs = runpy.run_path(str(_GRAMMAR))["distinct_pairs"](seed)
    sentences = [english for english, _ in islice(pairs, distinct)]
    texts = [sentences[row * distinct // rows] for row in range(rows)]
    for number in range(_FILES):
        part = slice(number * rows // _FILES, (number + 1) * rows // _FILES)
        table = pa.table({"key": pa.array(keys[part], pa.int64()), "text": texts[part]})
        pq.write_table(table, folder / f"table-{number}.parquet")


def run(job: Job, engine: str, output: Path, rows: int) -> Run:
    """Translate the table without disturbance, print what that took, and check it."""
    started = time.perf_counter()
    process = job.start(engine, output)
    cpu_seconds = watch(process)
    seconds = time.perf_counter() - started
    finish(process, output)
    digest = check(job, output)
    print(
        f"{engine:<5}  {rows / seconds:7,.0f} rows/s  {seconds:7,.1f} s  {cpu_seconds:7,.1f} CPU s"
        f"  {digest}",
        flush=True,
    )
    return Run(seconds, cpu_seconds, len(times(output)), digest)


def watch(process: "subprocess.Popen[bytes]") -> float:
    """Wait for its end; return the CPU seconds of it and of all that it started."""
    seconds = dict[psutil.Process, float]()
    with suppress(psutil.NoSuchProcess):
        command = psutil.Process(process.pid)
        while process.poll() is None:
            for each in (command, *command.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    times = each.cpu_times()
                    seconds[each] = times.user + times.system
            time.sleep(_PAUSE)
    return sum(seconds.values())


def finish(process: "subprocess.Popen[bytes]", output: Path) -> None:
    """Wait for a command that must come to its end."""
    if code := process.wait():
        said = output.with_suffix(".log").read_text(encoding="utf-8").strip()
        raise Seq2SeqError(f"the command ended with {code}: {said}")


def check(job: Job, output: Path) -> str:
    """Compare what came out with what went in; return the SHA-256 of the rows sorted by key."""
    table = read(job.source.glob("*.parquet"))
    translated = read(output.glob("part-*"))
    if not translated.select(["key", "text"]).equals(table):
        raise Seq2SeqError(
            f"{output.name}: {len(table):,} rows went in, and {len(translated):,} others came out."
        )
    wrong = sum(error != "" for error in translated["text_de_error"].to_pylist())
    if wrong or translated["text_de"].null_count:
        raise Seq2SeqError(f"{output.name}: {wrong:,} rows have failed.")
    if not (output / "_SUCCESS").exists() or [*output.glob(".*")]:
        raise Seq2SeqError(f"{output.name}: not marked as complete, or a file is half written.")
    digest = hashlib.sha256()
    columns = translated.select(["key", "text", "text_de"]).sort_by("key").to_pydict().values()
    for row in zip(*columns, strict=True):
        digest.update(f"{row}\n".encode())
    return digest.hexdigest()


def read(paths: Iterator[Path]) -> pa.Table:
    """Read the files of a table, in the order of their names."""
    return pa.concat_tables([pq.read_table(path) for path in sorted(paths)])


def kill(job: Job, runs: dict[str, Run], folder: Path, kills: int, seed: int) -> None:
    """Kill -9 at random moments, each in a job of its own, and give the command again."""
    draw = random.Random(seed)
    for number in range(kills):
        engine = [*runs][number % len(runs)]
        victim: Victim = "command" if number // len(runs) % 2 else "worker"
        output = folder / f"killed-{number}"
        while True:
            process = job.start(engine, output)
            partitions = draw.randrange(runs[engine].partitions)
            pause = draw.uniform(0, runs[engine].seconds / runs[engine].partitions)
            if kill_at(process, output, partitions, pause, victim):
                break
            finish(process, output)
            shutil.rmtree(output)
        written = times(output)
        code = process.wait()
        if code not in (0, ending(engine, victim)):
            raise Seq2SeqError(f"with a {victim} killed, {engine} ended with {code}.")
        if code:
            written = times(output)
            finish(job.start(engine, output), output)
        after = times(output)
        again = sum(after[name] != written[name] for name in written)
        # Of an engine that goes on, the part that was written but not yet reported is done again.
        if again > (code == 0):
            raise Seq2SeqError(f"{engine} has translated {again} partitions again.")
        if check(job, output) != runs[engine].digest:
            raise Seq2SeqError(f"with a {victim} killed, {engine} gives other translations.")
        print(
            f"kill {number + 1:>2}: {engine:<5}  {victim:<7}  {len(written):>3} of {len(after)} "
            f"partitions were written, {again} of them again; rows and translations are equal",
            flush=True,
        )
        shutil.rmtree(output)


def ending(engine: str, victim: Victim) -> int:
    """Return the exit code of a command of which a process was killed before it had done its work.

    After that it is 0.
    """
    if victim == "command":
        return -signal.SIGKILL
    return 1 if engine == "local" else 0


def kill_at(
    process: "subprocess.Popen[bytes]", output: Path, partitions: int, pause: float, victim: Victim
) -> bool:
    """Kill a process of a command; False: it had ended before.

    That is `pause` seconds after so many partitions have been written; a worker is killed later
    where there is none yet.
    """
    moment = None
    while process.poll() is None:
        if moment is None and len(times(output)) >= partitions:
            moment = time.perf_counter() + pause
        if moment is not None and time.perf_counter() >= moment:
            victims = [process] if victim == "command" else bulk_workers(process.pid)
            if victims:
                victims[-1].kill()
                return True
        time.sleep(0.05)
    return False


def times(output: Path) -> dict[str, int]:
    """Return when each partition was written, by its name."""
    return {path.name: path.stat().st_mtime_ns for path in sorted(output.glob("part-*"))}


if __name__ == "__main__":
    typer.run(main)
