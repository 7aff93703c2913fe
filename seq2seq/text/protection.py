"""Spans that must survive translation: placeholders, links, tags, code.

They are taken out of the text before the model reads it, and put back into what it wrote. In
between a single character stands for each, which no rule cuts and no change of case touches. Most
are words of the sentence: the model reads them as one of the tokenizer's placeholders. Tags and
pictures float: it reads the text without them, see `seq2seq.text.markup`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

STAND_IN = "\U000f0000"
"""Stands for the next span. It is of the private use area; in a text it is itself a span."""

FLOAT = "\U000f0001"
"""Stands for the next span where that floats."""

_SPAN = re.compile(
    r"""
      (?P<front> \A \ufeff? --- [ \t]*\r?\n (?: \w[\w-]*: [^\n]*\n | [\ \t#-] [^\n]*\n | \r?\n )+?
        --- [ \t]* (?= \r?\n | \Z ) )                               # of a file, in YAML
    | (?P<code>
        (?<! ` ) (?P<fence> `{3,}+ ) .*? (?P=fence) | (?<! ~ ) (?P<tildes> ~{3,}+ ) .*? (?P=tildes)
      | ``[^\n]+?`` | `[^`\n]+ (?: \n [^\S\n]* [^\s`] [^`\n]* )? `
      )
    | (?<! [\w@\#] ) [@\#] <[A-Za-z][^<>\n]*+> [\w.-]++ </[A-Za-z][^<>\s]*+>        # @<b>name</b>
    | (?P<tag>
        <su[bp] (?: \s [^<>\n]*+ )? > [^\s<>]*+ </su[bp]>                     # an index of one word
      | <[A-Za-z][^<>\n]*+ (?<! / ) > [^\w\s<>{]++ </[A-Za-z][^<>\s]*+>         # an icon
      | <!-- (?: (?! <!-- | --> ) . ){0,1000}+ -->
      | </?[A-Za-z][\w:.-]*
        (?: (?: [^\S\n]+ (?: \n [^\S\n]* )? | \n [^\S\n]* ) [\w:@.-]+
          (?: \s*=\s* (?: "[^"<]{0,1000}" | '[^'<]{0,1000}' | [^\s"'<>=`]+ ) )?
        )*+
        \s* /? >
      | </?[A-Za-z] [^<>\n]* (?: \n [^\S\n]* [^\s<>] [^<>\n]* )? >
    )
    | <! (?: [A-Za-z] [^<>]{0,1000} | \[CDATA\[ .{0,1000}? \]\] ) > | <\? .{0,1000}? \?> # templates
    | <% .{0,1000}? %> | \{% .{0,1000}? %\}
    | \{\{ [^{}\n]* \}\} | [$#%] \{ [^{}\n]* \} | \{ [\w.,:!\[\]\#+<>=^%"'-]* \} # {{a}} ${b} {c}
    | % \( \w+ \) [-+#0]*+ \d*+ (?: \.\d+ )? [a-zA-Z]                          # %(name)s
    | % \d+\$ [-+#0]*+ \d*+ (?: \.\d+ )? [diouxXeEfFgGcspaA@]
    | (?<! [\d%] ) (?: (?<! \d[ \u00a0\u202f] ) | (?= %[a-zA-Z@] (?! [^\W\d_] ) ) )
      % [-+#0]*+ (?: \d++ | \* )? (?: \. (?: \d+ | \* ) )?
      (?: hh? | ll? | [LqjztI] )? [diouxXeEfFgGcspaA@]                         # %s %1$s %-5.2lf
      (?! [^\W\d_]{4} )
    | %% | (?<! [\d%] ) % \w+ %                                                 # %name%
    | & (?: [A-Za-z][A-Za-z\d]* | \#\d+ | \#x[\dA-Fa-f]+ ) ;                   # &amp;
    | (?<! [^\W_] ) (?: [A-Za-z][A-Za-z\d+.-]{0,15} :// | www\. | mailto: )
      [^\s<>"“”„«»`\U000f0000\U000f0001]+ (?<! [.,;:!?…'’*_~] )
    | (?<! [\w.+-] ) \w [\w.!#$%&'*+/=?^{|}~-]{0,63} @ [^\W_][\w-]{0,63} (?: \. [\w-]{1,63} )+
      (?: : \w [\w.~-]* / [\w./~-]* \w )?                                       # git@a.b:c/d
    | (?P<mark>                                                                # of Markdown
        \\ [][\\`*_{}()\#+.!|~-] | \[\^ [\w-]+ \] | !?\[ (?= [^\[\]\n]* (?: \n [^\[\]\n]+ )? \]\( )
      | \] \( [^()\s]* (?: \s{1,9}" [^"\n]* (?: \n [^"\n]+ )? " )? \)
      | \*\* | __ | ~~
      | (?<! [\w*] ) \* (?= [^\s*] ) | (?<= [^\s*] ) \* (?! [\w*] )
      | (?<! [\w_] ) _ (?= [^\W_] ) | (?<= [^\s_] ) _ (?! [\w_] )
      )
    | (?P<picture>
        (?: [\U0001f1e6-\U0001faff\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2900-\u297f\u2b00-\u2bff]
          [\ufe0f\u200d\U000e0020-\U000e007f]* )+ | [\d#*] \ufe0f? \u20e3
      )
    | [\U000f0000\U000f0001]
    """,
    re.VERBOSE | re.DOTALL,
)
_STAND_INS = re.compile(f"[{STAND_IN}{FLOAT}]")
_TAG = re.compile(r"<(/?)([A-Za-z][\w:.-]*)[^>]*?(/?)>", re.DOTALL)
_JOIN = re.compile(r"[^\w\s]{0,3}")  # two spans, and no more than this between them, are one
_AFTER_LINK = ".,;:!?…'’*_"
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_AROUND = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "„": "“"}
"""What stands around a span as a whole belongs to it."""


class Span(NamedTuple):
    """What must come out as it went in."""

    text: str
    floats: bool  # a tag, a mark of Markdown or a picture
    number: int  # in the text, from 0


class _Place(NamedTuple):
    """Of a span in its text."""

    start: int
    end: int
    floats: bool
    number: int


class Shielded(NamedTuple):
    """A text with a `STAND_IN` or a `FLOAT` for each of its spans, in order."""

    text: str
    spans: Sequence[Span]


def shield(text: str, *, stand_ins_only: bool = False) -> Shielded:
    """Take the spans out of `text`, or only what looks like a stand-in."""
    matches = [*(_STAND_INS if stand_ins_only else _SPAN).finditer(text)]
    if not matches:
        return Shielded(text, ())
    # What joins two letters stays between them, and where a tag does, so does its other half.
    held = {number for number, match in enumerate(matches) if not _may_float(match)}
    held |= _between_letters(matches)
    for number, other in pairs([match[0] for match in matches]).items():
        if not held.isdisjoint((number, other)):
            held |= {number, other}
    places: list[_Place] = []
    for number, match in enumerate(matches):
        start, stop = match.start(), match.start() + len(_without_punctuation(match))
        floats = number not in held
        end = places[-1].end if places else 0
        if places and not (floats or places[-1].floats) and _JOIN.fullmatch(text, end, start):
            places[-1] = places[-1]._replace(end=stop)
            continue
        if not floats and start > end and _AROUND.get(text[start - 1]) == text[stop : stop + 1]:
            start, stop = start - 1, stop + 1
        places.append(_Place(start, stop, floats, number))
    kept: list[str] = []
    end = 0
    for place in places:
        kept += text[end : place.start], FLOAT if place.floats else STAND_IN
        end = place.end
    spans = [Span(text[one.start : one.end], one.floats, one.number) for one in places]
    return Shielded("".join([*kept, text[end:]]), spans)


def restore(text: str, spans: Iterable[Span]) -> str:
    """Put the `spans` back in place of the stand-ins, in order."""
    if not (STAND_IN in text or FLOAT in text):
        return text
    coming = iter(spans)
    return _STAND_INS.sub(lambda _: next(coming).text, text)


def without_floats(shielded: Shielded) -> Shielded:
    """What the model reads: the text without floats, and the other spans."""
    own = [span for span in shielded.spans if not span.floats]
    return Shielded(shielded.text.replace(FLOAT, ""), own)


def number_of_spans(text: str) -> int:
    """How many spans a shielded text has."""
    return text.count(STAND_IN) + text.count(FLOAT)


def split_at_spans(text: str) -> list[str]:
    """The parts of a shielded text, each a span or without one; none is empty."""
    return [part for part in re.split(f"([{STAND_IN}{FLOAT}])", text) if part]


def pairs(spans: Sequence[str]) -> dict[int, int]:
    """The places of the tags that open, each with that of the one that closes it."""
    found: dict[int, int] = {}
    opened: list[tuple[str, int]] = []
    unclosed: Counter[str] = Counter()
    for place, span in enumerate(spans):
        name, opens = _opening(span, unclosed)
        if opens:
            opened.append((name, place))
            unclosed[name] += 1
        elif unclosed[name]:
            other = ""
            while other != name:
                other, begin = opened.pop()
                unclosed[other] -= 1
            found[begin] = place
    return found


def _opening(span: str, unclosed: Mapping[str, int]) -> tuple[str, bool]:
    """What a span opens or closes, "" for nothing, and whether it opens it."""
    if span in ("**", "__", "~~", "*", "_"):
        return span, not unclosed.get(span)
    if span in ("[", "![") or span.startswith("]("):
        return "[", not span.startswith("]")
    tag = _TAG.fullmatch(span)
    if not tag or tag[3]:
        return "", False
    return tag[2].lower(), not tag[1]


def _may_float(match: re.Match[str]) -> bool:
    """Whether it is a tag, a mark or a picture, and not between two letters."""
    if match.lastgroup not in ("tag", "mark", "picture"):
        return False
    start, end = match.span()
    text = match.string
    return not (start and text[start - 1].isalnum() and text[end : end + 1].isalnum())


def _between_letters(matches: Sequence[re.Match[str]]) -> set[int]:
    """Which are of a row that stands between two letters, as where one element follows another."""
    found: set[int] = set()
    first = 0  # of the row
    for number, match in enumerate(matches):
        if number and matches[number - 1].end() != match.start():
            first = number
        text, start, end = match.string, matches[first].start(), match.end()
        if number > first and start and text[start - 1].isalnum() and text[end : end + 1].isalnum():
            found.update(range(first, number + 1))
    return found


def _without_punctuation(match: re.Match[str]) -> str:
    """A link ends before the punctuation of the sentence that it is in."""
    span = match[0]
    if not re.match(r"[A-Za-z][A-Za-z\d+.-]*://|www\.|mailto:", span):
        return span
    unopened = Counter(
        {end: span.count(end) - span.count(begin) for end, begin in _BRACKETS.items()}
    )
    end = len(span)
    while span[end - 1] in _AFTER_LINK or unopened[span[end - 1]] > 0:
        end -= 1
        unopened[span[end]] -= 1
    return span[:end]
