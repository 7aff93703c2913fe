"""Glossaries: terms that must be translated as the user says."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import read_bounded
from seq2seq.tokenizer import normalise_source

_WORD = re.compile(r"\w[\w\u0300-\u036f]*|[^\w\s]")  # combining marks stay with their letter

_BETWEEN_FORMS = "|"  # between the forms of a translation
_LONGEST = 100  # characters in a term
_MOST_BYTES = 64 << 20  # in a file


class Term(NamedTuple):
    """A term and its translation.

    `further` are other forms of the translation (Bahnhofs beside Bahnhof), or synonyms. The model
    chooses the form that fits.
    """

    source: str
    target: str
    further: tuple[str, ...] = ()

    @classmethod
    def of_forms(cls, source: str, forms: str) -> Self:
        """Return a term whose forms are separated as in glossary files: `Bahnhof|Bahnhofs`."""
        parted = (form.strip() for form in forms.split(_BETWEEN_FORMS))
        target, *further = dict.fromkeys(filter(None, parted)) or ("",)
        return cls(source, target, tuple(further))

    @property
    def forms(self) -> tuple[str, ...]:
        """Return all forms of the translation, the preferred one first."""
        return (self.target, *self.further)

    def is_in(self, text: str) -> bool:
        """Return whether a text contains a form of the translation, ignoring case."""
        text = text.casefold()
        return any(form.casefold() in text for form in self.forms)


class Found(NamedTuple):
    """A term in a text, from character `start` to `end`."""

    term: Term
    start: int
    end: int


class Glossary:
    """Finds the terms of a glossary in a text: as whole words, the longest term at each place.

    Words of a term in lower case are found in any case, words with capitals only as written.
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        self._by_first_word: Mapping[str, list[tuple[tuple[str, ...], Term]]]
        by_first_word = defaultdict(list)
        for term in terms:
            words = _words(term.source)
            if not (words and all(map(str.strip, term.forms))):
                raise UsageError(f"glossary: {term.source!r} needs a term and a translation.")
            by_first_word[words[0].casefold()].append((tuple(words), term))
        for alternatives in by_first_word.values():
            alternatives.sort(key=lambda alternative: len(alternative[0]), reverse=True)
        self._by_first_word = by_first_word

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read lines of term, tab, translation; raise a `Seq2SeqError` that names a bad line.

        The forms of a translation are separated as in `Term.of_forms`.
        """
        try:
            lines = read_bounded(path, _MOST_BYTES).decode("utf-8-sig").split("\n")
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError as error:
            raise Seq2SeqError(f"{path}: not UTF-8: {error.reason}.") from None
        terms: dict[str, Term] = {}
        for number, line in enumerate(lines, 1):
            columns = [column.strip() for column in line.removesuffix("\r").split("\t")]
            if columns == [""]:
                continue
            if max(map(len, re.split(r"[\t|]", line))) > _LONGEST:
                raise Seq2SeqError(
                    f"{path}, line {number}: more than {_LONGEST} characters, too long for a term."
                )
            term = Term.of_forms(columns[0], columns[-1])
            if len(columns) != 2 or not term.target or not _words(term.source):
                raise Seq2SeqError(
                    f"{path}, line {number}: needs a term, a tab and its translation."
                )
            if terms.setdefault(term.source, term) != term:
                raise Seq2SeqError(
                    f"{path}, line {number}: {term.source!r} has two translations; put the forms "
                    f"of one on the same line, separated by {_BETWEEN_FORMS}."
                )
        return cls(terms.values())

    def find(self, text: str) -> list[Found]:
        """Return each occurrence of a term in `text`, in order."""
        matches = [*_WORD.finditer(text)]
        words = [normalise_source(match[0]) for match in matches]
        terms: list[Found] = []
        place = 0
        while place < len(words):
            for needle, term in self._by_first_word.get(words[place].casefold(), ()):
                end = place + len(needle)
                if _same(needle, words[place:end]):
                    terms.append(Found(term, matches[place].start(), matches[end - 1].end()))
                    place = end
                    break
            else:
                place += 1
        return terms


def _words(text: str) -> list[str]:
    return [normalise_source(word) for word in _WORD.findall(text)]


def _same(needle: tuple[str, ...], words: list[str]) -> bool:
    return len(needle) == len(words) and all(
        wanted == word or (wanted.islower() and (wanted == word.lower() or wanted.upper() == word))
        for wanted, word in zip(needle, words, strict=True)
    )
