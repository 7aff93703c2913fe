"""Sweeps: which runs a grid means, how they are trained and continued, and what the table says."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.commands import SEQ2SEQ
from helpers.training_runs import complaint
from typer.testing import CliRunner

from seq2seq.cli.main import app
from seq2seq.config.model_config import Direction
from seq2seq.config.recipe import CorpusConfig
from seq2seq.errors import UsageError
from seq2seq.evaluation.seeds import Spread
from seq2seq.experiments.grid import Candidate, read_sweep
from seq2seq.experiments.results import CandidateScore, ScoreTable
from seq2seq.experiments.trials import interrupts_wait, is_done, translations_file

RECIPE = """
[corpus]
source_language = "en"
target_language = "de"
train = {train}
valid = {valid}
test = {valid}
leakage = "keep"

[tokenizer]
vocabulary_size = 385

[model]
hidden_size = 16
encoder_layers = 1
decoder_layers = 1
heads = 2

[training]
epochs = 1
batch_tokens = 100
precision = "float32"
threads = 1
"""


@pytest.fixture
def recipe_file(corpus: CorpusConfig, tmp_path: Path) -> Path:
    file = tmp_path / "tiny.toml"
    train, valid = json.dumps(corpus.train), json.dumps(corpus.valid)
    file.write_text(RECIPE.format(train=train, valid=valid), encoding="utf-8")
    return file


def write_sweep(recipe_file: Path, text: str) -> Path:
    file = recipe_file.with_name("sweep.toml")
    file.write_text(f"recipe = {json.dumps(str(recipe_file))}\n{text}", encoding="utf-8")
    return file


def grid(recipe_file: Path, text: str) -> list[Candidate]:
    return read_sweep(write_sweep(recipe_file, text))


GRID = """
seeds = [1, 2]
[grid]
training.dropout = [0.1, 0.3]
model.cell = ["lstm", "gru"]
training.epochs = [2]
"""


def test_a_grid_is_each_combination_of_its_values_with_each_seed(recipe_file: Path) -> None:
    candidates = grid(recipe_file, GRID)
    assert [candidate.name for candidate in candidates] == [
        "dropout=0.1, cell=lstm",
        "dropout=0.1, cell=gru",
        "dropout=0.3, cell=lstm",
        "dropout=0.3, cell=gru",
    ]
    for candidate in candidates:
        assert [trial.seed for trial in candidate.trials] == [1, 2]
        assert [trial.recipe.training.seed for trial in candidate.trials] == [1, 2]
        assert candidate.recipe.training.epochs == 2
    assert candidates[3].recipe.model.cell == "gru"
    assert candidates[3].recipe.training.dropout == 0.3


def test_several_recipes_are_candidates_by_their_names(recipe_file: Path) -> None:
    other = recipe_file.with_name("other.toml")
    other.write_text(recipe_file.read_text())
    sweep = recipe_file.with_name("sweep.toml")
    sweep.write_text(f"recipe = {json.dumps([str(recipe_file), str(other)])}\nseeds = [7]\n")
    assert [candidate.name for candidate in read_sweep(sweep)] == ["tiny", "other"]


def test_a_run_has_another_folder_with_another_setting_of_grid_seed_or_recipe(
    recipe_file: Path,
) -> None:
    def folders(text: str) -> list[str]:
        return [
            trial.run(Path()).name
            for candidate in grid(recipe_file, text)
            for trial in candidate.trials
        ]

    before = folders(GRID)
    assert len({*before}) == 8
    assert folders(GRID) == before
    text = recipe_file.read_text()
    recipe_file.write_text(text.replace("batch_tokens = 100", "batch_tokens = 120"))
    assert not {*folders(GRID)} & {*before}
    recipe_file.write_text(text + "keep_checkpoints = 5\n")  # nothing that comes of it depends
    assert folders(GRID) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = [1]", "unknown key 'seed'"),
        ("[grid]\ntraining.dropout = 0.1", "'grid.training.dropout' must be a list"),
        ("[grid]\ntraining.dropout = []", "'grid.training.dropout' must be a list"),
        ("[grid]\ntraining.dropuot = [0.1]", "did you mean 'training.dropout'"),
        ("[grid]\ntraining.dropout = [0.1, 2.0]", "training.dropout must lie in"),
        ("[grid]\ntraining.seed = [1, 2]", "the seeds have a list of their own"),
        ("seeds = [1, 1]", "'seeds' must have"),
        ('[grid]\nmodel.cell = ["mine.py:Mine"]', "built-in cells alone"),
    ],
)
def test_a_sweep_with_a_fault_is_refused_in_one_sentence_before_any_work(
    recipe_file: Path, text: str, message: str
) -> None:
    file = write_sweep(recipe_file, text)
    assert message in complaint(lambda: read_sweep(file), UsageError)


TABLE = ScoreTable(
    Direction("en", "de"),
    "valid",
    300,
    (
        CandidateScore("a_b=1", 3, Spread(41.5, 0.25), Spread(60, 0.5), Spread(3.21, 0.1)),
        CandidateScore("a_b=2", 1, Spread(40, None), Spread(59, None), Spread(4, None), 0.02, 0.5),
    ),
    "nrefs:1|tok:13a",
)


def test_a_table_has_means_deviations_seeds_and_p_values_in_80_columns() -> None:
    lines = [*TABLE.lines()]
    assert max(map(len, lines)) <= 80
    assert lines[0] == "en-de, 300 sentences of valid"
    assert lines[3].split() == ["a_b=1", "3", *["41.50", "±", "0.25", "60.00", "±", "0.50", "3.21"]]
    assert lines[4].split() == ["a_b=2", *["1", "40.00", "0.020", "59.00", "0.500", "4.00"]]


def test_a_table_in_markdown_has_as_many_cells_in_each_row() -> None:
    _, _, *rows, _, signature = TABLE.markdown()
    assert {row.count("|") for row in rows} == {8}
    assert rows[2].startswith("| a_b=1 | 3 | 41.50 ± 0.25 |  |")
    assert signature == "BLEU: `nrefs:1|tok:13a`"


def test_a_table_in_latex_escapes_what_latex_takes_for_commands() -> None:
    lines = [*TABLE.latex()]
    assert r"a\_b=1 & 3 & 41.50 $\pm$ 0.25 &  & 60.00 $\pm$ 0.50 &  & 3.21 $\pm$ 0.10 \\" in lines
    rows = [line for line in lines if line.endswith(r"\\")]
    assert {row.count("&") for row in rows} == {6}


@pytest.mark.slow
def test_a_sweep_goes_on_after_a_failed_run_and_trains_no_run_again(
    recipe_file: Path, tmp_path: Path
) -> None:
    file = write_sweep(
        recipe_file, "seeds = [1]\n[grid]\ntokenizer.vocabulary_size = [385, 9000]\n"
    )
    output = tmp_path / "runs"
    options = ["sweep", str(file), "-o", str(output), "--test", "--jobs", "2"]
    tables = [f"--{kind}={tmp_path / kind}" for kind in ("markdown", "latex")]
    # In this process: to start another one takes longer than all the rest.
    done = CliRunner().invoke(app, [*options, *tables])
    assert done.exit_code == 1
    assert "vocabulary_size = 9000 does not fit" in done.stderr
    assert "1 of 2 runs failed" in done.stderr.splitlines()[-1]
    assert "vocabulary_size=385" in done.stdout
    assert "vocabulary_size=9000" not in done.stdout
    assert done.stdout.count("en-de, 10 sentences") == 2  # validation and test
    assert "| vocabulary_size=385 | 1 |" in (tmp_path / "markdown").read_text()
    assert r"\toprule" in (tmp_path / "latex").read_text()

    good, _ = read_sweep(file)
    for trial in good.trials:
        run = trial.run(output)
        assert is_done(trial, output)
        assert translations_file(run, "test", Direction("en", "de")).exists()
    before = {path: path.stat().st_mtime_ns for path in output.rglob("best.safetensors")}
    write_sweep(recipe_file, "seeds = [1]\n[grid]\ntokenizer.vocabulary_size = [385]\n")
    again = CliRunner().invoke(app, options)
    assert (again.exit_code, again.stderr) == (0, "1 of 1 runs are done already.\n")
    assert {path: path.stat().st_mtime_ns for path in output.rglob("best.safetensors")} == before


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_sweep_that_is_stopped_saves_its_run_and_goes_on(
    recipe_file: Path, tmp_path: Path
) -> None:
    file = write_sweep(recipe_file, "seeds = [1]\n[grid]\ntraining.epochs = [400]\n")
    output = tmp_path / "runs"
    command = [*SEQ2SEQ, "sweep", str(file), "-o", str(output)]
    [candidate] = read_sweep(file)
    [trial] = candidate.trials
    run = trial.run(output)
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as process:
        while not (run / "best.safetensors").exists():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors == "stopped; everything is saved, and the same command continues.\n"
    assert not is_done(trial, output)

    # The rest would take long: it need only be seen to go on.
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, encoding="utf-8") as process:
        log = run.with_name(f"{run.name}.log")
        while "resumed at step" not in log.read_text():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_process_that_starts_while_interrupts_wait_has_sigint_blocked() -> None:
    ask = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    command = [sys.executable, "-c", ask]
    with interrupts_wait():
        within = subprocess.check_output(command, encoding="utf-8")
    after = subprocess.check_output(command, encoding="utf-8")
    assert (within, after) == ("True\n", "False\n")
