"""Make batches of ids: sentences of similar length together, in a random order.

The batches depend only on the lengths, the budget and the seed, so a resumed run finds its place by
counting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID

Ids = Sequence[int]


@dataclass(frozen=True)
class Batch:
    """B sentence pairs, padded on the right with PAD_ID to S and T positions."""

    lines: NDArray[np.int64]  # (B,) the pairs' numbers in the corpus, from 0
    src: NDArray[np.int64]  # (B, S)
    src_lengths: NDArray[np.int64]  # (B,)
    tgt_in: NDArray[np.int64]  # (B, T) BOS w1 ... wn
    tgt_out: NDArray[np.int64]  # (B, T) w1 ... wn EOS
    tgt_lengths: NDArray[np.int64]  # (B,) EOS included

    @property
    def tokens(self) -> int:
        """The number of target tokens, EOS included, padding excluded."""
        return int(self.tgt_lengths.sum())

    @property
    def positions(self) -> int:
        """The number of positions on both sides, padding included."""
        return self.src.size + self.tgt_out.size

    @property
    def padding(self) -> int:
        """The number of padded positions on both sides."""
        return self.positions - int(self.src_lengths.sum()) - self.tokens


def make_batch(
    lines: Sequence[int] | NDArray[np.int64], sources: Sequence[Ids], targets: Sequence[Ids]
) -> Batch:
    """Pad pairs into a batch; `lines` are their numbers in the corpus."""
    return Batch(
        lines=np.asarray(lines, dtype=np.int64),
        src=pad(sources),
        src_lengths=_lengths(sources),
        tgt_in=pad([(BOS_ID, *ids) for ids in targets]),
        tgt_out=pad([(*ids, EOS_ID) for ids in targets]),
        tgt_lengths=_lengths(targets) + 1,
    )


def plan_batches(
    longer: NDArray[np.integer[Any]], batch_tokens: int, *seed: int
) -> list[NDArray[np.int64]]:
    """Plan which pairs form batches and in which order: arrays of pair numbers, each (B,).

    `longer` is the length of the longer side of each pair, EOS included. Pairs are sorted by it
    (ties at random) and cut into batches such that B times the longest side is at most
    `batch_tokens`; then the batches are shuffled. A pair longer than that is a batch of its own.
    """
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(longer))
    order = shuffled[np.argsort(longer[shuffled], kind="stable")]
    batches, first = [], 0
    for last, length in enumerate(longer[order].tolist()):
        if last > first and (last - first + 1) * length > batch_tokens:
            batches.append(order[first:last])
            first = last
    if len(order):
        batches.append(order[first:])
    return [batches[i] for i in random.permutation(len(batches))]


def pad(sequences: Sequence[Ids]) -> NDArray[np.int64]:
    """Pad sequences of ids on the right with PAD_ID: (B, longest)."""
    padded = np.full((len(sequences), max(map(len, sequences))), PAD_ID, dtype=np.int64)
    for row, ids in zip(padded, sequences, strict=True):
        row[: len(ids)] = ids
    return padded


def _lengths(sequences: Sequence[Ids]) -> NDArray[np.int64]:
    return np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
