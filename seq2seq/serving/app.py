"""Answer each path: read the request, ask the service, write the answer as HTTP.

Starlette offers all that is needed of a framework: routes, requests, responses, CORS and files, in
two packages with AnyIO.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from seq2seq.documents.formats import FORMATS
from seq2seq.serving.batching import BatchSettings
from seq2seq.serving.file_store import MOST_AT_ONCE, FileStore, attachment
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
from seq2seq.serving.openapi import description
from seq2seq.serving.request import (
    language_name,
    read_explain_request,
    read_fields,
    read_file_fields,
    read_file_request,
    read_suggestion,
    read_texts,
    read_translate_request,
)
from seq2seq.serving.service import Service
from seq2seq.serving.suggestions import Suggestions
from seq2seq.serving.telemetry import CONTENT_TYPE, Metrics
from seq2seq.serving.translator_processes import TranslatorProcesses
from seq2seq.translation.base import AUTO
from seq2seq.translation.router import Identifier, Router

_SUFFIXES = [
    *dict.fromkeys(
        Path(suffix).suffix or suffix  # ".xml" for "strings.xml"
        for form in FORMATS
        for suffix in form.suffixes
    )
]
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
    suggestions: Suggestions | None = None


def create_app(
    router: Router,
    identifier: Identifier | None,
    settings: Settings,
    processes: TranslatorProcesses | None = None,
) -> ASGIApp:
    """Return the application, for any ASGI server.

    Without `identifier`, no language is detected. With `processes`, these translate, and `router`
    only says what is available; otherwise threads of this process translate.
    """
    metrics = Metrics()
    service = Service(
        router,
        identifier,
        settings.limits,
        settings.batches,
        metrics,
        settings.protect_patterns,
        processes,
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
        self._suggestions = settings.suggestions
        self._files = FileStore()
        self._files_now = 0  # files that are being translated

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
            Route("/openapi.json", self._openapi),
            Route("/docs", self._api_page),
            Route("/translate_file", self._translate_file, methods=["POST"]),
            Route("/download_file/{name}", self._download_file),
            Route("/suggest", self._suggest, methods=["POST"]),
            Route("/explain", self._explain, methods=["POST"]),
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

    async def _translate_file(self, request: Request) -> Response:
        if not self._limits.file_bytes:
            raise RefusedError(403, "Files translation are disabled on this server.")
        if self._files_now >= MOST_AT_ONCE:
            raise RefusedError(503, "Too many files are translated, try again later", retry_after=5)
        self._files_now += 1
        try:
            fields = await read_file_fields(request, self._limits)
            self._api_keys.check(request, fields.get("api_key"))
            wanted = read_file_request(fields, self._limits)
            data = await self._in_time(request, self._service.translate_file(wanted))
        finally:
            self._files_now -= 1
        key = self._files.put(wanted.name, data)
        return _Json({"translatedFileUrl": f"{request.base_url}download_file/{quote(key)}"})

    async def _download_file(self, request: Request) -> Response:
        key = request.path_params["name"]
        data = self._files.get(key)
        if data is None:
            raise RefusedError(404, "There is no such file, or no longer")
        return attachment(key, data)

    async def _suggest(self, request: Request) -> Response:
        if self._suggestions is None:
            raise RefusedError(403, "Suggestions are disabled on this server.")
        fields = await read_fields(request, self._limits)
        self._api_keys.check(request, fields.get("api_key"))
        given = read_suggestion(fields, self._limits)
        for language in (given.source, given.target):
            if language not in self._service.languages:
                raise RefusedError(400, f"{language} is not supported")
        await to_thread.run_sync(
            self._suggestions.add, given.text, given.translation, given.source, given.target
        )
        return _Json({"success": True})

    async def _explain(self, request: Request) -> Response:
        fields = await read_fields(request, self._limits)
        self._api_keys.check(request, fields.get("api_key"))
        wanted = read_explain_request(fields, self._limits)
        explained = await self._in_time(request, self._service.explain(wanted))
        return _Json({"sentences": explained.sentences, "page": explained.page})

    async def _openapi(self, request: Request) -> Response:
        return _Json(description())

    async def _in_time(self, request: Request, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Return the result of `work`; cancel it at the time limit, or if the client leaves."""
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
                "filesTranslation": bool(self._limits.file_bytes),
                "frontendTimeout": 300,  # ms from the last key until the page translates
                "keyRequired": bool(self._api_keys),
                "language": {
                    "source": {"code": AUTO, "name": "Auto Detect"}
                    if detects
                    else _language(source),
                    "target": _language(target),
                },
                "suggestions": self._suggestions is not None,
                "supportedFilesFormat": _SUFFIXES if self._limits.file_bytes else [],
            }
        )

    async def _health(self, request: Request) -> Response:
        return _Json({"status": "ok"})

    async def _scrape(self, request: Request) -> Response:
        self._api_keys.check_bearer(request)
        return Response(self._metrics.render(), media_type=CONTENT_TYPE)

    async def _page(self, request: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def _api_page(self, request: Request) -> Response:
        return FileResponse(PAGE / "api.html")


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _language(code: str) -> dict[str, str]:
    return {"code": code, "name": language_name(code)}


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
