"""Which translator a text is for: by the languages that were asked for, or that it is in."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from seq2seq.errors import UsageError

if TYPE_CHECKING:
    from seq2seq.config.model_config import Direction
    from seq2seq.identification import LanguageIdentifier
    from seq2seq.translation.pivot import PivotTranslator
    from seq2seq.translation.result import Translation
    from seq2seq.translation.translator import Translator

    EitherTranslator = Translator | PivotTranslator
    Translate = Callable[[EitherTranslator, Iterable[str]], Iterator[Translation]]

AUTO = "auto"
"""The language of a text that is to be found out."""

_READ_AHEAD = 512  # lines: enough to find some of like length in each language


def as_known(language: str | None, model: Path | None) -> str | None:
    """`language` as the model has it, or those that come with the package: see `known_language`."""
    if language is None:
        return None
    from seq2seq.bundled import bundled_models
    from seq2seq.config.model_config import known_language
    from seq2seq.model_dir.read import read_config

    folders = bundled_models() if model is None else [model]
    ways = [way for folder in folders for way in read_config(folder).directions]
    return known_language(
        language, [AUTO, *(code for way in ways for code in (way.source, way.target))]
    )


def models_for(
    given: Path | None,
    source: str | None,
    target: str | None,
    load: Callable[[Path], "Translator"],
) -> list["Translator"]:
    """The model that was given, or that was trained for these languages.

    Where there is none, or the source is yet to be found out, all that come with the package and
    may be of use.
    """
    if given is not None:
        return [load(given)]
    from seq2seq.bundled import DEFAULT_MODEL, bundled_models
    from seq2seq.model_dir.read import read_config

    known_source = None if source == AUTO else source
    directions = {one: read_config(one).directions for one in bundled_models()}
    fitting = [
        one
        for one, trained in directions.items()
        if any(way.fits(known_source, target) for way in trained)
    ]
    if source is None and target is None:
        folder = DEFAULT_MODEL
    elif fitting:
        folder = fitting[0]
    else:
        folder = max(directions, key=lambda one: len(directions[one]))
    translator = load(folder)
    if source != AUTO and _is_trained(translator, source, target):
        return [translator]
    return [
        translator if one == folder else load(one)
        for one in bundled_models()
        if any(way.source != target for way in read_config(one).directions)
    ]


def _is_trained(translator: "Translator", source: str | None, target: str | None) -> bool:
    return any(way.fits(source, target) for way in translator.directions)


class Translators:
    """A translator for each language that the text may be in."""

    def __init__(
        self,
        models: Sequence["Translator"],
        source: str | None,
        target: str | None,
        one_step_option: str | None,  # that was given, and cannot hold through two steps
        quiet: bool,
    ) -> None:
        self._models = models
        self._is_auto = source == AUTO
        self._source = None if self._is_auto else source
        if self._is_auto and target is None and len(models) > 1:
            target = models[0].direction.target  # one language, from whatever the text is in
        self._target, self._one_step_option = target, one_step_option
        self._trained = {way: None for model in models for way in model.directions}
        self._sources = {way.source for way in self._trained if way.fits(None, target)}
        self._pivoted = self._in_two_steps() if self._is_auto else set()
        self._told: set[Direction] = set()
        self._quiet = quiet
        self.usual = self._between(self._source)
        self._translated = self._sources | (set() if one_step_option else self._pivoted)
        self._tell(self.usual)

    @property
    def trained(self) -> "list[Direction]":
        """What the models were trained for."""
        return [*self._trained]

    def into(self, target: str) -> "EitherTranslator":
        """The one into another language than `usual`, from the language that was given if any.

        Raises `UsageError` where there is none.
        """
        from seq2seq.translation.pivot import translator_between

        source = None if self._source == target else self._source
        translator = translator_between(self._models, source, target)
        self._tell(translator)
        return translator

    def share_out(self, texts: Iterable[str], translate: "Translate") -> "Iterator[Translation]":
        """Translations in order, each by the translator of its language.

        What is in another language stays as it is; where that is not the target, a note says so.
        """
        if not self._is_auto:
            yield from translate(self.usual, texts)
            return
        from seq2seq.identification import LanguageIdentifier

        identifier = LanguageIdentifier.load()
        for some in _read_ahead(texts):
            by_language = defaultdict[str | None, list[str]](list)
            languages = [self._language(identifier, text) for text in some]
            for language, text in zip(languages, some, strict=True):
                by_language[language].append(text)
            coming = {
                language: self._translations(language, own, translate)
                for language, own in by_language.items()
            }
            yield from (next(coming[language]) for language in languages)

    def _translations(
        self, language: str | None, texts: Iterable[str], translate: "Translate"
    ) -> "Iterator[Translation]":
        if language in self._translated:
            translator = self._between(language)
            self._tell(translator)
            return translate(translator, texts)
        from seq2seq.identification import LEFT_AS_UNKNOWN
        from seq2seq.translation.result import Translation

        left = f"left as it is: it is in {language!r}" if language else LEFT_AS_UNKNOWN
        if language in self._pivoted:
            left += f", and {self._one_step_option} does not hold through two steps"
        is_asked_for = language == self.usual.direction.target
        return (
            Translation.unchanged(
                text, *([left] if any(map(str.isalpha, text)) and not is_asked_for else [])
            )
            for text in texts
        )

    def _language(self, identifier: "LanguageIdentifier", text: str) -> str | None:
        """The language that `text` is taken for, or None where it is in none that is known."""
        from seq2seq.identification import source_of

        return source_of(
            identifier.identify(text), self._translated | {self.usual.direction.target}
        )

    def _between(self, source: str | None) -> "EitherTranslator":
        if len(self._models) == 1 and _is_trained(self._models[0], source, self._target):
            return self._models[0].between(source, self._target)
        from seq2seq.translation.pivot import translator_between

        return translator_between(self._models, source, self._target)

    def _in_two_steps(self) -> set[str]:
        """The languages that only two steps lead from."""
        from seq2seq.translation.pivot import two_steps

        return {way.source for way in two_steps(self._trained) if way.target == self._target}

    def _tell(self, translator: "EitherTranslator") -> None:
        """Say once how a text is translated that no model was trained for.

        Raises `UsageError` where that does not go with the options.
        """
        way = translator.direction
        if way in self._trained or way in self._told:
            return
        from seq2seq.translation.pivot import PivotTranslator

        ways = f"from {way.source!r} into {way.target!r}"
        note = f"the model was not trained {ways}, and may answer in another language."
        if isinstance(translator, PivotTranslator):
            if self._one_step_option:
                raise UsageError(
                    f"{self._one_step_option} does not hold through two steps, and {ways} the text "
                    f"goes by way of {translator.pivot!r}; leave it out, or translate into "
                    f"{translator.pivot!r} first."
                )
            note = f"{ways} by way of {translator.pivot!r}, since no model was trained for that."
        self._told.add(way)
        if not self._quiet:
            typer.echo(f"translate: {note}", err=True)


def _read_ahead(texts: Iterable[str]) -> Iterator[list[str]]:
    """Some at a time. Where `texts` fails, those before come first."""
    coming = iter(texts)
    failure: Exception | None = None
    while not failure:
        some: list[str] = []
        try:
            some.extend(islice(coming, _READ_AHEAD))
        except Exception as error:
            failure = error
        if not (some or failure):
            return
        yield some
    raise failure
