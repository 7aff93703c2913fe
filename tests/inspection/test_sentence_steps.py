"""Stepping through a sentence: the data of each step, and the page that shows them."""

import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import run_inspect
from helpers.tiny import export, network

from seq2seq.config.model_config import Attention, Cell, ModelConfig
from seq2seq.inspection.loading import open_model
from seq2seq.inspection.sentence_steps import SentenceSteps, sentence_lines, sentence_steps
from seq2seq.nn.cells import BUILT_IN_CELLS

MODEL = Path(__file__).parents[1] / "golden" / "int8"
SENTENCE = "the dog sees the mouse"
HOSTILE = "the <script>alert(1)</script> </script><!-- {{data}} dog & \u2028 cat"


@cache
def steps_of(sentence: str, model: Path = MODEL) -> SentenceSteps:
    opened = open_model(model)
    return sentence_steps(opened, sentence, opened.between(None, None))


class Parsed(HTMLParser):
    """The scripts of a page, and the addresses that it names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.addresses: list[str | None] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")
        self.addresses += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data


def check_shapes(table: dict[str, Any]) -> None:
    source, target = len(table["source"]), len(table["target"])
    assert table["target"][-1] == "</s>"
    assert len(table["read"]) == len(table["beams"]) == len(table["probabilities"]) == target
    for layer in table["layers"]:
        for panel in layer["panels"]:
            assert len(panel["values"]) == (source if layer["part"] == "encoder" else target)
    if table["attention"] is not None:
        np.testing.assert_allclose(np.sum(table["attention"], axis=1), 1, atol=1e-2)
        assert np.shape(table["attention"]) == (target, source)
    for beam in table["beams"]:
        assert sum(hypothesis["best"] for hypothesis in beam) == 1
    [last] = (hypothesis for hypothesis in table["beams"][-1] if hypothesis["best"])
    assert last["text"].removesuffix("</s>").strip() == table["translation"]
    assert sum(np.log(table["probabilities"])) == pytest.approx(last["total"], rel=0.01)


def test_each_step_has_its_gates_attention_and_beam() -> None:
    check_shapes(steps_of(SENTENCE).to_json())


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["multihead", "none"])
@pytest.mark.parametrize("cell", BUILT_IN_CELLS)
def test_each_kind_of_model_is_stepped_through(
    cell: Cell, attention: Attention, tmp_path: Path
) -> None:
    config = ModelConfig(
        cell, attention, hidden_size=16, encoder_layers=1, decoder_layers=1, heads=2
    )
    steps = steps_of("abc de", export(network(config), tmp_path / "m.s2s"))
    table = steps.to_json()
    check_shapes(table)
    assert [panel["name"] for panel in table["layers"][0]["panels"]] == [
        *BUILT_IN_CELLS[cell].shown
    ]
    assert (table["attention"] is None) == (attention == "none")


def test_the_page_has_all_its_data_and_asks_nobody() -> None:
    steps = steps_of(SENTENCE)
    parsed = Parsed(steps.page())
    assert json.loads(parsed.scripts[0]) == steps.to_json()
    assert parsed.addresses == []
    assert not re.search("https?://(?!www.w3.org/2000/svg)", steps.page())


def test_markup_in_the_sentence_stays_text() -> None:
    page = steps_of(HOSTILE).page()
    parsed = Parsed(page)
    assert len(parsed.scripts) == 2
    assert json.loads(parsed.scripts[0])["sentence"] == HOSTILE
    assert "<script>alert" not in page


def test_without_a_page_each_written_token_has_a_line() -> None:
    lines = list(sentence_lines(steps_of(SENTENCE)))
    assert len(lines) == 1 + len(steps_of(SENTENCE).best)
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.slow
def test_the_command_writes_a_page_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    arguments = ["sentence", str(MODEL), SENTENCE]
    assert run_inspect(*arguments, "-o", str(file)) == ""
    assert file.read_text(encoding="utf-8") == steps_of(SENTENCE).page()
    assert json.loads(run_inspect(*arguments, "--json")) == steps_of(SENTENCE).to_json()
    assert "a page is .html" in run_inspect(*arguments, "-o", "page.png", code=2)
