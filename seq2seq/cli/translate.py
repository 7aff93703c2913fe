"""`translate`: translate sentences, one per line; see `translate_files` for documents."""

import re
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seq2seq.cli.exit import leave, log_to_stderr, reported_errors
from seq2seq.cli.line_formats import Json, LineFormat, Plain, line_format
from seq2seq.cli.models import ModelChoice, glossary_of
from seq2seq.cli.options import (
    AnyToOption,
    BeamSizeOption,
    EnsembleOption,
    GlossaryOption,
    IdentifiedFromOption,
    LengthPenaltyOption,
    MemoryFromOption,
    MemoryOption,
    ProtectPatternOption,
    ProtectPatternsOption,
    PruneOption,
    QuietOption,
    SampleOption,
    SeedOption,
    TemperatureOption,
    ThreadsOption,
    TopKOption,
    VersionOption,
    combination_of,
    least_similarity_of,
    protect_patterns_of,
    sampling_of,
)
from seq2seq.cli.streams import (
    file_size,
    is_conversation,
    open_input,
    open_output,
    refuse_same_file,
)
from seq2seq.cli.translate_lines import LineJob
from seq2seq.errors import UsageError
from seq2seq.text.blocks import Unit
from seq2seq.text.formality import Formality
from seq2seq.translation.base import AUTO, TranslateOptions

if TYPE_CHECKING:
    from seq2seq.documents.formats import Format as DocumentFormat

_PLAIN = frozenset({"", ".txt", ".text", ".md", ".markdown", ".tsv", ".tab"})
"""Suffixes of plain text files, which their translation may replace."""
_TABLES = (".csv", ".tsv", ".tab")
_LARGE = 100_000
"""The size in bytes above which a file is worth starting a process for each core."""
_LINE = re.compile(r"(\ufeff?)(.*?)(\r?\n|)", re.DOTALL)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
@reported_errors("translate")
def translate(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SENTENCE]...", help="Text to translate; without it, stdin is read."
        ),
    ] = None,
    input_path: Annotated[
        Path | None,
        typer.Option(
            "-i",
            "--input",
            metavar="FILE|FOLDER",
            help="A text file, a document, or a folder of documents to translate.",
        ),
    ] = None,
    output_path: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE|FOLDER", help="Write here instead of stdout."),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="NAME", help="Format of the file, if its ending does not tell it."
        ),
    ] = None,
    only_new: Annotated[
        bool,
        typer.Option(
            "--only-new",
            help="Translate only the entries of a catalogue that are untranslated or fuzzy, and "
            "mark them for review.",
        ),
    ] = False,
    folders: Annotated[
        list[Path] | None,
        typer.Option(
            "-m",
            "--model",
            metavar="DIR",
            help="A model directory made by `seq2seq export`. Several form an ensemble.",
        ),
    ] = None,
    ensemble: EnsembleOption = None,
    source_language: IdentifiedFromOption = None,
    target_language: AnyToOption = None,
    beam_size: BeamSizeOption = None,
    n_best: Annotated[
        int | None,
        typer.Option(
            "--n-best",
            min=1,
            help="Print N candidates for each text in Moses' format: NUMBER ||| TEXT ||| "
            "Score= S ||| S.",
        ),
    ] = None,
    length_penalty: LengthPenaltyOption = None,
    prune: PruneOption = None,
    is_sampled: SampleOption = False,
    temperature: TemperatureOption = None,
    top_k: TopKOption = None,
    seed: SeedOption = None,
    max_length: Annotated[
        int | None,
        typer.Option("--max-length", min=1, help="Split sentences that have more tokens."),
    ] = None,
    unit: Annotated[
        Unit | None,
        typer.Option(
            "--unit",
            help="line: one line out for each line in, as for files. sentence: line breaks "
            "stay, as for arguments. paragraph: the lines of a paragraph are joined first.",
        ),
    ] = None,
    glossary: GlossaryOption = None,
    memory_path: MemoryOption = None,
    memory_from: MemoryFromOption = None,
    formality: Annotated[
        Formality | None,
        typer.Option(
            "--formality",
            help="Use du or Sie (tu or vous, tú or usted), if the model has learnt both.",
        ),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(
            "--tag",
            metavar="NAME",
            help="Translate in the style of the training texts with this tag.",
        ),
    ] = None,
    prefix: Annotated[
        str,
        typer.Option("--prefix", metavar="TEXT", help="Begin each translation with this text."),
    ] = "",
    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence",
            min=0,
            max=1,
            help="Leave sentences with less confidence untranslated, in ⟦ and ⟧.",
        ),
    ] = None,
    min_score: Annotated[str | None, typer.Option("--min-score", hidden=True)] = None,
    protect_pattern: ProtectPatternOption = None,
    protect_patterns: ProtectPatternsOption = None,
    protect: Annotated[
        bool, typer.Option(help="Keep placeholders, links, tags and code as they are.")
    ] = True,
    alignment: Annotated[
        bool,
        typer.Option(
            "--alignment",
            help="Add pairs of words, SOURCE-TARGET from 0; words are separated by white space of "
            "any kind, no-break spaces too.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write JSON, one object per line, with scores and notes.")
    ] = False,
    column: Annotated[
        str | None,
        typer.Option(
            "--column",
            metavar="NUMBER|NAME",
            help="Translate this column of TSV, this field of JSON lines, or the column of this "
            "name of a table with a header (.csv, .tsv); the rest is kept.",
        ),
    ] = None,
    tee: Annotated[bool, typer.Option("--tee", help="Write source, tab, translation.")] = False,
    list_models: Annotated[
        bool, typer.Option("--list", help="List models and their directions.")
    ] = False,
    report_timing: Annotated[
        bool,
        typer.Option("--report-timing", help="Say how long loading and translation took."),
    ] = False,
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
    version: VersionOption = False,
) -> None:
    """Translate sentences, files line by line, or documents of many formats.

    Scores are natural log-probabilities, normalised by length; 0 means certainty.
    """
    models = ModelChoice(
        folders,
        combination_of(folders or (), ensemble),
        threads,
        memory_path,
        least_similarity_of(memory_from, memory_path),
        report_timing,
    )
    if list_models:
        _list(models, as_json)
        return
    if min_score is not None:
        raise UsageError("--min-score is now called --min-confidence.")
    if texts and input_path:
        raise UsageError("give sentences or --input, not both.")
    for number, text in enumerate(texts or (), 1):
        _require_utf8(text, number)
    name = str(input_path or ("arguments" if texts else "stdin"))
    header = column if _is_header(column, input_path) else None
    form = line_format(
        name, None if header else column, as_json, n_best is not None, alignment, tee
    )
    options = TranslateOptions(
        source=source_language,
        target=target_language,
        unit=unit or ("sentence" if texts or isinstance(form, Json) else "line"),
        n_best=n_best or 1,
        beam_size=beam_size,
        length_penalty=length_penalty,
        prune=prune,
        sampling=sampling_of(is_sampled, temperature, top_k, seed),
        max_length=max_length,
        glossary=glossary_of(glossary, folders, source_language, target_language),
        formality=formality,
        tag=tag,
        prefix=prefix,
        min_confidence=min_confidence or 0.0,
        protect=protect,
        protect_patterns=protect_patterns_of(protect_pattern, protect_patterns),
        keep_parts=alignment,
    )
    if source_language or target_language:  # else nothing is logged, and logging loads slowly
        log_to_stderr("translate", quiet)
    is_folder = input_path is not None and input_path.is_dir()
    if output_path and output_path.is_dir() and input_path and not is_folder:
        output_path /= input_path.name
    document_format = None
    if not (texts or is_folder or (column and not header)):
        lines_unit = None if header else unit
        document_format = _document_format(input_path, format_name, models, lines_unit)
    if is_folder or document_format:
        if form != Plain() or unit:
            raise UsageError(
                f"{name} is not plain text: leave out --unit, --json, --column, --n-best, "
                "--alignment and --tee."
            )
        from seq2seq.cli.translate_files import DocumentJob

        with models.opened(options) as (router, translator):
            documents = DocumentJob(router, translator, options, only_new, quiet, header)
            if document_format:
                documents.translate_file(input_path, output_path, document_format)
            elif input_path:
                documents.translate_folder(input_path, output_path)
        return
    if only_new or format_name not in (None, "text"):
        raise UsageError("--format and --only-new are for a document, given with --input.")
    lines = LineJob(name, texts or (), form, options, quiet)
    has_prompt = form == Plain() and not (quiet or output_path or unit or memory_path)
    _translate_lines(lines, models, input_path, output_path, has_prompt)


def _translate_lines(
    lines: LineJob,
    models: ModelChoice,
    input_path: Path | None,
    output_path: Path | None,
    has_prompt: bool,
) -> None:
    """Translate lines from a file, stdin or arguments, or start a prompt on a terminal."""
    options = lines.options
    with open_input(input_path, lines.texts) as source, open_output(output_path) as sink:
        if source is not None:
            refuse_same_file(source, sink)
        if input_path and output_path:
            _require_plain(input_path, output_path, lines.format)
        is_large = source is not None and (file_size(source) or 0) > _LARGE
        if is_large and models.threads != 1 and not models.report_timing:
            with models.on_processes(options) as translator:
                lines.run(translator, source, sink)
            return
        with models.opened(options) as (router, translator):
            if source and has_prompt and options.source != AUTO and is_conversation():
                from seq2seq.cli.prompt import Prompt

                Prompt(router, replace(options, unit="sentence", keep_parts=True)).run()
            else:
                lines.run(translator, source, sink)


def _is_header(column: str | None, path: Path | None) -> bool:
    """Return whether --column names a column in the header of a table."""
    return bool(column and not column.isdecimal() and path and path.suffix.lower() in _TABLES)


def _document_format(
    path: Path | None, format_name: str | None, models: ModelChoice, unit: Unit | None
) -> "DocumentFormat | None":
    """Return the document format of the input, or None for lines of text, such as stdin."""
    if path is None and format_name is None:
        return None
    from seq2seq.cli.translate_files import document_format

    def languages() -> list[str]:
        directions = chain.from_iterable(models.directions().values())
        return [code for known in directions for code in (known.source, known.target)]

    return document_format(path, format_name, languages, as_text=unit is not None)


def _require_utf8(text: str, number: int) -> None:
    """Raise `UsageError` if an argument is not UTF-8; the message is like that for a file."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        place = len(text[: error.start].encode()) + 1
        raise UsageError(
            f"text {number}: byte {place} is not UTF-8; convert the text first, for example with "
            "iconv."
        ) from None


def _require_plain(source: Path, sink: Path, form: LineFormat) -> None:
    """Raise `UsageError` if a file that is not plain text would be replaced.

    Its lines are translated including their markup, which may spoil the file.
    """
    is_plain = source.suffix.lower() in _PLAIN or isinstance(form, Json)
    if not is_plain and sink.exists() and source.exists() and source.samefile(sink):
        raise UsageError(
            f"{source} is not replaced: {source.suffix} is translated line by line as plain text, "
            "which may spoil it; give another --output."
        )


def _list(models: ModelChoice, as_json: bool) -> None:
    """Print the directions of the models."""
    import json

    from seq2seq.bundled import DEFAULT_MODEL
    from seq2seq.translation.pivot import two_steps

    known = models.directions()
    for folder, directions in known.items():
        names = [*map(str, directions)]
        is_default = folder == DEFAULT_MODEL
        if as_json:
            row = {"model": str(folder), "default": is_default, "directions": names}
            typer.echo(json.dumps(row))
        else:
            mark = " (default)" if is_default else ""
            typer.echo(f"{folder.name}{mark}: {', '.join(names)}")
    pivoted = two_steps(direction for directions in known.values() for direction in directions)
    if pivoted and not as_json:
        typer.echo(f"pivot translation: {', '.join(map(str, pivoted))}")


def main() -> None:
    """Run the console script."""
    with reported_errors("translate"):
        try:
            app(prog_name="translate")
        except SystemExit as end:
            if end.code:
                raise
    leave()


if __name__ == "__main__":
    main()
