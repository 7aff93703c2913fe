"""A translator that shouts, an identifier that knows four words, and a server with both."""

import asyncio
import copy
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from seq2seq.config.model_config import Direction, SearchConfig
from seq2seq.serving.app import Settings, create_app
from seq2seq.serving.server import make_server, open_socket, serve
from seq2seq.serving.service import Identifier
from seq2seq.text.blocks import Unit
from seq2seq.translation.base import BaseTranslator, TranslateOptions
from seq2seq.translation.result import Candidate, Part, Translation

_TAG = re.compile(r"(<[^<>]*>)")


def shout(text: str) -> str:
    """Upper case, all but tags."""
    parts = _TAG.split(text)
    return "".join(part if n % 2 else part.upper() for n, part in enumerate(parts))


class FakeTranslator(BaseTranslator):
    """Translates by `shout`, and notes every number. Word n comes from word n."""

    def __init__(self, *directions: Direction) -> None:
        self.search = SearchConfig(beam_size=3)
        self.directions = directions or (Direction("en", "de"), Direction("de", "en"))
        self.direction = self.directions[0]
        self.gate = threading.Event()  # nothing is translated before it is set
        self.gate.set()
        self.calls: list[tuple[Direction, int, Unit, list[str]]] = []

    def between(self, source: str | None = None, target: str | None = None) -> Self:
        """The same, with the same gate and calls."""
        other = copy.copy(self)
        other.direction = Direction(source or "", target or "")
        return other

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """Fails at "crash"."""
        texts = [*lines]
        self.calls.append((self.direction, options.n_best, options.unit, texts))
        assert self.gate.wait(60)
        if "crash" in texts:
            raise RuntimeError("crash")
        return (_translation(text, options.n_best, options.keep_parts) for text in texts)


def _translation(text: str, n_best: int, keep_parts: bool) -> Translation:
    links = tuple((n, n) for n in range(len(text.split())))
    bare = text.rstrip()
    texts = [shout(bare) + "!" * rank + text[len(bare) :] for rank in range(n_best)]
    parts = [(Part(text, (), one, None, "", links),) if keep_parts else () for one in texts]
    notes = tuple(f"the number {word} is in it" for word in text.split() if word.isdecimal())
    candidates = [
        Candidate(one, -1.0, 0.75, notes, kept) for one, kept in zip(texts, parts, strict=True)
    ]
    return Translation(text, tuple(candidates))


class FakeIdentifier:
    """German has "der", French has "la", "xyzzy" is of none, all else is English."""

    def identify_batch(self, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        """Quite sure."""
        return [self._identify(text.lower().split()) for text in texts]

    def _identify(self, words: Sequence[str]) -> list[tuple[str, float]]:
        if "xyzzy" in words:
            return [("de", 0.2), ("en", 0.1), ("fr", 0.0)]
        language = "de" if "der" in words else "fr" if "la" in words else "en"
        others = [one for one in ("en", "de", "fr") if one != language]
        return [(language, 0.9), (others[0], 0.096), (others[1], 0.004)]


@contextmanager
def live_server(
    settings: Settings,
    translator: FakeTranslator | None = None,
    identifier: Identifier | None = None,
) -> Iterator[str]:
    """A server in a thread, and where it is."""
    app = create_app([translator or FakeTranslator()], identifier or FakeIdentifier(), settings)
    server = make_server(app, settings.limits)
    with open_socket("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=lambda: asyncio.run(serve(server, listening)))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()
