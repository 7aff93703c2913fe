"""One to many: a language goes in, a sentence comes out. A language model with a say in it.

    python docs/examples/one_to_many.py --cell gru

    out            Das        Haus       ist        </s>
                    ^          ^          ^          ^
    state          h1 ------> h2 ------> h3 ------> h4
                    ^          ^          ^          ^
    in            <2de>       Das        Haus       ist

Every word that comes out goes in again; only the first input is given. While it learns, the true
word goes in, whatever it would have said itself (teacher forcing), so a whole sentence is learnt
at once. The decoder of the translator is this model, and what it is told is a sentence.
"""

import math
from collections import Counter
from collections.abc import Iterator
from textwrap import fill
from typing import NamedTuple

import torch
import typer
from common import (
    LANGUAGES,
    CellOption,
    SeedOption,
    StepsOption,
    begin,
    learn,
    print_table,
    read_sample,
    side_by_side,
)
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.cli.exit import reported_errors
from seq2seq.config.model_config import Cell
from seq2seq.config.recipe import TokenizerConfig
from seq2seq.nn.recurrent import RecurrentLayer, State
from seq2seq.tokenizer import EOS_ID, PAD_ID, Tokenizer

LONGEST = 60  # subwords of a sentence that is made up
TEMPERATURES = (0.0, 0.5, 1.0)

_BATCH = 48  # sentences


class Result(NamedTuple):
    """Perplexity of a subword of held-out text by language, and the sentences made up."""

    model: dict[str, float]
    baseline: dict[str, float]
    samples: list[str]


class LanguageModel(nn.Module):
    """P(sentence | language), subword by subword."""

    def __init__(self, cell: Cell, vocabulary_size: int, size: int = 128) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, size)
        self.layer = RecurrentLayer(cell, size, size)
        self.output = nn.Linear(size, vocabulary_size)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """ids (B, T) -> the scores of what comes after each (B, T, V), the last state."""
        states, last = self.layer(self.embedding(ids), state)
        return self.output(states), last

    def loss(self, ids: Tensor) -> Tensor:
        """Teacher forcing: ids (B, T) from the tag to the end -> -log P of each id but the tag."""
        scores, _ = self(ids[:, :-1])
        wanted = ids[:, 1:].flatten()
        return functional.cross_entropy(scores.flatten(0, 1), wanted, ignore_index=PAD_ID)

    @torch.no_grad()
    def sample(self, tag: int, temperature: float) -> Iterator[int]:
        """Draw a sentence: the lower the temperature, the likelier its words; at 0 the best."""
        ids, state = torch.tensor([[tag]]), None
        for _ in range(LONGEST):
            scores, state = self(ids, state)
            last = scores[:, -1]  # (1, V)
            if temperature:
                ids = (last / temperature).softmax(dim=-1).multinomial(1)
            else:
                ids = last.argmax(dim=-1, keepdim=True)
            if ids.item() == EOS_ID:
                return
            yield int(ids.item())


@reported_errors("one_to_many")
def main(cell: CellOption = "lstm", steps: StepsOption = 1200, seed: SeedOption = 1) -> Result:
    """Learn to write either language; see how well it foretells held-out text, and let it write."""
    random = begin(seed)
    train, test = read_sample("train"), read_sample("test")
    texts = [text for part in train.values() for text in part]
    tokenizer = Tokenizer.train(texts, TokenizerConfig(vocabulary_size=800), LANGUAGES)
    tags = {language: tokenizer.language_id(language) for language in LANGUAGES}

    def encoded(part: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {
            language: [[tags[language], *ids, EOS_ID] for ids in tokenizer.encode(part[language])]
            for language in LANGUAGES
        }

    known, held_out = encoded(train), encoded(test)
    rows = [row for part in known.values() for row in part]
    model = LanguageModel(cell, len(tokenizer))
    learn(model, lambda: model.loss(side_by_side(random.sample(rows, _BATCH), PAD_ID)[0]), steps)
    result = Result(
        {language: _perplexity(model, held_out[language]) for language in LANGUAGES},
        {
            language: _unigram_perplexity(known[language], held_out[language], len(tokenizer))
            for language in LANGUAGES
        },
        [],
    )
    table = {"by how frequent it is": result.baseline.values(), cell: result.model.values()}
    print_table("perplexity of a subword, held-out", LANGUAGES, table, ".2f")
    for language in LANGUAGES:
        for temperature in TEMPERATURES:
            print(f"<2{language}>, temperature {temperature}")
            for _ in range(3 if temperature else 1):
                text = tokenizer.decode([*model.sample(tags[language], temperature)])
                copied = "=" if text in train[language] else " "
                print(fill(f"{copied} {text}", 80, subsequent_indent="  "))
                result.samples.append(text)
    print("=: word for word a sentence of the training text")
    return result


@torch.no_grad()
def _perplexity(model: LanguageModel, rows: list[list[int]]) -> float:
    """exp of the mean -log P; as if it chose among so many, all alike."""
    return math.exp(model.loss(side_by_side(rows, PAD_ID)[0]).item())


def _unigram_perplexity(known: list[list[int]], rows: list[list[int]], size: int) -> float:
    """The same of a model that knows how frequent subwords are, and nothing of what was before."""
    counts = Counter(id_ for row in known for id_ in row[1:])
    wanted = [id_ for row in rows for id_ in row[1:]]
    total = counts.total() + size  # one more of each: none is impossible
    return math.exp(-sum(math.log((counts[id_] + 1) / total) for id_ in wanted) / len(wanted))


if __name__ == "__main__":
    typer.run(main)
