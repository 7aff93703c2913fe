"""The metrics of a run: `metrics.jsonl`, one JSON object per line, and events for TensorBoard.

The events contain the same rows, each number under its name. Whenever rows are removed, because a
run is resumed or rolled back, all events are written anew, so that no point appears twice and none
is from a step still to come.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from seq2seq.bleu_chrf import rank_of_row
from seq2seq.config.recipe import ValidationMetric
from seq2seq.errors import Seq2SeqError, require_extra
from seq2seq.files import sync
from seq2seq.training.checkpoint import WriteError
from seq2seq.training.optimizer_step import StepResult
from seq2seq.training.state import TrainState
from seq2seq.training.validation import Validation

Row = Mapping[str, Any]
"""A row: a `kind` (train, valid, rollback, split), a `step`, a `time`, and figures."""

_EVENTS_SUFFIX = ".seq2seq"  # marks the event files that are ours
_NOT_FIGURES = ("kind", "step", "time")


def training_row(
    state: TrainState, result: StepResult, learning_rate: float, tokens_per_second: float
) -> Row:
    """Return the row for the steps since the last such row; to log another figure, add it here."""
    return _row(
        "train",
        state,
        epoch=state.last_epoch,
        **state.averages.means(),
        learning_rate=learning_rate,
        gradient_norm=result.norm,
        tokens_per_second=round(tokens_per_second, 1),
    )


def validation_row(
    state: TrainState, validation: Validation, metric: ValidationMetric, seconds: float
) -> Row:
    """Return the row for a validation that took `seconds`; `metric` chooses the best one."""
    return _row(
        "valid",
        state,
        epoch=state.last_epoch,
        bleu=validation.bleu,
        chrf=validation.chrf,
        nll=validation.nll,
        perplexity=validation.perplexity,
        bleu_by_direction={str(name): bleu for name, bleu in validation.bleu_by_direction.items()},
        gates=validation.gates,
        metric=metric,
        seconds=round(seconds, 1),
    )


def read_validations(file: Path) -> list[Row]:
    """Read the rows of the validations, the best last; raise `Seq2SeqError` if there are none."""
    try:
        rows = [json.loads(row) for row in file.read_text(encoding="utf-8").splitlines()]
        validations = sorted((row for row in rows if row["kind"] == "valid"), key=rank_of_row)
        if not validations:
            raise ValueError("there is none")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Seq2SeqError(f"{file}: no validation in it can be read ({error}).") from None
    return validations


def split_row(state: TrainState, result: StepResult, pairs: int, left_out: str) -> Row:
    """Return the row for a batch that did not fit into memory."""
    return _row("split", state, pairs=pairs, parts=result.parts, left_out=left_out)


def rollback_row(state: TrainState, failed_step: int, reason: str) -> Row:
    """Return the row for a rollback to the last stable checkpoint."""
    return _row(
        "rollback",
        state,
        failed_step=failed_step,
        reason=reason,
        rate_factor=state.rate_factor,
        rollbacks=state.rollbacks,
    )


def _row(kind: str, state: TrainState, **figures: Any) -> Row:
    return {"kind": kind, "step": state.step, **figures, "time": round(time.time(), 1)}


class MetricsWriter:
    """Writes rows to the file `path`, which need not exist yet, and to `events`."""

    def __init__(self, path: Path, events: "EventWriter | None" = None) -> None:
        self._path = path
        self._events = events

    @property
    def size(self) -> int:
        """The length of the file in bytes."""
        return self._path.stat().st_size if self._path.exists() else 0

    def write(self, row: Row) -> None:
        """Append a row; raise `WriteError` if that fails."""
        self._append(json.dumps(row).encode() + b"\n")
        if self._events:
            self._events.write(row)

    def cut(self, size: int, keep: str = "") -> None:
        """Drop the rows beyond `size` bytes, which are from steps still to come.

        Rows of the kind `keep` stay.
        """
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(size)
            kept = [row for row in file if keep and json.loads(row)["kind"] == keep]
        # The file is shorter if the machine crashed and lost its last rows.
        os.truncate(self._path, min(self.size, size))
        for row in kept:
            self._append(row)
        if self._events:
            self._events.rewrite(map(json.loads, self._path.read_bytes().splitlines()))

    def sync(self) -> None:
        """Wait until all rows are on disk."""
        try:
            if self._path.exists():
                sync(self._path)
                sync(self._path.parent)
        except OSError as error:
            raise WriteError(self._path, error) from None

    def _append(self, row: bytes) -> None:
        before = self.size
        try:
            with self._path.open("ab") as file:
                file.write(row)
        except OSError as error:
            os.truncate(self._path, before)  # half a row is no row
            raise WriteError(self._path, error) from None


class EventWriter:
    """Writes events to a file in a directory; calls `warn` if that fails.

    The records are those of the package tensorboard, but the writer is not, nor is torch's, which
    is the same: it writes in a thread, where a full disk goes unnoticed.
    """

    def __init__(self, directory: Path, warn: Callable[[str], None]) -> None:
        """Write nothing yet; raise `Seq2SeqError` if tensorboard is not installed."""
        require_extra("tensorboard", "--tensorboard", "tensorboard")
        self._directory, self._warn = directory, warn
        self._file: Path | None = None
        self._works = True

    def write(self, row: Row) -> None:
        """Append a row."""
        if self._file is None:
            self.rewrite([row])
        elif self._works:
            self._try(lambda: self._append([_event(row)]))

    def rewrite(self, rows: Iterable[Row]) -> None:
        """Replace all earlier rows by these."""
        if self._works:
            self._try(lambda: self._rewrite(rows))

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (OSError, ValueError) as error:  # the run continues, as metrics.jsonl has the rows
            self._works = False
            reason = getattr(error, "strerror", None) or error
            self._warn(f"{self._directory}: cannot be written: {reason}; no more events.")

    def _rewrite(self, rows: Iterable[Row]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self._directory.mkdir(parents=True, exist_ok=True)
        self._clear()
        now = time.time()
        # TensorBoard reads files in the order of their names.
        self._file = self._directory / f"events.out.tfevents.{now:017.6f}{_EVENTS_SUFFIX}"
        # Makes a TensorBoard that is watching forget its points: a session starts at step 0.
        start = SessionLog(status=SessionLog.START)
        head = [Event(wall_time=now, file_version="brain.Event:2")]
        head += [Event(wall_time=now, step=0, session_log=start)]
        self._append([*head, *map(_event, rows)])

    def _clear(self) -> None:
        """Empty the present files, and remove those that were emptied before.

        If a file disappears while TensorBoard reads it, it never goes on to the next one.
        """
        for file in self._directory.glob(f"events.out.tfevents.*{_EVENTS_SUFFIX}"):
            if file.stat().st_size:
                os.truncate(file, 0)
            else:
                file.unlink()

    def _append(self, events: Iterable[Any]) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        assert self._file is not None
        with self._file.open("ab") as file:
            writer = RecordWriter(file)
            for event in events:
                writer.write(event.SerializeToString())


def _event(row: Row) -> Any:
    """Convert a row to TensorBoard's protocol buffer."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(row)]
    return Event(wall_time=row.get("time"), step=row["step"], summary=Summary(value=values))


def scalars(row: Row, name: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of a row with names such as train/loss, gates/decoder_1/forget/mean."""
    group = name or row["kind"]
    for key, value in row.items():
        word = key.replace(" ", "_")
        if isinstance(value, Mapping):
            yield from scalars(value, f"{name}/{word}" if name else word)
        elif isinstance(value, int | float) and (name or key not in _NOT_FIGURES):
            yield f"{group}/{word}", value
