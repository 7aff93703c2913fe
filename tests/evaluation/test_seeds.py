"""Runs of several seeds: mean, deviation, and a paired test of sentences."""

import json
import statistics
from pathlib import Path

import pytest
from helpers.commands import only_error, run_seq2seq

from seq2seq.evaluation.comparison import paired_scores
from seq2seq.evaluation.lexical import Both
from seq2seq.evaluation.seeds import Spread, paired_p_values

MODEL = Path(__file__).parents[1] / "golden" / "int8"
NOUNS = ["dog", "mouse", "house", "tree", "river", "road"]
REFERENCES = [f"the {a} sees a {b} near it." for a in NOUNS for b in NOUNS]
POOR = [line.replace("sees a", "look") for line in REFERENCES]
MIXED = [*POOR[:3], *REFERENCES[3:]]


def test_a_spread_is_the_mean_and_the_deviation_of_a_sample() -> None:
    assert Spread.of([1.0, 2.0, 6.0]) == Spread(3.0, statistics.stdev([1.0, 2.0, 6.0]))
    assert str(Spread.of([1.0, 3.0])) == "2.00 ± 1.41"


def test_a_single_run_has_no_deviation() -> None:
    assert str(Spread.of([2.0])) == "2.00"


@pytest.mark.slow
@pytest.mark.parametrize("b", [POOR, MIXED, REFERENCES])
def test_with_one_seed_the_paired_test_is_that_of_compare(b: list[str]) -> None:
    [p_values] = paired_p_values([[REFERENCES], [b]], REFERENCES, "en")
    expected = paired_scores(Both(REFERENCES, b), REFERENCES, "en")
    assert p_values == {score.name: score.p_value for score in expected}


@pytest.mark.slow
def test_a_seed_that_is_counted_twice_makes_no_difference_more_significant() -> None:
    [once] = paired_p_values([[REFERENCES], [MIXED]], REFERENCES, "en")
    [twice] = paired_p_values([[REFERENCES] * 2, [MIXED] * 3], REFERENCES, "en")
    assert twice == pytest.approx(once, abs=0.005)


@pytest.mark.slow
def test_evaluate_with_seeds_needs_several_models() -> None:
    done = run_seq2seq("evaluate", MODEL, "--seeds", "--corpus", "x.tsv")
    assert "--seeds takes two models or more" in only_error(done, 2, "seq2seq")


@pytest.mark.slow
def test_evaluate_with_seeds_reports_mean_and_deviation_of_each_score(tmp_path: Path) -> None:
    corpus = tmp_path / "test.tsv"
    corpus.write_text("".join(f"{line}\t{line}\n" for line in REFERENCES[:5]), encoding="utf-8")
    options: list[str | Path] = ["evaluate", MODEL, MODEL, "--seeds", "--corpus", corpus]
    table = json.loads(run_seq2seq(*options, "--json").stdout)
    assert table["models"] == [str(MODEL), str(MODEL)]
    assert [score["name"] for score in table["scores"]] == ["BLEU", "chrF", "BLEU, lower-cased"]
    for score in table["scores"]:
        assert score["scores"] == [score["mean"]] * 2
        assert score["deviation"] == 0
    printed = run_seq2seq(*options).stdout
    assert f"BLEU               {table['scores'][0]['mean']:.2f} ± 0.00" in printed
