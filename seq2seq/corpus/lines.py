"""Lines of text in a memory-mapped file, each decoded when it is needed.

The file is in the cache (see `seq2seq.corpus.cache`), never the user's own: if that were shortened
while it is mapped, a signal would kill the process. In the cache, moreover, all lines end alike and
are valid UTF-8. The pages of a mapped file belong to the system, which reclaims them when memory
gets scarce. Small texts are held in memory in the same form.
"""

import hashlib
import mmap
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from operator import eq
from pathlib import Path
from typing import Any, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from seq2seq.corpus.cache import mapped
from seq2seq.process_pool import ProcessPool, cores

Index = NDArray[Any] | range
Result = TypeVar("Result")

MANY = 50_000
"""Number of lines from which starting other processes pays off."""

_AT_ONCE = 4096  # lines to decode together
_PART = 10_000  # lines for a process at a time
_MOST = 8  # processes at most, since each takes memory


class Text(Sequence[str]):
    """Lines that are read on demand; equal to any sequence of the same lines."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """A SHA-256 that differs for any other lines."""

    @abstractmethod
    def part(self, first: int, last: int) -> Sequence[str]:
        """Return lines `first` to `last` in a form that can be sent to another process."""

    @abstractmethod
    def _line(self, number: int) -> str: ...

    @abstractmethod
    def _lines(self, first: int, last: int) -> list[str]: ...

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            chosen = range(len(self))[index]
            if chosen.step == 1:
                return self._lines(chosen.start, max(chosen.start, chosen.stop))
            return [self._line(number) for number in chosen]
        return self._line(range(len(self))[index])

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _AT_ONCE):
            yield from self._lines(first, min(first + _AT_ONCE, len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # as for lists

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {len(self):,} lines"


class Lines(Text):
    """Lines in UTF-8, each ended by a line feed, in memory or in a file of the cache."""

    def __init__(
        self, data: bytes | mmap.mmap, starts: NDArray[np.int64], path: Path | None = None
    ) -> None:
        """Line i is `data[starts[i] : starts[i + 1] - 1]`; `path` is the file of both, if any."""
        self._data = data
        self._starts = starts
        self._path = path

    @classmethod
    def of(cls, blocks: Iterable[bytes]) -> Self:
        """Hold lines in memory; each block consists of whole lines, each ended by a line feed."""
        data = b"".join(blocks)
        return cls(data, np.concatenate([np.zeros(1, np.int64), _ends(data)]))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map a file that `LinesWriter` wrote."""
        return cls(mapped(path), np.frombuffer(mapped(_starts_file(path)), np.int64), path)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __reduce__(self) -> tuple[object, ...]:
        if self._path is None:
            return Lines, (self._data, self._starts)
        return Lines.open, (self._path,)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the text."""
        return hashlib.sha256(self._data).hexdigest()

    def part(self, first: int, last: int) -> Sequence[str]:
        """Return lines `first` to `last`: a reference to the file if there is one, or the lines."""
        return self[first:last] if self._path is None else Chosen(self, range(first, last))

    def _line(self, number: int) -> str:
        return self._data[self._starts[number] : self._starts[number + 1] - 1].decode()

    def _lines(self, first: int, last: int) -> list[str]:
        if first == last:
            return []
        return self._data[self._starts[first] : self._starts[last] - 1].decode().split("\n")


class Chosen(Text):
    """A selection of the lines of another sequence."""

    def __init__(self, lines: Sequence[str], index: Index) -> None:
        """Line i is `lines[index[i]]`."""
        self._of = lines
        self._index = index

    def __len__(self) -> int:
        return len(self._index)

    @cached_property
    def digest(self) -> str:
        """A SHA-256 of the underlying lines and of the selection."""
        digest = hashlib.sha256(digest_of(self._of).encode())
        for first in range(0, len(self), 1 << 16):
            chosen = np.asarray(self._index[first : first + (1 << 16)], np.int64)
            digest.update(chosen.tobytes())
        return digest.hexdigest()

    def origin(self, place: int) -> tuple[Sequence[str], int]:
        """Return the sequence that the line at `place` is from, and its place there."""
        return self._of, int(self._index[place])

    def part(self, first: int, last: int) -> Sequence[str]:
        """Return lines `first` to `last`: a selection if possible, or the lines themselves."""
        if isinstance(self._of, Text):
            return Chosen(self._of, self._index[first:last])
        return self[first:last]

    def _line(self, number: int) -> str:
        return self._of[int(self._index[number])]

    def _lines(self, first: int, last: int) -> list[str]:
        numbers = np.asarray(self._index[first:last]).tolist()
        if not numbers:
            return []
        start, end = min(numbers), max(numbers) + 1
        if end - start < 4 * len(numbers):  # dense: reading the whole stretch is faster
            stretch = self._of[start:end]
            return [stretch[number - start] for number in numbers]
        return [self._of[number] for number in numbers]


def line_number(lines: Sequence[str], place: int) -> int:
    """Return the number, from 1, of the line at `place` in its original file."""
    while isinstance(lines, Chosen):
        lines, place = lines.origin(place)
    return place + 1


class LinesWriter:
    """Writes lines to a file, and the places where they start to another file beside it."""

    def __init__(self, path: Path) -> None:
        """Create both files, which must not exist yet."""
        self._text = path.open("xb")
        self._starts = _starts_file(path).open("xb")
        self._starts.write(np.zeros(1, np.int64).tobytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()
        self._starts.close()

    def write(self, block: bytes) -> None:
        """Write whole lines, each ended by a line feed."""
        self._starts.write((_ends(block) + self._text.tell()).tobytes())
        self._text.write(block)


def digest_of(lines: Sequence[str]) -> str:
    """Compute a SHA-256 of `lines`."""
    if isinstance(lines, Text):
        return lines.digest
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def part_of(lines: Sequence[str], first: int, last: int) -> Sequence[str]:
    """Return lines `first` to `last` in a form that can be sent to another process."""
    return lines.part(first, last) if isinstance(lines, Text) else lines[first:last]


def map_parts(function: Callable[..., Result], *sides: Sequence[str]) -> Iterator[Result]:
    """Call `function(*parts)` for each part of texts of equal length; yield the results in order.

    From `MANY` lines on, this takes several processes. `function` must be importable, or a
    `partial` of an importable function.
    """
    size = len(sides[0])
    parts = (
        tuple(part_of(side, first, min(first + _PART, size)) for side in sides)
        for first in range(0, size, _PART)
    )
    processes = min(cores(), _MOST)
    if size < MANY or processes == 1:
        yield from (function(*part) for part in parts)
        return
    pool = ProcessPool(processes)
    try:
        yield from pool.map(function, parts)
    finally:
        pool.close()


def _ends(data: bytes) -> NDArray[np.int64]:
    """Return where lines end: after each line feed."""
    return np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1


def _starts_file(path: Path) -> Path:
    return path.with_suffix(".starts")
