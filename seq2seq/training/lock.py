"""One trainer a run folder.

The lock is the kernel's, on the file `lock` in the folder, so it ends with the process however
that ends. It is taken through `filelock`, which torch brings along and which knows Windows too.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.training.run_dir import RunFolder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other trainers out of `folder`, which is made where it does not exist.

    What was made goes again where no run has come of it. Raises `Seq2SeqError` where another
    trainer is at work.
    """
    if (folder / "lock").is_file() and (folder / "lock").stat().st_size:
        raise UsageError(f"{folder / 'lock'} is in the way; choose another folder with -o.")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    lock = FileLock(folder / "lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise Seq2SeqError(
            f"{folder}: another training is at work in this folder; wait until it ends, or choose "
            "another folder with -o."
        ) from None
    except OSError as error:
        _remove(made)
        raise Seq2SeqError(f"{folder}: cannot be written: {error.strerror}.") from None
    try:
        yield
    finally:
        unused = not RunFolder(folder).recipe_file.exists()
        if unused:  # while it is held: whoever finds the file later finds it without a lock
            with suppress(OSError):
                (folder / "lock").unlink()
        lock.release()
        if unused:
            _remove(made)


def _remove(folders: list[Path]) -> None:
    """Those that are empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
