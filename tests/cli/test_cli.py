"""The command `seq2seq`, as a process: from a corpus to a model, and every slip on the way."""

import importlib.metadata
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from helpers.commands import SEQ2SEQ, TIMEOUT, only_error
from helpers.commands import run_seq2seq as run
from typer.testing import CliRunner

from seq2seq.cli import main, translate

pytestmark = pytest.mark.slow

RECIPE = """
[corpus]
source_language = "en"
target_language = "xx"
train = "{folder}/train"
valid = "{folder}/valid"
test = "{folder}/valid"
duplicate = "keep"
leakage = "keep"

[tokenizer]
vocabulary_size = 385

[model]
hidden_size = 16
encoder_layers = 1
decoder_layers = 1

[training]
epochs = 2
batch_tokens = 200
threads = 1
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences and the same words in capitals: 60 pairs to train on, 8 held out."""
    folder = tmp_path_factory.mktemp("corpus")
    words = ["red", "green", "blue", "small", "tall", "house", "tree", "river", "road", "bird"]
    pairs = [f"{a} {b} {c}" for a in words[:5] for b in words[5:] for c in words[5:]]
    for name, lines in (("train", pairs[:60]), ("valid", pairs[60:68])):
        (folder / f"{name}.en").write_text("".join(f"{line}\n" for line in lines))
        (folder / f"{name}.xx").write_text("".join(f"{line.upper()}\n" for line in lines))
    (folder / "recipe.toml").write_text(RECIPE.format(folder=folder))
    return folder


@pytest.fixture(scope="module")
def finished(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = run("train", corpus / "recipe.toml", "-o", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert f"seq2seq export {folder}" in done.stderr
    return folder


def test_check_counts_and_says_it_as_json(corpus: Path) -> None:
    arguments: list[str | Path] = [
        "check",
        corpus / "train",
        corpus / "valid",
        "-f",
        "en",
        "-t",
        "xx",
    ]
    assert "60 pairs" in run(*arguments).stdout
    table = json.loads(run(*arguments, "--json").stdout)
    assert len(table["texts"]) == 2
    assert len(json.loads(run("check", corpus / "recipe.toml", "--json").stdout)["texts"]) == 3
    assert "alone" in only_error(
        run("check", corpus / "recipe.toml", corpus / "train"), 2, "seq2seq"
    )


@pytest.mark.parametrize(("name", "app"), [("seq2seq", main.app), ("translate", translate.app)])
def test_version(name: str, app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", {"seq2seq": "1.2.3"}.__getitem__)
    done = CliRunner().invoke(app, ["--version"], prog_name=name)
    assert (done.exit_code, done.output) == (0, f"{name} 1.2.3\n")


def test_help_names_the_commands_and_their_options() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    options = {
        "check": ["--from", "--to", "--json"],
        "train": ["--output", "--set", "--init-from", "--resume", "--quiet"],
        "evaluate": ["--src", "--ref", "--corpus", "--beam-size", "--threads", "--json"],
        "compare": ["--src", "--ref", "--corpus", "--recipe", "--train", "--show", "--json"],
        "score": ["--src", "--hyp", "--corpus", "--n-best", "--rerank", "--summary", "--json"],
        "qa": ["--src", "--glossary", "--skip", "--format", "--json"],
        "average": ["--last", "--best", "--output"],
        "calibrate": ["--corpus", "--recipe", "--from", "--to"],
        "export": ["--output", "--card", "--precision", "--no-shortlist", "--corpus"],
    }
    for command, names in options.items():
        assert re.search(rf"^ +{command} +[A-Z]", done.stdout, re.MULTILINE)
        explained = run(command, "--help")
        assert (explained.returncode, explained.stderr) == (0, "")
        assert [name for name in names if name not in explained.stdout] == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["trian"], "'trian'"),
        (["train", "r.toml"], "--output"),
        (["train", "r.toml", "-o", "x", "--resum"], "--resume"),
        (["train", "r.toml", "-o", "x", "--from", "m.s2s"], "is called --init-from now"),
        (["train", "r.toml", "-o", "x", "--init-from", "shipped"], "--init-from bundled now"),
        (["export", "x", "--cart", "y", "-o", "z"], "--card"),
        (["export", "x", "--precision", "int4", "-o", "z"], "'int8', 'fp32'"),
    ],
)
def test_wrong_usage_is_named(arguments: list[str], named: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["-b", "0"], ["--length-penalty", "-1"], ["--threads", "-1"], ["--threads", "1025"]],
)
def test_an_option_out_of_range_is_named(arguments: list[str]) -> None:
    done = run("evaluate", "x", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert arguments[0] in done.stderr


def test_a_run_is_exported_in_eight_bits(finished: Path, corpus: Path, tmp_path: Path) -> None:
    model = tmp_path / "mine.s2s"
    for options, shortlist in ([], True), (["--no-shortlist"], False):
        assert " kB, " in only_line(run("export", finished, "-o", model, *options))
        config = json.loads((model / "config.json").read_text())
        assert (config["precision"], config["shortlist"]) == ("int8", shortlist)
        done = run("evaluate", model, "--corpus", corpus / "valid", "--json")
        assert json.loads(done.stdout)["sentences"] == 8
    assert run("export", finished, "-o", model, "--quiet").stderr == ""


def test_eight_bits_need_the_corpus(finished: Path, corpus: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(finished, tmp_path / "moved"))
    recipe = json.loads((moved / "recipe.json").read_text())
    recipe["corpus"][0]["train"] = str(tmp_path / "gone")
    (moved / "recipe.json").write_text(json.dumps(recipe))
    (moved / "SHA256SUMS").unlink()  # as runs of earlier versions
    model = tmp_path / "mine.s2s"
    error = only_error(run("export", moved, "-o", model), 1, "seq2seq")
    assert "gone" in error
    assert "--corpus" in error
    assert not model.exists()
    assert only_line(run("export", moved, "-o", model, "--corpus", corpus / "train"))
    assert only_line(run("export", moved, "-o", model, "--precision", "fp32"))


def only_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a command that went well and printed nothing else."""
    assert (done.returncode, done.stdout) == (0, "")
    [line] = done.stderr.splitlines()
    return line


def test_a_run_is_evaluated_exported_and_evaluated_again(
    finished: Path, corpus: Path, tmp_path: Path
) -> None:
    model = tmp_path / "mine.s2s"
    exported = run("export", finished, "-o", model, "--precision", "fp32")
    assert (exported.returncode, exported.stdout) == (0, "")
    assert re.search(r": [1-9]\d* kB, confidence not calibrated: .*\n$", exported.stderr)
    reports = []
    for path in (finished, model):
        translations = tmp_path / f"{path.name}.txt"
        done = run("evaluate", path, "--corpus", corpus / "valid", "--json", "-o", translations)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert report["sentences"] == 8
        names = [score["name"] for score in report["scores"]]
        assert names == ["BLEU", "chrF", "BLEU, lower-cased"]
        assert all("version:" in score["signature"] for score in report["scores"])
        assert translations.read_text().count("\n") == 8
        reports.append(report["scores"])
    assert reports[0] == reports[1]  # torch and ONNX Runtime choose the same words
    pruned = run("evaluate", model, "--corpus", corpus / "valid", "--json", "--prune", "9")
    assert json.loads(pruned.stdout)["sentences"] == 8
    table = run("evaluate", finished).stdout  # the test corpus of the recipe
    assert "chrF" in table
    assert all(len(line) <= 80 for line in table.splitlines() if str(finished) not in line)


def test_set_changes_a_setting_and_is_kept(corpus: Path, tmp_path: Path) -> None:
    overrides = ["--set", "training.epochs=1", "--set", "model.cell=gru", "--quiet"]
    done = run("train", corpus / "recipe.toml", "-o", tmp_path / "run", *overrides)
    assert (done.returncode, done.stderr) == (0, "")
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert (recipe["training"]["epochs"], recipe["model"]["cell"]) == (1, "gru")


def test_ctrl_c_saves_and_says_how_to_go_on(corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "the run"
    arguments = ["train", str(corpus / "recipe.toml"), "-o", str(folder)]
    overrides = ["--set", "training.epochs=100000"]
    process = subprocess.Popen(
        [*SEQ2SEQ, *arguments, *overrides], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + TIMEOUT
    while not (folder / "best.safetensors").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    command = shlex.split(stderr.decode().rpartition("\n  ")[2])
    assert command == ["seq2seq", *arguments, *overrides, "--resume"]
    assert b"Traceback" not in stderr
    assert list((folder / "checkpoints").glob("step-*"))
    # `--resume` finds the checkpoint; another number of epochs would be another run.
    assert "training.epochs" in only_error(run("train", *arguments[1:], "--resume"), 2, "seq2seq")


# Bad input


def test_an_unknown_key_names_the_nearest(corpus: Path, tmp_path: Path) -> None:
    done = run("train", corpus / "recipe.toml", "-o", tmp_path / "run", "--set", "training.epoch=1")
    assert "training.epochs" in only_error(done, 2, "seq2seq")
    assert not (tmp_path / "run").exists()


def test_unequal_files_leave_nothing_behind(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("one\ntwo\n")
    (tmp_path / "a.xx").write_text("ONE\n")
    override = f"corpus.train={tmp_path}/a"
    done = run("train", corpus / "recipe.toml", "-o", tmp_path / "run", "--set", override)
    message = only_error(done, 1, "seq2seq")
    assert "a.en" in message
    assert "2" in message
    assert not (tmp_path / "run").exists()


def test_a_vocabulary_that_does_not_fit_the_corpus(corpus: Path, tmp_path: Path) -> None:
    done = run(
        *("train", corpus / "recipe.toml", "-o", tmp_path / "run", "--quiet"),
        *("--set", "tokenizer.vocabulary_size=5000"),
    )
    assert "tokenizer.vocabulary_size" in only_error(done, 1, "seq2seq")
    assert not (tmp_path / "run").exists()


def test_a_second_run_in_the_same_folder_is_refused(corpus: Path, finished: Path) -> None:
    before = (finished / "best.safetensors").read_bytes()
    assert "--resume" in only_error(
        run("train", corpus / "recipe.toml", "-o", finished), 2, "seq2seq"
    )
    assert (finished / "best.safetensors").read_bytes() == before


def test_resuming_what_is_not_a_run(corpus: Path, tmp_path: Path) -> None:
    done = run("train", corpus / "recipe.toml", "-o", tmp_path, "--resume")
    assert "not a training run" in only_error(done, 1, "seq2seq")


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_a_folder_that_is_no_model(command: str, tmp_path: Path) -> None:
    arguments = ["-o", tmp_path / "out"] if command == "export" else ["--corpus", "x"]
    assert str(tmp_path) in only_error(run(command, tmp_path, *arguments), 1, "seq2seq")
    assert not (tmp_path / "out").exists()


def test_damaged_weights_are_named(finished: Path, tmp_path: Path) -> None:
    for name in ("recipe.json", "tokenizer.model", "metrics.jsonl"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    whole = (finished / "best.safetensors").read_bytes()
    (tmp_path / "best.safetensors").write_bytes(whole[: len(whole) // 2])
    message = only_error(run("export", tmp_path, "-o", tmp_path / "out.s2s"), 1, "seq2seq")
    assert "best.safetensors" in message
    assert not (tmp_path / "out.s2s").exists()


def test_evaluate_wants_source_and_reference_together(finished: Path, corpus: Path) -> None:
    assert "--ref" in only_error(
        run("evaluate", finished, "--src", corpus / "valid.en"), 2, "seq2seq"
    )
    done = run("evaluate", finished, "--src", corpus / "valid.en", "--ref", corpus / "train.xx")
    assert "60" in only_error(done, 1, "seq2seq")
    done = run("evaluate", finished, "--src", tmp := corpus / "none.en", "--ref", tmp)
    assert "none.en" in only_error(done, 1, "seq2seq")


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["inspect", "--help"]])
def test_help_on_a_full_disk_is_told(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "seq2seq", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (1, "seq2seq: No space left on device.\n")


def test_the_package_is_the_command() -> None:
    command = [sys.executable, "-m", "seq2seq", "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().startswith("Usage: seq2seq ")
