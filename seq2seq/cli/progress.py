"""A progress bar on stderr for long files."""

from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE = 2.0  # seconds before the bar appears


class ProgressBar:
    """A bar with the sentences done, sentences per second and the time left.

    Progress is measured in bytes, since the number of sentences is not known before the end of the
    file. Work that is done soon shows no bar.
    """

    def __init__(self, size: int) -> None:
        """Take the size of the file, in bytes."""
        self._size = size
        self._started = monotonic()
        self._sentences = 0
        self._bytes = 0  # in finished lines
        self._begun = 0  # bytes done within the next line
        self._shown: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._shown.stop()

    def advance(self, line: str) -> None:
        """Count a line of the file as done; `line` includes its line ending."""
        self._sentences += 1
        self._bytes += len(line.encode())
        self._begun = 0
        self._show()

    def advance_within(self, part: str) -> None:
        """Count a part of the next line as done; an empty part counts nothing."""
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
        self._shown.start()  # does nothing after the first time


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
