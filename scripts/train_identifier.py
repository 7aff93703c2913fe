"""Train a language identifier on the corpora of a recipe, test it, and tell that in its card.

    python scripts/train_identifier.py data/recipes/tatoeba.toml -o languages.safetensors

The recipe says which texts there are: `train` is learnt, `valid` sets how sure the answers are, and
`test` is what the card tells of. Every language of the recipe is one that the model can tell. No
sentence of `valid` or `test` is learnt, from whichever corpus, where the recipe says
`leakage = "drop"`. The card stands beside the model, with the ending .md; the part "How good it is"
is written anew each time, and all else in it stays.

The model that ships is `seq2seq/models/languages.safetensors`, made by the command above.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.config.recipe import Recipe
from seq2seq.corpus import prepare
from seq2seq.errors import UsageError
from seq2seq.files import write_file
from seq2seq.identification import LanguageIdentifier
from seq2seq.identification.evaluation import WRITTEN, evaluate, table
from seq2seq.identification.examples import names_of, sentences_of
from seq2seq.identification.training import IdentifierConfig, train
from seq2seq.training.reporter import ProgressReporter, open_reporter

_TIMED = 500  # sentences
_SAID_EVERY = 500  # steps
_MEASURED = re.compile(r"## How good it is\n.*?(?=\n## |\Z)", re.DOTALL)
_NEW_CARD = """# Which language: {languages}

## How good it is

## Licence and attribution

The model was learnt from the corpora of {recipe}: say here what they allow.
"""


@reported_errors("train_identifier")
def main(
    recipe: Annotated[Path, typer.Argument(help="A recipe with the corpora.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The model, a file that ends in .safetensors.")
    ],
    steps: Annotated[int, typer.Option(min=1, help="Batches to learn from.")] = 8_000,
    hidden_size: Annotated[int, typer.Option(min=1, max=512)] = 128,
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights.")] = 1,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    evaluate_only: Annotated[
        bool, typer.Option("--evaluate-only", help="Test the model that is there; train nothing.")
    ] = False,
) -> None:
    """Train, test, tell."""
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: the name of the model must end in .safetensors.")
    corpus = prepare(Recipe.load(recipe).corpus)
    if not corpus.test:
        raise UsageError(f"{recipe}: no corpus has a test text, which the card needs.")
    with open_reporter() as display:
        if not evaluate_only:
            config = IdentifierConfig(
                hidden_size=hidden_size, steps=steps, seed=seed, threads=threads
            )
            sentences, valid = sentences_of(corpus.train), sentences_of(corpus.valid)
            for language, part in sentences.items():
                display.say(f"{language}: {len(part):,} different sentences")
            report = reporter(display, steps)
            model = train(sentences, valid, names_of(corpus.train), config, report)
            output.parent.mkdir(parents=True, exist_ok=True)
            write_file(output, model)
        display.say("testing")
        measured = measure(output, sentences_of(corpus.test))
    write_card(output, recipe, measured)
    print(measured)


def reporter(display: ProgressReporter, steps: int) -> Callable[[int, float, int], None]:
    """What shows a bar on a terminal, and some lines that stay."""
    started, characters, average = time.monotonic(), 0, 0.0
    display.start()

    def report(step: int, loss: float, read: int) -> None:
        nonlocal characters, average
        characters += read
        average = loss if step == 1 else 0.99 * average + 0.01 * loss
        speed = characters / (time.monotonic() - started)
        display.advance(step / steps, average, speed)
        if step % _SAID_EVERY == 0 or step == steps:
            display.say(f"step {step:,}: loss {average:.3f}, {speed:,.0f} characters/s")

    return report


def measure(model: Path, test: Mapping[str, Sequence[str]]) -> str:
    """How good, how large and how fast a model is, in Markdown."""
    identifier = LanguageIdentifier.load(model)
    loading = median(seconds(partial(LanguageIdentifier.load, model)) for _ in range(9))
    texts = [text for part in test.values() for text in part[: _TIMED // len(test)]]
    asking = median(seconds(partial(identifier.identify, text)) for text in texts)
    length = median(map(len, texts))
    scores = {name: evaluate(identifier, test, change) for name, change in WRITTEN.items()}
    numbers = ", ".join(f"{language} {len(part):,}" for language, part in test.items())
    return f"""{model.stat().st_size:,} bytes, loaded in {loading * 1e3:.1f} ms. A sentence \
({length:.0f} characters) takes {asking * 1e3:.2f} ms on one core. \
Different test sentences: {numbers}.

{table(scores)}"""


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def write_card(model: Path, recipe: Path, measured: str) -> None:
    """Put what was measured into the card of a model, which need not exist."""
    card = model.with_suffix(".md")
    languages = ", ".join(LanguageIdentifier.load(model).languages)
    text = (
        card.read_text(encoding="utf-8")
        if card.exists()
        else _NEW_CARD.format(languages=languages, recipe=recipe)
    )
    part = (
        f"## How good it is\n\n{measured}\n\nMeasured by `python scripts/train_identifier.py "
        f"{recipe} -o {model} --evaluate-only`.\n"
    )
    write_file(card, _MEASURED.sub(lambda _: part, text, count=1).encode())


if __name__ == "__main__":
    typer.run(main)
