"""A measurement of `benchmark.py models`, in a process of its own, so that its memory is known."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from seq2seq.errors import Seq2SeqError

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """What to translate, and how."""

    model: str  # an exported model, or a training run for the torch engine
    sentences: list[str]
    alone: bool  # one sentence a call; else all in one, and the translator makes the batches
    beam_size: int
    prune: float | None
    threads: int


@dataclass(frozen=True)
class Measurement:
    """What came of a task."""

    seconds: float  # from text to text; loading and a first batch not counted
    tokens: int  # ids of the translations, without the end symbol
    peak: int  # bytes of the whole process, libraries included
    texts: list[str]


def measure_apart(task: Task) -> Measurement:
    """Do the task in a fresh process, on as many cores as it has threads."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(asdict(task)),
        capture_output=True,
        text=True,
        env=os.environ | dict.fromkeys(_THREAD_VARIABLES, str(task.threads)),
    )
    if done.returncode:
        reason = (done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]
        raise Seq2SeqError(f"{task.model}: cannot be measured: {reason}")
    return Measurement(**json.loads(done.stdout))


def _measure(task: Task) -> Measurement:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-task.threads :])
    from seq2seq.evaluation.test_sets import (
        open_translator,  # starts threads, which stay on these cores
    )

    translator = open_translator(Path(task.model), task.threads)
    from seq2seq.model_dir.read import is_training_run

    is_run = is_training_run(Path(task.model))
    assert is_run or "torch" not in sys.modules  # it would count as memory of ONNX Runtime
    calls = [[text] for text in task.sentences] if task.alone else [task.sentences]
    translator.translate(task.sentences[:16], beam_size=task.beam_size)
    started = time.perf_counter()
    translations = [
        translation
        for texts in calls
        for translation in translator.translate(
            texts, beam_size=task.beam_size, prune=task.prune or 0
        )
    ]
    seconds = time.perf_counter() - started
    hypotheses = [part.hypothesis for line in translations for part in line.parts]
    tokens = sum(len(hypothesis.ids) for hypothesis in hypotheses if hypothesis is not None)
    return Measurement(seconds, tokens, _peak_memory(), [line.text for line in translations])


def _peak_memory() -> int:
    """Bytes of this process. What `getrusage` says on Linux would count its parent's too."""
    status = Path("/proc/self/status")
    if status.exists():
        [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(kilobytes) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    json.dump(asdict(_measure(Task(**json.load(sys.stdin)))), sys.stdout)
