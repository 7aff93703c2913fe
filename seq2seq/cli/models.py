"""The models that `translate` is to use: loaded when all options are known to be right."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from seq2seq.config.model_config import Combination
from seq2seq.translation.base import BaseTranslator, TranslateOptions

if TYPE_CHECKING:
    from seq2seq.config.model_config import Direction
    from seq2seq.translation.router import Router
    from seq2seq.translation.translator import Translator


@dataclass(frozen=True)
class ModelChoice:
    """Model directories, an ensemble where there are several, and how they run."""

    folders: Sequence[Path] | None  # None: the bundled models
    combination: Combination
    threads: int
    memory: Path | None  # a translation memory
    least_similarity: float  # of its matches that are taken
    report_timing: bool

    def directions(self) -> "dict[Path, tuple[Direction, ...]]":
        """Return the directions of each model."""
        from seq2seq.bundled import bundled_models
        from seq2seq.model_dir.read import read_config

        folders = self.folders or bundled_models()
        return {folder: read_config(folder).directions for folder in folders}

    @contextmanager
    def opened(self, options: TranslateOptions) -> "Iterator[tuple[Router, BaseTranslator]]":
        """Load the models; yield them, and the translator that asks the memory first, if any.

        Raises `UsageError` where the options do not fit. Says at the end of the block how long it
        took, where that is to be reported.
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
        """Yield a translator that runs a process for each thread that may be used."""
        from seq2seq.translation.parallel import ParallelTranslator

        load = partial(_load_router, self.folders, self.combination, 1)
        with ParallelTranslator(load, self.threads) as translator:
            yield self._with_memory(translator, load() if self.memory else None, options)

    def _with_memory(
        self, translator: BaseTranslator, router: "Router | None", options: TranslateOptions
    ) -> BaseTranslator:
        """Let a translator take from the memory what is there; `router` knows the languages."""
        if self.memory is None or router is None:
            return translator
        languages = router.languages_of(options)
        return with_memory(translator, self.memory, *languages, self.least_similarity)


def with_memory(
    translator: BaseTranslator,
    memory: Path,
    source: str | None,
    target: str,
    least_similarity: float,
) -> BaseTranslator:
    """Let a translator take matches from this similarity on from a memory in these languages."""
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
