"""What stands for values in the format strings of C, Python and their relatives: `%s`, `%2$d`."""

import re
from collections import Counter

_SPECIFICATION = re.compile(
    r"""% (?: (?P<number> \d{1,3} ) \$ | \( (?P<name> [^()\n]{1,64} ) \) )?
    (?P<rest> [-+\#0'I\ ]*+ (?: \d++ | \* )? (?: \. (?: \d++ | \* )? )?
      (?: <[A-Z][A-Za-z0-9]{2,20}> | (?: hh? | ll? | [LqjztV] )? [diouxXeEfFgGaAcCsSprUm@n%] ) )
    """,
    re.VERBOSE,
)
_SIMPLE = re.compile(r"%(?:\(\w+\))?[sdiufgxc](?![^\W\d_])")  # which the translator knows
_PLACE = re.compile(r"%(\d{1,3})\$s")


class FormatString:
    """A format string, whose `text` for the translator has its values in a way that it knows.

    Several are numbered, `%1$s`, so that a translation shows which of them is where.
    """

    def __init__(self, text: str, has_numbers: bool) -> None:
        """`has_numbers`: the language of the program knows `%1$s`."""
        self._source, self._has_numbers = text, has_numbers
        values = _values(text)
        is_simple = all(_SIMPLE.match(text, value.start()) for value in values)
        is_named = all(value["name"] for value in values)
        self._values: list[re.Match[str]] = []
        if is_simple and (is_named or len(values) < 2):
            self.text = text
        else:
            self._values = values
            parts, done = list[str](), 0
            for number, value in enumerate(values, 1):
                parts += text[done : value.start()], f"%{number}$s"
                done = value.end()
            self.text = "".join(parts) + text[done:]

    def restore(self, translation: str) -> tuple[str, bool]:
        """Return the format string of a translation, and whether a program may use it as such."""
        if not self._values:
            is_same = _written(translation) == _written(self._source)
            return translation, is_same and not _has_stray_percent(translation)
        numbers = [int(match[1]) for match in _PLACE.finditer(translation)]
        in_order = [*range(1, len(self._values) + 1)]
        is_safe = sorted(numbers) == in_order
        is_positional = any(not (value["name"] or value["number"]) for value in self._values)
        with_numbers = is_safe and is_positional and numbers != in_order
        if with_numbers and (not self._has_numbers or any("*" in v[0] for v in self._values)):
            is_safe = with_numbers = False
        remaining = iter(self._values)

        def value(match: re.Match[str]) -> str:
            if not is_safe:  # all the values, in an order that does no harm
                found = next(remaining, None)
                return found[0] if found else ""
            found = self._values[int(match[1]) - 1]
            if with_numbers and not (found["name"] or found["number"]):
                return f"%{match[1]}${found['rest']}"
            return found[0]

        text = _PLACE.sub(value, translation)
        return text, is_safe and not _has_stray_percent(text)


def _values(text: str) -> list[re.Match[str]]:
    return [match for match in _SPECIFICATION.finditer(text) if match["rest"] != "%"]


def _written(text: str) -> Counter[str]:
    return Counter(match[0] for match in _values(text))


def _has_stray_percent(text: str) -> bool:
    return "%" in _SPECIFICATION.sub("", text)
