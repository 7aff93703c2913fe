"""`translate -i`: translate a document, or a folder of documents."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from seq2seq.cli.progress import ProgressBar
from seq2seq.cli.streams import open_input, open_output, refuse_same_file
from seq2seq.documents.document import Document, State, UnitTranslation
from seq2seq.documents.formats import Format, format_named, format_of, open_document
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import read_bounded, replacing_file, write_file
from seq2seq.translation.base import BaseTranslator, TranslateOptions

if TYPE_CHECKING:
    from seq2seq.translation.router import Router

_TEXT = "text"  # the name of the format that is translated line by line
_LIKE_TEXT = frozenset({"", ".md", ".markdown", ".tsv", ".tab"})
"""Suffixes of plain text, which can be translated line by line."""
_MOST_BYTES = 100_000_000  # of a document, since it is held in memory
_NO_DOCUMENTS = frozenset({".git", ".hg", ".svn"})  # folders of version control


def document_format(
    path: Path | None,
    name: str | None,
    languages: Callable[[], Collection[str]],
    as_text: bool = False,
) -> Format | None:
    """Return the format with this `name`, or else that of the file; None for lines of text.

    Files whose suffix is one of the `languages`, such as `test.en`, are lines of text; with
    `as_text`, so are Markdown and other plain text. Raises `UsageError` for an unknown suffix.
    """
    if name is not None or path is None:
        form = format_named(name or _TEXT)
    elif as_text and path.suffix.lower() in _LIKE_TEXT:
        return None
    else:
        try:
            form = format_of(path)
        except UsageError:
            if path.suffix.lower() in _LIKE_TEXT or path.suffix[1:] in languages():
                return None
            raise
    return None if form.name == _TEXT else form


@dataclass(frozen=True)
class DocumentJob:
    """How to translate documents, and what to print meanwhile."""

    router: "Router"
    translator: BaseTranslator  # the router, or one that looks in a memory first
    options: TranslateOptions
    only_new: bool
    quiet: bool
    column: str | None = None  # of a table, by its name

    def translate_file(self, source: Path | None, target: Path | None, form: Format) -> None:
        """Translate a document from a file or stdin, and write it to a file or stdout.

        Nothing is written before all of it is translated.
        """
        name = str(source or "stdin")
        with open_input(source) as file, open_output(target) as sink:
            assert file is not None
            refuse_same_file(file, sink)
            data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise Seq2SeqError(
                    f"{name}: more than {_MOST_BYTES:,} bytes, too large for a document."
                )
            document = self._open(data, name, form)
            in_place = source and target and target.exists() and source.samefile(target)
            if in_place and not self.only_new and _has_translations(document):
                raise UsageError(
                    f"{name} has translations already, which would be overwritten; add "
                    "--only-new, or give another --output."
                )
            sink.write(self._translate(document, name, show_bar=not sink.isatty()))

    def translate_folder(self, source: Path, target: Path | None) -> None:
        """Translate the documents of a folder into another one, and copy all other files.

        Files that exist already and are not older than their source are left alone, so that an
        interrupted run can be continued. Raises `Seq2SeqError` at the end if any document could not
        be translated.
        """
        if target is None or target.is_file():
            raise UsageError(f"{source} is a folder; give another one as --output.")
        source, target = source.resolve(), target.resolve()
        if source == target and not self.only_new:
            raise UsageError(
                f"{source} is not replaced: give another --output, or --only-new, which leaves "
                "translations alone."
            )
        if source.is_relative_to(target) and source != target:
            raise UsageError("the output would hold the input; give another --output.")
        outcomes = Counter[str]()
        for path in _files(source, target):
            try:
                outcome = self._put_into(target, path, path.relative_to(source))
            except UsageError:
                raise
            except Seq2SeqError as error:
                outcome = "failed"
                typer.echo(f"translate: {error}", err=True)
            outcomes[outcome] += 1
        if not self.quiet:
            counts = (f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
            typer.echo(f"translate: {target}: {', '.join(counts) or 'no files'}.", err=True)
        if failed := outcomes["failed"]:
            raise Seq2SeqError(f"{failed} files of the folder are not translated.")

    def _put_into(self, folder: Path, path: Path, name: Path) -> str:
        """Translate or copy the file `path` to `name` in `folder`; return what was done."""
        if path.is_symlink() or not path.is_file():
            return "left out, since they are links or no files"
        destination, form = folder / name, _format_in_folder(path)
        in_place = destination == path
        if destination.is_symlink() or not destination.resolve().is_relative_to(folder):
            raise Seq2SeqError(f"{destination} is not written: a link leads somewhere else.")
        if not in_place and _is_done(path, destination):
            return "there already"
        destination.parent.mkdir(parents=True, exist_ok=True)
        if form is not None:
            document = self._open(read_bounded(path, _MOST_BYTES), str(path), form)
            write_file(destination, self._translate(document, str(path), show_bar=True))
            return "translated"
        if in_place:
            return "left as they are"
        with path.open("rb") as file, replacing_file(destination) as copy:
            shutil.copyfileobj(file, copy)
        shutil.copymode(path, destination)
        return f"copied ({path.suffix or path.name})"

    def _open(self, data: bytes, name: str, form: Format) -> Document:
        """Read a document; error messages begin with its name."""
        try:
            languages = self.router.languages_of(self.options)
            return open_document(data, form, *languages, self.column)
        except Seq2SeqError as error:
            raise type(error)(f"{name}: {error}") from None

    def _translate(self, document: Document, name: str, show_bar: bool) -> bytes:
        """Return the translated document, and print the notes on it."""
        from seq2seq.translation.translate_document import texts_to_translate, translate_document

        texts = texts_to_translate(document, self.only_new)
        size = sum(len(text.encode()) for text in texts)
        show_bar = show_bar and bool(size) and not self.quiet
        with ProgressBar(size) if show_bar and sys.stderr.isatty() else nullcontext() as bar:
            translations = translate_document(
                document,
                self.translator,
                replace(self.options, on_part=bar.advance_within if bar else None),
                only_new=self.only_new,
                on_text=bar.advance if bar else None,
            )
        self._show_notes(document, translations, name)
        return document.render(translations)

    def _show_notes(
        self, document: Document, translations: list[UnitTranslation | None], name: str
    ) -> None:
        if self.quiet:
            return
        for number, translation in enumerate(translations, 1):
            where = document.units[number - 1].context or f"text {number}"
            for note in translation.notes if translation else ():
                typer.echo(f"translate: {name}, {where}: {note}.", err=True)


def _files(source: Path, target: Path) -> Iterator[Path]:
    """Yield the files of a folder, in order, except those in `target` if that lies inside."""
    for folder, folders, names in os.walk(source):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(
            name
            for name in folders
            if name not in links and name not in _NO_DOCUMENTS and here / name != target
        )
        yield from (here / name for name in sorted((*names, *links)))


def _format_in_folder(path: Path) -> Format | None:
    """Return the format of a file in a folder, or None if it is to be copied, like `LICENSE`."""
    try:
        return format_of(path)
    except UsageError:
        return format_named(_TEXT) if path.suffix.lower() in _LIKE_TEXT - {""} else None


def _is_done(source: Path, target: Path) -> bool:
    """Return whether the target exists and is not older than its source."""
    return target.exists() and target.stat().st_mtime >= source.stat().st_mtime


def _has_translations(document: Document) -> bool:
    return any(unit.state is State.TRANSLATED for unit in document.units)
