"""Models of the released format are read, and translate what they did when they were made."""

import json
from pathlib import Path

import pytest

from seq2seq.translation.translator import Translator

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("form", EXPECTED)
def test_golden(form: str) -> None:
    rows = EXPECTED[form]
    translator = Translator(GOLDEN / form, threads=1)
    sources = [row["source"] for row in rows]
    found = translator.translate(sources, protect=False, guard=False)  # the model alone is tried
    assert [one.text for one in found] == [row["text"] for row in rows]
    assert [one.score for one in found] == pytest.approx([row["score"] for row in rows], abs=1e-3)
