"""Files and folders that appear whole, and stay when the power goes."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path


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


def write_file(path: Path, data: bytes) -> None:
    """Make the file `path` of `data`, in place of what was there; raises `OSError`."""
    aside = _aside(path)
    try:
        aside.write_bytes(data)
        sync(aside)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def link_file(path: Path, other: Path) -> None:
    """Let `other` be the file `path` too, in place of what was there; raises `OSError`.

    They share their bytes where the disk can do that, so neither may be changed in place.
    """
    aside = _aside(other)
    aside.unlink(missing_ok=True)
    try:
        os.link(path, aside)
    except OSError:
        write_file(other, path.read_bytes())
        return
    try:
        os.replace(aside, other)
    finally:
        aside.unlink(missing_ok=True)  # where they were one already, nothing was renamed
    sync(other.parent)


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def replace_folder(new: Path, target: Path) -> None:
    """Rename the folder `new` to `target`, and remove what was there, if anything.

    A process that is killed in between leaves what was there as `target`.old.
    """
    old = target.with_name(f"{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_folder(files: Mapping[str, bytes], target: Path) -> None:
    """Make the folder `target` of `files`, in place of what was there; raises `OSError`."""
    aside = _aside(target)
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        for name, data in files.items():
            (aside / name).write_bytes(data)
        for path in (*aside.iterdir(), aside):
            sync(path)
        replace_folder(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _aside(path: Path) -> Path:
    """Where `path` is made before it takes its place."""
    return path.with_name(f"{path.name}.partial")
