"""`translate`: sentences in, translations out, one line each."""

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from seq2seq.cli.errors import leave, reported_errors
from seq2seq.cli.options import (
    AnyFromOption,
    AnyToOption,
    BeamSizeOption,
    LengthPenaltyOption,
    PruneOption,
    QuietOption,
    ThreadsOption,
    VersionOption,
)
from seq2seq.cli.progress import ProgressBar
from seq2seq.cli.streams import (
    file_size,
    open_input,
    open_output,
    read_chunks,
    refuse_same_file,
)
from seq2seq.errors import UsageError

if TYPE_CHECKING:
    from seq2seq.translator import Translation, Translator

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
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    beam_size: BeamSizeOption = None,
    n_best: Annotated[
        int | None,
        typer.Option(
            "--n-best", min=1, help="Print so many a sentence: NUMBER ||| TRANSLATION ||| SCORE."
        ),
    ] = None,
    length_penalty: LengthPenaltyOption = None,
    prune: PruneOption = None,
    max_length: Annotated[
        int | None,
        typer.Option("--max-length", min=1, help="Cut longer texts into pieces of so many tokens."),
    ] = None,
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
    version: VersionOption = False,
) -> None:
    """Translate sentences: one line in, one line out.

    Scores are natural-log probabilities, normalised by length: 0 is certain.
    """
    if texts and input_path:
        raise UsageError("give sentences or --input, not both.")
    opened: AbstractContextManager[BufferedReader | None] = (
        nullcontext() if texts else open_input(input_path)
    )
    with opened as source, open_output(output_path) as sink:
        if source is not None:
            refuse_same_file(source, sink)
        translator = _load(
            model, threads, beam_size, n_best or 1, length_penalty, prune, max_length
        ).between(source_language, target_language)
        chunks: Iterable[Iterable[str]] = [texts or []]
        if source is not None:
            chunks = read_chunks(source, str(input_path or "stdin"))
            if source.isatty() and not quiet:
                typer.echo("Type a sentence and press Enter. Ctrl-D ends.", err=True)
        with nullcontext() if quiet else _progress(source, sink) as bar:
            on_part = bar.advance_within if bar else None
            translations = chain.from_iterable(
                translator.translate_lines(chunk, n_best or 1, keep_parts=False, on_part=on_part)
                for chunk in chunks
            )
            for number, translation in enumerate(translations):
                lines = _n_best_lines(number, translation) if n_best else [translation.text]
                sink.writelines(f"{line}\n".encode() for line in lines)
                sink.flush()
                if bar:
                    bar.advance(translation.source)


def _load(
    model: Path | None,
    threads: int,
    beam_size: int | None,
    n_best: int,
    length_penalty: float | None,
    prune: float | None,
    max_length: int | None,
) -> "Translator":
    from seq2seq.translator import Translator  # not before the options are known to be right

    translator = Translator(model, threads)
    translator.search = translator.search.changed(
        beam_size=beam_size,
        length_penalty=length_penalty,
        prune=prune,
        max_source_length=max_length,
    )
    if n_best > translator.search.beam_size:
        raise UsageError(
            f"--n-best {n_best} is more than the beam of {translator.search.beam_size}; "
            f"add --beam-size {n_best}."
        )
    return translator


def _n_best_lines(number: int, translation: "Translation") -> list[str]:
    """As Moses writes them."""
    return [f"{number} ||| {one.text} ||| {one.score:.4f}" for one in translation.candidates]


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
