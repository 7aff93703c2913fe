"""Do to training runs what machines do to them, and see whether the same model comes out.

    python tests/stress/stress_training.py kill --kills 100
    python tests/stress/stress_training.py kill --processes 2 --kills 20
    python tests/stress/stress_training.py disk-full     # as root on Linux: it mounts small disks
    python tests/stress/stress_training.py sigterm
    python tests/stress/stress_training.py lock

The run is a real one of part of the sample corpus: dropout, sampled subwords and augmentation are
on. `kill` forks its processes from one that has imported torch and done nothing else, since to
import it takes longer than to train; the other tests start `seq2seq train` as a shell does. With
`--processes` the run has several, of which one is killed: the others must end, and say so once.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

from stress_memory import children

from seq2seq.cli.exit import reported_errors

_SAMPLE = Path(__file__).parents[2] / "data" / "sample"
_CLOCK_FIELDS = ("time", "seconds", "tokens_per_second")
_RECIPE = """
[corpus]
source_language = "en"
target_language = "de"
train = "{folder}/train"
valid = "{folder}/valid"

[tokenizer]
vocabulary_size = 500
sampling = 0.1

[augmentation]
lower_case = 0.1
unpunctuated = 0.1
names = 0.2
placeholders = 0.1

[model]
hidden_size = 48
encoder_layers = 1
decoder_layers = 2

[training]
epochs = {epochs}
batch_tokens = 300
learning_rate = 4e-3
warmup_steps = 20
dropout = 0.2
word_dropout = 0.1
ema_decay = 0.9
validate_every = 30
checkpoint_every = 10
threads = 1
"""


def main() -> None:
    """Run one of the tests; the exit code says whether it passed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("test", choices=["kill", "disk-full", "sigterm", "lock"])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1, help="of a run that is killed")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # for processes to come; torch is not imported yet
    with tempfile.TemporaryDirectory() as name:
        work = Work(Path(name), arguments.epochs)
        if arguments.test == "kill":
            draw = random.Random(arguments.seed)
            passed = kill(work, arguments.kills, arguments.processes, draw)
        else:
            test = {"disk-full": fill_disk, "sigterm": terminate, "lock": start_twice}
            passed = test[arguments.test](work)
    print("passed" if passed else "FAILED")
    sys.exit(not passed)


class Work:
    """A folder with a corpus and a recipe, and room for runs."""

    def __init__(self, folder: Path, epochs: int) -> None:
        self.folder = folder
        self.recipe = folder / "recipe.toml"
        self.recipe.write_text(_RECIPE.format(folder=folder, epochs=epochs), encoding="utf-8")
        for name, number in (("train", 900), ("valid", 12)):
            for language in ("en", "de"):
                lines = (_SAMPLE / f"{name}.{language}").read_text(encoding="utf-8").split("\n")
                text = "\n".join(lines[:number]) + "\n"
                (folder / f"{name}.{language}").write_text(text, encoding="utf-8")

    def start(self, run: Path, *options: str) -> "subprocess.Popen[str]":
        """`seq2seq train`, as a shell starts it."""
        command = [sys.executable, "-m", "seq2seq.cli.main", "train", str(self.recipe)]
        return subprocess.Popen(
            [*command, "-o", str(run), *options], stderr=subprocess.PIPE, text=True
        )

    def train(self, run: Path, *options: str) -> int:
        """Wait for `start`, and show how it ended."""
        return show(self.start(run, *options))


def show(process: "subprocess.Popen[str]") -> int:
    """Wait for a command; show what it said last, and its exit code."""
    _, said = process.communicate()
    for line in said.splitlines()[-4:]:
        print(f"    {line}")
    print(f"    exit code {process.returncode}", flush=True)
    if "Traceback" in said:
        print(said)
    return process.returncode


def result(run: Path) -> dict[str, str]:
    """Digests of what a run came to: weights, optimizer and all, and the rows but for the clock."""
    last = sorted((run / "checkpoints").glob("step-????????"))[-1]
    files = {
        "best.safetensors": run / "best.safetensors",
        f"{last.name}/tensors.safetensors": last / "tensors.safetensors",
        "tokenizer.model": run / "tokenizer.model",
    }
    digests = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
    rows = [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]
    timeless = [{k: v for k, v in row.items() if k not in _CLOCK_FIELDS} for row in rows]
    digests["metrics.jsonl"] = hashlib.sha256(json.dumps(timeless).encode()).hexdigest()
    return digests


def same(run: Path, expected: dict[str, str]) -> bool:
    """Whether a run came to the same; says so."""
    found = result(run)
    for name, digest in expected.items():
        equal = "equal" if found.get(name) == digest else f"NOT EQUAL: {found.get(name)}"
        print(f"    {name} {digest[:16]} {equal}")
    return found == expected


# kill


class Forked:
    """A training in a process that is forked from this one, and its ranks if there are several."""

    def __init__(self, work: Work, run: Path, processes: int) -> None:
        """Where the run has begun it is gone on with."""
        self.run = run
        self._log = run.with_suffix(".log")
        self._started = time.perf_counter()
        self._processes = processes
        sys.stdout.flush()  # which the child would print again
        self._child = os.fork()
        if self._child == 0:
            code = 1
            try:
                with self._log.open("w") as log:
                    os.dup2(log.fileno(), 2)
                    code = _train_on(processes, work.recipe, run)
            finally:
                os._exit(code)

    def kill_after(self, seconds: float, in_writing: bool, rank: int) -> bool:
        """Kill a rank then; or from then on as soon as a file is half written. False: too late."""
        while True:
            late = os.waitid(os.P_PID, self._child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if late is not None:
                break
            victim = self._process(rank)
            if (
                victim
                and time.perf_counter() - self._started >= seconds
                and (not in_writing or any(self.run.rglob("*.partial")))
            ):
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(victim, signal.SIGKILL)
                break
            if not in_writing:
                time.sleep(0.001)
        code = os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])
        return code == (-signal.SIGKILL if self._processes == 1 else 1)

    def _process(self, rank: int) -> int:
        """Return the process of a rank; 0 where there is none yet."""
        if self._processes == 1:
            return self._child
        with suppress(OSError):  # it has just ended
            ranks = children(self._child)
            if len(ranks) == self._processes:
                return sorted(ranks)[rank]
        return 0

    def said(self) -> str:
        """Return what it and its ranks have said."""
        return self._log.read_text(encoding="utf-8")

    def wait(self) -> str:
        """What it said; it must come to its end."""
        code = os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])
        if code:
            sys.exit(f"a training ended with {code}:\n{self.said()}")
        return self.said()


@reported_errors("seq2seq")
def _train_on(processes: int, recipe: Path, run: Path) -> int:
    """Train, or go on with a run that has begun; return the exit code."""
    resume = (run / "recipe.json").exists()
    train = partial(_train, recipe, run, resume)
    if processes == 1:
        train()
        return 0
    from seq2seq.training import launcher

    with patch.object(launcher, "get_context", lambda _: get_context("fork")):
        return launcher.run_processes(processes, train)


@reported_errors("seq2seq")
def _train(recipe: Path, run: Path, resume: bool) -> None:
    from seq2seq.config.recipe import Recipe
    from seq2seq.training.process_group import process_group
    from seq2seq.training.reporter import open_reporter
    from seq2seq.training.trainer import train

    with process_group() as group, open_reporter(quiet=not group.is_first) as reporter:
        train(Recipe.load(recipe), run, reporter, resume=resume, group=group)


def kill(work: Work, kills: int, processes: int, draw: random.Random) -> bool:
    """Kill -9 at random moments, each in a run of its own, and resume."""
    # Here, once for all the processes: what a training imports, at its start or when it validates.
    import sacrebleu  # noqa: F401
    import torch._dynamo  # noqa: F401

    import seq2seq.training.trainer  # noqa: F401

    started = time.perf_counter()
    whole = work.folder / "whole"
    Forked(work, whole, processes).wait()
    seconds = time.perf_counter() - started
    expected = result(whole)
    rows = (whole / "metrics.jsonl").read_text().count('"valid"')
    print(f"never stopped: {last_step(whole)} steps, {rows} validations, {seconds:.1f} s")
    for name, digest in expected.items():
        print(f"    {name} {digest[:16]}")

    in_writing = unborn = lost = mute = 0
    equal = dict.fromkeys(expected, 0)
    for number in range(kills):
        run = work.folder / "killed"
        while True:
            shutil.rmtree(run, ignore_errors=True)
            moment, rank = draw.uniform(0, seconds), draw.randrange(processes)
            forked = Forked(work, run, processes)
            if forked.kill_after(moment, in_writing=number % 3 == 2, rank=rank):
                break
        if processes > 1:
            told = re.findall("^seq2seq: rank .*", forked.said(), re.MULTILINE)
            mute += len(told) != 1 or f"rank {rank} " not in told[0]
        in_writing += any(run.rglob("*.partial"))
        born = (run / "recipe.json").exists()
        saved = last_step(run) if born else 0
        said = Forked(work, run, processes).wait()
        unborn += not born
        found = re.search(r"resumed at step ([\d,]+)", said)
        resumed_at = int(found[1].replace(",", "")) if found else last_step(run)
        lost += born and resumed_at != saved
        for name, digest in result(run).items():
            equal[name] += digest == expected.get(name)
        so_far = f"{number + 1} of {kills} moments, {min(equal.values())} equal, {lost} lost"
        print(f"\r{so_far}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(
        f"{kills} random moments ({in_writing} of them while a file was half written, {unborn} "
        f"before there was a run to resume): {kills} went on, {lost} of them from before the last "
        "checkpoint. Equal to the run that was never stopped:"
    )
    for name, number in equal.items():
        print(f"    {name}: {number} of {kills}")
    if processes > 1:
        print(f"one sentence named the rank that was killed: {kills - mute} of {kills}")
    return not lost and not mute and set(equal.values()) == {kills}


def last_step(run: Path) -> int:
    """The step of the last checkpoint."""
    names = sorted(path.name for path in (run / "checkpoints").glob("step-????????"))
    return int(names[-1].removeprefix("step-")) if names else 0


# The command


def fill_disk(work: Work) -> bool:
    """Train on disks of several sizes, each too small; then with room."""
    print("never stopped, on a large disk:")
    work.train(work.folder / "whole")
    expected = result(work.folder / "whole")
    size = sum(file.stat().st_size for file in (work.folder / "whole").rglob("*"))
    print(f"    {size / 1e3:,.0f} kB at its end")
    passed = True
    for kilobytes in (4, 300, 1500, 2700, 3600):
        with small_disk(work.folder / "disk", kilobytes) as disk:
            run = disk / "run"
            print(f"a disk of {kilobytes} kB:")
            code = work.train(run)
            if code == 0:
                print("    that was large enough")
                break
            left = [path.name for path in run.rglob("*.partial")] if run.exists() else []
            print(f"    files half written: {left or 'none'}; last checkpoint: {last_step(run)}")
            subprocess.run(["mount", "-o", "remount,size=99m", disk], check=True)
            print("  with room:")
            again = work.train(run, *(["--resume"] if (run / "recipe.json").exists() else []))
            passed &= code == 1 and not left and again == 0 and same(run, expected)
    return passed


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[Path]:
    """A disk in memory."""
    place.mkdir(exist_ok=True)
    size = f"size={kilobytes}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def terminate(work: Work) -> bool:
    """SIGTERM and Ctrl-C in the middle, and as soon as the command has begun."""
    print("never stopped:")
    passed = work.train(work.folder / "whole") == 0
    expected = result(work.folder / "whole")
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        run = work.folder / number.name
        print(f"{number.name} as it prepares:")
        process = work.start(run)
        wait_until(lambda process=process, run=run: run.exists(), process)  # type: ignore[misc]
        process.send_signal(number)
        passed &= show(process) == code and not (run / "recipe.json").exists()
        print(f"{number.name} in the middle of training:")
        process = work.start(run)
        wait_until(lambda run=run: last_step(run) >= 40, process)  # type: ignore[misc]
        process.send_signal(number)
        passed &= show(process) == code
        print("  resumed:")
        passed &= work.train(run, "--resume") == 0 and same(run, expected)
    return passed


def start_twice(work: Work) -> bool:
    """A second trainer on the folder of a first one: new, running, and killed."""
    run = work.folder / "run"
    print("two at once on a folder that does not exist:")
    pair = [work.start(run), work.start(run)]
    codes = sorted(map(show, pair))
    passed = codes == [0, 1]
    expected = result(run)
    shutil.rmtree(run)
    first = work.start(run)
    wait_until(lambda: last_step(run) > 0, first)
    first.send_signal(signal.SIGSTOP)  # a second one takes longer to start than this one to end
    for options in ([], ["--resume"]):
        print(f"a second one while the first trains, {' '.join(options) or 'without --resume'}:")
        passed &= work.train(run, *options) == 1
    print("the first one, killed:")
    first.kill()
    passed &= show(first) == -signal.SIGKILL
    print("the second one then:")
    return passed and work.train(run, "--resume") == 0 and same(run, expected)


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Or until the process ends."""
    while process.poll() is None and not condition():
        time.sleep(0.005)


if __name__ == "__main__":
    main()
