"""What a person sees of a run: a bar on a terminal, plain lines in a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Display:
    """Messages and progress on standard error."""

    def __init__(self, console: Console, progress: Progress | None, quiet: bool) -> None:
        self._console = console
        self._progress = progress
        self._task: TaskID | None = None
        self._quiet = quiet

    def say(self, message: str) -> None:
        """One line that stays."""
        if not self._quiet:
            with suppress(OSError):  # nobody listens any more, or the log's disk is full
                self._console.print(message, markup=False, highlight=False, soft_wrap=True)

    def start(self) -> None:
        """A run, or what is left of it, begins."""
        if self._progress is not None and self._task is None:
            self._task = self._progress.add_task("training", total=1.0, status="", bleu="")

    def advance(self, progress: float, loss: float, tokens_per_second: float) -> None:
        """One batch is done, and `progress` of the run, from 0 to 1."""
        if self._progress is not None and self._task is not None:
            status = f"loss {loss:.2f}, {tokens_per_second:,.0f} tok/s"
            self._progress.update(self._task, completed=progress, status=status)

    def validated(self, bleu: float) -> None:
        """Show the newest BLEU beside the bar."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, bleu=f"BLEU {bleu:.1f}")


@contextmanager
def open_display(quiet: bool = False) -> Iterator[Display]:
    """A `Display` for standard error as it is: terminal or not."""
    console = Console(stderr=True)
    if quiet or not sys.stderr.isatty():
        yield Display(console, None, quiet)
        return
    columns = (
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:3.0f}%"),
        TextColumn("{task.fields[status]}"),
        TextColumn("{task.fields[bleu]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console) as progress:
        yield Display(console, progress, quiet)
