"""`seq2seq sweep`: train a grid of settings with several seeds, and compare."""

from pathlib import Path
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.options import QuietOption
from seq2seq.errors import Seq2SeqError, UsageError, require_extra

_SHORT_NOTE = "n: seeds; mean ± standard deviation over them."
_NOTE = f"""{_SHORT_NOTE}
p: paired bootstrap resampling of sentences against the first row, means over
the seeds; p < 0.05 is significant. It does not cover training: see how far the
deviations reach, too."""


@reported_errors("seq2seq")
def sweep(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="SWEEP.toml", help="A recipe, seeds, and a [grid] of settings; see the docs."
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The folder of the runs, one for each.")
    ],
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=1, help="Train N runs at once.")
    ] = 1,
    test: Annotated[
        bool,
        typer.Option("--test", help="Also score the best candidate on the test set, and no other."),
    ] = False,
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", metavar="FILE", help="Also write the table as Markdown."),
    ] = None,
    latex: Annotated[
        Path | None,
        typer.Option("--latex", metavar="FILE", help="Also write it as LaTeX, for booktabs."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Train each combination of a grid with each seed, and print a table.

    The same command continues a sweep that was stopped; runs that are done are not trained again.
    """
    require_extra("torch", "sweep", "train")
    from seq2seq.experiments.grid import read_sweep
    from seq2seq.experiments.results import ScoreTable, test_tables, validation_tables
    from seq2seq.experiments.trials import (
        held_out_texts,
        is_done,
        run_trials,
        translate_held_out,
    )
    from seq2seq.files import write_file

    candidates = read_sweep(file)
    trials = [trial for candidate in candidates for trial in candidate.trials]
    if test and any(corpus.test is None for trial in trials for corpus in trial.recipe.corpus):
        raise UsageError(f"{file}: --test needs a recipe that names its test set (corpus.test).")

    def say(message: str) -> None:
        if not quiet:
            typer.echo(message, err=True)

    trained = run_trials(trials, output, jobs, say)
    if trained.stopped_by:
        say("stopped; everything is saved, and the same command continues.")
        raise typer.Exit(128 + trained.stopped_by)
    tables = validation_tables(candidates, output)
    best = tables[0].rows[0].name
    finalist = next(candidate for candidate in candidates if candidate.name == best)
    sections = ["\n".join(table.lines()) for table in tables]
    if test:
        for trial in finalist.trials:
            if is_done(trial, output):
                texts = held_out_texts(trial, "test")
                translate_held_out(trial.run(output), "test", texts)
        finals = test_tables(finalist, output)
        sections += ["\n".join(table.lines()) for table in finals]
        tables += finals
    typer.echo("\n\n".join([*sections, _NOTE if len(candidates) > 1 else _SHORT_NOTE]))
    for path, texts_of in ((markdown, ScoreTable.markdown), (latex, ScoreTable.latex)):
        if path is not None:
            lines = "\n\n".join("\n".join(texts_of(table)) for table in tables)
            write_file(path, f"{lines}\n".encode())
    if trained.failures:
        raise Seq2SeqError(
            f"{len(trained.failures)} of {len(trials)} runs failed, and are missing from the "
            "table; the same command tries them again."
        )
