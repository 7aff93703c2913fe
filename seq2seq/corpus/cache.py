"""Space on disk for what grows with the corpus, so that memory need not.

An entry is a folder, named by a digest of all that it was made from. It is written aside, synced
and renamed, so it is whole or not there at all, also when two processes make it at once. Sizes and
digests of its files are compared whenever it is opened, and a damaged one is made again. Nothing
ever changes an entry, and nothing depends on it: the folder may be deleted at any time.
"""

import hashlib
import json
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
from seq2seq.files import sync

SMALL = 8 << 20
"""Bytes up to which a text or an array stays in memory: no cache for small corpora."""

Make = Callable[[Path], None]

_INDEX = "files.json"
_FORMAT = "1"
_ASIDE = "seq2seq-"  # how names of what is half-written begin; the folder may have others
_ABANDONED = 24 * 3600.0  # seconds


def cache_folder() -> Path:
    """`$SEQ2SEQ_CACHE`, else `seq2seq` in `$XDG_CACHE_HOME` or `~/.cache`."""
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
    """The folder of what `make` writes; it is called where there is no such entry yet.

    `made_from` is all that decides what comes out: digests of contents, settings, a version.
    """
    path = cache_folder() / f"{kind}-{_digest(*made_from)}"
    if not _is_whole(path):
        with _written_aside(make) as aside:
            _put(aside, path)
    return path


def content_entry(kind: str, make: Make) -> Path:
    """Like `entry`, for what is known only once it is made: its files name it."""
    with _written_aside(make) as aside:
        path = cache_folder() / f"{kind}-{_digest((aside / _INDEX).read_text())}"
        if not _is_whole(path):
            _put(aside, path)
    return path


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recorded_digest(path: Path) -> str:
    """The SHA-256 of a file of an entry, as it was written down."""
    with lost_entries():
        return str(json.loads((path.parent / _INDEX).read_bytes())[path.name][1])


def scratch(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """(size,) zeros to write to: in memory while they are few, else in a file without a name."""
    itemsize = np.dtype(dtype).itemsize
    if size * itemsize <= SMALL:
        return np.zeros(size, dtype)
    with _writing() as folder, tempfile.TemporaryFile(dir=folder) as file:
        # Written, not only reserved: a full disk has to show here. Later it would be a SIGBUS.
        zeros = bytes(itemsize << 16)
        for first in range(0, size, 1 << 16):
            file.write(zeros[: (size - first) * itemsize])
        file.flush()
        return np.memmap(file, dtype, "r+", shape=(size,)).view(np.ndarray)


def count_from(first: int, array: NDArray[Any]) -> None:
    """Write `first`, `first + 1`, ... to `array`, without another array of that size."""
    for begin in range(0, len(array), 1 << 16):
        part = array[begin : begin + (1 << 16)]
        part[:] = np.arange(first + begin, first + begin + len(part))


def mapped(path: Path, dtype: DTypeLike) -> NDArray[Any]:
    """The array in a file of an entry, read-only."""
    with lost_entries():
        if not path.stat().st_size:
            return np.empty(0, dtype)  # nothing cannot be mapped
        return np.memmap(path, dtype, "r").view(np.ndarray)


@contextmanager
def lost_entries() -> Iterator[None]:
    """Say what happened when somebody deletes an entry while it is in use."""
    try:
        yield
    except FileNotFoundError as error:
        raise Seq2SeqError(
            f"{error.filename}: gone while it was in use; run the command again."
        ) from None


@contextmanager
def _written_aside(make: Make) -> Iterator[Path]:
    """What `make` writes, in a folder of its own with the sizes and digests of its files."""
    with _writing() as folder:
        _remove_abandoned(folder)
        aside = Path(tempfile.mkdtemp(".partial", _ASIDE, folder))
        try:
            make(aside)
            files = sorted(aside.iterdir())
            index = {file.name: [file.stat().st_size, file_digest(file)] for file in files}
            (aside / _INDEX).write_text(json.dumps(index))
            for file in aside.iterdir():
                sync(file)  # first, since it opens the file to write
                file.chmod(0o444)
            sync(aside)
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _writing() -> Iterator[Path]:
    """The cache's folder; an `OSError` becomes a sentence."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except OSError as error:
        raise Seq2SeqError(
            f"{folder}: the cache for large corpora cannot be written: {error.strerror}; make "
            "room or name another folder with the environment variable SEQ2SEQ_CACHE."
        ) from None


def _put(aside: Path, path: Path) -> None:
    """Rename `aside` to `path`, in place of a damaged entry; another process may be faster."""
    if path.exists() and not _is_whole(path):
        damaged = Path(tempfile.mkdtemp(".partial", _ASIDE, path.parent))
        with suppress(FileNotFoundError):
            path.rename(damaged / path.name)
        shutil.rmtree(damaged, ignore_errors=True)
    try:
        aside.rename(path)
    except OSError:
        if not _is_whole(path):
            raise
    sync(path.parent)


def _is_whole(path: Path) -> bool:
    try:
        index = json.loads((path / _INDEX).read_bytes())
        sizes = all((path / name).stat().st_size == size for name, (size, _) in index.items())
        return sizes and all(file_digest(path / name) == was for name, (_, was) in index.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes have left."""
    for aside in folder.glob(f"{_ASIDE}????????.partial"):
        try:
            if time.time() - aside.stat().st_mtime > _ABANDONED:
                shutil.rmtree(aside, ignore_errors=True)
        except OSError:  # another process was faster
            continue


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps([_FORMAT, *parts]).encode()).hexdigest()[:40]
