"""Find the problems of the pairs of a parallel text, in one pass.

Sentences are compared with normalised white space. Lengths are compared in UTF-8 bytes, since the
same content takes about equally many in most scripts; some scripts have no words, and Chinese needs
a third as many characters as English.

Repeated and held-out sentences are found by 64-bit hashes, since the sentences of a large corpus do
not fit into memory; if two hashes are equal, the sentences themselves are compared.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from seq2seq.corpus import cache
from seq2seq.corpus.duplicates import Hashes, duplicates, stretches
from seq2seq.corpus.lines import MANY, digest_of, map_parts
from seq2seq.corpus.readers import ParallelText

Problem = Literal["empty", "identical", "length_ratio", "duplicate", "leakage"]

PROBLEMS: tuple[Problem, ...] = get_args(Problem)

_VERSION = "1"  # of the format in the cache
_PART = 1 << 18  # elements of an array at a time
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # makes the hash of a pair depend on the order of its sides


@dataclass(frozen=True)
class SideStatistics:
    """The size of one side, in words separated by white space; `longest` is a sentence length."""

    words: int
    characters: int
    longest: int

    def __add__(self, other: "SideStatistics") -> "SideStatistics":
        return SideStatistics(
            self.words + other.words,
            self.characters + other.characters,
            max(self.longest, other.longest),
        )


@dataclass(frozen=True)
class Examination:
    """The problems of every pair of a text, and its size."""

    flags: NDArray[np.uint8]  # (pairs,), bit n is set if the pair has `PROBLEMS[n]`
    source: SideStatistics
    target: SideStatistics

    def count(self, *problems: Problem) -> int:
        """Count the pairs that have at least one of these problems."""
        return sum(
            int(np.count_nonzero(part & _bits(*problems)))
            for _, part in stretches(self.flags, _PART)
        )

    def first(self, problem: Problem, number: int = 1) -> list[int]:
        """Return up to `number` of the first pairs with a problem, numbered from 0."""
        indices = list[int]()
        for begin, part in stretches(self.flags, _PART):
            indices += (np.flatnonzero(part & _bits(problem)) + begin).tolist()
            if len(indices) >= number:
                break
        return indices[:number]

    def without(self, *problems: Problem) -> NDArray[Any]:
        """Return the numbers of the pairs that have none of these problems, in order."""
        size = len(self.flags)
        kept = cache.scratch(size - self.count(*problems), np.min_scalar_type(size))
        end = 0
        for begin, part in stretches(self.flags, _PART):
            clean = np.flatnonzero((part & _bits(*problems)) == 0) + begin
            kept[end : end + len(clean)] = clean
            end += len(clean)
        return kept


def examine(
    text: ParallelText, held_out: Iterable[ParallelText] = (), max_length_ratio: float = 9.0
) -> Examination:
    """Find the problems of each pair, which can be several.

    A duplicate is every occurrence of a pair after the first. A pair leaks if one of its sides is
    also on the same side of a text in `held_out`; these are held in memory, at 16 bytes a line.

    The result for a large text is kept in the cache.
    """
    held_out = list(held_out)
    if len(text) < MANY:
        return _examine(text, held_out, max_length_ratio)
    made_from = (
        _VERSION,
        unicodedata.unidata_version,  # decides what is white space
        str(max_length_ratio),
        *(digest_of(side) for each in (text, *held_out) for side in (each.source, each.target)),
    )

    def make(folder: Path) -> None:
        examination = _examine(text, held_out, max_length_ratio)
        examination.flags.tofile(folder / "flags")
        statistics = [asdict(examination.source), asdict(examination.target)]
        (folder / "statistics.json").write_text(json.dumps(statistics))

    folder = cache.entry("check", made_from, make)
    flags = np.frombuffer(cache.mapped(folder / "flags"), np.uint8)
    source, target = json.loads(bytes(cache.mapped(folder / "statistics.json")))
    return Examination(flags, SideStatistics(**source), SideStatistics(**target))


class _Side(NamedTuple):
    """One side of a part of a text."""

    hashes: Hashes  # (lines,)
    lengths: NDArray[np.int64]  # (lines,) in bytes; hashes and lengths are of normalised sentences
    statistics: SideStatistics


class _Part(NamedTuple):
    """A part of a text."""

    flags: NDArray[np.uint8]  # (pairs,) without problems that need a comparison with other pairs
    sources: Hashes
    targets: Hashes
    source: SideStatistics
    target: SideStatistics


def _examine(
    text: ParallelText, held_out: Sequence[ParallelText], max_length_ratio: float
) -> Examination:
    held_sources = _HeldOut([other.source for other in held_out])
    held_targets = _HeldOut([other.target for other in held_out])
    flags = cache.scratch(len(text), np.uint8)
    hashes = cache.scratch(len(text), np.uint64)
    source = target = SideStatistics(0, 0, 0)
    begin = 0
    check_part = partial(_check_part, max_length_ratio=max_length_ratio)
    for part in map_parts(check_part, text.source, text.target):
        end = begin + len(part.flags)
        flags[begin:end] = part.flags
        hashes[begin:end] = part.sources * _SPREAD + part.targets
        leaks = [
            *held_sources.among(part.sources, text.source, begin),
            *held_targets.among(part.targets, text.target, begin),
        ]
        for index in leaks:
            if not flags[index] & _bits("empty"):
                flags[index] |= _bits("leakage")
        source += part.source
        target += part.target
        begin = end
    for index in duplicates(hashes, lambda index: _pair(text, index)):
        flags[index] |= _bits("duplicate")
    return Examination(flags, source, target)


def _check_part(sources: Sequence[str], targets: Sequence[str], max_length_ratio: float) -> _Part:
    """Find the problems that a pair shows by itself."""
    source, target = _side(sources), _side(targets)
    shorter = np.minimum(source.lengths, target.lengths)
    longer = np.maximum(source.lengths, target.lengths)
    empty = shorter == 0
    extreme = ~empty & (longer / np.maximum(shorter, 1) > max_length_ratio)
    flags = empty * _bits("empty") | extreme * _bits("length_ratio")
    for index in np.flatnonzero(~empty & (source.hashes == target.hashes)).tolist():
        if _normalise(sources[index]) == _normalise(targets[index]):
            flags[index] |= _bits("identical")
    return _Part(flags, source.hashes, target.hashes, source.statistics, target.statistics)


def _side(sentences: Iterable[str]) -> _Side:
    hashes, lengths = bytearray(), list[int]()
    words = characters = longest = 0
    for sentence in sentences:
        parts = sentence.split()
        normalised = " ".join(parts).encode()
        hashes += _hash(normalised)
        lengths.append(len(normalised))
        words += len(parts)
        characters += len(sentence)
        longest = max(longest, len(parts))
    return _Side(
        np.frombuffer(hashes, np.uint64),
        np.array(lengths, np.int64),
        SideStatistics(words, characters, longest),
    )


def _hash(normalised: bytes) -> bytes:
    return hashlib.blake2b(normalised, digest_size=8).digest()


def _hashes(sentences: Sequence[str]) -> Hashes:
    return _side(sentences).hashes


class _HeldOut:
    """One side of all held-out texts."""

    def __init__(self, sides: Sequence[Sequence[str]]) -> None:
        parts = [part for side in sides for part in map_parts(_hashes, side)]
        hashes = np.concatenate([np.empty(0, np.uint64), *parts])
        self._sides = sides
        self._ends = np.cumsum([len(side) for side in sides])
        self._order = np.argsort(hashes)
        self._hashes = hashes[self._order]

    def among(self, hashes: Hashes, lines: Sequence[str], begin: int) -> Iterator[int]:
        """Yield the numbers of the lines that are held out.

        `hashes` are those of the lines from number `begin` on.
        """
        first = np.searchsorted(self._hashes, hashes, "left")
        last = np.searchsorted(self._hashes, hashes, "right")
        for index in np.flatnonzero(first < last).tolist():
            line = _normalise(lines[begin + index])
            same_hash = self._order[first[index] : last[index]].tolist()
            if any(line == self._line(number) for number in same_hash):
                yield begin + index

    def _line(self, number: int) -> str:
        side = int(np.searchsorted(self._ends, number, "right"))
        return _normalise(self._sides[side][number - int(self._ends[side])])  # index from its end


def _bits(*problems: Problem) -> np.uint8:
    return np.uint8(sum(1 << PROBLEMS.index(problem) for problem in problems))


def _pair(text: ParallelText, index: int) -> tuple[str, str]:
    return _normalise(text.source[index]), _normalise(text.target[index])


def _normalise(sentence: str) -> str:
    return " ".join(sentence.split())
