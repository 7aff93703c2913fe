"""Atomic and durable writing of files and folders; reading files up to a maximum size.

New contents are written beside the target, under a random name that nothing else uses, and replace
the target only when they are on the disk. An existing file or folder is not touched before that. On
SIGTERM or SIGHUP the unfinished contents are removed; only SIGKILL leaves them behind.
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
        return  # Windows cannot open folders, and writes them to the disk by itself
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data`, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file of any size, in hexadecimal digits; raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(files: Mapping[str, bytes]) -> bytes:
    """Return the digests of files by name, in the format of `sha256sum -c`."""
    return "".join(f"{digest(data)}  {name}\n" for name, data in sorted(files.items())).encode()


def read_checksums(path: Path) -> dict[str, str]:
    """Read a file that `checksums` made; raises `OSError`, and `ValueError` if it is damaged."""
    lines = (line.split("  ") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: value for value, name in lines}


def kind_of(start: bytes) -> str | None:
    """Describe a file that is not UTF-8 text by its first bytes; None if they are not known."""
    return next((kind for mark, kind in _KINDS.items() if start.startswith(mark)), None)


def read_bounded(path: Path, most: int) -> bytes:
    """Read a file of at most `most` bytes; raises `OSError`, and `Seq2SeqError` if it is larger.

    The limit saves memory if the path is an endless pipe or device, or a file picked by mistake.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Seq2SeqError(f"{path}: more than {most:,} bytes, too large for a file of its kind.")
    return data


@contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write to, which replaces `path` at the end of the block.

    It gets the mode and owner of `path`. If the owner cannot be kept, because `path` belongs to
    another user, the contents of `path` are overwritten in place, as `cp` does. If the block fails,
    `path` stays as it was. Raises `OSError`.
    """
    before = _status(path)
    if before and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "it is write-protected", str(path))
    with _ended_by_signals():
        aside = _beside(path, "partial")
        # O_EXCL does not even follow a link. Mode 600 until the file gets the mode of the old one.
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
            with suppress(FileNotFoundError):  # it was renamed to `path`
                aside.unlink()
    sync(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to the file `path`, replacing it atomically; raises `OSError`."""
    with replacing_file(path) as file:
        file.write(data)


@contextmanager
def replacing_folder(target: Path, keep: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield a new folder, which replaces `target` at the end of the block.

    If `keep(target)` is true then, `target` stays and the new folder is removed instead. If the
    block fails, `target` stays as it was. Of two processes that replace the same folder at once,
    the later one wins. Raises `OSError`.
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
    """Rename the folder `new` to `target`, and remove the old `target` unless `keep` is true."""
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
    """Remove a folder atomically: all of it disappears, or none; raises `OSError`."""
    gone = _beside(path, "partial")
    path.rename(gone)
    shutil.rmtree(gone)


def remove_leftovers(folder: Path, pattern: str) -> None:
    """Clean up in `folder` after a killed process that wrote or removed names like `pattern`.

    Unfinished files and folders are removed. An old folder that was moved away but not yet replaced
    is restored. No other process may be writing names like `pattern` at the same time.
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
    """Return an unpredictable name in the same folder, which `remove_leftovers` recognises."""
    return path.with_name(f".{path.name[:50]}.{secrets.token_hex(8)}.{kind}")


def _status(path: Path) -> os.stat_result | None:
    """Return the status of a path, or None if it does not exist."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _keep_rights(before: os.stat_result, aside: Path) -> bool:
    """Give `aside` the owner and the mode of `before`; return whether that succeeded."""
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
    """Let SIGTERM and SIGHUP raise `SystemExit` in the block, unless they are handled already."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can handle signals
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    unheard = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)  # the exit code that a shell reports

    for number in unheard:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in unheard:
            signal.signal(number, signal.SIG_DFL)
