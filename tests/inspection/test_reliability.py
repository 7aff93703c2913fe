"""A reliability diagram sets the quality of translations against their confidence."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seq2seq.cli.main import app
from seq2seq.config.model_config import Direction
from seq2seq.inspection.plots import reliability_picture
from seq2seq.inspection.reliability import ConfidenceBin, Reliability, reliability_lines

MODEL = Path(__file__).parents[2] / "seq2seq" / "models" / "en-de.s2s"
BINS = (ConfidenceBin(0.4, 0.5, 3, 0.45, 0.5, 0.1), ConfidenceBin(0.9, 1.0, 7, 0.95, 0.9, 0.02))
MEASURED = Reliability(Direction("en", "de"), BINS, 0.05, 2)


def test_lines_have_a_bar_for_each_bin_and_say_what_is_left_out() -> None:
    head, _, low, high, left_out = reliability_lines(MEASURED)
    assert head == "en-de, 10 sentences: expected calibration error 0.050"
    assert low == "0.4 to 0.5          3  0.45  0.50 ± 0.10  " + 20 * "█"
    assert high.endswith(36 * "█")
    assert left_out.startswith("2 sentences have no confidence")


def test_the_picture_says_the_same_in_words() -> None:
    pytest.importorskip("matplotlib")
    picture = reliability_picture(MEASURED)
    assert "expected calibration error 0.050" in picture.description
    assert picture.render("svg").startswith(b"<?xml")


def test_the_command_reports_the_same_error_as_evaluate(tmp_path: Path) -> None:
    pairs = ["Good morning!\tGuten Morgen!", "I am tired.\tIch bin müde.", "No.\tNein."]
    corpus = tmp_path / "test.tsv"
    corpus.write_text("".join(f"{pair}\n" for pair in pairs), encoding="utf-8")
    arguments = [str(MODEL), "--corpus", str(corpus), "--json"]
    results = [
        CliRunner().invoke(app, [*command, *arguments])
        for command in (["inspect", "confidence"], ["evaluate", "--quiet"])
    ]
    assert [result.exit_code for result in results] == [0, 0], [r.output for r in results]
    confidence, evaluation = (json.loads(result.stdout) for result in results)
    assert sum(part["sentences"] for part in confidence["bins"]) == 3
    assert confidence["calibration_error"] == pytest.approx(evaluation["calibration_error"])
