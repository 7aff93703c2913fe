"""The models of the package, and which of them is asked."""

import json
from pathlib import Path

import pytest

from seq2seq import bundled
from seq2seq.bundled import DEFAULT_MODEL, bundled_model, bundled_models
from seq2seq.errors import UsageError

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
    monkeypatch.setattr(bundled, "_MODELS", tmp_path)
    monkeypatch.setattr(bundled, "DEFAULT_MODEL", tmp_path / "en-de.s2s")
    return tmp_path / "en-de.s2s", tmp_path / "all.s2s"


def test_there_is_one_and_it_is_the_first() -> None:
    assert bundled_models()[0] == DEFAULT_MODEL == bundled_model()
    assert DEFAULT_MODEL.is_dir()
    assert bundled_model("en", "de") == DEFAULT_MODEL


def test_the_first_that_knows_a_direction(two_models: tuple[Path, Path]) -> None:
    small, large = two_models
    assert bundled_models() == [small, large]
    expected = {
        (None, None): small,
        ("en", None): small,
        (None, "de"): small,
        ("en", "de"): small,
        ("de", None): large,
        (None, "fr"): large,
        ("fr", "en"): large,
        ("FR", "en-GB"): large,
    }
    assert {way: bundled_model(*way) for way in expected} == expected


@pytest.mark.usefixtures("two_models")
@pytest.mark.parametrize("way", [("de", "fr"), ("en", "xx")])
def test_a_direction_that_no_bundled_model_was_trained_for_is_refused(way: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="the directions are en-de, en-de, de-en, en-fr, fr-en"):
        bundled_model(*way)
