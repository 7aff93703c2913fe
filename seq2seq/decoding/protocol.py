"""What the search asks of a model: `start` once, then `step` for each target token.

The state between two steps is a value. Only its engine can read it; the search can only say, with
`select`, which hypotheses go on. B sentences have K hypotheses each: a (B, K) grid whose row
number b * K + k names hypothesis k of sentence b.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray


class DecoderState(Protocol):
    """What a decoder remembers of a (B, K) grid of hypotheses."""

    def select(self, parents: NDArray[np.int64]) -> Self:
        """The state of the hypotheses with the row numbers `parents` (B', K').

        Each row of `parents` stays within one sentence. Sentences may be missing or reordered,
        hypotheses may be missing or repeated, and K' need not be K.
        """
        ...


S = TypeVar("S", bound=DecoderState)


@dataclass(frozen=True, eq=False)
class Step(Generic[S]):
    """What the model says after one more token."""

    log_probs: NDArray[np.float32]  # (B, K, V) of the next token; the caller may write into it
    attention: NDArray[np.float32]  # (B, K, S) mean over the heads; zeros where there is none
    state: S


class Engine(Protocol[S]):
    """A translation model. What it says of a sentence must not depend on the rest of the batch."""

    def start(self, source: NDArray[np.int64], lengths: NDArray[np.int64]) -> S:
        """source (B, S) padded with PAD_ID, lengths (B,) -> the state before BOS, with K = 1."""
        ...

    def step(self, state: S, tokens: NDArray[np.int64]) -> Step[S]:
        """Read tokens (B, K), the newest of each hypothesis (BOS at first)."""
        ...
