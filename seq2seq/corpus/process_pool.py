"""A function over the parts of a large text, on all cores.

Workers are processes that read tasks from a pipe. Unlike those of `multiprocessing` they never run
the caller's script again, so it needs no `if __name__ == "__main__"`, and they end with the caller,
however that ends.
"""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any, Self, TypeVar

from seq2seq.corpus.lines import part_of
from seq2seq.errors import Seq2SeqError

Result = TypeVar("Result")

MANY = 50_000
"""Lines from which on other processes are worth their start."""

_PART = 10_000  # lines
_MOST = 8  # processes: each takes memory


def map_parts(function: Callable[..., Result], *sides: Sequence[str]) -> Iterator[Result]:
    """`function(*parts)` for each part of texts of equal length, in order.

    `function` is one that can be imported, or a `partial` of one.
    """
    size = len(sides[0])
    parts = (
        [part_of(side, first, min(first + _PART, size)) for side in sides]
        for first in range(0, size, _PART)
    )
    processes = cores()
    if size < MANY or processes == 1 or not sys.executable:
        return (function(*part) for part in parts)
    return _in_processes(function, parts, processes)


def cores() -> int:
    """How many processes may run at once."""
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    else:
        available = os.cpu_count() or 1
    return min(available, _MOST)


def _in_processes(
    function: Callable[..., Result], parts: Iterator[list[Sequence[str]]], processes: int
) -> Iterator[Result]:
    with ExitStack() as stack:
        idle = SimpleQueue[_Worker]()
        for _ in range(processes):
            idle.put(stack.enter_context(_Worker()))
        threads = stack.enter_context(ThreadPoolExecutor(processes))

        def call(part: list[Sequence[str]]) -> Any:
            worker = idle.get()
            try:
                return worker.call(function, part)
            finally:
                idle.put(worker)

        waiting = deque[Future[Any]]()
        try:
            for part in parts:
                waiting.append(threads.submit(call, part))
                if len(waiting) > 2 * processes:  # results must not pile up
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class _Worker:
    """A process of our own that calls functions. What passes between us is pickled; no file is."""

    def __enter__(self) -> Self:
        # Ctrl-C reaches all processes of a terminal; the caller stops its workers itself.
        program = (
            "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
            f"sys.path[:] = {sys.path!r}; from {__name__} import work; work()"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def call(self, function: Callable[..., Any], arguments: Sequence[object]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump((function, arguments), self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
            result, error = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise Seq2SeqError(
                "a process that checks the corpus has died; is there enough memory?"
            ) from None
        if error is not None:
            raise error
        return result


def work() -> None:
    """Call what standard input says, until its end: the whole life of a worker."""
    reply: tuple[Any, Exception | None]
    tasks, results = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what a function prints is no result
    while True:
        try:
            function, arguments = pickle.load(tasks)
        except EOFError:
            return
        try:
            reply = function(*arguments), None
        except Exception as error:
            reply = None, error
        pickle.dump(reply, results, pickle.HIGHEST_PROTOCOL)
        results.flush()
