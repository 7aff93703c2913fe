"""What the beam search asks of a model: N hypotheses, a row each.

The hypotheses of a sentence are neighbours, and sentences keep their order. A sentence has as many
rows as it has hypotheses, so that no product is computed for a place that is empty.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_BATCH_SENTENCES = 64  # searched side by side; more of them gain little speed
_BATCH_IDS = 4096  # padding counted: long sentences go in smaller batches


class DecoderState(Protocol):
    """What the decoder remembers of N hypotheses."""

    def select(self, rows: Ints) -> Self:
        """Return the state of the hypotheses with the row numbers `rows` (N',).

        Rows may be missing, repeated or in another order within their sentence. A sentence without
        rows leaves.
        """
        ...


S = TypeVar("S", bound=DecoderState)


@dataclass(frozen=True, eq=False)
class Step(Generic[S]):
    """What the model says after one more token."""

    log_probs: NDArray[np.float32]  # (N, C) of the next token; the caller may write into it
    candidates: Ints | None  # (N, C) the ids of the columns, ascending; None: each id has its own
    attention: NDArray[np.float32]  # (N, S) mean over the heads; zeros where there is none
    state: S
    readout: NDArray[np.float32] | None = None  # (N, H) below the softmax, where it is asked for


class Engine(Protocol[S]):
    """A translation model. What it says of a sentence must not depend on the rest of the batch.

    Where it considers only some `candidates`, the first four are PAD, BOS, EOS and UNK.
    """

    def encode(self, source: Ints, lengths: Ints, forced: Ints | None = None) -> S:
        """Encode source (B, S) padded with PAD_ID, lengths (B,) -> the state before BOS, N = B.

        The ids `forced` (B, R), padded too, are among the candidates.
        """
        ...

    def decode_step(self, state: S, tokens: Ints) -> Step[S]:
        """Read tokens (N,), the newest of each hypothesis (BOS at first)."""
        ...


def grid(sentences: Ints, number: int) -> tuple[Ints, Ints]:
    """Arrange rows in a grid: sentences (N,), ascending -> slots (B, K) and numbers (N,).

    B is the `number` of sentences. `slots` has the row in each slot; slots left over repeat a
    row. `numbers` has the k of each row.
    """
    counts = np.bincount(sentences, minlength=number)  # (B,)
    ends = counts.cumsum()
    begins = ends - counts
    slots = np.minimum(begins[:, None] + np.arange(counts.max()), ends[:, None] - 1)
    slots = np.maximum(slots, 0)  # where the first sentences have no rows any more
    return slots, np.arange(len(sentences)) - begins[sentences]


def renumber(sentences: Ints) -> tuple[Ints, Ints]:
    """Renumber sentences (N,), ascending -> those that occur (B',), new numbers (N,)."""
    is_first = np.empty(len(sentences), np.bool_)
    is_first[:1] = True
    np.not_equal(sentences[1:], sentences[:-1], out=is_first[1:])
    return sentences[is_first], is_first.cumsum() - 1


def batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the numbers of sentences of similar length together, the shortest first.

    `lengths` are numbers of ids. Batches are bounded, and so is the memory that a search takes.
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
