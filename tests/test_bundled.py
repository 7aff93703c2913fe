"""The models of the package, and which of them is asked."""

import json
from pathlib import Path

import pytest

from seq2seq import bundled as shipped
from seq2seq.bundled import SHIPPED_MODEL, shipped_model, shipped_models

GOLDEN = Path(__file__).parent / "golden" / "int8" / "config.json"


@pytest.fixture
def two_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """One from English into German, the default; and one that knows four directions."""
    ways = {"en-de": ["en-de"], "all": ["en-de", "de-en", "en-fr", "fr-en"]}
    for name, directions in ways.items():
        config = json.loads(GOLDEN.read_text())
        config["directions"] = [
            dict(zip(("source", "target"), one.split("-"), strict=True)) for one in directions
        ]
        folder = tmp_path / f"{name}.s2s"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(shipped, "_MODELS", tmp_path)
    monkeypatch.setattr(shipped, "SHIPPED_MODEL", tmp_path / "en-de.s2s")
    return tmp_path / "en-de.s2s", tmp_path / "all.s2s"


def test_there_is_one_and_it_is_the_first() -> None:
    assert shipped_models()[0] == SHIPPED_MODEL == shipped_model()
    assert SHIPPED_MODEL.is_dir()
    assert shipped_model("en", "de") == SHIPPED_MODEL


def test_the_first_that_knows_a_direction(two_models: tuple[Path, Path]) -> None:
    small, large = two_models
    assert shipped_models() == [small, large]
    expected = {
        (None, None): small,
        ("en", None): small,
        (None, "de"): small,
        ("en", "de"): small,
        ("de", None): large,
        (None, "fr"): large,
        ("fr", "en"): large,
        ("de", "fr"): large,  # untrained; it may try
        ("en", "xx"): large,  # it lists what there is
    }
    assert {way: shipped_model(*way) for way in expected} == expected
