"""`seq2seq calibrate`: calibrate a model, so that its scores give a confidence."""

from pathlib import Path
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.options import AnyFromOption, AnyToOption, QuietOption, ThreadsOption
from seq2seq.errors import Seq2SeqError, UsageError


@reported_errors("seq2seq")
def calibrate(
    model: Annotated[Path, typer.Argument(help="An exported model directory.")],
    corpus: Annotated[
        str | None,
        typer.Option("--corpus", help="Held-out pairs of one direction: a prefix or a file."),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe", help="A recipe whose validation sets are used, in all directions."
        ),
    ] = None,
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Calibrate a model's confidence.

    Held-out pairs show how good translations of each score are; `seq2seq export` uses the
    validation corpus. Directions without such pairs keep the calibration they have.
    """
    from rich.console import Console

    from seq2seq.calibration import calibrate as measure
    from seq2seq.config.model_config import choose_direction
    from seq2seq.config.recipe import Recipe
    from seq2seq.corpus import DirectedText, read_parallel, read_validation
    from seq2seq.model_dir.write import add_calibrations
    from seq2seq.translation.translator import Translator

    if (corpus is None) == (recipe is None):
        raise UsageError("give either --corpus or --recipe.")
    translator = Translator(model, threads)
    if recipe is not None:
        texts = read_validation(Recipe.load(recipe).corpus)
    else:
        assert corpus is not None
        way = choose_direction(translator.directions, source_language, target_language)
        texts = (DirectedText(way, read_parallel(corpus, way.source, way.target)),)
    with Console(stderr=True, quiet=quiet).status("translating"):
        calibrations = measure(translator, texts)
    if not calibrations:
        raise Seq2SeqError("there are too few held-out pairs: a few hundred are needed.")
    add_calibrations(model, calibrations)
    if not quiet:
        directions = ", ".join(str(calibration.direction) for calibration in calibrations)
        typer.echo(f"{model}: calibrated for {directions}", err=True)
