"""A bar on stderr, for a long file."""

from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE = 2.0  # seconds; less work than that needs no bar


class ProgressBar:
    """A bar with the sentences done, sentences a second and the time left, once work takes a while.

    How many sentences a file has nobody knows before its end, but its size is known.
    """

    def __init__(self, size: int) -> None:
        """Take the size of the file, in bytes."""
        self._size = size
        self._started = monotonic()
        self._sentences = 0
        self._bytes = 0  # of the lines that are done
        self._begun = 0  # bytes of the next line that are done
        self._shown: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._shown.stop()

    def advance(self, line: str) -> None:
        """Count a line of the file, given with its end, as done."""
        self._sentences += 1
        self._bytes += len(line.encode())
        self._begun = 0
        self._show()

    def advance_within(self, part: str) -> None:
        """Count a part of the next line as done; "" is none, as in the first of two steps."""
        if not part:
            return
        self._begun += len(part.encode())
        self._show()

    def _show(self) -> None:
        seconds = monotonic() - self._started
        if seconds < _PATIENCE:
            return
        done = min(self._size, self._bytes + self._begun)
        rate = self._sentences / seconds
        left = timedelta(seconds=round(seconds * (self._size / done - 1)))
        self._shown = self._shown or _bar(self._size)
        self._shown.update(
            self._shown.task_ids[0],
            completed=done,
            description=f"{self._sentences:,} sentences, {rate:,.0f}/s, {left} left",
        )
        self._shown.start()  # the first time; later nothing


def _bar(size: int) -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    bar = Progress(
        BarColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        redirect_stdout=False,
        transient=True,
    )
    bar.add_task("", total=size)
    return bar
