"""Spans that must survive translation: placeholders, links, tags, code.

They are taken out of the text before the model reads it, and put back into what it wrote. In
between a single character stands for each, which no rule cuts and no change of case touches. Most
are words of the sentence: the model reads them as one of the tokenizer's placeholders. Tags and
pictures float: it reads the text without them, see `seq2seq.text.markup`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

STAND_IN = "\U000f0000"
"""Stands for the next span. It is of the private use area; in a text it is itself a span."""

FLOAT = "\U000f0001"
"""Stands for the next span where that floats."""

_SPAN = re.compile(
    r"""
      (?P<code> ```.*?``` | ``[^\n]+?`` | `[^`\n]+` )
    | (?P<tag>
        <!-- (?: (?! <!-- | --> ) . ){0,1000}+ -->
      | </?[A-Za-z][^<>\n]*>
    )
    | \{\{ [^{}\n]* \}\} | [$#%] \{ [^{}\n]* \} | \{ [\w.,:!\[\]\#+-]* \}      # {{a}} ${b} {c} {}
    | % \( \w+ \) [-+#0]*+ \d*+ (?: \.\d+ )? [a-zA-Z]                          # %(name)s
    | (?<! [\d%] ) % (?: \d+\$ )? [-+#0]*+ (?: \d++ | \* )? (?: \. (?: \d+ | \* ) )?
      (?: hh? | ll? | [LqjztI] )? [diouxXeEfFgGcspaA@] (?! [^\W\d_]{2} )       # %s %1$s %-5.2lf
    | %% | (?<! [\d%] ) % \w+ %                                                 # %name%
    | & (?: [A-Za-z][A-Za-z\d]* | \#\d+ | \#x[\dA-Fa-f]+ ) ;                   # &amp;
    | \b (?: [A-Za-z][A-Za-z\d+.-]{0,15} :// | www\. ) [^\s<>"“”„«»`\U000f0000\U000f0001]+
    | \b mailto: [^\s<>"“”„«»`\U000f0000\U000f0001]+
    | (?<! [\w.+-] ) [\w.+-]{1,64} @ [^\W_][\w-]{0,63} (?: \. [\w-]{1,63} )+
    | (?P<picture>
        [\U0001f1e6-\U0001faff\u2600-\u27bf] [\U0001f1e6-\U0001faff\u2600-\u27bf\ufe0f\u200d]*
      )
    | [\U000f0000\U000f0001]
    """,
    re.VERBOSE | re.DOTALL,
)
_STAND_INS = re.compile(f"[{STAND_IN}{FLOAT}]")
_AFTER_LINK = ".,;:!?…'’*_"
_BRACKETS = {")": "(", "]": "[", "}": "{"}


class Span(NamedTuple):
    """What must come out as it went in."""

    text: str
    floats: bool  # a tag or a picture


class Shielded(NamedTuple):
    """A text with a `STAND_IN` or a `FLOAT` for each of its spans, in order."""

    text: str
    spans: Sequence[Span]


def shield(text: str, *, stand_ins_only: bool = False) -> Shielded:
    """Take the spans out of `text`, or only what looks like a stand-in."""
    spans: list[Span] = []
    kept: list[str] = []
    end = 0
    for match in (_STAND_INS if stand_ins_only else _SPAN).finditer(text):
        span = _without_punctuation(match)
        # What joins two letters stays between them.
        before, after = match.start() - 1, match.end()
        joins = before >= 0 and text[before].isalnum() and text[after : after + 1].isalnum()
        floats = match.lastgroup in ("tag", "picture") and not joins
        kept += text[end : match.start()], FLOAT if floats else STAND_IN
        spans.append(Span(span, floats))
        end = match.start() + len(span)
    return Shielded("".join([*kept, text[end:]]) if spans else text, spans)


def restore(text: str, spans: Iterable[Span]) -> str:
    """Put the `spans` back in place of the stand-ins, in order."""
    if not (STAND_IN in text or FLOAT in text):
        return text
    coming = iter(spans)
    return _STAND_INS.sub(lambda _: next(coming).text, text)


def number_of_spans(text: str) -> int:
    """How many spans a shielded text has."""
    return text.count(STAND_IN) + text.count(FLOAT)


def split_at_spans(text: str) -> list[str]:
    """The parts of a shielded text, each a span or without one; none is empty."""
    return [part for part in re.split(f"([{STAND_IN}{FLOAT}])", text) if part]


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
