"""Inline tags, emoji included, bypass the model and return with the words they belonged to.

A pair of tags goes around the words made from those that it enclosed, so pairs may change places.
Any other tag goes after the words made from the word or pair that it followed. All tags stay inside
the pair that enclosed them. Offsets refer to the text without inline tags, as the model reads it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from seq2seq.text.alignment import WordAlignment
from seq2seq.text.masking import (
    INLINE_TAG,
    PLACEHOLDER,
    MaskedText,
    Span,
    pairs,
    tags_in,
    without_inline_tags,
)

_WORD = re.compile(r"\S+")
_REST_OF_WORD = re.compile(r"\S*")


class _Tag(NamedTuple):
    """An inline span of the source."""

    span: Span
    offset: int
    leads: bool  # white space comes before it and the tags directly before it
    after_space: bool
    before_space: bool


class _Mark(NamedTuple):
    """The place of a tag in the target."""

    offset: int
    number: int  # of the tag
    text: str  # the tag's symbol, with spaces where needed


class _Word(NamedTuple):
    """The place of a word, and of its part without the punctuation around it."""

    start: int
    end: int
    letters: int
    letters_end: int


def place(source: MaskedText, target: MaskedText, links: WordAlignment) -> MaskedText | None:
    """Put the tags of `source` into `target`, its translation without them.

    `links` are between the words of both, without tags. Return None if a pair would enclose no
    word, or if tags that are kept as words would no longer be nested as they were.
    """
    links = _with_placeholders_linked(links, without_inline_tags(source), target)
    placing = _Placing([*_tags(source)], source.text.replace(INLINE_TAG, ""), target.text, links)
    marks = placing.marks()
    if marks is None:
        return None
    placed = _inserted(target, placing.tags, marks)
    tags = [*_each_tag(source.spans)]
    opened = pairs([text for _, text in tags])
    ends = {tags[begin][0]: tags[end][0] for begin, end in opened.items()}
    return placed if _nesting(placed.spans, ends) == _nesting(source.spans, ends) else None


_WHOLE = -1  # stands for the whole text, around all pairs


class _Placing:
    """Finds where the tags of a text go in its translation.

    A pair goes by the number of its opening tag. Pairs that enclose no text do not count as pairs.
    """

    def __init__(self, tags: Sequence[_Tag], text: str, target: str, links: WordAlignment) -> None:
        self.tags = tags
        self._text, self._target = text, target
        self._finder = _Finder(text, target, links)
        self._ends = {
            begin: end
            for begin, end in pairs([each.span.text for each in tags]).items()
            if text[tags[begin].offset : tags[end].offset].strip()
        }
        self._children = defaultdict[int, list[int]](list)  # of a pair: what is directly inside
        closing = {*self._ends.values()}
        open_ = [_WHOLE]
        for number in range(len(tags)):
            if number in closing:
                open_.pop()
                continue
            self._children[open_[-1]].append(number)
            if number in self._ends:
                open_.append(number)
        self._ranges: dict[int, tuple[int, int]] = {_WHOLE: (0, len(target))}  # in the target

    def marks(self) -> list[_Mark] | None:
        """Place all tags, in the order of the target; return None if a pair encloses nothing."""
        for parent in (_WHOLE, *sorted(self._ends)):  # outer pairs first
            if not self._give_ranges(parent):
                return None
        return [*self._marks_inside(_WHOLE)]

    def _give_ranges(self, parent: int) -> bool:
        """Give the pairs in `parent` separate ranges within its own; return whether all fit."""
        low, high = self._ranges[parent]
        wanted = list[tuple[int, int, int]]()
        for begin in self._children[parent]:
            if begin in self._ends:
                tags = self.tags[begin], self.tags[self._ends[begin]]
                start, end = self._finder.enclosing(*(each.offset for each in tags))
                wanted.append((max(start, low), min(end, high), begin))
        last: int | None = None  # the previous pair
        for start, end, begin in sorted(wanted):
            if last is not None and start < self._ranges[last][1]:
                first, last_end = self._ranges[last]
                if start > first:  # the previous pair ends where this one begins
                    self._ranges[last] = first, len(self._target[:start].rstrip())
                else:
                    behind = self._target[last_end:]
                    start = last_end + len(behind) - len(behind.lstrip())
            if start >= end:
                return False
            self._ranges[begin] = start, end
            last = begin
        return True

    def _marks_inside(self, parent: int) -> Iterator[_Mark]:
        place, high = self._ranges[parent]
        for offset, number in sorted(self._offsets(parent)):
            place = max(place, min(offset, high))
            if number in self._ends:
                yield _Mark(place, number, INLINE_TAG)
                yield from self._marks_inside(number)
                place = self._ranges[number][1]
                yield _Mark(place, self._ends[number], INLINE_TAG)
            else:
                each = self.tags[number]
                ends_word = _is_space(self._target, place)
                begins_word = _is_space(self._target, place - 1)
                before = " " * (each.after_space and ends_word and not begins_word)
                after = " " * (each.before_space and begins_word and not ends_word)
                yield _Mark(place, number, before + INLINE_TAG + after)

    def _end_of_word(self, place: int) -> int:
        """Return the place after the punctuation at `place`."""
        match = _REST_OF_WORD.match(self._target, place)
        assert match  # it also matches nothing
        return match.end()

    def _offsets(self, parent: int) -> Iterator[tuple[int, int]]:
        """Yield where each tag or pair directly inside `parent` begins, with its number.

        A tag at either end of a pair, or right after a pair, stays there if at most space is
        between.
        """
        low, high = self._ranges[parent]
        begun, stop = 0, len(self._text)
        if parent != _WHOLE:
            begun, stop = self.tags[parent].offset, self.tags[self._ends[parent]].offset
        joined = spaced = low  # in the target: the place of `begun`, and after the space there
        for number in self._children[parent]:
            offset = self.tags[number].offset
            if number in self._ends:
                yield self._ranges[number][0], number
                begun, joined = self.tags[self._ends[number]].offset, self._ranges[number][1]
                spaced = self._end_of_word(joined)
            elif not self._text[begun:offset].strip():
                yield (spaced if begun < offset else joined), number
            elif not self._text[offset:stop].strip():
                yield high, number
            else:
                yield self._finder.following(self.tags[number]), number


class _Finder:
    """Finds the place in a target that corresponds to a place in its source."""

    def __init__(self, source: str, target: str, links: WordAlignment) -> None:
        self._source, self._target = source, target
        self._ours, self._theirs = _words(source), _words(target)
        self._links = [link for link in links if link[1] < len(self._theirs)]

    def enclosing(self, start: int, end: int) -> tuple[int, int]:
        """Return the range of the words made from those between `start` and `end`."""
        if not self._source[:start].strip() and not self._source[end:].strip():
            return 0, len(self._target)
        inside = [i for i, w in enumerate(self._ours) if w.letters < end and w.letters_end > start]
        made = [self._theirs[theirs] for ours, theirs in self._links if ours in inside]
        if not made:
            place = self._after(start)
            return place, place
        first, last = min(made), max(made)
        quoted, stopped = (
            not letter.isalnum() and letter != PLACEHOLDER
            for letter in (self._source[start], self._source[end - 1])
        )
        return first.start if quoted else first.letters, last.end if stopped else last.letters_end

    def following(self, tag: _Tag) -> int:
        """Return the place after the word that `tag` follows, or before one it is joined to."""
        if not self._source[tag.offset :].strip():
            return len(self._target)
        if tag.leads and self._source[tag.offset].isalnum():
            joined = [i for i, word in enumerate(self._ours) if word.end > tag.offset]
            made = [self._theirs[theirs] for ours, theirs in self._links if ours in joined[:1]]
            if made:
                return min(made).start
        return self._after(tag.offset)

    def _after(self, offset: int) -> int:
        """Return the place after the words made from the last word that begins before `offset`."""
        before = [i for i, word in enumerate(self._ours) if word.letters < offset]
        if not before or not self._theirs:
            return 0
        made = [self._theirs[theirs] for ours, theirs in self._links if ours == before[-1]]
        if made:
            inside = offset < self._ours[before[-1]].end
            return max(made).letters_end if inside else max(made).end
        share = len(before) / len(self._ours)  # without links, go by proportion
        return self._theirs[max(round(share * len(self._theirs)) - 1, 0)].end


def _with_placeholders_linked(
    links: WordAlignment, source: MaskedText, target: MaskedText
) -> WordAlignment:
    """Link the words of each placeholder to each other, and drop their other links."""
    ours, theirs = _words_of_spans(source), _words_of_spans(target)
    sure = [(word, theirs[number]) for number, word in ours.items() if number in theirs]
    others = [
        (first, second)
        for first, second in links
        if first not in ours.values() and second not in theirs.values()
    ]
    return (*others, *sure)


def _words_of_spans(masked: MaskedText) -> dict[int, int]:
    """Map the number of each span to the number of the word that contains its placeholder."""
    coming = iter(masked.spans)
    return {
        next(coming).number: number
        for number, word in enumerate(masked.text.split())
        for _ in range(word.count(PLACEHOLDER))
    }


def _tags(source: MaskedText) -> Iterator[_Tag]:
    text, spans = source
    coming = iter(spans)
    seen, leads = 0, False
    for place, letter in enumerate(text):
        if letter not in (INLINE_TAG, PLACEHOLDER):
            continue
        span = next(coming)
        if letter == INLINE_TAG:
            before, after = text[max(place - 1, 0) : place], text[place + 1 : place + 2]
            leads = leads if before == INLINE_TAG else before.isspace()
            yield _Tag(span, place - seen, leads, before.isspace(), after.isspace())
            seen += 1


_TagNumber = tuple[int, int]  # number of the span, and of the tag within it
_OUTSIDE = (_WHOLE, 0)


def _each_tag(spans: Iterable[Span]) -> Iterator[tuple[_TagNumber, str]]:
    """Yield each tag with its number; a span that is joined to a word may hold several tags."""
    for span in spans:
        for number, text in enumerate(tags_in(span.text)):
            yield (span.number, number), text


def _nesting(
    spans: Iterable[Span], ends: Mapping[_TagNumber, _TagNumber]
) -> dict[_TagNumber, _TagNumber] | None:
    """Map each pair to the pair around it, by their opening tags; return None if pairs cross.

    `ends` maps the opening tag of each pair to its closing tag.
    """
    nesting = dict[_TagNumber, _TagNumber]()
    closing = {*ends.values()}
    open_ = [_OUTSIDE]
    for tag, _ in _each_tag(spans):
        if tag in ends:
            nesting[tag] = open_[-1]
            open_.append(tag)
        elif tag in closing and ends.get(open_.pop()) != tag:
            return None
    return nesting


def _inserted(target: MaskedText, tags: Sequence[_Tag], marks: Sequence[_Mark]) -> MaskedText:
    text: list[str] = []
    spans: list[Span] = []
    coming = iter(target.spans)
    end = 0
    for mark in marks:
        passage = target.text[end : mark.offset]
        spans += (next(coming) for _ in range(passage.count(PLACEHOLDER)))
        spans.append(tags[mark.number].span)
        text += passage, mark.text
        end = mark.offset
    return MaskedText("".join([*text, target.text[end:]]), [*spans, *coming])


def _words(text: str) -> list[_Word]:
    words = []
    for match in _WORD.finditer(text):
        letters = [i for i in range(*match.span()) if text[i].isalnum() or text[i] == PLACEHOLDER]
        first, last = (letters[0], letters[-1] + 1) if letters else match.span()
        words.append(_Word(*match.span(), first, last))
    return words


def _is_space(text: str, offset: int) -> bool:
    """Return whether there is white space or nothing at `offset`."""
    return not 0 <= offset < len(text) or text[offset].isspace()
