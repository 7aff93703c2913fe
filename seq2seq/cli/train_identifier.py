"""`seq2seq train-identifier`: train a language identifier on a recipe's corpora, with a card."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.errors import UsageError, require_extra

if TYPE_CHECKING:
    from seq2seq.training.reporter import ProgressReporter

_TIMED = 500  # sentences
_LINE_STEPS = 500  # steps between lines that report the loss
_MEASURED = re.compile(r"## How good it is\n.*?(?=\n## |\Z)", re.DOTALL)
_NEW_CARD = """# Which language: {languages}

## How good it is

## Licence and attribution

The model was learnt from the corpora of {recipe}: say here what they allow.
"""


@reported_errors("seq2seq")
def train_identifier(
    recipe: Annotated[Path, typer.Argument(help="A recipe with the corpora.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The model, a file that ends in .safetensors.")
    ],
    steps: Annotated[int, typer.Option(min=1, help="Batches to train on.")] = 8_000,
    hidden_size: Annotated[int, typer.Option(min=1, max=512, help="Units of the LSTM.")] = 128,
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    evaluate_only: Annotated[
        bool, typer.Option("--evaluate-only", help="Test an existing model; train nothing.")
    ] = False,
) -> None:
    """Train a language identifier on a recipe's corpora.

    It learns every language of the recipe from the training texts, is calibrated on the validation
    texts, and tested on the test texts. With leakage = "drop" no held-out sentence is learnt. The
    section "How good it is" of its card (the ending .md) is written anew each time.
    """
    require_extra("torch", "train-identifier", "train")
    from seq2seq.config.recipe import Recipe
    from seq2seq.corpus import prepare
    from seq2seq.files import write_file
    from seq2seq.identification.examples import names_of, sentences_of
    from seq2seq.identification.training import IdentifierConfig, train
    from seq2seq.training.reporter import open_reporter

    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: the name of the model must end in .safetensors.")
    corpus = prepare(Recipe.load(recipe).corpus)
    if not corpus.test:
        raise UsageError(f"{recipe}: no corpus has a test text, which the card needs.")
    with open_reporter() as reporter:
        if not evaluate_only:
            config = IdentifierConfig(
                hidden_size=hidden_size, steps=steps, seed=seed, threads=threads
            )
            sentences, valid = sentences_of(corpus.train), sentences_of(corpus.valid)
            for language, texts in sentences.items():
                reporter.say(f"{language}: {len(texts):,} different sentences")
            names = names_of(corpus.train)
            model = train(sentences, valid, names, config, _progress(reporter, steps))
            output.parent.mkdir(parents=True, exist_ok=True)
            write_file(output, model)
        reporter.say("testing")
        measured = _measure(output, sentences_of(corpus.test))
    _write_card(output, recipe, measured)
    typer.echo(measured)


def _progress(reporter: "ProgressReporter", steps: int) -> Callable[[int, float, int], None]:
    """Return a function that reports each step: on a bar, and every `_LINE_STEPS` on a line."""
    started, characters, average = time.monotonic(), 0, 0.0
    reporter.start()

    def report(step: int, loss: float, read: int) -> None:
        nonlocal characters, average
        characters += read
        average = loss if step == 1 else 0.99 * average + 0.01 * loss
        speed = characters / (time.monotonic() - started)
        reporter.advance(step / steps, average, speed)
        if step % _LINE_STEPS == 0 or step == steps:
            reporter.say(f"step {step:,}: loss {average:.3f}, {speed:,.0f} characters/s")

    return report


def _measure(model: Path, test: Mapping[str, Sequence[str]]) -> str:
    """Measure the accuracy, size and speed of a model, and return them as Markdown."""
    from seq2seq.identification import LanguageIdentifier
    from seq2seq.identification.evaluation import WRITTEN, evaluate, table

    identifier = LanguageIdentifier.load(model)
    loading = median(_seconds(partial(LanguageIdentifier.load, model)) for _ in range(9))
    texts = [text for part in test.values() for text in part[: _TIMED // len(test)]]
    asking = median(_seconds(partial(identifier.identify, text)) for text in texts)
    length = median(map(len, texts))
    scores = {name: evaluate(identifier, test, change) for name, change in WRITTEN.items()}
    numbers = ", ".join(f"{language} {len(part):,}" for language, part in test.items())
    return f"""{model.stat().st_size:,} bytes, loaded in {loading * 1e3:.1f} ms. A sentence \
({length:.0f} characters) takes {asking * 1e3:.2f} ms on one core. \
Different test sentences: {numbers}.

{table(scores)}"""


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _write_card(model: Path, recipe: Path, measured: str) -> None:
    """Write the measurements into the card of a model; a new card is made if there is none."""
    from seq2seq.files import write_file
    from seq2seq.identification import LanguageIdentifier

    card = model.with_suffix(".md")
    languages = ", ".join(LanguageIdentifier.load(model).languages)
    text = (
        card.read_text(encoding="utf-8")
        if card.exists()
        else _NEW_CARD.format(languages=languages, recipe=recipe)
    )
    section = (
        f"## How good it is\n\n{measured}\n\nMeasured by `seq2seq train-identifier {recipe} "
        f"-o {model} --evaluate-only`.\n"
    )
    write_file(card, _MEASURED.sub(lambda _: section, text, count=1).encode())
