"""Cut a text into sentences, and sentences that are too long for the model into pieces.

A text is cut at sentence ends; a sentence that is still too long, at its clauses; a clause,
between words; a word, or text in a script without spaces, between characters. Nothing is lost.
Sentences stay separate, since a model learns from sentences; smaller parts are joined again as far
as they fit.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

_SENTENCE_END = re.compile(
    r"""(?<=[.!?…"'”’»)\]\U000f0000\U000f0001])\s+"""  # `_ends_sentence` decides
    r"""|[。！？]+[」』”’）]*\s*"""
    r"""|(?<=[.!?…"'”’»)\]])(?=\U000f0001+[^\W\d_])"""  # as in `key.<br>It`
)
_LINE_OR_SENTENCE_END = re.compile(rf"{_SENTENCE_END.pattern}|\n\s*")
_CLAUSE_END = re.compile(r"(?<=[,;:–—])\s+|[、，；：]\s*")
_SPACE = re.compile(r"\s+")
_BEGINNING = re.compile("\U000f0001*(.?)", re.DOTALL)  # the first letter, after tags

_OPENERS, _CLOSERS = "\"'“‘„«([\U000f0001", "\"'”’»)]\U000f0000\U000f0001"  # a tag may be either
_ABBREVIATIONS = {  # that end no sentence; neither does a single letter: J. Smith, z. B.
    "de": "bzw ca dr evtl ggf hr nr prof st str vgl",
    "en": "approx capt cf col dr gen gov lt maj mr mrs ms mt prof rev sen sgt sr st vs",
    "es": "aprox av dr dra pág prof sr sra srta ud uds",
    "fr": "av dr env mlle mme prof st ste",
}
_BEFORE_NUMBERS = (  # abbreviations only if a number follows
    "apr art aug ch dec feb fig figs jan jul jun n no nos nov nr núm oct p pp sec sep sept vol"
)
_ORDINAL = re.compile(r"\d{1,2}")  # 3. Oktober

Length = Callable[[str], int]
Cut = Callable[[str], Iterator[str]]


@dataclass(frozen=True)
class Part:
    """A part of a text, and the white space between it and the next part."""

    text: str
    separator: str


def sentences(text: str, language: str = "") -> Iterator[Part]:
    """Split `text` into sentences, which may span several lines.

    Texts and separators, joined in order, give `text` again. If `language` is not known, the
    abbreviations of all languages count.
    """
    matches = _SENTENCE_END.finditer(text)
    ends = (match for match in matches if _ends_sentence(text, match, language))
    for part in _cut_after(text, ends):
        yield _part(part)


def split(text: str, limit: int, length: Length) -> Iterator[Part]:
    """Cut `text` into pieces no longer than `limit`, as measured by `length`.

    Single characters may be longer. Pieces are produced on demand; texts and separators, joined in
    order, give `text` again. The length of joined words is taken to be the sum of their lengths.
    For a part longer than `limit`, `length` may return any number above `limit`.
    """
    for part in _split(text, limit, length, _CUTS):
        yield _part(part)


def _part(part: str) -> Part:
    body = part.rstrip() or part
    return Part(body, part[len(body) :])


def _split(text: str, limit: int, length: Length, cuts: Sequence[Cut]) -> Iterator[str]:
    if len(text) <= 1 or length(text) <= limit:
        yield text
    elif not cuts:
        for half in _halves(text):
            yield from _split(half, limit, length, cuts)
    else:
        cut, *finer = cuts
        parts = (small for part in cut(text) for small in _split(part, limit, length, finer))
        yield from parts if cut is _sentences else _pack(parts, limit, length)


def _pack(parts: Iterable[str], limit: int, length: Length) -> Iterator[str]:
    """Join adjacent parts as long as they fit."""
    packed: list[str] = []
    room = limit
    for part in parts:
        needed = length(part)
        if packed and needed > room:
            yield "".join(packed)
            packed.clear()
            room = limit
        packed.append(part)
        room -= needed
    yield "".join(packed)


def _sentences(text: str) -> Iterator[str]:
    """Cut a text after each sentence and each line."""
    matches = _LINE_OR_SENTENCE_END.finditer(text)
    return _cut_after(text, (m for m in matches if "\n" in m[0] or _ends_sentence(text, m)))


def _clauses(text: str) -> Iterator[str]:
    return _cut_after(text, _CLAUSE_END.finditer(text))


def _words(text: str) -> Iterator[str]:
    return _cut_after(text, _SPACE.finditer(text))


_CUTS = (_sentences, _clauses, _words)


def _cut_after(text: str, matches: Iterable[re.Match[str]]) -> Iterator[str]:
    start = 0
    for match in matches:
        if match.end() < len(text):
            yield text[start : match.end()]
            start = match.end()
    yield text[start:]


def _ends_sentence(text: str, match: re.Match[str], language: str = "") -> bool:
    """Return whether white space after a full stop, or a mark of CJK text, ends a sentence."""
    if match[0] and not match[0].isspace():
        return True
    begins = _BEGINNING.match(text, match.end())
    assert begins  # it also matches nothing
    following = begins[1]
    if following.islower():
        return False
    # The end of the last word is enough: no abbreviation is longer.
    last = text[max(0, match.start() - 20) : match.start()].split()[-1]
    word = last.rstrip(_CLOSERS)
    if not word.endswith("."):
        return word.endswith(("!", "?", "…"))
    if language == "en" and word.lower().endswith(".m."):  # p.m.
        return not following.isdigit()
    stem = word.rstrip(".").rpartition(".")[2].lstrip(_OPENERS).lower()
    return not _is_abbreviation(stem, following, language)


def _is_abbreviation(stem: str, following: str, language: str) -> bool:
    if len(stem) == 1 and stem.isalpha():
        return True
    if _ORDINAL.fullmatch(stem):
        return language not in ("en", "es", "fr")
    if stem in _BEFORE_NUMBERS.split() and following.isdigit():
        return True
    known = [_ABBREVIATIONS[language]] if language in _ABBREVIATIONS else _ABBREVIATIONS.values()
    return any(stem in some.split() for some in known)


def _halves(text: str) -> tuple[str, str]:
    """Cut a text into two parts of about equal size; marks stay with the letter before them."""
    middle = len(text) // 2
    cut = middle
    while cut and _belong_together(text[cut - 1], text[cut]):
        cut -= 1
    cut = cut or middle
    return text[:cut], text[cut:]


def _belong_together(left: str, right: str) -> bool:
    zero_width_joiner = "\u200d"
    return unicodedata.category(right)[0] == "M" or zero_width_joiner in (left, right)
