"""Markdown: CommonMark with tables, footnotes, definition lists, formulas and admonitions.

A paragraph, heading or cell is one text, in which emphasis, links and images are marks. Its
translation is spliced into the source and parsed again; if the marks differ, it is written with
more escapes.
"""

import gc
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from seq2seq.documents.document import Document, TextUnit, UnitTranslation
from seq2seq.documents.encoding import Encoding, decode
from seq2seq.documents.html_page import HtmlPage
from seq2seq.documents.markdown_inline import (
    Break,
    Environment,
    Part,
    is_plain,
    parser,
    read_inline,
)
from seq2seq.documents.spliced_document import Slot, SplicedDocument, has_words
from seq2seq.documents.tagged_text import Mark, Role, TaggedText
from seq2seq.documents.yaml_document import scalar_slots, yaml_scalars
from seq2seq.errors import Seq2SeqError

_MOST_BYTES = 10 << 20
_MOST_BLOCKS = 50_000
_LONGEST = 20_000  # characters; longer blocks are not translated
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n|(?<=[^\r\n])\Z)")
_LEAD = re.compile(r"\[[ xX]\][ \t]+|\[![A-Za-z]+\][ \t]*(?:\n|\Z)")  # a task box, a quote's type
_TAIL = re.compile(r"(?<![ \t])[ \t]*\{[#.:][^{}\n]*\}\s*\Z")  # attributes
_CONTENTS = re.compile(r"\[TOC\]|\[\[_?TOC_?\]\]")
_TOML = re.compile(r"\+\+\+[ \t]*\r?\n.*?^\+\+\+[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_BEGINS_BLOCK = re.compile(
    r"^(?:(\d{1,9})(?=[.)](?:\s|$))|(?=(?:[-+*:]|#{1,6})(?:\s|$)|>|~{3}|`{3}|:{3}|!{3}|\?{3}|(?:=+|-+)\s*$))",
    re.MULTILINE,
)
_SPECIAL = re.compile(r"[\\`*_\[\]<>~$&]")
_ALTERNATIVE = re.compile(r"[\\`*_\[\]<>&]")
_CELLS = ("th_open", "td_open")
_EMPHASIS = ("*", "**", "_", "__", "~~")


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read a Markdown file; raise `Seq2SeqError` if it is too large."""
    if len(data) > _MOST_BYTES:
        raise Seq2SeqError(f"is larger than {_MOST_BYTES >> 20} MB, too large for Markdown.")
    text, encoding = decode(data)
    with _without_garbage_collection():
        return SplicedDocument(text, encoding, _slots(text, target))


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Put the collector off: it would look through all tokens again and again, and find nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _slots(text: str, target: str) -> Iterator[Slot]:
    toml = _TOML.match(text)
    blanked = re.sub(r"[^\r\n]+", "", toml[0]) + text[toml.end() :] if toml else text
    lines = [match.span() for match in _LINE.finditer(text)]
    environment = dict[str, Any]()
    opening, cell_end = "", (-1, 0)  # last token type; line and end of the last cell
    tokens = parser().parse(blanked, environment)
    if sum(token.type == "inline" for token in tokens) > _MOST_BLOCKS:
        raise Seq2SeqError(
            f"has more than {_MOST_BLOCKS:,} paragraphs, headings, items and cells, too many for "
            "Markdown."
        )
    for token in tokens:
        first, last = token.map or (0, 0)
        if token.type == "front_matter":
            start = lines[first + 1][0]
            yield from _front_matter(text[start : lines[last - 1][0]], start, target)
        elif token.type == "html_block":
            yield from _html(text, lines[first][0], lines[last - 1][1])
        elif token.type == "inline" and token.content and len(token.content) <= _LONGEST:
            of_block = lines[first : max(last, first + 1)]
            if opening in _CELLS:
                content = token.content.replace("|", "\\|")
                start = cell_end[1] if cell_end[0] == first else of_block[0][0]
                place = text.find(content, start, of_block[0][1])
                places = [place] if place >= 0 else []
                cell_end = (first, place + len(content)) if places else cell_end
            else:
                content = token.content
                places = _places(text, of_block, content)
            if places:
                yield from _block_slots(
                    partial(_Block, text, content, places, opening, environment),
                    content,
                    places,
                    f"line {first + 1}",
                )
        opening = token.type


def _block_slots(
    block: Callable[[], "_Block"], content: str, places: Sequence[int], context: str
) -> Iterator[Slot]:
    """Yield the slot of a block. One without marks is not read unless its translation is written.

    A list or a table may have tens of thousands of these.
    """
    if len(places) > 1 or not is_plain(content):
        yield from block().slots(context)
    elif has_words(content):
        units = [TextUnit(text=content, context=context)]
        yield Slot(places[0], places[0] + len(content), units, lambda texts: block().write(texts))


def _places(text: str, lines: Sequence[tuple[int, int]], content: str) -> list[int]:
    """Find where each line of a block's content begins; return [] if a line is not found."""
    places = list[int]()
    for (start, end), part in zip(lines, content.split("\n"), strict=False):
        raw, bare = text[start:end].rstrip(), part.rstrip()
        place = len(raw) - len(bare) if raw.endswith(bare) else raw.rfind(bare)
        places.append(start + place if place >= 0 else -1)
    complete = len(places) == content.count("\n") + 1 and min(places) >= 0
    return places if complete else []


def _front_matter(yaml: str, start: int, target: str) -> Iterator[Slot]:
    try:
        titles = [scalar for scalar in yaml_scalars(yaml) if scalar.path == ("title",)]
    except Seq2SeqError:
        return
    for slot in scalar_slots(yaml, titles, target):
        yield Slot(start + slot.start, start + slot.end, slot.units, slot.write)


def _html(text: str, start: int, end: int) -> Iterator[Slot]:
    page = HtmlPage(text[start:end], Encoding())

    def write(texts: Sequence[str]) -> str:
        return page.render([*map(UnitTranslation, texts)]).decode()

    if page.units:
        yield Slot(start, end, page.units, write)


class _Block:
    """A paragraph, heading or cell."""

    def __init__(
        self,
        text: str,
        content: str,
        places: Sequence[int],
        opening: str,
        environment: Environment,
    ) -> None:
        lead, tail = _LEAD.match(content), _TAIL.search(content)
        begin = lead.end() if lead else 0
        end = tail.start() if tail else len(content)
        self._content, self._environment = content[begin:end], environment
        self._is_cell, self._is_heading = opening in _CELLS, opening == "heading_open"
        self._start = _place_in(content, begin, places)
        self._end = _place_in(content, end, places)
        self._raw = text[self._start : self._end]
        second = places[1] if len(places) > 1 else 0
        before = max(text.rfind(end, places[0], second) for end in "\r\n") + 1
        line_end = "\r\n" if text[max(0, before - 2) : before] == "\r\n" else "\n"
        self._line_end = line_end + text[before:second]
        inline = read_inline(self._content, environment)
        self._escapes = inline.escapes
        self._before, core, self._after = _trimmed(inline.parts)
        self._breaks = [part for part in core if isinstance(part, Break)]
        words = ["\n" if isinstance(part, Break) else part for part in core]
        plain = "".join(part for part in words if isinstance(part, str))
        self._tagged = TaggedText(words)
        self._has_text = has_words(plain) and not _CONTENTS.fullmatch(self._content)
        self._alternatives = [each for each in inline.alternatives if has_words(each[1])]

    def slots(self, context: str) -> Iterator[Slot]:
        """Yield the slot of the block, if there is anything to translate."""
        texts = [self._tagged.text] * self._has_text
        texts += [alternative for _, alternative in self._alternatives]
        units = [TextUnit(text=text, context=context) for text in texts]
        if units:
            yield Slot(self._start, self._end, units, self.write)

    def write(self, texts: Sequence[str]) -> str:
        """Write the block; a text that cannot be written with all its marks stays as it is."""
        written = self._raw
        if self._has_text and texts[0] != self._tagged.text:
            written = self._written(texts[0]) or written
        for (image, old), new in zip(self._alternatives, texts[self._has_text :], strict=True):
            escaped = _ALTERNATIVE.sub(r"\\\g<0>", " ".join(new.split()))
            written = written.replace(image, image.replace(f"![{old}]", f"![{escaped}]", 1))
        return written

    def _written(self, translation: str) -> str | None:
        breaks = [*self._breaks]
        parts = [*self._before]
        for part in self._tagged.parts(translation):
            if isinstance(part, Mark):
                parts.append(part)
                continue
            first, *more = part.split("\n")
            parts.append(first)
            for line in more:
                parts += breaks.pop(0) if breaks else " ", line
        parts = _tidied([*parts, *self._after])
        for level in range(4):
            written = self._composed(parts, level)
            if self._reads_as(written, parts, level):
                return written.replace("\n", self._line_end)
        return None

    def _composed(self, parts: Sequence[Part], level: int) -> str:
        """Write the parts, the more cautiously the higher the level.

        0: with the escapes of the source. 1: with `*` for `_`. 2: with all escapes. 3: with spaces
        around emphasis.
        """
        pieces = list[str]()
        for number, part in enumerate(parts):
            if isinstance(part, Break):
                pieces.append(part.raw)
            elif isinstance(part, str):
                pieces.append(self._escaped(part, level))
            else:
                raw = _star(part, level)
                is_spaced = level == 3 and part.raw in _EMPHASIS
                if is_spaced and part.role is Role.OPENS and pieces[-1][-1:].strip():
                    raw = f" {raw}"
                if is_spaced and part.role is Role.CLOSES and str(parts[number + 1])[:1].strip():
                    raw = f"{raw} "
                pieces.append(raw)
        written = "".join(pieces).strip(" ")
        if self._is_heading:
            return re.sub(r"(?<!\S)#+\s*\Z", r"\\\g<0>", written)
        if self._is_cell:
            return written
        return _BEGINS_BLOCK.sub(lambda match: f"{match[1] or ''}\\", written)

    def _escaped(self, text: str, level: int) -> str:
        if level > 1:
            text = _SPECIAL.sub(r"\\\g<0>", text)
        else:
            text = "".join(self._escapes.get(letter, letter) for letter in text)
        return re.sub(r"(?<!\\)\|", r"\\|", text) if self._is_cell else text

    def _reads_as(self, written: str, parts: Sequence[Part], level: int) -> bool:
        """Return whether the written text parses as a block of this kind with these parts."""
        if _LEAD.match(written):
            return False
        if not (self._is_cell or is_plain(written)):
            head = "# " if self._is_heading else ""
            tokens = parser().parse(head + written, dict(self._environment))
            if len(tokens) != 3 or tokens[1].content != written:
                return False
        return _plain(read_inline(written, self._environment).parts, level) == _plain(parts, level)


def _star(mark: Mark, level: int) -> str:
    return mark.raw.replace("_", "*") if level and mark.raw in _EMPHASIS else mark.raw


def _plain(parts: Sequence[Part], level: int) -> list[str]:
    """Return texts and marks in turn, without white space, for comparison."""
    plain = [""]
    for part in parts:
        if isinstance(part, Mark):
            plain += _star(part, level), ""
        else:
            plain[-1] += "\n" if isinstance(part, Break) else "".join(part.split())
    return plain


def _place_in(content: str, place: int, places: Sequence[int]) -> int:
    """Convert a place in the content of a block to a place in the source."""
    line = content.count("\n", 0, place)
    if line == len(places):  # after the last line end
        return places[-1] + len(content.split("\n")[-1])
    return places[line] + place - (content.rfind("\n", 0, place) + 1)


def _trimmed(parts: Sequence[Part]) -> tuple[list[Part], list[Part], list[Part]]:
    """Split off what surrounds the text: white space, single images, pairs around all of it."""
    before, core, after = list[Part](), [part for part in parts if part != ""], list[Part]()
    while core:
        first, last = core[0], core[-1]
        if _is_edge(first):
            before.append(core.pop(0))
        elif _is_edge(last):
            after.insert(0, core.pop())
        elif isinstance(first, str) and first[0] == " ":
            before.append(" ")
            core[0] = first.lstrip(" ")
        elif isinstance(last, str) and last[-1] == " ":
            after.insert(0, " ")
            core[-1] = last.rstrip(" ")
        elif _is_pair(core):
            before.append(core.pop(0))
            after.insert(0, core.pop())
        else:
            break
    return before, core, after


def _is_edge(part: Part) -> bool:
    is_alone = isinstance(part, Mark) and part.role is Role.STANDS_ALONE
    is_blank = isinstance(part, str) and not part.strip(" ")
    return is_alone or is_blank or isinstance(part, Break)


def _is_pair(parts: Sequence[Part]) -> bool:
    """Return whether the first part opens what the last one closes."""
    depth = 0
    for number, part in enumerate(parts):
        if isinstance(part, Mark):
            depth += {Role.OPENS: 1, Role.CLOSES: -1}.get(part.role, 0)
        if not depth:
            return number == len(parts) - 1 and number > 0
    return False


def _is_empty(opening: Part, text: str, closing: Part) -> bool:
    """Return whether two adjacent marks are emphasis of nothing."""
    return (
        isinstance(opening, Mark)
        and isinstance(closing, Mark)
        and opening.raw == closing.raw
        and opening.raw in _EMPHASIS
        and (opening.role, closing.role) == (Role.OPENS, Role.CLOSES)
        and not text.strip()
    )


def _tidied(parts: Sequence[Part]) -> list[Part]:
    """Put text, possibly empty, around each mark, and move white space out of emphasis.

    Empty emphasis is removed, since it would be read as asterisks.
    """
    tidied: list[Part] = [""]
    for part in parts:
        if isinstance(part, str):
            tidied[-1] = f"{tidied[-1]}{part}"
        elif len(tidied) > 2 and _is_empty(tidied[-2], str(tidied[-1]), part):
            spaces = tidied.pop()
            tidied.pop()
            tidied[-1] = f"{tidied[-1]}{spaces}"
        else:
            tidied += part, ""
    marks = [
        (place, part.role)
        for place, part in enumerate(tidied)
        if isinstance(part, Mark) and part.raw in _EMPHASIS
    ]
    for place, role in marks:
        if role is Role.CLOSES:
            inside = str(tidied[place - 1])
            tidied[place - 1] = inside.rstrip(" ")
            tidied[place + 1] = inside[len(inside.rstrip(" ")) :] + str(tidied[place + 1])
    for place, role in reversed(marks):
        if role is Role.OPENS:
            inside = str(tidied[place + 1])
            tidied[place + 1] = inside.lstrip(" ")
            tidied[place - 1] = str(tidied[place - 1]) + " " * (
                len(inside) - len(inside.lstrip(" "))
            )
    return tidied
