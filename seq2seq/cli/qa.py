"""`seq2seq qa`: check translated documents as a reviewer does."""

import json
from pathlib import Path
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.options import GlossaryOption
from seq2seq.errors import Seq2SeqError, UsageError

_MOST_BYTES = 100_000_000


@reported_errors("seq2seq")
def qa(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Documents to check.")],
    source_language: Annotated[
        str, typer.Option("-f", "--from", metavar="LANGUAGE", help="Language of the sources.")
    ] = "",
    target_language: Annotated[
        str, typer.Option("-t", "--to", metavar="LANGUAGE", help="Language of the translations.")
    ] = "",
    src: Annotated[
        Path | None,
        typer.Option(
            "--src",
            help="The document that FILE was translated from, where FILE has translations alone, "
            "as JSON, YAML, Android and Markdown do.",
        ),
    ] = None,
    glossary: GlossaryOption = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="CHECK", help="Leave out a check; may be repeated."),
    ] = None,
    format_name: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="Format of the documents.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list in place of lines.")
    ] = False,
) -> None:
    """Check translations as a reviewer does.

    The exit code is 1 if anything was found. It checks numbers, placeholders, tags, links, terms,
    final punctuation, double spaces, length limits, repetition, entries that are untranslated or
    equal to their source, and sources with more than one translation.
    """
    from seq2seq.documents.bilingual import BILINGUAL
    from seq2seq.documents.formats import format_named, format_of, open_document
    from seq2seq.documents.glossary_file import load_glossary
    from seq2seq.files import read_bounded
    from seq2seq.translation.review_checks import NAMES, Reviewer, with_sources

    for name in skip or ():
        if name not in NAMES:
            raise UsageError(f"there is no check {name!r}; there are {', '.join(NAMES)}.")
    if src is not None and len(files) > 1:
        raise UsageError("--src is the source of one document; give one FILE.")
    terms = load_glossary(glossary, source_language, target_language) if glossary else None
    reviewer = Reviewer(source_language, target_language, terms)
    findings = list[dict[str, str]]()
    entries = 0
    for path in files:
        form = format_named(format_name) if format_name else format_of(path)
        try:
            if src is None and form.name not in BILINGUAL:
                raise UsageError(f"{path}: {form.title} has no sources; give them with --src.")
            data = read_bounded(path, _MOST_BYTES)
            document = open_document(data, form, source_language or None, target_language)
            units = list(document.units)
            if src is not None:
                original = open_document(
                    read_bounded(src, _MOST_BYTES), form, source_language or None, target_language
                )
                units = with_sources(document, original)
        except UsageError:
            raise
        except Seq2SeqError as error:
            raise Seq2SeqError(f"{path}: {error}") from None
        entries += len(units)
        findings += (
            {
                "file": str(path),
                "place": finding.unit.context,
                "check": finding.check,
                "message": finding.message,
                "source": finding.unit.text,
                "translation": finding.unit.translation,
            }
            for finding in reviewer.review(units)
            if finding.check not in (skip or ())
        )
    if as_json:
        typer.echo(json.dumps(findings, indent=1, ensure_ascii=False))
    for finding in () if as_json else findings:
        place = f"{finding['place']}: " if finding["place"] else ""
        typer.echo(f"{finding['file']}: {place}{finding['check']}: {finding['message']}.")
    typer.echo(f"seq2seq: {len(findings)} findings in {entries} texts.", err=True)
    if findings:
        raise typer.Exit(1)
