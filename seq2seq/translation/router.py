"""Choose the model for a text, by the languages that are asked for or identified.

The first model trained for a direction is used. If there is none, the text goes through a third
language in two steps (pivot translation). If that is impossible too, a model that knows both
languages tries.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from seq2seq.bundled import bundled_models
from seq2seq.config.model_config import Direction, SearchConfig, choose_direction, known_language
from seq2seq.errors import UsageError
from seq2seq.model_dir.read import read_config
from seq2seq.translation.base import AUTO, BaseTranslator, TranslateOptions
from seq2seq.translation.pivot import (
    DirectedTranslator,
    PivotTranslator,
    one_step_option,
    two_steps,
)
from seq2seq.translation.result import Translation
from seq2seq.translation.translator import Translator

if TYPE_CHECKING:
    import logging

_READ_AHEAD = 512  # lines: enough to find some of similar length in each language


class Identifier(Protocol):
    """The method that a `Router` needs of a `seq2seq.LanguageIdentifier`."""

    def identify_batch(self, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        """Return languages and their probabilities for each text, most probable first."""


class Router(BaseTranslator):
    """Combines several models, and translates in every direction that they reach together.

    from seq2seq import Router

    router = Router(source="auto", target="fr")
    for translation in router.translate(["Wo ist der Bahnhof?", "Good morning!"]):
        print(translation.text)

    With the source language "auto", the language of each text is identified. A text that is already
    in the target language, or in a language that cannot be translated, is left as it is, with a
    note. The logger "seq2seq" is told once of each direction that takes a pivot or an untrained
    model.
    """

    def __init__(
        self,
        models: Iterable[str | Path | BaseTranslator] | None = None,
        threads: int = 0,
        *,
        source: str | None = None,
        target: str | None = None,
        identifier: Identifier | None = None,
    ) -> None:
        """Load models. The bundled ones, which are the default, are loaded when first needed.

        `source` and `target` are the languages of calls that name none, `threads` is the number of
        CPU threads of each model (0: one per core), and `identifier` identifies the language of a
        text instead of the bundled `LanguageIdentifier`.
        """
        self._models: list[Path | BaseTranslator] = [
            *(
                bundled_models()
                if models is None
                else (
                    Translator(model, threads) if isinstance(model, str | Path) else model
                    for model in models
                )
            )
        ]
        self._threads = threads
        self._source, self._target = source, target
        self._identifier = identifier
        self._routes: dict[tuple[str | None, str | None], BaseTranslator] = {}
        self._explained: set[Direction] = set()

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions that at least one model was trained for, in the order of the models."""
        return tuple(
            dict.fromkeys(
                direction
                for number, _ in enumerate(self._models)
                for direction in self._directions(number)
            )
        )

    @property
    def pivot_directions(self) -> tuple[Direction, ...]:
        """The directions that need two models in sequence."""
        return tuple(two_steps(self.directions))

    @property
    def languages(self) -> tuple[str, ...]:
        """All languages that can be read or written, in the order of the directions."""
        directions = self.directions
        codes = (code for known in directions for code in (known.source, known.target))
        return tuple(dict.fromkeys(codes))

    @property
    def direction(self) -> Direction:
        """The direction of a call that names no languages; with "auto" that of the first model."""
        return self._default_route(TranslateOptions()).direction

    @property
    def search(self) -> SearchConfig:
        """The search settings of the model for `direction`."""
        return self._default_route(TranslateOptions()).search

    def known(self, language: str) -> str:
        """Return a language code as the models write it, such as "en" for "EN" or "en-GB"."""
        return known_language(language, (AUTO, *self.languages))

    def sources(self, target: str | None, with_pivot: bool = True) -> list[str]:
        """List the languages that can be translated into `target`, or, if None, into any."""
        directions = [known for known in self.directions if known.fits(None, target)]
        if with_pivot and target is not None:
            directions += [known for known in self.pivot_directions if known.target == target]
        return [*dict.fromkeys(direction.source for direction in directions)]

    def route(self, source: str | None = None, target: str | None = None) -> BaseTranslator:
        """Return the translator for a direction: a model, or a `PivotTranslator` of two.

        If only one language is given, it decides the other one. Raises `UsageError`, which lists
        the directions, if there is no translator.
        """
        translator = self._route(source, target)
        self._explain(translator)
        return translator

    def languages_of(self, options: TranslateOptions) -> tuple[str | None, str]:
        """Return source and target language of a call; the source is None if it is identified."""
        source, target = self._languages(options)
        if source == AUTO:
            return None, target or self.direction.target
        direction = self.route(source, target).direction
        return direction.source, direction.target

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """See `BaseTranslator.stream`."""
        source, target = self._languages(options)
        default = self._default_route(options)
        if source != AUTO:
            translations = default.stream(lines, options)
            self._explain(default)
            return translations
        default.stream((), options)  # raises if the options do not fit
        if target is None and len(self._models) > 1:
            target = default.direction.target  # one target for texts in any language
        return self._stream_identified(lines, options, target, default.direction.target)

    def _languages(self, options: TranslateOptions) -> tuple[str | None, str | None]:
        source, target = options.source or self._source, options.target or self._target
        return AUTO if source and source.lower() == AUTO else source, target

    def _default_route(self, options: TranslateOptions) -> BaseTranslator:
        source, target = self._languages(options)
        return self._route(None if source == AUTO else source, target)

    def _stream_identified(
        self,
        lines: Iterable[str],
        options: TranslateOptions,
        target: str | None,
        target_found: str,  # `target`, or the first direction's target if that is None
    ) -> Iterator[Translation]:
        """Translate each line from its own language, in order."""
        from seq2seq.identification import LanguageIdentifier, source_of

        target = target and self.known(target)
        refused = one_step_option(options)
        sources = self.sources(target, with_pivot=not refused)
        pivoted = {*self.sources(target)} - {*sources}
        if self._identifier is None:
            self._identifier = LanguageIdentifier.load()
        for batch in _read_ahead(lines):
            guesses = (self._identifier.identify_batch([line])[0] for line in batch)
            languages = [source_of(guess, {*sources, target_found}) for guess in guesses]
            by_language = defaultdict[str | None, list[str]](list)
            for language, line in zip(languages, batch, strict=True):
                by_language[language].append(line)
            translations: dict[str | None, Iterator[Translation]] = {}
            for language, texts in by_language.items():
                if language in sources:
                    translations[language] = self.route(language, target).stream(texts, options)
                else:
                    reason = _why_left(language, refused if language in pivoted else None)
                    translations[language] = _leave(
                        texts, None if language == target_found else reason
                    )
            yield from (next(translations[language]) for language in languages)

    def _route(self, source: str | None, target: str | None) -> BaseTranslator:
        languages = source, target
        if languages not in self._routes:
            self._routes[languages] = self._find(source, target)
        return self._routes[languages]

    def _explain(self, translator: BaseTranslator) -> None:
        """Log once per direction that a text takes a pivot or an untrained model."""
        direction = translator.direction
        if direction in self._explained:
            return
        self._explained.add(direction)
        if isinstance(translator, PivotTranslator):
            pivot = translator.pivot
            _logger().info(f"{direction} goes through {pivot}, since no model was trained for it.")
        elif isinstance(translator, DirectedTranslator) and not translator.is_trained:
            _logger().warning(
                f"the model was not trained for {direction}, and may answer in another language."
            )

    def _find(self, source: str | None, target: str | None) -> BaseTranslator:
        trained = self._trained(source, target)
        if trained is None:
            source, target = (code and self.known(code) for code in (source, target))
            trained = self._trained(source, target)
        if trained is not None:
            return trained
        pivoted = two_steps(self.directions)
        if source is not None and target is not None and Direction(source, target) in pivoted:
            steps = pivoted[Direction(source, target)]
            first, second = (self._trained(step.source, step.target) for step in steps)
            assert first is not None
            assert second is not None
            return PivotTranslator(first, second)
        return self._untrained(source, target)

    def _trained(self, source: str | None, target: str | None) -> DirectedTranslator | None:
        """Find the first model trained for these languages, reading no more models than needed."""
        for number, _ in enumerate(self._models):
            for direction in self._directions(number):
                if direction.fits(source, target):
                    return DirectedTranslator(self._model(number), direction)
        return None

    def _untrained(self, source: str | None, target: str | None) -> DirectedTranslator:
        """Find the first model that knows both languages, trained for the direction or not."""
        for number, _ in enumerate(self._models):
            with suppress(UsageError):
                direction = choose_direction(self._directions(number), source, target)
                return DirectedTranslator(self._model(number), direction)
        # Raises unless one model reads the source language and another one writes the target.
        choose_direction([*self.directions, *self.pivot_directions], source, target)
        raise UsageError(
            f"no model knows both {source!r} and {target!r}, and no third language leads from one "
            f"to the other; the models know {', '.join(map(str, self.directions))}."
        )

    def _directions(self, number: int) -> Sequence[Direction]:
        model = self._models[number]
        return _directions_of(model) if isinstance(model, Path) else model.directions

    def _model(self, number: int) -> BaseTranslator:
        model = self._models[number]
        if isinstance(model, Path):
            model = self._models[number] = Translator(model, self._threads)
        return model


@cache
def _directions_of(model: Path) -> tuple[Direction, ...]:
    return read_config(model).directions


def _why_left(language: str | None, refused: str | None) -> str:
    from seq2seq.identification import LEFT_AS_UNKNOWN

    if language is None:
        return LEFT_AS_UNKNOWN
    reason = f"left as it is: it is in {language!r}"
    return f"{reason}, and {refused} cannot be used with pivot translation" if refused else reason


def _leave(texts: Iterable[str], note: str | None) -> Iterator[Translation]:
    for text in texts:
        has_letters = any(map(str.isalpha, text))
        yield Translation.unchanged(text, *([note] if note and has_letters else []))


def _read_ahead(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield a few lines at a time. If `lines` raises, the lines before it are yielded first."""
    coming = iter(lines)
    failure: Exception | None = None
    while not failure:
        batch: list[str] = []
        try:
            batch.extend(islice(coming, _READ_AHEAD))
        except Exception as error:
            failure = error
        if not (batch or failure):
            return
        yield batch
    raise failure


def _logger() -> "logging.Logger":
    import logging  # takes some milliseconds, and most calls have nothing to say

    return logging.getLogger("seq2seq")
