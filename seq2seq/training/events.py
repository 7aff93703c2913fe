"""The rows of metrics.jsonl once more, as events for TensorBoard.

The events are nothing of their own: they are rows, each number under its name, and whenever rows
are taken back (a run is resumed, or goes back to an earlier step) all are written anew. So there is
no point twice, and none of steps that are yet to come.

They are written by the package tensorboard, but not by its writer (nor torch's, which is the same):
that one has a thread of its own, in which nobody hears of a full disk.
"""

import importlib.util
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from seq2seq.errors import Seq2SeqError

Row = Mapping[str, Any]

_SUFFIX = ".seq2seq"  # of the files that are ours
_NO_NUMBERS = ("kind", "step", "time")  # they say what and when


class EventLog:
    """The events in a folder, in one file of it. `say` hears of it when they cannot be written."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise Seq2SeqError(
                "--tensorboard needs tensorboard: pip install 'seq2seq[tensorboard]'"
            )
        self._folder, self._say = folder, say
        self._file: Path | None = None
        self._works = True

    def add(self, row: Row) -> None:
        """One row more."""
        if self._file is None:
            self.rewrite([row])
        elif self._works:
            self._try(lambda: self._append([_event(row)]))

    def rewrite(self, rows: Iterable[Row]) -> None:
        """These rows, in place of all that there were."""
        if self._works:
            self._try(lambda: self._rewrite(rows))

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (OSError, ValueError) as error:  # a run goes on without; metrics.jsonl has the rows
            self._works = False
            reason = getattr(error, "strerror", None) or error
            self._say(f"{self._folder}: cannot be written: {reason}; no more events.")

    def _rewrite(self, rows: Iterable[Row]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self._folder.mkdir(parents=True, exist_ok=True)
        self._clear()
        now = time.time()
        # TensorBoard reads files in the order of their names.
        self._file = self._folder / f"events.out.tfevents.{now:017.6f}{_SUFFIX}"
        # One that looks on forgets the points that it has: a new session begins at step 0.
        start = SessionLog(status=SessionLog.START)
        head = [Event(wall_time=now, file_version="brain.Event:2")]
        head += [Event(wall_time=now, step=0, session_log=start)]
        self._append([*head, *map(_event, rows)])

    def _clear(self) -> None:
        """Empty the files that there are, and remove those that were emptied the last time.

        A TensorBoard that reads a file and finds it gone would never come to the next one.
        """
        for file in self._folder.glob(f"events.out.tfevents.*{_SUFFIX}"):
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
    """A row as TensorBoard's protocol buffer."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(row)]
    return Event(wall_time=row.get("time"), step=row["step"], summary=Summary(value=values))


def scalars(row: Row, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a row by their names, such as train/loss and gates/decoder_1/forget/mean."""
    group = name or row["kind"]
    for key, value in row.items():
        word = key.replace(" ", "_")
        if isinstance(value, Mapping):
            yield from scalars(value, f"{name}/{word}" if name else word)
        elif isinstance(value, int | float) and (name or key not in _NO_NUMBERS):
            yield f"{group}/{word}", value
