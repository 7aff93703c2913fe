"""YAML translation files: those of Rails, whose root key is the language, and others.

PyYAML gives the place of each scalar; its translation is spliced in there, in the same style if
that can represent it. So comments, anchors, order and indentation stay. To the plurals of Rails
(`one`, `other`), the categories that the target language needs are added.
"""

import re
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from seq2seq.documents.document import Document
from seq2seq.documents.encoding import decode
from seq2seq.documents.icu_message import message_texts
from seq2seq.documents.json_document import is_escaped, is_language
from seq2seq.documents.plural_categories import CATEGORIES, plural_categories
from seq2seq.documents.spliced_document import Slot, SplicedDocument
from seq2seq.errors import Seq2SeqError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, if available
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_BLOCK_HEADER = re.compile(r"[|>][^\n]*\n(?:[ \t]*\r?\n)*")
_RARE_LINE_END = re.compile("[\x85\u2028\u2029]")
_LINE_END = re.compile("\r\n?|[\n\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_NAMED_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_WRAPPING: Mapping[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
_STRING = "tag:yaml.org,2002:str"


class YamlScalar(NamedTuple):
    """A scalar; `start` and `end` exclude its anchor and tag."""

    path: tuple[str, ...]  # keys and indices, from the outermost; for a key, those above it
    is_key: bool
    value: str
    style: str  # "" if plain, otherwise its first character
    start: int
    end: int
    is_in_flow: bool
    column: int  # of its key


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read a file of translations; raise `Seq2SeqError` if it is not YAML."""
    text, encoding = decode(data)
    scalars = [*yaml_scalars(text)]
    values = [scalar for scalar in scalars if not scalar.is_key]
    if any(not scalar.path for scalar in values):
        raise Seq2SeqError("has a text without a key, so it is not a YAML file of translations.")
    roots = [scalar for scalar in scalars if scalar.is_key and not scalar.path]
    slots = [*scalar_slots(text, values, target)]
    is_root = len(roots) == 1 and all(len(scalar.path) > 1 for scalar in values)
    if is_root and is_language(roots[0].value, source):
        root = roots[0]
        slots.append(Slot(root.start, root.end, (), lambda _: _flow(target, "", False, False)))
    return SplicedDocument(text, encoding, slots)


@dataclass
class _Collection:
    """An open mapping or sequence."""

    is_mapping: bool
    is_flow: bool
    is_key: bool  # whether it is a key or inside one
    name: str | int  # the key or index that comes next
    key_column: int = -1  # column of the key whose value comes next

    @property
    def awaits_key(self) -> bool:
        return self.is_key or (self.is_mapping and self.key_column < 0)

    def pass_node(self, name: str, column: int) -> None:
        """Move on after a node, which was an item, a key or a value."""
        if isinstance(self.name, int):
            self.name += 1
        elif self.key_column < 0:
            self.name, self.key_column = name, column
        else:
            self.key_column = -1


def yaml_scalars(text: str) -> Iterator[YamlScalar]:
    """Yield the scalars that are strings; raise `Seq2SeqError` if the text is not YAML."""
    around = [_Collection(False, False, False, 0)]  # the file is a sequence of documents
    resolver = yaml.resolver.Resolver()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            column = event.start_mark.column
            if isinstance(event, yaml.CollectionStartEvent):
                is_mapping = isinstance(event, yaml.MappingStartEvent)
                around.append(
                    _Collection(
                        is_mapping,
                        bool(event.flow_style),
                        around[-1].awaits_key,
                        "" if is_mapping else 0,
                    )
                )
            elif isinstance(event, yaml.CollectionEndEvent):
                around.pop()
                around[-1].pass_node("?", column)
            elif isinstance(event, yaml.AliasEvent):
                around[-1].pass_node("?", column)
            elif isinstance(event, yaml.ScalarEvent):
                tag = event.tag or resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
                if tag in (_STRING, "!"):
                    yield _scalar(text, event, around)
                around[-1].pass_node(event.value, column)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Seq2SeqError(f"is not valid YAML: {error.problem}, line {line}.") from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise Seq2SeqError(f"is not valid YAML: {' '.join(str(error).split())[:120]}.") from None


def _scalar(text: str, event: yaml.ScalarEvent, around: Sequence[_Collection]) -> YamlScalar:
    start = event.start_mark.index
    if event.anchor or event.tag:
        properties = _PROPERTIES.match(text, start)
        start = properties.end() if properties else start
    is_key = around[-1].awaits_key
    path = (collection.name for collection in around[1 : -1 if is_key else None])
    return YamlScalar(
        tuple(map(str, path)),
        is_key,
        event.value,
        event.style or "",
        start,
        event.end_mark.index,
        around[-1].is_flow,
        around[-1].key_column,
    )


def scalar_slots(text: str, scalars: Sequence[YamlScalar], target: str) -> Iterator[Slot]:
    """Yield a slot for each scalar with words."""
    messages = message_texts(
        [scalar.value for scalar in scalars], [".".join(scalar.path) for scalar in scalars]
    )
    added = _added_plurals(scalars, target)
    is_ascii = is_escaped(text)
    for scalar, (units, render) in zip(scalars, messages, strict=True):
        raw = text[scalar.start : scalar.end]
        if units and not (scalar.style in ("|", ">") and _RARE_LINE_END.search(raw)):
            yield Slot(
                scalar.start,
                scalar.end,
                units,
                _writer(text, scalar, render, added.get(scalar.path, ()), is_ascii),
            )


def _writer(
    text: str,
    scalar: YamlScalar,
    render: Callable[[Sequence[str]], str],
    keys: Sequence[str],
    is_ascii: bool,
) -> Callable[[Sequence[str]], str]:
    """Return a function that writes a scalar, and again after each of further keys."""
    raw = text[scalar.start : scalar.end]
    line_end = "\r\n" if "\r\n" in text else "\n"
    separator = ", " if scalar.is_in_flow else line_end + " " * scalar.column

    def write(texts: Sequence[str]) -> str:
        value = render(texts)
        is_block = scalar.style in ("|", ">")
        written = (
            _block(value, raw, scalar.value, line_end)
            if is_block
            else _flow(value, scalar.style, scalar.is_in_flow, is_ascii)
        )
        body = written.rstrip() if is_block else written
        behind = written[len(body) :]
        return "".join([body, *(f"{separator}{key}: {body}" for key in keys), behind])

    return write


def _flow(value: str, style: str, is_in_flow: bool, is_ascii: bool) -> str:
    """Write a value on one line, in its style if that can represent it, otherwise quoted."""
    is_bare = not _CONTROL.search(value)
    if style == "" and is_bare and _is_plain(value, is_in_flow):
        return value
    if style != '"' and is_bare and (style == "'" or re.search(r'["\\]', value)):
        return "'" + value.replace("'", "''") + "'"
    to_escape = rf'["\\]|{_CONTROL.pattern}' + (r"|[^\x00-\x7f]" if is_ascii else "")
    written = re.sub(to_escape, lambda match: _escape(match[0]), value)
    return f'"{written}"'


def _is_plain(value: str, is_in_flow: bool) -> bool:
    """Return whether YAML reads the unquoted value as this very string."""
    try:
        read_: object = yaml.load(f"[{value}]" if is_in_flow else f"k: {value}", Loader=_LOADER)
    except (yaml.YAMLError, ValueError):
        return False
    return read_ == ([value] if is_in_flow else {"k": value})


def _escape(letter: str) -> str:
    code = ord(letter)
    return _NAMED_ESCAPES.get(letter) or (f"\\u{code:04x}" if code < 0x1_0000 else f"\\U{code:08x}")


def _block(value: str, raw: str, source: str, line_end: str) -> str:
    """Write a value as a block, as `raw` does `source`; folded lines are about as long as there."""
    header = _BLOCK_HEADER.match(raw)
    assert header  # a block scalar begins with one
    body = raw[header.end() :]
    bare = body.rstrip()
    first = source.strip("\n")
    indent = " " * (_indent(body) - _indent(first))
    lines = [_CONTROL.sub(" ", line) for line in _LINE_END.split(value.strip("\n"))]
    if not _indent(first):
        lines[0] = lines[0].lstrip(" \t")  # its indentation is that of the block
    if header[0][0] == ">":
        lines = [*_folded(lines, [line[len(indent) :] for line in bare.splitlines()])]
    written = line_end.join(indent + line if line.strip() else "" for line in lines)
    return header[0] + written + body[len(bare) :]


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _folded(lines: Sequence[str], source: Sequence[str]) -> Iterator[str]:
    """Yield lines that fold into `lines`; lines that begin with white space are not folded."""
    width = max(map(len, source)) if len(source) > 1 else 0
    was_folded = False
    for line in lines:
        is_folded = line.strip() != "" and line[0] not in " \t"
        if is_folded and was_folded:
            yield ""
        wraps = is_folded and width and "  " not in line
        yield from textwrap.wrap(line, width, **_WRAPPING) if wraps else [line]
        was_folded = is_folded or (was_folded and not line.strip())


def _added_plurals(
    scalars: Sequence[YamlScalar], target: str
) -> Mapping[tuple[str, ...], Sequence[str]]:
    """Map the path of each `other` to the keys that the target language needs in addition."""
    groups = defaultdict[tuple[str, ...], dict[str, YamlScalar]](dict)
    for scalar in scalars:
        if scalar.path and scalar.path[-1] in CATEGORIES:
            groups[scalar.path[:-1]][scalar.path[-1]] = scalar
    needed = plural_categories(target)
    if "few" not in needed:  # Romance languages use `many` for millions, which Rails does not
        needed = tuple(category for category in needed if category != "many")
    return {
        group["other"].path: [category for category in needed if category not in group]
        for group in groups.values()
        if "other" in group and len(group) > 1
    }
