"""Disk space for what grows with the corpus, so that memory does not have to.

An entry is a folder, named by a digest of everything it was made from. It appears complete or not
at all, even if two processes make it at once. An entry never changes, and can be made again, so the
cache may be deleted at any time.
"""

import hashlib
import json
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seq2seq.errors import Seq2SeqError
from seq2seq.files import replacing_folder

SMALL = 8 << 20
"""Size in bytes up to which a text or an array stays in memory instead of the cache."""

Make = Callable[[Path], None]

_SIZES = "sizes"  # file in each entry with the sizes of its other files in bytes
_FORMAT = "2"
_ABANDONED = 24 * 3600.0  # seconds


def cache_folder() -> Path:
    """Return `$SEQ2SEQ_CACHE`, or else `seq2seq` in `$XDG_CACHE_HOME` or `~/.cache`."""
    if named := os.environ.get("SEQ2SEQ_CACHE"):
        return Path(named).absolute()
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches, "seq2seq").absolute()
    try:
        return Path.home() / ".cache" / "seq2seq"
    except RuntimeError:
        raise Seq2SeqError(
            "there is no home folder for the cache of large corpora; name a folder with the "
            "environment variable SEQ2SEQ_CACHE."
        ) from None


def entry(kind: str, made_from: tuple[str, ...], make: Make) -> Path:
    """Return the folder with what `make` writes, calling it if there is no such entry yet.

    `made_from` is everything that decides the content: digests of texts, settings, a version. An
    entry is made again if one of its files is missing or was cut short.
    """
    key = hashlib.sha256(json.dumps([_FORMAT, *made_from]).encode()).hexdigest()[:40]
    path = cache_folder() / f"{kind}-{key}"
    if not _is_whole(path):
        with _writing() as folder:
            _remove_abandoned(folder, kind)
            with replacing_folder(path, keep=_is_whole) as aside:
                make(aside)
                sizes = {file.name: file.stat().st_size for file in aside.iterdir()}
                (aside / _SIZES).write_text(json.dumps(sizes))
    return path


def mapped(path: Path) -> bytes | mmap.mmap:
    """Map a file of an entry into memory, read-only."""
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                return b""  # an empty file cannot be mapped
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise Seq2SeqError(f"{path}: gone while it was in use; run the command again.") from None


def scratch(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return (size,) zeros to write to: in memory if small, otherwise in an unnamed file."""
    itemsize = np.dtype(dtype).itemsize
    if size * itemsize <= SMALL:
        return np.zeros(size, dtype)
    with _writing() as folder, tempfile.TemporaryFile(dir=folder) as file:
        # Written, not only reserved, so that a full disk is an error here and not a SIGBUS later.
        zeros = bytes(itemsize << 16)
        for first in range(0, size, 1 << 16):
            file.write(zeros[: (size - first) * itemsize])
        file.flush()
        return np.memmap(file, dtype, "r+", shape=(size,)).view(np.ndarray)


def count_from(first: int, array: NDArray[Any]) -> None:
    """Write `first`, `first + 1`, ... into `array`, without a second array of that size."""
    for begin in range(0, len(array), 1 << 16):
        part = array[begin : begin + (1 << 16)]
        part[:] = np.arange(first + begin, first + begin + len(part))


@contextmanager
def _writing() -> Iterator[Path]:
    """Yield the cache folder, made if necessary; turn an `OSError` into a `Seq2SeqError`."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except OSError as error:
        raise Seq2SeqError(
            f"{folder}: the cache for large corpora cannot be written: {error.strerror}; make "
            "room or name another folder with the environment variable SEQ2SEQ_CACHE."
        ) from None


def _is_whole(path: Path) -> bool:
    try:
        sizes = json.loads((path / _SIZES).read_bytes())
        return all((path / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _remove_abandoned(folder: Path, kind: str) -> None:
    """Remove entries that killed processes left half written."""
    for aside in folder.glob(f".{kind}-*.partial"):
        with suppress(OSError):  # another process removed it first
            if time.time() - aside.stat().st_mtime > _ABANDONED:
                shutil.rmtree(aside, ignore_errors=True)
