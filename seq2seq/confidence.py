"""Quality estimation: how good a translation can be expected to be, by its probability.

A model's own probability says which of two translations is the better one, but not how good it is.
What translations of like probability came to on held-out text says that: sentence chrF, from 0
to 1. Between such points the expectation is read off a line, and it never falls as the probability
rises (isotonic regression by pooling adjacent violators, Ayer et al. 1955). Below the lowest point,
where nothing was measured, it falls towards 0 as the probability of a token does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from seq2seq.config.model_config import Direction
from seq2seq.errors import UsageError

_POINTS = 20
_LEAST_SENTENCES = 100
"""With fewer held-out sentences there is no calibration."""


@dataclass(frozen=True)
class Calibration:
    """The expected quality of translations in one direction.

    `mean_log_probs` are those of a token (natural log, EOS counted), ascending; `quality` is the
    mean sentence chrF / 100 of the held-out translations around each.
    """

    direction: Direction
    mean_log_probs: tuple[float, ...]
    quality: tuple[float, ...]

    def __post_init__(self) -> None:
        points = len(self.mean_log_probs)
        ascending = all(
            bool(np.all(np.diff(values) >= 0) and np.isfinite(values).all())
            for values in (self.mean_log_probs, self.quality)
        )
        bounded = all(0 <= value <= 1 for value in self.quality)
        if not (0 < points == len(self.quality) and ascending and bounded):
            raise UsageError(f"'calibration' of {self.direction} is not a rising line in [0, 1].")

    @classmethod
    def fit(
        cls, direction: Direction, mean_log_probs: Sequence[float], quality: Sequence[float]
    ) -> Self | None:
        """Fit a calibration to held-out translations; return None where they are too few."""
        if len(mean_log_probs) < _LEAST_SENTENCES:
            return None
        order = np.argsort(mean_log_probs, kind="stable")
        groups = np.array_split(order, _POINTS)
        x = [float(np.mean(np.take(mean_log_probs, group))) for group in groups]
        y = [float(np.mean(np.take(quality, group))) for group in groups]
        rising = _rising(y, [len(group) for group in groups])
        # The means of equals may differ in their last digit.
        axes = (np.maximum.accumulate(x), rising)
        return cls(direction, *(tuple(np.round(axis, 4).tolist()) for axis in axes))

    def confidence(self, mean_log_prob: float) -> float:
        """Return the expected sentence chrF / 100 of a translation."""
        below = min(0.0, mean_log_prob - self.mean_log_probs[0])
        return float(np.interp(mean_log_prob, self.mean_log_probs, self.quality) * np.exp(below))


def calibration_error(
    confidence: Sequence[float], quality: Sequence[float], bins: int = 10
) -> float:
    """Return the expected calibration error (Naeini et al. 2015) over bins of equal width.

    That is the mean distance between confidence and quality of a bin, weighted by its sentences.
    """
    place = np.minimum((np.array(confidence) * bins).astype(int), bins - 1)
    distances = [
        float(np.sum(place == b) * abs(np.mean(np.subtract(confidence, quality)[place == b])))
        for b in set(place.tolist())
    ]
    return sum(distances) / len(place)


def _rising(values: Sequence[float], weights: Sequence[int]) -> list[float]:
    """Return the nearest values, by weighted squares, that never fall."""
    blocks: list[tuple[float, int, int]] = []  # mean, weight, how many values
    for value, weight in zip(values, weights, strict=True):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, heavy, number = blocks.pop()
            total = heavy + block[1]
            block = ((mean * heavy + block[0] * block[1]) / total, total, number + block[2])
        blocks.append(block)
    return [mean for mean, _, number in blocks for _ in range(number)]
