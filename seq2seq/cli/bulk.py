"""`seq2seq bulk`: translate a table in parts, on all cores or on a cluster."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.models import glossary_of
from seq2seq.cli.options import (
    AnyToOption,
    BeamSizeOption,
    EnsembleOption,
    GlossaryOption,
    IdentifiedFromOption,
    QuietOption,
    combination_of,
)
from seq2seq.errors import require_extra

if TYPE_CHECKING:
    from seq2seq.translation.base import TranslateKeywords


@reported_errors("seq2seq")
def bulk(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="A file of Parquet, Arrow, CSV or JSON lines, or a folder of them."
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="A folder for the partitions.")],
    engine: Annotated[
        Literal["local", "ray", "spark"],
        typer.Option("--engine", help="local: processes on this machine; ray, spark: a cluster."),
    ] = "local",
    column: Annotated[
        str, typer.Option("--column", metavar="NAME", help="The column to translate.")
    ] = "text",
    into: Annotated[
        str, typer.Option("--into", metavar="NAME", help="The column of the translations.")
    ] = "translation",
    models: Annotated[
        list[Path] | None,
        typer.Option("-m", "--model", metavar="DIR", help="A model. Several form an ensemble."),
    ] = None,
    ensemble: EnsembleOption = None,
    source_language: IdentifiedFromOption = None,
    target_language: AnyToOption = None,
    beam_size: BeamSizeOption = None,
    glossary: GlossaryOption = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Most rows of a partition.")] = 10_000,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", min=0, max=1024, help="Workers; 0: one per core, or all of the cluster."
        ),
    ] = 0,
    quiet: QuietOption = False,
) -> None:
    """Translate a column of a table, part by part.

    Each part of the output appears whole. To continue after an interruption, give the same
    command again.
    """
    require_extra("filelock", "bulk", "bulk")
    from rich.console import Console
    from rich.progress import track

    from seq2seq.bulk import BatchTranslator
    from seq2seq.bulk.job import open_job

    combination = combination_of(models or (), ensemble)
    options: TranslateKeywords = {
        "source": source_language,
        "target": target_language,
        "beam_size": beam_size,
    }
    decisive = {**options, "ensemble": combination, "glossary": None}
    if glossary:
        options["glossary"] = glossary_of(glossary, models, source_language, target_language)
        decisive["glossary"] = hashlib.sha256(glossary.read_bytes()).hexdigest()
    translator = BatchTranslator(models, column=column, into=into, ensemble=combination, **options)
    translator.check()
    console = Console(stderr=True, quiet=quiet)
    with open_job(source, output, translator, rows, decisive) as job:
        outcomes = [
            *track(
                job.run(engine, processes),
                "partitions",
                total=len(job.missing),
                console=console,
                disable=quiet or not console.is_terminal,
                transient=True,
            )
        ]
    if not quiet:
        total = sum(part.rows for part in job.parts)
        done = len(job.parts) - len(job.missing)
        failed = sum(outcome.failed for outcome in outcomes)
        typer.echo(
            f"{output}: {total:,} rows; partitions: {len(job.parts):,}"
            + (f", {done:,} of them there before" if done else "")
            + (f"; {failed:,} rows failed, see {into}_error" if failed else ""),
            err=True,
        )
