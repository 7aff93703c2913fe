"""COMET where the user has it; here in its place a module that scores by a rule."""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from helpers.commands import only_error, run_seq2seq

from seq2seq.evaluation.comet_metric import COMET_MODEL, comet_score

MODEL = Path(__file__).parents[1] / "golden" / "int8"


class HalfRight:
    """Gives 1 to a translation that is its reference, and 0 to any other."""

    def predict(self, rows: Sequence[dict[str, str]], batch_size: int, gpus: int) -> object:
        assert [row["src"] for row in rows] == ["a", "b", "c", "d"]
        return SimpleNamespace(scores=[float(row["mt"] == row["ref"]) for row in rows])


@pytest.fixture
def comet(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("comet")
    module.__spec__ = ModuleSpec("comet", None)
    module.download_model = lambda name: f"of {name}"  # type: ignore[attr-defined]
    module.load_from_checkpoint = (  # type: ignore[attr-defined]
        lambda path: HalfRight() if path == f"of {COMET_MODEL}" else None
    )
    monkeypatch.setitem(sys.modules, "comet", module)


@pytest.mark.usefixtures("comet")
def test_comet_is_the_mean_of_its_sentences_times_100_with_an_interval() -> None:
    score = comet_score(["a", "b", "c", "d"], ["x", "y", "z", "z"], ["x", "y", "x", "x"])
    assert score.name == "COMET"
    assert score.score == 50
    assert 25 <= score.interval <= 50
    assert COMET_MODEL in score.signature


@pytest.mark.skipif(importlib.util.find_spec("comet") is not None, reason="COMET is installed")
def test_without_comet_one_sentence_says_how_to_get_it_before_any_work(tmp_path: Path) -> None:
    done = run_seq2seq("evaluate", MODEL, "--metric", "comet", "--corpus", tmp_path / "none.tsv")
    assert only_error(done, 1, "seq2seq") == (
        "seq2seq: --metric comet needs COMET: pip install unbabel-comet\n"
    )
