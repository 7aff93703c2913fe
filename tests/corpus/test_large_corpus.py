"""A large corpus is learnt like a small one; only where it lies is different."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.corpora import make_sentences
from helpers.training_runs import Recorder, make_small, with_training

from seq2seq.config.model_config import Direction
from seq2seq.config.recipe import Recipe
from seq2seq.corpus import Corpus, CorpusReport, DirectedText, ParallelText, cache
from seq2seq.corpus import filters as checking
from seq2seq.corpus.prepare import tokenizer_sentences
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.trainer import train
from seq2seq.training.training_pairs import TrainingPairs

pytestmark = pytest.mark.slow


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Treats every text as a large one; the cache."""
    monkeypatch.setenv("SEQ2SEQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SMALL", -1)
    monkeypatch.setattr(checking, "MANY", 0)
    return tmp_path / "cache"


def spoil(recipe: Recipe) -> None:
    """Take a target out of the training text, and repeat a pair."""
    for language, line in (("en", "One."), ("de", "")):
        path = Path(f"{recipe.corpus[0].train}.{language}")
        lines = path.read_text(encoding="utf-8").splitlines()
        lines[3] = line
        lines += lines[7:8]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_where_a_corpus_lies_changes_nothing(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    make_small(monkeypatch)
    recipe = with_training(recipe, epochs=1)
    recipe = replace(recipe, corpus=(replace(recipe.corpus[0], duplicate="drop"),))
    spoil(recipe)
    small, mapped = Recorder(), Recorder()
    train(recipe, tmp_path / "small", small)
    folder = request.getfixturevalue("large")
    train(recipe, tmp_path / "large", mapped)
    assert {path.name.partition("-")[0] for path in folder.iterdir()} == {"check", "text"}
    assert mapped.messages == small.messages
    assert "81 pairs, 2 of them dropped" in small.messages[0]
    assert mapped.losses == small.losses
    for name in ("tokenizer.model", "best.safetensors"):
        one, other = ((tmp_path / run / name).read_bytes() for run in ("small", "large"))
        assert one == other


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_order_does_not_depend_on_where_it_lies(
    temperature: float, recipe: Recipe, tokenizer: Tokenizer, request: pytest.FixtureRequest
) -> None:
    recipe = with_training(recipe, temperature=temperature)
    texts = [
        DirectedText(Direction("en", language), ParallelText("", sentences, sentences))
        for language, sentences in (("de", make_sentences(30, 1)), ("en", make_sentences(5, 2)))
    ]

    def orders() -> list[list[int]]:
        pairs = TrainingPairs(texts, tokenizer, recipe)
        return [pairs._order(epoch).tolist() for epoch in (0, 1, 0)]

    expected = orders()
    assert expected[0] == expected[2] != expected[1]
    request.getfixturevalue("large")
    assert orders() == expected


class TestTokenizerSentences:
    """What subwords are learnt from."""

    TEXT = ParallelText(
        "train", ["one", "two", "one", "\u201cthree\u201d"] * 5, [f"Satz {n}" for n in range(20)]
    )

    def sentences(self, recipe: Recipe, most: int = 100) -> list[str]:
        directed = (DirectedText(recipe.directions[0], self.TEXT),)
        corpus = Corpus(directed, (), (), CorpusReport(()))
        return list(tokenizer_sentences(recipe, corpus, most))

    def test_all_different_ones_of_a_small_corpus(self, recipe: Recipe) -> None:
        assert self.sentences(recipe) == ["one", "two", '"three"', *self.TEXT.target]

    def test_some_of_a_large_corpus_evenly(self, recipe: Recipe) -> None:
        expected = ["one", *(f"Satz {n}" for n in (0, 4, 8, 12, 16))]
        assert self.sentences(recipe, most=5) == expected
