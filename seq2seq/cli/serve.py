"""`seq2seq serve`: translation over HTTP."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from seq2seq.cli.exit import INTERRUPTED, leave, reported_errors
from seq2seq.cli.options import (
    MemoryFromOption,
    MemoryOption,
    MemorySourceOption,
    MemoryTargetOption,
    ProtectPatternOption,
    ProtectPatternsOption,
    QuietOption,
    least_similarity_of,
    protect_patterns_of,
)
from seq2seq.errors import Seq2SeqError, UsageError, require_extra

if TYPE_CHECKING:
    from seq2seq.translation.router import Identifier, Router

_LONGEST_TIMEOUT = 86_400
_KEY_VARIABLE = "SEQ2SEQ_API_KEY"


@reported_errors("seq2seq")
def serve(
    models: Annotated[
        list[Path] | None,
        typer.Option(
            "-m",
            "--model",
            metavar="FOLDER",
            help="A model made by `seq2seq export`. If several know a direction, the first "
            "is used.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port", min=0, max=65535, help="The port to listen on; 0 for any free port."
        ),
    ] = 5000,
    threads: Annotated[
        int,
        typer.Option(
            "--threads",
            min=0,
            max=1024,
            help="Number of processes that translate, each with its own copy of the models, and as "
            "many again for large requests; 0: one per core. With 1 the server itself translates.",
        ),
    ] = 0,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            "--api-key-file",
            metavar="FILE",
            help=f"Accept only requests with one of the keys in this file, one per line. A key can "
            f"also be given in the environment variable {_KEY_VARIABLE}.",
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            "--cors",
            metavar="ORIGIN",
            help="Allow pages of this origin, such as https://example.org; '*' for all.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="A host name to answer to besides localhost, such as that of a proxy. Without it, "
            "a server that other machines can reach answers to any name.",
        ),
    ] = None,
    max_characters: Annotated[
        int, typer.Option("--max-characters", min=1, help="Characters per request.")
    ] = 50_000,
    max_texts: Annotated[
        int, typer.Option("--max-texts", min=1, help="Texts per request.")
    ] = 1_000,
    max_body: Annotated[
        int, typer.Option("--max-body", min=1, metavar="BYTES", help="Size of a request's body.")
    ] = 1 << 20,
    max_file: Annotated[
        int,
        typer.Option(
            "--max-file", min=0, metavar="BYTES", help="Size of a document; 0: no documents."
        ),
    ] = 10 << 20,
    suggestions: Annotated[
        Path | None,
        typer.Option(
            "--suggestions",
            metavar="FILE",
            help="Append the translations that clients suggest to this file, as TSV.",
        ),
    ] = None,
    memory: MemoryOption = None,
    memory_from: MemoryFromOption = None,
    source_language: MemorySourceOption = None,
    target_language: MemoryTargetOption = None,
    max_waiting: Annotated[
        int,
        typer.Option(
            "--max-waiting",
            min=1,
            help="Requests in the queue for translation, and as many for language identification; "
            "more are refused.",
        ),
    ] = 128,
    max_connections: Annotated[
        int,
        typer.Option(
            "--max-connections", min=1, help="Open connections; requests on more are refused."
        ),
    ] = 512,
    read_timeout: Annotated[
        float,
        typer.Option(
            "--read-timeout",
            min=0.1,
            metavar="SECONDS",
            help="Time for the body of a request to arrive.",
        ),
    ] = 10.0,
    translate_timeout: Annotated[
        float,
        typer.Option(
            "--translate-timeout", min=0.1, metavar="SECONDS", help="Time to translate a request."
        ),
    ] = 30.0,
    batching: Annotated[bool, typer.Option(help="Batch the texts of several requests.")] = True,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=1024, help="Texts per batch.")
    ] = 128,
    protect_pattern: ProtectPatternOption = None,
    protect_patterns: ProtectPatternsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Serve translations over HTTP.

    The API is LibreTranslate's, and there is a web page. The log on stderr contains no texts. On
    SIGTERM and Ctrl-C, pending requests are answered first.
    """
    for module in ("starlette", "uvicorn", "python_multipart", "prometheus_client"):
        require_extra(module, "serve", "serve")
    from seq2seq.process_pool import cores
    from seq2seq.serving.app import Settings, create_app
    from seq2seq.serving.batching import BatchSettings
    from seq2seq.serving.middleware import Limits, is_loopback, log_line
    from seq2seq.serving.server import open_socket, run
    from seq2seq.serving.suggestions import Suggestions
    from seq2seq.serving.translator_processes import TranslatorProcesses

    patterns = protect_patterns_of(protect_pattern, protect_patterns)
    limits = Limits(
        characters=max_characters,
        texts=max_texts,
        body_bytes=max_body,
        file_bytes=max_file,
        read_seconds=read_timeout,
        translate_seconds=translate_timeout,
        waiting=max_waiting,
        connections=max_connections,
    )
    batches = BatchSettings(
        size=batch_size,
        is_shared=batching,
        workers=threads or cores(),
    )
    settings = Settings(
        limits,
        batches,
        _api_keys(api_key_file),
        tuple(map(_origin, cors or ())),
        log=(lambda line: None) if quiet else log_line,
        protect_patterns=patterns,
        suggestions=Suggestions(suggestions) if suggestions else None,
    )
    for name, seconds in (("read", read_timeout), ("translate", translate_timeout)):
        if not seconds <= _LONGEST_TIMEOUT:  # also rejects NaN
            raise UsageError(f"--{name}-timeout is at most {_LONGEST_TIMEOUT:,} seconds.")
    least_similarity = least_similarity_of(memory_from, memory)
    if memory is None and (source_language or target_language):
        raise UsageError("--from and --to are the languages of a translation memory: add --memory.")
    with open_socket(host, port) as listening:
        load: Callable[[], Router] = partial(_router, models)
        if memory is not None:
            languages = source_language, target_language
            load = partial(_router_with_memory, models, memory, least_similarity, *languages)
        router = load()
        processes = TranslatorProcesses(router, load) if batches.workers > 1 else None
        if allow_host or is_loopback(listening.getsockname()[0]):
            settings = replace(settings, hosts=(host, *(allow_host or ())))
        app = create_app(router, _identifier(quiet), settings, processes)
        if not quiet:
            shown = f"[{host}]" if ":" in host else host
            where = f"http://{shown}:{listening.getsockname()[1]}"
            typer.echo(f"{where} is ready. Press Ctrl-C to stop.", err=True)
        try:
            run(app, listening, limits)
        except KeyboardInterrupt:
            leave(INTERRUPTED)
        leave()  # without waiting for threads whose results are no longer needed


def _router(models: Sequence[Path] | None) -> "Router":
    from seq2seq.bundled import bundled_models
    from seq2seq.translation.router import Router

    return Router(models or bundled_models(), threads=1)  # one batch per core, one core per batch


def _router_with_memory(
    models: Sequence[Path] | None,
    memory: Path,
    least_similarity: float,
    source: str | None,
    target: str | None,
) -> "Router":
    """Return a router that looks in the memory first, for texts in the memory's direction."""
    from seq2seq.bundled import bundled_models
    from seq2seq.cli.models import with_memory
    from seq2seq.translation.router import Router
    from seq2seq.translation.translator import Translator

    translators = [Translator(model, threads=1) for model in models or bundled_models()]
    route = Router(translators).route(source, target)
    direction = route.direction
    known = with_memory(route, memory, direction.source, direction.target, least_similarity)
    return Router([known, *translators])


def _identifier(quiet: bool) -> "Identifier | None":
    from seq2seq.identification import LanguageIdentifier

    try:
        return LanguageIdentifier.load()
    except Seq2SeqError as error:
        if not quiet:
            typer.echo(f"Language detection is not available: {error}", err=True)
        return None


def _origin(given: str) -> str:
    """Return an origin of --cors; raises `UsageError` if no browser would send it."""
    try:
        parts = urlsplit(given)
        usual = {"http": 80, "https": 443}.get(parts.scheme)
        port = "" if parts.port in (None, usual) else f":{parts.port}"
        host = parts.netloc.rpartition("@")[2].removesuffix(f":{parts.port}").lower()
        origin = f"{parts.scheme}://{host}{port}" if usual and host else ""
    except ValueError:
        origin = ""
    if given in ("*", origin) and given.isascii():
        return given
    example = origin if origin and origin.isascii() else "https://example.org"
    raise UsageError(
        f"--cors {given}: no page has this origin. An origin is a scheme, a host and, if needed, a "
        f"port, such as {example}."
    )


def _api_keys(path: Path | None) -> tuple[str, ...]:
    variable = os.environ.get(_KEY_VARIABLE)
    given = [] if variable is None else [variable]
    if variable is not None and not variable.strip():
        raise UsageError(
            f"{_KEY_VARIABLE} is set, but contains no key; unset it to let everybody in."
        )
    if path is not None:
        try:
            in_file = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise UsageError(f"{path}: not UTF-8.") from None
        if not any(map(str.strip, in_file)):
            raise UsageError(f"{path}: this file contains no key.")
        given += in_file
    keys = tuple(key.strip() for key in given if key.strip())
    for key in keys:
        if not key.isprintable() or not _is_unicode(key):
            where = path if variable is None or key != variable.strip() else _KEY_VARIABLE
            raise UsageError(f"{where}: a key contains a character that cannot be typed.")
    return keys


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
