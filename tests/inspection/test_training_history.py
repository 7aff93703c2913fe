"""How a run went: gates in metrics.jsonl, its picture, its events for TensorBoard."""

import importlib.util
import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny
from helpers.commands import run_inspect as run
from helpers.training_runs import (
    Metrics,
    Recorder,
    assert_same_run,
    make_small,
    read_metrics,
    with_model,
    with_training,
)
from typer.testing import CliRunner

from seq2seq.cli import main
from seq2seq.config.model_config import Cell, ModelConfig
from seq2seq.config.recipe import Recipe
from seq2seq.corpus.batches import Batch, make_batch
from seq2seq.errors import Seq2SeqError
from seq2seq.inspection.activations import places, values_at
from seq2seq.inspection.numpy_model import Network
from seq2seq.training.gate_statistics import gate_sample, gate_statistics
from seq2seq.training.run_dir import RunDir
from seq2seq.training.trainer import train
from seq2seq.training.training_metrics import EventWriter, scalars

pytestmark = pytest.mark.slow

CELLS: list[Cell] = ["lstm", "gru", "rnn"]
HAS_TENSORBOARD = importlib.util.find_spec("tensorboard") is not None
needs_tensorboard = pytest.mark.skipif(
    not HAS_TENSORBOARD, reason="the package tensorboard is not installed"
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def held_out(number: int = 60, each: int = 7) -> list[Batch]:
    sources, targets = tiny.corpus(number)
    lines = np.random.default_rng(3).permutation(number)
    parts = [lines[begin : begin + each] for begin in range(0, number, each)]
    return [
        make_batch(part, [sources[i] for i in part], [targets[i] for i in part]) for part in parts
    ]


@pytest.mark.parametrize("cell", CELLS)
def test_gate_statistics_are_those_of_the_reference_cells(cell: Cell) -> None:
    config = ModelConfig(cell, hidden_size=16, encoder_layers=2, decoder_layers=2, heads=4)
    model = tiny.network(config)
    batch = gate_sample([held_out()])
    assert batch is not None
    found = gate_statistics(model, batch)

    network = Network(config, {name: one.numpy() for name, one in model.state_dict().items()})
    wanted = places(config)
    values: dict[tuple[str, str], list[Any]] = {}
    for row in range(len(batch.lines)):  # one sentence at a time: nothing is padded
        encoded = network.encode(batch.src[row, : batch.src_lengths[row]].tolist())
        ids = batch.tgt_out[row, : batch.tgt_lengths[row] - 1].tolist()
        decoded = network.decode(encoded, ids)
        for place, those in zip(wanted, values_at(wanted, encoded, decoded), strict=True):
            if place.is_gate or cell == "rnn":
                values.setdefault((place.layer_name, place.gate), []).append(those)
    assert {(layer, gate) for layer, gates in found.items() for gate in gates} == values.keys()
    for (layer, gate), parts in values.items():
        all_of_it = np.concatenate(parts)
        expected = (
            {"saturated": (abs(all_of_it) > 0.9).mean()}
            if cell == "rnn"
            else {
                "mean": all_of_it.mean(),
                "open": (all_of_it > 0.9).mean(),
                "closed": (all_of_it < 0.1).mean(),
            }
        )
        assert found[layer][gate] == pytest.approx(expected, abs=2e-4)


def test_a_gate_that_is_always_open_is_told_as_open() -> None:
    model = tiny.network(ModelConfig("lstm", hidden_size=16, encoder_layers=1, decoder_layers=1))
    with torch.no_grad():
        bias = model.get_parameter("decoder.layers.0.fused.bias_ih_l0")
        bias[16:32], bias[48:64] = 50.0, -50.0
    batch = gate_sample([held_out()])
    assert batch is not None
    found = gate_statistics(model, batch)["decoder 1"]
    assert found["forget"] == {"mean": 1.0, "open": 1.0, "closed": 0.0}
    assert found["output"] == {"mean": 0.0, "open": 0.0, "closed": 1.0}
    assert not any(layer._forward_hooks for layer in model.modules())


def test_the_sample_is_small_fixed_and_of_all_texts() -> None:
    texts = [held_out(), held_out(10)]
    sample = gate_sample(texts)
    assert sample is not None
    assert len(sample.lines) == 16 + 10
    whole = gate_sample([held_out(each=60)])
    again = gate_sample([held_out(each=3)])  # whatever the batches
    assert whole is not None
    assert again is not None
    assert len(whole.lines) == 32
    assert (whole.src == again.src).all()
    assert (whole.tgt_out == again.tgt_out).all()
    assert gate_sample([[], []]) is None


@pytest.mark.parametrize("cell", CELLS)
def test_each_validation_tells_of_the_gates(cell: Cell, recipe: Recipe, tmp_path: Path) -> None:
    train(with_model(with_training(recipe, epochs=2), cell=cell), tmp_path / "run", Recorder())
    rows = [row for row in read_metrics(tmp_path / "run") if row["kind"] == "valid"]
    assert len(rows) == 2
    layers = ["encoder 1 forwards", "encoder 1 backwards", "decoder 1", "decoder 2"]
    for row in rows:
        assert list(row["gates"]) == layers
        for gates in row["gates"].values():
            for figures in gates.values():
                assert all(0 <= share <= 1 for share in figures.values())
    assert rows[0]["gates"] != rows[1]["gates"] or cell == "rnn"


def test_without_a_pair_short_enough_there_are_no_gates(recipe: Recipe, tmp_path: Path) -> None:
    for language in ("en", "de"):
        text = f"{'ka lo mi. ' * 500}\n"
        (tmp_path / f"valid.{language}").write_text(text, encoding="utf-8")
    train(with_training(recipe, epochs=1), tmp_path / "run", Recorder())
    [row] = [row for row in read_metrics(tmp_path / "run") if row["kind"] == "valid"]
    assert row["gates"] == {}
    run("training", str(tmp_path / "run"), "-o", str(tmp_path / "curve.png"))


def make_rows(cell: Cell = "lstm", validations: int = 3, directions: int = 1) -> Metrics:
    gates = {"lstm": ("forget", "update", "output"), "gru": ("reset", "update"), "rnn": ()}[cell]
    figures = {name: {"mean": 0.5, "open": 0.25, "closed": 0.125} for name in gates}
    told = figures or {"hidden": {"saturated": 0.75}}
    rows: Metrics = [
        {
            "kind": "train",
            "step": step,
            "epoch": 1 + step // 200,
            "loss": 500 / step,
            "nll": 400 / step,
            "learning_rate": 1 / step,
            "time": float(step),
        }
        for step in range(50, 100 * validations + 1, 50)
    ]
    for number in range(1, validations + 1):
        bleus = {f"en-{'xyz'[i]}{i}": 10.0 * number + i for i in range(directions)}
        rows.append(
            {
                "kind": "valid",
                "step": 100 * number,
                "epoch": number,
                "nll": 4 / number,
                "perplexity": 9.0,
                "bleu": sum(bleus.values()) / directions,
                "bleu_by_direction": bleus,
                "gates": {"encoder 1 forwards": told, "decoder 1": told},
                "time": 100 * number + 0.5,
            }
        )
    return sorted(rows, key=lambda row: row["time"])


def write_rows(folder: Path, rows: Metrics) -> str:
    folder.mkdir(exist_ok=True)
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
    return str(folder)


def texts_of(svg: bytes) -> Counter[str]:
    root = ElementTree.fromstring(svg)
    return Counter("".join(one.itertext()) for one in root.iter() if one.tag.endswith("}text"))


@pytest.mark.parametrize(
    ("cell", "titles"),
    [
        ("lstm", ["forget gate, mean", "update (input) gate, nearly open", "output gate, mean"]),
        ("gru", ["reset gate, nearly closed", "update gate, mean"]),
        ("rnn", ["hidden state, saturated"]),
    ],
)
def test_the_picture_has_every_curve_with_its_unit(
    cell: Cell, titles: list[str], tmp_path: Path
) -> None:
    folder, file = write_rows(tmp_path / "mine", make_rows(cell)), tmp_path / "curve.svg"
    assert run("training", folder, "-o", str(file)) == ""
    texts = texts_of(file.read_bytes())
    units = ["loss (nats per target token)", "BLEU (of 100)", "learning rate (no unit)"]
    for text in [*titles, *units, "decoder 1", "encoder 1 forwards", "en-x0"]:
        assert texts[text] == 1, text
    page = tmp_path / "curve.html"
    run("training", folder, "-o", str(page))
    text = page.read_text(encoding="utf-8")
    assert 'role="img"' in text
    assert "best 30.00 at step 300" in text
    run("training", folder, "-o", str(tmp_path / "curve.png"))
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_each_direction_has_a_curve(tmp_path: Path) -> None:
    folder, file = write_rows(tmp_path / "mine", make_rows(directions=3)), tmp_path / "curve.svg"
    run("training", folder, "-o", str(file))
    texts = texts_of(file.read_bytes())
    assert [texts[name] for name in ("en-x0", "en-y1", "en-z2", "mean")] == [1, 1, 1, 1]
    assert b"en-x0 30.00, en-y1 31.00" in file.read_bytes()


def test_several_runs_are_in_the_same_plots_and_in_one_table(tmp_path: Path) -> None:
    folders = [
        write_rows(tmp_path / name, make_rows(validations=number))
        for name, number in (("first", 2), ("second", 3))
    ]
    young = write_rows(tmp_path / "young", make_rows()[:1])
    file = tmp_path / "curves.svg"
    assert run("training", *folders, "-o", str(file)) == ""
    texts = texts_of(file.read_bytes())
    for text in ("first", "second", "Validation BLEU, greedy", "Validation loss"):
        assert texts[text] == 1, text
    head, *lines = run("training", *folders, young).splitlines()
    assert head.split() == ["run", "steps", "best", "at", "BLEU", "chrF", "perplexity"]
    assert [line.split() for line in lines] == [
        ["first", "200", "200", "20.00", "-", "9.00"],
        ["second", "300", "300", "30.00", "-", "9.00"],
        ["young", "50", "no", "validation", "yet"],
    ]
    table = json.loads(run("training", *folders, "--json"))
    assert [each["run"] for each in table["runs"]] == ["first", "second"]


def test_the_same_rows_give_the_same_picture(tmp_path: Path) -> None:
    folder = write_rows(tmp_path / "mine", make_rows())
    for name in ("a.svg", "b.svg"):
        run("training", folder, "-o", str(tmp_path / name))
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_characters_and_json_tell_the_rows(tmp_path: Path) -> None:
    rows = make_rows()
    back = {"kind": "rollback", "step": 100, "failed_step": 180, "reason": "x", "time": 150}
    rows.insert(5, back)
    folder = write_rows(tmp_path / "mine", rows)
    table = json.loads(run("training", folder, "--json"))
    assert (table["run"], table["steps"], table["epochs"]) == ("mine", 300, 3)
    assert table["best_step"] == 300
    assert table["rollbacks"] == [back]
    assert [*table["train"], *table["validations"]] == [
        row for kind in ("train", "valid") for row in rows if row["kind"] == kind
    ]
    lines = run("training", folder).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert [line.split()[0] for line in lines if "9.00" in line] == ["100", "200", "300"]
    assert "went back from step 180 to 100" in lines
    assert "0.50  25%  12%" in lines[-1]
    assert run("training", str(tmp_path / "mine" / "metrics.jsonl")).splitlines() == lines
    run("training", folder, "-o", str(tmp_path / "curve.png"))


@pytest.mark.parametrize("kept", ["train", "valid", "neither gates nor directions"])
def test_a_young_run_and_one_of_an_earlier_version(kept: str, tmp_path: Path) -> None:
    rows = [row for row in make_rows() if kept not in ("train", "valid") or row["kind"] == kept]
    if kept not in ("train", "valid"):
        missing = ("gates", "bleu_by_direction")
        rows = [{key: row[key] for key in row if key not in missing} for row in rows]
    folder = write_rows(tmp_path / "mine", rows)
    with (tmp_path / "mine" / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')  # it is being written
    assert json.loads(run("training", folder, "--json"))["steps"] == 300
    assert "mine: 300 steps" in run("training", folder)
    run("training", folder, "-o", str(tmp_path / "curve.svg"))
    assert (b"no validation yet" in (tmp_path / "curve.svg").read_bytes()) == (kept == "train")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "no rows yet"),
        ("[1]\n", "line 1: not a row"),
        ('{"kind": "train", "step": 50}\n', "line 1: not a row"),
        ("\x00\n", "line 1: not a row"),
        ('{"kind": "split", "step": "x"}\n', "line 1: not a row"),
        ('{"kind": "split", "step": Infinity}\n', "line 1: not a row"),
        ('{"kind": "other", "step": 1, "gates": {"decoder 1": [0.5]}}\n', "line 1: not a row"),
        ('{"kind": "other", "step": 1, "gates": {"decoder 1": {}}}\n', "line 1: not a row"),
        ('{"kind": "other", "step": 1, "bleu_by_direction": 3}\n', "line 1: not a row"),
    ],
)
def test_what_is_no_history_is_told_in_one_sentence(
    rows: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "metrics.jsonl").write_text(rows)
    assert message in run("training", str(tmp_path), code=1)


def test_a_folder_that_is_no_run_is_told_in_one_sentence(tmp_path: Path) -> None:
    assert "no metrics.jsonl" in run("training", str(tmp_path), code=1)
    assert "not there" in run("training", str(tmp_path / "none"), code=1)
    assert ".png or .svg" in run("training", str(tmp_path), "-o", "curve.gif", code=2)


def train_by_command(recipe_file: Path, folder: Path) -> str:
    """What it says."""
    arguments = ["train", str(recipe_file), "-o", str(folder), "--quiet"]
    result = CliRunner().invoke(main.app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def recipe_file(recipe: Recipe, tmp_path: Path) -> Path:
    [corpus] = recipe.corpus
    file = tmp_path / "recipe.toml"
    file.write_text(
        f'[corpus]\nsource_language = "en"\ntarget_language = "de"\n'
        f"train = '{corpus.train}'\nvalid = '{corpus.valid}'\n"
        "[tokenizer]\nvocabulary_size = 385\n"
        "[model]\nhidden_size = 16\nencoder_layers = 1\ndecoder_layers = 1\nheads = 2\n"
        "[training]\nepochs = 1\nbatch_tokens = 100\nthreads = 1\n",
        encoding="utf-8",
    )
    return file


def test_train_draws_its_curve(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train_by_command(recipe_file, tmp_path / "run") == ""
    assert (tmp_path / "run" / "curve.png").read_bytes().startswith(b"\x89PNG")

    def fail(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("seq2seq.inspection.plots.training_picture", fail)
    said = train_by_command(recipe_file, tmp_path / "other")  # none the worse
    assert said == f"{tmp_path / 'other' / 'curve.png'}: not drawn: MemoryError\n"
    assert not (tmp_path / "other" / "curve.png").exists()

    find = importlib.util.find_spec
    without = lambda name: None if name == "matplotlib" else find(name)  # noqa: E731
    monkeypatch.setattr("importlib.util.find_spec", without)
    assert train_by_command(recipe_file, tmp_path / "third") == ""
    assert not (tmp_path / "third" / "curve.png").exists()


Points = Counter[tuple[str, int, float, float]]


def read_events(folder: Path) -> Points:
    """All points: name, step, time, value as 32 bits."""
    return Reader(folder).points()


class Reader:
    """What TensorBoard knows of a folder that it keeps looking at."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        self._events = EventAccumulator(str(folder), size_guidance={"scalars": 0})

    def points(self) -> Points:
        self._events.Reload()
        return Counter(
            (tag, one.step, one.wall_time, one.value)
            for tag in self._events.Tags()["scalars"]
            for one in self._events.Scalars(tag)
        )


def points_of(rows: Metrics) -> Points:
    return Counter(
        (tag, row["step"], row["time"], float(np.float32(value)))
        for row in rows
        for tag, value in scalars(row)
    )


def test_every_number_of_a_row_has_a_name() -> None:
    train_row, valid_row = make_rows(validations=1)[0], make_rows(validations=1)[-1]
    assert dict(scalars(train_row))["train/loss"] == 10
    found = dict(scalars(valid_row))
    assert found["valid/bleu"] == 10
    assert found["bleu_by_direction/en-x0"] == 10
    assert found["gates/decoder_1/forget/closed"] == 0.125
    assert "valid/step" not in found
    assert [
        *scalars({"kind": "split", "step": 3, "parts": 2, "left_out": "1 pair", "time": 1})
    ] == [("split/parts", 2)]


@needs_tensorboard
def test_events_are_the_rows_also_where_a_run_was_resumed(recipe: Recipe, tmp_path: Path) -> None:
    recipe = with_training(recipe, checkpoint_every=5)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(recipe, whole, Recorder(), tensorboard=True)
    assert read_events(RunDir(whole).events) == points_of(read_metrics(whole))
    assert train(recipe, parts, Recorder(interrupt_after=9), tensorboard=True).interrupted
    train(recipe, parts, Recorder(interrupt_after=9), resume=True)  # once without
    with (parts / "metrics.jsonl").open("a") as file:  # as a kill leaves it, after a checkpoint
        file.write(json.dumps(read_metrics(parts)[0] | {"step": 999}) + "\n")
    train(recipe, parts, Recorder(), resume=True, tensorboard=True)
    rows = read_metrics(parts)
    assert {row["step"] for row in rows} == {row["step"] for row in read_metrics(whole)}
    found = read_events(RunDir(parts).events)
    assert found == points_of(rows)
    assert max(Counter((tag, step) for tag, step, _, _ in found).values()) == 1
    sizes = [file.stat().st_size for file in RunDir(parts).events.iterdir()]
    assert sum(map(bool, sizes)) == 1  # the others are emptied for who still reads them, and go
    assert len(sizes) <= 2
    assert_same_run(parts, whole)  # and the run is what it is without


@needs_tensorboard
def test_events_of_rows_that_were_taken_back_are_gone(tmp_path: Path) -> None:
    rows = make_rows()
    log, reader = EventWriter(tmp_path, pytest.fail), Reader(tmp_path)
    for row in rows:
        log.write(row)
    assert reader.points() == points_of(rows)  # as they come, not only at the end
    log.rewrite(rows[:4])
    log.write(rows[4])
    assert reader.points() == read_events(tmp_path) == points_of(rows[:5])
    (tmp_path / "events.out.tfevents.1.other").write_text("not ours")
    log.rewrite(rows[:3])
    assert (tmp_path / "events.out.tfevents.1.other").exists()
    (tmp_path / "events.out.tfevents.1.other").unlink()
    assert read_events(tmp_path) == points_of(rows[:3])


@needs_tensorboard
def test_a_run_that_is_over_gets_its_events_by_resuming_it(recipe: Recipe, tmp_path: Path) -> None:
    recipe, folder = with_training(recipe, epochs=1), tmp_path / "run"
    train(recipe, folder, Recorder())
    rows = read_metrics(folder)
    train(recipe, folder, Recorder(), resume=True, tensorboard=True)
    assert read_metrics(folder) == rows
    assert read_events(RunDir(folder).events) == points_of(rows)


@needs_tensorboard
def test_where_events_cannot_be_written_the_run_goes_on(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunDir, "_was_begun", lambda self: True)  # what is there does not stop it
    display = Recorder()
    path = tmp_path / "run"
    path.mkdir()
    (path / "tensorboard").write_text("in the way")
    train(with_training(recipe, epochs=1), path, display, tensorboard=True)
    [message] = [one for one in display.messages if "no more events" in one]
    assert "tensorboard: cannot be written" in message
    assert read_metrics(path)[-1]["kind"] == "valid"


@needs_tensorboard
def test_a_damaged_row_ends_the_events_and_not_the_run(tmp_path: Path) -> None:
    said: list[str] = []
    log = EventWriter(tmp_path, said.append)
    log.rewrite(map(json.loads, ['{"kind": "tr']))
    log.write(make_rows()[0])
    [message] = said
    assert message.endswith("no more events.")


def test_without_tensorboard_is_one_sentence(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        Seq2SeqError, match=r"--tensorboard needs tensorboard: pip install 'seq2seq\[tensorboard\]'"
    ):
        train(recipe, tmp_path / "run", Recorder(), tensorboard=True)
    assert not (tmp_path / "run").exists()
