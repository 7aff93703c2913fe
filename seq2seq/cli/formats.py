"""The lines that `translate` reads and writes: plain, TSV, JSON."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from seq2seq.errors import Seq2SeqError

if TYPE_CHECKING:
    from seq2seq.translation import Candidate, Translation


_HALF_PAIR = re.compile("[\ud800-\udfff]")  # of surrogates: has no UTF-8


class Format(Protocol):
    """What a line holds besides its text, and how the translation is put to it."""

    def text(self, line: str, number: int) -> str:
        """The text to translate in line `number`, from 1."""
        ...

    def lines(self, line: str, number: int, translation: "Translation") -> list[str]:
        """What is written for it."""
        ...


@dataclass(frozen=True)
class Plain:
    """Lines of text. With `alignment` as Marian writes it, n-best lists as Moses does."""

    n_best: bool = False
    alignment: bool = False
    tee: bool = False

    def text(self, line: str, number: int) -> str:
        """The line."""
        return line

    def lines(self, line: str, number: int, translation: "Translation") -> list[str]:
        """A line, or one for each candidate; the source and a tab before it to `tee`."""
        shown = translation.candidates if self.n_best else translation.candidates[:1]
        fields = [[one.text] for one in shown]
        if self.n_best:
            fields = [
                [str(number - 1), one.text, f"Score= {one.score:.4f}", f"{one.score:.4f}"]
                for one in shown
            ]
        if self.alignment:
            fields = [[*row, _pharaoh(one)] for row, one in zip(fields, shown, strict=True)]
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

    def text(self, line: str, number: int) -> str:
        """The column."""
        if not line:
            return ""
        columns = line.split("\t")
        if len(columns) < self.column:
            raise Seq2SeqError(
                f"{self.name}, line {number}: has {len(columns)} columns, not {self.column}."
            )
        return columns[self.column - 1]

    def lines(self, line: str, number: int, translation: "Translation") -> list[str]:
        """The columns as they were, and behind them the translation."""
        if not line:
            return [line]
        more = [_pharaoh(translation.candidates[0])] if self.alignment else []
        return ["\t".join([line, _on_one_line(translation.text), *more])]


_NAMES = ("translation", "score", "confidence", "alignment", "notes", "alternatives")
"""What a translation adds to an object."""


@dataclass(frozen=True)
class Json:
    """Lines of text, or JSON objects with a `field` that is text; what comes out are objects."""

    name: str  # of the input, for messages
    field: str | None = None
    n_best: bool = False
    alignment: bool = False

    def text(self, line: str, number: int) -> str:
        """The line or the field of its object."""
        if self.field is None or not line.strip():
            return line
        known = self._object(line, number)
        text = known.get(self.field)
        if not isinstance(text, str):
            raise Seq2SeqError(f"{self.name}, line {number}: has no text {self.field!r}.")
        for name in _NAMES:
            if name in known:
                raise Seq2SeqError(
                    f"{self.name}, line {number}: has a {name!r} already; rename that field first."
                )
        return text

    def lines(self, line: str, number: int, translation: "Translation") -> list[str]:
        """The object with the translation and what is known of it."""
        if self.field is not None and not line.strip():
            return [line]
        best = translation.candidates[0]
        known: dict[str, Any] = {"source": line} if self.field is None else {}
        known |= _json(best)
        if self.alignment:
            known["alignment"] = [list(link) for link in best.alignment]
        if best.notes:
            known["notes"] = list(best.notes)
        if self.n_best:
            known["alternatives"] = [_json(one) for one in translation.candidates[1:]]
        import json

        written = _HALF_PAIR.sub(_escape, json.dumps(known, ensure_ascii=False))
        if self.field is None:
            return [written]
        # What was there stays as it was, to the last digit of a number.
        return [f"{line.rstrip().removesuffix('}').rstrip()}, {written[1:]}"]

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


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _json(candidate: "Candidate") -> dict[str, Any]:
    known: dict[str, Any] = {
        "translation": candidate.text,
        "score": round(candidate.score, 4),
    }
    if candidate.confidence is not None:
        known["confidence"] = round(candidate.confidence, 4)
    return known


def _pharaoh(candidate: "Candidate") -> str:
    return " ".join(f"{source}-{target}" for source, target in candidate.alignment)


def _on_one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ").replace("\t", " ")
