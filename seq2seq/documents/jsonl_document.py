"""JSON Lines: objects with a text each, or with a text and its translation.

The text is in `source`, or in the code of the source language; its translation goes into `target`,
or into the code of the target language, which is added if missing. `text` is translated in place.
The keys may be inside `translation`, as in Hugging Face datasets.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from seq2seq.documents.column_names import columns_of
from seq2seq.documents.document import Document, State, TextUnit
from seq2seq.documents.encoding import decode
from seq2seq.documents.json_document import (
    JsonString,
    beside,
    is_escaped,
    json_strings,
    written_string,
)
from seq2seq.documents.spliced_document import Slot, SplicedDocument, has_words
from seq2seq.errors import Seq2SeqError


class _Text(NamedTuple):
    """A text in a line."""

    string: JsonString
    translation: JsonString | None = None
    added: str = ""  # the key to add for its translation


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read lines of JSON; raise `Seq2SeqError` for a bad line, or if no key fits in any line."""
    text, encoding = decode(data)
    is_ascii = is_escaped(text)
    slots, start, problem = list[Slot](), 0, "is empty."
    for number, line in enumerate(text.split("\n"), 1):
        try:
            strings = [*json_strings(line, with_null=True)] if line.strip() else []
        except Seq2SeqError as error:
            raise Seq2SeqError(f"line {number} {error}") from None
        try:
            texts = _texts(strings, source, target) if strings else []
        except Seq2SeqError as error:  # other lines may have the keys
            texts, problem = [], f"line {number} {error}"
        slots += (
            _slot(line, start, f"line {number}", each, is_ascii)
            for each in texts
            if has_words(each.string.text)
        )
        problem = "" if texts else problem
        start += len(line) + 1
    if not slots and problem:
        raise Seq2SeqError(problem)
    return SplicedDocument(text, encoding, slots)


def _texts(strings: Sequence[JsonString], source: str | None, target: str) -> list[_Text]:
    """Return the texts of a line."""
    own = [string for string in strings if string.path[:-1] in ((), ("translation",))]
    found = columns_of([string.path[-1] for string in own], source, target)
    translation = None if found.translations is None else own[found.translations]
    return [_Text(own[place], translation, found.added) for place in found.texts]


def _slot(line: str, start: int, context: str, text: _Text, is_ascii: bool) -> Slot:
    string = text.string
    core = string.text.strip()
    goal = text.translation or string
    if text.added:
        key = beside(line, string, json.dumps(text.added, ensure_ascii=is_ascii))
        place = (start + string.end, start + string.end)
    else:
        key, place = "", (start + goal.start, start + goal.end)
    old = text.translation.text.strip() if text.translation else ""
    unit = TextUnit(
        text=core,
        translation=old,
        state=State.TRANSLATED if old else State.UNTRANSLATED,
        context=context,
    )
    around = [*string.text.partition(core)[::2]]
    raw = line[goal.start : goal.end]

    def write(texts: Sequence[str]) -> str:
        return key + written_string(texts[0].join(around), raw, is_ascii)

    return Slot(*place, [unit], write, is_bilingual=bool(text.added or text.translation))
