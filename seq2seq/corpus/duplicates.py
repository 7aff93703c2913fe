"""Find items that have occurred before, among any number of items, in bounded memory.

Equal items have equal hashes, so the hashes are divided by their first bits into partitions on
disk, and each partition is searched separately (the partitioning of the hash join: Kitsuregawa
et al. 1983, "Application of hash to data base machine and its architecture"). Reads and writes are
sequential, and take 16 bytes of disk per item besides its hash.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq.corpus import cache

Hashes = NDArray[np.uint64]

_PARTITION = 1 << 20  # items, about; sorting them in memory takes some 40 bytes each
_STRETCH = 1 << 18  # items to divide at a time


def duplicates(hashes: Hashes, content: Callable[[int], Hashable]) -> Iterator[int]:
    """Yield the numbers of the items that have occurred before, in no particular order.

    `content` returns the item with a number, to compare items whose hashes are equal.
    """
    for values, numbers in _partitions(hashes):
        order = np.argsort(values, kind="stable")  # the first of equal items stays first
        is_same = np.diff(values[order]) == 0
        starts = np.flatnonzero(np.diff(is_same.astype(np.int8), prepend=0) == 1)
        ends = np.flatnonzero(np.diff(is_same.astype(np.int8), append=0) == -1) + 2
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            contents = set[Hashable]()
            for number in numbers[order[start:end]].tolist():
                item = content(number)
                if item in contents:
                    yield number
                contents.add(item)


def _partitions(hashes: Hashes) -> Iterator[tuple[Hashes, NDArray[np.int64]]]:
    """Yield the hashes of each partition, with the numbers of their items in ascending order."""
    count = 1 << (len(hashes) // _PARTITION).bit_length()
    if count == 1:
        yield hashes, np.arange(len(hashes))
        return
    values = cache.scratch(len(hashes), np.uint64)
    numbers = cache.scratch(len(hashes), np.int64)
    sizes = np.zeros(count, np.int64)
    for _, stretch in stretches(hashes, _STRETCH):
        sizes += np.bincount(_places(stretch, count), minlength=count)
    ends = np.cumsum(sizes)
    filled = ends - sizes
    for begin, stretch in stretches(hashes, _STRETCH):
        places = _places(stretch, count)
        order = np.argsort(places, kind="stable")
        added = np.bincount(places, minlength=count)
        first = filled - (np.cumsum(added) - added)  # less each partition's offset in `order`
        to = first[places[order]] + np.arange(len(order))
        values[to] = stretch[order]
        numbers[to] = begin + order
        filled += added
    for size, end in zip(sizes.tolist(), ends.tolist(), strict=True):
        yield values[end - size : end], numbers[end - size : end]


def _places(hashes: Hashes, count: int) -> NDArray[np.int64]:
    """Return the partition of each hash; `count`, their number, is a power of two."""
    return (hashes >> np.uint64(65 - count.bit_length())).astype(np.int64)


def stretches(array: NDArray[Any], size: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield an array in stretches of `size`, each with the number of its first element."""
    for begin in range(0, len(array), size):
        yield begin, array[begin : begin + size]
