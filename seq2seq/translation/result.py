"""The result of a translation: a text and its candidates, each joined from translated segments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from seq2seq.search.beam import Hypothesis
from seq2seq.text.alignment import WordAlignment, joined_alignment

_LINE_ENDS = re.compile(r"[\r\n]+")


@dataclass(frozen=True, eq=False)
class SegmentTranslation:
    """A segment of a text and its translation."""

    source: str
    source_ids: tuple[int, ...]  # (S,) the language tag first
    text: str
    hypothesis: Hypothesis | None  # ids and attention; None where the source passed through
    separator: str  # the white space after it
    alignment: WordAlignment = ()  # between the words of source and text
    confidence: float | None = None  # also None if the source passed through
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Candidate:
    """A translation of a text, with its score and confidence.

    `score` is the natural log-probability divided by the length penalty: at most 0, higher is
    better. For several parts it is their mean, weighted by source length; it is 0 if there was
    nothing to translate. `confidence` is the expected chrF / 100, in [0, 1], averaged in the same
    way; None if the model has no calibration or there was nothing to translate. `parts` are the
    translated segments, unless the call does not keep them. For a translation from a translation
    memory, `match` is the similarity of the text to the memory's segment, in [0, 1]; None for a
    translation by a model.
    """

    text: str
    score: float
    confidence: float | None
    notes: tuple[str, ...]  # such as a number that was corrected
    parts: tuple[SegmentTranslation, ...]
    match: float | None = None

    @property
    def alignment(self) -> WordAlignment:
        """Return pairs of a source word and a target word made from it, numbered from 0."""
        parts = ((part.source, part.text, part.separator, part.alignment) for part in self.parts)
        return joined_alignment(parts)


@dataclass(frozen=True, eq=False)
class Translation:
    """A text and its translations, best first; at least one."""

    source: str
    candidates: tuple[Candidate, ...]

    @classmethod
    def unchanged(cls, text: str, *notes: str) -> Self:
        """Return a text that was not translated, as its own translation."""
        return cls(text, (Candidate(text, 0.0, None, notes, ()),))

    @property
    def text(self) -> str:
        """Return the best translation."""
        return self.candidates[0].text

    @property
    def score(self) -> float:
        """Return the score of the best translation, see `Candidate`."""
        return self.candidates[0].score

    @property
    def confidence(self) -> float | None:
        """Return the expected quality of the best translation, see `Candidate`."""
        return self.candidates[0].confidence

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the notes on the best translation."""
        return self.candidates[0].notes

    @property
    def alignment(self) -> WordAlignment:
        """Return the alignment of the best translation, see `Candidate`."""
        return self.candidates[0].alignment

    @property
    def parts(self) -> tuple[SegmentTranslation, ...]:
        """Return the translated segments of the best translation."""
        return self.candidates[0].parts


class TranslationBuilder:
    """Joins the candidates of a text, segment by segment."""

    def __init__(self, keep_parts: bool, one_line: bool) -> None:
        self._keep_parts = keep_parts
        self._one_line = one_line
        self._candidates = [_CandidateBuilder()]

    def add(self, translations: Sequence[SegmentTranslation]) -> None:
        """Add the next segment: candidate number r gets translation number r, or the last one."""
        first = translations[0]
        if not (first.source or first.separator or first.notes):
            return
        while len(self._candidates) < len(translations):  # a new one begins like the last one
            self._candidates.append(self._candidates[-1].copy())
        for rank, candidate in enumerate(self._candidates):
            candidate.add(translations[min(rank, len(translations) - 1)], self._keep_parts)

    def build(self, source: str) -> Translation:
        """Return the translation of `source`: the candidates built so far, without duplicates."""
        candidates: dict[str, Candidate] = {}
        for builder in self._candidates:
            candidate = builder.build(self._one_line)
            candidates.setdefault(candidate.text, candidate)
        return Translation(source, tuple(candidates.values()))


@dataclass(eq=False)
class _CandidateBuilder:
    """Collects the segments of one candidate."""

    texts: list[str] = field(default_factory=list)
    parts: list[SegmentTranslation] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    score_sum: float = 0.0  # of score times source length
    score_weight: int = 0  # total source length of the segments that have a score
    confidence_sum: float = 0.0
    confidence_weight: int = 0

    def copy(self) -> "_CandidateBuilder":
        return replace(self, texts=[*self.texts], parts=[*self.parts], notes={**self.notes})

    def add(self, part: SegmentTranslation, keep: bool) -> None:
        self.texts += (part.text, part.separator)
        self.notes.update(dict.fromkeys(part.notes))
        if keep:
            self.parts.append(part)
        length = len(part.source_ids)
        if part.hypothesis:
            self.score_sum += part.hypothesis.score * length
            self.score_weight += length
        if part.confidence is not None:
            self.confidence_sum += part.confidence * length
            self.confidence_weight += length

    def build(self, one_line: bool) -> Candidate:
        text = "".join(self.texts)
        has_confidence = self.confidence_weight > 0
        return Candidate(
            _LINE_ENDS.sub(" ", text) if one_line else text,
            self.score_sum / (self.score_weight or 1),
            self.confidence_sum / self.confidence_weight if has_confidence else None,
            tuple(self.notes),
            tuple(self.parts),
        )
