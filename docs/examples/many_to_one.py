"""Many to one: characters come in one by one, one answer comes out. Which language is it?

    python docs/examples/many_to_one.py --cell gru

    P(language)                    ^
                                   |
    state    h1 --> h2 --> h3 --> h4       h_t = cell(x_t, h_(t-1))
             ^      ^      ^      ^
    text     D      e      r     ' '

The last state is all that the answer is made from, so the cell has to carry forward whatever tells
the languages apart. Read from left to right, every state is the last one of what was read so far:
one pass over a sentence gives the answer after each of its characters.

The translator asks such a model where its input may be in any language: that one
(`seq2seq.identification`) is larger, reads in both directions, and knows more languages.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
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
)
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.cli.exit import reported_errors
from seq2seq.config.model_config import Cell
from seq2seq.identification import LanguageIdentifier
from seq2seq.identification.alphabet import Alphabet
from seq2seq.identification.training import characters_of
from seq2seq.nn.recurrent import RecurrentLayer

LENGTHS = (2, 3, 4, 6, 8, 12, 1000)  # characters that are read; the last one is all of them

_BATCH = 64  # sentences


class Result(NamedTuple):
    """Shares of right answers, by the number of characters that were read."""

    model: dict[int, float]
    baseline: dict[int, float]


class ManyToOne(nn.Module):
    """Characters to states, and a state to a language."""

    def __init__(self, cell: Cell, characters: int, size: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, size)
        self.layer = RecurrentLayer(cell, size, size)
        self.output = nn.Linear(size, len(LANGUAGES))

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) -> the scores of the languages after each character (B, T, L)."""
        states, _ = self.layer(self.embedding(ids))  # (B, T, H)
        scores: Tensor = self.output(states)
        return scores


@reported_errors("many_to_one")
def main(cell: CellOption = "lstm", steps: StepsOption = 500, seed: SeedOption = 1) -> Result:
    """Learn to tell languages apart; see how much has to be read for it."""
    random = begin(seed)
    train, test = read_sample("train"), read_sample("test")
    alphabet = Alphabet(characters_of(train.values()))
    # Each character has an id as a small and as a capital letter; so have those not known.
    model = ManyToOne(cell, 2 * len(alphabet.characters) + 2)
    pairs = [
        (text, number) for number, language in enumerate(LANGUAGES) for text in train[language]
    ]

    def loss() -> Tensor:
        chosen = random.sample(pairs, _BATCH)
        ids, lengths = alphabet.encode_batch([text for text, _ in chosen])
        scores = model(torch.from_numpy(ids))
        # Asked after any character, so that it learns to answer early, and to hold on to it.
        places = torch.tensor([random.randrange(length) for length in lengths])
        answers = torch.tensor([number for _, number in chosen])
        return functional.cross_entropy(scores[torch.arange(_BATCH), places], answers)

    learn(model, loss, steps)
    result = Result(_right(model, alphabet, test), _right_by_letters(train, test))
    rows = {"bag of letters": result.baseline.values(), cell: result.model.values()}
    print_table("characters read", [*map(str, LENGTHS[:-1]), "all"], rows)
    identifier = LanguageIdentifier.load()
    texts = [(text, language) for language in LANGUAGES for text in test[language]]
    answers = identifier.identify_batch([text for text, _ in texts])
    right = sum(
        answer[0][0] == language for answer, (_, language) in zip(answers, texts, strict=True)
    )
    known = ", ".join(identifier.languages)
    print(f"the identifier that ships ({known}), all characters read: {right / len(texts):.1%}")
    print("\nHow sure it is of German after each character")
    for text in ("In the garden", "Im Garten", "Will er", "Will he"):
        print(_as_it_reads(model, alphabet, text))
    return result


@torch.no_grad()
def _right(model: ManyToOne, alphabet: Alphabet, test: Mapping[str, list[str]]) -> dict[int, float]:
    right = Counter[int]()
    for number, language in enumerate(LANGUAGES):
        ids, lengths = alphabet.encode_batch(test[language])
        answers = model(torch.from_numpy(ids)).argmax(dim=-1)  # (B, T)
        for n in LENGTHS:
            # Place 0 is the space before the first character, and the last one that at the end.
            places = torch.from_numpy(lengths - 1).clamp(max=n)
            right[n] += int((answers[torch.arange(len(ids)), places] == number).sum())
    return {n: right[n] / sum(map(len, test.values())) for n in LENGTHS}


def _right_by_letters(
    train: Mapping[str, Sequence[str]], test: Mapping[str, Sequence[str]]
) -> dict[int, float]:
    """The baseline knows how frequent each character is in each language, and nothing of order."""
    logs = dict[str, dict[str, float]]()
    for language in LANGUAGES:
        counts = Counter("".join(train[language]))
        logs[language] = {c: math.log(number / counts.total()) for c, number in counts.items()}
    rare = -12.0  # of a character that has not come
    right = Counter[int]()
    for language in LANGUAGES:
        for n in LENGTHS:
            for text in test[language]:
                sums = {
                    guess: sum(logs[guess].get(c, rare) for c in text[:n]) for guess in LANGUAGES
                }
                right[n] += max(LANGUAGES, key=sums.__getitem__) == language
    return {n: right[n] / sum(map(len, test.values())) for n in LENGTHS}


@torch.no_grad()
def _as_it_reads(model: ManyToOne, alphabet: Alphabet, text: str) -> str:
    ids, _ = alphabet.encode_batch([text])
    sure = model(torch.from_numpy(ids)).softmax(dim=-1)[0, :, LANGUAGES.index("de")]
    shares = "".join(f"{share:5.0%}" for share in sure[1 : len(text) + 1])
    return "".join(f"{character:>5}" for character in text) + f"\n{shares}\n"


if __name__ == "__main__":
    typer.run(main)
