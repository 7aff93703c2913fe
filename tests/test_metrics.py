"""Scores are sacreBLEU's own, signed, with an interval that can be computed again."""

import pytest
import sacrebleu

from seq2seq.errors import Seq2SeqError
from seq2seq.evaluation import SMALL, Evaluation
from seq2seq.metrics import corpus_bleu, score

HYPOTHESES = ["Das ist ein Test.", "Guten Tag, alle zusammen.", "Der Hund schläft auf dem Sofa."]
REFERENCES = [
    "das ist ein Test!",
    "Guten Morgen, alle zusammen.",
    "Der Hund schläft auf der Couch.",
]


def test_scores_are_those_of_sacrebleu() -> None:
    bleu, chrf, lower = score(HYPOTHESES, REFERENCES)
    assert bleu.score == sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score
    assert bleu.score == corpus_bleu(HYPOTHESES, REFERENCES)
    assert chrf.score == sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score
    expected = sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES], lowercase=True).score
    assert lower.score == expected > bleu.score


def test_a_score_tells_how_to_get_it_again() -> None:
    bleu, chrf, lower = score(HYPOTHESES, REFERENCES)
    assert "case:mixed" in bleu.signature
    assert "tok:13a" in bleu.signature
    assert "case:lc" in lower.signature
    assert "nc:6" in chrf.signature
    assert "seed:12345" in bleu.signature
    assert bleu.interval > 0
    assert score(HYPOTHESES, REFERENCES) == (bleu, chrf, lower)


def test_a_perfect_translation() -> None:
    assert [round(one.score, 6) for one in score(REFERENCES, REFERENCES)] == [100, 100, 100]


def test_lines_have_to_fit() -> None:
    with pytest.raises(Seq2SeqError, match="3 translations do not fit 2 references"):
        score(HYPOTHESES, REFERENCES[:2])


def test_a_small_test_set_is_called_small() -> None:
    scores = score(HYPOTHESES, REFERENCES)
    assert "few" in str(Evaluation("mine.s2s", 3, scores, 0.5, 5))
    assert "few" not in str(Evaluation("mine.s2s", SMALL, scores, 0.5, 5))
    assert all(len(line) <= 80 for line in str(Evaluation("m", 3, scores, 0.5, 5)).splitlines())
