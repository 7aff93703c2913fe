"""Numbers of a source against those of its translation.

3.50 and 3,50 are the same, and so are 12/31/2018 and 31.12.2018. A number that the translation has
in words is no loss, so small ones may be missing.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

_NUMBER = re.compile(r"\d+(?:[.,:'’\u00a0\u202f]\d+)*")
_RUN = re.compile(r"\d+")
_SPELLED_OUT = 12  # the largest number that is commonly written as a word
_HALF_DAY = re.compile(r"\b[ap]\.?\s?m\b", re.IGNORECASE)  # 3 p.m. is 15 Uhr


@dataclass(frozen=True)
class NumberCheck:
    """The text, mended as far as that is safe, and what there is to say about it."""

    text: str
    notes: tuple[str, ...]


def check_numbers(source: str, text: str) -> NumberCheck:
    """Compare the numbers of `source` with those of its translation `text`.

    Where as many numbers are missing as there are strange ones, each takes its place, in order.
    Other losses are told.
    """
    ours, theirs = _NUMBER.findall(source), _NUMBER.findall(text)
    if not ours or sorted(map(_digits, ours)) == sorted(map(_digits, theirs)):
        return NumberCheck(text, ())
    if Counter(_RUN.findall(source)) == Counter(_RUN.findall(text)):  # the parts of a date
        return NumberCheck(text, ())
    missing = [ours[place] for place in _lacking(ours, theirs)]
    strange = _lacking(theirs, ours)
    if missing and len(missing) == len(strange) and not _HALF_DAY.search(source):
        return _mend(text, missing, strange)
    if _HALF_DAY.search(source):
        strange = []
    lost = [one for one in missing if _is_large(one)]
    new = [theirs[place] for place in strange if _is_large(theirs[place])]
    return NumberCheck(
        text,
        (
            *(f"the number {one} is not in the translation" for one in lost),
            *(f"the number {one} is not in the source" for one in new),
        ),
    )


def _is_large(number: str) -> bool:
    """Whether it is not commonly written as a word."""
    digits = _digits(number)
    return len(digits) > 2 or int(digits) > _SPELLED_OUT


def _mend(text: str, missing: Sequence[str], strange: Sequence[int]) -> NumberCheck:
    put_at = dict(zip(strange, missing, strict=True))
    place = count()
    notes: list[str] = []

    def put(match: re.Match[str]) -> str:
        right = put_at.get(next(place), match[0])
        if right != match[0]:
            notes.append(f"the number {match[0]} was corrected to {right}")
        return right

    mended = _NUMBER.sub(put, text)
    return NumberCheck(mended, tuple(notes))


def _digits(number: str) -> str:
    return "".join(filter(str.isdecimal, number))


def _lacking(numbers: Sequence[str], others: Sequence[str]) -> list[int]:
    """The places of the `numbers` that `others` do not have, as often as they lack them."""
    left = Counter(map(_digits, others))
    places = []
    for place, number in enumerate(map(_digits, numbers)):
        if left[number]:
            left[number] -= 1
        else:
            places.append(place)
    return places
