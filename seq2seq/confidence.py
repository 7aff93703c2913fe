"""Quality estimation: the quality to expect of a translation, given its probability.

The probability that a model gives its translations says which of two is better, but not how good
either is. That is measured on held-out text: the sentence chrF, from 0 to 1, of translations with a
similar probability. The expected quality is interpolated between such points and never falls as the
probability rises (isotonic regression by pooling adjacent violators, Ayer et al. 1955). Below the
lowest point, where nothing was measured, it falls towards 0 in proportion to the (geometric) mean
probability of a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from seq2seq.config.model_config import Direction
from seq2seq.errors import UsageError

_POINTS = 20
_LEAST_SENTENCES = 100
"""The number of held-out sentences that a calibration needs."""


@dataclass(frozen=True)
class Calibration:
    """The expected quality of translations in one direction.

    `mean_log_probs` are log-probabilities per token (natural log, EOS included), ascending;
    `quality` is the mean sentence chrF / 100 of the held-out translations around each of them.
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
        """Fit a calibration to held-out translations; return None if there are too few."""
        if len(mean_log_probs) < _LEAST_SENTENCES:
            return None
        order = np.argsort(mean_log_probs, kind="stable")
        groups = np.array_split(order, _POINTS)
        x = [float(np.mean(np.take(mean_log_probs, group))) for group in groups]
        y = [float(np.mean(np.take(quality, group))) for group in groups]
        rising = _rising(y, [len(group) for group in groups])
        # Rounding may let the mean of equal values fall in the last digit.
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

    That is the mean distance between confidence and quality per bin, weighted by the number of
    sentences in the bin.
    """
    place = np.minimum((np.array(confidence) * bins).astype(int), bins - 1)
    distances = [
        float(np.sum(place == b) * abs(np.mean(np.subtract(confidence, quality)[place == b])))
        for b in set(place.tolist())
    ]
    return sum(distances) / len(place)


def _rising(values: Sequence[float], weights: Sequence[int]) -> list[float]:
    """Return the closest values, by weighted least squares, that never fall."""
    blocks: list[tuple[float, int, int]] = []  # mean, weight, how many values
    for value, weight in zip(values, weights, strict=True):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, heavy, number = blocks.pop()
            total = heavy + block[1]
            block = ((mean * heavy + block[0] * block[1]) / total, total, number + block[2])
        blocks.append(block)
    return [mean for mean, _, number in blocks for _ in range(number)]
