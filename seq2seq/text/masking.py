"""Spans that must survive translation: placeholders, links, tags, code and what no model can read.

There are three sources of spans: the kinds in `seq2seq.text.protected_spans`, patterns that a user
adds, and characters that the tokenizer has never seen. A word with an unseen letter is copied as a
name would be; unseen symbols are inline, as emoji are. Invisible characters, such as direction
marks, are removed.

Spans are taken out of the text before the model reads it, and put back into what it writes. In the
meantime a single character stands for each, which no rule splits and no change of case affects.
Most spans are words of the sentence, and the model reads them as one of the tokenizer's
placeholders. Tags and emoji are inline: the model reads the text without them, see
`seq2seq.text.inline_tags`.
"""

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seq2seq.text.numbers import NUMBER
from seq2seq.text.protected_spans import (
    DIVIDING_KINDS,
    HINT,
    INLINE_KINDS,
    PICTURES,
    TRIMMED_KINDS,
    span_pattern,
    without_punctuation,
)

PLACEHOLDER = "\U000f0000"
"""Stands for the next span. From the private use area; if a text contains it, it becomes a span.

The model reads it as one of the tokenizer's `PLACEHOLDERS`.
"""

INLINE_TAG = "\U000f0001"
"""Stands for the next span if that is inline."""

DIVIDER = "\U000f0002"
"""Stands for the next span if that divides the text: both sides are translated separately."""

SENTENCE_KINDS = ("number", "name")
"""Kinds of spans that only a second search masks, and that no pattern can find in a translation."""

ANY_PLACEHOLDER = re.compile(f"[{PLACEHOLDER}{INLINE_TAG}{DIVIDER}]")
_DIVIDING = {*DIVIDING_KINDS, DIVIDER}
_TAG = re.compile(r"<(/?)([A-Za-z][\w:.-]*+)[^>]*?(/?)>", re.DOTALL)
_JOIN = re.compile(r"[^\w\s]{0,3}")  # two spans with no more than this between them become one
_WORD = re.compile(r"[\w\u0300-\u036f\u200c\u200d]+")
_JOINING = (  # scripts from Arabic on, except for their own invisible characters
    "\u0600-\u061b\u061d-\u115e\u1161-\u17b3\u17b6-\u180a\u1810-\u1cff"
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffc\U000e0080-\U000e0fff]"
    # Joiners matter in emoji, and in the scripts from Arabic to those of India and beyond.
    f"|(?<![{_JOINING}{PICTURES}])(?<![{PICTURES}]\ufe0f)[\u200c\u200d]"
    f"|(?<![{PICTURES}])\ufe0f(?!\u20e3)"
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]+"
)
_AROUND = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "„": "“"}
"""Characters that belong to a span if they enclose it exactly."""


class Span(NamedTuple):
    """A piece of text that must come out as it went in."""

    text: str
    is_inline: bool  # a tag, a mark of Markdown or an emoji
    number: int  # in the text, from 0
    kind: str = ""  # name in the table of kinds; "" if several spans are joined
    written: str = ""  # the form for the translation, if it differs from `text`


class _Match(NamedTuple):
    """A span as it was matched in a text."""

    start: int
    end: int
    kind: str
    is_inline: bool


class _Place(NamedTuple):
    """The place of a span in its text."""

    start: int
    end: int
    is_inline: bool
    number: int
    kind: str


class MaskedText(NamedTuple):
    """A text with a `PLACEHOLDER`, `INLINE_TAG` or `DIVIDER` for each of its spans, in order."""

    text: str
    spans: Sequence[Span]


@dataclass(frozen=True)
class Protection:
    """Masks what is protected: the kinds of the table, a user's patterns and unseen characters.

    The user's `patterns` win over the table. `spells` returns whether the model has seen a
    character; without it, all characters count as seen.
    """

    patterns: tuple[re.Pattern[str], ...] = ()
    spells: Callable[[str], bool] | None = None

    def mask(self, text: str) -> MaskedText:
        """Mask the spans of the user's patterns and of the table."""
        matches = _users(self.patterns, text)
        if HINT.search(text):
            matches = _with_others(
                matches, [_of_table(match) for match in span_pattern().finditer(text)]
            )
        return _masked(text, matches)

    def mask_unreadable(self, masked: MaskedText) -> MaskedText:
        """Also mask what the model has never seen; a number is masked whole, if at all."""
        if self.spells is None:
            return masked
        matches = [*_unreadable(masked.text, self.spells)]
        if not matches:
            return masked
        numbers = _numbers(masked.text)
        readable = {*_with_others(matches, numbers)}
        broken = [number for number in numbers if number not in readable]
        return _with_more(masked, _with_others(broken, matches))


def mask(text: str) -> MaskedText:
    """Mask the spans of all kinds in `text`."""
    return Protection().mask(text)


def mask_numbers(masked: MaskedText) -> MaskedText:
    """Also mask numbers in figures that are separate words."""
    return _with_more(masked, _numbers(masked.text))


def mask_names(masked: MaskedText, names: Iterable[re.Match[str]]) -> MaskedText:
    """Also mask the given matches of names; adjacent names become one span."""
    matches: list[_Match] = []
    for name in names:
        start, end = name.span()
        if matches and masked.text[matches[-1].end : start].isspace():
            start = matches.pop().start
        matches.append(_Match(start, end, "name", False))
    return _with_more(masked, matches)


def mask_placeholders(text: str) -> MaskedText:
    """Mask only characters that would be taken for a placeholder."""
    return _masked(text, [_Match(*m.span(), "", False) for m in ANY_PLACEHOLDER.finditer(text)])


def _users(patterns: Iterable[re.Pattern[str]], text: str) -> list[_Match]:
    """Return what a user's patterns match; an earlier pattern wins."""
    matches: list[_Match] = []
    for pattern in patterns:
        found = [_Match(*m.span(), "user", False) for m in pattern.finditer(text) if m[0].strip()]
        matches = _with_others(matches, found)
    return matches


def _numbers(text: str) -> list[_Match]:
    """Return the numbers in figures that are separate words."""
    return [
        _Match(*match.span(), "number", False)
        for match in NUMBER.finditer(text)
        if not (match.start() and text[match.start() - 1].isalnum())
        and not text[match.end() : match.end() + 1].isalnum()
    ]


def _of_table(match: re.Match[str]) -> _Match:
    kind = match.lastgroup or ""
    span = without_punctuation(match[0]) if kind in TRIMMED_KINDS else match[0]
    return _Match(match.start(), match.start() + len(span), kind, kind in INLINE_KINDS)


def _with_others(matches: list[_Match], others: list[_Match]) -> list[_Match]:
    """Merge both in order, without those of `others` that overlap with one of `matches`."""
    if not (matches and others):
        return matches or others
    starts = [match.start for match in matches]
    free = [
        other
        for other, before in ((other, bisect_left(starts, other.end) - 1) for other in others)
        if before < 0 or matches[before].end <= other.start
    ]
    return sorted([*matches, *free])


def _with_more(masked: MaskedText, matches: list[_Match]) -> MaskedText:
    """Mask further spans in a text that already has placeholders."""
    if not matches:
        return masked
    text, old = masked
    before = [
        _Match(*m.span(), DIVIDER if m[0] == DIVIDER else "", m[0] == INLINE_TAG)
        for m in ANY_PLACEHOLDER.finditer(text)
    ]
    both = _masked(text, _with_others(before, matches))
    coming = iter(old)
    spans: list[Span] = []
    for number, span in enumerate(both.spans):
        if ANY_PLACEHOLDER.fullmatch(span.text):
            spans.append(next(coming)._replace(is_inline=span.is_inline, number=number))
        else:
            whole = ANY_PLACEHOLDER.sub(lambda _: next(coming).text, span.text)
            spans.append(span._replace(text=whole, number=number))
    return MaskedText(both.text, spans)


def _masked(text: str, matches: Sequence[_Match]) -> MaskedText:
    if not matches:
        return MaskedText(text, ())
    # A span that joins two letters is kept as a word, and so is the other half of its pair.
    held = {number for number, match in enumerate(matches) if not _may_be_inline(text, match)}
    held |= _between_letters(text, matches)
    for number, other in pairs([text[match.start : match.end] for match in matches]).items():
        if not held.isdisjoint((number, other)):
            held |= {number, other}
    places: list[_Place] = []
    for number, (start, stop, kind, _) in enumerate(matches):
        place = _Place(start, stop, number not in held, number, kind)
        before = places[-1] if places else None
        end = before.end if before else 0
        if (
            before
            and _symbol(before) == _symbol(place) == PLACEHOLDER
            and _JOIN.fullmatch(text, end, start)
        ):
            places[-1] = before._replace(end=stop, kind="")
            continue
        around = _AROUND.get(text[start - 1]) if start > end else None
        if not place.is_inline and around and around == text[stop : stop + 1]:
            place = place._replace(start=start - 1, end=stop + 1)
        places.append(place)
    kept: list[str] = []
    end = 0
    for place in places:
        kept += text[end : place.start], _symbol(place)
        end = place.end
    spans = [
        Span(text[place.start : place.end], place.is_inline, place.number, place.kind)
        for place in places
    ]
    return MaskedText("".join([*kept, text[end:]]), spans)


def _symbol(place: _Place) -> str:
    """Return the character that stands for a span."""
    if place.kind in _DIVIDING:
        return DIVIDER
    return INLINE_TAG if place.is_inline else PLACEHOLDER


def restore(text: str, spans: Iterable[Span]) -> str:
    """Replace the placeholders by the `spans`, in order."""
    if not ANY_PLACEHOLDER.search(text):
        return text
    coming = iter(spans)
    return ANY_PLACEHOLDER.sub(lambda _: next(coming).text, text)


def as_written(masked: MaskedText) -> MaskedText:
    """Return a text with its spans as they are written in the translation."""
    spans = [span._replace(text=span.written or span.text) for span in masked.spans]
    return MaskedText(masked.text, spans)


def without_inline_tags(masked: MaskedText) -> MaskedText:
    """Return the model's input: the text without inline tags, and the other spans."""
    own = [span for span in masked.spans if not span.is_inline]
    return MaskedText(masked.text.replace(INLINE_TAG, ""), own)


def number_of_spans(text: str) -> int:
    """Count the spans of a masked text."""
    return len(ANY_PLACEHOLDER.findall(text))


def split_at_spans(text: str) -> list[str]:
    """Split a masked text into its spans and what is between them, without empty parts."""
    return [part for part in re.split(f"({ANY_PLACEHOLDER.pattern})", text) if part]


def pairs(spans: Sequence[str]) -> dict[int, int]:
    """Map the index of each opening tag to the index of its closing tag."""
    found: dict[int, int] = {}
    opened: list[tuple[str, int]] = []
    unclosed: Counter[str] = Counter()
    for place, span in enumerate(spans):
        name, opens = _opening(span, unclosed)
        if opens:
            opened.append((name, place))
            unclosed[name] += 1
        elif unclosed[name]:
            other = ""
            while other != name:
                other, begin = opened.pop()
                unclosed[other] -= 1
            found[begin] = place
    return found


def tags_in(span: str) -> list[str]:
    """Return the tags of a span that consists of several, otherwise the span itself."""
    *parts, rest = span.split(">")
    tags = [f"{part}>" for part in parts]
    return tags if tags and not rest and all(map(_TAG.fullmatch, tags)) else [span]


def _opening(span: str, unclosed: Mapping[str, int]) -> tuple[str, bool]:
    """Return the name of what a span opens or closes ("" for nothing), and whether it opens it."""
    if span in ("**", "__", "~~", "*", "_"):
        return span, not unclosed.get(span)
    if span in ("[", "![") or span.startswith("]("):
        return "[", not span.startswith("]")
    tag = _TAG.fullmatch(span)
    if not tag or tag[3]:
        return "", False
    return tag[2].lower(), not tag[1]


def _may_be_inline(text: str, match: _Match) -> bool:
    """Return whether a match is of an inline kind and not between two letters."""
    start, end = match.start, match.end
    between = start and text[start - 1].isalnum() and text[end : end + 1].isalnum()
    return match.is_inline and not between


def _between_letters(text: str, matches: Sequence[_Match]) -> set[int]:
    """Return the numbers of adjacent matches that together stand between two letters."""
    found: set[int] = set()
    first = 0  # of the row
    for number, match in enumerate(matches):
        if number and matches[number - 1].end != match.start:
            first = number
        start, end = matches[first].start, match.end
        if number > first and start and text[start - 1].isalnum() and text[end : end + 1].isalnum():
            found.update(range(first, number + 1))
    return found


def without_invisible(text: str) -> str:
    """Remove invisible characters: soft hyphens, direction marks, joiners, variation selectors."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def _unreadable(text: str, spells: Callable[[str], bool]) -> Iterator[_Match]:
    """Find what the tokenizer has never seen.

    `spells` returns whether the tokenizer has a character. ASCII digits always count as seen.
    """
    unseen = {character for character in set(text) if not _is_seen(character, spells)}
    if not unseen:
        return
    end = 0
    for word in _WORD.finditer(text):
        yield from _symbols(text, end, word.start(), unseen)
        end = word.end()
        if not unseen.isdisjoint(word[0]) and not _is_seen_composed(word[0], spells):
            yield _Match(word.start(), end, "unreadable", False)
    yield from _symbols(text, end, len(text), unseen)


def _symbols(text: str, start: int, end: int, unseen: set[str]) -> Iterator[_Match]:
    """Find runs of unseen symbols between `start` and `end`."""
    first = start
    for place in range(start, end + 1):
        if place < end and text[place] in unseen:
            continue
        if first < place:
            yield _Match(first, place, "symbol", True)
        first = place + 1


def _is_seen(character: str, spells: Callable[[str], bool]) -> bool:
    """Return whether the model can read a character; a capital counts if its small letter does."""
    return (
        spells(character)
        or character.isspace()
        or (character.isascii() and character.isdigit())
        or all(map(spells, character.lower()))  # "İ" gives two characters
        or _INVISIBLE.fullmatch(character) is not None
    )


def _is_seen_composed(word: str, spells: Callable[[str], bool]) -> bool:
    """Return whether letters combined with the marks that follow them have been seen."""
    composed = unicodedata.normalize("NFC", word)
    return all(_is_seen(character, spells) for character in composed)
