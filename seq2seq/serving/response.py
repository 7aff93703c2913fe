"""The response of `/translate`: LibreTranslate's fields, with alignment, confidence and notes.

If you add a field here, describe it in `seq2seq.serving.openapi`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from seq2seq.documents.html_fragment import HtmlFragment
from seq2seq.documents.plain_text import TextDocument
from seq2seq.serving.request import TranslateRequest
from seq2seq.translation.base import AUTO
from seq2seq.translation.result import Translation

WordAlignment = list[tuple[int, int]]


@dataclass(frozen=True)
class Detection:
    """The language of a text, with a confidence in percent."""

    language: str
    confidence: float
    is_sure: bool = True  # whether to translate from that language, see `source_of`

    def to_json(self) -> dict[str, Any]:
        """Return it as LibreTranslate writes it."""
        return {"confidence": self.confidence, "language": self.language}


@dataclass(frozen=True)
class Answer:
    """The translation of a document, with everything that a request can ask for."""

    text: str
    alternatives: list[str] = field(default_factory=list)
    alignment: WordAlignment = field(default_factory=list)
    confidence: float | None = None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        document: HtmlFragment | TextDocument,
        translations: Sequence[Translation],
        request: TranslateRequest,
        notes: Sequence[str],
    ) -> "Answer":
        """Put the translations of its texts into a document, once for each rank of candidates."""
        ranks = max((len(translation.candidates) for translation in translations), default=1)
        rendered = [
            document.render([_candidate(translation, rank) for translation in translations])
            for rank in range(ranks)
        ]
        best, *alternatives = dict.fromkeys(rendered)
        all_notes = (note for translation in translations for note in translation.notes)
        return cls(
            best,
            alternatives,
            _alignment(translations) if request.alignment else [],
            _confidence(translations) if request.confidence else None,
            [*dict.fromkeys((*notes, *all_notes))],
        )


def translate_response(
    request: TranslateRequest, answers: Sequence[Answer], detections: Sequence[Detection]
) -> dict[str, Any]:
    """Return the JSON of `POST /translate`; its fields are lists if the request had a list."""
    fields: dict[str, list[Any]] = {"translatedText": [answer.text for answer in answers]}
    if request.source == AUTO:
        fields["detectedLanguage"] = [detection.to_json() for detection in detections]
    if request.alternatives:
        fields["alternatives"] = [answer.alternatives for answer in answers]
    if request.alignment and not request.is_html:
        fields["alignment"] = [answer.alignment for answer in answers]
    if request.confidence:
        fields["confidence"] = [answer.confidence for answer in answers]
    if request.notes:
        fields["notes"] = [answer.notes for answer in answers]
    return fields if request.is_list else {name: value for name, [value] in fields.items()}


def _candidate(translation: Translation, rank: int) -> str:
    """Return the candidate of a rank, or the last one if there are fewer."""
    return translation.candidates[min(rank, len(translation.candidates) - 1)].text


def _alignment(translations: Iterable[Translation]) -> WordAlignment:
    """Join the alignments of texts to the alignment of their document."""
    alignment: WordAlignment = []
    source, target = 0, 0  # words before the text
    for translation in translations:
        alignment += [(source + left, target + right) for left, right in translation.alignment]
        source += len(translation.source.split())
        target += len(translation.text.split())
    return alignment


def _confidence(translations: Sequence[Translation]) -> float | None:
    """Return the mean confidence, weighted by length, or None if no text has one."""
    scored = [
        (translation.confidence, len(translation.source))
        for translation in translations
        if translation.confidence is not None
    ]
    length = sum(length for _, length in scored)
    if not length:
        return None
    return round(sum(confidence * length for confidence, length in scored) / length, 3)
