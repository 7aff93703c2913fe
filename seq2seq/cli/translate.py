"""`translate`: sentences in, translations out, one line each."""

import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from io import BufferedReader
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple, Self

import typer

from seq2seq.cli.exit import leave, reported_errors
from seq2seq.cli.formats import Json, Plain, Tsv
from seq2seq.cli.options import (
    AnyToOption,
    BeamSizeOption,
    LengthPenaltyOption,
    ProtectPatternOption,
    ProtectPatternsOption,
    PruneOption,
    QuietOption,
    ThreadsOption,
    VersionOption,
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
from seq2seq.errors import UsageError
from seq2seq.text.blocks import Unit, blocks
from seq2seq.text.formality import Formality
from seq2seq.translation.base import TranslateOptions
from seq2seq.translation.router import AUTO, Translators, as_known, models_for

if TYPE_CHECKING:
    from seq2seq.config.model_config import Direction
    from seq2seq.text.glossary import Glossary
    from seq2seq.translation.result import Translation
    from seq2seq.translation.router import EitherTranslator
    from seq2seq.translation.translator import Translator

_PLAIN = frozenset({"", ".txt", ".text", ".md", ".markdown", ".tsv", ".tab"})
"""What ends the names of files that are translated line by line, and are such files still."""
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
        Path | None, typer.Option("-i", "--input", metavar="FILE", help="Translate its lines.")
    ] = None,
    output_path: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Instead of stdout.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("-m", "--model", metavar="FOLDER", help="A model that `seq2seq export` made."),
    ] = None,
    source_language: Annotated[
        str | None,
        typer.Option(
            "-f", "--from", metavar="LANGUAGE", help="Language of the text; auto: find it out."
        ),
    ] = None,
    target_language: AnyToOption = None,
    beam_size: BeamSizeOption = None,
    n_best: Annotated[
        int | None,
        typer.Option(
            "--n-best",
            min=1,
            help="Print so many a sentence, as Moses does: NUMBER ||| TEXT ||| Score= S ||| S.",
        ),
    ] = None,
    length_penalty: LengthPenaltyOption = None,
    prune: PruneOption = None,
    max_length: Annotated[
        int | None,
        typer.Option("--max-length", min=1, help="Cut longer texts into pieces of so many tokens."),
    ] = None,
    unit: Annotated[
        Unit | None,
        typer.Option(
            "--unit",
            help="line: one line out for each line in, as for files. sentence: line breaks "
            "stay, as for arguments. paragraph: the lines of a paragraph are joined first, as for "
            "subtitles (.srt, .vtt).",
        ),
    ] = None,
    glossary: Annotated[
        Path | None,
        typer.Option("--glossary", metavar="FILE", help="Terms to use: TERM, tab, TRANSLATION."),
    ] = None,
    formality: Annotated[
        Formality | None,
        typer.Option(
            "--formality",
            help="Say du or Sie (tu or vous, tú or usted), where the model has learnt both.",
        ),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence",
            min=0,
            max=1,
            help="Leave sentences of less confidence, in ⟦ and ⟧.",
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
        bool, typer.Option("--json", help="Write JSON, an object a line, with all that is known.")
    ] = False,
    column: Annotated[
        str | None,
        typer.Option(
            "--column",
            metavar="NUMBER|FIELD",
            help="Translate this column of TSV, or this field of JSON lines; the rest is kept.",
        ),
    ] = None,
    tee: Annotated[bool, typer.Option("--tee", help="Write source, tab, translation.")] = False,
    list_models: Annotated[
        bool, typer.Option("--list", help="List models and their directions.")
    ] = False,
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
    version: VersionOption = False,
) -> None:
    """Translate sentences, files line by line, or whole documents with --unit.

    Scores are natural-log probabilities, normalised by length: 0 is certain.
    """
    if list_models:
        _list(model, as_json)
        return
    if min_score is not None:
        raise UsageError("--min-score is called --min-confidence now, since that is what it is.")
    if texts and input_path:
        raise UsageError("give sentences or --input, not both.")
    for number, text in enumerate(texts or (), 1):
        _require_utf8(text, number)
    name = str(input_path or ("arguments" if texts else "stdin"))
    lines = _format(name, column, as_json, n_best is not None, alignment, tee)
    opened: AbstractContextManager[BufferedReader | None] = (
        nullcontext() if texts else open_input(input_path)
    )
    with opened as source, open_output(output_path) as sink:
        if source is not None:
            refuse_same_file(source, sink)
        if input_path and output_path and not isinstance(lines, Json):
            _require_plain(input_path, output_path)

        options = TranslateOptions(
            n_best=n_best or 1,
            beam_size=beam_size,
            length_penalty=length_penalty,
            prune=prune,
            max_length=max_length,
            glossary=_glossary(glossary),
            formality=formality,
            min_confidence=min_confidence or 0.0,
            protect=protect,
            protect_patterns=_patterns(protect_pattern, protect_patterns),
            keep_parts=alignment,
        )

        def load(folder: Path) -> "Translator":
            from seq2seq.translation.translator import Translator

            translator = Translator(folder, threads)
            translator.stream([], options)  # raises where they do not fit the model
            return translator

        source_language = as_known(source_language, model)
        target_language = as_known(target_language, model)
        models = models_for(model, source_language, target_language, load)
        one_step_option = (
            "--glossary" if glossary else "--min-confidence" if min_confidence else None
        )
        translators = Translators(models, source_language, target_language, one_step_option, quiet)
        chunks: Iterable[Iterable[str]] = [(f"{text}\n" for text in texts or [])]
        if source is not None:
            typed = lines == Plain() and not (quiet or output_path or unit)
            if typed and source_language != AUTO and is_conversation():
                from seq2seq.cli.prompt import Prompt

                Prompt(translators, replace(options, keep_parts=True)).run()
                return
            if source.isatty() and not quiet:
                typer.echo("Type a sentence and press Enter. Ctrl-D ends.", err=True)
            chunks = read_chunks(source, name)
        unit = unit or _unit(input_path, texts, lines)
        if unit != "line" and source is not None and isinstance(lines, Plain):
            chunks = blocks(chunks, unit)
        with nullcontext() if quiet else _progress(source, sink) as bar:
            job = _Job(lines, replace(options, unit=unit), bar)
            begins = 1  # the line that a text begins in
            for number, line, translation in job.run(translators, chunks):
                written = line.written(lines.lines(line.text, number, translation))
                sink.write(written.encode(errors="replace"))
                sink.flush()
                if not quiet:
                    where = f"{name}, line {begins}" if source is not None else f"text {number}"
                    _tell(translation.notes, "" if len(texts or "") == 1 else f"{where}: ")
                begins += line.text.count("\n") + 1
                if bar:
                    bar.advance(str(line))


def _unit(path: Path | None, texts: Sequence[str] | None, lines: Plain | Tsv | Json) -> Unit:
    """Choose what a text is where no option says so: sentences of subtitles go over lines."""
    if texts or isinstance(lines, Json):
        return "sentence"
    return "paragraph" if path and path.suffix.lower() in (".srt", ".vtt") else "line"


def _require_utf8(text: str, number: int) -> None:
    """Raises `UsageError` where an argument has bytes that are no UTF-8, as a file with them."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        place = len(text[: error.start].encode()) + 1
        raise UsageError(
            f"text {number}: byte {place} is not UTF-8; convert the text first, for example with "
            "iconv."
        ) from None


def _require_plain(source: Path, sink: Path) -> None:
    """Raises `UsageError` where a file would be replaced that is of no kind known here.

    Its lines are translated as they are, markup and all, and it may be a file no longer.
    """
    is_plain = source.suffix.lower() in _PLAIN
    if not is_plain and sink.exists() and source.exists() and source.samefile(sink):
        raise UsageError(
            f"{source} is not replaced: {source.suffix} is translated line by line as plain text, "
            "which may spoil it; give another --output."
        )


def _tell(notes: Iterable[str], where: str) -> None:
    for note in notes:
        typer.echo(f"translate: {where}{note}.", err=True)


def _format(
    name: str, column: str | None, as_json: bool, n_best: bool, alignment: bool, tee: bool
) -> Plain | Tsv | Json:
    """The format that the options ask for; raises `UsageError` where they do not go together."""
    is_number = column is not None and column.isdecimal() and len(column) < 10
    if tee and (as_json or column or n_best):
        raise UsageError("--tee is for plain text: leave out --json, --column and --n-best.")
    if is_number and (as_json or n_best):
        raise UsageError("a column of TSV takes one translation: leave out --json and --n-best.")
    if column is not None and is_number:
        if int(column) < 1:
            raise UsageError("--column counts from 1.")
        return Tsv(name, int(column), alignment)
    if column is not None or as_json:
        return Json(name, column, n_best, alignment)
    return Plain(n_best, alignment, tee)


class _Line(NamedTuple):
    """A line as it was read."""

    mark: str  # of the byte order
    text: str
    end: str  # "" where the file ends without one

    @classmethod
    def read(cls, line: str) -> Self:
        match = _LINE.fullmatch(line)
        assert match
        return cls(*match.groups())

    def __str__(self) -> str:
        return "".join(self)

    def written(self, texts: Iterable[str]) -> str:
        """Lines that begin and end as this one does."""
        return self.mark + (self.end or "\n").join(texts) + self.end


@dataclass(frozen=True)
class _Job:
    """The lines of a command, translated."""

    format: Plain | Tsv | Json
    options: TranslateOptions
    bar: ProgressBar | None

    def run(
        self, translators: Translators, chunks: Iterable[Iterable[str]]
    ) -> Iterator[tuple[int, _Line, "Translation"]]:
        """Each line with its number from 1 and its translation, as soon as that is ready."""
        from seq2seq.translation.result import Translation

        read: deque[tuple[int, _Line, bool]] = deque()  # lines whose translation has not come
        number = count(1)

        def texts(chunk: Iterable[str]) -> Iterator[str]:
            for whole in chunk:
                here, line = next(number), _Line.read(whole)
                text = self.format.text(line.text, here)
                read.append((here, line, text is None))
                yield text or ""

        for chunk in chunks:
            for translation in translators.share_out(texts(chunk), self._translate):
                here, line, lacks_text = read.popleft()
                if lacks_text:
                    translation = Translation.unchanged("", self.format.lack)
                yield here, line, translation

    def _translate(
        self, translator: "EitherTranslator", texts: Iterable[str]
    ) -> "Iterator[Translation]":
        on_part = self._advance if self.bar else None
        return translator.stream(texts, replace(self.options, on_part=on_part))

    def _advance(self, part: str) -> None:
        if self.bar and part:  # the first of two steps tells of nothing that is done
            self.bar.advance_within(part)


def _glossary(file: Path | None) -> "Glossary | None":
    if file is None:
        return None
    from seq2seq.text.glossary import Glossary

    return Glossary.load(file)


def _patterns(
    expressions: Sequence[str] | None, files: Sequence[Path] | None
) -> tuple[re.Pattern[str], ...]:
    if not (expressions or files):
        return ()
    from seq2seq.text.masking import compiled

    return compiled(expressions or (), files or ())


def _list(model: Path | None, as_json: bool) -> None:
    """The directions of a model, or of all that come with the package."""
    from seq2seq.bundled import DEFAULT_MODEL, bundled_models
    from seq2seq.model_dir.read import read_config
    from seq2seq.translation.pivot import two_steps

    trained: list[Direction] = []
    for folder in bundled_models() if model is None else [model]:
        ways = read_config(folder).directions
        trained += ways
        directions = [*map(str, ways)]
        is_default = folder == DEFAULT_MODEL
        if as_json:
            import json

            known = {"model": str(folder), "default": is_default, "directions": directions}
            typer.echo(json.dumps(known))
        else:
            mark = " (default)" if is_default else ""
            typer.echo(f"{folder.name}{mark}: {', '.join(directions)}")
    further = two_steps(trained)
    if further and not as_json:
        typer.echo(f"in two steps: {', '.join(map(str, further))}")


def _progress(
    source: BufferedReader | None, sink: BinaryIO
) -> AbstractContextManager[ProgressBar | None]:
    """A bar for a file, where someone sees it and it does not cross the translations.

    Files of the kernel, as in /proc, say that their size is 0: they have no bar.
    """
    size = file_size(source) if source else None
    if not size or sys.stderr is None or not sys.stderr.isatty() or sink.isatty():
        return nullcontext()
    return ProgressBar(size)


def main() -> None:
    """The console script."""
    with reported_errors("translate"):
        try:
            app(prog_name="translate")
        except SystemExit as end:
            if end.code:
                raise
    leave()


if __name__ == "__main__":
    main()
