"""`seq2seq inspect`: pictures, characters, JSON, and one sentence where something is wrong."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run_inspect as run
from helpers.tiny import export, network
from rich.cells import cell_len
from typer.testing import CliRunner

from seq2seq.cli.inspect import app
from seq2seq.config.model_config import Cell, ModelConfig
from seq2seq.inspection.search_tree import Node, SearchTree
from seq2seq.inspection.terminal import heat_map, label, search_lines
from seq2seq.nn.cells import BUILT_IN_CELLS

pytestmark = pytest.mark.slow

MODEL = str(Path(__file__).parents[1] / "golden" / "int8")
SENTENCE = "the dog sees the mouse"
KINDS = ["attention", "gates", "search"]
FEW = {"gates": ["--layer", "decoder.1"]}
"""Fewer maps are drawn sooner."""


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_file_it_is_drawn_in_characters(kind: str) -> None:
    lines = run(kind, MODEL, SENTENCE).splitlines()
    assert len(lines) > 5
    assert all(cell_len(line) <= 80 for line in lines)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_tell_what_they_show(kind: str, tmp_path: Path) -> None:
    for suffix in ("html", "svg", "png"):
        file = tmp_path / f"picture.{suffix}"
        assert run(kind, MODEL, SENTENCE, *FEW.get(kind, []), "-o", str(file)) == ""
        data = file.read_bytes()
        if suffix == "png":
            assert data.startswith(b"\x89PNG")
            assert b"Description" in data
        else:
            assert b"<image" in data or kind == "search"
        if suffix == "svg":
            root = ElementTree.fromstring(data)
            assert root.findtext("{http://www.w3.org/2000/svg}title")
            assert "{http://purl.org/dc/elements/1.1/}description" in {e.tag for e in root.iter()}
        if suffix == "html":
            page = Page()
            page.feed(data.decode())
            assert page.labels[0]
            assert page.labels[0] in page.text
            assert not page.links


class Page(HTMLParser):
    """What a browser would load from elsewhere, the labels of pictures, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.labels: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            here = (value or "").startswith(("#", "data:"))
            if name in ("src", "href", "xlink:href") and not here:
                self.links.append(value or "")
            if tag == "svg" and name == "aria-label":
                self.labels.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_same_data_give_the_same_picture(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.html", "b.html")]
    for file in files:
        run("attention", MODEL, SENTENCE, "-o", str(file))
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_can_be_drawn(kind: str, tmp_path: Path) -> None:
    sentence = "$5 and $6 <b>\t& \\alpha 日本語 ٣ 🙂"
    file = tmp_path / "picture.svg"
    run(kind, MODEL, sentence, *FEW.get(kind, []), "-o", str(file))
    ElementTree.fromstring(file.read_bytes())
    run(kind, MODEL, sentence)


@pytest.mark.parametrize("kind", KINDS)
def test_json_is_beside_the_picture(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "picture.svg"
    table = json.loads(run(kind, MODEL, SENTENCE, "--json", "-o", str(file)))
    assert file.exists()
    assert table["source"][1:] != []


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_states_are_drawn_in_characters_too(cell: Cell, tmp_path: Path) -> None:
    model = ModelConfig(cell, hidden_size=16, encoder_layers=1, decoder_layers=1, heads=2)
    folder = str(export(network(model), tmp_path / "m.s2s"))
    rows = run("gates", folder, "abc de fgh.").splitlines()
    for name in BUILT_IN_CELLS[cell].shown:
        assert sum(f", {name}" in row for row in rows) == 3  # two directions and the decoder
    assert any("how large each state is" in row for row in rows)
    assert any("how open each gate is" in row for row in rows) == (cell != "rnn")
    assert ", hidden" in run("gates", folder, "abc de fgh.", "--gate", "hidden")


def test_what_translate_would_do_is_noted(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["attention", MODEL, "the dog. The cat.", "--json"])
    assert json.loads(result.stdout)["source"]
    note = "translate would translate these 2 parts apart; here they are read as one."
    assert f"seq2seq inspect: note: {note}\n" in result.stderr


def test_odd_bytes_and_odd_names_are_no_fault(tmp_path: Path) -> None:
    for kind in KINDS:
        result = CliRunner().invoke(app, [kind, MODEL, "caf\udce9", "--json"])
        assert "<0xBD>" in json.loads(result.stdout)["source"]  # of U+FFFD
    assert run("search", MODEL, SENTENCE, "-o", str(tmp_path / "tree.PNG")) == ""
    assert (tmp_path / "tree.PNG").read_bytes().startswith(b"\x89PNG")


def test_only_branches_of_the_search_indent() -> None:
    """However long the translation is, lines stay short."""
    nodes = [
        Node(0, None, 1, "▁a", -0.1, -0.1, "kept", None, True),
        Node(1, None, 1, "▁b", -2.0, -2.0, "kept", None, False),
        Node(2, 0, 2, "▁c", -0.1, -0.2, "kept", None, True),
        Node(3, 2, 3, "▁d", -0.1, -0.3, "kept", None, True),
        Node(4, 2, 3, "▁e", -1.0, -1.2, "outside", None, False),
        Node(5, 3, 4, "</s>", -0.1, -0.4, "finished", 0.0, True),
    ]
    tree = SearchTree(("x",), "a c d", 0.0, 2, tuple(nodes))
    assert [*search_lines(tree)][1:] == [
        "<s>",
        "├*a -0.10",
        "│*c -0.20",
        "│├*d -0.30",
        "││*</s> -0.40, finished, score 0.00",
        "│└ e -1.20, dropped: the beam is full",
        "└ b -2.00",
    ]


def test_one_head_one_gate_and_units_of_a_corpus(tmp_path: Path) -> None:
    table = json.loads(run("attention", MODEL, SENTENCE, "--head", "2", "--json"))
    assert table["heads"] == [2]
    assert table["weights"][0] == table["mean"]
    corpus = tmp_path / "sources.txt"
    corpus.write_text("the dog sees the mouse\nthe cat\n" * 30, encoding="utf-8")
    gate = ["--layer", "encoder.1", "--gate", "forget", "--direction", "backwards"]
    arguments = ["gates", MODEL, SENTENCE, *gate, "--corpus", str(corpus)]
    table = json.loads(run(*arguments, "--json"))
    assert len(table["panels"]) == 1
    assert {unit["place"]["gate"] for unit in table["units"]} == {"forget"}
    assert "tokens so far" in run(*arguments)
    run(*arguments, "-o", str(tmp_path / "units.png"))


def test_gradients_are_drawn_and_told(tmp_path: Path) -> None:
    few = ["gradients", "--longest", "5", "--steps", "2", "--quiet"]
    table = json.loads(run(*few, "--json", "-o", str(tmp_path / "gradients.html")))
    assert len(table["curves"]) >= 6
    assert b"vanishing" in (tmp_path / "gradients.html").read_bytes()
    assert "LSTM, forget bias 1" in run(*few, "--distractors")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["attention", MODEL, " "], 2, "the sentence is empty"),
        (["gates", MODEL, ""], 2, "the sentence is empty"),
        (["search", MODEL, "the " * 500], 2, "the sentence is too long"),
        (["attention", MODEL, SENTENCE, "--head", "9"], 2, "there is no head 9"),
        (["attention", MODEL, SENTENCE, "--head", "1", "--head", "1"], 2, "is given twice"),
        (["gates", MODEL, SENTENCE, "--units", "2"], 2, "are for --corpus"),
        (["gates", MODEL, SENTENCE, "--sentences", "9"], 2, "are for --corpus"),
        (["attention", MODEL, SENTENCE, "-o", "picture.jpg"], 2, "is .html, .png or .svg"),
        (["attention", MODEL, SENTENCE, "-o", "none/picture.png"], 2, "cannot be written"),
        (["attention", MODEL, SENTENCE, "-t", "xx"], 2, "does not translate into 'xx'"),
        (["gates", MODEL, SENTENCE, "--layer", "encoder.7"], 2, "no layer 'encoder.7'"),
        (["gates", MODEL, SENTENCE, "--gate", "reset"], 2, "no gate 'reset'"),
        (["gates", MODEL, SENTENCE, "--corpus", "none.tsv"], 1, "none.tsv"),
        (
            ["gates", MODEL, SENTENCE, "--corpus", "none"],
            1,
            "sentences will do, too, but there is no none.",
        ),
        (["search", "none.s2s", SENTENCE], 1, "not there"),
        (["gradients", "-o", "picture.gif"], 2, "is .html, .png or .svg"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(
    arguments: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in run(*arguments, code=code)


def test_a_picture_without_matplotlib_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message = run("attention", MODEL, SENTENCE, "-o", "picture.png", code=1)
    assert "a picture needs matplotlib: pip install 'seq2seq[inspect]'" in message
    assert "gradients needs torch: pip install 'seq2seq[train]'" in run("gradients", code=1)


def test_characters_and_json_need_neither_torch_nor_matplotlib() -> None:
    script = (
        "import sys; from typer.testing import CliRunner\n"
        "import seq2seq.cli.main, seq2seq.cli.inspect as inspect\n"
        f"for kind in {KINDS}:\n"
        f"    result = CliRunner().invoke(inspect.app, [kind, {MODEL!r}, {SENTENCE!r}])\n"
        "    assert result.exit_code == 0, result.output\n"
        "print(*{'torch', 'matplotlib', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("\n", "")


def test_pictures_need_no_torch(tmp_path: Path) -> None:
    script = (
        "import sys; from typer.testing import CliRunner\n"
        "import seq2seq.cli.inspect as inspect\n"
        f"CliRunner().invoke(inspect.app, ['search', {MODEL!r}, {SENTENCE!r}, '-o', 'a.png'])\n"
        "print('matplotlib' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "True False\n", done.stderr
    assert (tmp_path / "a.png").exists()


def columns(number: int) -> Iterator[str]:
    return (f"▁word{i}" for i in range(number))


@pytest.mark.parametrize("number", [1, 30, 60, 200])
def test_a_heat_map_fits_80_columns(number: int) -> None:
    names = [label(name) for name in columns(number)]
    values = np.linspace(0, 1, 3 * number).reshape(3, number)
    lines = list(heat_map(["a", "日本語", "x" * 50], names, values, ["100% word"] * 3))
    assert all(cell_len(line) <= 80 for line in lines)
    assert sum(line.startswith("日本語") for line in lines) >= 1 + (number > 60)
    assert "".join(lines).count("█") >= 1


def test_labels_show_where_words_begin() -> None:
    assert [label(one) for one in ("▁dog", "s", ",", "▁", "</s>", "<0x3A>")] == [
        "dog",
        "·s",
        ",",
        "space",
        "</s>",
        "<0x3A>",
    ]
    assert label("▁" + "x" * 30) == "x" * 13 + "…"
