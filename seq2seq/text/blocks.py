"""Split a text by its layout: what is to be translated, and what surrounds it.

Segments and separators, joined in order, give the text again. In paragraphs, line ends within a
sentence count as white space of the sentence.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal

from seq2seq.text.masking import DIVIDER
from seq2seq.text.sentences import Part, sentences

Unit = Literal["line", "sentence", "paragraph"]
"""How to read a text: as one line, as lines to be kept, or as paragraphs, whose lines are joined.
It is always translated sentence by sentence, and markers around the sentences stay."""

_MARKER = re.compile(  # indentation, and the mark before a list item, heading or quotation
    r"""
    [^\S\n]*
    (?:
      (?: [-*+•◦▪‣·–—→|] | >+ | \#{1,6} | \[[ xX]\] | §{1,2}[^\S\n]?\d+
        | \d{1,3}[.)] | \d{1,2}(?:\.\d{1,2}){1,4}\.? (?= [^\S\n]+ [^\W\d_a-z] )         # 1.2 Words
        | [A-Za-z]\) | \([\dA-Za-z]{1,3}\) | [ivx]{1,5}[.)]
        | [a-zA-HJ-Z]\. (?! [^\S\n]+ [A-Za-z]\. )                             # but z. B. and J. R.
      )
      (?: [^\S\n]+ | (?= \n | $ ) )
    | \[? (?:\d{1,2}:)? \d{1,2}:\d\d[.,]\d{3} [^\S\n]{1,9} -->             # times of a subtitle
      [^\]\n]* \]? [^\S\n]*
    | \ufeff?WEBVTT (?:[^\S\n]{1,9}-[^\n]*)? (?= \r?\n | $ )  # begins a file of subtitles
    )*
    """,
    re.VERBOSE,
)
_LABEL = re.compile(  # the name of a speaker: up to three capitalised words
    r"((?:[^\W\d_][\w.'’-]{0,20}[^\S\n]){0,2}[^\W\d_][\w.'’-]{0,20}):[^\S\n]{1,9}(?=[\w¿¡\"“„«])"
)
_NOTICES = (  # words before a colon that are not names
    "warning note notice caution attention question answer example tip hint important subject "
    "warnung hinweis achtung vorsicht frage antwort beispiel tipp wichtig betreff fehler merke "
    "avertissement remarque réponse exemple conseil objet erreur error "
    "advertencia aviso nota atención pregunta respuesta ejemplo consejo importante asunto"
)
_WEBVTT = re.compile(r"\ufeff?WEBVTT(?=\s|$)")
_WEBVTT_COMMENT = re.compile(r"(?:NOTE|STYLE|REGION)(?=\s|$)")
_FENCE = re.compile(r"[^\S\n]*(`{3,}|~{3,})")
_HARD_BREAK = re.compile(  # of Markdown, at the end of a line
    r"(?:\\|(?<![^\S\r\n])[^\S\r\n]{2,})(?=\r?\n?$)"  # tried only where a run of spaces begins
)
_ROW = re.compile(r"[^\S\n]*\|.*\|\s*")  # of a table
_CELL = re.compile(r"((?:(?<![^\S\n])[^\S\n]+)?(?<!\\)\|[^\S\n]*)")
_DIVIDERS = re.compile(f"({DIVIDER}+)")
_TAB = re.compile(r"(\t+)")
_LONGEST_PARAGRAPH, _LONGEST_BLOCK = 1000, 20_000  # lines; longer ones come in parts


def segments(text: str, unit: Unit, language: str = "") -> Iterator[Part]:
    """Split a text into parts: a segment to translate, which may be empty, and what follows it."""
    if unit == "line":
        parts: Iterable[str] = [text.strip()]
    else:
        parts = lines_of(text) if unit == "sentence" else _paragraphs(text)
    for block in chain.from_iterable(map(_DIVIDERS.split, parts)):
        if block.startswith(DIVIDER):
            yield Part(block, "")
        elif block.rstrip().endswith("|") and _ROW.fullmatch(block):
            yield from _cells(block, _CELL)
        elif "\t" in block.strip() and "\n" not in block.strip():
            yield from _cells(block, _TAB)
        else:
            yield from _sentences(block, language)


def _sentences(block: str, language: str) -> Iterator[Part]:
    """Split a block into its sentences and what surrounds them."""
    body = block[_end_of_marker(block) :].lstrip()
    if len(body) < len(block):
        yield Part("", block[: len(block) - len(body)])
    bare = body.rstrip().removesuffix("\\").rstrip()  # a hard break of Markdown
    if not bare:
        yield Part("", body)
        return
    held: Part | None = None
    for sentence in sentences(bare, language):
        if held:
            yield held
        held = sentence
    assert held
    yield Part(held.text, held.separator + body[len(bare) :])


def _end_of_marker(block: str) -> int:
    """Return where the words of a block begin, after markers and the name of a speaker."""
    marker = _MARKER.match(block)
    assert marker  # it also matches nothing
    label = _LABEL.match(block, marker.end())
    if not label or label[1].casefold() in _NOTICES.split():
        return marker.end()
    named = all(word[0].isupper() for word in label[1].split())
    return label.end() if named and not block[label.end()].islower() else marker.end()


def _cells(row: str, border: re.Pattern[str]) -> Iterator[Part]:
    """Split a row into cells, each followed by its border."""
    first, *parts = border.split(row)
    if first:
        yield from _cell(first)
    for bar, cell in zip(parts[::2], parts[1::2], strict=True):
        yield Part("", bar)
        yield from _cell(cell)


def _cell(cell: str) -> Iterator[Part]:
    body = cell.lstrip()
    if len(body) < len(cell):
        yield Part("", cell[: len(cell) - len(body)])
    bare = body.rstrip()
    yield Part(bare, body[len(bare) :])


def blocks(chunks: Iterable[Iterable[str]], unit: Unit) -> Iterator[Iterator[str]]:
    """Regroup chunks of lines into chunks of texts; joined, the texts are the lines again.

    With "paragraph", a text is a paragraph or the blank lines between two; otherwise it is a line.
    In either case, these are one text each: code with its fences, the front matter of a file, the
    head of a WebVTT file, and a WebVTT comment with the blank lines before it. Lines include their
    ends. A chunk's texts are yielded before the next chunk is read, except such blank lines.
    """
    gathered = _Blocks(unit)
    for chunk in chunks:
        yield gathered.of(chunk)
    yield gathered.rest()


class _Blocks:
    """Joins lines into texts."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._held: list[str] = []
        self._end: re.Pattern[str] | None = None  # matches the last line of the open block
        self._is_first = True  # whether the next line is the first of the file
        self._is_webvtt = False  # whether the file is WebVTT
        self._is_comment = False  # whether the held lines are a comment in a WebVTT file

    def of(self, lines: Iterable[str]) -> Iterator[str]:
        """Add lines, and yield the texts that are complete."""
        for line in lines:
            if len(self._held) == (_LONGEST_BLOCK if self._end else _LONGEST_PARAGRAPH):
                yield from self.rest()
            if self._is_comment and _is_blank(line):
                yield from self.rest()
            if self._begins_comment(line):
                self._is_comment = True
            if self._is_comment:
                is_whole = False
            elif self._end is None:
                end = _end_of_block(line, self._is_first)
                if self._held and (end or _is_blank(line) != _is_blank(self._held[-1])):
                    yield from self.rest()
                self._end = end
                is_whole = not (
                    end or self._unit == "paragraph" or (self._is_webvtt and _is_blank(line))
                )
            else:
                is_whole = self._end.match(line) is not None
            self._is_first = False
            self._held.append(line)
            if is_whole:
                yield from self.rest()

    def rest(self) -> Iterator[str]:
        """Yield the last text, even if it is incomplete."""
        if self._held:
            text = "".join(self._held)
            self._held, self._end, self._is_comment = [], None, False
            yield text

    def _begins_comment(self, line: str) -> bool:
        """Return whether `line` begins the head of a WebVTT file, or a comment or style in it."""
        if self._is_first:
            self._is_webvtt = _WEBVTT.match(line) is not None
            return self._is_webvtt
        follows_blank = bool(self._held) and _is_blank(self._held[-1])
        return self._is_webvtt and follows_blank and _WEBVTT_COMMENT.match(line) is not None


def _end_of_block(line: str, is_first: bool) -> re.Pattern[str] | None:
    """Return what ends the block that `line` opens (code, comment, front matter), or None."""
    fence = _FENCE.match(line)
    if fence and line.count(fence[1]) == 1:
        return re.compile(rf"[^\S\n]*{fence[1]}(?!{fence[1][0]})")
    if is_first and line.strip("\ufeff\r\n\t ") == "---":
        return re.compile(r"---\s*$")
    if "-->" not in line.rpartition("<!--")[2] and "<!--" in line:
        return re.compile(".*-->")
    return None


def _is_blank(line: str) -> bool:
    return not line.strip()


def lines_of(text: str) -> Iterator[str]:
    """Split a text into lines, including their ends."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def _paragraphs(text: str) -> Iterator[str]:
    """Join the lines of each paragraph, including their ends.

    A paragraph ends before a line that is blank, begins with a marker, or consists only of spans,
    such as code.
    """
    held: list[str] = []
    for line in lines_of(text):
        marker = _MARKER.match(line)
        assert marker
        begins = bool(marker[0].strip()) or _stands_alone(line)
        ended = bool(held) and _ends_paragraph(held[-1])
        if held and (begins or ended):
            yield "".join(held)
            held = []
        held.append(line)
    if held:
        yield "".join(held)


def _ends_paragraph(line: str) -> bool:
    is_heading = line.lstrip().startswith("#")
    return is_heading or _stands_alone(line) or _HARD_BREAK.search(line) is not None


def _stands_alone(line: str) -> bool:
    """Return whether a line has no words, or is a row of a table."""
    return not any(map(str.isalnum, line)) or _ROW.fullmatch(line) is not None
