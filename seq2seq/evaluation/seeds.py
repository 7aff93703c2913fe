"""Several runs of one recipe with different seeds: mean, deviation, and a paired test.

A single run says little about a recipe: another seed gives another score, and the difference is
often as large as between two recipes (Reimers & Gurevych 2017).
"""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

from seq2seq.bleu_chrf import BOOTSTRAP_SAMPLES, bleu, chrf
from seq2seq.config.model_config import Direction
from seq2seq.evaluation.test_sets import Evaluation

Seeds = Sequence[Sequence[str]]
"""Translations of one test set by each run."""


@dataclass(frozen=True)
class Spread:
    """The mean of scores, and their sample standard deviation (n - 1)."""

    mean: float
    deviation: float | None  # None for a single score

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarise one or more values."""
        deviation = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.fmean(values), deviation)

    def __str__(self) -> str:
        spread = "" if self.deviation is None else f" ± {self.deviation:.2f}"
        return f"{self.mean:.2f}{spread}"


@dataclass(frozen=True)
class SeedScore:
    """One metric over the seeds, from 0 to 100."""

    name: str
    scores: tuple[float, ...]  # of each run
    mean: float
    deviation: float | None
    signature: str


@dataclass(frozen=True)
class SeedEvaluation:
    """The scores of several runs on one test set."""

    models: tuple[str, ...]
    direction: Direction
    test: str
    sentences: int
    scores: tuple[SeedScore, ...]

    @classmethod
    def of(cls, evaluations: Sequence[Evaluation]) -> "SeedEvaluation":
        """Summarise the evaluations of several runs on one test set."""
        first = evaluations[0]
        scores = []
        for number, metric in enumerate(first.scores):
            values = tuple(evaluation.scores[number].score for evaluation in evaluations)
            signature = metric.signature.replace(f"bs:{BOOTSTRAP_SAMPLES}|seed:12345|", "")
            scores.append(
                SeedScore(metric.name, values, **asdict(Spread.of(values)), signature=signature)
            )
        models = tuple(evaluation.model for evaluation in evaluations)
        return cls(models, first.direction, first.test, first.sentences, tuple(scores))

    def to_json(self) -> str:
        """Return everything as one JSON object on one line."""
        return json.dumps(asdict(self) | {"direction": str(self.direction)}, ensure_ascii=False)

    def __str__(self) -> str:
        lines = [
            f"{len(self.models)} runs: {self.direction}, {self.sentences:,} sentences",
            *(f"  {model}" for model in self.models),
            "",
        ]
        for metric in self.scores:
            spread = Spread(metric.mean, metric.deviation)
            runs = ", ".join(f"{score:.2f}" for score in metric.scores)
            lines += [f"{metric.name:<18} {spread!s}   ({runs})", f"  {metric.signature}"]
        lines += ["", "Mean and standard deviation over the runs."]
        return "\n".join(lines)


class _MeanOverSeeds:
    """A sacreBLEU metric over several runs at once: the mean of their scores.

    The "translation" of a sentence is a tuple of the translations by all runs. So a paired
    bootstrap draws sentences, and each sample has the same sentences for every run and system: what
    the runs have in common is not counted several times.
    """

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        self._width = 0  # number of statistics per sentence and run

    def _extract_corpus_statistics(
        self, rows: Sequence[tuple[str, ...]], references: Any
    ) -> list[list[float]]:
        runs = [
            self._metric._extract_corpus_statistics(list(run), references)
            for run in zip(*rows, strict=True)
        ]
        self._width = len(runs[0][0])
        return [[number for run in row for number in run] for row in zip(*runs, strict=True)]

    def _compute_score_from_stats(self, sums: Any) -> Any:
        starts = range(0, len(sums), self._width)
        scores = [
            self._metric._compute_score_from_stats(sums[start : start + self._width])
            for start in starts
        ]
        mean = statistics.fmean(float(score.score) for score in scores)
        return SimpleNamespace(name=scores[0].name, score=mean)

    def _aggregate_and_compute(self, rows: Sequence[Sequence[float]]) -> Any:
        return self._compute_score_from_stats([sum(column) for column in zip(*rows, strict=True)])

    def get_signature(self) -> Any:
        return self._metric.get_signature()


def paired_p_values(
    systems: Sequence[Seeds], references: Sequence[str], language: str
) -> list[dict[str, float]]:
    """Test each system against the first by paired bootstrap resampling of sentences (Koehn 2004).

    The statistic is the difference of the means over the seeds; with one seed each, it is the test
    of `comparison.paired_scores`. Return the p-values of BLEU and chrF by name, for each system
    from the second on. The translations are in `language`.
    """
    from sacrebleu.significance import PairedTest

    first, *challengers = systems
    if not challengers:
        return []
    test = PairedTest(
        [(str(number), [*zip(*runs, strict=True)]) for number, runs in enumerate(systems)],
        {"BLEU": _MeanOverSeeds(bleu(language)), "chrF": _MeanOverSeeds(chrf())},
        [list(references)],
        test_type="bs",
        n_samples=BOOTSTRAP_SAMPLES,
    )
    _, results = test()
    return [
        {
            name: float(results[key][number].p_value) if runs != first else 1.0
            for name, key in (("BLEU", "BLEU"), ("chrF", "chrF2"))
        }
        for number, runs in enumerate(challengers, start=1)
    ]
