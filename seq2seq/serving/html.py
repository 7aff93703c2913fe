"""HTML whose text is translated, and nothing else of it is touched.

Block elements divide the text, and so do inline ones side by side, as `<a>Home</a><a>News</a>`,
which would be read as one word. Other inline elements stay in the text, as tags `<g1>` that the
translator keeps in their order, each once. What no text belongs to comes out byte for byte:
tags with their attributes, comments, scripts, styles, `pre` and `code`, white space between blocks,
and text whose translation is the text.

The tokens are found by the rules of https://html.spec.whatwg.org/#tokenization, by patterns that
never look back: `html.parser` of the standard library takes a minute for 50 kB of `<a/<a/<a/` up to
Python 3.13.5, and says of no token where it ends.
"""

import html
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from itertools import count
from typing import NamedTuple

_SPACE = " \t\n\f\r"  # what HTML takes for white space: not the non-breaking one
_SPACES = re.compile(f"[{_SPACE}]+")

_TOKEN = re.compile(
    r"""
      (?P<tag> < (?P<slash> /? ) (?P<name> [a-zA-Z] [^\s/>]*+ )
        (?: [\s/]++ | (?: = | [^\s/>=] ) [^\s/>=]*+
            (?: \s*+ = \s*+ (?: "[^"]*+ (?: " | \Z ) | '[^']*+ (?: ' | \Z ) | [^\s>]*+ ) )?+
        )*+
        (?: > | \Z ) )
    | (?P<other> <!-- (?: -?> | .*? (?: --!?> | \Z ) )
        | < (?: [!?] | / (?= . ) ) [^>]*+ (?: > | \Z ) )
    | (?P<text> (?: [^<]++ | < (?! [a-zA-Z!?] | / . ) )++ )
    """,
    re.VERBOSE | re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""[\s/]*+ (?P<name> [^\s/>] [^\s/>=]*+ )
      (?: \s*+ = \s*+ (?: "(?P<double>[^"]*+)" | '(?P<single>[^']*+)' | (?P<bare>[^\s>]*+) ) )?+""",
    re.VERBOSE,
)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BLOCKS = _names("""
    address article aside base blockquote body br button caption center col colgroup datalist dd
    details dialog dir div dl dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4
    h5 h6 head header hgroup hr html label legend li link main menu meta nav noscript ol optgroup
    option p pre search section select summary table tbody td template textarea tfoot th thead title
    tr ul
""")
_INDICES = _names("sub sup")  # belong to the word before, in an element of its own or not
_VOID = _names("area base br col embed hr img input link meta param source track wbr")
_KEPT = _names("code math pre svg")  # with all that is inside
_RAW = _names("iframe noembed noframes plaintext script style textarea xmp")
"""Inside there are no tags at all, until their own end."""
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in (*_RAW, "title")}


class _Kind(Enum):
    TEXT = auto()
    START = auto()
    END = auto()
    ATOM = auto()  # neither is text, nor opens or closes an element


class _Token(NamedTuple):
    kind: _Kind
    raw: str
    name: str = ""


class HtmlDocument:
    """A document or a part of one, correct or not."""

    def __init__(self, markup: str) -> None:
        self._pieces = [*_pieces(markup)]
        self._segments = [one for one in self._pieces if isinstance(one, _Segment)]
        self.texts: Sequence[str] = [one.text for one in self._segments]

    def render(self, translations: Sequence[str]) -> str:
        """The document with a translation in place of each of its texts."""
        coming = iter(translations)
        return "".join(
            one.render(next(coming)) if isinstance(one, _Segment) else one for one in self._pieces
        )


class _Segment:
    """Text inside a block, with the inline elements in it."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._raw = "".join(token.raw for token in tokens)
        partners = _partners(tokens)
        texts = [html.unescape(token.raw) if token.kind is _Kind.TEXT else "" for token in tokens]
        name = "g"
        while f"<{name}" in "".join(texts) or f"</{name}" in "".join(texts):
            name += "g"
        self._tags = list[tuple[str, str]]()  # what stands for it in the text, and itself
        numbers = dict[int, int]()  # by place; both tags of an element have one
        fresh = count(1)
        for place, token in enumerate(tokens):
            if token.kind is _Kind.TEXT:
                continue
            start = min(place, partners.get(place, place))
            numbers[place] = numbers[start] if start < place else next(fresh)
            opening = "</" if start < place else "<"
            closing = ">" if place in partners else "/>"
            texts[place] = f"{opening}{name}{numbers[place]}{closing}"
            self._tags.append((texts[place], token.raw))
        self.text = _SPACES.sub(" ", "".join(texts))
        self._tag = re.compile(rf"(</?{name}\d+/?>)")

    def render(self, translation: str) -> str:
        """Markup with the translation's text and the source's tags, each once and in order.

        The translator keeps them so. Should it not, a tag that is missing goes before the next one
        that is not.
        """
        if translation == self.text:
            return self._raw
        rendered = list[str]()
        coming = iter(self._tags)
        missing = {tag for tag, _ in self._tags}
        for number, piece in enumerate(self._tag.split(translation)):
            if number % 2 == 0:
                rendered.append(_escape(piece))
            while piece in missing:
                tag, raw = next(coming)
                missing.remove(tag)
                rendered.append(raw)
        return "".join([*rendered, *(raw for _, raw in coming)])


def _pieces(markup: str) -> Iterator[str | _Segment]:
    """Segments, and what stands between them; together they are the markup."""
    run: list[_Token] = []
    for token in _kept_whole(_tokens(markup)):
        if token.name in _BLOCKS:
            yield from _divided(run)
            yield token.raw
            run = []
        else:
            run.append(token)
    yield from _divided(run)


def _divided(run: Sequence[_Token]) -> Iterator[str | _Segment]:
    """The texts of a block, and what comes before and behind them."""
    for part in _neighbours(run):
        yield from _trimmed(part)


def _neighbours(run: Sequence[_Token]) -> Iterator[Sequence[_Token]]:
    """Divided where an element ends in a word and the next begins with one, with no space."""
    begun = 0
    border: int | None = None  # where an element begins behind one that has ended
    has_ended = False  # an element, since the last text
    last = ""
    for place, token in enumerate(run):
        if token.kind is _Kind.TEXT:
            text = html.unescape(token.raw)
            if border is not None and last.isalnum() and text[:1].isalnum():
                yield run[begun:border]
                begun = border
            last, border, has_ended = text[-1:], None, False
        elif token.kind is _Kind.END:
            has_ended = True
        elif token.kind is _Kind.START and token.name in _INDICES:
            has_ended = False
        elif token.kind is _Kind.START and has_ended and border is None:
            border = place
    yield run[begun:]


def _trimmed(run: Sequence[_Token]) -> Iterator[str | _Segment]:
    """What comes before the text, the text, and what comes behind."""
    tokens = [part for token in run for part in _without_edges(token)]
    start, stop = _core(tokens)
    core = tokens[start:stop]
    has_letters = any(
        token.kind is _Kind.TEXT and any(map(str.isalpha, html.unescape(token.raw)))
        for token in core
    )
    yield "".join(token.raw for token in tokens[:start])
    yield _Segment(core) if has_letters else "".join(token.raw for token in core)
    yield "".join(token.raw for token in tokens[stop:])


def _without_edges(token: _Token) -> Iterator[_Token]:
    """White space at both ends of a text as texts of their own."""
    if token.kind is not _Kind.TEXT:
        yield token
        return
    bare = token.raw.strip(_SPACE)
    before, _, after = token.raw.partition(bare) if bare else (token.raw, "", "")
    for part in (before, bare, after):
        if part:
            yield _Token(_Kind.TEXT, part)


def _core(tokens: Sequence[_Token]) -> tuple[int, int]:
    """From where to where there is text: elements that are around all of it stay outside."""
    partners = _partners(tokens)
    start, stop = 0, len(tokens)
    while start < stop:
        first, last = tokens[start], tokens[stop - 1]
        if first.kind is _Kind.TEXT:
            opens = bool(first.raw.strip(_SPACE))
        else:
            opens = first.kind is _Kind.START and start in partners
        if not opens:
            start += 1
            continue
        if last.kind is _Kind.TEXT:
            closes = bool(last.raw.strip(_SPACE))
        else:
            closes = last.kind is _Kind.END and stop - 1 in partners
        if not closes:
            stop -= 1
        elif partners.get(start) == stop - 1:
            start, stop = start + 1, stop - 1
        else:
            break
    return start, stop


def _partners(tokens: Sequence[_Token]) -> dict[int, int]:
    """Which start tag and which end tag belong together, by their places, both ways."""
    partners = dict[int, int]()
    open_ = defaultdict[str, list[int]](list)
    for place, token in enumerate(tokens):
        if token.kind is _Kind.START:
            open_[token.name].append(place)
        elif token.kind is _Kind.END and open_[token.name]:
            start = open_[token.name].pop()
            partners[start] = place
            partners[place] = start
    return partners


def _kept_whole(tokens: Iterator[_Token]) -> Iterator[_Token]:
    """Elements that are not translated become one token, up to their end or that of all."""
    for token in tokens:
        if token.kind is not _Kind.START or not _is_kept(token):
            yield token
            continue
        raw = [token.raw]
        depth = 1
        while depth and (inner := next(tokens, None)):
            raw.append(inner.raw)
            if inner.name == token.name:
                depth += {_Kind.START: 1, _Kind.END: -1}.get(inner.kind, 0)
        yield _Token(_Kind.ATOM, "".join(raw), token.name)


def _is_kept(start: _Token) -> bool:
    if start.name in _KEPT or start.name in _RAW:
        return True
    if "translate" not in start.raw.lower():
        return False
    found = dict[str, str]()
    for match in _ATTRIBUTE.finditer(start.raw, 1 + len(start.name)):
        value = match["double"] or match["single"] or match["bare"] or ""
        found.setdefault(match["name"].lower(), html.unescape(value).lower())
    return found.get("translate") == "no" or "notranslate" in found.get("class", "").split()


def _tokens(markup: str) -> Iterator[_Token]:
    """All of it, piece by piece."""
    place = 0
    while place < len(markup):
        match = _TOKEN.match(markup, place)
        assert match
        place = match.end()
        if not match["tag"]:
            yield _Token(_Kind.TEXT if match["text"] else _Kind.ATOM, match[0])
            continue
        name = match["name"].lower()
        closed = name in ("math", "svg") and match[0].endswith("/>")
        if match["slash"]:
            yield _Token(_Kind.END, match[0], name)
            continue
        yield _Token(_Kind.ATOM if closed or name in _VOID else _Kind.START, match[0], name)
        if name in _RAW_END:
            end = _RAW_END[name].search(markup, place)
            stop = end.start() if end else len(markup)
            if stop > place:
                yield _Token(_Kind.TEXT, markup[place:stop])
            place = stop


def _escape(text: str) -> str:
    return html.escape(text, quote=False).replace("\N{NO-BREAK SPACE}", "&nbsp;")
