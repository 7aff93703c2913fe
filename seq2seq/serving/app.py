"""Answer each path: read the request, ask the service, write the answer as HTTP.

Starlette is all that is needed of a framework: routes, requests, responses, CORS and files, in two
packages with AnyIO.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from seq2seq.serving.batching import BatchSettings
from seq2seq.serving.middleware import (
    CLIENT_CLOSED,
    JSON,
    AllowedHosts,
    ApiKeys,
    Limits,
    Monitor,
    RefusedError,
    log_line,
    phrase,
)
from seq2seq.serving.request import language_name, read_fields, read_texts, read_translate_request
from seq2seq.serving.service import Service
from seq2seq.serving.telemetry import CONTENT_TYPE, Metrics
from seq2seq.translation.base import AUTO
from seq2seq.translation.router import Identifier, Router

PAGE = Path(__file__).parent / "page"

_Result = TypeVar("_Result")


class _Json(JSONResponse):
    media_type = JSON


@dataclass(frozen=True)
class Settings:
    """The settings of a server."""

    limits: Limits = field(default_factory=Limits)
    batches: BatchSettings = field(default_factory=BatchSettings)
    api_keys: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = None  # allowed besides localhost; None: any
    log: Callable[[str], object] = log_line
    protect_patterns: tuple[re.Pattern[str], ...] = ()  # spans that are not translated


def create_app(router: Router, identifier: Identifier | None, settings: Settings) -> ASGIApp:
    """Return the application, for any ASGI server. Without `identifier` it detects no language."""
    metrics = Metrics()
    service = Service(
        router,
        identifier,
        settings.limits,
        settings.batches,
        metrics,
        settings.protect_patterns,
    )
    routes = _Routes(service, metrics, settings).routes()

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        async with service.running():
            yield

    cross_origin = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
    )
    app = Starlette(
        routes=routes,
        middleware=[
            *([] if settings.hosts is None else [Middleware(AllowedHosts, names=settings.hosts)]),
            *([cross_origin] if settings.cors_origins else []),
        ],
        exception_handlers={
            RefusedError: _refused,
            HTTPException: _not_found,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
        lifespan=running,
    )
    app.router.redirect_slashes = False  # it would redirect to the host that the client names
    # Around everything, so that a failure is counted too, and answered with the same headers.
    paths = [route.path for route in routes if isinstance(route, Route)]
    return Monitor(app, metrics, paths, settings.log)


class _Routes:
    """The handlers of all paths."""

    def __init__(self, service: Service, metrics: Metrics, settings: Settings) -> None:
        self._service = service
        self._metrics = metrics
        self._limits = settings.limits
        self._api_keys = ApiKeys(settings.api_keys)

    def routes(self) -> list[BaseRoute]:
        """Return each path with its handler."""
        return [
            Route("/", self._page),
            Mount("/page", StaticFiles(directory=PAGE)),
            Route("/translate", self._translate, methods=["POST"]),
            Route("/detect", self._detect, methods=["POST"]),
            Route("/languages", self._languages),
            Route("/frontend/settings", self._frontend_settings),
            Route("/health", self._health),
            Route("/metrics", self._scrape),
            Route("/translate_file", _no_files, methods=["POST"]),
            Route("/suggest", _no_suggestions, methods=["POST"]),
        ]

    async def _translate(self, request: Request) -> Response:
        fields = await read_fields(request, self._limits)
        self._api_keys.check(request, fields.get("api_key"))
        wanted = read_translate_request(fields, self._limits)
        return _Json(await self._in_time(request, self._service.translate(wanted)))

    async def _detect(self, request: Request) -> Response:
        fields = await read_fields(request, self._limits)
        self._api_keys.check(request, fields.get("api_key"))
        text = "\n".join(read_texts(fields, self._limits))
        [detections] = await self._in_time(request, self._service.detect([text]))
        return _Json([detection.to_json() for detection in detections])

    async def _in_time(self, request: Request, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Return the result of `work`; stop it after the time limit, or when the client is gone."""
        task = asyncio.create_task(work)
        gone = asyncio.create_task(_until_gone(request))
        try:
            await asyncio.wait(
                (task, gone),
                timeout=self._limits.translate_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if task.done():
                return task.result()
            if gone.done():
                raise ClientDisconnect
            limit = self._limits.translate_seconds
            raise RefusedError(
                503, f"The translation took more than {limit:g} seconds", retry_after=5
            )
        finally:
            task.cancel()
            gone.cancel()

    async def _languages(self, request: Request) -> Response:
        return _Json(
            [
                {**_language(code), "targets": self._service.targets(code)}
                for code in self._service.languages
            ]
        )

    async def _frontend_settings(self, request: Request) -> Response:
        detects = self._service.identifier is not None
        source = self._service.languages[0]
        target = self._service.targets(source)[0]
        return _Json(
            {
                "apiKeys": bool(self._api_keys),
                "charLimit": self._limits.characters,
                "filesTranslation": False,
                "frontendTimeout": 300,  # ms after the last key, until a page translates
                "keyRequired": bool(self._api_keys),
                "language": {
                    "source": {"code": AUTO, "name": "Auto Detect"}
                    if detects
                    else _language(source),
                    "target": _language(target),
                },
                "suggestions": False,
                "supportedFilesFormat": [],
            }
        )

    async def _health(self, request: Request) -> Response:
        return _Json({"status": "ok"})

    async def _scrape(self, request: Request) -> Response:
        self._api_keys.check_bearer(request)
        return Response(self._metrics.render(), media_type=CONTENT_TYPE)

    async def _page(self, request: Request) -> Response:
        return FileResponse(PAGE / "index.html")


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _language(code: str) -> dict[str, str]:
    return {"code": code, "name": language_name(code)}


async def _no_files(request: Request) -> Response:
    return _error(403, "Files translation are disabled on this server.")


async def _no_suggestions(request: Request) -> Response:
    return _error(403, "Suggestions are disabled on this server.")


def _error(status: int, message: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    return _Json({"error": message}, status, dict(headers))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    headers = {}
    if error.retry_after:
        headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.REQUEST_TIMEOUT:
        headers["Connection"] = "close"  # or the server would wait for the rest of the body
    return _error(error.status, error.message, headers.items())


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, phrase(error.status_code), (error.headers or {}).items())


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED)


async def _failed(request: Request, error: Exception) -> Response:
    return _error(500, "Cannot translate text: the server made a mistake")
