"""Run the application with uvicorn, which finishes what it has begun when it is told to stop.

It is the smallest of the usual ASGI servers: two packages, none compiled. What it leaves open, slow
clients, costly chunks and TLS, is the work of a reverse proxy; see docs/serve.md.
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
    """Listen on an address; port 0 is any that is free. Raise `Seq2SeqError` where that fails."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"cannot listen on {host}, port {port}: {reason}."
        raise Seq2SeqError(f"{message} Another is chosen with --host and --port.") from error
    # Connections inherit it. asyncio only sets it on a socket that names its protocol, and without
    # it the body of an answer waits 40 ms for the client to acknowledge the head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def make_server(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    """Return a server that `serve` runs, and that stops when its `should_exit` is set."""
    for name, level in (("uvicorn.error", logging.ERROR), ("python_multipart", logging.CRITICAL)):
        logging.getLogger(name).setLevel(level)  # anyone can send what warns
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
            limit_concurrency=limits.connections + 1,  # uvicorn refuses at this number
            h11_max_incomplete_event_size=_HEAD_BYTES,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=int(limits.read_seconds + limits.translate_seconds) + 5,
        )
    )


async def serve(server: uvicorn.Server, listening: socket.socket) -> None:
    """Answer requests until the server is told to stop, and then those that have come."""
    asyncio.get_running_loop().set_exception_handler(_report)
    await server.serve(sockets=[listening])


def run(app: ASGIApp, listening: socket.socket, limits: Limits) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish all requests that have come."""
    server = make_server(app, limits)

    def stop(*_: object) -> None:
        server.should_exit = True

    # For a signal before uvicorn listens to it, and for the one that it sends again at the end.
    signal.signal(signal.SIGTERM, stop)
    asyncio.run(serve(server, listening))


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio has caught, unless a client caused it by breaking HTTP after its answer."""
    if not isinstance(context.get("exception"), h11.ProtocolError):
        loop.default_exception_handler(context)
