"""Handle Ctrl-C, SIGTERM and SIGHUP: save a run before it ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNAL_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class StopSignal:
    """A request to stop by a signal, and how to respond to it.

    By default a signal ends the process at once, with `KeyboardInterrupt` or `SystemExit`. Within
    `waits` it is only noted, since the work must not be cut short. A second signal always has its
    usual effect.
    """

    def __init__(self) -> None:
        self.number = 0  # of the signal received; 0: none
        self._waits = False

    @contextmanager
    def waits(self) -> Iterator[None]:
        """Only note signals within this block."""
        with self._set(True):
            yield

    @contextmanager
    def ends_at_once(self) -> Iterator[None]:
        """Within a `waits` block, let signals end the process again, including an earlier one."""
        with self._set(False):
            if self.number:
                self._end()
            yield

    @contextmanager
    def _set(self, waits: bool) -> Iterator[None]:
        before, self._waits = self._waits, waits
        try:
            yield
        finally:
            self._waits = before

    def take(self, number: int) -> None:
        """Note that a signal came, or end the process."""
        self.number = number
        if not self._waits:
            self._end()

    def _end(self) -> None:
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.number)


@contextmanager
def stop_signals() -> Iterator[StopSignal]:
    """Handle signals, except those that the process ignores, as under `nohup`."""
    stop = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread can handle signals
        return
    numbers = [getattr(signal, name) for name in SIGNAL_NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heard = {n: handler for n, handler in before.items() if handler not in (signal.SIG_IGN, None)}

    def restore() -> None:
        for number, handler in heard.items():
            signal.signal(number, handler)

    def take(number: int, frame: FrameType | None) -> None:
        restore()
        stop.take(number)

    for number in heard:
        signal.signal(number, take)
    try:
        yield stop
    finally:
        restore()
