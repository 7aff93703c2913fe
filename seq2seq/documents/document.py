"""What all formats of documents share: text units go out, translations come in."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class State(Enum):
    """What the document says about the translation of a text unit."""

    UNTRANSLATED = "untranslated"
    NEEDS_REVIEW = "needs review"  # fuzzy in gettext
    TRANSLATED = "translated"


@dataclass(frozen=True, kw_only=True, slots=True)
class TextUnit:
    """A text of a document that is translated as a whole: a paragraph, a heading, a message."""

    text: str
    """The text as a reader sees it, without the format's escapes. Inline elements are the tags
    `<g1>`...`</g1>`, `<g2/>` and `{g3}`, see `TaggedText`."""
    translation: str = ""
    """The translation that the document already has, in the same form as `text`."""
    state: State = State.UNTRANSLATED
    context: str = ""
    """Where the text comes from, for messages: its key and note."""
    max_length: int | None = None
    """The maximum length of its translation, in characters."""


@dataclass(frozen=True, slots=True)
class UnitTranslation:
    """The translation of a text unit, to be put in place."""

    text: str
    confidence: float | None = None
    state: State = State.TRANSLATED
    """The state that the document is to record, if its format can."""
    notes: tuple[str, ...] = ()
    match: float | None = None
    """Similarity to the translation memory's segment it is from; None: it is from a model."""

    @property
    def remark(self) -> str:
        """Confidence and notes, for formats that have a place for them; "" for none."""
        sure = () if self.confidence is None else (f"confidence {self.confidence:.0%}",)
        return "; ".join((*sure, *self.notes))


class Document(Protocol):
    """A document that was read."""

    @property
    def units(self) -> Sequence[TextUnit]:
        """The texts to translate, in the order in which they are read."""

    def render(self, translations: Sequence[UnitTranslation | None]) -> bytes:
        """Return the document with the translation of each unit in place; None leaves it as it is.

        Every byte outside the translations stays the same, as far as the format allows. So does a
        unit whose translation equals its text.
        """
