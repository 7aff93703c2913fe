"""Map a function over parts, in order, with several processes that end with this one.

The workers are spawned, not forked: a fork would copy torch's threads in an unknown state. So a
user's script needs the usual `if __name__ == "__main__":`.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from seq2seq.errors import Seq2SeqError

Result = TypeVar("Result")

_AHEAD = 2  # parts in the queue per process


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ProcessPool:
    """A pool of processes, which start with the first call of `map` and end with `close`."""

    def __init__(
        self, processes: int, initialize: Callable[..., object] | None = None, *arguments: Any
    ) -> None:
        """Take the number of processes, and a function that each calls when it starts.

        The function and its arguments must be picklable.
        """
        self._processes, self._start = processes, (initialize, *arguments)
        self._executor: ProcessPoolExecutor | None = None

    def map(
        self, function: Callable[..., Result], parts: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """Call `function(*part)` for each part; yield the results in order.

        `function` must be importable, or a `partial` of an importable function. Parts are read as
        they are needed; if reading them raises an error, the results of earlier parts are yielded
        first. Raises `Seq2SeqError` if a process dies.
        """
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self._processes,
                get_context("spawn"),
                initializer=_start_worker,
                initargs=self._start,
            )
        coming = iter(parts)
        pending: deque[Future[Result]] = deque()
        failure: Exception | None = None
        has_more = True
        try:
            while has_more or pending:
                if has_more and len(pending) <= _AHEAD * self._processes:
                    try:
                        pending.append(self._executor.submit(function, *next(coming)))
                    except StopIteration:
                        has_more = False
                    except BrokenProcessPool:
                        raise
                    except Exception as error:
                        failure, has_more = error, False
                else:
                    yield pending.popleft().result()
        except BrokenProcessPool:
            raise Seq2SeqError(
                "a worker process has died: is there enough memory? A script of yours must call "
                "this under `if __name__ == '__main__':`."
            ) from None
        finally:
            for future in pending:
                future.cancel()
        if failure:
            raise failure

    def close(self) -> None:
        """End the processes; a later call of `map` starts new ones."""
        if self._executor:
            self._executor.shutdown(cancel_futures=True)
            self._executor = None


def _start_worker(initialize: Callable[..., object] | None, *arguments: Any) -> None:
    # Ctrl-C reaches all processes of a terminal, but the parent stops its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    if initialize:
        initialize(*arguments)


def end_with_parent() -> None:
    """End this process when its parent process ends, even by SIGKILL."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
