"""Measure how long loading and translation take, for `translate --report-timing`."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from seq2seq.translation.base import TranslateOptions
from seq2seq.translation.result import Translation
from seq2seq.translation.router import Router


class TimedRouter(Router):
    """A router that counts its translations, and the seconds that it spends on them."""

    texts = 0
    subwords = 0  # in the translations, EOS included
    seconds = 0.0

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """Translate as `Router.stream` does, and count."""
        started = time.perf_counter()
        translations = super().stream(lines, replace(options, keep_parts=True))
        self.seconds += time.perf_counter() - started
        return self._counted(translations)

    def _counted(self, translations: Iterator[Translation]) -> Iterator[Translation]:
        started = time.perf_counter()
        for translation in translations:
            self.seconds += time.perf_counter() - started
            self.texts += 1
            self.subwords += sum(
                len(part.hypothesis.ids) + 1 for part in translation.parts if part.hypothesis
            )
            yield translation
            started = time.perf_counter()
        self.seconds += time.perf_counter() - started

    def report(self, loading: float) -> str:
        """Return the figures on one line; `loading` is the time to load the models, in seconds."""
        seconds = max(self.seconds, 1e-9)
        counts, speeds = f"{self.texts:,} text", f"{self.texts / seconds:,.1f} texts/s"
        counts += "s" * (self.texts != 1)
        if self.subwords:  # pivot translation does not report them
            counts += f", {self.subwords:,} subwords"
            speeds += f", {self.subwords / seconds:,.0f} subwords/s"
        return f"loaded in {loading:.2f} s; {counts} in {self.seconds:.2f} s: {speeds}"
