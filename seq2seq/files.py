"""Files and folders that appear whole, and stay when the power goes; reading with a bound.

What is written takes the place of what was there only when all of it is on the disk. Until then it
lies beside it, under a name that is drawn at random and made by no one else: nothing that is there
already is written to or removed. SIGTERM and SIGHUP remove it; only SIGKILL leaves it behind.
"""

import errno
import hashlib
import os
import re
import secrets
import shutil
import signal
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from seq2seq.errors import Seq2SeqError

_LEFTOVER = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.(?P<kind>partial|old)", re.DOTALL)
_KINDS = {
    b"PK\x03\x04": "a document of Word, LibreOffice or the like, or another zip file",
    b"\xd0\xcf\x11\xe0": "a document of an old Word or Excel",
    b"%PDF": "a PDF",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    b"\x1f\x8b": "a packed file (gzip)",
    b"BZh": "a packed file (bzip2)",
    b"\xfd7zXZ": "a packed file (xz)",
    b"\x28\xb5\x2f\xfd": "a packed file (Zstandard)",
}
_EXCLUSIVE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def sync(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    folder = path.is_dir()
    if folder and os.name == "nt":
        return  # Windows opens no folders, and writes them by itself
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file of any size, in hexadecimal digits; raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(files: Mapping[str, bytes]) -> bytes:
    """Return the digests of files by name, as `sha256sum -c` reads them."""
    return "".join(f"{digest(data)}  {name}\n" for name, data in sorted(files.items())).encode()


def read_checksums(path: Path) -> dict[str, str]:
    """Read what `checksums` made; raises `OSError`, and `ValueError` where it is damaged."""
    lines = (line.split("  ") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: value for value, name in lines}


def kind_of(start: bytes) -> str | None:
    """Name the kind of a file by its first bytes, where it is easily told not to be UTF-8 text."""
    return next((kind for mark, kind in _KINDS.items() if start.startswith(mark)), None)


def read_bounded(path: Path, most: int) -> bytes:
    """Read a file of at most `most` bytes; raises `OSError`, and `Seq2SeqError` for what is larger.

    So a pipe or a device without end, or a film in place of a list of words, takes no memory.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Seq2SeqError(f"{path}: more than {most:,} bytes, too large for a file of its kind.")
    return data


@contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """Write the file `path`, in place of what was there, whose mode and owner it keeps.

    Where the block fails, all is as it was. Where the owner is somebody else, whose file one may
    write to but not make, it is written to as `cp` does. Raises `OSError`.
    """
    before = _status(path)
    if before and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "it is write-protected", str(path))
    with _ended_by_signals():
        aside = _beside(path, "partial")
        # Exclusively: not even a link is followed. Nobody else reads it before its mode is known.
        descriptor = os.open(aside, _EXCLUSIVE, 0o600 if before else 0o666)
        try:
            with open(descriptor, "wb") as file:
                yield file
                file.flush()
                is_alike = before is None or _keep_rights(before, aside)
                os.fsync(file.fileno())
            if is_alike:
                os.replace(aside, path)
            else:
                shutil.copyfile(aside, path)
                sync(path)
        finally:
            with suppress(FileNotFoundError):  # it is where it belongs
                aside.unlink()
    sync(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Make the file `path` of `data`, in place of what was there; raises `OSError`."""
    with replacing_file(path) as file:
        file.write(data)


@contextmanager
def replacing_folder(target: Path, keep: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Give a new folder, which takes the place of `target` at the end of the block.

    What was there is removed then, unless `keep` is true of it: then the new folder is. Where the
    block fails, all is as it was. Of two processes that do so at once, the later one has its way.
    Raises `OSError`.
    """
    before = _status(target)
    with _ended_by_signals():
        aside = _beside(target, "partial")
        aside.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir(0o700 if before else 0o777)
        try:
            yield aside
            if before:
                _keep_rights(before, aside)
            for path in (*aside.rglob("*"), aside):
                sync(path)
            _put(aside, target, keep)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _put(new: Path, target: Path, keep: Callable[[Path], bool] | None) -> None:
    """Rename the folder `new` to `target`, and remove what was there, unless that is to be kept."""
    replaced: list[Path] = []
    try:
        while True:
            try:
                new.rename(target)
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            if keep and keep(target):
                break
            old = _beside(target, "old")
            with suppress(FileNotFoundError):  # another process was faster
                target.rename(old)
                replaced.append(old)
    except BaseException:
        if replaced and not target.exists():
            replaced.pop().rename(target)
        raise
    finally:
        sync(target.parent)
        for old in replaced:
            shutil.rmtree(old, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder as a whole: it is gone, or all of it is there; raises `OSError`."""
    gone = _beside(path, "partial")
    path.rename(gone)
    shutil.rmtree(gone)


def remove_leftovers(folder: Path, pattern: str) -> None:
    """Remove what a killed process left half written or half removed of `pattern` in `folder`.

    What it had moved away, and put nothing in the place of, comes back. Nobody else may be at work
    on files of such names.
    """
    for path in folder.glob(f".{pattern}.*"):
        if not (match := _LEFTOVER.fullmatch(path.name)):
            continue
        target = path.with_name(match["name"])
        if match["kind"] == "old" and not target.exists():
            path.rename(target)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _beside(path: Path, kind: str) -> Path:
    """Make up a name in the same folder that nobody can foresee; see `remove_leftovers`."""
    return path.with_name(f".{path.name[:50]}.{secrets.token_hex(8)}.{kind}")


def _status(path: Path) -> os.stat_result | None:
    """None where there is nothing."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _keep_rights(before: os.stat_result, aside: Path) -> bool:
    """Give `aside` the owner and the mode that are asked for; tells whether that could be done."""
    now = aside.stat()
    try:
        if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
            os.chown(aside, before.st_uid, before.st_gid)
    except (OSError, AttributeError):  # Windows has no owners to change
        return False
    aside.chmod(stat.S_IMODE(before.st_mode))
    return True


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Within this SIGTERM and SIGHUP raise `SystemExit`, where nobody else listens to them."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    unheard = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)  # as a shell counts

    for number in unheard:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in unheard:
            signal.signal(number, signal.SIG_DFL)
