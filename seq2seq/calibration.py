"""Calibrate a model's confidence on its translations of held-out text."""

from collections.abc import Iterable

from seq2seq.bleu_chrf import sentence_chrf
from seq2seq.confidence import Calibration
from seq2seq.config.model_config import Direction
from seq2seq.corpus import DirectedText, ParallelText
from seq2seq.translation.postprocess import mean_log_prob
from seq2seq.translation.translator import Translator

_MOST_SENTENCES = 2000  # per direction


def calibrate(translator: Translator, texts: Iterable[DirectedText]) -> list[Calibration]:
    """Return a calibration for each direction with enough held-out sentences to fit one."""
    found = (
        Calibration.fit(direction, *observe(translator, direction, text.sample(_MOST_SENTENCES)))
        for direction, text in texts
    )
    return [calibration for calibration in found if calibration]


def observe(
    translator: Translator, direction: Direction, text: ParallelText
) -> tuple[list[float], list[float]]:
    """Return the mean log-probability of each translation, and its chrF / 100.

    Texts that the search did not translate as a whole are left out, since they have no score.
    """
    log_probs: list[float] = []
    quality: list[float] = []
    translations = translator.translate_lines(
        text.source, source=direction.source, target=direction.target
    )
    for translation, reference in zip(translations, text.target, strict=True):
        hypotheses = [part.hypothesis for part in translation.parts]
        if len(hypotheses) == 1 and hypotheses[0]:
            log_probs.append(mean_log_prob(hypotheses[0]))
            quality.append(sentence_chrf(translation.text, reference) / 100)
    return log_probs, quality
