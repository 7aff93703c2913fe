"""From what is asked for to the answer: languages, documents, batches.

`Service` knows nothing of HTTP. What it raises is a `RefusedError`.
"""

import asyncio
import dataclasses
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from anyio import to_thread

from seq2seq.config.model_config import Direction
from seq2seq.identification import LEFT_AS_UNKNOWN, source_of
from seq2seq.serving.batching import AbandonedError, Batcher, BatchSettings
from seq2seq.serving.documents import Document, HtmlDocument, TextDocument
from seq2seq.serving.middleware import Limits, RefusedError
from seq2seq.serving.schema import TranslateRequest, language_name
from seq2seq.serving.telemetry import Metrics
from seq2seq.translation.base import AUTO, BaseTranslator, TranslateOptions
from seq2seq.translation.pivot import PivotTranslator
from seq2seq.translation.result import Translation
from seq2seq.translation.router import Identifier, Router

_IDENTIFIED = 2_000  # characters that a language is found by
_LEAST = 0.01  # a language less likely than that is not told
_TAG = re.compile(r"<[^<>]*>")

WordAlignment = list[tuple[int, int]]


@dataclass(frozen=True)
class Detection:
    """A language, and how sure that is, in percent."""

    language: str
    confidence: float
    is_known: bool = True
    """Whether the text is to be taken for that language, see `source_of`."""

    def to_json(self) -> dict[str, Any]:
        """As LibreTranslate writes it."""
        return {"confidence": self.confidence, "language": self.language}


@dataclass(frozen=True)
class _Key:
    """What texts that are translated together have in common."""

    direction: Direction
    n_best: int
    alignment: bool  # which takes a tenth longer


@dataclass(frozen=True)
class _Answer:
    """A document and what became of it."""

    text: str
    alternatives: list[str] = field(default_factory=list)
    alignment: WordAlignment = field(default_factory=list)
    confidence: float | None = None
    notes: list[str] = field(default_factory=list)


class Service:
    """A router, and perhaps an identifier, that many requests share."""

    def __init__(
        self,
        router: Router,
        identifier: Identifier | None,
        limits: Limits,
        batches: BatchSettings,
        metrics: Metrics,
        protect_patterns: tuple[re.Pattern[str], ...] = (),
    ) -> None:
        self._protect_patterns = protect_patterns
        self._router = router
        self.directions = (*router.directions, *router.pivot_directions)
        self.identifier = identifier
        self._limits = limits
        self._metrics = metrics
        self._batcher = Batcher(self._work, batches, limits.waiting, metrics.batch_texts.observe)
        self._detecting = Batcher(self._identify, batches, limits.waiting)
        metrics.watch_waiting(lambda: self._batcher.waiting + self._detecting.waiting)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With its workers at work."""
        async with self._detecting.running(), self._batcher.running():
            yield

    @property
    def languages(self) -> list[str]:
        """All languages that it reads or writes, in the order of its directions."""
        return [*self._router.languages]

    def targets(self, source: str) -> list[str]:
        """The languages that it translates `source` into."""
        return [way.target for way in self.directions if way.source == source]

    async def translate(self, ask: TranslateRequest) -> dict[str, Any]:
        """The answer as LibreTranslate gives it, and what else was asked for."""
        ask = dataclasses.replace(
            ask, source=self._router.known(ask.source), target=self._router.known(ask.target)
        )
        documents = await to_thread.run_sync(_divide, ask, abandon_on_cancel=True)
        detections = await self._sources(ask, documents)
        directions = [
            Direction(one.language, ask.target) if one.is_known else None for one in detections
        ]
        for direction in dict.fromkeys(directions):
            if direction is not None:
                self._check(direction)
        answers = await self._translate(documents, directions, ask)
        self._metrics.characters.inc(sum(map(len, ask.texts)))
        found: dict[str, list[Any]] = {"translatedText": [one.text for one in answers]}
        if ask.source == AUTO:
            found["detectedLanguage"] = [one.to_json() for one in detections]
        if ask.alternatives:
            found["alternatives"] = [one.alternatives for one in answers]
        if ask.alignment and not ask.is_html:
            found["alignment"] = [one.alignment for one in answers]
        if ask.confidence:
            found["confidence"] = [one.confidence for one in answers]
        if ask.notes:
            found["notes"] = [one.notes for one in answers]
        return found if ask.is_list else {name: values[0] for name, values in found.items()}

    async def detect(self, texts: Sequence[str]) -> list[list[Detection]]:
        """For each text the languages that it may be in, the likeliest first."""
        return [
            [
                Detection(language, _percent(probability))
                for rank, (language, probability) in enumerate(guesses)
                if rank == 0 or probability >= _LEAST
            ]
            for guesses in await self._guesses(texts)
        ]

    async def _guesses(self, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        """What the identifier says of each text; raises `RefusedError` where there is none."""
        if self.identifier is None:
            raise RefusedError(501, "Language detection is not available on this server")
        return await self._detecting.run(None, [text[:_IDENTIFIED] for text in texts])

    async def _sources(
        self, ask: TranslateRequest, documents: Sequence[Document]
    ) -> list[Detection]:
        """What language each document is taken for."""
        if ask.source != AUTO:
            return [Detection(ask.source, 100.0)] * len(documents)
        known = self._router.sources(ask.target)
        if not known:
            raise RefusedError(400, f"{ask.target} is not supported")
        guesses = await self._guesses(
            await to_thread.run_sync(_identified, documents, abandon_on_cancel=True)
        )
        return [_detection(own, (*known, ask.target)) for own in guesses]

    def _check(self, direction: Direction) -> None:
        """Raises `RefusedError` where there is no such direction."""
        if direction in self.directions:
            return
        for language in (direction.source, direction.target):
            if language not in self.languages:
                raise RefusedError(400, f"{language} is not supported")
        if direction.source == direction.target:
            return
        source, target = (
            f"{language_name(one)} ({one})" for one in (direction.source, direction.target)
        )
        raise RefusedError(400, f"{target} is not available as a target language from {source}")

    async def _translate(
        self,
        documents: Sequence[Document],
        directions: Sequence[Direction | None],
        ask: TranslateRequest,
    ) -> list[_Answer]:
        texts = defaultdict[Direction, list[str]](list)
        for document, direction in zip(documents, directions, strict=True):
            if direction is not None and direction in self.directions:
                texts[direction] += document.texts
        # All texts of a direction together, so that a request waits as one.
        keys = [
            _Key(
                one,
                min(1 + ask.alternatives, self._route(one).search.beam_size),
                ask.alignment,
            )
            for one in texts
        ]
        found = await asyncio.gather(
            *(self._batcher.run(key, texts[key.direction]) for key in keys)
        )
        coming = dict(zip(texts, map(iter, found), strict=True))
        return await to_thread.run_sync(
            self._answers, documents, directions, coming, ask, abandon_on_cancel=True
        )

    def _answers(
        self,
        documents: Sequence[Document],
        directions: Sequence[Direction | None],
        coming: Mapping[Direction, Iterator[Translation]],
        ask: TranslateRequest,
    ) -> list[_Answer]:
        return [
            _left_as_it_is(document, direction)
            if direction is None or direction not in coming
            else _answer(
                document,
                [*islice(coming[direction], len(document.texts))],
                ask,
                self._steps(direction),
            )
            for document, direction in zip(documents, directions, strict=True)
        ]

    def _route(self, direction: Direction) -> BaseTranslator:
        return self._router.route(direction.source, direction.target)

    def _steps(self, direction: Direction) -> list[str]:
        """Note the pivot, where there is one."""
        route = self._route(direction)
        return [f"translated through {route.pivot!r}"] if isinstance(route, PivotTranslator) else []

    def _identify(
        self, key: None, texts: Sequence[str], is_wanted: Callable[[], bool]
    ) -> list[list[tuple[str, float]]]:
        assert self.identifier
        return self.identifier.identify_batch(texts)

    def _work(
        self, key: _Key, texts: Sequence[str], is_wanted: Callable[[], bool]
    ) -> list[Translation]:
        def go_on(_: str) -> None:
            if not is_wanted():
                raise AbandonedError

        found: list[Translation] = []
        options = TranslateOptions(
            n_best=key.n_best,
            unit="sentence",
            protect_patterns=self._protect_patterns,
            keep_parts=key.alignment,
            on_part=go_on,
        )
        for translation in self._route(key.direction).stream(texts, options):
            found.append(translation)
            go_on("")
        self._metrics.texts.inc(len(found))
        return found


def _percent(probability: float) -> float:
    return round(100 * probability, 1)


def _detection(guesses: Sequence[tuple[str, float]], known: Sequence[str]) -> Detection:
    """What a text is taken for; where that is unknown, the likeliest, with what it has."""
    source = source_of(guesses, known)
    language = source or guesses[0][0]
    return Detection(language, _percent(dict(guesses)[language]), source is not None)


def _left_as_it_is(document: Document, direction: Direction | None) -> _Answer:
    """The answer for a text that is in the target already, or in an unknown language: `None`."""
    has_letters = any(map(str.isalpha, "".join(document.texts)))
    notes = [LEFT_AS_UNKNOWN] if direction is None and has_letters else []
    return _Answer(document.render(document.texts), notes=notes)


def _identified(documents: Sequence[Document]) -> list[str]:
    """What the language of each is found by."""
    return [_TAG.sub("", "\n".join(one.texts)) for one in documents]


def _divide(ask: TranslateRequest) -> list[Document]:
    return [HtmlDocument(text) if ask.is_html else TextDocument(text) for text in ask.texts]


def _answer(
    document: Document,
    translations: Sequence[Translation],
    ask: TranslateRequest,
    notes: Sequence[str],
) -> _Answer:
    ranks = max((len(one.candidates) for one in translations), default=1)
    rendered = [
        document.render([_candidate(one, rank) for one in translations]) for rank in range(ranks)
    ]
    best, *others = dict.fromkeys(rendered)
    return _Answer(
        best,
        others,
        _alignment(translations) if ask.alignment else [],
        _confidence(translations) if ask.confidence else None,
        [*dict.fromkeys((*notes, *(note for one in translations for note in one.notes)))],
    )


def _candidate(translation: Translation, rank: int) -> str:
    """Number `rank`, or the last one."""
    return translation.candidates[min(rank, len(translation.candidates) - 1)].text


def _alignment(translations: Iterable[Translation]) -> WordAlignment:
    """Between the words of whole documents: all before a text count."""
    links: WordAlignment = []
    source, target = 0, 0
    for one in translations:
        links += [(source + left, target + right) for left, right in one.alignment]
        source += len(one.source.split())
        target += len(one.text.split())
    return links


def _confidence(translations: Sequence[Translation]) -> float | None:
    """The mean by length of the texts that have one."""
    known = [one for one in translations if one.confidence is not None]
    length = sum(len(one.source) for one in known)
    if not length:
        return None
    return round(sum((one.confidence or 0.0) * len(one.source) for one in known) / length, 3)
