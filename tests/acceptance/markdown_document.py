"""Makes a long Markdown document of every kind of block, of which it is known what is prose.

For `measure_document`.
"""

import random
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

_LINES_A_PAGE = 45
_SENTENCE = re.compile(r"[A-Z][^\"“”|_*`<>]*[a-z]{3,}[.!?]")


class Piece(NamedTuple):
    """A part of a line, which is translated if it is prose, and must stay as it is if not."""

    text: str
    prose: bool = False


class Line(NamedTuple):
    """A line of a document."""

    kind: str
    pieces: tuple[Piece, ...]
    goes_on: bool = False  # with the paragraph of the line before

    @property
    def text(self) -> str:
        """What is in the file."""
        return "".join(piece.text for piece in self.pieces)


class Document:
    """A document whose prose is of `sentences`, those that are surely one each."""

    def __init__(self, sentences: Sequence[str], draw: random.Random) -> None:
        self._sentences = [line for line in sentences if _SENTENCE.fullmatch(line)]
        self._draw = draw
        self._number = 0
        self._makers: tuple[Callable[[], Iterator[Line]], ...] = (
            *[self._paragraph, self._wrapped] * 3,
            *[self._list, self._table, self._quote, self._fenced, self._indented] * 2,
            *[self._underlined, self._loose_list, self._break, self._comment, self._odds],
        )

    def lines(self, pages: int) -> list[Line]:
        """Front matter, then so many pages; the last line is not blank."""
        lines = [*self._front_matter(), Line("blank", ())]
        for page in range(1, pages + 1):
            lines += [*self._heading(page), Line("blank", ())]
            end = len(lines) + _LINES_A_PAGE
            while len(lines) < end:
                lines += self._draw.choice(self._makers)()
                white = self._draw.choice(("",) * 9 + ("  ", "\t"))
                blanks = [Line("blank", (Piece(white),)), Line("blank", ()), Line("blank", ())]
                lines += blanks[: self._draw.choice((1, 1, 1, 1, 2, 3))]
        return [*lines, *self._paragraph()]

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _sentence(self) -> str:
        return self._sentences[self._next() % len(self._sentences)]

    def _prose(self, some: int = 1) -> Piece:
        return Piece(" ".join(self._inlaid(self._sentence()) for _ in range(some)), True)

    def _inlaid(self, sentence: str) -> str:
        """With something in it that is no prose, now and then."""
        if self._draw.random() < 0.7:
            return sentence
        n, words = self._next(), sentence[:-1].split()
        place = self._draw.randrange(len(words))
        forms = (
            "`value_{n}`", "`git commit -m {n}`", "[{w}](https://example.org/p/{n}?a=1&b=2)",
            '[{w}](/p/{n} "Title {n}")', "**{w}**", "*{w}*", "<kbd>{w}</kbd>", "{w} <!-- {n} -->",
            "<https://example.org/{n}>", "{w} ![](img/{n}.png)", "(https://example.org/{n})",
            "{w}[^{n}]", "{{{{item_{n}}}}}", "&nbsp;{w}", '<a href="/p/{n}">{w}</a>',
        )  # fmt: skip
        words[place] = self._draw.choice(forms).format(n=n, w=words[place])
        return " ".join(words) + sentence[-1]

    def _code(self) -> Iterator[str]:
        """Lines that look like prose in part, and one that is blank."""
        n = self._next()
        yield f"def value_{n}(x):  # {self._sentence()}"
        yield f'    """{self._sentence()}"""'
        yield ""
        yield f'    print("{self._sentence()}")'
        yield f"- {self._sentence()}"

    def _front_matter(self) -> Iterator[Line]:
        yield Line("front matter", (Piece("---"),))
        for text in (
            f"title: {self._sentence()}",
            "tags: [the house, a b]",
            f"# {self._sentence()}",
        ):
            yield Line("front matter", (Piece(text),))
        yield Line("front matter", (Piece("description: >"),))
        yield Line("front matter", (Piece(f"  {self._sentence()}"),))
        yield Line("front matter", (Piece("---"),))

    def _heading(self, page: int) -> Iterator[Line]:
        mark = "#" * self._draw.randint(1, 6)
        yield Line("heading", (Piece(f"{mark} "), Piece(self._sentence(), True)))
        if page % 2:
            yield from self._wrapped()

    def _underlined(self) -> Iterator[Line]:
        yield Line("underlined heading", (self._prose(),))
        yield Line("underlined heading", (Piece(self._draw.choice(("=====", "-----"))),))

    def _paragraph(self) -> Iterator[Line]:
        yield Line("paragraph", (self._prose(self._draw.randint(1, 4)),))

    def _wrapped(self, first: str = "", others: str = "") -> Iterator[Line]:
        """A paragraph of several lines, which is one where paragraphs are asked for."""
        text = self._prose(self._draw.randint(3, 6)).text
        wrap = textwrap.TextWrapper(72, break_long_words=False, break_on_hyphens=False)
        for number, line in enumerate(wrap.wrap(text)):
            frame = others if number else first
            kind = "wrapped paragraph" if not first else "wrapped item"
            yield Line(kind, (Piece(frame), Piece(line, True)), goes_on=number > 0)

    def _list(self) -> Iterator[Line]:
        for number in range(self._draw.randint(3, 7)):
            indent = "  " * self._draw.randint(0, min(number, 3))
            marker = self._draw.choice(("- ", "* ", "+ ", "1. ", "12) ", "- [ ] ", "-   "))
            yield Line("list", (Piece(indent + marker), self._prose(self._draw.randint(1, 2))))
        yield from self._wrapped("- ", "  ")

    def _loose_list(self) -> Iterator[Line]:
        yield Line("loose list", (Piece("1. "), self._prose()))
        yield Line("blank", ())
        yield Line("loose list", (Piece("   "), self._prose()))
        yield Line("blank", ())
        yield Line("loose list", (Piece("2. "), self._prose()))

    def _table(self) -> Iterator[Line]:
        yield Line(
            "table", (Piece("| "), self._prose(), Piece("  | € | "), self._prose(), Piece(" |"))
        )
        yield Line("table", (Piece("|:----|---:|-----|"),))
        for _ in range(self._draw.randint(2, 4)):
            middle = Piece(self._draw.choice((" | 12.5 | ", " |  | ", f" | `f({self._next()})` |")))
            yield Line("table", (Piece("|"), self._prose(), middle, self._prose(), Piece("   |")))

    def _quote(self) -> Iterator[Line]:
        for _ in range(self._draw.randint(1, 4)):
            mark = self._draw.choice(("> ", "> ", ">> ", "> - ", "  > "))
            yield Line("quotation", (Piece(mark), self._prose(2)))

    def _fenced(self) -> Iterator[Line]:
        fence = self._draw.choice(("```", "~~~", "````"))
        lines = [f"{fence}python", *self._code(), *(["```"] if fence != "```" else []), fence]
        yield from (Line("fenced code", (Piece(line),)) for line in lines)

    def _indented(self) -> Iterator[Line]:
        """Text as it is in letters and books; code needs a fence."""
        indent = self._draw.choice(("  ", "    ", "\t"))
        for _ in range(self._draw.randint(1, 3)):
            yield Line("indented text", (Piece(indent), self._prose()))
            yield Line("blank", ())

    def _break(self) -> Iterator[Line]:
        """Lines that stay apart, since they end as Markdown says."""
        end = Piece(self._draw.choice(("  ", "\\")))
        yield Line("broken lines", (self._prose(), end))
        yield Line("broken lines", (self._prose(),))

    def _comment(self) -> Iterator[Line]:
        yield Line("comment", (Piece(f"<!-- {self._sentence()} -->"),))
        yield Line("blank", ())
        for line in ("<!--", self._sentence(), self._sentence(), "-->"):
            yield Line("comment of lines", (Piece(line),))

    def _odds(self) -> Iterator[Line]:
        """What has no words to translate."""
        n = self._next()
        for line in ("---", f"[{n}]: https://example.org/{n}", f"![](img/{n}.png)", "12.5 %"):
            yield Line("no prose", (Piece(line),))
            yield Line("blank", ())
        yield Line("no prose", (Piece(f"https://example.org/{n}"),))
