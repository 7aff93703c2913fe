"""Numbers of a source against those of its translation.

3.50 and 3,50 are the same, and so are 12/31/2018 and 31.12.2018. A number that the translation has
in words is no loss, so small ones may be missing.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_NUMBER = re.compile(r"\d+(?:[.,:'’\u00a0\u202f]\d+)*")
_RUN = re.compile(r"\d+")
_SPELLED_OUT = 12  # the largest number that is commonly written as a word
_HALF_DAY = re.compile(r"\b[ap]\.?\s?m\b", re.IGNORECASE)  # 3 p.m. is 15 Uhr


@dataclass(frozen=True)
class NumberCheck:
    """The text, mended as far as that is safe, and what there is to say about it."""

    text: str
    notes: tuple[str, ...]


def check_numbers(source: str, text: str, known: Iterable[str] = ()) -> NumberCheck:
    """Compare the numbers of `source` with those of its translation `text`.

    The numbers of what is `known` to be in the translation are not strange. Where as many numbers are missing as there are strange ones, each takes its place, in order.
    Other losses are told.
    """
    ours, theirs = _NUMBER.findall(source), _NUMBER.findall(text)
    if not ours or sorted(map(_digits, ours)) == sorted(map(_digits, theirs)):
        return NumberCheck(text, ())
    if Counter(_RUN.findall(source)) == Counter(_RUN.findall(text)):  # the parts of a date
        return NumberCheck(text, ())
    missing = _without(ours, theirs)
    strange = _without(_without(theirs, ours), _NUMBER.findall(" ".join(known)))
    if missing and len(missing) == len(strange) and not _HALF_DAY.search(source):
        return _mend(text, missing, strange)
    told = [one for one in missing if len(_digits(one)) > 2 or int(_digits(one)) > _SPELLED_OUT]
    return NumberCheck(text, tuple(f"the number {one} is not in the translation" for one in told))


def _mend(text: str, missing: list[str], strange: list[str]) -> NumberCheck:
    places = iter(zip(strange, missing, strict=True))
    wrong, right = next(places)
    notes: list[str] = []

    def put(match: re.Match[str]) -> str:
        nonlocal wrong, right
        if match[0] != wrong or not wrong:
            return match[0]
        notes.append(f"the number {wrong} was corrected to {right}")
        given = right
        wrong, right = next(places, ("", ""))
        return given

    mended = _NUMBER.sub(put, text)
    return NumberCheck(mended, tuple(notes))


def _digits(number: str) -> str:
    return "".join(filter(str.isdecimal, number))


def _without(numbers: list[str], others: list[str]) -> list[str]:
    """The `numbers` that `others` do not have, as often as they lack them."""
    left = Counter(map(_digits, others))
    lacking = []
    for number in numbers:
        if left[_digits(number)]:
            left[_digits(number)] -= 1
        else:
            lacking.append(number)
    return lacking
