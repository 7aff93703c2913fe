"""Files and folders that appear whole, and stay when the power goes."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_folder(new: Path, target: Path) -> None:
    """Rename the folder `new` to `target`, and remove what was there, if anything."""
    old = target.with_name(f"{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_folder(files: Mapping[str, bytes], target: Path) -> None:
    """Make the folder `target` of `files`, in place of what was there; raises `OSError`."""
    aside = target.with_name(f"{target.name}.partial")
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
