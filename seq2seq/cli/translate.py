"""`translate`: sentences in, translations out, one line each; documents: `translate_files`."""

import re
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple

import typer

from seq2seq.cli.exit import leave, log_to_stderr, reported_errors
from seq2seq.cli.formats import Format, Json, Plain, line_format
from seq2seq.cli.options import (
    AnyToOption,
    BeamSizeOption,
    EnsembleOption,
    LengthPenaltyOption,
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
    protect_patterns_of,
    sampling_of,
)
from seq2seq.cli.progress import ProgressBar
from seq2seq.cli.streams import (
    file_size,
    is_conversation,
    open_input,
    open_output,
    read_chunks,
    refuse_same_file,
)
from seq2seq.config.model_config import Combination
from seq2seq.errors import UsageError
from seq2seq.text.blocks import Unit, blocks
from seq2seq.text.formality import Formality
from seq2seq.translation.base import AUTO, BaseTranslator, TranslateOptions

if TYPE_CHECKING:
    from seq2seq.config.model_config import Direction
    from seq2seq.documents.format_table import Format as DocumentFormat
    from seq2seq.text.glossary import Glossary
    from seq2seq.translation.router import Router
    from seq2seq.translation.translator import Translator

_PLAIN = frozenset({"", ".txt", ".text", ".md", ".markdown", ".tsv", ".tab"})
"""Suffixes of files that are plain text: their translation may replace them."""
_TABLES = (".csv", ".tsv", ".tab")
_LARGE = 100_000
"""Bytes of a file from which on a process for each core is worth its start."""
_LINE = re.compile(r"(\ufeff?)(.*?)(\r?\n|)", re.DOTALL)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
@reported_errors("translate")
def translate(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SENTENCE]...", help="What to translate; stdin without any."),
    ] = None,
    input_path: Annotated[
        Path | None,
        typer.Option(
            "-i",
            "--input",
            metavar="FILE|FOLDER",
            help="Translate its lines, the document, or all documents of the folder.",
        ),
    ] = None,
    output_path: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE|FOLDER", help="Instead of stdout."),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="NAME", help="Format of the file, where its name does not say it."
        ),
    ] = None,
    only_new: Annotated[
        bool,
        typer.Option(
            "--only-new",
            help="Of a catalogue translate what is untranslated or fuzzy, and mark it as in need "
            "of a review.",
        ),
    ] = False,
    models: Annotated[
        list[Path] | None,
        typer.Option(
            "-m",
            "--model",
            metavar="DIR",
            help="A model directory made by `seq2seq export`. Several are an ensemble.",
        ),
    ] = None,
    ensemble: EnsembleOption = None,
    source_language: Annotated[
        str | None,
        typer.Option(
            "-f", "--from", metavar="LANGUAGE", help="Language of the text; auto: identify it."
        ),
    ] = None,
    target_language: AnyToOption = None,
    beam_size: BeamSizeOption = None,
    n_best: Annotated[
        int | None,
        typer.Option(
            "--n-best",
            min=1,
            help="Print N candidates each, as Moses does: NUMBER ||| TEXT ||| Score= S ||| S.",
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
        typer.Option("--max-length", min=1, help="Cut sentences of more tokens than this."),
    ] = None,
    unit: Annotated[
        Unit | None,
        typer.Option(
            "--unit",
            help="line: one line out for each line in, as for files. sentence: line breaks "
            "stay, as for arguments. paragraph: the lines of a paragraph are joined first.",
        ),
    ] = None,
    glossary: Annotated[
        Path | None,
        typer.Option("--glossary", metavar="FILE", help="Terms to use: TERM, tab, TRANSLATION."),
    ] = None,
    memory_path: Annotated[
        Path | None,
        typer.Option(
            "--memory",
            metavar="FILE|FOLDER",
            help="Take what is translated there: TMX, PO, XLIFF, CSV, TSV or JSON Lines.",
        ),
    ] = None,
    formality: Annotated[
        Formality | None,
        typer.Option(
            "--formality",
            help="Say du or Sie (tu or vous, tú or usted), where the model has learnt both.",
        ),
    ] = None,
    prefix: Annotated[
        str,
        typer.Option("--prefix", metavar="TEXT", help="Begin the translation of each text so."),
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
            help="Add pairs of words, SOURCE-TARGET from 0; words are parted by white space of "
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

    Scores are natural-log probabilities, normalised by length: 0 is certain.
    """
    if list_models:
        _list(models, as_json)
        return
    if min_score is not None:
        raise UsageError("--min-score is called --min-confidence now, since that is what it is.")
    if texts and input_path:
        raise UsageError("give sentences or --input, not both.")
    for number, text in enumerate(texts or (), 1):
        _require_utf8(text, number)
    combination = combination_of(models or (), ensemble)
    name = str(input_path or ("arguments" if texts else "stdin"))
    is_table = input_path is not None and input_path.suffix.lower() in _TABLES
    header = column if is_table and column and not column.isdecimal() else None
    line_column = None if header else column
    form = line_format(name, line_column, as_json, n_best is not None, alignment, tee)
    is_folder = input_path is not None and input_path.is_dir()
    document_format = None
    if not (texts or is_folder or line_column):
        lines_unit = None if header else unit
        document_format = _document_format(input_path, format_name, models, lines_unit)
    if is_folder or document_format:
        if form != Plain() or unit:
            raise UsageError(
                f"{name} is no lines of text: leave out --unit, --json, --column, --n-best, "
                "--alignment and --tee."
            )
    elif only_new or format_name not in (None, "text"):
        raise UsageError("--format and --only-new are for a document, given with --input.")
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
        glossary=_load_glossary(glossary),
        formality=formality,
        prefix=prefix,
        min_confidence=min_confidence or 0.0,
        protect=protect,
        protect_patterns=protect_patterns_of(protect_pattern, protect_patterns),
        keep_parts=alignment,
    )
    if source_language or target_language:  # else there is nothing to log, and logging is slow
        log_to_stderr("translate", quiet)
    if output_path and output_path.is_dir() and input_path and not is_folder:
        output_path /= input_path.name
    if input_path and is_folder:
        from seq2seq.cli.translate_files import DocumentJob

        if output_path is None or output_path.is_file():
            raise UsageError(f"{input_path} is a folder; give another one as --output.")
        with _opened_router(models, combination, threads, options, report_timing) as router:
            translator = _with_memory(router, memory_path, router, options)
            documents = DocumentJob(router, translator, options, only_new, quiet)
            documents.translate_folder(input_path, output_path)
        return
    job = _Job(name, texts or (), form, options, quiet)
    with open_input(input_path, texts) as source, open_output(output_path) as sink:
        if source is not None:
            refuse_same_file(source, sink)
        if input_path and output_path and not (document_format or format_name):
            _require_plain(input_path, output_path, form)
        is_large = source is not None and (file_size(source) or 0) > _LARGE
        if is_large and threads != 1 and not (document_format or report_timing):
            from seq2seq.translation.parallel import ParallelTranslator

            load = partial(_load_router, models, combination, 1)
            with ParallelTranslator(load, threads) as parallel:
                languages_from = load() if memory_path else None
                job.run(_with_memory(parallel, memory_path, languages_from, options), source, sink)
            return
        with _opened_router(models, combination, threads, options, report_timing) as router:
            translator = _with_memory(router, memory_path, router, options)
            if source is not None and document_format:
                from seq2seq.cli.translate_files import DocumentJob

                in_place = _is_same_file(input_path, output_path)
                documents = DocumentJob(router, translator, options, only_new, quiet, header)
                documents.translate_file(source, name, document_format, sink, in_place)
                return
            is_plain = source is not None and form == Plain() and not (quiet or output_path or unit)
            if is_plain and options.source != AUTO and not memory_path and is_conversation():
                from seq2seq.cli.prompt import Prompt

                Prompt(router, replace(options, unit="sentence", keep_parts=True)).run()
            else:
                job.run(translator, source, sink)


def _document_format(
    path: Path | None, format_name: str | None, models: Sequence[Path] | None, unit: Unit | None
) -> "DocumentFormat | None":
    """Return the format of the input; None for lines of text, as stdin and a pipe have them."""
    if path is None and format_name is None:
        return None
    from seq2seq.cli.translate_files import document_format

    def languages() -> list[str]:
        directions = chain.from_iterable(_directions(models).values())
        return [code for known in directions for code in (known.source, known.target)]

    return document_format(path, format_name, languages, as_text=unit is not None)


@contextmanager
def _opened_router(
    models: Sequence[Path] | None,
    combination: Combination,
    threads: int,
    options: TranslateOptions,
    report_timing: bool,
) -> "Iterator[Router]":
    """Load the models, and raise `UsageError` where the options do not fit them.

    With `report_timing` say at the end of the block how long it took.
    """
    started = time.perf_counter()
    if not report_timing:
        router = _load_router(models, combination, threads)
        router.stream((), options)
        yield router
        return
    from seq2seq.cli.timing import TimedRouter

    timed = TimedRouter(_ensemble(models, combination, threads), threads)
    timed.stream((), options)
    loading, timed.seconds = time.perf_counter() - started, 0.0
    yield timed
    typer.echo(f"translate: {timed.report(loading)}.", err=True)


def _load_router(models: Sequence[Path] | None, combination: Combination, threads: int) -> "Router":
    from seq2seq.translation.router import Router  # not before the options are known to be right

    return Router(_ensemble(models, combination, threads), threads)


def _ensemble(
    models: Sequence[Path] | None, combination: Combination, threads: int
) -> "list[Translator] | None":
    from seq2seq.translation.translator import Translator

    return [Translator(models, threads, ensemble=combination)] if models else None


def _with_memory(
    translator: BaseTranslator,
    path: Path | None,
    router: "Router | None",
    options: TranslateOptions,
) -> BaseTranslator:
    """Let a translator take from a memory what is there, if one is given."""
    if path is None or router is None:
        return translator
    from seq2seq.documents.bilingual import read_pairs
    from seq2seq.translation.memory import MemoryTranslator, TranslationMemory

    source, target = router.languages_of(options)
    pairs = read_pairs(path, source, target)
    return MemoryTranslator(translator, TranslationMemory(pairs, source or "", target))


def _load_glossary(file: Path | None) -> "Glossary | None":
    if file is None:
        return None
    from seq2seq.text.glossary import Glossary

    return Glossary.load(file)


def _require_utf8(text: str, number: int) -> None:
    """Raise `UsageError` where an argument is not UTF-8, as for a file."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        place = len(text[: error.start].encode()) + 1
        raise UsageError(
            f"text {number}: byte {place} is not UTF-8; convert the text first, for example with "
            "iconv."
        ) from None


def _require_plain(source: Path, sink: Path, form: Format) -> None:
    """Raise `UsageError` where a file would be replaced that is not plain text.

    Its lines are translated as they are, markup and all, which may spoil the file.
    """
    is_plain = source.suffix.lower() in _PLAIN or isinstance(form, Json)
    if not is_plain and _is_same_file(source, sink):
        raise UsageError(
            f"{source} is not replaced: {source.suffix} is translated line by line as plain text, "
            "which may spoil it; give another --output."
        )


def _is_same_file(source: Path | None, sink: Path | None) -> bool:
    return bool(source and sink and source.exists() and sink.exists() and source.samefile(sink))


class _Line(NamedTuple):
    """A line of the input."""

    number: int  # from 1; a text of several lines has one
    begins: int  # the number of its first line
    mark: str  # of the byte order
    text: str
    end: str  # "" where the file ends without one
    has_source: bool  # whether it has a text to translate

    def __str__(self) -> str:
        return self.mark + self.text + self.end

    def written(self, texts: Iterable[str]) -> bytes:
        """Put lines out that begin and end as this one does."""
        return (self.mark + (self.end or "\n").join(texts) + self.end).encode(errors="replace")


@dataclass(frozen=True)
class _Job:
    """What to translate, and how to write it."""

    name: str  # of the input, for messages
    texts: Sequence[str]  # in place of a file
    format: Format
    options: TranslateOptions
    quiet: bool

    def run(
        self, translator: BaseTranslator, source: BufferedReader | None, sink: BinaryIO
    ) -> None:
        """Translate the input, and write each line as soon as it is translated."""
        waiting: deque[_Line] = deque()  # lines that were read and not translated yet
        with nullcontext() if self.quiet else _progress(source, sink) as bar:
            options = replace(self.options, on_part=bar.advance_within if bar else None)
            for texts in self._read(source, waiting):
                for translation in translator.stream(texts, options):
                    line = waiting.popleft()
                    if not line.has_source:
                        translation = translation.unchanged("", self.format.lack)
                    lines = self.format.lines(line.text, line.number, translation)
                    sink.write(line.written(lines))
                    sink.flush()
                    self._show_notes(translation.notes, line)
                    if bar:
                        bar.advance(str(line))

    def _read(
        self, source: BufferedReader | None, waiting: deque[_Line]
    ) -> Iterator[Iterator[str]]:
        """Yield the texts to translate, in chunks that need not wait for one another."""
        number, begins = 0, 1

        def texts(chunk: Iterable[str]) -> Iterator[str]:
            nonlocal number, begins
            for whole in chunk:
                number += 1
                match = _LINE.fullmatch(whole)
                assert match
                mark, line, end = match.groups()
                text = self.format.text(line, number)
                waiting.append(_Line(number, begins, mark, line, end, text is not None))
                begins += line.count("\n") + 1
                yield text or ""

        return map(texts, self._chunks(source))

    def _chunks(self, source: BufferedReader | None) -> Iterable[Iterable[str]]:
        if source is None:
            return [(f"{text}\n" for text in self.texts)]
        if source.isatty() and not self.quiet:
            typer.echo("Type a sentence and press Enter. Ctrl-D ends.", err=True)
        chunks = read_chunks(source, self.name)
        joins_lines = self.options.unit != "line" and isinstance(self.format, Plain)
        return blocks(chunks, self.options.unit) if joins_lines else chunks

    def _show_notes(self, notes: Iterable[str], line: _Line) -> None:
        if self.quiet:
            return
        where = f"text {line.number}: " if self.texts else f"{self.name}, line {line.begins}: "
        for note in notes:
            typer.echo(f"translate: {'' if len(self.texts) == 1 else where}{note}.", err=True)


def _progress(
    source: BufferedReader | None, sink: BinaryIO
) -> AbstractContextManager[ProgressBar | None]:
    """Open a bar for a file, where someone sees it and it does not cross the translations.

    Files of the kernel, as in /proc, say that their size is 0: they have no bar.
    """
    size = file_size(source) if source else None
    if not size or sys.stderr is None or not sys.stderr.isatty() or sink.isatty():
        return nullcontext()
    return ProgressBar(size)


def _directions(models: Sequence[Path] | None) -> "dict[Path, tuple[Direction, ...]]":
    """Return the directions of each model, or of each bundled one."""
    from seq2seq.bundled import bundled_models
    from seq2seq.model_dir.read import read_config

    return {folder: read_config(folder).directions for folder in models or bundled_models()}


def _list(models: Sequence[Path] | None, as_json: bool) -> None:
    """Print the directions of the models, or of all bundled ones."""
    import json

    from seq2seq.bundled import DEFAULT_MODEL
    from seq2seq.translation.pivot import two_steps

    known = _directions(models)
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
