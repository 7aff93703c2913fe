"""Text documents: translations are spliced in, and everything else stays byte for byte."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from seq2seq.documents.document import TextUnit, UnitTranslation
from seq2seq.documents.encoding import Encoding
from seq2seq.text.masking import mask

_PROSE = re.compile(r"[A-Z]?[a-z]+ [a-z]{2,}(?=[ .,!?]|\Z)")  # cannot begin a span
_DATE_PATTERN = re.compile(r"(?<![\d%])%[-0^_]?[BHIMYmpy](?![^\W\d_])")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the text, from character `start` to `end`, where translations are written."""

    start: int
    end: int
    units: Sequence[TextUnit]
    """The units written there; a slot without units is written if anything is translated."""
    write: Callable[[Sequence[str]], str]
    """Return the new content, from one text per unit, of which at least one is translated."""
    is_bilingual: bool = False
    """Whether the translation is kept beside the text instead of replacing it."""


class SplicedDocument:
    """A document made of slots and of the text between them."""

    def __init__(self, text: str, encoding: Encoding, slots: Iterable[Slot]) -> None:
        self._text, self._encoding = text, encoding
        self._slots = sorted(slots, key=lambda slot: slot.start)
        self.units: Sequence[TextUnit] = [unit for slot in self._slots for unit in slot.units]

    def render(self, translations: Sequence[UnitTranslation | None]) -> bytes:
        """Return the document with each unit replaced by its translation, see `Document`."""
        texts = [
            translation.text if translation and translation.text.strip() else None
            for translation in translations
        ]
        return self._encoding.encode(spliced(self._text, self._slots, texts))


def spliced(text: str, slots: Iterable[Slot], translations: Sequence[str | None]) -> str:
    """Return `text` with its `slots`, which are in order, written from their translations."""
    remaining = iter(translations)
    written = list[tuple[Slot, list[str]]]()  # slots to write, and their texts
    for slot in slots:
        before = [unit.translation if slot.is_bilingual else unit.text for unit in slot.units]
        after = [
            old if new is None else new
            for old, new in zip(before, islice(remaining, len(before)), strict=True)
        ]
        if after != before or not slot.units:
            written.append((slot, after))
    if not any(slot.units for slot, _ in written):
        return text
    parts, end = list[str](), 0
    for slot, texts in written:
        parts += text[end : slot.start], slot.write(texts)
        end = slot.end
    return "".join([*parts, text[end:]])


def has_words(text: str) -> bool:
    """Return whether a text has a letter outside protected spans.

    Texts with a date pattern, such as `%d %B %Y`, count as having none.
    """
    if not any(map(str.isalpha, text)) or _DATE_PATTERN.search(text):
        return False
    return _PROSE.match(text) is not None or any(map(str.isalpha, mask(text).text))
