"""`translate`: translate lines, and write each translation as soon as it is ready."""

import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from io import BufferedReader
from typing import BinaryIO, NamedTuple

import typer

from seq2seq.cli.line_formats import LineFormat, Plain
from seq2seq.cli.progress import ProgressBar
from seq2seq.cli.streams import file_size, read_chunks
from seq2seq.text.blocks import blocks
from seq2seq.translation.base import BaseTranslator, TranslateOptions

_LINE = re.compile(r"(\ufeff?)(.*?)(\r?\n|)", re.DOTALL)


class _Line(NamedTuple):
    """A line of the input."""

    number: int  # of the text, from 1; a text may have several lines
    begins: int  # the number of its first line in the input
    mark: str  # the byte order mark, or ""
    text: str
    end: str  # the line ending; "" if the file ends without one
    has_source: bool  # whether it has a text to translate

    def __str__(self) -> str:
        return self.mark + self.text + self.end

    def written(self, texts: Iterable[str]) -> bytes:
        """Encode output lines with the byte order mark and line endings of this one."""
        return (self.mark + (self.end or "\n").join(texts) + self.end).encode(errors="replace")


@dataclass(frozen=True)
class LineJob:
    """Lines to translate, and how to write them."""

    name: str  # of the input, for messages
    texts: Sequence[str]  # arguments, instead of a file
    format: LineFormat
    options: TranslateOptions
    quiet: bool

    def run(
        self, translator: BaseTranslator, source: BufferedReader | None, sink: BinaryIO
    ) -> None:
        """Translate the input, and write each line as soon as it is translated."""
        waiting: deque[_Line] = deque()  # lines that are read but not translated yet
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
        """Yield the texts to translate in chunks, and put their lines into `waiting`."""
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
    """Return a progress bar for a file, if it is visible and not mixed with the translations.

    Files in /proc and the like report a size of 0, and get no bar.
    """
    size = file_size(source) if source else None
    if not size or sys.stderr is None or not sys.stderr.isatty() or sink.isatty():
        return nullcontext()
    return ProgressBar(size)
