"""Parse the inside of a Markdown block: text, marks and line breaks, with their source.

markdown-it-py does not give positions within a line, so each of its rules is wrapped to record
them.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.container import container_plugin
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

from seq2seq.documents.html_tokens import VOID
from seq2seq.documents.tagged_text import Mark, Role

Environment = Mapping[str, Any]
"""What markdown-it-py collects about a document: its reference links and footnotes."""

_BREAK_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)
_KEPT = re.compile(r"<(code|kbd|pre|samp|var)\b[^>]*>.*?</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(/?)([A-Za-z][\w-]*)[^>]*?(/?)>", re.DOTALL)
_LINK_END = re.compile(r"\](?:\[\])?\Z")
_BADGE = re.compile(r"badge|shields\.io|/workflows/|travis-ci|codecov|coveralls", re.IGNORECASE)
_PLAIN = re.compile(r"[^\W\d_](?:[^\W_]| (?=\S)|[.,;?'’\"„“”()/–—…])*")
_PLAIN_ALT = re.compile(r"[^\\`*_\[\]<>&!\n]+")


class Break(NamedTuple):
    """An intended line break, as written in the source."""

    raw: str


Part = str | Mark | Break


class Inline(NamedTuple):
    """The parts of a block."""

    parts: Sequence[Part]
    escapes: Mapping[str, str]  # characters to their escapes in the source
    alternatives: Sequence[tuple[str, str]]  # images, with their alternative text


class _Token(NamedTuple):
    """A token, with its place in the source."""

    kind: str
    start: int
    end: int
    content: str
    label: tuple[int, int]


@cache
def parser() -> MarkdownIt:
    """Return the parser of blocks; `read_inline` parses what is inside them."""
    parser_ = (
        MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .use(front_matter_plugin)
        .use(deflist_plugin)
        .use(dollarmath_plugin, allow_digits=False, allow_space=False)
        .use(footnote_plugin, inline=False)
        .use(admon_plugin)
        .use(container_plugin, "note", validate=lambda *_: True)
        .disable(["inline", "footnote_tail", "text_join"])
    )
    ruler = parser_.inline.ruler
    names = parser_.get_active_rules()["inline"]
    for name, rule in zip(names, [*ruler.getRules("")], strict=True):
        ruler.at(name, partial(_placing, name, rule))
    return parser_


def _placing(name: str, rule: Callable[[Any, bool], bool], state: Any, silent: bool) -> bool:
    """Call a rule of markdown-it-py, and record in its tokens where they are."""
    start, count = state.pos, len(state.tokens)
    if not rule(state, silent):
        return False
    if silent:
        return True
    fresh = [token for token in state.tokens[count:] if "place" not in token.meta]
    end = state.pos
    if name in ("emphasis", "strikethrough"):  # text tokens, which may become marks later
        for token in reversed(fresh):
            if end > start:
                token.meta["place"] = (end - len(token.content), end)
                end -= len(token.content)
        return True
    marks = [token for token in fresh if token.type != "text"]
    if name in ("link", "image"):
        label = start + (2 if name == "image" else 1)
        label_end = state.md.helpers.parseLinkLabel(state, label - 1, name == "link")
        for token in marks:
            token.meta["label"] = (label, label_end)
            if token.type == "link_open":
                token.meta["place"] = (start, label)
            elif token.type == "link_close":
                token.meta["place"] = (label_end, end)
    for token in marks:
        token.meta.setdefault("place", (start, end))
    return True


def is_plain(text: str) -> bool:
    """Return whether `text` is certainly one paragraph without marks, without parsing it.

    Most texts are, and a list may have a hundred thousand of them.
    """
    return _PLAIN.fullmatch(text) is not None


def read_inline(content: str, environment: Environment) -> Inline:
    """Parse the inside of a block."""
    if is_plain(content):
        return Inline([content], {}, [])
    tokens = [*_tokens(content, environment)]
    parts, escapes, alternatives = list[Part](), dict[str, str](), list[tuple[str, str]]()
    tags = dict[int, tuple[str, bool]]()  # HTML tags, by index in `parts`: name, whether it closes
    done = 0
    for token in tokens:
        if token.start < done:
            continue  # inside an element that is kept
        if token.start > done:
            parts.append(content[done : token.start])
        raw = content[token.start : token.end]
        done = token.end
        kept = _KEPT.match(content, token.start) if token.kind == "html_inline" else None
        if kept:
            raw, done = kept[0], kept.end()
        tag = _TAG.fullmatch(raw)
        if token.kind == "text_special":
            escapes[token.content] = raw
            parts.append(token.content)
        elif token.kind == "softbreak":
            last = parts[-1] if parts else ""
            if isinstance(last, Break):
                parts[-1] = Break(last.raw + raw)
            else:
                parts.append(" ")
        elif token.kind == "hardbreak" or _BREAK_TAG.fullmatch(raw):
            parts.append(Break(raw))
        elif token.kind == "link_open" and token.label == (0, 0):  # <https://example.org>
            parts.append(Mark(raw, Role.STANDS_FOR_WORD))
        elif token.kind.endswith("_open"):
            parts.append(Mark(raw, Role.OPENS))
        elif token.kind.endswith("_close"):
            if token.kind == "link_close" and _LINK_END.fullmatch(raw):
                raw = f"][{content[slice(*token.label)]}]"  # keeps its target with any text
            parts.append(Mark(raw, Role.CLOSES))
        elif token.kind in ("code_inline", "math_inline") or kept:
            parts.append(Mark(raw, Role.STANDS_FOR_WORD))
        else:
            if token.kind == "image" and not _BADGE.search(raw):
                alternative = content[slice(*token.label)]
                if _PLAIN_ALT.fullmatch(alternative):
                    alternatives.append((raw, alternative))
            elif token.kind == "html_inline" and tag and not tag[3] and tag[2].lower() not in VOID:
                tags[len(parts)] = (tag[2].lower(), bool(tag[1]))
            parts.append(Mark(raw))
    parts.append(content[done:])
    return Inline([*_with_pairs(parts, tags)], escapes, alternatives)


def _tokens(content: str, environment: Environment) -> Iterator[_Token]:
    """Yield the tokens that are not plain text, in order."""
    md = parser()
    tokens: list[Any] = []
    md.inline.parse(content, md, dict(environment), tokens)
    for token in tokens:
        start, end = token.meta.get("place", (0, 0))
        if token.type == "text" or start == end:
            continue
        if token.type == "strong_open":
            start -= 1
        elif token.type == "strong_close":
            end += 1
        elif token.type in ("softbreak", "hardbreak"):
            start = len(content[:start].rstrip(" "))
        if token.type == "link_close" and "label" not in token.meta:
            continue
        yield _Token(token.type, start, end, token.content, token.meta.get("label", (0, 0)))


def _with_pairs(parts: Sequence[Part], tags: Mapping[int, tuple[str, bool]]) -> Iterator[Part]:
    """Turn HTML tags that nest properly with all other marks into opening and closing marks."""
    roles = dict[int, Role]()
    open_ = list[tuple[int, str]]()  # indices, with the names of HTML tags
    for place, part in enumerate(parts):
        name, closes = tags.get(place, ("", False))
        if not isinstance(part, Mark):
            continue
        if part.role is Role.OPENS or (name and not closes):
            open_.append((place, name))
        elif part.role is Role.CLOSES:
            while open_.pop()[1]:
                pass
        elif closes and open_ and open_[-1][1] == name:
            roles[open_.pop()[0]], roles[place] = Role.OPENS, Role.CLOSES
    for place, part in enumerate(parts):
        yield Mark(part.raw, roles[place]) if isinstance(part, Mark) and place in roles else part
