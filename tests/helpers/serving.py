"""A fake translator and identifier, and ways to reach a server that has them.

`client` asks the application in this process, without a server; `live_server` listens on a port.
"""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from starlette.testclient import TestClient

from seq2seq.config.model_config import Direction, SearchConfig
from seq2seq.serving.app import Settings, create_app
from seq2seq.serving.server import make_server, open_socket, serve
from seq2seq.text.blocks import Unit
from seq2seq.translation.base import BaseTranslator, TranslateOptions
from seq2seq.translation.result import Candidate, SegmentTranslation, Translation
from seq2seq.translation.router import Identifier, Router

_TAG = re.compile(r"(<[^<>]*>)")


def shout(text: str) -> str:
    """Upper case, all but tags."""
    parts = _TAG.split(text)
    return "".join(part if n % 2 else part.upper() for n, part in enumerate(parts))


class FakeTranslator(BaseTranslator):
    """Translates by `shout`, and notes every number. Word n comes from word n."""

    search = SearchConfig(beam_size=3)
    directions: tuple[Direction, ...] = (Direction("en", "de"), Direction("de", "en"))
    direction: Direction = directions[0]

    def __init__(self, *directions: Direction) -> None:
        if directions:
            self.directions = directions
            self.direction = directions[0]
        self.gate = threading.Event()  # nothing is translated before it is set
        self.gate.set()
        self.calls: list[tuple[Direction, int, Unit, list[str]]] = []

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """Fails at "crash"."""
        texts = [*lines]
        direction = Direction(options.source or "", options.target or "")
        self.calls.append((direction, options.n_best, options.unit, texts))
        assert self.gate.wait(60)
        if "crash" in texts:
            raise RuntimeError("crash")
        return (_translation(text, options.n_best, options.keep_parts) for text in texts)


def _translation(text: str, n_best: int, keep_parts: bool) -> Translation:
    links = tuple((n, n) for n in range(len(text.split())))
    bare = text.rstrip()
    texts = [shout(bare) + "!" * rank + text[len(bare) :] for rank in range(n_best)]
    parts = [
        (SegmentTranslation(text, (), output, None, "", links),) if keep_parts else ()
        for output in texts
    ]
    notes = tuple(f"the number {word} is in it" for word in text.split() if word.isdecimal())
    candidates = [
        Candidate(output, -1.0, 0.75, notes, kept)
        for output, kept in zip(texts, parts, strict=True)
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
        others = [code for code in ("en", "de", "fr") if code != language]
        return [(language, 0.9), (others[0], 0.096), (others[1], 0.004)]


@contextmanager
def live_server(
    settings: Settings,
    translator: BaseTranslator | None = None,
    identifier: Identifier | None = None,
) -> Iterator[str]:
    """Run a server in a thread, and yield its URL."""
    app = create_app(
        Router([translator or FakeTranslator()]), identifier or FakeIdentifier(), settings
    )
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


PATHS = ("/detect", "/translate")

TIMEOUT = 60  # seconds: only so that what waits for ever is a failure


@contextmanager
def client(
    settings: Settings | None = None,
    translator: FakeTranslator | None = None,
    identifier: FakeIdentifier | None = None,
    log: list[str] | None = None,
) -> Iterator[TestClient]:
    used = settings or Settings(log=(log if log is not None else []).append)
    app = create_app(Router([translator or FakeTranslator()]), identifier or FakeIdentifier(), used)
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


def post_json(opened: TestClient, path: str, **fields: Any) -> Any:
    """Return the response; `source` and `target` have a default. The JSON is ASCII."""
    body = json.dumps({"source": "en", "target": "de", **fields})
    return opened.post(path, content=body, headers={"Content-Type": "application/json"})


def ask(**fields: Any) -> Any:
    """Return the answer to a request in JSON."""
    with client() as opened:
        response = post_json(opened, "/translate", **fields)
    assert response.status_code == 200, response.text
    return response.json()


def refused(status: int, settings: Settings | None = None, **fields: Any) -> str:
    """Return the error of such a request."""
    with client(settings) as opened:
        response = post_json(opened, "/translate", **fields)
    assert response.status_code == status
    assert [*response.json()] == ["error"]
    return str(response.json()["error"])


def waiting_requests(opened: TestClient) -> int:
    found = re.search(r"^seq2seq_waiting_requests (\d+)\.0$", opened.get("/metrics").text, re.M)
    assert found
    return int(found[1])


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


HEAD = b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def with_body(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=TIMEOUT)


def read_all(opened: socket.socket) -> bytes:
    """All until the other side closes."""
    parts = []
    try:
        while part := opened.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)
