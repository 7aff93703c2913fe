"""Lines of text in and out: UTF-8 whatever the locale, ended by "\\n" or "\\r\\n"."""

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

_CHUNK_BYTES = 1 << 16  # what a pipe holds on Linux: more than a thousand sentences


def read_chunks(stream: BufferedReader, name: str) -> Iterator[Iterable[str]]:
    """Yield the lines of `stream` with their ends, in chunks whose lines need not be waited for.

    A file is a single chunk, read as its lines are asked for. From a pipe or a terminal each chunk
    has the lines that have arrived, so that a program that sends one line and waits has its answer;
    and the last line ends there, as programs that read lines expect.
    `name` is what errors call the stream.
    """
    if file_size(stream) is None:
        yield from _read_arriving(stream, name, last_end="\n")
    else:
        yield chain.from_iterable(_read_arriving(stream, name, last_end=""))


def file_size(stream: BufferedReader) -> int | None:
    """Return the size of a file in bytes; None of a pipe or a terminal."""
    status = os.fstat(stream.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def is_conversation() -> bool:
    """Tell whether stdin, stdout and stderr are all terminals."""
    streams = sys.stdin, sys.stdout, sys.stderr
    return all(stream is not None and stream.isatty() for stream in streams)


def refuse_same_file(source: BufferedReader, sink: BinaryIO) -> None:
    """Raise `UsageError` where input and output are one file: it would never end, or be lost."""
    if file_size(source) is not None and os.path.sameopenfile(source.fileno(), sink.fileno()):
        raise UsageError(
            "the output would go to the file that is read; --output may name it, and replaces it."
        )


def _read_arriving(stream: BufferedReader, name: str, last_end: str) -> Iterator[Iterable[str]]:
    number = 1  # of the next line
    begun: list[bytes] = []  # the parts of a line that has not ended yet
    start = b""  # of all
    while data := _read(stream, name):
        start = start or data[:8]
        *ended, last = data.split(b"\n")
        if ended:
            ended[0] = b"".join([*begun, ended[0]])
            begun.clear()
            # One by one, so that a bad line takes none of those before it along.
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
            raise Seq2SeqError(f"{name}: {kind}, not plain text; save it as plain text.") from None
        raise Seq2SeqError(
            f"{name}, line {number}: byte {error.start + 1} is not UTF-8; convert the text first, "
            "for example with iconv."
        ) from None


@contextmanager
def open_input(
    path: Path | None, texts: Sequence[str] | None = None
) -> Iterator[BufferedReader | None]:
    """Open a file, or stdin for None and `-`; nothing where there are `texts` instead."""
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
    """Open a file, or stdout for None. A file appears once all of it is written, or not at all."""
    if path is None:
        if sys.stdout is None:
            raise UsageError("stdout is closed; give --output.")
        yield sys.stdout.buffer
        return
    path = path.resolve()  # what a link points to is replaced, not the link
    replaceable = path.is_file() or not path.exists()  # unlike /dev/null or a named pipe
    with ExitStack() as stack:
        try:
            opened = replacing_file(path) if replaceable else path.open("wb")
            file = stack.enter_context(opened)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}.") from None
        yield file
