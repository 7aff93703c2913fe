"""`seq2seq check`: report on a corpus and its faults."""

import json
from pathlib import Path
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.options import JsonOption
from seq2seq.errors import UsageError


@reported_errors("seq2seq")
def check(
    corpora: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS...",
            help="A prefix (dir/train for dir/train.en + dir/train.de), a file (TSV, Parquet, "
            "TMX ...), or a quoted pattern of TSV, Parquet or Arrow files. "
            "The first is the training corpus; the others must not share sentences with it. "
            "Or a recipe (.toml) alone: its languages and its training, validation and test text.",
        ),
    ],
    source_language: Annotated[
        str, typer.Option("-f", "--from", help="Language of the source side.")
    ] = "en",
    target_language: Annotated[
        str, typer.Option("-t", "--to", help="Language of the target side.")
    ] = "de",
    as_json: JsonOption = False,
) -> None:
    """Show what is in a corpus, and what is wrong with it."""
    from seq2seq.config.recipe import Recipe
    from seq2seq.corpus import check_corpora, check_sources

    recipes = [name for name in corpora if name.endswith(".toml")]
    if recipes and len(corpora) > 1:
        raise UsageError(f"{recipes[0]}: a recipe names all of its texts; give it alone.")
    if recipes:
        report = check_corpora(Recipe.load(Path(recipes[0])).corpus)
    else:
        report = check_sources(corpora, source_language, target_language)
    typer.echo(json.dumps(report.to_json(), indent=1) if as_json else str(report))
