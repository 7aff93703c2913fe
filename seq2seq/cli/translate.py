"""`translate`: sentences in, translations out, one line each."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from seq2seq.cli.errors import reported_errors
from seq2seq.cli.options import (
    BeamSizeOption,
    LengthPenaltyOption,
    QuietOption,
    ThreadsOption,
    VersionOption,
)
from seq2seq.cli.streams import open_input, open_output, read_chunks
from seq2seq.errors import UsageError

if TYPE_CHECKING:
    from seq2seq.translator import Translation, Translator

_LONG_INPUT = 1 << 16  # bytes; from here on a progress bar is worth its place

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
    beam_size: BeamSizeOption = None,
    n_best: Annotated[
        int | None,
        typer.Option(
            "--n-best", min=1, help="Print so many a sentence: NUMBER ||| TRANSLATION ||| SCORE."
        ),
    ] = None,
    length_penalty: LengthPenaltyOption = None,
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
        translator = _load(model, threads, beam_size, n_best or 1, length_penalty, max_length)
        if source is None:
            chunks = iter([texts or []])
        else:
            chunks = read_chunks(source, str(input_path or "stdin"))
            if source.isatty() and not quiet:
                typer.echo("Type a sentence and press Enter. Ctrl-D ends.", err=True)
        number = 0
        with _progress(source if input_path and not quiet else None, sink) as show_progress:
            for chunk in chunks:
                for translation in translator.translate(chunk, n_best or 1):
                    lines = _n_best_lines(number, translation) if n_best else [translation.text]
                    sink.writelines(f"{line}\n".encode() for line in lines)
                    number += 1
                sink.flush()
                show_progress()


def _load(
    model: Path | None,
    threads: int,
    beam_size: int | None,
    n_best: int,
    length_penalty: float | None,
    max_length: int | None,
) -> "Translator":
    from seq2seq.translator import Translator

    translator = Translator(model, threads)
    search = translator.search
    if beam_size is not None:
        search = replace(search, beam_size=beam_size)
    if length_penalty is not None:
        search = replace(search, length_penalty=length_penalty)
    if n_best > search.beam_size:
        raise UsageError(
            f"--n-best {n_best} is more than the beam of {search.beam_size}; "
            f"add --beam-size {n_best}."
        )
    if max_length is not None:
        search = replace(search, max_source_length=max_length)
    translator.search = search
    return translator


def _n_best_lines(number: int, translation: "Translation") -> list[str]:
    """As Moses writes them."""
    return [f"{number} ||| {one.text} ||| {one.score:.4f}" for one in translation.candidates]


@contextmanager
def _progress(source: BufferedReader | None, sink: BinaryIO) -> Iterator[Callable[[], None]]:
    """A bar on stderr for a long input file, where it does not cross the translations."""
    size = os.fstat(source.fileno()).st_size if source else 0
    if source is None or size < _LONG_INPUT or not sys.stderr.isatty() or sink.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), redirect_stdout=False, transient=True) as bar:
        task = bar.add_task("translate", total=size)
        yield lambda: bar.update(task, completed=source.tell())


def main() -> None:
    """The console script."""
    app(prog_name="translate")


if __name__ == "__main__":
    main()
