"""Split HTML into tokens, by the rules of https://html.spec.whatwg.org/#tokenization.

Joined in order, the tokens are the markup again. The patterns never backtrack. (`html.parser` of
the standard library takes a minute for 50 kB of `<a/<a/<a/` up to Python 3.13.5, and does not say
where a token ends.)

Whether `<` begins a tag depends on the tree that a browser builds. This module builds none, so it
stops where browsers may read the markup differently: the rest becomes one token, which is not
translated. That happens at SVG or MathML with tags that are not nested, at `select`, `noscript` or
`template` around elements that change the tokenizer's state, and at frames.
"""

import html
import re
import string
from collections import Counter
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple


def names(text: str) -> frozenset[str]:
    """Return a set of element names."""
    return frozenset(text.split())


SPACE = "\t\n\f\r "  # white space in HTML, which excludes the no-break space
VOID = names("area base br col embed hr img input link meta param source track wbr")
RAW = names("iframe noembed noframes plaintext script style textarea xmp")
"""Elements without tags inside, up to their own end tag. (`title` has none inside either.)"""
FOREIGN = names("math svg")


class TokenKind(Enum):
    """The kind of a token."""

    TEXT = auto()
    START = auto()
    END = auto()
    ATOM = auto()  # anything else: comments, void elements, whole elements of `RAW`


class Token(NamedTuple):
    """A piece of markup."""

    kind: TokenKind
    raw: str
    name: str = ""  # of the element, in lower case


_TOKEN = re.compile(
    r"""
      (?P<tag> < (?P<slash> /? ) (?P<name> [a-zA-Z] [^\t\n\f\r\ />]*+ )
        (?: [\t\n\f\r\ ]++ | / (?! > ) | (?: = | [^\t\n\f\r\ />=] ) [^\t\n\f\r\ />=]*+
            (?: [\t\n\f\r\ ]*+ = [\t\n\f\r\ ]*+
              (?: "[^"]*+ (?: " | \Z ) | '[^']*+ (?: ' | \Z ) | [^\t\n\f\r\ >]*+ ) )?+
        )*+
        (?: (?P<closed> / )? (?P<end> > ) | \Z ) )
    | (?P<other> <!-- (?: -?> | .*? (?: --!?> | \Z ) )
        | < (?: [!?] | / (?= . ) ) [^>]*+ (?: > | \Z ) )
    | (?P<text> (?: [^<]++ | < (?! [a-zA-Z!?] | / . ) )++ )
    """,
    re.VERBOSE | re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""(?P<name> [^\t\n\f\r\ />] [^\t\n\f\r\ />=]*+ )
      (?: [\t\n\f\r\ ]*+ = [\t\n\f\r\ ]*+
        (?: "(?P<double>[^"]*+)" | '(?P<single>[^']*+)' | (?P<bare>[^\t\n\f\r\ >]*+) ) )?+""",
    re.VERBOSE,
)
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_ASCII = re.IGNORECASE | re.ASCII  # so that `ſ` is not s, and the Kelvin sign not k
_END_OF = {
    name: re.compile(rf"</{name}(?=[\t\n\f\r />])", _ASCII)
    for name in (*RAW - {"plaintext", "script"}, "title")
}
_NOSCRIPT = re.compile(r"</noscript(?=[\t\n\f\r />])", _ASCII)
_IN_SCRIPT = re.compile(r"<!--(?!-?>)|-->|<(?P<slash>/?)script(?=[\t\n\f\r />])", _ASCII)
_HOLDS_HTML = {  # elements of SVG and MathML whose content is HTML
    "svg": names("desc foreignobject title"),
    "math": names("mi mn mo ms mtext"),
}
_LEAVES_FOREIGN = names("""
    b big blockquote body br center code dd div dl dt em embed font h1 h2 h3 h4 h5 h6 head hr i img
    li listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var
    """)  # HTML elements at which a browser closes the SVG or MathML around them
_NOT_IN_FOREIGN = names("""
    caption col colgroup frameset malignmark mglyph noscript plaintext select table tbody td
    template tfoot th thead tr
    """)  # elements that may close it, depending on the context


def tokens(markup: str) -> Iterator[Token]:
    """Yield all tokens; an element of `RAW` or `FOREIGN` is a single token with its name."""
    place = 0
    depth = Counter[str]()  # of open elements that change how tags are read
    while place < len(markup):
        match = _match(markup, place)
        name, is_start = _name(match), _is_start(match)
        end: int | None = match.end()
        if is_start and _is_unsure(name, depth):
            end = None
        elif is_start and (name in RAW or name in FOREIGN):
            end = _end_of_element(markup, match)
        if end is not None and depth["noscript"] and _NOSCRIPT.search(markup, place + 1, end):
            end = None  # with scripts on, `noscript` ends in the middle of this token
        if end is None:
            yield Token(TokenKind.ATOM, markup[place:], "plaintext")
            return
        raw = markup[place:end]
        place = end
        if match["text"]:
            yield Token(TokenKind.TEXT, raw)
        elif name and match["slash"]:
            depth[name] -= depth[name] > 0
            yield Token(TokenKind.END, raw, name)
        elif not is_start or name in VOID or name in RAW or name in FOREIGN:
            yield Token(TokenKind.ATOM, raw, name)
        else:
            depth[name] += name in ("noscript", "select", "template")
            yield Token(TokenKind.START, raw, name)
            if name == "title":
                end = _end_of_raw(markup, place, name)
                if end > place:
                    yield Token(TokenKind.TEXT, markup[place:end])
                place = end


def attributes(start: str) -> dict[str, str]:
    """Return the attributes of a start tag by lower-case name; the first of equal names counts."""
    return {name: html.unescape(start[slice(*span)]) for name, span in value_spans(start).items()}


def value_spans(start: str) -> dict[str, tuple[int, int]]:
    """Map each attribute of a start tag to the place of its value, without quotes.

    `start` may continue after the tag.
    """
    tag = _match(start, 0)
    spans: dict[str, tuple[int, int]] = {}
    for match in _ATTRIBUTE.finditer(start, tag.end("name"), tag.end()):
        kind = match.lastgroup or "name"
        span = match.span(kind) if kind != "name" else (match.end(), match.end())
        spans.setdefault(match["name"].translate(_LOWER), span)
    return spans


def _match(markup: str, place: int) -> re.Match[str]:
    match = _TOKEN.match(markup, place)
    assert match  # any markup is text, a tag or a comment
    return match


def _name(match: re.Match[str]) -> str:
    """Return the name of a complete tag, otherwise ""."""
    return match["name"].translate(_LOWER) if match["end"] else ""


def _is_start(match: re.Match[str]) -> bool:
    return bool(match["end"]) and not match["slash"]


def _is_unsure(name: str, depth: Counter[str]) -> bool:
    """Return whether browsers may differ in how they read on, by version or with scripts off."""
    if name == "frameset":
        return True
    if depth["select"] and (name in RAW or name in FOREIGN or name in ("template", "title")):
        return True
    if depth["noscript"] and name == "title":
        return True
    return depth["template"] > 0 and name in ("col", "colgroup")


def _end_of_element(markup: str, start: re.Match[str]) -> int | None:
    """Return where the element of a start tag ends, or None if that is uncertain."""
    name = _name(start)
    if name in FOREIGN:
        return start.end() if start["closed"] else _end_of_foreign(markup, start.end(), name)
    end = _end_of_raw(markup, start.end(), name)
    return _match(markup, end).end() if end < len(markup) else end


def _end_of_raw(markup: str, place: int, name: str) -> int:
    """Return where the end tag begins, or the length of the markup if there is none."""
    if name == "plaintext":
        return len(markup)
    if name == "script":
        return _end_of_script(markup, place)
    end = _END_OF[name].search(markup, place)
    return end.start() if end else len(markup)


def _end_of_script(markup: str, place: int) -> int:
    """Return where a script's end tag begins; `<!--` followed by `<script` hides one."""
    hidden, doubly = False, False
    for match in _IN_SCRIPT.finditer(markup, place):
        if match[0] == "<!--":
            hidden = True
        elif match[0] == "-->":
            hidden = doubly = False
        elif not match["slash"]:
            doubly = hidden
        elif doubly:
            doubly = False
        else:
            return match.start()
    return len(markup)


def _end_of_foreign(markup: str, place: int, root: str) -> int | None:
    """Return where SVG or MathML ends; `place` is after its start tag.

    Return None if its tags are not nested, or if a browser's reading depends on the context.
    """
    open_ = [_Foreign(root, root)]
    while open_:
        parent = open_[-1]
        if parent.language != "html" and markup.startswith("<![CDATA[", place):
            place = markup.find("]]>", place) + len("]]>")
            if place < len("]]>"):
                return None
            continue
        if place == len(markup):
            return None
        match = _match(markup, place)
        place = match.end()
        name = _name(match)
        if name and match["slash"]:
            if name != parent.name:
                return None
            open_.pop()
        elif name and (name in FOREIGN or not parent.holds_html):
            if name in _LEAVES_FOREIGN:
                return None
            if not match["closed"]:
                starts_anew = parent.holds_html or (parent.name, name) == ("annotation-xml", "svg")
                open_.append(_Foreign(name, name if starts_anew else parent.language, match[0]))
        elif name in _NOT_IN_FOREIGN:
            return None
        elif name in RAW or name == "title":
            place = _end_of_raw(markup, place, name)
            open_.append(_Foreign(name, "html"))
        elif name and name not in VOID:
            open_.append(_Foreign(name, "html"))
    return place


class _Foreign(NamedTuple):
    """An open element of SVG or MathML, or of HTML inside it."""

    name: str
    language: str  # "svg", "math" or "html"
    start: str = ""  # its tag

    @property
    def holds_html(self) -> bool:
        if self.name == "annotation-xml" and self.language == "math":
            encoding = attributes(self.start).get("encoding", "").translate(_LOWER)
            return encoding in ("text/html", "application/xhtml+xml")
        return self.language == "html" or self.name in _HOLDS_HTML[self.language]
