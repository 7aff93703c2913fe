"""Diagrams: whole SVG files that are told in words, and the shapes and sizes that they give."""

import re
import xml.etree.ElementTree as ElementTree
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from helpers import tiny
from typer.testing import CliRunner

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.cli.inspect import app
from seq2seq.config.model_config import Cell, ModelConfig
from seq2seq.errors import UsageError
from seq2seq.inspection.diagrams import DIAGRAMS, diagram, model_lines, parts_of
from seq2seq.inspection.loading import open_model
from seq2seq.inspection.numpy_model import Network
from seq2seq.nn.cells import BUILT_IN_CELLS

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = Path(__file__).parents[2] / "docs" / "guide" / "figures"
LEGIBLE = 11 * 96 / 72
"""Pixels: 11 points."""


def network(config: ModelConfig) -> Network:
    state = tiny.network(config).state_dict()
    return Network(config, {name: weight.numpy() for name, weight in state.items()})


@pytest.fixture(scope="module")
def drawn() -> Network:
    return network(ModelConfig("gru", hidden_size=16, encoder_layers=3, decoder_layers=1, heads=2))


@pytest.mark.parametrize("cell", BUILT_IN_CELLS)
def test_the_parts_have_all_parameters_of_the_model(cell: Cell) -> None:
    config = ModelConfig(cell, hidden_size=16, encoder_layers=2, decoder_layers=2, heads=4)
    total = sum(weight.numel() for weight in tiny.network(config).parameters())
    parts = parts_of(network(config))
    assert sum(part.parameters for part in parts) == total
    assert all(part.parameters for part in parts)
    assert model_lines(network(config))[-1].split() == ["all", f"{total:,}"]


def test_a_model_without_attention_has_none_drawn() -> None:
    plain = network(ModelConfig("rnn", "none", hidden_size=16, heads=2))
    assert "attention" not in [part.name for part in parts_of(plain)]
    assert "attention" not in diagram(plain, "model").svg()
    assert "attention" not in diagram(plain, "encoder-decoder").svg()


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_is_told_in_words_and_follows_a_dark_screen(name: str, drawn: Network) -> None:
    text = diagram(drawn, name).svg()
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert len(description.text or "") > 100
    assert "@media (prefers-color-scheme: dark)" in text


def test_a_notebook_shows_a_diagram_with_its_words_and_its_styles_apart(drawn: Network) -> None:
    canvas = diagram(drawn, "gru")
    assert canvas._repr_svg_() == canvas.svg()
    shown = canvas._repr_html_()
    image = ElementTree.fromstring(shown.replace('%">', '%"/>'))
    assert image.get("alt") == canvas.description
    assert "<style" not in shown
    data = image.get("src", "").removeprefix("data:image/svg+xml;base64,")
    assert b64decode(data).decode() == canvas.svg()


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_can_be_read_in_a_room(name: str, drawn: Network) -> None:
    text = diagram(drawn, name).svg()
    root = ElementTree.fromstring(text)
    width, height = int(root.get("width", 0)), int(root.get("height", 0))
    sizes = [int(size) for size in re.findall(r"font(?:-size)?: (\d+)px", text)]
    assert min(sizes) * min(1, 1200 / width) >= LEGIBLE
    for element in root.iter(f"{SVG}text"):
        x, y = float(element.get("x", -1)), float(element.get("y", -1))
        assert 0 < x < width
        assert 10 <= y <= height - 10
    for element in root.iter(f"{SVG}rect"):
        x, across = float(element.get("x", 0)), float(element.get("width", 0))
        assert x >= 0
        assert x + across <= width


def contrast(one: str, other: str) -> float:
    """By WCAG 2, of two colours such as #1a1a1a."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_colours_can_be_read_in_light_and_in_dark(drawn: Network) -> None:
    text = diagram(drawn, "lstm").svg()
    schemes = [dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in text.split("@media", 1)]
    assert schemes[0].keys() == schemes[1].keys()
    for colours in schemes:
        for face in ("paper", "plain", "gate", "state"):
            assert contrast(colours["ink"], colours[face]) >= 7
        for line in ("quiet", "gate-edge", "state-edge"):
            assert contrast(colours[line], colours["paper"]) >= 4.5


def test_a_diagram_that_there_is_not_is_told(drawn: Network) -> None:
    with pytest.raises(UsageError, match="there is no diagram 'car'; there is model, shapes, unit"):
        diagram(drawn, "car")


def test_the_command_draws_a_file_and_tells_the_parts(tmp_path: Path) -> None:
    file = tmp_path / "model.svg"
    told = CliRunner().invoke(app, ["model", str(DEFAULT_MODEL), "-o", str(file)])
    assert (told.exit_code, told.output) == (0, "")
    assert "LSTM encoder-decoder" in file.read_text()
    told = CliRunner().invoke(app, ["model", str(DEFAULT_MODEL)])
    assert told.output.startswith("part ")
    wrong = CliRunner().invoke(app, ["model", str(DEFAULT_MODEL), "-o", "model.png"])
    assert wrong.exit_code == 2


def test_the_diagrams_of_the_guide_are_those_drawn_now() -> None:
    """Where this fails, run `python docs/guide/build.py --only NAME`."""
    network = open_model(DEFAULT_MODEL).network
    differ = [
        name
        for name in DIAGRAMS
        if diagram(network, name).svg() != (FIGURES / f"{name}.svg").read_text(encoding="utf-8")
    ]
    assert differ == []
