"""`seq2seq serve`: translation over HTTP."""

import importlib.util
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from seq2seq.cli.exit import INTERRUPTED, leave, reported_errors
from seq2seq.cli.options import (
    ProtectPatternOption,
    ProtectPatternsOption,
    QuietOption,
    protect_patterns_of,
)
from seq2seq.errors import Seq2SeqError, UsageError

if TYPE_CHECKING:
    from seq2seq.translation.router import Identifier

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
            help="A model that `seq2seq export` made; of several, the first that knows a direction "
            "has it.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; 0.0.0.0: all of them.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")
    ] = 5000,
    threads: Annotated[
        int,
        typer.Option(
            "--threads",
            min=0,
            max=1024,
            help="CPU threads, and as many for large requests; 0: one a core.",
        ),
    ] = 0,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            "--api-key-file",
            metavar="FILE",
            help=f"Only who has one of these keys, one a line, may translate. One key can also be "
            f"given as the environment variable {_KEY_VARIABLE}.",
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            "--cors",
            metavar="ORIGIN",
            help="Let pages of this origin ask, such as https://example.org; '*': all.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="A name that requests may be to besides localhost, such as that of a proxy; a "
            "server that other machines reach answers to any where none is given.",
        ),
    ] = None,
    max_characters: Annotated[
        int, typer.Option("--max-characters", min=1, help="Of a request.")
    ] = 50_000,
    max_texts: Annotated[
        int, typer.Option("--max-texts", min=1, help="Of a request with a list.")
    ] = 1_000,
    max_body: Annotated[
        int, typer.Option("--max-body", min=1, metavar="BYTES", help="Of a request.")
    ] = 1 << 20,
    max_waiting: Annotated[
        int,
        typer.Option(
            "--max-waiting",
            min=1,
            help="Requests that wait to be translated, and as many for their language to be found; "
            "more are refused.",
        ),
    ] = 128,
    max_connections: Annotated[
        int, typer.Option("--max-connections", min=1, help="Open at one time; more are refused.")
    ] = 512,
    read_timeout: Annotated[
        float,
        typer.Option(
            "--read-timeout",
            min=0.1,
            metavar="SECONDS",
            help="Until the body of a request is here.",
        ),
    ] = 10.0,
    translate_timeout: Annotated[
        float,
        typer.Option(
            "--translate-timeout", min=0.1, metavar="SECONDS", help="Until it is translated."
        ),
    ] = 30.0,
    batching: Annotated[
        bool, typer.Option(help="Translate texts of several requests together.")
    ] = True,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=1024, help="Texts translated together.")
    ] = 128,
    protect_pattern: ProtectPatternOption = None,
    protect_patterns: ProtectPatternsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Translate over HTTP, with LibreTranslate's API, and on a page in the browser.

    The log on stderr has no texts. SIGTERM and Ctrl-C finish the requests that have come.
    """
    for module in ("starlette", "uvicorn", "python_multipart", "prometheus_client"):
        if importlib.util.find_spec(module) is None:
            raise Seq2SeqError(f"serve needs {module}: pip install 'seq2seq[serve]'")
    from seq2seq.bundled import bundled_models
    from seq2seq.serving.app import Settings, create_app
    from seq2seq.serving.batching import BatchSettings
    from seq2seq.serving.middleware import Limits, is_loopback, log_line
    from seq2seq.serving.server import open_socket, run
    from seq2seq.translation.router import Router

    patterns = protect_patterns_of(protect_pattern, protect_patterns)
    limits = Limits(
        characters=max_characters,
        texts=max_texts,
        body_bytes=max_body,
        read_seconds=read_timeout,
        translate_seconds=translate_timeout,
        waiting=max_waiting,
        connections=max_connections,
    )
    batches = BatchSettings(
        size=batch_size,
        is_shared=batching,
        workers=threads or _cores(),
    )
    settings = Settings(
        limits,
        batches,
        _api_keys(api_key_file),
        tuple(map(_origin, cors or ())),
        log=(lambda line: None) if quiet else log_line,
        protect_patterns=patterns,
    )
    for name, seconds in (("read", read_timeout), ("translate", translate_timeout)):
        if not seconds <= _LONGEST_TIMEOUT:  # also where it is no number
            raise UsageError(f"--{name}-timeout is at most {_LONGEST_TIMEOUT:,} seconds.")
    with open_socket(host, port) as listening:
        # A batch has a core, and a core a batch.
        router = Router(models or bundled_models(), threads=1)
        if allow_host or is_loopback(listening.getsockname()[0]):
            settings = replace(settings, hosts=(host, *(allow_host or ())))
        app = create_app(router, _identifier(quiet), settings)
        if not quiet:
            shown = f"[{host}]" if ":" in host else host
            where = f"http://{shown}:{listening.getsockname()[1]}"
            typer.echo(f"{where} is ready. Ctrl-C ends.", err=True)
        try:
            run(app, listening, limits)
        except KeyboardInterrupt:
            leave(INTERRUPTED)
        leave()  # for what nobody waits for any more neither does the process


def _identifier(quiet: bool) -> "Identifier | None":
    from seq2seq.identification import LanguageIdentifier

    try:
        return LanguageIdentifier.load()
    except Seq2SeqError as error:
        if not quiet:
            typer.echo(f"Languages are not detected: {error}", err=True)
        return None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _origin(given: str) -> str:
    """An origin as browsers write it; raises `UsageError` where none ever will."""
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
        f"--cors {given}: no page has this origin, which is a scheme, a host and perhaps a port, "
        f"such as {example}."
    )


def _api_keys(path: Path | None) -> tuple[str, ...]:
    variable = os.environ.get(_KEY_VARIABLE)
    given = [] if variable is None else [variable]
    if variable is not None and not variable.strip():
        raise UsageError(
            f"{_KEY_VARIABLE} is set, but there is no key in it; unset it to let everybody in."
        )
    if path is not None:
        try:
            in_file = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise UsageError(f"{path}: not UTF-8.") from None
        if not any(map(str.strip, in_file)):
            raise UsageError(f"{path}: there is no key in this file.")
        given += in_file
    keys = tuple(key.strip() for key in given if key.strip())
    for key in keys:
        if not key.isprintable() or not _is_unicode(key):
            where = path if variable is None or key != variable.strip() else _KEY_VARIABLE
            raise UsageError(f"{where}: a key has a character in it that nobody can type.")
    return keys


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
