"""Translate in several processes, each of which loads the models and gets a few lines at a time.

Threads could share the models, but between calls of ONNX Runtime the search is Python, which
runs one thread at a time. A text has the same translation, to the last bit, in any process.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from types import TracebackType
from typing import Self

from seq2seq.config.model_config import Direction, SearchConfig
from seq2seq.process_pool import ProcessPool, cores
from seq2seq.translation.base import BaseTranslator, TranslateOptions
from seq2seq.translation.result import Translation

_FEW = 2000  # texts that one process translates before others could have loaded their models
_PART = 512  # texts: enough to find some of similar length

_loaded: BaseTranslator | None = None  # in a worker process


class ParallelTranslator(BaseTranslator):
    """Translates many texts in several processes; for a few texts it starts none.

    from functools import partial
    from seq2seq import ParallelTranslator, Router

    with ParallelTranslator(partial(Router, threads=1), processes=2) as translator:
        for translation in translator.translate_lines(open("rows.txt")):
            print(translation.text)

    The processes start at the first call with many texts, and end with the block. A script needs
    the usual `if __name__ == "__main__":`, since each process imports it.
    """

    def __init__(self, load: Callable[[], BaseTranslator], processes: int = 0) -> None:
        """Set up the number of processes and `load`, a picklable function that loads a translator.

        `processes` 0: one per core.
        """
        self._processes = processes or cores()
        self._here = load()
        self._pool = ProcessPool(self._processes, _load, load)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """See `BaseTranslator.directions`."""
        return self._here.directions

    @property
    def direction(self) -> Direction:
        """See `BaseTranslator.direction`."""
        return self._here.direction

    @property
    def search(self) -> SearchConfig:
        """See `BaseTranslator.search`."""
        return self._here.search

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; a later call starts new ones."""
        self._pool.close()

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """See `BaseTranslator.stream`."""
        self._here.stream((), options)  # raises if the options do not fit
        return self._stream(iter(lines), options)

    def _stream(self, lines: Iterator[str], options: TranslateOptions) -> Iterator[Translation]:
        first: list[str] = []
        failure: Exception | None = None
        try:
            first.extend(islice(lines, _FEW))
        except Exception as error:  # raised below, after the translations of the texts before it
            failure = error
        if self._processes == 1 or len(first) < _FEW:
            yield from self._here.stream(first if failure else chain(first, lines), options)
        else:
            # `on_part` reports parts of a text; processes return whole texts.
            parts = _parts(chain(first, lines), replace(options, on_part=None))
            for translations in self._pool.map(_translate, parts):
                yield from translations
        if failure:
            raise failure


def _parts(
    lines: Iterator[str], options: TranslateOptions
) -> Iterator[tuple[list[str], TranslateOptions]]:
    """Yield a few lines at a time. If `lines` raises, the lines before it are yielded first."""
    failure: Exception | None = None
    while not failure:
        part: list[str] = []
        try:
            part.extend(islice(lines, _PART))
        except Exception as error:
            failure = error
        if part:
            yield part, options
        elif not failure:
            return
    raise failure


def _load(load: Callable[[], BaseTranslator]) -> None:
    global _loaded
    _loaded = load()


def _translate(texts: list[str], options: TranslateOptions) -> list[Translation]:
    assert _loaded is not None
    return [*_loaded.stream(texts, options)]
