"""What a translation is: a text's candidates, and the parts that each was put together from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from seq2seq.search.beam import Hypothesis
from seq2seq.text.alignment import WordAlignment, joined_alignment

_LINE_ENDS = re.compile(r"[\r\n]+")


@dataclass(frozen=True, eq=False)
class Part:
    """What became of one piece of a text: a line or a sentence is one, unless it is too long."""

    source: str
    source_ids: tuple[int, ...]  # (S,) the language tag first
    text: str
    hypothesis: Hypothesis | None  # ids and attention; None where the source passed through
    separator: str  # the white space between this part and the next
    links: WordAlignment = ()  # between the words of source and text
    confidence: float | None = None  # None also where the source passed through
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to translate a text.

    `score` is the natural log-probability over the length penalty: at most 0, higher is better. Of
    several parts it is the mean by source length, and 0 where there was nothing to translate.
    `confidence` is the expected chrF / 100, in [0, 1], of several parts the mean in the same way;
    None where the model has no calibration, or there was nothing to translate.
    """

    text: str
    score: float
    confidence: float | None
    notes: tuple[str, ...]  # what a reader should know of it
    parts: tuple[Part, ...]  # none where the translator was told not to keep them

    @property
    def alignment(self) -> WordAlignment:
        """Pairs of a source word and the target word made from it, by number from 0."""
        parts = ((part.source, part.text, part.separator, part.links) for part in self.parts)
        return joined_alignment(parts)


@dataclass(frozen=True, eq=False)
class Translation:
    """A text and its translations, the best one first; there is always one."""

    source: str
    candidates: tuple[Candidate, ...]

    @classmethod
    def unchanged(cls, text: str, *notes: str) -> Self:
        """Of a text that needs none, or that nobody can translate."""
        return cls(text, (Candidate(text, 0.0, None, notes, ()),))

    @property
    def text(self) -> str:
        """The best translation."""
        return self.candidates[0].text

    @property
    def score(self) -> float:
        """The score of the best translation, see `Candidate`."""
        return self.candidates[0].score

    @property
    def confidence(self) -> float | None:
        """How good the best translation can be expected to be, see `Candidate`."""
        return self.candidates[0].confidence

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of the best translation."""
        return self.candidates[0].notes

    @property
    def alignment(self) -> WordAlignment:
        """The alignment of the best translation, see `Candidate`."""
        return self.candidates[0].alignment

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the best translation."""
        return self.candidates[0].parts


class Draft:
    """The candidates of a text, as far as its pieces are done."""

    def __init__(self, keep_parts: bool, one_line: bool) -> None:
        self._keep_parts = keep_parts
        self._one_line = one_line
        self._begun = [_Begun()]

    def add(self, parts: Sequence[Part]) -> None:
        """Candidate number r takes part number r, or the last one."""
        if not (parts[0].source or parts[0].separator or parts[0].notes):
            return
        while len(self._begun) < len(parts):  # had the last ones until now
            self._begun.append(self._begun[-1].copy())
        for rank, begun in enumerate(self._begun):
            begun.add(parts[min(rank, len(parts) - 1)], self._keep_parts)

    def candidates(self) -> tuple[Candidate, ...]:
        """What has been added, each text once."""
        candidates: dict[str, Candidate] = {}
        for begun in self._begun:
            one = begun.candidate(self._one_line)
            candidates.setdefault(one.text, one)
        return tuple(candidates.values())


@dataclass(eq=False)
class _Begun:
    """A candidate under way."""

    texts: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    total: float = 0.0  # of the scores, each times its weight
    confidence: float = 0.0  # likewise
    weight: int = 0  # of the sources, by their length
    calibrated: int = 0  # the weight of those that have a confidence

    def copy(self) -> "_Begun":
        return replace(self, texts=[*self.texts], parts=[*self.parts], notes={**self.notes})

    def add(self, part: Part, keep: bool) -> None:
        self.texts += (part.text, part.separator)
        self.notes.update(dict.fromkeys(part.notes))
        if keep:
            self.parts.append(part)
        weight = len(part.source_ids)
        if part.hypothesis:
            self.total += part.hypothesis.score * weight
            self.weight += weight
        if part.confidence is not None:
            self.confidence += part.confidence * weight
            self.calibrated += weight

    def candidate(self, one_line: bool) -> Candidate:
        text = "".join(self.texts)
        return Candidate(
            _LINE_ENDS.sub(" ", text) if one_line else text,
            self.total / (self.weight or 1),
            self.confidence / self.calibrated if self.calibrated else None,
            tuple(self.notes),
            tuple(self.parts),
        )
