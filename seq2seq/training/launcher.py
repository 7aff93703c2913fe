"""Start the processes of a run on this machine, as `torchrun` does, and make sure that all end."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from types import FrameType

from torch.distributed import TCPStore  # type: ignore[attr-defined]

from seq2seq.errors import Seq2SeqError
from seq2seq.process_pool import end_with_parent
from seq2seq.training.signals import SIGNAL_NAMES

_GRACE = 20.0  # seconds that a process has to end after another one failed
_HOST = "127.0.0.1"
_SIGNALS = [getattr(signal, name) for name in SIGNAL_NAMES if hasattr(signal, name)]


def run_processes(count: int, function: Callable[[], None]) -> int:
    """Call the picklable `function` in `count` processes; return the exit code.

    They find each other through `process_group`. Signals are passed on to them, and if one fails,
    the others have some seconds to end. Raises `Seq2SeqError` if one was killed and no other
    reported an error.
    """
    # In this process, so that it outlives the others; port 0 picks a free port.
    store = TCPStore(_HOST, 0, is_master=True, wait_for_workers=False)
    context = get_context("spawn")
    processes = [
        context.Process(target=_run, args=(rank, count, store.port, function), name=f"rank {rank}")
        for rank in range(count)
    ]
    with passing_signals_to(processes):
        for process in processes:
            process.start()
        _wait(processes)
    codes = [process.exitcode or 0 for process in processes]
    told = [code for code in codes if code > 0]
    killed = [
        (process.name, -code) for process, code in zip(processes, codes, strict=True) if code < 0
    ]
    if killed and not told:
        name, number = killed[0]
        raise Seq2SeqError(
            f"{name} was killed by signal {number}; continue from the last checkpoint with "
            "--resume."
        )
    return max(told, default=0)


def _wait(processes: Sequence[BaseProcess]) -> None:
    """Wait until all have ended; kill those still running some seconds after a failure."""
    deadline = None
    running = list(processes)
    while running:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        connection.wait([process.sentinel for process in running], left)
        if deadline is None and any(process.exitcode for process in processes):
            deadline = time.monotonic() + _GRACE
        elif deadline is not None and time.monotonic() >= deadline:
            for process in running:
                process.kill()  # it is blocked on a lost process, and ignores milder signals
        running = [process for process in running if process.exitcode is None]


@contextmanager
def passing_signals_to(processes: Sequence[BaseProcess]) -> Iterator[list[int]]:
    """Pass signals on to those of `processes` that run; yield the list of signals received.

    The sequence is read when a signal comes, so processes may be added within the block.
    """
    came: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        came.append(number)
        for process in processes:
            if process.pid is not None and process.exitcode is None:
                with suppress(OSError):
                    os.kill(process.pid, number)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, pass_on)
    try:
        yield came
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _run(rank: int, count: int, port: int, function: Callable[[], None]) -> None:
    """Set up this process as one of the ranks, and call `function`."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # so that Ctrl-C arrives only once, from the parent
    end_with_parent()
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": _HOST,
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    function()
