"""Ids to batches: sentences of like length side by side, in an order that a seed decides.

The batches of an epoch follow from the corpus, the budget, the seed and the number of the epoch
alone, so a resumed run finds its place by counting.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
    tgt_lengths: NDArray[np.int64]  # (B,) EOS counted

    @property
    def tokens(self) -> int:
        """Target tokens, EOS counted and padding not."""
        return int(self.tgt_lengths.sum())

    @property
    def padding(self) -> int:
        """Padded positions, both sides."""
        return self.src.size + self.tgt_out.size - int(self.src_lengths.sum()) - self.tokens


def make_batch(lines: Sequence[int], sources: Sequence[Ids], targets: Sequence[Ids]) -> Batch:
    """The pairs numbered `lines` of the corpus, padded."""
    src = [sources[i] for i in lines]
    tgt = [targets[i] for i in lines]
    return Batch(
        lines=np.asarray(lines, dtype=np.int64),
        src=pad(src),
        src_lengths=_lengths(src),
        tgt_in=pad([(BOS_ID, *ids) for ids in tgt]),
        tgt_out=pad([(*ids, EOS_ID) for ids in tgt]),
        tgt_lengths=_lengths(tgt) + 1,
    )


def plan_epoch(
    sources: Sequence[Ids], targets: Sequence[Ids], batch_tokens: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Which pairs go together in one epoch, in which order: arrays of pair numbers, each (B,).

    Pairs are sorted by their longer side (ties in random order) and cut so that B times the
    longest side, EOS counted, is at most `batch_tokens`; then the batches are shuffled. A pair
    longer than the budget is a batch of its own.
    """
    random = np.random.default_rng((seed, epoch))
    longer = np.maximum(_lengths(sources), _lengths(targets) + 1)
    shuffled = random.permutation(len(longer))
    order = shuffled[np.argsort(longer[shuffled], kind="stable")]
    batches, first = [], 0
    for last in range(1, len(order) + 1):
        if last == len(order) or (last - first + 1) * longer[order[last]] > batch_tokens:
            batches.append(order[first:last])
            first = last
    return [batches[i] for i in random.permutation(len(batches))]


def pad(sequences: Sequence[Ids]) -> NDArray[np.int64]:
    """Sequences of ids side by side: (B, longest), PAD_ID on the right."""
    padded = np.full((len(sequences), max(map(len, sequences))), PAD_ID, dtype=np.int64)
    for row, ids in zip(padded, sequences, strict=True):
        row[: len(ids)] = ids
    return padded


def _lengths(sequences: Sequence[Ids]) -> NDArray[np.int64]:
    return np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
