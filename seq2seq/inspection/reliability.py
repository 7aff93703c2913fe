"""Measure how far a model's confidence can be trusted: a reliability diagram on a test set."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from seq2seq.confidence import calibration_error
from seq2seq.config.model_config import Direction
from seq2seq.corpus import DirectedText
from seq2seq.errors import Seq2SeqError
from seq2seq.evaluation.test_sets import confidence_and_quality, translate_test
from seq2seq.translation.base import TranslateOptions
from seq2seq.translation.translator import Translator

BINS = 10
_BAR = 40  # characters


@dataclass(frozen=True)
class ConfidenceBin:
    """The translations whose confidence lies between `low` and `high`."""

    low: float
    high: float
    sentences: int
    confidence: float  # the mean
    quality: float  # the mean sentence chrF / 100
    standard_error: float  # of the quality


@dataclass(frozen=True)
class Reliability:
    """Quality against confidence, in bins of equal width; empty bins are left out."""

    direction: Direction
    bins: tuple[ConfidenceBin, ...]
    calibration_error: float
    without_confidence: int  # number of sentences left out because they have no confidence

    @property
    def sentences(self) -> int:
        """The number of translations that have a confidence."""
        return sum(part.sentences for part in self.bins)

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        return asdict(self) | {"direction": str(self.direction)}


def reliability(translator: Translator, test: DirectedText) -> Reliability:
    """Translate a test set, and compare the confidence of its sentences with their chrF.

    Raises `Seq2SeqError` if no translation has a confidence.
    """
    translations = translate_test(translator, test, TranslateOptions())
    sure, good = map(np.array, confidence_and_quality(translations, test.text.target))
    if not len(sure):
        raise Seq2SeqError("no translation has a confidence: see `seq2seq calibrate`.")
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins = tuple(
        ConfidenceBin(
            place / BINS,
            (place + 1) / BINS,
            len(quality := good[places == place]),
            float(sure[places == place].mean()),
            float(quality.mean()),
            float(quality.std() / len(quality) ** 0.5),
        )
        for place in sorted(set(places.tolist()))
    )
    error = calibration_error(sure.tolist(), good.tolist(), BINS)
    return Reliability(test.direction, bins, error, len(translations) - len(sure))


def reliability_lines(measured: Reliability) -> Iterator[str]:
    """Yield the diagram as lines of text, with a bar for each bin."""
    yield (
        f"{measured.direction}, {measured.sentences:,} sentences: expected calibration error "
        f"{measured.calibration_error:.3f}"
    )
    yield "confidence  sentences  mean   chrF / 100"
    for part in measured.bins:
        bar = "█" * round(_BAR * part.quality)
        yield (
            f"{part.low:.1f} to {part.high:.1f}  {part.sentences:9,}  {part.confidence:.2f}  "
            f"{part.quality:.2f} ± {part.standard_error:.2f}  {bar}"
        )
    if measured.without_confidence:
        yield f"{measured.without_confidence:,} sentences have no confidence, and are left out."
