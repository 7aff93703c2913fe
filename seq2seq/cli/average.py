"""`seq2seq average`: average several checkpoints of a run into one model."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.options import QuietOption
from seq2seq.errors import UsageError, require_extra


@reported_errors("seq2seq")
def average(
    run: Annotated[Path, typer.Argument(help="The folder of a training run.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The folder of the new run to write.")
    ],
    last: Annotated[
        int | None,
        typer.Option("--last", metavar="N", min=1, help="Average the newest N checkpoints."),
    ] = None,
    best: Annotated[
        int | None,
        typer.Option("--best", metavar="N", min=1, help="Average the N with the best validations."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Average checkpoints of a run into one model.

    What it writes can be evaluated and exported like a run. A run keeps two checkpoints; train with
    --keep N to have more.
    """
    require_extra("torch", "average", "train")
    from seq2seq.training.averaging import average_run

    if (last is None) == (best is None):
        raise UsageError("give either --last or --best.")
    made = average_run(run, output, last=last or 0, best=best or 0)
    if quiet:
        return
    steps = ", ".join(f"{step:,}" for step in made.steps)
    typer.echo(f"{output}: the average of the checkpoints of steps {steps}", err=True)
    figures = made.validation
    if figures:
        typer.echo(
            f"validation BLEU {figures.bleu:.2f}, chrF {figures.chrf:.2f} (greedy), perplexity "
            f"{figures.perplexity:.2f}; the best of the run has BLEU {made.best_bleu:.2f}. Next:",
            err=True,
        )
    else:
        typer.echo("not validated: the validation corpus cannot be read. Next:", err=True)
    for words in (["evaluate", str(output)], ["export", str(output), "-o", f"{output.name}.s2s"]):
        typer.echo(f"  {shlex.join(['seq2seq', *words])}", err=True)
