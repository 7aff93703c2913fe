"""Tags and pictures go around the model, and come back where the words went that they stood at.

A pair of tags is put around the words made from those that it enclosed. Anything else comes after
the word that it came after. Offsets are those of the text without any of them, as the model reads
it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from seq2seq.text.alignment import Links
from seq2seq.text.protection import FLOAT, STAND_IN, Shielded, Span, pairs

_WORD = re.compile(r"\S+")


class _Float(NamedTuple):
    """A floating span of the source."""

    span: Span
    offset: int
    leads: bool  # white space is before it and the floats that it is joined to
    after_space: bool
    before_space: bool


class _Mark(NamedTuple):
    """Where a float goes in the target."""

    offset: int
    number: int  # of the float
    text: str


class _Word(NamedTuple):
    """A word, and its part without the punctuation around it."""

    start: int
    end: int
    letters: int
    letters_end: int


def place(source: Shielded, target: Shielded, links: Links) -> Shielded | None:
    """Put the floats of `source` into `target`, its translation without them.

    `links` are between the words of both without floats. None where tags would cross.
    """
    floats = [*_floats(source)]
    text = source.text.replace(FLOAT, "")
    ends = {
        begin: end
        for begin, end in pairs([one.span.text for one in floats]).items()
        if text[floats[begin].offset : floats[end].offset].strip()
    }
    closing = {*ends.values()}
    finder = _Finder(text, target.text, links)
    marks: list[_Mark] = []
    for number, one in enumerate(floats):
        if number in ends:
            start, end = finder.enclosing(one.offset, floats[ends[number]].offset)
            marks.append(_Mark(start, number, FLOAT))
            marks.append(_Mark(end, ends[number], FLOAT))
        elif number not in closing:
            offset = finder.following(one)
            before = " " if one.after_space and not _is_space(target.text, offset - 1) else ""
            after = " " if one.before_space and not _is_space(target.text, offset) else ""
            marks.append(_Mark(offset, number, before + FLOAT + after))
    placed = _inserted(target, floats, sorted(marks))
    return None if _cross(source.spans, placed.spans) else placed


class _Finder:
    """Finds the place in a target that is like a place in its source."""

    def __init__(self, source: str, target: str, links: Links) -> None:
        self._source, self._target = source, target
        self._ours, self._theirs = _words(source), _words(target)
        self._links = [link for link in links if link[1] < len(self._theirs)]

    def enclosing(self, start: int, end: int) -> tuple[int, int]:
        """What encloses the words made from those between `start` and `end`."""
        if not self._source[:start].strip() and not self._source[end:].strip():
            return 0, len(self._target)
        inside = [i for i, w in enumerate(self._ours) if w.letters < end and w.letters_end > start]
        made = [self._theirs[theirs] for ours, theirs in self._links if ours in inside]
        if not made:
            place = self._after(start)
            return place, place
        first, last = min(made), max(made)
        quoted = not self._source[start : start + 1].isalnum()
        stopped = not self._source[end - 1 : end].isalnum()
        return first.start if quoted else first.letters, last.end if stopped else last.letters_end

    def following(self, one: _Float) -> int:
        """Behind the word that `one` is behind, or before the one that it is joined to."""
        if not self._source[one.offset :].strip():
            return len(self._target)
        if one.leads and self._source[one.offset].isalnum():
            joined = [i for i, word in enumerate(self._ours) if word.end > one.offset]
            made = [self._theirs[theirs] for ours, theirs in self._links if ours in joined[:1]]
            if made:
                return min(made).start
        return self._after(one.offset)

    def _after(self, offset: int) -> int:
        """Behind the words made from the last one that begins before `offset`."""
        before = [i for i, word in enumerate(self._ours) if word.letters < offset]
        if not before or not self._theirs:
            return 0
        made = [self._theirs[theirs] for ours, theirs in self._links if ours == before[-1]]
        if made:
            inside = offset < self._ours[before[-1]].end
            return max(made).letters_end if inside else max(made).end
        share = len(before) / len(self._ours)  # in proportion
        return self._theirs[max(round(share * len(self._theirs)) - 1, 0)].end


def _floats(source: Shielded) -> Iterator[_Float]:
    text, spans = source
    coming = iter(spans)
    seen, leads = 0, False
    for place, letter in enumerate(text):
        if letter not in (FLOAT, STAND_IN):
            continue
        span = next(coming)
        if letter == FLOAT:
            before, after = text[max(place - 1, 0) : place], text[place + 1 : place + 2]
            leads = leads if before == FLOAT else before.isspace()
            yield _Float(span, place - seen, leads, before.isspace(), after.isspace())
            seen += 1


def _cross(source: Sequence[Span], target: Iterable[Span]) -> bool:
    """Whether a tag of `target` closes before one that was opened after it."""
    found = pairs([span.text for span in source])
    ends = {source[begin].number: source[end].number for begin, end in found.items()}
    closing = {*ends.values()}
    opened: list[int] = []
    for span in target:
        if span.number in ends:
            opened.append(ends[span.number])
        elif span.number in closing and (not opened or opened.pop() != span.number):
            return True
    return False


def _inserted(target: Shielded, floats: Sequence[_Float], marks: Sequence[_Mark]) -> Shielded:
    text: list[str] = []
    spans: list[Span] = []
    coming = iter(target.spans)
    end = 0
    for mark in marks:
        passage = target.text[end : mark.offset]
        spans += (next(coming) for _ in range(passage.count(STAND_IN)))
        spans.append(floats[mark.number].span)
        text += passage, mark.text
        end = mark.offset
    return Shielded("".join([*text, target.text[end:]]), [*spans, *coming])


def _words(text: str) -> list[_Word]:
    words = []
    for match in _WORD.finditer(text):
        letters = [i for i in range(*match.span()) if text[i].isalnum() or text[i] == STAND_IN]
        first, last = (letters[0], letters[-1] + 1) if letters else match.span()
        words.append(_Word(*match.span(), first, last))
    return words


def _is_space(text: str, offset: int) -> bool:
    """Whether there is white space at `offset`, or nothing."""
    return not 0 <= offset < len(text) or text[offset].isspace()
