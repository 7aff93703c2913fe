"""Guard every request: limits, API keys, host names, headers, and a log without texts."""

import asyncio
import hmac
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seq2seq.inspection.sentence_steps import page_hashes
from seq2seq.serving.telemetry import Metrics

CLIENT_CLOSED = 499  # nginx's status; nobody reads the response
JSON = "application/json; charset=utf-8"  # without a charset, some clients assume Latin-1

_SCRIPT, _STYLE = page_hashes()  # of the frame that shows how a sentence was translated

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; "
    f"script-src 'self' {_SCRIPT}; style-src 'self' {_STYLE}; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Limits:
    """The limits of a server. They apply to each request unless the comment says otherwise."""

    characters: int = 50_000  # of all texts together
    texts: int = 1_000  # in a list
    body_bytes: int = 1 << 20
    file_bytes: int = 10 << 20  # of a document; 0: documents are not translated
    read_seconds: float = 10.0  # until the body has arrived
    translate_seconds: float = 30.0
    waiting: int = 128  # requests in the queue, whose texts nobody has begun to translate
    connections: int = 512  # open at the same time


class RefusedError(Exception):
    """A request that is refused, with the HTTP status and one sentence that says why."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after  # seconds


async def read_body(request: Request, limits: Limits, most: int | None = None) -> bytes:
    """Return the body, holding no more of it in memory than allowed; raise `RefusedError`.

    `most` replaces `limits.body_bytes`.
    """
    most = limits.body_bytes if most is None else most
    too_large = RefusedError(413, f"Invalid request: the body exceeds {most} bytes")
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.read_seconds):
            async for chunk in request.stream():  # the announced size may be wrong or missing
                body += chunk
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        message = f"The body did not arrive within {limits.read_seconds:g} seconds"
        raise RefusedError(408, message) from None
    return bytes(body)


class ApiKeys:
    """The keys that clients may translate with. Without keys, everybody may."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = [key.encode() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def check(self, request: Request, api_key: object) -> None:
        """Raise `RefusedError` if the request has no valid key.

        The key is its field `api_key`, or else in the header `Authorization`.
        """
        if not self._keys:
            return
        key = api_key.encode("utf-8", "replace") if isinstance(api_key, str) else _bearer(request)
        if not (key or api_key):
            raise RefusedError(400, "Please contact the server operator to get an API key")
        if not self._is_valid(key):
            raise RefusedError(403, "Invalid API key")

    def check_bearer(self, request: Request) -> None:
        """Raise `RefusedError` if the header `Authorization` has no valid key."""
        if self._keys and not self._is_valid(_bearer(request)):
            raise RefusedError(401, "Unauthorized")

    def _is_valid(self, key: bytes) -> bool:
        # Compare all keys, each in constant time, so that the duration reveals nothing.
        return sum(hmac.compare_digest(key, valid) for valid in self._keys) > 0


def _bearer(request: Request) -> bytes:
    """Return the key in the header `Authorization`, or b""."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


class AllowedHosts:
    """Refuse requests whose header `Host` is neither one of `names` nor this machine.

    A web page can point its own host name at this machine, and so reach a server that listens on
    loopback only (DNS rebinding); but its requests still carry that name.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as an ASGI application."""
        if scope["type"] == "http" and not self._is_allowed(Headers(scope=scope).get("host", "")):
            message = "This server is not known by that name; --allow-host can allow it"
            await JSONResponse({"error": message}, 403, media_type=JSON)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        return name in self._names or name == "localhost" or is_loopback(name)


def is_loopback(address: str) -> bool:
    """Return whether an address can only be reached from this machine."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


class Monitor:
    """Add security headers to every answer, and count and log it.

    A path that is not in `paths` is counted and logged as "other", since it could be anything.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, paths: Iterable[str], log: Callable[[str], object]
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = frozenset(paths)
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        # Ranges are ignored: files are small, and a bad range would be refused in plain text.
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-cache")
                del headers["Accept-Ranges"]
            await send(message)

        began = time.perf_counter()
        try:
            # Requests still running when the server stops are cancelled; uvicorn would log that.
            with suppress(asyncio.CancelledError):
                await self._app({**scope, "headers": headers}, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - began
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.request_seconds.observe(seconds)
            method = scope["method"] if scope["method"] in ("GET", "POST") else "OTHER"
            self._log(f"{method} {path} {status} {1000 * seconds:.0f} ms")


def log_line(line: str) -> None:
    """Write a line to stderr, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def phrase(status: int) -> str:
    """Return the phrase of a status, such as "Not Found"."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
