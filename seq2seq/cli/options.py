"""Options that both commands have."""

from typing import Annotated

import typer


def _print_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"{context.info_name} {version('seq2seq')}")
        raise typer.Exit


AnyFromOption = Annotated[
    str | None, typer.Option("-f", "--from", metavar="LANGUAGE", help="Language of the text.")
]
AnyToOption = Annotated[
    str | None, typer.Option("-t", "--to", metavar="LANGUAGE", help="Translate into this language.")
]
BeamSizeOption = Annotated[
    int | None,
    typer.Option(
        "-b", "--beam-size", min=1, max=1000, help="Hypotheses kept; 1 is greedy, and fast."
    ),
]
LengthPenaltyOption = Annotated[
    float | None,
    typer.Option("--length-penalty", min=0, max=10, help="Above 0 favours long translations."),
]
PruneOption = Annotated[
    float | None,
    typer.Option(
        "--prune",
        min=0,
        metavar="NATS",
        help="Drop hypotheses so far behind the best one: faster, and can change the result; "
        "3 hardly ever does. 0: drop none.",
    ),
]
ThreadsOption = Annotated[
    int, typer.Option("--threads", min=0, max=1024, help="CPU threads; 0: one a core.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
    ),
]
