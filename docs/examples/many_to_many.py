"""Many to many: a sentence goes in, a sentence of another length comes out. Translation.

    python docs/examples/many_to_many.py --cell gru

    out                                  Wo         ist      </s>
                                          ^          ^         ^
    encoder  h1 <--> h2 <--> h3          s1 ------> s2 -----> s3     decoder
             ^       ^       ^            ^          ^         ^
    in     where     is      it          <s>         Wo       ist

It is the two other shapes, one behind the other: what many-to-one has read, one-to-many writes. And
the decoder need not have it all from one state: the attention looks back at each word of the source
(`--attention none` takes that away). All of it is what the toolkit does anyway, so this lesson only
calls it: `train` as `seq2seq train` does, and `Translator` as everybody does.
"""

import operator
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill
from typing import Annotated, NamedTuple

import typer
from common import SAMPLE, CellOption, SeedOption, begin, print_table, read_sample

from seq2seq.bleu_chrf import corpus_bleu
from seq2seq.cli.exit import reported_errors
from seq2seq.config.model_config import Attention
from seq2seq.config.recipe import Recipe
from seq2seq.evaluation.test_sets import open_translator
from seq2seq.training.reporter import open_reporter
from seq2seq.training.trainer import train

RECIPE = SAMPLE.parent / "recipes" / "sample.toml"


class Result(NamedTuple):
    """BLEU of the test sentences."""

    model: float
    source: float  # of the English as it is
    nearest: float  # of the German of the learnt English sentence that is most like it
    translations: list[str]


@reported_errors("many_to_many")
def main(
    cell: CellOption = "lstm",
    epochs: Annotated[int, typer.Option(min=1, help="Times that all pairs are learnt.")] = 6,
    attention: Annotated[Attention, typer.Option(help="Whether the decoder looks back.")] = (
        "multihead"
    ),
    seed: SeedOption = 1,
) -> Result:
    """Learn to translate English to German, and translate held-out sentences."""
    begin(seed)
    changes = {
        **{
            f"corpus.{part}": f'"{(SAMPLE / part).as_posix()}"'
            for part in ("train", "valid", "test")
        },
        "model.cell": cell,
        "model.attention": attention,
        "training.epochs": epochs,
        "training.seed": seed,
        "training.threads": 1,
    }
    recipe = Recipe.load(RECIPE, [f"{key}={value}" for key, value in changes.items()])
    with TemporaryDirectory() as folder, open_reporter() as display:
        run = Path(folder) / "run"
        if train(recipe, run, display).interrupted:  # it tells of each epoch on stderr
            raise KeyboardInterrupt
        translator = open_translator(run)  # of the epoch that was best on `valid`
    known, test = read_sample("train"), read_sample("test")
    translations = [translation.text for translation in translator.translate(test["en"])]
    result = Result(
        corpus_bleu(translations, test["de"], "de"),
        corpus_bleu(test["en"], test["de"], "de"),
        corpus_bleu(_nearest(known, test["en"]), test["de"], "de"),
        translations,
    )
    right = sum(map(operator.eq, translations, test["de"]))
    rows = {
        "the English as it is": [result.source],
        "the German of the nearest sentence in train": [result.nearest],
        cell: [result.model],
    }
    print_table(f"{len(translations)} held-out sentences", ["BLEU"], rows, ".1f")
    print(f"{right} translations are the reference, word for word. The first ones:")
    for n in range(3):
        print()
        for title, text in (
            ("source", test["en"][n]),
            (cell, translations[n]),
            ("reference", test["de"][n]),
        ):
            print(fill(f"{title:<10}{text}", 80, subsequent_indent=" " * 10))
    return result


def _nearest(known: dict[str, list[str]], sources: list[str]) -> list[str]:
    """A translation memory: what stands beside the sentence that shares the most words."""
    memory = [
        ({*source.split()}, target) for source, target in zip(known["en"], known["de"], strict=True)
    ]

    def nearest(words: set[str]) -> str:
        return max(memory, key=lambda pair: len(words & pair[0]) / len(words | pair[0]))[1]

    return [nearest({*source.split()}) for source in sources]


if __name__ == "__main__":
    typer.run(main)
