"""Messages of ICU MessageFormat and of Java's: translate the texts of their branches.

The grammar is that of ICU4J (`com.ibm.icu.text.MessagePattern`), in which an apostrophe is doubled
only before a character that it could quote, or that of `java.text.MessageFormat` with `choice`.
The words around a plural or select are moved into each of its branches, as the authors of ICU
advise, since languages differ in which words depend on a number.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from math import prod
from typing import Literal, NamedTuple

from seq2seq.documents.document import TextUnit
from seq2seq.documents.spliced_document import has_words

Grammar = Literal["icu", "unquoted", "java"]
"""`unquoted` is ICU's grammar without quoting, as Flutter reads it: apostrophes are plain text."""

_MOST_TEXTS = 48  # of a message whose words are moved into its branches
_DEEPEST = 20
_NAME = re.compile(r"\{\s*([\w.-]+)\s*")
_KIND = re.compile(r",\s*([a-zA-Z]+)\s*")
_OFFSET = re.compile(r"\s*offset:\s*\d+")
_SELECTOR = re.compile(r"\s*(=\s*-?\d+|[^\s{}=][^\s{}]*)\s*\{")
_LIMIT = re.compile(r"\s*([-+]?(?:\d+(?:\.\d+)?|∞)\s*[#<≤])")
_PLAIN = re.compile(r"[^'{}#|]+")
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair
_SHOWN_SIGN = "{#}"  # shown to the translator for the `#` of a plural


class _NoMessageError(ValueError):
    """The text is not a message by the grammar."""


@dataclass(frozen=True)
class _Text:
    """Plain text, without and with its quoting."""

    text: str
    raw: str


@dataclass(frozen=True)
class _Argument:
    """An argument without branches; for `#`, `name` is that of its plural."""

    raw: str
    name: str = ""

    @property
    def shown(self) -> str:
        return _SHOWN_SIGN if self.raw == "#" else self.raw


@dataclass(frozen=True)
class _Run:
    """Text and arguments that are translated together."""

    parts: tuple[_Text | _Argument, ...]
    label: str = ""  # the selectors around it
    quotes: str = ""  # characters that are syntax here: `#` in a plural, `|` in a choice
    is_moved: bool = False  # moved into a branch, where plain characters may be syntax

    @property
    def shown(self) -> str:
        return "".join(part.text if isinstance(part, _Text) else part.shown for part in self.parts)


@dataclass(frozen=True)
class _Choice:
    """An argument with branches; `around` is the syntax before, between and after them."""

    name: str
    kind: str  # plural, selectordinal, select, choice
    has_offset: bool
    around: tuple[str, ...]
    branches: "tuple[tuple[_Run | _Choice, ...], ...]"
    labels: tuple[str, ...]


_Message = tuple[_Run | _Choice, ...]


class IcuMessage:
    """A message; `texts` are its texts to translate, `labels` the selectors of each.

    The `#` of a plural is `{#}` in the texts.
    """

    def __init__(
        self, message: _Message, grammar: Grammar, *, doubles: bool, hoists: bool = True
    ) -> None:
        self.has_branches = any(isinstance(part, _Choice) for part in message)
        self._message = _hoisted(message) if hoists else message
        self._grammar, self._doubles = grammar, doubles
        runs = [run for run in _runs(self._message) if has_words(run.shown)]
        self.texts: Sequence[str] = [run.shown.strip() for run in runs]
        self.labels: Sequence[str] = [run.label for run in runs]

    @classmethod
    def read(
        cls, source: str, grammar: Grammar = "icu", *, hoists: bool = True
    ) -> "IcuMessage | None":
        """Read a message; return None if `source` is not one by the grammar.

        With `hoists`, words around a plural or select are moved into its branches.
        """
        reader = _Reader(source, grammar)
        try:
            message = reader.message("", "", "", 0)
        except _NoMessageError:
            return None
        doubles = grammar == "java" or "''" in source
        return cls(message, grammar, doubles=doubles, hoists=hoists)

    def render(self, translations: Sequence[str]) -> str:
        """Return the message with its texts translated.

        A text stays as it is if its translation does not have the same arguments.
        """
        return "".join(self._rendered(self._message, iter(translations)))

    def _rendered(self, message: _Message, translations: Iterator[str]) -> Iterator[str]:
        for part in message:
            if isinstance(part, _Run):
                shown = part.shown
                yield self._written(part, next(translations) if has_words(shown) else shown)
                continue
            yield part.around[0]
            for branch, behind in zip(part.branches, part.around[1:], strict=True):
                yield from self._rendered(branch, translations)
                yield behind

    def _written(self, run: _Run, translation: str) -> str:
        """Write a run by the grammar, with the white space around it."""
        shown, text = run.shown.strip(), translation.strip()
        if text == shown and not run.is_moved:
            return "".join(part.raw for part in run.parts)
        arguments = {part.shown: part.raw for part in run.parts if isinstance(part, _Argument)}
        pattern = re.compile("|".join(map(re.escape, sorted(arguments, key=len, reverse=True))))
        if not arguments:
            pieces = [text]
        elif Counter(pattern.findall(text)) == Counter(pattern.findall(shown)):
            pieces = re.split(f"({pattern.pattern})", text)
        else:
            pieces = re.split(f"({pattern.pattern})", shown)
        width = 4 if "|" in run.quotes and arguments else 2  # such a choice is parsed twice
        before, after = run.shown.split(shown) if shown else (run.shown, "")
        written = (
            arguments[piece] if number % 2 else self._quoted(piece, run.quotes, width)
            for number, piece in enumerate(pieces)
        )
        return "".join([before, *written, after])

    def _quoted(self, text: str, quotes: str, width: int) -> str:
        """Write plain text, each apostrophe `width` times; quote characters that are syntax."""
        if self._grammar == "unquoted":
            return re.sub("[{}]", "", text)
        markup = "{}" + quotes

        def quoted(match: re.Match[str]) -> str:
            if match[0][0] in markup:
                return f"'{match[0]}'"
            around = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
            is_plain = len(match[0]) == 1 and around[1] and not {*around} & {*markup}
            return match[0] if is_plain and not self._doubles else match[0] * width

        return re.sub(rf"[{re.escape(markup)}]+|'+", quoted, text)


class _Reader:
    """Reads a message from left to right."""

    def __init__(self, source: str, grammar: Grammar) -> None:
        self._source, self._grammar = source, grammar
        self.place = 0

    def message(self, label: str, plural: str, quotes: str, depth: int) -> _Message:
        """Read up to the `}` or `|` that ends a branch, or to the end of the source.

        `plural` is the name of the enclosing plural.
        """
        if depth > _DEEPEST:
            raise _NoMessageError
        message = list[_Run | _Choice]()
        parts = list[_Text | _Argument]()
        while self.place < len(self._source):
            letter = self._source[self.place]
            if letter == "}" or (letter == "|" and "|" in quotes):
                if not depth:
                    raise _NoMessageError
                break
            part = self._part(letter, label, plural, quotes, depth)
            if isinstance(part, _Choice):
                message += _Run(tuple(parts), label, quotes), part
                parts = []
            else:
                parts.append(part)
        return (*message, _Run(tuple(parts), label, quotes))

    def _part(
        self, letter: str, label: str, plural: str, quotes: str, depth: int
    ) -> _Text | _Argument | _Choice:
        if letter == "{":
            return self._argument(label, plural, quotes, depth)
        start = self.place
        if letter == "'" and self._grammar != "unquoted":
            return self._quote("{}" + quotes)
        self.place += 1
        if letter == "#" and "#" in quotes:
            return _Argument("#", plural)
        match = _PLAIN.match(self._source, start)
        self.place = match.end() if match else self.place
        raw = self._source[start : self.place]
        return _Text(raw, raw)

    def _quote(self, quotable: str) -> _Text:
        """Read an apostrophe, and the text that it quotes."""
        start = self.place
        if self._source.startswith("''", start):
            is_twice = "|" in quotable and self._source.startswith("''''", start)
            raw = "'" * (4 if is_twice else 2)
            self.place += len(raw)
            return _Text("'", raw)
        following = self._source[start + 1 : start + 2]
        self.place += 1
        if self._grammar == "icu" and (not following or following not in quotable):
            return _Text("'", "'")
        match = re.compile(r"((?:[^']|'')*)(?:'|\Z)").match(self._source, self.place)
        assert match  # it also matches nothing
        self.place = match.end()
        return _Text(match[1].replace("''", "'"), self._source[start : self.place])

    def _selector(self, kind: str) -> re.Match[str] | None:
        """Match the beginning of a branch."""
        if kind == "choice":
            return _LIMIT.match(self._source, self.place)
        return _SELECTOR.match(self._source, self.place)

    def _argument(self, label: str, plural: str, quotes: str, depth: int) -> _Argument | _Choice:
        start = self.place
        name = self._match(_NAME)
        if self._source.startswith("}", self.place):
            self.place += 1
            return _Argument(self._source[start : self.place])
        kind = self._match(_KIND)
        if kind in ("plural", "selectordinal", "select") and self._grammar != "java":
            self._match(re.compile("(,)"))
            offset = _OFFSET.match(self._source, self.place) if kind != "select" else None
            self.place = offset.end() if offset else self.place
            if kind != "select":
                plural, quotes = name, "#" + quotes.replace("#", "")
        elif kind == "choice" and self._grammar == "java":
            self._match(re.compile("(,)"))
            offset, quotes = None, "|"
        else:
            self._skip_style()
            return _Argument(self._source[start : self.place])
        around, branches, labels = list[str](), list[_Message](), list[str]()
        while selector := self._selector(kind):
            around.append(self._source[start : selector.end()])
            self.place = selector.end()
            labels.append(f"{label} {name}={selector[1].lstrip('=')}".strip())
            branches.append(self.message(labels[-1], plural, quotes, depth + 1))
            start = self.place
            if kind == "choice" and not self._source.startswith("|", self.place):
                break
            self._match(re.compile("([|}])"))
        closing = self._match(re.compile(r"\s*(\})")) if branches else ""
        if not closing:
            raise _NoMessageError
        around.append(self._source[start : self.place])
        return _Choice(
            name, kind, offset is not None, tuple(around), tuple(branches), tuple(labels)
        )

    def _match(self, pattern: re.Pattern[str]) -> str:
        """Read what must come here, and return its group."""
        match = pattern.match(self._source, self.place)
        if not match:
            raise _NoMessageError
        self.place = match.end()
        return match[1]

    def _skip_style(self) -> None:
        """Skip the rest of an argument, `, short}`, in which braces are balanced."""
        depth = 1
        for match in re.compile(r"'[^']*'|[{}]").finditer(self._source, self.place):
            depth += {"{": 1, "}": -1}.get(match[0], 0)
            if not depth:
                self.place = match.end()
                return
        raise _NoMessageError


def _runs(message: _Message) -> Iterator[_Run]:
    for part in message:
        if isinstance(part, _Run):
            yield part
        else:
            yield from chain.from_iterable(map(_runs, part.branches))


def _hoisted(message: _Message) -> _Message:
    """Move the words around a plural or select into its branches, at every depth."""
    choices = [part for part in message if isinstance(part, _Choice)]
    has_text = any(isinstance(part, _Run) and has_words(part.shown) for part in message)
    texts = prod(sum(1 for _ in _runs((choice,))) for choice in choices)
    is_kept = any(choice.has_offset or choice.kind == "choice" for choice in choices)
    if not choices or not has_text or is_kept or texts > _MOST_TEXTS:
        return tuple(
            replace(part, branches=tuple(map(_hoisted, part.branches)))
            if isinstance(part, _Choice) and not part.has_offset  # `#` would change its meaning
            else part
            for part in message
        )
    place = message.index(choices[0])
    choice = choices[0]
    branches = list[_Message]()
    for branch, label in zip(choice.branches, choice.labels, strict=True):
        is_plural = choice.kind != "select"
        before = [_moved(part, label, is_plural) for part in message[:place]]
        after = [_moved(part, label, is_plural) for part in message[place + 1 :]]
        branches.append(_hoisted(_joined([*before, *branch, *after], label)))
    return (replace(choice, branches=tuple(branches)),)


def _moved(part: _Run | _Choice, label: str, into_plural: bool) -> _Run | _Choice:
    """Return a part as it is written in a branch: a `#` of another plural becomes its argument."""
    if isinstance(part, _Choice):
        labels = tuple(f"{label} {own}" for own in part.labels)
        branches = part.branches
        if part.kind == "select":
            branches = tuple(
                tuple(_moved(inner, own, into_plural) for inner in branch)
                for branch, own in zip(branches, labels, strict=True)
            )
        return replace(part, branches=branches, labels=labels)
    parts = tuple(  # `#` belongs to the plural whose branch contains it
        _Argument(f"{{{inner.name}, number}}")
        if isinstance(inner, _Argument) and inner.raw == "#"
        else inner
        for inner in part.parts
    )
    if not into_plural:
        return replace(part, parts=parts, label=label)
    quotes = "#" + part.quotes.replace("#", "")
    return replace(part, parts=parts, label=label, quotes=quotes, is_moved=True)


def _joined(parts: Sequence[_Run | _Choice], label: str) -> _Message:
    """Join adjacent runs."""
    message = list[_Run | _Choice]()
    for part in parts:
        last = message[-1] if message else None
        if isinstance(part, _Run) and isinstance(last, _Run):
            message[-1] = _Run(
                (*last.parts, *part.parts),
                label,
                max(last.quotes, part.quotes, key=len),
                last.is_moved or part.is_moved,
            )
        else:
            message.append(part)
    return tuple(message)


class MessageTexts(NamedTuple):
    """The texts of a string in a catalogue, and a function that writes their translations."""

    units: Sequence[TextUnit]
    render: Callable[[Sequence[str]], str]


def message_texts(
    strings: Sequence[str], contexts: Sequence[str], grammar: Grammar = "icu"
) -> Iterator[MessageTexts]:
    """Yield the texts of each string in a catalogue; `contexts` are of the form `key: note`.

    Strings count as messages only if one of them has branches; otherwise apostrophes are plain
    text. A Java string is a message if it has an argument or a doubled apostrophe.
    """
    is_java = grammar == "java"
    messages = [
        IcuMessage.read(text, grammar) if "{" in text or (is_java and "''" in text) else None
        for text in strings
    ]
    if not is_java and not any(message and message.has_branches for message in messages):
        messages = [None] * len(strings)
    for text, context, message in zip(strings, contexts, messages, strict=True):
        if message:
            yield MessageTexts(
                [
                    TextUnit(text=branch, context=_labelled(context, label))
                    for branch, label in zip(message.texts, message.labels, strict=True)
                ],
                message.render,
            )
        elif has_words(text) and not _HALF.search(text):
            core = text.strip()
            before, _, after = text.partition(core)
            yield MessageTexts(
                [TextUnit(text=core, context=context)], partial(_within, before, after)
            )
        else:
            yield MessageTexts((), "".join)


def _labelled(context: str, label: str) -> str:
    """Insert the selectors of a branch after the key, before a note."""
    key, colon, note = context.partition(": ")
    return f"{key} {label}".strip() + colon + note


def _within(before: str, after: str, texts: Sequence[str]) -> str:
    return f"{before}{texts[0].strip()}{after}"
