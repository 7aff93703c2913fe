"""Answer requests: identify languages, split documents, translate in batches.

`Service` is independent of HTTP. Its errors are `RefusedError`.
"""

import asyncio
import dataclasses
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from anyio import to_thread

from seq2seq.config.model_config import Direction
from seq2seq.documents.document import Document
from seq2seq.documents.formats import format_of, open_document
from seq2seq.documents.html_fragment import HtmlFragment
from seq2seq.documents.plain_text import TextDocument
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.identification import LEFT_AS_UNKNOWN, source_of
from seq2seq.inspection.loading import InspectedModel, open_model
from seq2seq.inspection.sentence_steps import sentence_steps
from seq2seq.serving.batching import Batcher, BatchSettings
from seq2seq.serving.file_store import safe_name
from seq2seq.serving.middleware import Limits, RefusedError
from seq2seq.serving.request import (
    ExplainRequest,
    FileRequest,
    TranslateRequest,
    check_size,
    language_name,
)
from seq2seq.serving.response import Answer, Detection, translate_response
from seq2seq.serving.telemetry import Metrics
from seq2seq.serving.translator_processes import TranslatorProcesses, translate_batch
from seq2seq.text.sentences import sentences
from seq2seq.translation.base import AUTO, BaseTranslator, TranslateOptions
from seq2seq.translation.pivot import DirectedTranslator, PivotTranslator
from seq2seq.translation.result import Translation
from seq2seq.translation.router import Identifier, Router
from seq2seq.translation.translate_document import texts_to_translate, unit_translations
from seq2seq.translation.translator import Translator

_IDENTIFIED = 2_000  # characters of a text that are used to identify its language
_SAMPLE = 100  # texts of a document that are used to identify its language
_LEAST = 0.01  # probability of a language below which it is not reported
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True)
class _Key:
    """What the texts of a batch must have in common."""

    direction: Direction
    n_best: int
    alignment: bool  # makes a batch take a tenth longer


@dataclass(frozen=True)
class Explained:
    """A page that steps through the translation of one sentence, and all sentences of the text."""

    sentences: list[str]
    page: str


class Service:
    """Translates and identifies languages for many requests at the same time."""

    def __init__(
        self,
        router: Router,
        identifier: Identifier | None,
        limits: Limits,
        batches: BatchSettings,
        metrics: Metrics,
        protect_patterns: tuple[re.Pattern[str], ...] = (),
        processes: TranslatorProcesses | None = None,
    ) -> None:
        """Take a router for all languages, and processes that translate, or None for threads."""
        self._processes = processes
        self._translate_batch = (
            processes.translate if processes else partial(translate_batch, router)
        )
        self._workers = batches.workers
        self._protect_patterns = protect_patterns
        self._characters = limits.characters
        self._router = router
        self.directions = (*router.directions, *router.pivot_directions)
        self.identifier = identifier
        self._metrics = metrics
        self._batcher = Batcher(self._work, batches, limits.waiting, metrics.batch_texts.observe)
        self._opened: dict[Path, InspectedModel] = {}  # for `explain`, loaded when needed
        self._explaining = asyncio.Lock()  # one explanation at a time: people look at them
        self._detecting = Batcher(self._identify, batches, limits.waiting)
        metrics.watch_waiting(lambda: self._batcher.waiting + self._detecting.waiting)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start the workers, and stop them at the end."""
        if self._processes:
            self._processes.start(self._workers)
        try:
            async with self._detecting.running(), self._batcher.running():
                yield
        finally:
            if self._processes:
                self._processes.close()

    @property
    def languages(self) -> list[str]:
        """Return all languages that can be read or written, in the order of the directions."""
        return [*self._router.languages]

    def targets(self, source: str) -> list[str]:
        """Return the languages into which `source` can be translated."""
        return [direction.target for direction in self.directions if direction.source == source]

    async def translate(self, request: TranslateRequest) -> dict[str, Any]:
        """Return the response with LibreTranslate's fields and our additional ones."""
        request = dataclasses.replace(
            request,
            source=self._router.known(request.source),
            target=self._router.known(request.target),
        )
        documents = await to_thread.run_sync(_divide, request, abandon_on_cancel=True)
        detections = await self._sources(request, documents)
        directions = [
            Direction(detection.language, request.target) if detection.is_sure else None
            for detection in detections
        ]
        for direction in dict.fromkeys(directions):
            if direction is not None:
                self._check(direction)
        answers = await self._translate(documents, directions, request)
        self._metrics.characters.inc(sum(map(len, request.texts)))
        return translate_response(request, answers, detections)

    async def translate_file(self, request: FileRequest) -> bytes:
        """Return a document in the target language; raise `RefusedError` if it is not valid."""
        target = self._router.known(request.target)
        source = None if request.source == AUTO else self._router.known(request.source)
        document = await self._read(request, source, target)
        if source is None:
            texts = "\n".join(islice(texts_to_translate(document), _SAMPLE))
            if not texts:
                return request.data
            [guesses] = await self._guesses([_TAG.sub("", texts)[:_IDENTIFIED]])
            source = source_of(guesses, (*self._router.sources(target), target))
            if source is None:
                raise RefusedError(400, "The language of the file is not known; give its source")
            if source == target:
                return request.data
            document = await self._read(request, source, target)
        direction = Direction(source, target)
        self._check(direction)
        if direction not in self.directions:  # from a language to itself
            return request.data
        limited = texts_to_translate(document)
        check_size(sum(map(len, limited)), self._characters)
        plain = [text for text, has_limit in limited.items() if not has_limit]
        short = [text for text, has_limit in limited.items() if has_limit]
        beam = self._route(direction).search.beam_size
        results = await asyncio.gather(
            self._batcher.run(_Key(direction, 1, alignment=False), plain),
            self._batcher.run(_Key(direction, beam, alignment=False), short),
        )
        translations = zip([*plain, *short], chain(*results), strict=True)
        candidates = {text: translation.candidates for text, translation in translations}
        self._metrics.characters.inc(sum(map(len, limited)))

        def render() -> bytes:
            return document.render(unit_translations(document, candidates))

        return await to_thread.run_sync(render, abandon_on_cancel=True)

    async def _read(self, request: FileRequest, source: str | None, target: str) -> Document:
        """Read a document; raise `RefusedError` if it is not valid or its format not known."""

        def read() -> Document:
            try:
                form = format_of(Path(safe_name(request.name)))
            except UsageError:
                raise RefusedError(400, "Invalid request: file format not supported") from None
            try:
                return open_document(request.data, form, source, target)
            except Seq2SeqError as error:
                reason = str(error).removesuffix(".")
                raise RefusedError(400, f"Invalid request: the file {reason}") from None

        return await to_thread.run_sync(read, abandon_on_cancel=True)

    async def detect(self, texts: Sequence[str]) -> list[list[Detection]]:
        """Return for each text the languages it may be in, the most probable first."""
        return [
            [
                Detection(language, _percent(probability))
                for rank, (language, probability) in enumerate(guesses)
                if rank == 0 or probability >= _LEAST
            ]
            for guesses in await self._guesses(texts)
        ]

    async def explain(self, request: ExplainRequest) -> Explained:
        """Step through one sentence of a text; raise `RefusedError` if that is not possible."""
        target = self._router.known(request.target)
        source = self._router.known(request.source)
        if source == AUTO:
            [guesses] = await self._guesses([request.text])
            source = _detection(guesses, (*self._router.sources(target), target)).language
        direction = Direction(source, target)
        self._check(direction)
        parts = [part.text.strip() for part in sentences(request.text, source)]
        parts = [part for part in parts if part]
        if not 1 <= request.sentence <= len(parts):
            raise RefusedError(400, f"There is no sentence {request.sentence}")
        folder = self._folder(direction)

        def steps() -> str:
            if folder not in self._opened:
                self._opened[folder] = open_model(folder)
            sentence = parts[request.sentence - 1]
            try:
                return sentence_steps(self._opened[folder], sentence, direction).page()
            except UsageError as error:
                message = str(error).removesuffix(".")
                raise RefusedError(400, f"Invalid request: {message}") from None

        async with self._explaining:
            return Explained(parts, await to_thread.run_sync(steps, abandon_on_cancel=True))

    def _folder(self, direction: Direction) -> Path:
        """Return the model directory for a direction; raise `RefusedError` if there is not one."""
        if direction not in self.directions:  # from a language to itself
            raise RefusedError(400, "This text is not translated")
        route = self._route(direction)
        if isinstance(route, PivotTranslator):
            pivot = language_name(route.pivot)
            raise RefusedError(
                400, f"This is translated in two steps, through {pivot}; look at each of them"
            )
        model = route.translator if isinstance(route, DirectedTranslator) else route
        if not isinstance(model, Translator) or len(model.folders) != 1:
            raise RefusedError(501, "There is no single model to look into")
        return model.folders[0]

    async def _guesses(self, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        """Return the identifier's guesses for each text; raise `RefusedError` if there is none."""
        if self.identifier is None:
            raise RefusedError(501, "Language detection is not available on this server")
        return await self._detecting.run(None, [text[:_IDENTIFIED] for text in texts])

    async def _sources(
        self, request: TranslateRequest, documents: Sequence[HtmlFragment | TextDocument]
    ) -> list[Detection]:
        """Return the source language of each document."""
        if request.source != AUTO:
            return [Detection(request.source, 100.0)] * len(documents)
        sources = self._router.sources(request.target)
        if not sources:
            raise RefusedError(400, f"{request.target} is not supported")
        texts = await to_thread.run_sync(_texts_to_identify, documents, abandon_on_cancel=True)
        return [
            _detection(guesses, (*sources, request.target))
            for guesses in await self._guesses(texts)
        ]

    def _check(self, direction: Direction) -> None:
        """Raise `RefusedError` if the direction is not available."""
        if direction in self.directions:
            return
        source, target = direction.source, direction.target
        for language in (source, target):
            if language not in self.languages:
                raise RefusedError(400, f"{language} is not supported")
        if source != target:
            raise RefusedError(
                400,
                f"{language_name(target)} ({target}) is not available as a target language from "
                f"{language_name(source)} ({source})",
            )

    async def _translate(
        self,
        documents: Sequence[HtmlFragment | TextDocument],
        directions: Sequence[Direction | None],
        request: TranslateRequest,
    ) -> list[Answer]:
        """Translate each document in its direction; without a direction, leave it unchanged."""
        # Put all texts of a direction together, so that a request has one place in the queue.
        texts = defaultdict[Direction, list[str]](list)
        for document, direction in zip(documents, directions, strict=True):
            if direction is not None and direction in self.directions:
                texts[direction] += document.texts
        keys = [
            _Key(
                direction,
                min(1 + request.alternatives, self._route(direction).search.beam_size),
                request.alignment,
            )
            for direction in texts
        ]
        results = await asyncio.gather(
            *(self._batcher.run(key, texts[key.direction]) for key in keys)
        )
        translations = dict(zip(texts, map(iter, results), strict=True))
        return await to_thread.run_sync(
            self._answers, documents, directions, translations, request, abandon_on_cancel=True
        )

    def _answers(
        self,
        documents: Sequence[HtmlFragment | TextDocument],
        directions: Sequence[Direction | None],
        translations: Mapping[Direction, Iterator[Translation]],  # of all documents, in order
        request: TranslateRequest,
    ) -> list[Answer]:
        return [
            _unchanged(document, direction)
            if direction is None or direction not in translations
            else Answer.of(
                document,
                [*islice(translations[direction], len(document.texts))],
                request,
                self._pivot_notes(direction),
            )
            for document, direction in zip(documents, directions, strict=True)
        ]

    def _route(self, direction: Direction) -> BaseTranslator:
        return self._router.route(direction.source, direction.target)

    def _pivot_notes(self, direction: Direction) -> list[str]:
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
        options = TranslateOptions(
            n_best=key.n_best,
            unit="sentence",
            protect_patterns=self._protect_patterns,
            keep_parts=key.alignment,
        )
        translations = self._translate_batch(key.direction, texts, options, is_wanted)
        self._metrics.texts.inc(len(translations))
        return translations


def _percent(probability: float) -> float:
    return round(100 * probability, 1)


def _detection(guesses: Sequence[tuple[str, float]], sources: Sequence[str]) -> Detection:
    """Return the source language of a text, or if none is certain, the most probable one."""
    source = source_of(guesses, sources)
    language = source or guesses[0][0]
    return Detection(language, _percent(dict(guesses)[language]), source is not None)


def _texts_to_identify(documents: Sequence[HtmlFragment | TextDocument]) -> list[str]:
    return [_TAG.sub("", "\n".join(document.texts)) for document in documents]


def _divide(request: TranslateRequest) -> list[HtmlFragment | TextDocument]:
    document_type = HtmlFragment if request.is_html else TextDocument
    return [document_type(text) for text in request.texts]


def _unchanged(document: HtmlFragment | TextDocument, direction: Direction | None) -> Answer:
    """Return a text unchanged: it is in the target language, or in an unknown one (None)."""
    has_letters = any(map(str.isalpha, "".join(document.texts)))
    notes = [LEFT_AS_UNKNOWN] if direction is None and has_letters else []
    return Answer(document.render(document.texts), notes=notes)
