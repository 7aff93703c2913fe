"""Plain text, line by line."""

from collections.abc import Sequence
from itertools import chain

from seq2seq.documents.document import TextUnit, UnitTranslation
from seq2seq.documents.encoding import Encoding, decode
from seq2seq.text.blocks import blocks, lines_of


class TextDocument:
    """Plain text, split into lines, so that a long text does not delay all others."""

    def __init__(self, text: str) -> None:
        self._parts = [*chain.from_iterable(blocks([lines_of(text)], "sentence"))]
        self._filled = [number for number, part in enumerate(self._parts) if part.strip()]
        self.texts: Sequence[str] = [self._parts[number] for number in self._filled]

    def render(self, translations: Sequence[str]) -> str:
        """Return the text with its lines translated."""
        rendered = [*self._parts]
        for number, translation in zip(self._filled, translations, strict=True):
            rendered[number] = translation
        return "".join(rendered)


class _TextFile:
    """A file of plain text."""

    def __init__(self, text: str, encoding: Encoding) -> None:
        self._document, self._encoding = TextDocument(text), encoding
        bare = (text.rstrip("\r\n") for text in self._document.texts)
        self.units = [TextUnit(text=text) for text in bare if any(map(str.isalpha, text))]

    def render(self, translations: Sequence[UnitTranslation | None]) -> bytes:
        remaining = iter(translations)
        texts = [*self._document.texts]
        for number, text in enumerate(texts):
            translation = next(remaining) if any(map(str.isalpha, text)) else None
            if translation:
                texts[number] = translation.text + text[len(text.rstrip("\r\n")) :]
        return self._encoding.encode(self._document.render(texts), "replace")


def read(data: bytes, source: str | None, target: str) -> _TextFile:
    """Read a plain text file, in UTF-8 or with a byte order mark."""
    return _TextFile(*decode(data))
