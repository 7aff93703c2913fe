"""Small models with random weights, for the tests of the engines and of the model directory."""

import random
from functools import cache
from pathlib import Path
from typing import get_args

import torch

from seq2seq.config.model_config import Attention, Direction, ModelConfig, SearchConfig
from seq2seq.config.recipe import TokenizerConfig
from seq2seq.model_dir.write import export_model_dir
from seq2seq.nn.model import EncoderDecoder
from seq2seq.tokenizer import Tokenizer

torch.set_num_threads(1)

EN_DE = Direction("en", "de")
EXPORTED_ATTENTION: tuple[Attention, ...] = tuple(
    kind for kind in get_args(Attention) if not ModelConfig(attention=kind).not_exported
)


@cache
def tokenizer(vocabulary_size: int = 420) -> Tokenizer:
    """Learned from made-up words."""
    rng = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 7))) for _ in range(300)]
    sentences = [" ".join(rng.choices(words, k=6)) for _ in range(300)]
    return Tokenizer.train(
        sentences, TokenizerConfig(vocabulary_size=vocabulary_size), ["en", "de"]
    )


def network(config: ModelConfig, seed: int = 1) -> EncoderDecoder:
    """A network whose matrices fit 16 bits, and whose every weight matters."""
    torch.manual_seed(seed)
    model = EncoderDecoder(config, len(tokenizer())).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.3 if parameter.ndim == 1 else 0.5 * parameter.shape[-1] ** -0.5
            parameter.add_(spread * torch.randn_like(parameter))
            if parameter.ndim > 1:
                parameter.copy_(parameter.half().float())
    return model


def corpus(number: int = 60) -> tuple[list[list[int]], list[list[int]]]:
    """Ids of made-up pairs, the tag first in each source."""
    rng = random.Random(2)
    tag = tokenizer().language_id("de")

    def sentences() -> list[list[int]]:
        return [
            rng.choices(range(24, len(tokenizer())), k=rng.randint(1, 9)) for _ in range(number)
        ]

    return [[tag, *ids] for ids in sentences()], sentences()


def export(
    model: EncoderDecoder, output: Path, quantised: bool = False, shortlist: bool = False
) -> Path:
    """The model directory of `model`."""
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    export_model_dir(
        weights,
        model.config,
        tokenizer(),
        [EN_DE],
        SearchConfig(beam_size=3),
        "# Card\n",
        output,
        {EN_DE: corpus()} if quantised else None,
        shortlist,
    )
    return output
