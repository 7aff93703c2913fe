"""Plain text, by lines."""

from collections.abc import Sequence
from itertools import chain

from seq2seq.text.blocks import blocks, lines_of


class TextDocument:
    """Plain text, by lines, so that a long text does not keep all others waiting."""

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
