"""The two columns of a parallel text, read in blocks and held in memory or in the cache."""

from collections.abc import Callable, Iterable
from pathlib import Path

from seq2seq.corpus import cache
from seq2seq.corpus.lines import Lines, LinesWriter

Columns = tuple[bytes, bytes]
"""Source and target of some pairs: equally many lines, each ended by a line feed."""

ReadBlocks = Callable[[], Iterable[Columns]]
"""Reads both columns from the beginning."""


def block_of(lines: Iterable[bytes]) -> bytes:
    """Join lines without line feeds into a block."""
    return b"".join(line + b"\n" for line in lines)


def keep_columns(read: ReadBlocks, entry: Callable[[cache.Make], Path]) -> tuple[Lines, Lines]:
    """Hold columns in memory if they are small, otherwise in the cache.

    To find out, their beginning is read each time.
    """
    size, begun = 0, list[Columns]()
    for columns in read():
        begun.append(columns)
        size += sum(map(len, columns))
        if size > cache.SMALL:
            return in_cache(read, entry)
    return in_memory(begun)


def in_cache(read: ReadBlocks, entry: Callable[[cache.Make], Path]) -> tuple[Lines, Lines]:
    """Hold columns in the cache.

    `entry` returns the folder of an entry, and calls the function that it gets to make a new one.
    """

    def make(folder: Path) -> None:
        with (
            LinesWriter(folder / "source") as source,
            LinesWriter(folder / "target") as target,
        ):
            for first, second in read():
                source.write(first)
                target.write(second)

    folder = entry(make)
    return Lines.open(folder / "source"), Lines.open(folder / "target")


def in_memory(columns: Iterable[Columns]) -> tuple[Lines, Lines]:
    """Hold columns in memory."""
    blocks = [*columns]
    return Lines.of(source for source, _ in blocks), Lines.of(target for _, target in blocks)
