"""Subtitles, SubRip (SRT) and WebVTT: translate sentences across cues, and divide them again.

https://www.w3.org/TR/webvtt1/
"""

import html
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from seq2seq.documents.document import TextUnit, UnitTranslation
from seq2seq.documents.encoding import Encoding, decode
from seq2seq.documents.tagged_text import Mark, Role, TaggedText
from seq2seq.errors import Seq2SeqError
from seq2seq.text.sentences import sentences

_WEBVTT = re.compile(r"WEBVTT(?=[ \t\r\n]|\Z)")
_BLOCK = re.compile(r"(?:^[^\S\n]*+\S[^\n]*\n?)+", re.MULTILINE)  # lines that are not blank
_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMING = re.compile(
    rf"(?:[^\n]*\n)??[^\S\n]*({_TIME})[ \t]*-->[ \t]*{_TIME}[^\n]*(?:\n|\Z)"  # after an identifier
)
_TAG = re.compile(r"(<[^<>\n]{1,200}>|\{\\[^{}\n]{1,200}\})")
_NAME = re.compile(r"<(/?)([a-zA-Z]+)")
_TURN = re.compile(r"\s*(?:[-–—‐−]\s*\S|[♪♫\[(]|<v[ .])")  # begins another speaker, song or sound
_SENTENCE_END = re.compile(r"[.!?…:♪♫。！？\])-][\"'”’»)]{0,4}\Z|[\"”»]\Z")
_PLACE = re.compile(  # where a translation may be cut
    r"\s+|(?<=[、。，！？；：])(?=.)|(?<=[\u3040-\u30ff\u3400-\u9fff])(?=[\u3040-\u30ff\u3400-\u9fff])"
)
_END = 8  # characters at the end of a sentence: a full stop and quotation marks
_LONGEST_LINE = 1000  # characters; longer lines are not wrapped
_MOST_CUES, _MOST_SECONDS = 6, 2.0  # in a sentence; between two cues of a sentence
_WIDTH = 42  # characters per line, unless the file has longer ones
_COSTS = (
    (re.compile(r"[.!?…。！？][\"'”’»)]{0,4}\Z"), 0.0),
    (re.compile(r"[,;:–—、，；：]\Z"), 0.1),
)
_COST = 0.35  # of a cut inside a clause


class _Cue(NamedTuple):
    """The text of a cue, or of a block without times."""

    start: int  # of the text, in the file
    end: int
    time: str  # as written; "" for none
    begins: float  # seconds
    ends: float
    before: str  # marks around all of the text, such as `<i>`
    parts: tuple[str | Mark, ...]
    after: str

    @property
    def text(self) -> str:
        """The text without marks; a new line where another speaker or song begins."""
        return "".join(part for part in self.parts if isinstance(part, str))


class _Unit:
    """One sentence or more, with the cues it spans and its text for the translator."""

    def __init__(self, cues: Sequence[_Cue]) -> None:
        self.cues = cues
        parts = [part for cue in cues for part in (*cue.parts, " ")][:-1]
        self._tagged = TaggedText(parts)
        self.text = self._tagged.text

    def divide(self, translation: str, width: int) -> list[list[str | Mark]]:
        """Divide a translation among the cues; return the parts of each."""
        parts = [
            part if isinstance(part, Mark) else _without_blank_lines(part)
            for part in self._tagged.parts(translation.strip())
        ]
        text = "".join(part for part in parts if isinstance(part, str))
        cuts = _cuts(text, [cue.text for cue in self.cues]) if len(self.cues) > 1 else []
        pieces = _split(parts, cuts)
        pieces += pieces[-1:] * (len(self.cues) - len(pieces))  # if there are fewer words than cues
        return [
            [Mark(cue.before), *_on_lines(piece, width), Mark(cue.after)]
            for cue, piece in zip(self.cues, pieces, strict=True)
        ]


class _Subtitles:
    """A file of subtitles."""

    def __init__(self, text: str, encoding: Encoding) -> None:
        self._text, self._encoding = text, encoding
        self._is_webvtt = _WEBVTT.match(text) is not None
        self._line_end = "\r\n" if "\r\n" in text else "\n"
        cues = [*_cues(text, self._is_webvtt)]
        has_cue = any(_TIMING.match(block[0]) for block in _BLOCK.finditer(text))
        if text.strip() and not self._is_webvtt and not has_cue:
            raise Seq2SeqError("has no subtitle times.")
        self._width = max(
            [_WIDTH, *(len(_TAG.sub("", line)) for c in cues for line in self._lines(c))]
        )
        self._units = [*map(_Unit, _sentences(cues))]
        self.units = [TextUnit(text=unit.text, context=unit.cues[0].time) for unit in self._units]

    def _lines(self, cue: _Cue) -> list[str]:
        return self._text[cue.start : cue.end].splitlines()

    def _written(self, part: str | Mark) -> str:
        if isinstance(part, Mark):
            return part.raw
        text = part.replace("-->", "->").replace("\n", self._line_end)
        if not self._is_webvtt:
            return text
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def render(self, translations: Sequence[UnitTranslation | None]) -> bytes:
        written, done = list[str](), 0
        for unit, translation in zip(self._units, translations, strict=True):
            if translation is None or translation.text.strip() in ("", unit.text.strip()):
                continue
            pieces = unit.divide(translation.text, self._width)
            for cue, parts in zip(unit.cues, pieces, strict=True):
                written += self._text[done : cue.start], *map(self._written, parts)
                done = cue.end
        written.append(self._text[done:])
        return self._encoding.encode("".join(written), "replace")


def read(data: bytes, source: str | None, target: str) -> _Subtitles:
    """Read a file of subtitles, in UTF-8 or with a byte order mark."""
    return _Subtitles(*decode(data))


def _cues(text: str, is_webvtt: bool) -> Iterator[_Cue]:
    """Yield cues with text, and in SRT also blocks that continue the cue before."""
    for block in _BLOCK.finditer(text):
        timing = _TIMING.match(block[0])
        if timing is None and is_webvtt:
            continue  # the head, a comment, a style, a region
        begins, ends = (_seconds(timing.groups()[n : n + 4]) for n in (1, 5)) if timing else (0, 0)
        start = block.start() + (timing.end() if timing else 0)
        raw = text[start : block.end()].rstrip()
        before, parts, after = _without_outer(_parts(raw, is_webvtt))
        if any(isinstance(part, str) and any(map(str.isalpha, part)) for part in parts):
            time = timing[1] if timing else ""
            end = start + len(raw)
            yield _Cue(start, end, time, begins, ends, before, tuple(parts), after)


def _seconds(time: Sequence[str | None]) -> float:
    hours, minutes, seconds, rest = (int(part or 0) for part in time)
    return hours * 3600 + minutes * 60 + seconds + rest / 1000


def _parts(raw: str, is_webvtt: bool) -> list[str | Mark]:
    """Split a cue into text and marks; its lines are joined unless another speaker begins."""
    lines = raw.splitlines()
    joined = lines[0].strip() if lines else ""
    for line in lines[1:]:
        joined += ("\n" if _TURN.match(_TAG.sub(_only_voice, line)) else " ") + line.strip()
    pieces = _TAG.split(joined)  # alternating texts and tags
    roles = _roles(pieces[1::2])
    return [
        Mark(piece, roles[number // 2])
        if number % 2
        else html.unescape(piece)
        if is_webvtt
        else piece
        for number, piece in enumerate(pieces)
        if piece
    ]


def _only_voice(tag: re.Match[str]) -> str:
    return tag[0] if tag[0].startswith("<v") else ""


def _roles(tags: Sequence[str]) -> list[Role]:
    """Return which tags open and close an element; all others stand alone."""
    roles = [Role.STANDS_ALONE] * len(tags)
    open_: list[tuple[str, int]] = []
    for number, tag in enumerate(tags):
        name = _NAME.match(tag)
        if name and not name[1]:
            open_.append((name[2], number))
        elif name and any(name[2] == known for known, _ in open_):
            while open_[-1][0] != name[2]:
                open_.pop()
            _, start = open_.pop()
            roles[start], roles[number] = Role.OPENS, Role.CLOSES
    return roles


def _without_outer(parts: Sequence[str | Mark]) -> tuple[str, list[str | Mark], str]:
    """Split off white space and marks that surround the text."""
    before, after = "", ""
    start, stop = 0, len(parts)
    closing = _closing_places(parts)
    while start < stop:
        first, last = parts[start], parts[stop - 1]
        if isinstance(first, str) and not first.strip():
            before += first
            start += 1
        elif isinstance(last, str) and not last.strip():
            after = last + after
            stop -= 1
        elif isinstance(first, Mark) and first.role is Role.STANDS_ALONE:
            before += first.raw
            start += 1
        elif isinstance(first, Mark) and isinstance(last, Mark) and closing.get(start) == stop - 1:
            before, after = before + first.raw, last.raw + after
            start, stop = start + 1, stop - 1
        else:
            break
    return before, [*parts[start:stop]], after


def _closing_places(parts: Sequence[str | Mark]) -> dict[int, int]:
    """Map the position of each opening mark to that of its closing mark."""
    places, open_ = dict[int, int](), list[int]()
    for number, part in enumerate(parts):
        if isinstance(part, Mark) and part.role is Role.OPENS:
            open_.append(number)
        elif isinstance(part, Mark) and part.role is Role.CLOSES:
            places[open_.pop()] = number
    return places


def _sentences(cues: Sequence[_Cue]) -> Iterator[list[_Cue]]:
    """Group cues whose sentence continues, provided that the file punctuates its sentences."""
    ended = sum(_SENTENCE_END.search(cue.text[-_END:]) is not None for cue in cues)
    is_punctuated = 3 * ended >= len(cues)
    held: list[_Cue] = []
    for cue in cues:
        if held and not (is_punctuated and len(held) < _MOST_CUES and _goes_on(held[-1], cue)):
            yield held
            held = []
        held.append(cue)
    if held:
        yield held


def _goes_on(cue: _Cue, following: _Cue) -> bool:
    """Return whether the sentence at the end of a cue continues in the next one."""
    return not (
        "\n" in cue.text + following.text
        or _SENTENCE_END.search(cue.text[-_END:])
        or _TURN.match(following.text)
        or _is_shouted(cue.text) != _is_shouted(following.text)
        or not (cue.time and following.time)
        or not 0 <= following.begins - cue.ends + 0.5 < _MOST_SECONDS + 0.5
        or (cue.before, cue.after) != (following.before, following.after)
    )


def _without_blank_lines(text: str) -> str:
    """Remove blank lines, which would end a cue."""
    first, *others = text.split("\n")
    return "\n".join([first, *(line for line in others if line.strip())])


def _is_shouted(text: str) -> bool:
    """Return whether a text is in capitals, as a title is, and longer than three letters."""
    return text.isupper() and len(text) > 3


def _cuts(text: str, sources: Sequence[str]) -> list[tuple[int, int]]:
    """Return the stretches of white space at which a translation is divided among its cues.

    They are near the corresponding places of the source, sentence by sentence, and preferably at
    the end of a clause. There may be fewer than needed.
    """
    ends = [*accumulate(len(source) + 1 for source in sources)]
    ideals = _mapped(" ".join(sources), text, ends[:-1])
    size = len(text) / len(sources)
    places = [(match.start(), match.end()) for match in _PLACE.finditer(text)]
    starts = [start for start, _ in places]
    cuts = list[tuple[int, int]]()
    first = 0
    for number, ideal in enumerate(ideals):
        last = len(places) - (len(ideals) - number - 1)  # leave a place for each later cut
        near = range(bisect_left(starts, ideal - size), bisect_left(starts, ideal + size))
        choices = range(max(first, min(near.start, last - 1)), max(min(near.stop, last), first + 1))
        if first >= len(places):
            break
        best = min(choices, key=lambda n: abs(starts[n] - ideal) / size + _cost(text, starts[n]))
        cuts.append(places[best])
        first = best + 1
    return cuts


def _cost(text: str, place: int) -> float:
    """Return the cost of a cut at `place`, in units of the length of a cue."""
    before = text[max(0, place - _END) : place]
    return next((cost for pattern, cost in _COSTS if pattern.search(before)), _COST)


def _mapped(source: str, target: str, places: Sequence[int]) -> list[float]:
    """Map places in the source to the translation; by sentences, if both have equally many."""
    ours, theirs = _sentence_ends(source), _sentence_ends(target)
    if len(ours) != len(theirs):
        ours, theirs = [0, len(source)], [0, len(target)]
    mapped = list[float]()
    for place in places:
        number = min(bisect_left(ours, place), len(ours) - 1)
        begin, end = ours[max(number - 1, 0)], ours[number]
        share = (place - begin) / ((end - begin) or 1)
        there, then = theirs[max(number - 1, 0)], theirs[number]
        mapped.append(there + share * (then - there))
    return mapped


def _sentence_ends(text: str) -> list[int]:
    return [0, *accumulate(len(part.text + part.separator) for part in sentences(text))]


def _split(parts: Sequence[str | Mark], cuts: Sequence[tuple[int, int]]) -> list[list[str | Mark]]:
    """Split parts at cuts in their text; elements open there are closed and opened again."""
    pieces: list[list[str | Mark]] = [[]]
    open_: list[Mark] = []
    remaining, place = [*cuts], 0
    for part in parts:
        if isinstance(part, Mark):
            if part.role is Role.OPENS:
                open_.append(part)
            elif part.role is Role.CLOSES:
                open_.pop()
            pieces[-1].append(part)
            continue
        begin = 0
        while remaining and remaining[0][0] < place + len(part):
            start, end = remaining.pop(0)
            pieces[-1] += [part[begin : start - place], *map(_closing, reversed(open_))]
            pieces.append([*open_])
            begin = end - place
        pieces[-1].append(part[begin:])
        place += len(part)
    return pieces


def _closing(mark: Mark) -> Mark:
    name = _NAME.match(mark.raw)
    return Mark(f"</{name[2]}>" if name else "", Role.CLOSES)


def _on_lines(parts: Sequence[str | Mark], width: int) -> list[str | Mark]:
    """Break a cue that is too long for one line into lines of about equal length."""
    text = "".join(part for part in parts if isinstance(part, str))
    breaks, start = list[tuple[int, int]](), 0
    for line in text.split("\n"):
        number = -(-len(line) // width) if len(line) <= _LONGEST_LINE else 1
        edges = [len(line) * edge // number for edge in range(number + 1)] if number > 1 else []
        equal = [line[begin:end] for begin, end in pairwise(edges)]
        breaks += ((start + a, start + b) for a, b in (_cuts(line, equal) if equal else ()))
        start += len(line) + 1
    broken, place = list[str | Mark](), 0
    for part in parts:
        if isinstance(part, Mark):
            broken.append(part)
            continue
        begin = 0
        while breaks and breaks[0][0] < place + len(part):
            start, end = breaks.pop(0)
            broken += part[begin : start - place], "\n"
            begin = end - place
        broken.append(part[begin:])
        place += len(part)
    return broken
