"""The models that `translate` uses: chosen by its options, loaded once these are checked."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from seq2seq.config.model_config import Combination
from seq2seq.translation.base import AUTO, BaseTranslator, TranslateOptions

if TYPE_CHECKING:
    from seq2seq.config.model_config import Direction
    from seq2seq.text.glossary import Glossary
    from seq2seq.translation.router import Router
    from seq2seq.translation.translator import Translator


@dataclass(frozen=True)
class ModelChoice:
    """The model directories, several for an ensemble, and how to run them."""

    folders: Sequence[Path] | None  # None for the bundled models
    combination: Combination
    threads: int
    memory: Path | None  # a translation memory
    least_similarity: float  # of matches to use, from 0 to 1
    report_timing: bool

    def directions(self) -> "dict[Path, tuple[Direction, ...]]":
        """Return the directions of each model."""
        return _directions(self.folders)

    @contextmanager
    def opened(self, options: TranslateOptions) -> "Iterator[tuple[Router, BaseTranslator]]":
        """Load the models; yield their router, and a translator that looks in the memory first.

        Without a memory, both are the same. Raises `UsageError` if the options do not fit the
        models. At the end of the block it prints the timing if `report_timing` is set.
        """
        started = time.perf_counter()
        if not self.report_timing:
            router = _load_router(self.folders, self.combination, self.threads)
            router.stream((), options)
            yield router, self._with_memory(router, router, options)
            return
        from seq2seq.cli.timing import TimedRouter

        timed = TimedRouter(_ensemble(self.folders, self.combination, self.threads), self.threads)
        timed.stream((), options)
        loading, timed.seconds = time.perf_counter() - started, 0.0
        yield timed, self._with_memory(timed, timed, options)
        typer.echo(f"translate: {timed.report(loading)}.", err=True)

    @contextmanager
    def on_processes(self, options: TranslateOptions) -> Iterator[BaseTranslator]:
        """Yield a translator that runs as many processes as `threads` allows."""
        from seq2seq.translation.parallel import ParallelTranslator

        load = partial(_load_router, self.folders, self.combination, 1)
        with ParallelTranslator(load, self.threads) as translator:
            yield self._with_memory(translator, load() if self.memory else None, options)

    def _with_memory(
        self, translator: BaseTranslator, router: "Router | None", options: TranslateOptions
    ) -> BaseTranslator:
        """Return a translator that looks in the memory first; `router` gives the languages."""
        if self.memory is None or router is None:
            return translator
        languages = router.languages_of(options)
        return with_memory(translator, self.memory, *languages, self.least_similarity)


def glossary_of(
    file: Path | None, folders: Sequence[Path] | None, source: str | None, target: str | None
) -> "Glossary | None":
    """Load a glossary in the given languages, or in the default languages of the models."""
    if file is None:
        return None
    from seq2seq.documents.glossary_file import has_languages, load_glossary

    if not has_languages(file):
        return load_glossary(file)
    from seq2seq.config.model_config import choose_direction

    source = None if source and source.lower() == AUTO else source
    known = [*chain.from_iterable(_directions(folders).values())]
    direction = choose_direction(known, source, target)
    return load_glossary(file, direction.source, direction.target)


def with_memory(
    translator: BaseTranslator,
    memory: Path,
    source: str | None,
    target: str,
    least_similarity: float,
) -> BaseTranslator:
    """Return a translator that looks in a memory first, in these languages.

    Matches count from `least_similarity` on, from 0 to 1.
    """
    from seq2seq.documents.bilingual import read_pairs
    from seq2seq.translation.translation_memory import MemoryTranslator, TranslationMemory

    pairs = TranslationMemory(read_pairs(memory, source, target), source or "", target)
    return MemoryTranslator(translator, pairs, least_similarity)


def _load_router(
    folders: Sequence[Path] | None, combination: Combination, threads: int
) -> "Router":
    from seq2seq.translation.router import Router

    return Router(_ensemble(folders, combination, threads), threads)


def _ensemble(
    folders: Sequence[Path] | None, combination: Combination, threads: int
) -> "list[Translator] | None":
    from seq2seq.translation.translator import Translator

    return [Translator(folders, threads, ensemble=combination)] if folders else None


def _directions(folders: Sequence[Path] | None) -> "dict[Path, tuple[Direction, ...]]":
    from seq2seq.bundled import bundled_models
    from seq2seq.model_dir.read import read_config

    return {folder: read_config(folder).directions for folder in folders or bundled_models()}
