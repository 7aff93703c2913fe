"""Does memory grow with the corpus? Trains on a small and a large one, and compares.

    python tests/stress/stress_memory.py --pairs 10000000

Both corpora are made up, in a folder that is removed at the end; 10 million pairs take 4 GB there.
`seq2seq train` runs on each as a process of its own for some steps: with a tokenizer that both
share, before and after the cache has their texts, and with one learnt from each. What is counted is
anonymous memory (`RssAnon` in /proc, so this needs Linux) of the process and its workers together.
Pages of mapped files are not in it: the system takes them back when memory gets scarce.
"""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from seq2seq.cli.exit import reported_errors
from seq2seq.errors import Seq2SeqError, UsageError

LIMIT = 1.3
"""The most that the large corpus may take, as a multiple of what the small one takes."""

_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvw" for vowel in "aou"]
_WORDS = ["".join(parts) for parts in product(_SYLLABLES, _SYLLABLES, ["", "n", "s"])]
_VALID = 50  # pairs
_BLOCK = 10_000  # pairs
_PAUSE = 0.05  # seconds between two looks at the memory
_CONSOLE = Console(stderr=True)


@dataclass
class Run:
    """What one training run took; memory in bytes."""

    prepared: float = 0.0  # seconds until all is ready for the first step
    preparing: list[int] = field(default_factory=list)
    training: list[int] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """The most at any time."""
        return max(self.preparing + self.training)

    @property
    def steady(self) -> float:
        """The median while steps were made."""
        return statistics.median(self.training)


@reported_errors("stress_memory")
def main(
    pairs: Annotated[int, typer.Option(help="Of the large corpus.", min=1)] = 10_000_000,
    small: Annotated[int, typer.Option(help="Pairs of the small corpus.", min=1)] = 100_000,
    steps: Annotated[int, typer.Option(help="Training steps of each run.", min=51)] = 200,
    folder: Annotated[
        Path | None, typer.Option(help="Where the corpora and the cache go for a while.")
    ] = None,
) -> None:
    """Train on a small and a large corpus, print what each takes, fail where memory grows."""
    if not Path("/proc/self/status").exists():
        raise UsageError("anonymous memory is read from /proc, which only Linux has.")
    with tempfile.TemporaryDirectory(prefix="stress-", dir=folder) as place:
        compare(Path(place), (small, pairs), steps)


def compare(folder: Path, sizes: tuple[int, int], steps: int) -> None:
    """Run all of it in `folder` and print the figures."""
    write_corpus(folder / "valid", _VALID, seed=0)
    for size in sizes:
        write_corpus(folder / str(size), size, seed=size)
    first = train(folder, sizes[0], None, 51)
    tokenizer = folder / "tokenizer.model"
    shutil.copy(first, tokenizer)
    shutil.rmtree(folder / "cache", ignore_errors=True)

    runs = dict[tuple[str, int], Run]()
    print(f"{'pairs':>12}  {'tokenizer':<9}  {'cache':<5}  ready after  peak MB  steady MB")
    for learnt, cache in (("shared", "empty"), ("shared", "full"), ("its own", "full")):
        for size in sizes:
            path = tokenizer if learnt == "shared" else None
            run = measure(folder, size, path, steps)
            runs[f"{learnt} tokenizer, {cache} cache", size] = run
            print(
                f"{size:>12,}  {learnt:<9}  {cache:<5}  {run.prepared:9.1f} s  "
                f"{run.peak / 1e6:7.0f}  {run.steady / 1e6:9.0f}",
                flush=True,
            )
    print()
    worst = 0.0
    for name in dict.fromkeys(name for name, _ in runs):
        one, other = (runs[name, size] for size in sizes)
        ratios = other.peak / one.peak, other.steady / one.steady
        worst = max(worst, *ratios)
        print(f"{name}: {ratios[0]:.2f} times the peak, {ratios[1]:.2f} times the steady memory")
    if worst > LIMIT:
        raise Seq2SeqError(f"memory grows with the corpus: {worst:.2f} times, not {LIMIT}.")


def write_corpus(prefix: Path, pairs: int, seed: int) -> None:
    """Pairs of 3 to 25 made-up words, of which the target has each one spelled backwards.

    In every hundred one is repeated, and one has no target.
    """
    choose = random.Random(seed)
    backwards = {word: word[::-1] for word in _WORDS}
    with (
        Path(f"{prefix}.en").open("w", encoding="utf-8") as source,
        Path(f"{prefix}.de").open("w", encoding="utf-8") as target,
    ):
        for begin in bar(range(0, pairs, _BLOCK), f"writing {pairs:,} pairs"):
            for number in range(begin, min(begin + _BLOCK, pairs)):
                if number % 100 != 1:
                    words = choose.choices(_WORDS, k=choose.randint(3, 25))
                translation = map(backwards.__getitem__, words if number % 100 != 2 else ())
                source.write(" ".join(words) + ".\n")
                target.write(" ".join(translation) + "\n")


def train(folder: Path, size: int, tokenizer: Path | None, steps: int) -> Path:
    """Train for some steps; the tokenizer of the run."""
    measure(folder, size, tokenizer, steps)
    return folder / "run" / "tokenizer.model"


def measure(folder: Path, size: int, tokenizer: Path | None, steps: int) -> Run:
    """Train for some steps, and look at the memory all the time."""
    run, output = Run(), folder / "run"
    shutil.rmtree(output, ignore_errors=True)
    started = time.perf_counter()
    stopped = False
    with training(folder, size, tokenizer, output) as process, _CONSOLE.status("") as status:
        while process.poll() is None:
            memory, step = anonymous_memory(process.pid), last_step(output)
            (run.training if step else run.preparing).append(memory)
            if not output.joinpath("checkpoints").exists():
                run.prepared = time.perf_counter() - started
            if step >= steps and not stopped:
                process.terminate()
                stopped = True
            status.update(f"{size:,} pairs: {memory / 1e6:,.0f} MB, step {step} of {steps}")
            time.sleep(_PAUSE)
    if not run.training:
        raise Seq2SeqError(f"training ended early:\n{folder.joinpath('log').read_text()}")
    return run


@contextmanager
def training(
    folder: Path, size: int, tokenizer: Path | None, output: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that trains, until the end of the block."""
    recipe = folder / "recipe.toml"
    recipe.write_text(
        "[corpus]\n"
        'source_language = "en"\ntarget_language = "de"\n'
        f'train = "{folder / str(size)}"\nvalid = "{folder / "valid"}"\n'
        "[tokenizer]\nvocabulary_size = 2000\n"
        + (f'path = "{tokenizer}"\n' if tokenizer else "")
        + "[model]\nhidden_size = 64\nencoder_layers = 1\ndecoder_layers = 1\nheads = 2\n"
        # Float32, since in bfloat16 oneDNN keeps code for a thousand shapes of batches: a gigabyte
        # after some hundred steps, on the smallest corpus too, in which any growth would drown.
        '[training]\nthreads = 1\nbatch_tokens = 500\nprecision = "float32"\n',
        encoding="utf-8",
    )
    environment = os.environ | {"SEQ2SEQ_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "seq2seq.cli.main", "train", str(recipe), "-o", str(output)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def anonymous_memory(process: int) -> int:
    """Bytes of `RssAnon` of a process and of all that it has started."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        started = children(process)
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0
    own = [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")]
    return 1024 * sum(own) + sum(map(anonymous_memory, started))


def children(process: int) -> list[int]:
    """The processes that a process has started, and that still run."""
    tasks = [*Path(f"/proc/{process}/task").iterdir()]
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def last_step(run: Path) -> int:
    """The step of the last row of metrics.jsonl; 0 before there is one."""
    try:
        rows = (run / "metrics.jsonl").read_bytes().splitlines()
        return max((int(json.loads(row)["step"]) for row in rows[-1:]), default=0)
    except (FileNotFoundError, ValueError):  # a row that is being written
        return 0


def bar(numbers: range, what: str) -> Iterator[int]:
    """A bar on a terminal."""
    hidden = not _CONSOLE.is_terminal
    yield from track(numbers, what, console=_CONSOLE, disable=hidden, transient=True)


if __name__ == "__main__":
    typer.run(main)
