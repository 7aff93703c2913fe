"""BLEU and chrF as sacreBLEU computes them: detokenised text, a signature, an interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seq2seq.errors import Seq2SeqError

BOOTSTRAP_SAMPLES = 1000


@dataclass(frozen=True)
class MetricScore:
    """One figure, from 0 to 100, and how to get it again."""

    name: str
    score: float
    interval: float  # half the width of the 95% interval, by bootstrap resampling (Koehn 2004)
    signature: str


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Cased BLEU of detokenised text, sacreBLEU's default (13a, exponential smoothing)."""
    from sacrebleu.metrics import BLEU

    return float(BLEU().corpus_score(list(hypotheses), [list(references)]).score)


def sentence_chrf(hypothesis: str, reference: str) -> float:
    """chrF of one sentence, from 0 to 100."""
    return float(_chrf().sentence_score(hypothesis, [reference]).score)


def score(hypotheses: Sequence[str], references: Sequence[str]) -> tuple[MetricScore, ...]:
    """BLEU, chrF, and lower-cased BLEU, over detokenised text, which sacreBLEU tokenises itself.

    Published "tokenised, lower-cased" figures lie near the last one; they are from Moses' tokens.
    """
    from sacrebleu.metrics import BLEU

    if len(hypotheses) != len(references):
        raise Seq2SeqError(
            f"{len(hypotheses):,} translations do not fit {len(references):,} references: "
            "both need the same number of lines."
        )
    metrics = (
        ("BLEU", BLEU()),
        ("chrF", _chrf()),
        ("BLEU, lower-cased", BLEU(lowercase=True)),
    )
    return tuple(_score(name, metric, hypotheses, references) for name, metric in metrics)


def _chrf() -> Any:
    """chrF whose scores are all of one type.

    sacreBLEU's are NumPy's or Python's, and statistics.mean refuses to mix them: an interval over a
    few bad translations would end in a TypeError.
    """
    from sacrebleu.metrics import CHRF

    class Plain(CHRF):  # type: ignore[misc]
        def _compute_f_score(self, statistics: list[int]) -> float:
            return float(super()._compute_f_score(statistics))

    return Plain()


def _score(
    name: str, metric: Any, hypotheses: Sequence[str], references: Sequence[str]
) -> MetricScore:
    result = metric.corpus_score(
        list(hypotheses), [list(references)], n_bootstrap=BOOTSTRAP_SAMPLES
    )
    signature = str(metric.get_signature())
    return MetricScore(name, float(result.score), float(result._ci), signature)
