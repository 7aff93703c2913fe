"""`seq2seq export`: turn a training run into a model directory."""

from pathlib import Path
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.options import QuietOption
from seq2seq.config.model_config import WeightPrecision
from seq2seq.errors import require_extra


@reported_errors("seq2seq")
def export(
    run: Annotated[Path, typer.Argument(help="The folder of a training run.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The model directory to write, such as mine.s2s.")
    ],
    card: Annotated[
        Path | None,
        typer.Option("--card", help="A model card (Markdown) in place of the default one."),
    ] = None,
    precision: Annotated[
        WeightPrecision,
        typer.Option(
            "--precision", help="int8: small and fast; fp32: as trained, stored in 16 bits."
        ),
    ] = "int8",
    shortlist: Annotated[
        bool,
        typer.Option(help="With int8: consider only likely words for each sentence, faster still."),
    ] = True,
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus",
            help="For int8, in place of the training corpus: a prefix or file of some "
            "thousand pairs.",
        ),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Write a model directory for `translate -m`.

    It is small, and needs no torch.

    int8 needs the training corpus, to measure the range of the activations and to build the
    shortlist.
    """
    require_extra("torch", "export", "train")
    from rich.console import Console

    from seq2seq.training.exporter import export_run

    console = Console(stderr=True, quiet=quiet)
    with console.status("exporting"):
        made = export_run(run, output, card, precision, shortlist, corpus)
    readable = f"{made.size / 1e6:.1f} MB" if made.size >= 1e6 else f"{made.size / 1e3:.0f} kB"
    if quiet:
        return
    lacks = "" if made.calibrated else ", confidence not calibrated: see `seq2seq calibrate`"
    typer.echo(f"{output}: {readable}{lacks}", err=True)
    if precision == "int8" and shortlist and not made.shortlist:
        typer.echo(
            "without a shortlist: the pairs that the model was fine-tuned on are too few to learn "
            "one from; --corpus can name a large corpus.",
            err=True,
        )
