"""How a text is laid out: what is to be translated, and what stands around it.

Segments and separators, joined in order, are the text again; but in paragraphs the line ends inside
a sentence are its white space.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from seq2seq.text.splitting import Part, sentences

Unit = Literal["line", "sentence", "paragraph"]
"""What is translated as one: a whole line, each sentence of a line, or each sentence of a paragraph
whose lines are joined."""

_MARKER = re.compile(  # indentation, and what begins an item of a list, a heading, a quotation
    r"[^\S\n]*(?:(?:[-*+•◦▪‣·–—>|]|\#{1,6}|\d{1,3}[.)]|[A-Za-z]\)|\([\dA-Za-z]{1,3}\)|\[[ xX]\])"
    r"(?:[^\S\n]+|(?=\n|$)))*"
)
_FENCE = re.compile(r"[^\S\n]*(`{3,}|~{3,})")
_ROW = re.compile(r"[^\S\n]*\|.*\|\s*")  # of a table
_CELL = re.compile(r"([^\S\n]*\|[^\S\n]*)")
_LONGEST_PARAGRAPH = 1000  # lines; what is longer, such as a fence without end, comes in parts


def segments(text: str, unit: Unit) -> Iterator[Part]:
    """What is to be translated, each with what follows it; a segment may be empty."""
    if unit == "line":
        yield Part(text.strip(), "")
        return
    blocks = _lines(text) if unit == "sentence" else _paragraphs(text)
    for block in blocks:
        if _ROW.fullmatch(block):
            yield from _cells(block)
            continue
        marker = _MARKER.match(block)
        assert marker  # it matches nothing at least
        body = block[marker.end() :].lstrip()
        if len(body) < len(block):
            yield Part("", block[: len(block) - len(body)])
        bare = body.rstrip()
        if not bare:
            continue
        held: Part | None = None
        for sentence in sentences(bare):
            if held:
                yield held
            held = sentence
        assert held
        yield Part(held.text, held.separator + body[len(bare) :])


def _cells(row: str) -> Iterator[Part]:
    """The cells of a row, each with the bar behind it."""
    first, *parts = _CELL.split(row)
    if first:
        yield Part(first, "")
    for bar, cell in zip(parts[::2], parts[1::2], strict=True):
        yield Part("", bar)
        bare = cell.strip()
        yield Part(bare, cell[len(bare) :] if bare else cell)


def paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Lines put together to texts: each a paragraph, or the blank lines between two.

    Code between fences is one text with its fences. Joined by line ends the texts are the lines
    again.
    """
    held: list[str] = []
    fence = ""
    for line in lines:
        mark = _FENCE.match(line)
        if len(held) == _LONGEST_PARAGRAPH:
            yield "\n".join(held)
            held, fence = [], ""
        if fence:
            held.append(line)
            if mark and mark[1] == fence:
                yield "\n".join(held)
                held, fence = [], ""
            continue
        opens = mark is not None and line.count(mark[1]) == 1
        if held and (opens or bool(line.strip()) != bool(held[-1].strip())):
            yield "\n".join(held)
            held = []
        held.append(line)
        if opens and mark:
            fence = mark[1]
    if held:
        yield "\n".join(held)


def _lines(text: str) -> Iterator[str]:
    """The lines, each with its end."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def _paragraphs(text: str) -> Iterator[str]:
    """Lines that belong together, with their ends.

    Until one is blank, has nothing but spans, such as code, or begins with a marker.
    """
    held: list[str] = []
    for line in _lines(text):
        marker = _MARKER.match(line)
        assert marker
        begins = bool(marker[0].strip()) or _stands_alone(line)
        ended = bool(held) and (_stands_alone(held[-1]) or held[-1].lstrip().startswith("#"))
        if held and (begins or ended):
            yield "".join(held)
            held = []
        held.append(line)
    if held:
        yield "".join(held)


def _stands_alone(line: str) -> bool:
    """Whether a line has no words, or is a row of a table."""
    return not any(map(str.isalnum, line)) or _ROW.fullmatch(line) is not None
