"""Run the application with uvicorn, which finishes pending requests when it is told to stop.

It is the smallest of the usual ASGI servers: two packages, none compiled. Slow clients, costly
chunks and TLS are left to a reverse proxy; see docs/serve.md.
"""

import asyncio
import logging
import signal
import socket
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp

from seq2seq.errors import Seq2SeqError
from seq2seq.serving.middleware import Limits

_HEAD_BYTES = 1 << 14  # of a request line and its headers


def open_socket(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 picks any free one. Raise `Seq2SeqError` if that fails."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"cannot listen on {host}, port {port}: {reason}."
        raise Seq2SeqError(f"{message} Choose another with --host and --port.") from error
    # Connections inherit this option. asyncio sets it only on sockets that name their protocol, and
    # without it the body of a response waits 40 ms for the client to acknowledge the head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def make_server(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    """Return a server for `serve`; it stops when its `should_exit` is set."""
    for name, level in (("uvicorn.error", logging.ERROR), ("python_multipart", logging.CRITICAL)):
        logging.getLogger(name).setLevel(level)  # any client could cause warnings
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=512,
            limit_concurrency=limits.connections + 1,  # uvicorn refuses from this number on
            h11_max_incomplete_event_size=_HEAD_BYTES,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=int(limits.read_seconds + limits.translate_seconds) + 5,
        )
    )


async def serve(server: uvicorn.Server, listening: socket.socket) -> None:
    """Answer requests until the server is told to stop, then finish the pending ones."""
    asyncio.get_running_loop().set_exception_handler(_report)
    await server.serve(sockets=[listening])


def run(app: ASGIApp, listening: socket.socket, limits: Limits) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish all pending requests."""
    server = make_server(app, limits)

    def stop(*_: object) -> None:
        server.should_exit = True

    # For a signal before uvicorn handles signals, and for the one that it resends at the end.
    signal.signal(signal.SIGTERM, stop)
    asyncio.run(serve(server, listening))


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log errors that asyncio caught, unless a client broke HTTP after its response."""
    if not isinstance(context.get("exception"), h11.ProtocolError):
        loop.default_exception_handler(context)
