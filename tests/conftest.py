"""What many tests share: a tiny tokenizer, a tiny corpus on disk, a tiny recipe."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.corpora import make_sentences
from hypothesis import settings

from seq2seq.config.model_config import ModelConfig
from seq2seq.config.recipe import CorpusConfig, Recipe, TokenizerConfig, TrainingConfig
from seq2seq.tokenizer import Tokenizer

torch.set_num_threads(1)
# Background jobs of a shell ignore Ctrl-C, those of nohup a hang-up; and so would all processes
# that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
# The same examples each time, so that a run speaks of the commit; "search" draws new ones.
settings.register_profile("search", deadline=None)
settings.register_profile("seq2seq", deadline=None, derandomize=True)
settings.load_profile("seq2seq")


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own, also for the commands that they start."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQ2SEQ_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A unigram model of 400 pieces, with tags for English and German."""
    config = TokenizerConfig(vocabulary_size=480)
    return Tokenizer.train(make_sentences(400, seed=1), config, ["en", "de"])


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusConfig:
    """A copy task on disk, `train` and `valid`, without a sentence in common."""
    sentences = make_sentences(90, seed=2)
    for name, part in (("train", sentences[:80]), ("valid", sentences[80:])):
        for language in ("en", "de"):
            text = "".join(f"{sentence}\n" for sentence in part)
            (tmp_path / f"{name}.{language}").write_text(text, encoding="utf-8", newline="\n")
    return CorpusConfig("en", "de", train=str(tmp_path / "train"), valid=str(tmp_path / "valid"))


@pytest.fixture
def recipe(corpus: CorpusConfig) -> Recipe:
    """A run of three epochs of some ten steps, with everything random switched on."""
    return Recipe(
        (corpus,),
        TokenizerConfig(vocabulary_size=385, sampling=0.3),
        ModelConfig(hidden_size=16, encoder_layers=1, decoder_layers=2, heads=2),
        TrainingConfig(
            epochs=3,
            batch_tokens=100,
            warmup_steps=5,
            dropout=0.2,
            word_dropout=0.1,
            precision="float32",
            threads=1,
        ),
    )
