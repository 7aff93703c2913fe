"""Catalogues of ICU messages: each branch of a message is a text unit."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from seq2seq.documents.document import Document, State, TextUnit, UnitTranslation
from seq2seq.documents.icu_message import IcuMessage

_TAG = re.compile(r"</?g+\d+/?>|\{g+\d+\}")  # of an inline element, see `TaggedText`


def with_messages(document: Document) -> Document:
    """Return a document whose messages are read by the grammar of ICU.

    As in JSON, texts count as messages only if at least one has a plural or a select.
    """
    messages = [_message(unit.text) for unit in document.units]
    if not any(message and message.has_branches for message in messages):
        return document
    return _IcuDocument(document, messages)


def has_branches_with_words(text: str) -> bool:
    """Return whether a text is a message with words in its branches, not just a placeholder."""
    message = _message(text)
    return bool(message and message.has_branches and message.texts)


class _IcuDocument:
    """A document with one unit for each text of its messages."""

    def __init__(self, document: Document, messages: Sequence[IcuMessage | None]) -> None:
        self._document, self._messages = document, messages
        self._branches = [
            [unit] if message is None else _branches(unit, message)
            for unit, message in zip(document.units, messages, strict=True)
        ]
        self.units: Sequence[TextUnit] = [unit for units in self._branches for unit in units]

    def render(self, translations: Sequence[UnitTranslation | None]) -> bytes:
        """See `Document.render`."""
        remaining = iter(translations)
        whole = list[UnitTranslation | None]()
        for units, message in zip(self._branches, self._messages, strict=True):
            own = [*islice(remaining, len(units))]
            whole.append(own[0] if message is None else _joined(units, message, own))
        return self._document.render(whole)


def _message(text: str) -> IcuMessage | None:
    """Read a text as a message; return None if it is none.

    Words around a branch are not moved into it if that would duplicate an inline element.
    """
    message = IcuMessage.read(text) if "{" in text else None
    if message and len(_TAG.findall("".join(message.texts))) > len(_TAG.findall(text)):
        return IcuMessage.read(text, hoists=False)
    return message


def _branches(unit: TextUnit, message: IcuMessage) -> list[TextUnit]:
    """Return a unit for each text of a message, with the existing translation of its branch."""
    known = _message(unit.translation)
    by_label = dict(zip(known.labels, known.texts, strict=True)) if known else {}
    return [
        replace(
            unit,
            text=text,
            translation=by_label.get(label) or by_label.get(_other(label), ""),
            context=" ".join(filter(None, (unit.context, label))),
        )
        for text, label in zip(message.texts, message.labels, strict=True)
    ]


def _other(label: str) -> str:
    """Return the label of the branch `other` instead of this one."""
    return re.sub(r"=\w+\Z", "=other", label)


def _joined(
    units: Sequence[TextUnit], message: IcuMessage, translations: Sequence[UnitTranslation | None]
) -> UnitTranslation | None:
    """Return the translation of a message; a branch without translation stays as it is."""
    given = [translation for translation in translations if translation]
    if not given:
        return None
    texts = [
        translation.text if translation and translation.text.strip() else unit.text
        for unit, translation in zip(units, translations, strict=True)
    ]
    confidences = [each.confidence for each in given if each.confidence is not None]
    matches = [each.match for each in given if each.match is not None]
    is_draft = any(translation.state is State.NEEDS_REVIEW for translation in given)
    return UnitTranslation(
        message.render(texts),
        min(confidences, default=None),
        State.NEEDS_REVIEW if is_draft else State.TRANSLATED,
        tuple(dict.fromkeys(note for translation in given for note in translation.notes)),
        min(matches) if len(matches) == len(given) else None,
    )
