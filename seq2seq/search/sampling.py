"""Sampling: draw each token by its probability, instead of searching for the best translation.

Samples vary as language does, and make better sources for back-translation than the most probable
translations (Edunov et al. 2018). A temperature below 1 sharpens the distribution, one above 1
flattens it; with top-k, only the k most probable tokens are drawn (Fan et al. 2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seq2seq.config.model_config import SearchConfig, require
from seq2seq.search.beam import Hypothesis, beam_search, longest_length
from seq2seq.search.engine_protocol import Engine, Ints, S
from seq2seq.search.utf8 import NO_BYTES, ByteRule


@dataclass(frozen=True)
class Sampling:
    """Settings for drawing translations at random."""

    temperature: float = 1.0
    top_k: int = 0  # 0: all tokens
    seed: int = 1

    def __post_init__(self) -> None:
        require(0 < self.temperature <= 100, "the temperature must be above 0 and at most 100.")
        require(self.top_k >= 0, "top-k must not be negative.")
        require(0 <= self.seed < 1 << 63, "the seed must not be negative, and below 2 ** 63.")


def sample(
    engine: Engine[S],
    sources: Sequence[Sequence[int]],
    sampling: Sampling,
    config: SearchConfig,
    number: int = 1,
    forbidden: Sequence[int] = (),
    byte_rule: ByteRule = NO_BYTES,
) -> list[list[Hypothesis]]:
    """Draw `number` translations of each source; return them best first, by score.

    The random numbers depend only on the seed, the source and the number of the sample, so a source
    has the same samples in any batch. Scores are the model's own, at temperature 1.
    """
    each = [source for source in sources for _ in range(number)]
    turns = [*range(number)] * len(sources)
    uniform = np.zeros((len(each), max((longest_length(len(s), config) for s in each), default=0)))
    for row, source, turn in zip(uniform, each, turns, strict=True):
        row[:] = np.random.default_rng([sampling.seed, turn, *source]).random(len(row))
    found = beam_search(
        engine,
        each,
        replace(config, beam_size=1),
        forbidden=forbidden,
        byte_rule=byte_rule,
        chooser=_Drawing(sampling, uniform),
    )
    samples = [hypothesis for [hypothesis] in found]
    groups = (samples[begin : begin + number] for begin in range(0, len(samples), number))
    return [sorted(group, key=lambda drawn: drawn.score, reverse=True) for group in groups]


@dataclass(frozen=True, eq=False)
class _Drawing:
    """Draws the tokens of B hypotheses of up to L tokens."""

    sampling: Sampling
    uniform: NDArray[np.float64]  # (B, L) in [0, 1), a random number for each token

    def leave_one(self, numbers: Ints, length: int, log_probs: NDArray[np.float32]) -> None:
        """Draw a token for each row (N, C), and rule out all others."""
        size, rows = log_probs.shape[1], np.arange(len(log_probs))
        logits = log_probs / self.sampling.temperature
        if 0 < self.sampling.top_k < size:
            place = size - self.sampling.top_k
            least = np.partition(logits, place, axis=1)[:, place]
            logits[logits < least[:, None]] = -np.inf
        with np.errstate(invalid="ignore"):  # broken weights: the search raises the error
            weights = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
        cumulative = weights.cumsum(axis=1)
        drawn = self.uniform[numbers, length - 1] * cumulative[:, -1]
        tokens = np.minimum((cumulative <= drawn[:, None]).sum(axis=1), size - 1)
        left = log_probs[rows, tokens]
        log_probs[:] = -np.inf
        log_probs[rows, tokens] = left
