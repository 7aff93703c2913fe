"""Train the trials of a sweep, each in its own process, and translate with the trained models.

A trial is done when its validation sets are translated, and is not trained again then; a trial that
was stopped is resumed.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path

from seq2seq.config.model_config import Direction
from seq2seq.corpus import DirectedText, read_lines, read_tests, read_validation
from seq2seq.errors import Seq2SeqError
from seq2seq.evaluation.test_sets import open_translator, translate_test
from seq2seq.experiments.grid import Trial
from seq2seq.files import write_file
from seq2seq.process_pool import cores, end_with_parent
from seq2seq.training.launcher import passing_signals_to
from seq2seq.training.reporter import open_reporter
from seq2seq.training.run_dir import RunDir
from seq2seq.training.trainer import train
from seq2seq.translation.base import TranslateOptions


@dataclass(frozen=True)
class Trained:
    """How the trials of a sweep ended."""

    failures: dict[str, str]  # the reason for each failure, by the trial's identity
    stopped_by: int = 0  # the number of the signal that stopped the sweep; 0 for none


def translations_file(run: Path, part: str, direction: Direction) -> Path:
    """Return the path of a run's translations of a held-out text; `part` is "valid" or "test"."""
    return run / f"{part}.{direction}.txt"


def log_file(run: Path) -> Path:
    """Return the path of a trial's log: beside the folder of the run, which may not exist yet."""
    return run.with_name(f"{run.name}.log")


def is_done(trial: Trial, folder: Path) -> bool:
    """Return whether a trial is trained and has translated its validation sets."""
    run = trial.run(folder)
    files = [translations_file(run, "valid", direction) for direction in trial.recipe.directions]
    return all(file.is_file() for file in files)


def run_trials(
    trials: Sequence[Trial], folder: Path, jobs: int, say: Callable[[str], None]
) -> Trained:
    """Train the `trials` that are not done, `jobs` at a time, in subfolders of `folder`.

    `say` is called with a message when a trial ends. A failed trial does not stop the others. On
    Ctrl-C or SIGTERM, running trials save a checkpoint before they end.
    """
    waiting = [trial for trial in trials if not is_done(trial, folder)]
    done = len(trials) - len(waiting)
    if done:
        say(f"{done:,} of {len(trials):,} runs are done already.")
    failures: dict[str, str] = {}
    started: dict[BaseProcess, tuple[Trial, float]] = {}
    running: list[BaseProcess] = []
    context = get_context("spawn")
    folder.mkdir(parents=True, exist_ok=True)
    threads = max(1, cores() // max(1, min(jobs, len(waiting))))
    with passing_signals_to(running) as signals:
        while running or (waiting and not signals):
            while waiting and len(running) < jobs and not signals:
                trial = waiting.pop(0)
                process: BaseProcess = context.Process(
                    target=_train, args=(trial, trial.run(folder), threads), name=trial.identity
                )
                with interrupts_wait():
                    process.start()
                started[process] = trial, time.monotonic()
                running.append(process)
            connection.wait([process.sentinel for process in running])
            for process in [process for process in running if process.exitcode is not None]:
                running.remove(process)
                trial, begin = started.pop(process)
                if signals:
                    continue
                done += 1
                name = f"[{done}/{len(trials)}] {trial.candidate}, seed {trial.seed}"
                if process.exitcode:
                    log = log_file(trial.run(folder))
                    failures[trial.identity] = _reason(process.exitcode, log)
                    say(f"{name}: failed: {failures[trial.identity]} All messages: {log}")
                else:
                    say(f"{name}: done in {time.monotonic() - begin:,.0f} s.")
    return Trained(failures, signals[0] if signals else 0)


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Block SIGINT in the processes that are started within this block, until they unblock it.

    A new process imports torch first, and an interrupt there would print a traceback to the
    terminal. It must unblock SIGINT itself once it can handle it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # now, since it unblocks SIGINT when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _reason(exit_code: int, log: Path) -> str:
    if exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}, as when the memory does not suffice."
    lines = read_lines(log) if log.exists() else []
    return lines[-1] if lines else f"exit code {exit_code}."


def _train(trial: Trial, run: Path, threads: int) -> None:
    """Train or resume a trial, then translate its validation sets; runs in its own process."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # so that Ctrl-C comes only from the parent, once
    end_with_parent()
    import torch

    with log_file(run).open("ab") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    torch.set_num_threads(threads)
    try:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        with open_reporter() as reporter:
            resume = RunDir(run).recipe_file.exists()
            outcome = train(trial.recipe, run, reporter, resume=resume)
        if outcome.interrupted:
            sys.exit(128 + outcome.stopped_by)
        translate_held_out(run, "valid", read_validation(trial.recipe.corpus), threads)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Seq2SeqError as error:
        sys.exit(str(error))
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"{type(error).__name__}: {error}")


def translate_held_out(
    run: Path, part: str, texts: Sequence[DirectedText], threads: int = 0
) -> None:
    """Translate held-out texts with the best model of a run, into files in its folder.

    If all translations exist already, nothing is done. `part` is "valid" or "test".
    """
    files = [translations_file(run, part, text.direction) for text in texts]
    if all(file.is_file() for file in files):
        return
    translator = open_translator(run, threads)
    for file, text in zip(files, texts, strict=True):
        lines = [line.text for line in translate_test(translator, text, TranslateOptions())]
        write_file(file, "".join(f"{line}\n" for line in lines).encode())


def held_out_texts(trial: Trial, part: str) -> Sequence[DirectedText]:
    """Read the validation or test sets of a trial's recipe; `part` is "valid" or "test"."""
    read = read_validation if part == "valid" else read_tests
    return [*read(trial.recipe.corpus)]
