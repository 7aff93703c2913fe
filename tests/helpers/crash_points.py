"""Kills a run before things that it does to its folder, and goes on with it each time.

A program of its own, for `test_durability`: it forks, which a process with threads must not. Prints
how many such things there are.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.training_runs import Recorder, assert_same_run, make_small
from seq2seq.config.parse import from_table
from seq2seq.config.recipe import Recipe
from seq2seq.errors import Seq2SeqError
from seq2seq.training.checkpoint import checkpoints, last_checkpoint, load_checkpoint
from seq2seq.training.trainer import train

_CHANGES = ("os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")


def kill_before(change: int, folder: Path) -> None:
    """End this process as `kill -9` does, before it does its `change`th thing to `folder`."""
    done = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        if arguments and isinstance(arguments[0], int):
            return  # of a file that has been opened already
        writes = event == "open" and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if (writes or event in _CHANGES) and str(folder) in os.fsdecode(arguments[0]):
            done += 1
            if done == change:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def in_child(work: Callable[[], object]) -> int:
    """What `work` ended with, in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:  # the child must not go on as its parent
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_everywhere(recipe: Recipe, begun: Path, whole: Path, folder: Path, stride: int) -> int:
    """Each time from a copy of `begun`, or from nothing where that is none, to the end."""
    change = 1
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if begun.exists():
            shutil.copytree(begun, folder)

        def die(change: int = change) -> None:
            kill_before(change, folder)
            train(recipe, folder, Recorder(), resume=begun.exists())

        code = in_child(die)
        if code == 0:
            return change
        assert code == -signal.SIGKILL
        check(folder)

        def go_on() -> None:
            train(recipe, folder, Recorder(), resume=(folder / "recipe.json").exists())

        assert in_child(go_on) == 0
        assert_same_run(folder, whole)
        change += stride


def check(folder: Path) -> None:
    """Every checkpoint is whole, but for one that was about to go; `best` is one of theirs."""
    last = last_checkpoint(folder / "checkpoints")
    if last is not None:
        load_checkpoint(last)
    if (folder / "best.safetensors").exists():
        best = (folder / "best.safetensors").read_bytes()
        found = [one / "best.safetensors" for one in checkpoints(folder / "checkpoints")]
        assert best in [one.read_bytes() for one in found if one.exists()]


def main() -> None:
    """Arguments: a recipe as JSON, a folder to work in, the steps to begin with, the stride."""
    recipe, work = from_table(Recipe, json.loads(sys.argv[1])), Path(sys.argv[2])
    steps, stride = int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        train(recipe, work / "whole", Recorder())
        train(recipe, work / "begun", Recorder(interrupt_after=steps))
        try:
            numbers = [
                kill_everywhere(recipe, work / begun, work / "whole", work / "killed", stride)
                for begun in ("nothing", "begun")
            ]
        except Seq2SeqError as error:
            sys.exit(str(error))
    print(*numbers)


if __name__ == "__main__":
    main()
