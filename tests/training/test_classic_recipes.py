"""The recipes of classic papers train, and those that cannot be exported say so."""

from pathlib import Path

import pytest
from helpers.training_runs import Recorder, complaint, make_small

from seq2seq.config.recipe import Recipe
from seq2seq.errors import UsageError
from seq2seq.training.exporter import export_run
from seq2seq.training.trainer import train

ROOT = Path(__file__).parents[2]
CLASSICS = {
    "bahdanau2015": "model.attention 'additive'",
    "luong2015": "model.attention 'dot'",
    "sutskever2014": None,
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "not_exported"), CLASSICS.items())
def test_a_classic_recipe_trains_a_few_steps_of_the_sample_corpus(
    name: str, not_exported: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(monkeypatch)
    sample = ROOT / "data" / "sample"
    changes = [f"corpus.{part}={sample / part}" for part in ("train", "valid", "test")]
    changes += ["tokenizer.vocabulary_size=500", "model.hidden_size=16", "training.threads=1"]
    recipe = Recipe.load(ROOT / "data" / "recipes" / f"{name}.toml", changes)
    assert recipe.model.not_exported == not_exported
    recorder = Recorder(interrupt_after=4)
    run = tmp_path / "run"
    assert train(recipe, run, recorder).interrupted
    assert len(recorder.losses) == 4
    told = [message for message in recorder.messages if "cannot be exported" in message]
    assert len(told) == (not_exported is not None)
    if not_exported:
        message = complaint(lambda: export_run(run, tmp_path / "m.s2s"), UsageError)
        assert not_exported in message
        assert f"seq2seq evaluate {run}" in message
        assert not (tmp_path / "m.s2s").exists()


@pytest.mark.slow
def test_a_run_with_additive_attention_and_input_feeding_validates(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(monkeypatch)
    changed = Recipe(
        recipe.corpus,
        recipe.tokenizer,
        type(recipe.model)("gru", "additive", 16, 1, 2, 2, input_feeding=True),
        type(recipe.training)(epochs=1, batch_tokens=100, precision="float32", threads=1),
    )
    assert not train(changed, tmp_path / "run", Recorder()).interrupted
    assert (tmp_path / "run" / "best.safetensors").exists()
