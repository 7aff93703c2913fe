"""What surrounds every request: API keys, headers, counts, and a log without anybody's texts."""

import hmac
import sys
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seq2seq.serving.limits import RefusedError
from seq2seq.serving.schema import Fields
from seq2seq.serving.telemetry import Metrics

CLIENT_CLOSED = 499  # nginx's; nobody reads the answer
JSON = "application/json; charset=utf-8"  # without a charset some clients take it for Latin-1

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ApiKeys:
    """Those that may translate: whoever has one of the keys, or all where there is none."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = [key.encode() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def check(self, request: Request, fields: Fields) -> None:
        """Raises `RefusedError` where the key is missing or wrong.

        It is the field `api_key`, or else in the header `Authorization`.
        """
        if not self._keys:
            return
        field = fields.get("api_key")
        given = field.encode("utf-8", "replace") if isinstance(field, str) else _bearer(request)
        if not (given or field):
            raise RefusedError(400, "Please contact the server operator to get an API key")
        if not self._knows(given):
            raise RefusedError(403, "Invalid API key")

    def check_bearer(self, request: Request) -> None:
        """Raises `RefusedError` where the header `Authorization` has no key."""
        if self._keys and not self._knows(_bearer(request)):
            raise RefusedError(401, "Unauthorized")

    def _knows(self, given: bytes) -> bool:
        # Each is compared, and each in the same time whatever it has in common with the key.
        return sum(hmac.compare_digest(given, key) for key in self._keys) > 0


def _bearer(request: Request) -> bytes:
    """The key in the header `Authorization`, b"" for none."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


class KnownHosts:
    """An application that answers requests to some hosts alone.

    A page of any site can have its own name lead to this machine, and would then reach a server
    that listens here for nobody else (DNS rebinding); but its requests still have that name.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] == "http" and not self._knows(Headers(scope=scope).get("host", "")):
            message = "This server is not known by that name; --allow-host can allow it"
            await JSONResponse({"error": message}, 403, media_type=JSON)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        return name in self._names or name == "localhost" or is_loopback(name)


def is_loopback(address: str) -> bool:
    """Whether it is an address that only this machine reaches."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


class Watched:
    """An application whose answers have headers and are counted and logged.

    A path that is none of `paths` is neither counted nor logged by its name, which may be anything.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, paths: Iterable[str], log: Callable[[str], object]
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = frozenset(paths)
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        # The files are small: they come whole, and no range of them is refused in plain text.
        headers = [one for one in scope["headers"] if one[0] != b"range"]

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
            await self._app({**scope, "headers": headers}, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - began
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.request_seconds.observe(seconds)
            method = scope["method"] if scope["method"] in ("GET", "POST") else "OTHER"
            self._log(f"{method} {path} {status} {1000 * seconds:.0f} ms")


def log_line(line: str) -> None:
    """To stderr, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def phrase(status: int) -> str:
    """What a status means."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
