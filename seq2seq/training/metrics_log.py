"""`metrics.jsonl`: one JSON object a line."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seq2seq.files import sync
from seq2seq.training.checkpoint import WriteError
from seq2seq.training.events import EventLog


class MetricsLog:
    """The file at `path`, which need not exist yet; `events` always has the same rows."""

    def __init__(self, path: Path, events: EventLog | None = None) -> None:
        self._path = path
        self._events = events

    def append(self, row: Mapping[str, Any]) -> int:
        """Write a row; gives the length of the file in bytes."""
        self._append(json.dumps(row).encode() + b"\n")
        if self._events:
            self._events.add(row)
        return self._size()

    def _append(self, row: bytes) -> None:
        before = self._size()
        try:
            with self._path.open("ab") as file:
                file.write(row)
        except OSError as error:
            os.truncate(self._path, before)  # half a row is no row
            raise WriteError(self._path, error) from None

    def cut(self, size: int, but: str = "") -> None:
        """Drop the rows beyond `size` bytes, which are of steps yet to come; not those `but` are.

        `but` is a kind of rows.
        """
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(size)
            kept = [row for row in file if but and json.loads(row)["kind"] == but]
        # Shorter than that if the machine lost its last rows.
        os.truncate(self._path, min(self._size(), size))
        for row in kept:
            self._append(row)
        if self._events:
            self._events.rewrite(map(json.loads, self._path.read_bytes().splitlines()))

    def sync(self) -> None:
        """Wait until all rows are on the disk."""
        try:
            if self._path.exists():
                sync(self._path)
                sync(self._path.parent)
        except OSError as error:
            raise WriteError(self._path, error) from None

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0
