"""Show the values of a format string to the translator in a form it knows: `%qE` as `%1$s`."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from seq2seq.documents.gettext_formats import Format

_KNOWN = re.compile(  # values that the translator knows as they are
    r"%(?:\(\w+\))?[sdiufgxc](?![^\W\d_])|\{[\w.,:!\[\]#+<>=^%\"'-]*\}"
)
_PLACE = re.compile(r"%(\d{1,3})\$s")
_NUMBER = re.compile(r"(?<=%)\d{1,3}\$")
_NOT_NUMBERED = re.compile(r"(?<!')\*|\A%<[^>]*\Z")  # takes two values, or the previous one


class _Value(NamedTuple):
    """A part of a format string that stands for a value."""

    start: int
    text: str
    format: Format

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def is_labelled(self) -> bool:
        return self.format.label.match(self.text) is not None

    @property
    def inner(self) -> "list[_Value]":
        """The values between GCC's quotation marks, `%<%E%>`; if there are none, this value."""
        if self.text.startswith("%<") and self.text.endswith("%>"):
            return _values(self.text[2:-2], [self.format])
        return [self]

    @property
    def number_of_arguments(self) -> int:
        return sum(not value.format.literal.fullmatch(value.text) for value in self.inner)

    def numbered(self, first: int) -> str:
        """Return it with the number of its argument, unless it has a label."""
        if self.inner != [self]:
            parts, done, inside = list[str](), 0, self.text[2:-2]
            for value in self.inner:
                parts += inside[done : value.start], value.numbered(first)
                done = value.end
                first += value.number_of_arguments
            return f"%<{''.join(parts)}{inside[done:]}%>"
        is_kept = self.is_labelled or not self.number_of_arguments
        return self.text if is_kept else f"%{first}${self.text[1:]}"


class FormatString:
    """A format string; its `text` shows the values to the translator in a form that it knows.

    Several values are numbered, `%1$s`, so that a translation shows which one is where.
    """

    def __init__(self, text: str, formats: Sequence[Format]) -> None:
        """Read a text that may be in any of the `formats`."""
        self._source, self._formats = text, formats
        self._values: list[_Value] = []
        self.text = text
        values = _values(text, formats)
        self._doubles = any(value.format.doubles_apostrophes for value in values)
        is_known = not self._doubles and all(_is_known(text, value) for value in values)
        if not (is_known and (len(values) < 2 or all(value.is_labelled for value in values))):
            self._values = values
            self.text = self._with_places(text, values, range(1, len(values) + 1))

    def restore(self, translation: str) -> tuple[str, bool]:
        """Return a translation as a format string, and whether a program may safely use it."""
        if not self._values:
            is_same = _written(translation, self._formats) == _written(self._source, self._formats)
            return translation, is_same and not self._has_stray_mark(translation)
        numbers = [int(match[1]) for match in _PLACE.finditer(translation)]
        whole = [*range(1, len(self._values) + 1)]
        is_complete = sorted(numbers) == whole
        in_order = self._in_order(numbers) if is_complete else [*whole, *([0] * len(numbers))]
        written = [value.text for value in self._values]
        is_safe = is_complete and in_order == numbers
        if is_complete and not is_safe and self._may_be_numbered():
            written, is_safe = self._numbered(), True
        elif not is_safe:  # write all values, in an order that does no harm
            numbers = in_order
        coming = iter(numbers)

        def value(_: re.Match[str]) -> str:
            number = next(coming)
            return written[number - 1] if number else ""

        text = translation.replace("'", "''") if self._doubles else translation
        text = _PLACE.sub(value, text)
        return text, is_safe and not self._has_stray_mark(text)

    def shown(self, translation: str) -> str:
        """Return a translation from the document, with its values written as in `text`."""
        if not self._values:
            return translation
        waiting = defaultdict[str, list[int]](list)  # the numbers of the values of each kind
        for number, value in enumerate(self._values, 1):
            waiting[_NUMBER.sub("", value.text)].append(number)
        values, numbers = list[_Value](), list[int]()
        firsts = self._first_arguments()
        for value in _values(translation, self._formats):
            own = waiting[_NUMBER.sub("", value.text)]
            if own:
                label = _NUMBER.search(value.text)
                by_label = (n for n in own if label and f"{firsts[n - 1]}$" == label[0])
                numbers.append(next(by_label, own[0]))
                own.remove(numbers[-1])
                values.append(value)
        return self._with_places(translation, values, numbers)

    def _with_places(self, text: str, values: Sequence[_Value], numbers: Sequence[int]) -> str:
        """Return a text with its values replaced by `%1$s` and so on."""
        parts, done = list[str](), 0
        for value, number in zip(values, numbers, strict=True):
            parts += self._plain(text[done : value.start]), f"%{number}$s"
            done = value.end
        return "".join(parts) + self._plain(text[done:])

    def _plain(self, text: str) -> str:
        return text.replace("''", "'") if self._doubles else text

    def _in_order(self, numbers: Sequence[int]) -> list[int]:
        """Return the order in which a program fills in the values correctly without numbers."""
        counted = {
            number
            for number, value in enumerate(self._values, 1)
            if value.number_of_arguments and not value.is_labelled
        }
        ordered = iter(sorted(counted))
        return [next(ordered) if number in counted else number for number in numbers]

    def _may_be_numbered(self) -> bool:
        return all(
            value.format.has_numbers and not _NOT_NUMBERED.search(value.text)
            for value in self._values
        )

    def _first_arguments(self) -> list[int]:
        """Return the number of the first argument of each value."""
        firsts, first = list[int](), 1
        for value in self._values:
            firsts.append(first)
            first += value.number_of_arguments
        return firsts

    def _numbered(self) -> list[str]:
        firsts = self._first_arguments()
        return [value.numbered(first) for value, first in zip(self._values, firsts, strict=True)]

    def _has_stray_mark(self, text: str) -> bool:
        """Return whether a text has more stray marks, which begin no value, than its source."""
        return any(
            _stray_marks(text, each) > _stray_marks(self._source, each) for each in self._formats
        )


def is_in_value(text: str, place: int, formats: Sequence[Format]) -> bool:
    """Tell whether the character at `place` belongs to what stands for a value."""
    return any(value.start <= place < value.end for value in _values(text, formats))


def _values(text: str, formats: Sequence[Format]) -> list[_Value]:
    """Return the values of a text in order, except `%%`, which the translator knows."""
    values = list[_Value]()
    matches = ((match, each) for each in formats for match in each.value.finditer(text))
    for match, each in sorted(matches, key=lambda pair: pair[0].start()):
        is_free = not values or values[-1].end <= match.start()
        if is_free and match[0] != "%%":
            values.append(_Value(match.start(), match[0], each))
    return values


def _is_known(text: str, value: _Value) -> bool:
    known = _KNOWN.match(text, value.start)
    return known is not None and known.end() == value.end


def _written(text: str, formats: Sequence[Format]) -> Counter[str]:
    return Counter(value.text for value in _values(text, formats))


def _stray_marks(text: str, own: Format) -> int:
    return own.value.sub("", text).count(own.mark) if own.mark else 0
