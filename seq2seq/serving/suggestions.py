"""Better translations that users suggest, appended to a TSV file."""

import os
import threading
from pathlib import Path

from seq2seq.errors import UsageError
from seq2seq.serving.middleware import RefusedError

_MOST_BYTES = 100_000_000  # of the file


class Suggestions:
    """A file with one line per suggestion: text, translation, and the languages of both."""

    def __init__(self, path: Path) -> None:
        """Raise `UsageError` if the file cannot be written."""
        self._path = path
        self._lock = threading.Lock()
        try:
            with path.open("ab"):
                pass
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}.") from None

    def add(self, text: str, translation: str, source: str, target: str) -> None:
        """Append a suggestion; raise `RefusedError` if the file is full or cannot be written."""
        columns = (" ".join(column.split()) for column in (text, translation, source, target))
        line = ("\t".join(columns) + "\n").encode("utf-8", "replace")
        try:
            with self._lock, self._path.open("ab") as file:
                if os.fstat(file.fileno()).st_size + len(line) > _MOST_BYTES:
                    raise RefusedError(403, "There are too many suggestions")
                file.write(line)
        except OSError:
            raise RefusedError(500, "The suggestion could not be saved") from None
