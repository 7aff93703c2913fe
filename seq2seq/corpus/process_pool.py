"""Map a function over the parts of a large text, on all cores.

The workers are spawned: forked ones would inherit the threads of torch in whatever state they are.
So a script that trains on a large corpus needs the usual `if __name__ == "__main__":`.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypeVar

from seq2seq.corpus.lines import part_of
from seq2seq.errors import Seq2SeqError

Result = TypeVar("Result")

MANY = 50_000
"""Lines from which on other processes are worth their start."""

_PART = 10_000  # lines
_MOST = 8  # processes: each takes memory


def map_parts(function: Callable[..., Result], *sides: Sequence[str]) -> Iterator[Result]:
    """Call `function(*parts)` for each part of texts of equal length; yield the results in order.

    `function` must be importable, or a `partial` of such a function.
    """
    size = len(sides[0])
    parts = (
        [part_of(side, first, min(first + _PART, size)) for side in sides]
        for first in range(0, size, _PART)
    )
    processes = cores()
    if size < MANY or processes == 1:
        return (function(*part) for part in parts)
    return _in_processes(function, parts, processes)


def cores() -> int:
    """Return how many processes may run at once."""
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    else:
        available = os.cpu_count() or 1
    return min(available, _MOST)


def _in_processes(
    function: Callable[..., Result], parts: Iterator[list[Sequence[str]]], processes: int
) -> Iterator[Result]:
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_start_worker)
    pending = deque[Future[Result]]()
    try:
        for part in parts:
            pending.append(pool.submit(function, *part))
            if len(pending) > 2 * processes:  # neither parts nor results may fill the memory
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool:
        raise Seq2SeqError(
            "a process that checks the corpus has died: is there enough memory? A script of yours "
            "must call this under `if __name__ == '__main__':`."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    # Ctrl-C reaches all processes of a terminal; the parent stops its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent is gone, even by SIGKILL."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
