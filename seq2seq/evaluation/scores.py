"""BLEU and chrF of A and B: which is better, for which lengths, and in which sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seq2seq.config.model_config import Direction
from seq2seq.evaluation.sides import Both, Range, Side, range_of
from seq2seq.metrics import BOOTSTRAP_SAMPLES, bleu, chrf, sentence_chrf, words

SIGNIFICANT = 0.05
"""A difference whose p-value is below is taken for one."""

TOO_FEW = 30
"""Sentences; drawing again and again from fewer says nothing of those that were not drawn."""

LENGTHS = (Range(1, 5), Range(6, 10), Range(11, 15), Range(16, 20), Range(21, None))
"""Words of the source."""

Outputs = Both[Sequence[str]]


@dataclass(frozen=True)
class PairedScore:
    """One metric of both, and whether the difference may be chance."""

    name: str
    scores: Both[float]  # from 0 to 100
    difference: float  # B - A
    p_value: float  # by paired bootstrap resampling (Koehn 2004)
    better: Side | None  # None: the test cannot tell
    signature: str


@dataclass(frozen=True)
class LengthScore:
    """The sentences whose source has so many words."""

    words: str
    sentences: int
    bleu: Both[float]
    chrf: Both[float]


@dataclass(frozen=True)
class SentenceScore:
    """A sentence and both of its translations."""

    number: int  # in the test set, from 1
    source: str
    reference: str
    translations: Both[str]
    chrf: Both[float]

    @property
    def difference(self) -> float:
        """chrF of B - A."""
        return self.chrf.b - self.chrf.a


@dataclass(frozen=True)
class Tally:
    """In how many sentences A or B is better, by chrF, and in how many neither."""

    a: int
    b: int
    neither: int
    identical: int  # of neither: those that are the same, letter for letter


def paired_scores(
    outputs: Outputs, references: Sequence[str], language: str
) -> tuple[PairedScore, ...]:
    """BLEU and chrF of translations into `language`, by sacreBLEU's paired bootstrap."""
    from sacrebleu.significance import PairedTest

    test = PairedTest(
        [("A", list(outputs.a)), ("B", list(outputs.b))],
        {"BLEU": bleu(language), "chrF": chrf()},
        [list(references)],
        test_type="bs",
        n_samples=BOOTSTRAP_SAMPLES,
    )
    signatures, results = test()
    return tuple(
        _paired(name, results[key], str(signatures[key]), len(references))
        for name, key in (("BLEU", "BLEU"), ("chrF", "chrF2"))
    )


def _paired(name: str, results: Sequence[Any], signature: str, sentences: int) -> PairedScore:
    scores = Both(*(float(result.score) for result in results))
    difference = scores.b - scores.a
    # Any drawing has at least the difference that equals have; sacreBLEU counts only those above.
    p_value = float(results[1].p_value) if difference else 1.0
    told = p_value < SIGNIFICANT and sentences >= TOO_FEW
    better: Side | None = ("b" if difference > 0 else "a") if told else None
    return PairedScore(name, scores, difference, p_value, better, signature)


def by_length(
    direction: Direction, sources: Sequence[str], references: Sequence[str], outputs: Outputs
) -> tuple[LengthScore, ...]:
    """The scores of short and of long sentences; classes without a sentence are left out."""
    places: dict[Range, list[int]] = {one: [] for one in LENGTHS}
    for place, source in enumerate(sources):
        places[range_of(len(words(source, direction.source)), LENGTHS)].append(place)

    def scores(metric: Any, chosen: Sequence[int]) -> Both[float]:
        wanted = [[references[i] for i in chosen]]
        return outputs.each(
            lambda lines: float(metric.corpus_score([lines[i] for i in chosen], wanted).score)
        )

    return tuple(
        LengthScore(
            str(length),
            len(chosen),
            scores(bleu(direction.target, force=True), chosen),
            scores(chrf(), chosen),
        )
        for length, chosen in places.items()
        if chosen
    )


def by_sentence(
    sources: Sequence[str], references: Sequence[str], outputs: Outputs
) -> list[SentenceScore]:
    """Every sentence, in order."""
    rows = zip(sources, references, outputs.a, outputs.b, strict=True)
    return [
        SentenceScore(
            number,
            source,
            reference,
            Both(a, b),
            Both(sentence_chrf(a, reference), sentence_chrf(b, reference)),
        )
        for number, (source, reference, a, b) in enumerate(rows, start=1)
    ]


def tally(sentences: Sequence[SentenceScore]) -> Tally:
    """Count them."""
    return Tally(
        sum(one.difference < 0 for one in sentences),
        sum(one.difference > 0 for one in sentences),
        sum(one.difference == 0 for one in sentences),
        sum(one.translations.a == one.translations.b for one in sentences),
    )


def most_different(
    sentences: Sequence[SentenceScore], number: int
) -> Both[tuple[SentenceScore, ...]]:
    """Those that A, and those that B translates better by most; the greatest difference first."""
    ordered = sorted(sentences, key=lambda one: one.difference)
    a = [one for one in ordered if one.difference < 0]
    b = [one for one in reversed(ordered) if one.difference > 0]
    return Both(tuple(a[:number]), tuple(b[:number]))
