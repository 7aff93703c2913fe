"""Batches: every pair once an epoch, within the budget, in an order that the seed decides."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from seq2seq.corpus.batches import Batch, make_batch, pad, plan_batches
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID

LENGTHS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), min_size=1, max_size=60)
Pairs = tuple[list[list[int]], list[list[int]]]


def make_pairs(lengths: list[tuple[int, int]]) -> Pairs:
    """Pair n has the ids n + 10."""
    sources = [[n + 10] * source for n, (source, _) in enumerate(lengths)]
    return sources, [[n + 10] * target for n, (_, target) in enumerate(lengths)]


def many_pairs() -> Pairs:
    rng = np.random.default_rng(1)
    return make_pairs([(int(s), int(t)) for s, t in rng.integers(1, 20, size=(200, 2))])


def at(
    lines: Iterable[int], sources: list[list[int]], targets: list[list[int]]
) -> tuple[list[list[int]], list[list[int]]]:
    """Sources and targets of the pairs `lines`."""
    chosen = list(lines)
    return [sources[i] for i in chosen], [targets[i] for i in chosen]


def plan_of(pairs: Pairs, batch_tokens: int, *seed: int) -> list[NDArray[np.int64]]:
    """Batches of the pairs, by their lengths."""
    longer = [max(len(source), len(target) + 1) for source, target in zip(*pairs, strict=True)]
    return plan_batches(np.array(longer, np.int32), batch_tokens, *seed)


def as_lists(plan: list[NDArray[np.int64]]) -> list[list[int]]:
    return [lines.tolist() for lines in plan]


@given(lengths=LENGTHS, budget=st.integers(1, 200), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_every_pair_comes_once_within_the_budget(
    lengths: list[tuple[int, int]], budget: int, seed: int, epoch: int
) -> None:
    plan = as_lists(plan_of(make_pairs(lengths), budget, seed, epoch))
    assert sorted(line for lines in plan for line in lines) == list(range(len(lengths)))
    for lines in plan:
        longest = max(max(lengths[line][0], lengths[line][1] + 1) for line in lines)
        assert len(lines) * longest <= budget or len(lines) == 1


def test_batches_are_full() -> None:
    plan = plan_of(make_pairs([(4, 4)] * 23), 20, 1)
    assert sorted(map(len, plan)) == [3, 4, 4, 4, 4, 4]


def test_like_lengths_go_together() -> None:
    sources, targets = many_pairs()
    plan = plan_of((sources, targets), 200, 1)
    batches = [make_batch(lines, *at(lines, sources, targets)) for lines in plan]
    random_order = np.array_split(np.random.default_rng(1).permutation(len(sources)), len(plan))
    unsorted = [make_batch(lines, *at(lines, sources, targets)) for lines in random_order]
    assert sum(batch.padding for batch in batches) < 0.7 * sum(batch.padding for batch in unsorted)


def test_the_order_follows_from_seed_and_epoch() -> None:
    def plan(seed: int, epoch: int) -> list[list[int]]:
        return as_lists(plan_of(many_pairs(), 100, seed, epoch))

    assert plan(1, 0) == plan(1, 0)
    assert plan(1, 0) != plan(1, 1)
    assert plan(1, 0) != plan(2, 0)
    assert plan(1, 2) != plan(2, 1)


def test_batches_come_in_another_order_than_that_of_their_lengths() -> None:
    sources, targets = many_pairs()
    for seed in range(20):
        plan = plan_of((sources, targets), 100, seed)
        batches = [make_batch(lines, *at(lines, sources, targets)) for lines in plan]
        longest = [max(batch.src.shape[1], batch.tgt_out.shape[1]) for batch in batches]
        ascending = np.mean(np.diff(longest) >= 0)
        assert 0.25 < ascending < 0.9  # 1 if they came as they were cut


def test_pairs_of_equal_length_come_in_another_order_than_that_of_the_corpus() -> None:
    plan = as_lists(plan_of(make_pairs([(4, 4)] * 60), 300, 1))  # one batch
    assert plan != [list(range(60))]
    assert plan != as_lists(plan_of(make_pairs([(4, 4)] * 60), 300, 2))


def test_the_members_of_a_batch_change_from_epoch_to_epoch() -> None:
    def batches(epoch: int) -> set[frozenset[int]]:
        return {frozenset(lines) for lines in as_lists(plan_of(many_pairs(), 100, 1, epoch))}

    assert len(batches(0) & batches(1)) < len(batches(0)) / 2


def test_no_pairs_no_batches() -> None:
    assert plan_of(([], []), 10, 1) == []


def test_what_a_batch_holds() -> None:
    sources, targets = [[7], [8, 9, 10], [11, 12]], [[20, 21], [22], []]
    batch = make_batch([2, 0, 1], *at([2, 0, 1], sources, targets))
    assert batch.lines.tolist() == [2, 0, 1]
    assert batch.src.tolist() == [[11, 12, PAD_ID], [7, PAD_ID, PAD_ID], [8, 9, 10]]
    assert batch.src_lengths.tolist() == [2, 1, 3]
    assert batch.tgt_in.tolist() == [
        [BOS_ID, PAD_ID, PAD_ID],
        [BOS_ID, 20, 21],
        [BOS_ID, 22, PAD_ID],
    ]
    assert batch.tgt_out.tolist() == [
        [EOS_ID, PAD_ID, PAD_ID],
        [20, 21, EOS_ID],
        [22, EOS_ID, PAD_ID],
    ]
    assert batch.tgt_lengths.tolist() == [1, 3, 2]
    assert batch.tokens == 6
    assert batch.padding == 3 + 3


@given(lengths=LENGTHS)
def test_a_batch_is_its_pairs(lengths: list[tuple[int, int]]) -> None:
    sources, targets = make_pairs(lengths)
    batch = make_batch(range(len(lengths)), sources, targets)
    shapes = {batch.src.shape[0], batch.tgt_in.shape[0], batch.tgt_out.shape[0], len(batch.lines)}
    assert shapes == {len(lengths)}
    assert batch.tgt_in.shape == batch.tgt_out.shape
    for n in range(len(lengths)):
        src, tgt = int(batch.src_lengths[n]), int(batch.tgt_lengths[n])
        assert batch.src[n, :src].tolist() == sources[n]
        assert batch.tgt_in[n, :tgt].tolist() == [BOS_ID, *targets[n]]
        assert batch.tgt_out[n, :tgt].tolist() == [*targets[n], EOS_ID]
        assert (batch.src[n, src:] == PAD_ID).all()
        assert (batch.tgt_in[n, tgt:] == PAD_ID).all()
        assert (batch.tgt_out[n, tgt:] == PAD_ID).all()
    # No id of these pairs is PAD_ID, so padding can be counted by eye.
    assert batch.padding == (batch.src == PAD_ID).sum() + (batch.tgt_out == PAD_ID).sum()
    assert batch.tokens == (batch.tgt_out != PAD_ID).sum()


def test_a_batch_cannot_be_changed() -> None:
    batch = make_batch([0], [[7]], [[8]])
    with pytest.raises(AttributeError):
        batch.src = batch.tgt_in  # type: ignore[misc]


def test_ids_are_integers_of_64_bits() -> None:
    batch: Batch = make_batch([0], [[7]], [[]])
    arrays = (batch.lines, batch.src, batch.src_lengths, batch.tgt_in, batch.tgt_out)
    assert {array.dtype for array in arrays} == {np.dtype(np.int64)}
    assert pad([(), (5,)]).tolist() == [[PAD_ID], [5]]
