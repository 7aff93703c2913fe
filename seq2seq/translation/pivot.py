"""Pivot translation: two models in sequence, through a language that both know.

The second model reads only what the first one wrote, so a mistake of the first model stays. Numbers
are checked after each step.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

from seq2seq.config.model_config import Direction, SearchConfig
from seq2seq.errors import UsageError
from seq2seq.text.alignment import WordAlignment
from seq2seq.text.blocks import Unit
from seq2seq.translation.base import BaseTranslator, TranslateOptions
from seq2seq.translation.result import Candidate, SegmentTranslation, Translation


class DirectedTranslator(BaseTranslator):
    """A translator for one of its directions, whatever languages a call names."""

    def __init__(self, translator: BaseTranslator, direction: Direction) -> None:
        self.translator = translator
        self._direction = direction

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The one direction."""
        return (self._direction,)

    @property
    def direction(self) -> Direction:
        """The one direction."""
        return self._direction

    @property
    def is_trained(self) -> bool:
        """Whether the model was trained for the direction."""
        return self._direction in self.translator.directions

    @property
    def search(self) -> SearchConfig:
        """The search settings of the model."""
        return self.translator.search

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """See `BaseTranslator.stream`."""
        source, target = self._direction.source, self._direction.target
        return self.translator.stream(lines, replace(options, source=source, target=target))


class PivotTranslator(BaseTranslator):
    """Two translators in sequence: `second` translates what `first` wrote.

    A glossary and a minimum confidence apply to the languages of a single step, so they are
    refused. The score is the sum of both scores. There is no confidence, since each model was
    calibrated alone and not on what both do together.
    """

    def __init__(self, first: BaseTranslator, second: BaseTranslator) -> None:
        if first.direction.target != second.direction.source:
            raise ValueError(f"{second.direction} does not begin where {first.direction} ends")
        self.first, self.second = first, second

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The one direction."""
        return (self.direction,)

    @property
    def direction(self) -> Direction:
        """From the source language of the first into the target language of the second."""
        return Direction(self.first.direction.source, self.second.direction.target)

    @property
    def pivot(self) -> str:
        """The language between the two steps."""
        return self.first.direction.target

    @property
    def search(self) -> SearchConfig:
        """The search settings of the second translator, whose candidates are returned."""
        return self.second.search

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """See `BaseTranslator.stream`.

        Only the best translation of the first step is passed on; `n_best` and `prefix` apply to the
        second. With `keep_parts`, a text is a single part, whose alignment is composed of those of
        both steps. `on_part` is called with the translated share of the source, and during the
        first step with "", so that it can end either step by raising.
        Raises `UsageError` if a glossary or a minimum confidence is given.
        """
        if refused := one_step_option(options):
            raise UsageError(
                f"{refused} cannot be used with pivot translation ({self.direction} goes through "
                f"{self.pivot}); omit it, or translate into {self.pivot!r} first."
            )
        options = replace(options, source=None, target=None)  # each step has its own
        on_part = options.on_part
        halfway = deque[_Halfway]()  # texts that the second step reads

        def texts() -> Iterator[str]:
            for translation in coming:
                halfway.append(_Halfway.of(translation, self.pivot))
                yield translation.text

        def go_on(part: str) -> None:
            if on_part:
                on_part("")

        def tell(part: str) -> None:
            if on_part:
                on_part(halfway[0].told(part))

        coming = self.first.stream(
            lines, replace(options, n_best=1, prefix="", on_part=go_on if on_part else None)
        )
        # Lines that the first step joined must not be joined again.
        unit: Unit = "line" if options.unit == "line" else "sentence"
        translations = self.second.stream(
            texts(), replace(options, unit=unit, on_part=tell if on_part else None)
        )
        return (
            halfway.popleft().joined(translation, options.keep_parts)
            for translation in translations
        )


@dataclass(eq=False)
class _Halfway:
    """The translation of the first step, without its parts, which would take much memory."""

    source: str
    pivot: str  # the language of `text`
    text: str
    score: float
    notes: tuple[str, ...]
    links: WordAlignment
    done: int = 0  # characters of `text` that are translated
    counted: int = 0  # characters of `source` that were reported

    @classmethod
    def of(cls, translation: Translation, pivot: str) -> Self:
        notes = tuple(f"into {pivot!r}: {note}" for note in translation.notes)
        return cls(
            translation.source,
            pivot,
            translation.text,
            translation.score,
            notes,
            translation.alignment,
        )

    def told(self, part: str) -> str:
        """Return the share of the source that this part of the text corresponds to."""
        self.done += len(part)
        end = self.done * len(self.source) // (len(self.text) or 1)
        share = self.source[self.counted : end]
        self.counted = end
        return share

    def joined(self, translation: Translation, keep_parts: bool) -> Translation:
        candidates = (self._joined(candidate, keep_parts) for candidate in translation.candidates)
        return Translation(self.source, tuple(candidates))

    def _joined(self, candidate: Candidate, keep_part: bool) -> Candidate:
        parts: tuple[SegmentTranslation, ...] = ()
        if keep_part:
            links = composed_links(self.links, candidate.alignment)
            parts = (SegmentTranslation(self.source, (), candidate.text, None, "", links),)
        notes = (*self.notes, *(f"from {self.pivot!r}: {note}" for note in candidate.notes))
        return Candidate(candidate.text, self.score + candidate.score, None, notes, parts)


def composed_links(first: WordAlignment, second: WordAlignment) -> WordAlignment:
    """Link each source word to the target words that it reaches through the pivot, by target."""
    sources = defaultdict[int, list[int]](list)
    for source, between in first:
        sources[between].append(source)
    found = {(source, target) for between, target in second for source in sources.get(between, ())}
    return tuple(sorted(found, key=lambda link: (link[1], link[0])))


def two_steps(directions: Iterable[Direction]) -> dict[Direction, tuple[Direction, Direction]]:
    """Find each new direction that two of these make in sequence, with the first such pair."""
    known = dict.fromkeys(directions)
    by_source = defaultdict[str, list[Direction]](list)
    for direction in known:
        by_source[direction.source].append(direction)
    pivoted: dict[Direction, tuple[Direction, Direction]] = {}
    for first in known:
        for second in by_source.get(first.target, ()):
            direction = Direction(first.source, second.target)
            if direction.source != direction.target and direction not in known:
                pivoted.setdefault(direction, (first, second))
    return pivoted


def one_step_option(options: TranslateOptions) -> str | None:
    """Name the option that cannot be used with pivot translation, if there is one."""
    if options.glossary:
        return "a glossary"
    return "a minimum confidence" if options.min_confidence else None
