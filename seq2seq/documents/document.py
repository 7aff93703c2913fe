"""What all formats of documents have in common: text units go out, translations come in."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class State(Enum):
    """What the document itself says of the translation of a text unit."""

    UNTRANSLATED = "untranslated"
    NEEDS_REVIEW = "needs review"  # fuzzy in gettext
    TRANSLATED = "translated"


@dataclass(frozen=True, kw_only=True, slots=True)
class TextUnit:
    """A text of a document that is translated as a whole: a paragraph, a heading, a message."""

    text: str
    """The text, as a reader would see it: no escapes of the format. Inline elements are the tags
    `<g1>`...`</g1>`, `<g2/>` and `{g3}`, see `TaggedText`."""
    translation: str = ""
    """The translation that the document has already, written as `text` is."""
    state: State = State.UNTRANSLATED
    context: str = ""
    """Where the text stands, for messages: its key, its note."""
    max_length: int | None = None
    """The most characters that its translation may have."""


@dataclass(frozen=True, slots=True)
class UnitTranslation:
    """The translation of a text unit, to be put in place."""

    text: str
    confidence: float | None = None
    state: State = State.TRANSLATED
    """What the document is to say of it, where its format can."""
    notes: tuple[str, ...] = ()
    match: float | None = None
    """How similar the source in a translation memory is that it is from; None: from a model."""

    @property
    def remark(self) -> str:
        """The confidence and the notes, for formats that have a place for them; "" for none."""
        sure = () if self.confidence is None else (f"confidence {self.confidence:.0%}",)
        return "; ".join((*sure, *self.notes))


class Document(Protocol):
    """A document that has been read."""

    @property
    def units(self) -> Sequence[TextUnit]:
        """The texts to translate, in the order in which they are read."""

    def render(self, translations: Sequence[UnitTranslation | None]) -> bytes:
        """Return the document with the translation of each unit in place; None leaves it as it is.

        Every byte outside of the translations is as it was, wherever the format lets it be. So is
        a unit whose translation is its text.
        """
