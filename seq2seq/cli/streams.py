"""Read and write lines of text: in UTF-8 whatever the locale, ended by "\\n" or "\\r\\n"."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import kind_of, replacing_file

_CHUNK_BYTES = 1 << 16  # the capacity of a pipe on Linux: more than a thousand sentences


def read_chunks(stream: BufferedReader, name: str) -> Iterator[Iterable[str]]:
    """Yield the lines of `stream` with their line endings, in chunks that are available at once.

    A file is a single chunk, read lazily. From a pipe or a terminal, each chunk has the lines that
    have arrived, so that a program can send a line and wait for the answer; there the last line
    always gets a line ending, as programs that read lines expect. `name` stands for the stream in
    error messages. Raises `Seq2SeqError` if it cannot be read, or is not UTF-8.
    """
    if file_size(stream) is None:
        yield from _read_arriving(stream, name, last_end="\n")
    else:
        yield chain.from_iterable(_read_arriving(stream, name, last_end=""))


def file_size(stream: BufferedReader) -> int | None:
    """Return the size of a file in bytes, or None for a pipe or a terminal."""
    status = os.fstat(stream.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def is_conversation() -> bool:
    """Return whether stdin, stdout and stderr are all terminals."""
    streams = sys.stdin, sys.stdout, sys.stderr
    return all(stream is not None and stream.isatty() for stream in streams)


def refuse_same_file(source: BufferedReader, sink: BinaryIO) -> None:
    """Raise `UsageError` if input and output are the same file, which would grow or be lost."""
    if file_size(source) is not None and os.path.sameopenfile(source.fileno(), sink.fileno()):
        raise UsageError(
            "the output would go to the file that is read; --output may name it, and replaces it."
        )


def _read_arriving(stream: BufferedReader, name: str, last_end: str) -> Iterator[Iterable[str]]:
    number = 1  # of the next line
    begun: list[bytes] = []  # the parts of an unfinished line
    start = b""  # of the whole stream
    while data := _read(stream, name):
        start = start or data[:8]
        *ended, last = data.split(b"\n")
        if ended:
            ended[0] = b"".join([*begun, ended[0]])
            begun.clear()
            # Decode lazily, so that the lines before a bad one are still yielded.
            yield (_decode(line, name, i, start) + "\n" for i, line in enumerate(ended, number))
            number += len(ended)
        begun.append(last)
    if line := b"".join(begun):
        yield (_decode(whole, name, number, start) + last_end for whole in [line])


def _read(stream: BufferedReader, name: str) -> bytes:
    try:
        return stream.read1(_CHUNK_BYTES)
    except OSError as error:
        raise Seq2SeqError(f"{name}: cannot be read: {error.strerror}.") from None


def _decode(line: bytes, name: str, number: int, start: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        if kind := kind_of(start):
            raise Seq2SeqError(
                f"{name}: {kind}, not plain text; save it as plain text in UTF-8."
            ) from None
        raise Seq2SeqError(
            f"{name}, line {number}: byte {error.start + 1} is not UTF-8; convert the text first, "
            "for example with iconv."
        ) from None


@contextmanager
def open_input(
    path: Path | None, texts: Sequence[str] | None = None
) -> Iterator[BufferedReader | None]:
    """Open a file, or stdin for None or `-`; yield None if there are `texts` instead.

    Raises `UsageError` if it cannot be opened.
    """
    if texts:
        yield None
        return
    if path is None or path == Path("-"):
        if sys.stdin is None:
            raise UsageError("stdin is closed; give sentences or --input.")
        yield cast(BufferedReader, sys.stdin.buffer)
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from None
    with file:
        yield file


@contextmanager
def open_output(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file for writing, or stdout for None; raises `UsageError` if it cannot be opened.

    A file is replaced atomically at the end of the block.
    """
    if path is None:
        if sys.stdout is None:
            raise UsageError("stdout is closed; give --output.")
        yield sys.stdout.buffer
        return
    path = path.resolve()  # replace the target of a link, not the link
    replaceable = path.is_file() or not path.exists()  # false for /dev/null or a named pipe
    with ExitStack() as stack:
        try:
            opened = replacing_file(path) if replaceable else path.open("wb")
            file = stack.enter_context(opened)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}.") from None
        yield file
