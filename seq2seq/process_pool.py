"""Map a function over parts, in order, on several processes that end with this one.

The workers are spawned: forked ones would inherit the threads of torch in whatever state they are.
So a script of the user's needs the usual `if __name__ == "__main__":`.
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

_AHEAD = 2  # parts that wait for each process


def cores() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ProcessPool:
    """Processes that start with the first call, and end with `close`."""

    def __init__(
        self, processes: int, initialize: Callable[..., object] | None = None, *arguments: Any
    ) -> None:
        """Take how many, and a function that each calls first, with its arguments: picklable."""
        self._processes, self._start = processes, (initialize, *arguments)
        self._executor: ProcessPoolExecutor | None = None

    def map(
        self, function: Callable[..., Result], parts: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """Call `function(*part)` for each part; yield the results in order.

        `function` must be importable, or a `partial` of such a function. Parts are read as they are
        needed; where reading them raises, the results of those before come first. Raises
        `Seq2SeqError` where a process dies.
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
        """End the processes; a later call starts others."""
        if self._executor:
            self._executor.shutdown(cancel_futures=True)
            self._executor = None


def _start_worker(initialize: Callable[..., object] | None, *arguments: Any) -> None:
    # Ctrl-C reaches all processes of a terminal; the parent stops its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    if initialize:
        initialize(*arguments)


def end_with_parent() -> None:
    """End this process when the one that spawned it is gone, even by SIGKILL."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
