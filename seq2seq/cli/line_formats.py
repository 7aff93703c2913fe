"""The formats of the lines that `translate` reads and writes: plain text, TSV, JSON."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from seq2seq.errors import Seq2SeqError, UsageError

if TYPE_CHECKING:
    from seq2seq.translation.result import Candidate, Translation


_HALF_PAIR = re.compile("[\ud800-\udfff]")  # a lone surrogate, which UTF-8 cannot encode


class LineFormat(Protocol):
    """Finds the text in a line, and writes its translation."""

    def text(self, line: str, number: int) -> str | None:
        """Return the text to translate in line `number`, from 1, or None if there is none."""
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
    """Lines of text; with alignment in Marian's format, and n-best lists in that of Moses."""

    n_best: bool = False
    alignment: bool = False
    tee: bool = False

    def text(self, line: str, number: int) -> str:
        """Return the whole line."""
        return line

    lack = ""  # every line has a text

    def lines(self, line: str, number: int, translation: "Translation") -> list[str]:
        """Return a line, or one for each candidate; with `tee`, source and tab come first."""
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
    """Lines of columns, one of which is translated; the translation is added as the last column."""

    name: str  # of the input, for messages
    column: int  # from 1
    alignment: bool = False

    def text(self, line: str, number: int) -> str | None:
        """Return the column to translate, or None if the line has too few columns."""
        if not line:
            return ""
        columns = line.split("\t")
        return columns[self.column - 1] if len(columns) >= self.column else None

    @property
    def lack(self) -> str:
        """The note on a line with too few columns."""
        return f"there is no text to translate: needs at least {self.column} columns"

    def lines(self, line: str, number: int, translation: "Translation") -> list[str]:
        """Return the columns, unchanged, followed by the translation."""
        if not line:
            return [line]
        more = [_pharaoh(translation.candidates[0])] if self.alignment else []
        return ["\t".join([line, _on_one_line(translation.text), *more])]


_OTHER_NAMES = ("score", "confidence", "alignment", "notes", "alternatives")
"""The fields that are added to an object besides the translation."""


@dataclass(frozen=True)
class Json:
    """Lines of text, or JSON objects with a text in `field`; the output is JSON objects.

    A field may be nested in another, as in `translation.en`. In that case the object already has a
    `translation`, so the new field is called `translated`.
    """

    name: str  # of the input, for messages
    field: str | None = None
    n_best: bool = False
    alignment: bool = False

    def text(self, line: str, number: int) -> str | None:
        """Return the whole line, or the field of its object; raises `Seq2SeqError` if it is bad."""
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
        """The note on an object without a text in the field."""
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
        # Append to the original line, so that its fields keep their exact spelling.
        return [f"{line.rstrip().removesuffix('}').rstrip()}, {written[1:]}"]

    @property
    def _translation(self) -> str:
        """The name of the field for the translation."""
        is_taken = self.field is not None and self.field.startswith("translation.")
        return "translated" if is_taken else "translation"

    def _object(self, line: str, number: int) -> dict[str, Any]:
        import json  # here, as it takes some milliseconds that plain text need not wait for

        try:
            # Numbers need not be parsed, since the original line is written.
            found = json.loads(line, parse_int=lambda _: 0)
        except (ValueError, RecursionError) as error:
            raise Seq2SeqError(f"{self.name}, line {number}: not JSON: {error}.") from None
        if not isinstance(found, dict):
            raise Seq2SeqError(f"{self.name}, line {number}: not a JSON object.")
        return found


def _field(known: dict[str, Any], name: str) -> Any:
    """Return the field of this name, or of this dotted path through objects; None if missing."""
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
    """Choose the format by the options; raises `UsageError` if they conflict."""
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
