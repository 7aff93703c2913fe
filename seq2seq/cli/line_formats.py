"""The lines that `translate` reads and writes: plain, TSV, JSON."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from seq2seq.errors import Seq2SeqError, UsageError

if TYPE_CHECKING:
    from seq2seq.translation.result import Candidate, Translation


_HALF_PAIR = re.compile("[\ud800-\udfff]")  # of surrogates: has no UTF-8


class LineFormat(Protocol):
    """How the text of a line is found, and its translation written."""

    def text(self, line: str, number: int) -> str | None:
        """Find the text to translate in line `number`, from 1; None where it has none."""
        ...

    @property
    def lack(self) -> str:
        """The note on a line that has no text to translate."""
        ...

    def lines(self, line: str, number: int, translation: "Translation") -> list[str]:
        """Return the lines to write for a line and its translation."""
        ...


@dataclass(frozen=True)
class Plain:
    """Lines of text. With `alignment` as Marian writes it, n-best lists as Moses does."""

    n_best: bool = False
    alignment: bool = False
    tee: bool = False

    def text(self, line: str, number: int) -> str:
        """Return the line, which is the text."""
        return line

    lack = ""  # no line has no text

    def lines(self, line: str, number: int, translation: "Translation") -> list[str]:
        """Return a line, or one for each candidate; with `tee` after the source and a tab."""
        shown = translation.candidates if self.n_best else translation.candidates[:1]
        fields = [[candidate.text] for candidate in shown]
        if self.n_best:
            scores = [f"{candidate.score:.4f}" for candidate in shown]
            fields = [
                [str(number - 1), candidate.text, f"Score= {score}", score]
                for candidate, score in zip(shown, scores, strict=True)
            ]
        if self.alignment:
            fields = [
                [*row, _pharaoh(candidate)] for row, candidate in zip(fields, shown, strict=True)
            ]
        if self.n_best or self.alignment or self.tee:
            fields = [[*map(_on_one_line, row)] for row in fields]
        before = f"{_on_one_line(line)}\t" if self.tee else ""
        return [before + " ||| ".join(row) for row in fields]


@dataclass(frozen=True)
class Tsv:
    """Lines of columns, one of which is text; the translation becomes the last one."""

    name: str  # of the input, for messages
    column: int  # from 1
    alignment: bool = False

    def text(self, line: str, number: int) -> str | None:
        """Return the column, or None where the line has fewer."""
        if not line:
            return ""
        columns = line.split("\t")
        return columns[self.column - 1] if len(columns) >= self.column else None

    @property
    def lack(self) -> str:
        """The note on a line with fewer columns."""
        return f"there is no text to translate: needs at least {self.column} columns"

    def lines(self, line: str, number: int, translation: "Translation") -> list[str]:
        """Return the columns as they were, followed by the translation."""
        if not line:
            return [line]
        more = [_pharaoh(translation.candidates[0])] if self.alignment else []
        return ["\t".join([line, _on_one_line(translation.text), *more])]


_OTHER_NAMES = ("score", "confidence", "alignment", "notes", "alternatives")
"""What is added to an object besides the translation."""


@dataclass(frozen=True)
class Json:
    """Lines of text, or JSON objects with a `field` that is text; what comes out are objects.

    A field may lie in another: `translation.en`. As the object has a `translation` then, what is
    added to it is called `translated`.
    """

    name: str  # of the input, for messages
    field: str | None = None
    n_best: bool = False
    alignment: bool = False

    def text(self, line: str, number: int) -> str | None:
        """Return the line, or the field of its object."""
        if self.field is None or not line.strip():
            return line
        known = self._object(line, number)
        for name in (self._translation, *_OTHER_NAMES):
            if name in known:
                raise Seq2SeqError(
                    f"{self.name}, line {number}: has a {name!r} already; rename that field first."
                )
        text = _field(known, self.field)
        return text if isinstance(text, str) else None

    @property
    def lack(self) -> str:
        """The note on an object without the field."""
        return f"there is no text to translate: needs a text {self.field!r}"

    def lines(self, line: str, number: int, translation: "Translation") -> list[str]:
        """Return the object, with the translation and its scores, alignment and notes."""
        if self.field is not None and not line.strip():
            return [line]
        best = translation.candidates[0]
        known: dict[str, Any] = {"source": line} if self.field is None else {}
        known |= {self._translation: best.text, **_figures(best)}
        if self.alignment:
            known["alignment"] = [list(link) for link in best.alignment]
        known["notes"] = list(best.notes)
        if self.n_best:
            known["alternatives"] = [
                {self._translation: candidate.text, **_figures(candidate)}
                for candidate in translation.candidates[1:]
            ]
        import json

        written = _HALF_PAIR.sub(_escape, json.dumps(known, ensure_ascii=False))
        if self.field is None:
            return [written]
        # What was there stays as it was, to the last digit of a number.
        return [f"{line.rstrip().removesuffix('}').rstrip()}, {written[1:]}"]

    @property
    def _translation(self) -> str:
        """The name of the translation."""
        is_taken = self.field is not None and self.field.startswith("translation.")
        return "translated" if is_taken else "translation"

    def _object(self, line: str, number: int) -> dict[str, Any]:
        import json  # takes some milliseconds, and plain text does without

        try:
            # The line is written as it was read, so numbers need not be understood.
            found = json.loads(line, parse_int=lambda _: 0)
        except (ValueError, RecursionError) as error:
            raise Seq2SeqError(f"{self.name}, line {number}: not JSON: {error}.") from None
        if not isinstance(found, dict):
            raise Seq2SeqError(f"{self.name}, line {number}: not a JSON object.")
        return found


def _field(known: dict[str, Any], name: str) -> Any:
    """Look a name up, or its dotted parts in nested objects; None where there is nothing."""
    if name in known:
        return known[name]
    outer, _, inner = name.partition(".")
    within = known.get(outer)
    return _field(within, inner) if inner and isinstance(within, dict) else None


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _figures(candidate: "Candidate") -> dict[str, Any]:
    confidence = candidate.confidence
    return {
        "score": round(candidate.score, 4),
        "confidence": None if confidence is None else round(confidence, 4),
    }


def _pharaoh(candidate: "Candidate") -> str:
    return " ".join(f"{source}-{target}" for source, target in candidate.alignment)


def _on_one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ").replace("\t", " ")


def line_format(
    name: str, column: str | None, as_json: bool, n_best: bool, alignment: bool, tee: bool
) -> LineFormat:
    """Choose the format by the options; raise `UsageError` where they do not go together."""
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
