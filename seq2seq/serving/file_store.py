"""Translated files that wait to be downloaded: in memory, for some minutes, under secret names."""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from starlette.responses import Response

_LIFETIME = 600.0  # seconds
_MOST_BYTES = 1 << 28  # of all files; the oldest are dropped first
_UNUSUAL = re.compile(r"[^\w.()-]+")
_LONGEST_NAME = 80  # characters

MOST_AT_ONCE = 8
"""Files that may be translated at one time; each may take some 100 MB while it is read."""


@dataclass(frozen=True)
class _File:
    data: bytes
    expires: float


@dataclass
class FileStore:
    """Translated files by name; nothing is written to the disk."""

    clock: Callable[[], float] = time.monotonic
    _files: dict[str, _File] = field(default_factory=dict)  # the oldest first

    def put(self, name: str, data: bytes) -> str:
        """Keep a file, and return the unguessable name under which it can be downloaded."""
        key = f"{secrets.token_urlsafe(24)}.{safe_name(name)}"
        self._files[key] = _File(data, self.clock() + _LIFETIME)
        self._drop()
        return key

    def get(self, key: str) -> bytes | None:
        """Return a file, or None if there is none, or no longer."""
        self._drop()
        return self._files[key].data if key in self._files else None

    def _drop(self) -> None:
        """Drop files that are too old, or too many."""
        size = sum(len(file.data) for file in self._files.values())
        for key, file in [*self._files.items()]:
            if file.expires > self.clock() and size <= _MOST_BYTES:
                break
            size -= len(file.data)
            del self._files[key]


def safe_name(name: str) -> str:
    """Return the last part of a client's file name, limited to letters, digits and a few marks."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return _UNUSUAL.sub("_", last)[-_LONGEST_NAME:].lstrip(".") or "file"


def attachment(key: str, data: bytes) -> Response:
    """Return a file as a response that a browser saves and never displays."""
    name = quote(key.partition(".")[2])
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Cache-Control": "no-store",
    }
    return Response(data, media_type="application/octet-stream", headers=headers)
