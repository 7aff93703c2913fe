"""Duplicates found partition by partition are those that a set finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.corpus import cache
from seq2seq.corpus import duplicates as finding
from seq2seq.corpus.duplicates import duplicates

ITEMS = st.lists(st.integers(0, 9), max_size=60)


def by_definition(items: list[int]) -> list[int]:
    return [number for number, item in enumerate(items) if item in items[:number]]


@given(items=ITEMS, hashes=st.permutations(range(10)), partition=st.integers(1, 70))
def test_those_are_found_that_have_occurred_before(
    items: list[int], hashes: list[int], partition: int
) -> None:
    # Spread over all partitions; and two items have the same hash.
    hash_of = [hashes[item % 9] * (2**64 // 10) for item in range(10)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "_PARTITION", partition)
        patch.setattr(finding, "_STRETCH", 7)
        found = duplicates(
            np.array([hash_of[item] for item in items], np.uint64), items.__getitem__
        )
        assert sorted(found) == by_definition(items)


def test_no_more_is_held_in_memory_than_a_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 40_000
    monkeypatch.setattr(finding, "_PARTITION", 1000)
    hashes = np.random.default_rng(1).integers(0, 2**64, size, np.uint64)
    sizes = [len(values) for values, _ in finding._partitions(hashes)]
    assert sum(sizes) == size
    assert len(sizes) == 64
    assert max(sizes) < 1000


def test_only_equal_hashes_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[int]()
    monkeypatch.setattr(cache, "SMALL", -1)
    hashes = np.array([5, 2**63, 5, 7], np.uint64)
    assert [*duplicates(hashes, lambda number: compared.append(number))] == [2]
    assert compared == [0, 2]
