"""Numbers of a source against those of its translation.

3.50 and 3,50 are the same, and so are 1,000 and 1000, and 12/31/2018 and 31.12.2018. A number that
the translation has in words is no loss: small ones may be missing where there is a word for them.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

_NUMBER = re.compile(
    r"(?:(?<![^\s(\[])[-−])?(?:\d{1,3}(?: \d{3})+(?!\d)|\d+(?:[.,:'’\u00a0\u202f]\d+)*)"
)
_RUN = re.compile(r"\d+")
_DATE = re.compile(r"\d[./-]\d+[./-]\d")
_GROUPED = re.compile(  # in thousands
    r"(\d{1,3}(?P<mark>[.,'’ \u00a0\u202f])\d{3}(?:(?P=mark)\d{3})*)(?:[.,](\d+))?"
)
_FRACTION = re.compile(r"(\d+)[.,](\d+)")
_ROUND = {  # that are commonly written as words, too
    "100": re.compile("hundert|hundred|cent|cien", re.IGNORECASE),
    "1000": re.compile(r"tausend|thousand|\bmil", re.IGNORECASE),
}
_MARKS = {
    "de": ".,",
    "en": ",.",
    "es": ".,",
    "fr": "\u202f,",
}  # between thousands, and before tenths
_MINUS = re.compile(r"\b(?:minus|moins|menos|below|unter|bajo|sous)\b", re.IGNORECASE)
_SPELLED_OUT = 12  # the largest number that is commonly written as a word
_WORDS = {  # how words for 0 to 12 begin
    "de": "null|kein ein|erst zwei|zwo|beid|doppel drei|dritt vier fünf sech sieb acht neun zehn "
    "elf zwölf|mittag|mitternacht|dutzend",
    "en": r"zero|no\b|nil\b one|an?\b|first|once|single two|second|twice|both|double "
    r"three|third|thrice|triple four|quarter five|fifth six seven eight nin ten eleven "
    r"twel|noon|midday|midnight|dozen",
    "es": r"cero|ningun un[oa]?s?\b|primer dos\b|segund|doble|amb[oa]s tres|tercer|triple "
    r"cuatro|cuart cinco|quint seis|sext siete|séptim ocho|octav nueve|noven diez|décim "
    r"once|undécim doce|docena|mediod|medianoche",
    "fr": r"zéro|aucun une?\b|premi deux|second|double trois|tiers|triple quatr|quart cinq six "
    r"sept huit neuf|neuv dix onz douz|midi|minuit",
}
_HALF_DAY = re.compile(r"\d\s?[ap]\.?\s?m\b", re.IGNORECASE)  # 3 p.m. is 15 Uhr


@dataclass(frozen=True)
class NumberCheck:
    """The text, mended as far as that is safe, and what there is to say about it."""

    text: str
    notes: tuple[str, ...]


def check_numbers(source: str, text: str, target: str = "") -> NumberCheck:
    """Compare the numbers of `source` with those of its translation `text`.

    Where as many numbers are missing as there are strange ones, each takes its place, in order.
    Other losses are told; but whether a small number is there as a word is known for some languages
    alone, and `target`, that of `text`, may be another one.
    """
    ours, theirs = _NUMBER.findall(source), _NUMBER.findall(text)
    if not ours:
        return NumberCheck(text, ())
    if _DATE.search(source) and Counter(_RUN.findall(source)) == Counter(_RUN.findall(text)):
        return NumberCheck(text, ())
    values, others = [*map(_value, ours)], [*map(_value, theirs)]
    if _MINUS.search(source) or _MINUS.search(text):  # a sign may be a word
        values, others = ([one.lstrip("-") for one in some] for some in (values, others))
    missing = [ours[place] for place in _lacking(values, others)]
    strange = _lacking(others, values)
    if missing and len(missing) == len(strange) and not _HALF_DAY.search(source):
        return _mend(text, [_localised(number, target) for number in missing], strange)
    if _HALF_DAY.search(source):
        strange = []
    lost = [one for one in missing if not _may_be_a_word(one, text, target)]
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


def _may_be_a_word(number: str, text: str, language: str) -> bool:
    """Whether `text` may have a number as a word."""
    if _is_large(number):
        as_word = _ROUND.get(_value(number))
        return as_word is not None and as_word.search(text) is not None
    words = _WORDS.get(language)
    if words is None:
        return True
    beginning = words.split()[int(_digits(number))]
    return re.search(rf"\b(?:{beginning})", text, re.IGNORECASE) is not None


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


def _value(number: str) -> str:
    """The same for all ways to write a number: sign, digits, and what parts it but thousands."""
    sign = "-" if number[0] in "-−" else ""
    plain = "".join(str(unicodedata.decimal(one, one)) for one in number.lstrip("-−"))
    grouped = _GROUPED.fullmatch(plain)
    if grouped:
        whole = re.sub(r"\D", "", grouped[1])
        return f"{sign}{whole}|{grouped[3]}" if grouped[3] else sign + whole
    return sign + re.sub(r"\D", "|", plain)


def _localised(number: str, language: str) -> str:
    """As it is written in `language`, where that is known."""
    marks = _MARKS.get(language)
    body = number.lstrip("-−")
    sign = number[: len(number) - len(body)]
    if marks and (grouped := _GROUPED.fullmatch(body)):
        whole = grouped[1].replace(grouped["mark"], marks[0])
        return sign + whole + (marks[1] + grouped[3] if grouped[3] else "")
    if marks and (fraction := _FRACTION.fullmatch(body)):
        return sign + marks[1].join(fraction.groups())
    return number


def _lacking(numbers: Sequence[str], others: Sequence[str]) -> list[int]:
    """The places of the `numbers` that `others` do not have, as often as they lack them."""
    left = Counter(others)
    places = []
    for place, number in enumerate(numbers):
        if left[number]:
            left[number] -= 1
        else:
            places.append(place)
    return places
