"""`seq2seq average`: checkpoints of a run become one model."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from helpers.training_runs import (
    Recorder,
    complaint,
    contents,
    make_small,
    read_metrics,
    with_training,
)
from typer.testing import CliRunner

from seq2seq.cli.main import app
from seq2seq.config.recipe import Recipe
from seq2seq.errors import UsageError
from seq2seq.evaluation.test_sets import open_translator
from seq2seq.training.averaging import average_run
from seq2seq.training.exporter import export_run
from seq2seq.training.trainer import train

pytestmark = pytest.mark.slow


@pytest.fixture
def run(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that has kept all its checkpoints."""
    make_small(monkeypatch)
    train(with_training(recipe, keep_checkpoints=9), tmp_path / "run", Recorder())
    return tmp_path / "run"


def averages(run: Path) -> dict[int, dict[str, np.ndarray]]:
    """The moving average of each checkpoint, by step."""
    return {
        int(folder.name.removeprefix("step-")): {
            name.removeprefix("average/"): tensor
            for name, tensor in safetensors.numpy.load_file(folder / "tensors.safetensors").items()
            if name.startswith("average/")
        }
        for folder in sorted((run / "checkpoints").iterdir())
    }


def made(run: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(run / "best.safetensors")


def test_the_average_of_one_checkpoint_is_that_checkpoint(run: Path, tmp_path: Path) -> None:
    before = contents(run)
    average = average_run(run, tmp_path / "last", last=1)
    steps = averages(run)
    [step] = average.steps
    assert step == max(steps)
    assert made(tmp_path / "last").keys() == steps[step].keys()
    for name, weight in made(tmp_path / "last").items():
        assert (weight == steps[step][name]).all()
    average_run(run, tmp_path / "best", best=1)
    assert (tmp_path / "best" / "best.safetensors").read_bytes() == (
        run / "best.safetensors"
    ).read_bytes()
    assert contents(run) == before


def test_the_weights_of_several_are_their_mean(run: Path, tmp_path: Path) -> None:
    average = average_run(run, tmp_path / "average", last=3)
    steps = averages(run)
    assert average.steps == tuple(sorted(steps)[-3:])
    for name, weight in made(tmp_path / "average").items():
        expected = np.mean([steps[step][name] for step in average.steps], axis=0, dtype=np.float64)
        assert weight == pytest.approx(expected, abs=1e-7)


def test_the_best_are_those_that_validated_best(run: Path, tmp_path: Path) -> None:
    validations = [row for row in read_metrics(run) if row["kind"] == "valid"]
    validations.sort(key=lambda row: (round(row["bleu"], 2), round(row["chrf"], 2), -row["nll"]))
    average = average_run(run, tmp_path / "average", best=2)
    assert average.steps == tuple(sorted(row["step"] for row in validations[-2:]))
    assert average.best_bleu == validations[-1]["bleu"]


def test_an_average_is_validated_and_can_be_used_like_a_run(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "average"
    validation = average_run(run, output, last=2).validation
    assert validation is not None
    [row] = read_metrics(output)
    assert (row["kind"], row["bleu"], row["nll"]) == ("valid", validation.bleu, validation.nll)
    assert open_translator(output).translate(["ka"])[0].score < 0
    export_run(output, tmp_path / "average.s2s", precision="fp32")
    card = (tmp_path / "average.s2s" / "README.md").read_text()
    assert f"BLEU {validation.bleu:.2f}" in card


def test_what_cannot_be_averaged_is_told_in_one_sentence(run: Path, tmp_path: Path) -> None:
    message = complaint(lambda: average_run(run, tmp_path / "average", best=5), UsageError)
    assert "has kept 3 such checkpoints, not 5" in message
    assert "training.keep_checkpoints = 5" in message
    assert not (tmp_path / "average").exists()
    message = complaint(lambda: average_run(run, run, last=1), UsageError)
    assert "is there already" in message
    arguments = ["average", str(run), "-o", str(tmp_path / "average")]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert "--last or --best" in result.output
    result = CliRunner().invoke(app, [*arguments, "--last", "2"])
    assert result.exit_code == 0
    assert f"seq2seq evaluate {tmp_path / 'average'}" in result.output
