"""Report the progress of a run: a bar on a terminal or in a notebook, plain lines in a log."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from seq2seq.training.state import MOST_ROLLBACKS

_LINE_STEPS = 500  # steps between two lines about the training loss


class ProgressReporter:
    """Prints messages and progress to standard error."""

    def __init__(self, console: Console, progress: Progress | None, quiet: bool) -> None:
        self._console = console
        self._progress = progress
        self._task: TaskID | None = None
        self._quiet = quiet
        self._told_of_memory = False

    def say(self, message: str) -> None:
        """Print a line."""
        if not self._quiet:
            with suppress(OSError):  # standard error is closed, or the log's disk is full
                self._console.print(message, markup=False, highlight=False, soft_wrap=True)

    def start(self) -> None:
        """Show the bar, if there is one."""
        if self._progress is not None and self._task is None:
            self._task = self._progress.add_task("training", total=1.0, status="", bleu="")

    def advance(self, progress: float, loss: float, tokens_per_second: float) -> None:
        """Move the bar to `progress`, from 0 to 1, after a batch."""
        if self._progress is not None and self._task is not None:
            status = f"loss {loss:.2f}, {tokens_per_second:,.0f} tok/s"
            self._progress.update(self._task, completed=progress, status=status)

    def report(self, row: Mapping[str, Any]) -> None:
        """Report a row of metrics.jsonl."""
        match row["kind"]:
            case "train":
                if row["step"] % _LINE_STEPS == 0:
                    self.say(
                        f"epoch {row['epoch']}, step {row['step']:,}: loss {row['loss']:.3f}, "
                        f"{row['tokens_per_second']:,.0f} target tokens/s, "
                        f"padding {row['padding_share']:.0%}"
                    )
            case "valid":
                self._report_validation(row)
            case "rollback":
                self.say(
                    f"{row['reason']}: rolled back to step {row['step']:,}; training continues "
                    f"with half the learning rate (rollback {row['rollbacks']} of at most "
                    f"{MOST_ROLLBACKS})."
                )
            case "split":
                self._report_split(row)

    def _report_validation(self, row: Mapping[str, Any]) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, bleu=f"BLEU {row['bleu']:.1f}")
        self.say(
            f"epoch {row['epoch']}, step {row['step']:,}: validation BLEU {row['bleu']:.2f}, "
            f"chrF {row['chrf']:.2f} (greedy), perplexity {row['perplexity']:.2f}"
        )
        by_direction = row["bleu_by_direction"]
        if len(by_direction) > 1:
            self.say("  " + ", ".join(f"{name} {bleu:.2f}" for name, bleu in by_direction.items()))

    def _report_split(self, row: Mapping[str, Any]) -> None:
        """Report a batch that did not fit into memory: only the first, and any that lost pairs."""
        if self._told_of_memory and not row["left_out"]:
            return
        self._told_of_memory = True
        without = f", without {row['left_out']}" if row["left_out"] else ""
        self.say(
            f"step {row['step']:,}: a batch of {row['pairs']} pairs does not fit into the GPU's "
            f"memory; its gradients are accumulated over {row['parts']} parts{without}. A lower "
            "training.batch_tokens would be faster."
        )


@contextmanager
def open_reporter(quiet: bool = False) -> Iterator[ProgressReporter]:
    """Yield a `ProgressReporter` that suits standard error: terminal, notebook or neither.

    In a notebook, rich draws the bar with ipywidgets; without them, lines are printed.
    """
    console = Console(stderr=True)
    shows_bar = sys.stderr.isatty() or (console.is_jupyter and find_spec("ipywidgets") is not None)
    if quiet or not shows_bar:
        yield ProgressReporter(console, None, quiet)
        return
    columns = (
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:3.0f}%"),
        TextColumn("{task.fields[status]}"),
        TextColumn("{task.fields[bleu]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console) as progress:
        yield ProgressReporter(console, progress, quiet)
