"""Translators for tests of documents: what becomes of their texts is known."""

import re
from collections.abc import Callable, Sequence

from seq2seq.documents.document import Document, State, TextUnit, UnitTranslation

TAG = re.compile(r"(</?g+\d+/?>|{g+\d+})")


def shout(text: str) -> str:
    """Upper case, all but the tags."""
    return "".join(part if n % 2 else part.upper() for n, part in enumerate(TAG.split(text)))


def backwards(text: str) -> str:
    """The words and the tags in reverse order, which are no longer nested."""
    return " ".join(part for part in reversed(TAG.split(text)) if part)


def untagged(text: str) -> str:
    """Without tags, and with all that must be escaped."""
    return TAG.sub("", text) + ' & <b>"it\'s"</b> ]]> \x01 é–漢 \\ @'


def rendered(document: Document, translate: Callable[[str], str] = shout) -> bytes:
    """The document with each unit translated, to be reviewed."""
    translations = [
        UnitTranslation(translate(unit.text), state=State.NEEDS_REVIEW) for unit in document.units
    ]
    return document.render(translations)


def same(document: Document) -> bytes:
    """The document with each unit translated to itself."""
    return document.render([UnitTranslation(unit.text) for unit in document.units])


def texts(document: Document) -> Sequence[str]:
    """The texts of a document."""
    return [unit.text for unit in document.units]


def unit_of(document: Document, text: str) -> TextUnit:
    """The unit with a text."""
    return next(unit for unit in document.units if unit.text == text)
