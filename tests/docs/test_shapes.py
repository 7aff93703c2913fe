"""The four shapes of sequence model: each learns more than its baseline, the same every time."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seq2seq.corpus import read_lines

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SHAPES = ROOT / "docs" / "examples"
SAMPLE = ROOT / "data" / "sample"
NAMES = ("common", "many_to_many", "many_to_one", "one_to_many", "one_to_one")

SMALL: dict[str, dict[str, Any]] = {
    "many_to_many": {"cell": "rnn", "epochs": 8},
    "many_to_one": {"steps": 120},
    "one_to_many": {"steps": 80},
    "one_to_one": {"steps": 300},
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    """The scripts as modules, over the beginning of the sample corpus."""
    folder = tmp_path_factory.mktemp("sample")
    for part, number in (("train", 800), ("valid", 20), ("test", 40)):
        for language in ("en", "de"):
            lines = list(read_lines(SAMPLE / f"{part}.{language}"))[:number]
            text = "".join(f"{line}\n" for line in lines)
            (folder / f"{part}.{language}").write_text(text, encoding="utf-8", newline="\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SHAPES)
        modules = {name: importlib.import_module(name) for name in NAMES}
        for name in ("common", "many_to_many"):
            patch.setattr(modules[name], "SAMPLE", folder)
        yield modules
    for name in NAMES:
        del sys.modules[name]


def run(scripts: dict[str, ModuleType], name: str, **changes: Any) -> Any:
    """What comes of a lesson with small settings."""
    settings = {"cell": "lstm", "seed": 1} | SMALL[name] | changes
    return scripts[name].main(**settings)


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_gives_the_same_lines(
    name: str, scripts: dict[str, ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    few = {"epochs" if name == "many_to_many" else "steps": 1}
    outputs = []
    for _ in range(2):
        result = run(scripts, name, **few)
        outputs.append((result, capsys.readouterr().out))
    assert outputs[0] == outputs[1]
    assert all(len(line) <= 80 for line in outputs[0][1].splitlines())


def test_many_to_many_learns(scripts: dict[str, ModuleType]) -> None:
    result = run(scripts, "many_to_many")
    assert result.model > result.source
    assert len(set(result.translations)) > 10


def test_many_to_one_learns(scripts: dict[str, ModuleType]) -> None:
    result = run(scripts, "many_to_one")
    assert result.model[1000] > 0.9
    assert sum(result.model.values()) > sum(result.baseline.values())


def test_one_to_many_learns(scripts: dict[str, ModuleType]) -> None:
    result = run(scripts, "one_to_many")
    assert all(result.model[one] < 0.9 * result.baseline[one] for one in ("en", "de"))
    assert len(result.samples) == 14


def test_one_to_one_learns(scripts: dict[str, ModuleType]) -> None:
    results = run(scripts, "one_to_one")
    model, by_word, majority = (results[one] for one in ("lstm", "by word", "majority"))
    assert model.tags > by_word.tags > majority.tags
    assert model.capitals > by_word.capitals > majority.capitals == 0
    assert model.marks > by_word.marks > majority.marks == 0


@pytest.mark.parametrize("name", ["many_to_one", "one_to_many", "one_to_one"])
@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_every_cell_takes_every_shape(
    name: str, cell: str, scripts: dict[str, ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    run(scripts, name, cell=cell, steps=2)
    assert f"\n{cell} " in (out := capsys.readouterr().out) or f" {cell}\n" in out


def test_what_is_taken_apart_is_put_together(scripts: dict[str, ModuleType]) -> None:
    script = scripts["one_to_one"]
    for text in ("Is he here, NASA? No! I am.", "Er isst gern Äpfel.", "o.k. ... ?"):
        assert script.put_together(*script.take_apart(text)) == text
    words, tags = script.take_apart("Is he here, NASA? I am.")
    assert words == ["is", "he", "here", "nasa", "i", "am"]
    assert tags == [5, 0, 1, 13, 5, 2]


def test_measures_of_tags(scripts: dict[str, ModuleType]) -> None:
    script = scripts["one_to_one"]
    text = script.take_apart("Is he here? No, He is.")
    assert script.measure(lambda words: text.tags, [text])[:3] == (1, 1, 1)
    assert script.measure(lambda words: [0] * 6, [text])[:3] == (1 / 6, 0, 0)
    # One capital of three is found, and one that is none; of the marks none.
    found = script.measure(lambda words: [5, 5, 0, 0, 0, 0], [text])
    assert found.capitals == pytest.approx(2 / 5)
    assert found.marks == 0
    assert found.by_tag == {5: 1 / 2, 0: 0, 3: 0, 6: 0, 2: 0}
