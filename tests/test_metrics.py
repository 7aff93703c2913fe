"""Scores are sacreBLEU's own, signed, with an interval that can be computed again."""

import json

import pytest
import sacrebleu

from seq2seq.config import Direction
from seq2seq.errors import Seq2SeqError
from seq2seq.evaluation import SMALL, Evaluation, table
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


EN_DE = Direction("en", "de")


def evaluation(model: str, sentences: int, direction: Direction = EN_DE) -> Evaluation:
    scores = score(HYPOTHESES, REFERENCES)
    return Evaluation(model, direction, "data/test", sentences, scores, 0.5, 5)


def test_a_small_test_set_is_called_small() -> None:
    assert "few" in str(evaluation("mine.s2s", 3))
    assert "few" not in str(evaluation("mine.s2s", SMALL))
    assert all(len(line) <= 80 for line in str(evaluation("m", 3)).splitlines())


def test_several_directions_are_a_table() -> None:
    directions = [Direction("en", "de"), Direction("pt-BR", "en")]
    text = table([evaluation("mine.s2s", 2000, direction) for direction in directions])
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[3].split()[:3] == ["en-de", "2,000", f"{evaluation('m', 3).scores[0].score:.2f}"]
    assert lines[4].startswith("pt-BR-en")
    assert sum("version:" in line for line in lines) == 3


def test_json_is_one_line_a_direction() -> None:
    line = evaluation("mine.s2s", 3).to_json()
    assert "\n" not in line
    assert json.loads(line)["direction"] == "en-de"
    assert json.loads(line)["scores"][0]["name"] == "BLEU"
