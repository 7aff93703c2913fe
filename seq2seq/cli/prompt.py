"""`translate` on a terminal without text: a prompt for sentences."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from seq2seq.errors import Seq2SeqError

if TYPE_CHECKING:
    from seq2seq.translation.base import BaseTranslator, TranslateOptions
    from seq2seq.translation.result import Translation
    from seq2seq.translation.router import Router

_HELP = """\
:n        other translations of the last sentence
:a        which word came from which, by colour
:t LANG   translate into another language (:t alone lists the directions)
:q        end, as Ctrl-D does"""
_COLOURS = ("red", "green", "yellow", "blue", "magenta", "cyan")


class Prompt:
    """A prompt that translates sentences, and shows more about the last translation on request."""

    def __init__(self, router: "Router", options: "TranslateOptions") -> None:
        self._router = router
        self._options = options
        self._translator = router.route(options.source, options.target)
        self._last: Translation | None = None

    def run(self) -> None:
        """Translate until the end of the input."""
        with suppress(ImportError):
            import readline  # noqa: F401  # gives `input` its history and editing

        typer.echo(
            f"{self._translator.direction}. Type a sentence and press Enter. :h tells more, "
            "Ctrl-D ends.",
            err=True,
        )
        while True:
            try:
                line = input("> ")
            except EOFError:
                typer.echo(err=True)
                return
            except KeyboardInterrupt:  # discard the line, as a shell does
                typer.echo(err=True)
                continue
            except UnicodeDecodeError:
                typer.echo("that was not UTF-8.", err=True)
                continue
            if line.strip() == ":q":
                return
            try:
                self._answer(line)
            except Seq2SeqError as error:
                typer.echo(str(error), err=True)

    def _answer(self, line: str) -> None:
        command, _, argument = line.strip().partition(" ")
        match command:
            case ":h":
                typer.echo(_HELP, err=True)
            case ":n":
                self._alternatives()
            case ":a":
                self._alignment()
            case ":t" if argument:
                self._translator = self._into(argument.strip())
                typer.echo(str(self._translator.direction), err=True)
            case ":t":
                typer.echo(", ".join(map(str, self._router.directions)), err=True)
            case _ if command.startswith(":") and command[1:2].isalpha():
                typer.echo(f"no command {command}; :h lists them.", err=True)
            case _:
                self._show(line)

    def _into(self, target: str) -> "BaseTranslator":
        source = None if self._options.source == target else self._options.source
        return self._router.route(source, target)

    def _show(self, line: str) -> None:
        [self._last] = self._translator.stream([line], self._options)
        typer.echo(self._last.text)
        for note in self._last.notes:
            typer.echo(f"  ({note})", err=True)

    def _alternatives(self) -> None:
        if not self._last:
            typer.echo("type a sentence first.", err=True)
            return
        most = self._options.beam_size or self._translator.search.beam_size
        options = replace(self._options, n_best=most)
        [translation] = self._translator.stream([self._last.source], options)
        for candidate in translation.candidates:
            confidence = candidate.confidence
            certain = "" if confidence is None else f"  confidence {confidence:.2f}"
            typer.echo(f"{candidate.score:8.3f}{certain}  {candidate.text}")

    def _alignment(self) -> None:
        """Print source and translation, words that are aligned in the same colour."""
        if not self._last:
            typer.echo("type a sentence first.", err=True)
            return
        links = self._last.alignment
        colour = {theirs: _COLOURS[ours % len(_COLOURS)] for ours, theirs in links}
        own = {ours: _COLOURS[ours % len(_COLOURS)] for ours, _ in links}
        typer.echo(_coloured(self._last.source.split(), own))
        typer.echo(_coloured(self._last.text.split(), colour))


def _coloured(words: Iterable[str], colours: dict[int, str]) -> str:
    return " ".join(typer.style(word, fg=colours.get(i)) for i, word in enumerate(words))
