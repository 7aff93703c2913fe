"""A document is divided into texts, which are translated apart, and put together again."""

from collections.abc import Sequence
from itertools import chain
from typing import Protocol

from seq2seq.text.blocks import blocks, lines_of


class Document(Protocol):
    """What the text and the HTML of a request have in common."""

    @property
    def texts(self) -> Sequence[str]:
        """What is to be translated."""

    def render(self, translations: Sequence[str]) -> str:
        """The document with a translation in place of each text."""


class TextDocument:
    """Plain text: its lines, so that a long one does not keep all others waiting."""

    def __init__(self, text: str) -> None:
        self._parts = [*chain.from_iterable(blocks([lines_of(text)], "sentence"))]
        self._filled = [number for number, part in enumerate(self._parts) if part.strip()]
        self.texts: Sequence[str] = [self._parts[number] for number in self._filled]

    def render(self, translations: Sequence[str]) -> str:
        """The text with its lines translated."""
        rendered = [*self._parts]
        for number, translation in zip(self._filled, translations, strict=True):
            rendered[number] = translation
        return "".join(rendered)
