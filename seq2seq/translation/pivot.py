"""By way of a third language, where no model was trained from one language into another.

The second translator reads what the first one wrote and nothing else: a mistake of the first stays,
and numbers are checked from step to step.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, Self, TypeVar

from seq2seq.config.model_config import Direction, SearchConfig, choose_direction
from seq2seq.errors import UsageError
from seq2seq.text.alignment import WordAlignment
from seq2seq.text.blocks import Unit
from seq2seq.translation.base import BaseTranslator, TranslateOptions
from seq2seq.translation.result import Candidate, Part, Translation


class Step(Protocol):
    """What is needed of a `seq2seq.Translator` to be one of two in a row."""

    @property
    def search(self) -> SearchConfig:
        """How it searches."""

    @property
    def direction(self) -> Direction:
        """From which language into which."""

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """See `BaseTranslator.stream`."""


class AnyTranslator(Step, Protocol):
    """What is needed of a `seq2seq.Translator` to be chosen among others."""

    @property
    def directions(self) -> tuple[Direction, ...]:
        """What it was trained for, one at least."""

    def between(self, source: str | None = None, target: str | None = None) -> Self:
        """The same from and into these languages."""


T = TypeVar("T", bound=AnyTranslator)


class PivotTranslator(BaseTranslator):
    """Two translators in a row: `first` into the language that `second` reads.

    It translates as a `seq2seq.Translator` does, by the settings of the two; but a glossary and a
    least confidence hold for the languages of one step alone, and are refused. A score is the sum
    of both scores. There is no confidence: what one step was calibrated on is not what two do.
    """

    def __init__(self, first: Step, second: Step) -> None:
        if first.direction.target != second.direction.source:
            raise ValueError(f"{second.direction} does not begin where {first.direction} ends")
        self.first, self.second = first, second
        self.direction = Direction(first.direction.source, second.direction.target)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Its one direction."""
        return (self.direction,)

    @property
    def pivot(self) -> str:
        """The language in between."""
        return self.first.direction.target

    @property
    def search(self) -> SearchConfig:
        """How the second one searches, whose candidates are given back."""
        return self.second.search

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """See `BaseTranslator.stream`.

        Only the best translation of the first step is passed on; `n_best` applies to the second.
        With `keep_parts` a text is one part, with an alignment that is composed through the pivot.
        `on_part` is called with the translated share of the source, and with "" while the first
        step is running, so that it can end either step by raising.

        Raises `UsageError` where a glossary or a least confidence is given.
        """
        if options.glossary or options.min_confidence:
            raise UsageError(
                "a glossary and a least confidence do not hold through two steps, and from "
                f"{self.direction.source!r} into {self.direction.target!r} the text goes by way "
                f"of {self.pivot!r}."
            )
        options = replace(options, source=None, target=None)
        on_part = options.on_part
        halfway = deque[_Halfway]()  # that the second step has read, or is to read next

        def texts() -> Iterator[str]:
            for translation in coming:
                one = _Halfway.of(translation, self.pivot)
                halfway.append(one)
                yield one.text

        def go_on(part: str) -> None:
            if on_part:
                on_part("")

        def tell(part: str) -> None:
            if on_part:
                on_part(halfway[0].told(part))

        coming = self.first.stream(
            lines, replace(options, n_best=1, on_part=go_on if on_part else None)
        )
        # Lines that the first step joined stay so.
        unit: Unit = "line" if options.unit == "line" else "sentence"
        found = self.second.stream(
            texts(), replace(options, unit=unit, on_part=tell if on_part else None)
        )
        return (halfway.popleft().joined(translation, options.keep_parts) for translation in found)


@dataclass(eq=False)
class _Halfway:
    """What the first step has found, as far as it is needed: its parts would take much memory."""

    source: str
    pivot: str  # the language of `text`
    text: str
    score: float
    notes: tuple[str, ...]
    links: WordAlignment
    done: int = 0  # characters of `text`
    counted: int = 0  # characters of `source`

    @classmethod
    def of(cls, found: Translation, pivot: str) -> Self:
        notes = tuple(f"into {pivot!r}: {note}" for note in found.notes)
        return cls(found.source, pivot, found.text, found.score, notes, found.alignment)

    def told(self, part: str) -> str:
        """The share of the source that this part of the text stands for."""
        self.done += len(part)
        end = self.done * len(self.source) // (len(self.text) or 1)
        share = self.source[self.counted : end]
        self.counted = end
        return share

    def joined(self, found: Translation, keep_parts: bool) -> Translation:
        candidates = (self._candidate(one, keep_parts) for one in found.candidates)
        return Translation(self.source, tuple(candidates))

    def _candidate(self, one: Candidate, keep_part: bool) -> Candidate:
        parts: tuple[Part, ...] = ()
        if keep_part:
            links = composed_links(self.links, one.alignment)
            parts = (Part(self.source, (), one.text, None, "", links),)
        notes = (*self.notes, *(f"from {self.pivot!r}: {note}" for note in one.notes))
        return Candidate(one.text, self.score + one.score, None, notes, parts)


def composed_links(first: WordAlignment, second: WordAlignment) -> WordAlignment:
    """Each word with those that it comes to by way of a word in between, by target, each once."""
    sources = defaultdict[int, list[int]](list)
    for source, between in first:
        sources[between].append(source)
    found = {(source, target) for between, target in second for source in sources.get(between, ())}
    return tuple(sorted(found, key=lambda link: (link[1], link[0])))


def two_steps(directions: Iterable[Direction]) -> dict[Direction, tuple[Direction, Direction]]:
    """The directions that are none of these, but two of them in a row; of several the first two."""
    known = dict.fromkeys(directions)
    onward = defaultdict[str, list[Direction]](list)
    for one in known:
        onward[one.source].append(one)
    found: dict[Direction, tuple[Direction, Direction]] = {}
    for first in known:
        for second in onward.get(first.target, ()):
            way = Direction(first.source, second.target)
            if way.source != way.target and way not in known:
                found.setdefault(way, (first, second))
    return found


def translator_between(
    models: Sequence[T], source: str | None = None, target: str | None = None
) -> T | PivotTranslator:
    """What translates best from and into these languages; what is not given it finds itself.

    The first model that was trained for that. Else two steps by way of a third language, perhaps
    of two models. Else the first model that knows both languages, which may try: see
    `Translator.between`. Raises `UsageError`, which lists the directions, where there is none.
    """
    trained = _trained(models, source, target)
    if trained is not None:
        return trained
    known = [*dict.fromkeys(way for model in models for way in model.directions)]
    if source is not None and target is not None:
        steps = two_steps(known).get(Direction(source, target))
        if steps:
            first, second = (_trained(models, one.source, one.target) for one in steps)
            assert first is not None
            assert second is not None
            return PivotTranslator(first, second)
    for model in models:
        with suppress(UsageError):
            return model.between(source, target)
    # Raises, unless one model reads the first language and another one writes the second.
    choose_direction([*known, *two_steps(known)], source, target)
    raise UsageError(
        f"no model knows both {source!r} and {target!r}, and no third language leads from one to "
        f"the other; the models know {', '.join(map(str, known))}."
    )


def _trained(models: Iterable[T], source: str | None, target: str | None) -> T | None:
    for model in models:
        for way in model.directions:
            if way.fits(source, target):
                return model.between(way.source, way.target)
    return None
