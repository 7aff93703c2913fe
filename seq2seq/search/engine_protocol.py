"""What the beam search needs of a model: N hypotheses, one row each.

The rows of a sentence are adjacent, and sentences keep their order. A sentence has as many rows as
it has hypotheses, so nothing is computed for empty slots.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_BATCH_SENTENCES = 64  # maximum; larger batches gain little speed
_BATCH_IDS = 4096  # maximum, padding included: long sentences go in smaller batches


class DecoderState(Protocol):
    """The decoder's state for N hypotheses."""

    def select(self, rows: Ints) -> Self:
        """Return the state of the hypotheses in the given `rows` (N',).

        Rows may be left out, repeated or reordered within their sentence. A sentence without rows
        is dropped.
        """
        ...


S = TypeVar("S", bound=DecoderState)


@dataclass(frozen=True, eq=False)
class Step(Generic[S]):
    """The output of the model for one more token."""

    log_probs: NDArray[np.float32]  # (N, C) of the next token; the caller may write into it
    candidates: Ints | None  # (N, C) the ids of the columns, ascending; None: column = id
    attention: NDArray[np.float32]  # (N, S) mean over the heads; zeros for a model without it
    state: S
    readout: NDArray[np.float32] | None = None  # (N, H) input of the softmax, if asked for


class Engine(Protocol[S]):
    """A translation model. Its output for a sentence must not depend on the rest of the batch.

    If it considers only some `candidates`, the first four are PAD, BOS, EOS and UNK.
    """

    def encode(self, source: Ints, lengths: Ints, forced: Ints | None = None) -> S:
        """Encode source (B, S), padded with PAD_ID, and return the state before BOS, N = B.

        `lengths` are (B,). The ids in `forced` (B, R), padded too, are made candidates.
        """
        ...

    def decode_step(self, state: S, tokens: Ints) -> Step[S]:
        """Read tokens (N,), the newest of each hypothesis (BOS at first); score the next ones."""
        ...


def grid(sentences: Ints, number: int) -> tuple[Ints, Ints]:
    """Arrange N rows in a grid of B sentences by K slots; `sentences` (N,) is ascending.

    Return slots (B, K), the row in each slot, and numbers (N,), the slot of each row. Slots left
    over repeat a row. B is `number`.
    """
    counts = np.bincount(sentences, minlength=number)  # (B,)
    ends = counts.cumsum()
    begins = ends - counts
    slots = np.minimum(begins[:, None] + np.arange(counts.max()), ends[:, None] - 1)
    slots = np.maximum(slots, 0)  # for first sentences that have no rows left
    return slots, np.arange(len(sentences)) - begins[sentences]


def renumber(sentences: Ints) -> tuple[Ints, Ints]:
    """Return the distinct values (B',) of `sentences` (N,), ascending, and their indices (N,)."""
    is_first = np.empty(len(sentences), np.bool_)
    is_first[:1] = True
    np.not_equal(sentences[1:], sentences[:-1], out=is_first[1:])
    return sentences[is_first], is_first.cumsum() - 1


def batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield batches of sentence numbers of similar length, the shortest first.

    `lengths` are in ids. The size of a batch is limited, and with it the memory of a search.
    """
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        size = (len(batch) + 1) * lengths[number]
        if batch and (len(batch) == _BATCH_SENTENCES or size > _BATCH_IDS):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch
