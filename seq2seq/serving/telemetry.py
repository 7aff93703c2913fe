"""Counts for Prometheus, in its text format.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Counter:
    """A number that only grows, one for each set of values of its labels."""

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self._head = _head(name, help_text, "counter")
        self._name = name
        self._labels = labels
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}
        self._lock = threading.Lock()

    def add(self, amount: float = 1.0, *values: str) -> None:
        """`values` are those of the labels. May be called from any thread."""
        with self._lock:
            self._values[values] = self._values.get(values, 0.0) + amount

    def lines(self) -> Iterator[str]:
        """As they are served."""
        yield from self._head
        with self._lock:
            current = sorted(self._values.items())
        for values, number in current:
            named = [f'{name}="{value}"' for name, value in zip(self._labels, values, strict=True)]
            yield (
                f"{self._name}{{{','.join(named)}}} {number:.17g}"
                if named
                else (f"{self._name} {number:.17g}")
            )


class Histogram:
    """How many values were at most so large."""

    def __init__(self, name: str, help_text: str, bounds: Sequence[float]) -> None:
        self._head = _head(name, help_text, "histogram")
        self._name = name
        self._bounds = (*bounds, math.inf)
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, value: float) -> None:
        """Count a value."""
        place = next(number for number, bound in enumerate(self._bounds) if value <= bound)
        with self._lock:
            self._counts[place] += 1
            self._sum += value

    def lines(self) -> Iterator[str]:
        """As they are served."""
        yield from self._head
        with self._lock:
            counts, total = [*accumulate(self._counts)], self._sum
        for bound, count in zip(self._bounds, counts, strict=True):
            label = "+Inf" if math.isinf(bound) else f"{bound:g}"
            yield f'{self._name}_bucket{{le="{label}"}} {count}'
        yield f"{self._name}_sum {total:.17g}"
        yield f"{self._name}_count {counts[-1]}"


class Metrics:
    """All that a server counts."""

    def __init__(self) -> None:
        self.requests = Counter("seq2seq_requests_total", "Requests answered.", ("path", "status"))
        self.request_seconds = Histogram(
            "seq2seq_request_seconds",
            "Time from the head of a request to its answer.",
            (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )
        self.texts = Counter("seq2seq_texts_total", "Texts translated: lines, HTML blocks.")
        self.characters = Counter("seq2seq_characters_total", "Characters of requests answered.")
        self.batch_texts = Histogram(
            "seq2seq_batch_texts", "Texts translated together.", (1, 2, 4, 8, 16, 32, 64, 128)
        )
        self._waiting: Callable[[], int] = lambda: 0

    def watch_waiting(self, waiting: Callable[[], int]) -> None:
        """Where to ask how many requests wait."""
        self._waiting = waiting

    def render(self) -> str:
        """What a scrape is answered."""
        counted = (
            self.requests,
            self.request_seconds,
            self.texts,
            self.characters,
            self.batch_texts,
        )
        lines = [line for one in counted for line in one.lines()]
        lines += _gauge("seq2seq_waiting_requests", "Requests whose texts wait.", self._waiting())
        if resident := _resident_bytes():
            lines += _gauge("process_resident_memory_bytes", "Resident memory.", resident)
        return "".join(f"{line}\n" for line in lines)


def _head(name: str, help_text: str, kind: str) -> list[str]:
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]


def _gauge(name: str, help_text: str, value: int) -> list[str]:
    return [*_head(name, help_text, "gauge"), f"{name} {value}"]


def _resident_bytes() -> int | None:
    """On Linux; nothing elsewhere."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return next(
        (1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")),
        None,
    )
