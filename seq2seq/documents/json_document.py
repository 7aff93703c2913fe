"""JSON translation files: i18next, ARB, Chrome's `messages.json`, and others with texts as values.

Translations are spliced into the source, so indentation, order, numbers and escapes stay. A string
with plurals or choices is read by the grammar of ICU MessageFormat. To the plurals of i18next
(`item_one`, `item_other`) and Rails (`{"one": ..., "other": ...}`), the categories that the target
language needs are added, with the text of `other`.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from seq2seq.documents.document import Document
from seq2seq.documents.encoding import decode
from seq2seq.documents.icu_message import Grammar, message_texts
from seq2seq.documents.plural_categories import CATEGORIES, plural_categories
from seq2seq.documents.spliced_document import Slot, SplicedDocument
from seq2seq.errors import Seq2SeqError

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s"{}\[\],:]++')
_ESCAPE = re.compile(r"\\(?:u[\da-fA-F]{4}|.)")
_PLURAL_KEY = re.compile(rf"(.*_|)({'|'.join(CATEGORIES)})")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?")
_KEYS_OF_LANGUAGE = ("@@locale", "locale", "lang", "language")


class JsonString(NamedTuple):
    """A string value; `start` and `end` include its quotes."""

    path: tuple[str, ...]  # keys and indices, from the outermost
    text: str
    start: int
    end: int
    key_start: int  # start of its key, or of the string if it has none

    @property
    def name(self) -> str:
        """The path, for messages."""
        return ".".join(self.path)


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read a file of translations; raise `Seq2SeqError` if it is not JSON."""
    text, encoding = decode(data)
    strings = [*json_strings(text)]
    if not strings:
        return SplicedDocument(text, encoding, ())
    grammar: Grammar = "icu"
    notes = dict[str, str]()
    if any(string.path[0].startswith("@") for string in strings):  # ARB
        quotes = any("''" in string.text or "'{" in string.text for string in strings)
        grammar = "icu" if quotes else "unquoted"
        notes = {
            string.path[0].removeprefix("@"): string.text
            for string in strings
            if string.path[1:] == ("description",)
        }
        texts = [string for string in strings if not string.path[0].startswith("@")]
    elif any(string.path[1:] == ("message",) for string in strings) and _is_chrome(text):
        texts = [string for string in strings if string.path[1:] == ("message",)]
        notes = {
            f"{string.path[0]}.message": string.text
            for string in strings
            if string.path[1:] == ("description",)
        }
    else:
        texts = [string for string in strings if not string.path[-1].startswith("$")]
    languages = [*_languages(text, strings, source, target)]
    named = {slot.start for slot in languages}
    texts = [string for string in texts if string.start not in named]
    return SplicedDocument(
        text, encoding, [*languages, *_slots(text, texts, notes, grammar, target)]
    )


def json_strings(text: str, *, with_null: bool = False) -> Iterator[JsonString]:
    """Yield the string values, and with `with_null` each `null` as an empty string.

    Raises `Seq2SeqError` if the text is not JSON.
    """
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        raise Seq2SeqError(
            f"is not valid JSON: {error.msg}, line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise Seq2SeqError("is JSON that is nested too deeply.") from None
    path = list[str | int]()  # the current keys, and the current indices, which count up
    key_start = -1  # start of the key whose value comes next
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "{":
            path.append("")
            key_start = -1
        elif token == "[":
            path.append(0)
            key_start = -1
        elif token in "}]":
            path.pop()
        elif token == ",":
            last = path[-1]
            path[-1] = last + 1 if isinstance(last, int) else ""
            key_start = -1
        elif token[0] == '"' and path and isinstance(path[-1], str) and key_start < 0:
            path[-1], key_start = _decoded(token), match.start()
        elif token[0] == '"' or (with_null and token == "null"):
            start = match.start() if key_start < 0 else key_start
            names = tuple(map(str, path)) or ("",)
            yield JsonString(names, _decoded(token), *match.span(), start)


def _decoded(token: str) -> str:
    """Return the value of a string; "" for `null`."""
    if token[0] == '"' and "\\" not in token:  # the usual case
        return token[1:-1]
    return json.loads(token) or ""


def written_string(text: str, raw: str, is_ascii: bool) -> str:
    """Write a string, with escapes as in `raw`, its source; `is_ascii`: escape all non-ASCII."""
    escapes = {json.loads(f'"{escape}"'): escape for escape in _lone_escapes(raw)}
    written = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
    for letter, escape in escapes.items():
        if letter not in '"\\' and letter.isprintable():
            written = written.replace(letter, escape)
    return f'"{written}"'


def is_escaped(text: str) -> bool:
    """Return whether a file writes non-ASCII letters as escapes."""
    return (
        text.isascii() and re.search(r"\\u00[a-f89A-F][\da-fA-F]|\\u0[1-9a-fA-F]", text) is not None
    )


def _lone_escapes(raw: str) -> Iterator[str]:
    """Yield the escapes of single characters, without halves of surrogate pairs."""
    for match in _ESCAPE.finditer(raw):
        if not re.match(r"\\u[dD][89a-fA-F]", match[0]):
            yield match[0]


def _is_chrome(text: str) -> bool:
    entries = json.loads(text, parse_int=str, parse_float=str)
    return isinstance(entries, dict) and all(
        isinstance(entry, dict) and isinstance(entry.get("message"), str)
        for entry in entries.values()
    )


def _languages(
    text: str, strings: Sequence[JsonString], source: str | None, target: str
) -> Iterator[Slot]:
    """Yield where the file states its language: as a value such as `locale`, or as its root key."""
    for string in strings:
        if (
            len(string.path) == 1
            and string.path[0] in _KEYS_OF_LANGUAGE
            and is_language(string.text, source)
        ):
            yield Slot(string.start, string.end, (), lambda _: json.dumps(target))
    roots = {string.path[0] for string in strings}
    root = strings[0].path[0]
    if len(roots) == 1 and len(strings[0].path) > 1 and is_language(root, source):
        key = _TOKEN.search(text, text.index("{") + 1)
        if key and key[0] == json.dumps(root):
            yield Slot(*key.span(), (), lambda _: json.dumps(target))


def is_language(code: str, source: str | None) -> bool:
    """Return whether a key or a value is the code of the source language."""
    if source is None:
        return _LANGUAGE.fullmatch(code) is not None
    return code.lower().replace("_", "-").split("-")[0] == source.lower().split("-")[0]


def _slots(
    text: str,
    strings: Sequence[JsonString],
    notes: Mapping[str, str],
    grammar: Grammar,
    target: str,
) -> Iterator[Slot]:
    contexts = [": ".join(filter(None, [each.name, notes.get(each.name)])) for each in strings]
    texts = message_texts([string.text for string in strings], contexts, grammar)
    added = _added_plurals(strings, target)
    is_ascii = is_escaped(text)
    for string, (units, render) in zip(strings, texts, strict=True):
        if units:
            raw = text[string.start : string.end]
            keys = tuple(
                beside(text, string, json.dumps(key, ensure_ascii=is_ascii))
                for key in added.get(string.path, ())
            )
            write = partial(_written, render, raw, is_ascii, keys)
            yield Slot(string.start, string.end, units, write)


def _written(
    render: Callable[[Sequence[str]], str],
    raw: str,
    is_ascii: bool,
    keys: Sequence[str],
    texts: Sequence[str],
) -> str:
    """Write a string, and again after each of further keys."""
    string = written_string(render(texts), raw, is_ascii)
    return "".join([string, *(key + string for key in keys)])


def beside(text: str, string: JsonString, key: str) -> str:
    """Return what goes between a string and the value of a new key, with the same spacing."""
    before = text[len(text[: string.key_start].rstrip()) : string.key_start]
    own_key = _TOKEN.match(text, string.key_start)
    behind = text[own_key.end() : string.start] if own_key else ""
    return f",{before}{key}{behind}"


def _added_plurals(
    strings: Sequence[JsonString], target: str
) -> Mapping[tuple[str, ...], Sequence[str]]:
    """Map the path of each `other` to the keys that the target language needs in addition."""
    groups = defaultdict[tuple[str, ...], dict[str, JsonString]](dict)
    for string in strings:
        match = _PLURAL_KEY.fullmatch(string.path[-1])
        if match and string.end != string.start and string.key_start != string.start:
            groups[*string.path[:-1], match[1]][match[2]] = string
    return {
        group["other"].path: [
            f"{prefix}{category}" for category in plural_categories(target) if category not in group
        ]
        for (*_, prefix), group in groups.items()
        if "other" in group
        and (len(group) > 1 or "{{count}}" in group["other"].text)
        and "ordinal" not in prefix
    }
