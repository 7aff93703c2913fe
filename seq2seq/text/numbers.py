"""Compare the numbers of a source with those of its translation.

3.50 and 3,50 count as equal; so do 1,000 and 1000, 12/31/2018 and 31.12.2018, 3 p.m. and 15. A
number that the translation has as a word is not lost: small numbers may be missing if a word for
them is there. Likewise, a number that the source has as a word is not added.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

NUMBER = re.compile(
    r"(?:(?<![^\s(\[])[-−])?(?:\d{1,3}(?: \d{3})+(?!\d)(?:[.,]\d+)?"
    r"|\d+(?:[.,:'’\u00a0\u202f]\d+|h\d\d(?!\w|[.,:]\d))*)"
)
"""A number in figures, with its sign."""

_RUN = re.compile(r"\d+")
_DATE = re.compile(r"\d[./-]\d+[./-]\d")
_GROUPED = re.compile(  # in thousands
    r"(\d{1,3}(?P<mark>[.,'’ \u00a0\u202f])\d{3}(?:(?P=mark)\d{3})*)(?:[.,](\d+))?"
)
_FRACTION = re.compile(r"(\d+)[.,](\d+)")
_ROUND = {  # round numbers that are often written as words
    "100": re.compile(r"(?<!\d)(?:hundert|hundred|cent|cien)(?!\d)", re.IGNORECASE),
    "1000": re.compile(r"(?<!\d)(?:tausend|thousand|\bmil)(?!\d)", re.IGNORECASE),
}
_MARKS = {
    **dict.fromkeys(["de", "es", "it", "nl", "pt", "da", "tr"], ".,"),
    **dict.fromkeys(["en", "ja", "ko", "zh"], ",."),
    **dict.fromkeys(["cs", "fi", "fr", "no", "pl", "ru", "sv", "uk"], "\u202f,"),
}  # marks between thousands, and before the decimals
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
_LARGE_WORDS = {  # what words for numbers above 12 have in them
    "de": "zehn|zwanzig|ßig|zig|hundert|tausend|illion|illiard|halb|viertel|uhr",
    "en": "teen|twent|thirt|fort|fift|sixt|sevent|eight|ninet|hundred|thousand|illion|dozen|score"
    "|half|quarter|clock|midnight|noon",
    "es": "ce\\b|dieci|veint|treint|cuarent|cincuent|sesent|setent|ochent|novent|cien|mil|illón"
    "|illon|media|cuarto",
    "fr": "ze\\b|dix|vingt|trent|quarant|cinquant|soixant|cent|mill|demi|quart|heure",
}
UNITS = (
    # Words that may follow a number; each line is one unit in four languages.
    "bc bce v.chr av.j a.c",
    "cent cents centime centimes céntimo céntimos centavo centavos rappen ct",
    "pence penny pennies penique peniques",
    "dollar dollars dólar dólares $",
    "euro euros €",
    "pound pounds lb lbs pfund livre livres libra libras £",
    "franc francs franken franco francos chf",
    "yen ¥",
    "ton tons tonne tonnes tonnen tonelada toneladas",
    "kilo kilos kilogram kilograms kilogramm kilogramme kilogrammes kilogramo kilogramos kg",
    "gram grams gramm gramme grammes gramo gramos",
    "mile miles meile meilen mille milles milla millas mph",
    "kilometer kilometers kilometre kilometres kilometern kilomètre kilomètres kilómetro "
    "kilómetros km",
    "meter meters metre metres metern mètre mètres metro metros",
    "centimeter centimeters centimetre zentimeter centimètre centimètres centímetro centímetros cm",
    "inch inches zoll pouce pouces pulgada pulgadas",
    "foot feet fuß pied pieds pie pies",
    "liter liters litre litres litern litro litros",
    "degree degrees grad degré degrés grado grados °",
    "percent prozent pourcent porciento %",
    "second seconds sekunde sekunden seconde secondes segundo segundos",
    "minute minutes minuten minuto minutos minüt",
    "week weeks woche wochen semaine semaines semana semanas",
    "month months monat monate monaten mois mes meses",
    "million millions millionen millón millones",
    "billion billions milliarde milliarden milliard milliards",
)
_UNIT_OF = {word: unit.split() for unit in UNITS for word in unit.split()}
_AFTER_NUMBER = re.compile(  # the number in figures or masked as a span
    r"[\d\U000f0000][ \u00a0\u202f-]?(v\.\s?chr|av\.\s?j|a\.\s?c|[^\W\d_]+)", re.IGNORECASE
)
_HALF_DAY = re.compile(r"(\d{1,2})((?:[:.]\d\d)?)\s?([ap])\.?\s?m\b", re.IGNORECASE)


@dataclass(frozen=True)
class NumberCheck:
    """A translation, its numbers corrected as far as that is safe, and notes on the others."""

    text: str
    notes: tuple[str, ...]
    differs: bool = False  # a lost or added number remains


def check_numbers(source: str, text: str, target: str = "", language: str = "") -> NumberCheck:
    """Compare the numbers of `source`, in `language`, with those of its translation `text`.

    If both have equally many numbers, and missing and unexpected ones are at the same positions,
    the missing ones replace the others. Otherwise notes name what was lost or added. Numbers
    written as words are recognised only in some languages; `target` is the language of `text`.
    """
    if not (_RUN.search(source) or _RUN.search(text)):
        return NumberCheck(text, ())
    ours, theirs = NUMBER.findall(source), NUMBER.findall(text)
    if _DATE.search(source) and Counter(_RUN.findall(source)) == Counter(_RUN.findall(text)):
        return NumberCheck(text, ())
    values, others = _values(source, ours, text), [*map(number_value, theirs)]
    if _MINUS.search(source) or _MINUS.search(text):  # a sign may be written as a word
        values = [value.lstrip("-") for value in values]
        others = [value.lstrip("-") for value in others]
    lacking, strange = _lacking(values, others), _lacking(others, values)
    missing = [ours[place] for place in lacking]
    if missing and lacking == strange and len(ours) == len(theirs):
        return _mend(text, [localised(number, target, language) for number in missing], strange)
    lost = [number for number in missing if not _may_be_a_word(number, text, target)]
    new = [theirs[place] for place in strange if not _was_a_word(theirs[place], source, language)]
    return NumberCheck(
        text,
        (
            *(f"the number {number} is not in the translation" for number in lost),
            *(f"the number {number} is not in the source" for number in new),
        ),
        differs=bool(lost or new),
    )


def lost_units(source: str, text: str) -> list[str]:
    """Return the unit words after numbers in `source` that the translation `text` does not have.

    Only units of a small table count; a unit may come back in any of four languages.
    """
    words = _AFTER_NUMBER.findall(source)
    if not words:
        return []
    said = text.lower().replace(". ", ".").replace(" cien", "cien").replace("pour c", "pourc")
    lost = dict.fromkeys(
        word
        for word in words
        if not any(form in said for form in _UNIT_OF.get(re.sub(r"\s", "", word.lower()), [""]))
    )
    return [*lost]


def _values(source: str, numbers: Sequence[str], text: str) -> list[str]:
    """Return the values of the source's numbers; a.m. and p.m. hours as `text` writes them."""
    values = [*map(number_value, numbers)]
    there = {number_value(number) for number in NUMBER.findall(text)}
    for hour, minutes, half in _HALF_DAY.findall(source):
        value = number_value(hour + minutes)
        of_day = str(int(hour) % 12 + (12 if half in "pP" else 0))
        for other in (
            number_value(of_day + minutes),
            number_value(of_day.zfill(2) + minutes),
            of_day,
        ):
            if value in values and value not in there and other in there:
                values[values.index(value)] = other
    return values


def _was_a_word(number: str, source: str, language: str) -> bool:
    """Return whether `source` may have a number of its translation as a word."""
    words, large = _WORDS.get(language), _LARGE_WORDS.get(language)
    if words is None or large is None:
        return not _is_large(number)
    if re.search(large, source, re.IGNORECASE) or number_value(number) in _ROUND:
        return True
    return not _is_large(number) and _may_be_a_word(number, source, language)


def _is_large(number: str) -> bool:
    """Return whether a number is not usually written as a word."""
    digits = _digits(number)
    return len(digits) > 2 or int(digits) > _SPELLED_OUT


def _may_be_a_word(number: str, text: str, language: str) -> bool:
    """Return whether `text` may have a number as a word."""
    if _is_large(number):
        as_word = _ROUND.get(number_value(number))
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

    mended = NUMBER.sub(put, text)
    return NumberCheck(mended, tuple(notes))


def _digits(number: str) -> str:
    return "".join(filter(str.isdecimal, number))


def number_value(number: str) -> str:
    """Normalise a number: keep sign, digits and separators, except between thousands."""
    sign = "-" if number[0] in "-−" else ""
    plain = "".join(str(unicodedata.decimal(digit, digit)) for digit in number.lstrip("-−"))
    grouped = _GROUPED.fullmatch(plain)
    if grouped:
        whole = re.sub(r"\D", "", grouped[1])
        return f"{sign}{whole}|{grouped[3]}" if grouped[3] else sign + whole
    return sign + re.sub(r"\D", "|", plain)


def localised(number: str, language: str, source: str = "") -> str:
    """Convert a number from the notation of `source` to that of `language`, if that is known.

    If a number can be read in two ways (1,234), the notation of `source` decides.
    """
    marks, own = _MARKS.get(language), _MARKS.get(source)
    body = number.lstrip("+-−")
    sign = number[: len(number) - len(body)]
    if marks is None:
        return number
    fraction = _FRACTION.fullmatch(body)
    if fraction and own and own[1] in body:
        return sign + marks[1].join(fraction.groups())
    if grouped := _GROUPED.fullmatch(body):
        whole = grouped[1].replace(grouped["mark"], marks[0])
        return sign + whole + (marks[1] + grouped[3] if grouped[3] else "")
    if fraction:
        return sign + marks[1].join(fraction.groups())
    return number


def localised_amount(amount: str, language: str, source: str = "") -> str:
    """Convert the numbers of an amount to the notation of `language`; keep currency and unit."""
    if _MARKS.get(language) == _MARKS.get(source):
        return amount
    return NUMBER.sub(lambda match: localised(match[0], language, source), amount)


def _lacking(numbers: Sequence[str], others: Sequence[str]) -> list[int]:
    """Return the positions of `numbers` that are not in `others`, counting repeated ones."""
    left = Counter(others)
    places = []
    for place, number in enumerate(numbers):
        if left[number]:
            left[number] -= 1
        else:
            places.append(place)
    return places
