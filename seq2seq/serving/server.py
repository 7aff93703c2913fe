"""uvicorn, with what it leaves open closed: slow heads of requests, too many connections.

It is the smallest of the usual ASGI servers (two packages, none compiled), and finishes what it has
begun when it is told to stop.
"""

import asyncio
import logging
import signal
import socket

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from seq2seq.errors import Seq2SeqError
from seq2seq.serving.limits import Limits

_BUSY_BODY = b'{"error":"Too many connections, try again later"}'
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(_BUSY_BODY), _BUSY_BODY)
)
_GRACE = 0.2  # seconds for a request that is on its way when the server is told to stop


def open_socket(host: str, port: int) -> socket.socket:
    """Listen there; port 0 is any that is free. Raises `Seq2SeqError`."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"cannot listen on {host}, port {port}: {reason}."
        raise Seq2SeqError(f"{message} Another is chosen with --host and --port.") from error


def make_server(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    """To be run with `server.run(sockets=[...])`."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # anyone can send what warns
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=_protocol(limits),
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=512,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=int(limits.read_seconds + limits.translate_seconds) + 5,
        )
    )


def run(app: ASGIApp, listening: socket.socket, limits: Limits) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish all requests that have come."""
    # uvicorn sends itself the signal again when all is done.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    make_server(app, limits).run(sockets=[listening])


def _protocol(limits: Limits) -> type[H11Protocol]:
    class Protocol(H11Protocol):
        """One connection."""

        _deadline: asyncio.TimerHandle | None = None
        _stopping = False

        @property
        def _idle(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.write(_BUSY)
                transport.close()
                return
            self._expect_request()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._idle:
                self._expect_request()
                return
            self._forget_deadline()
            if self._stopping:
                self._close_after_answer()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            # The rest of a body that was refused, or the beginning of the next head.
            if self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]:
                self._expect_request()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget_deadline()
            super().connection_lost(exc)

        def shutdown(self) -> None:
            self._stopping = True
            if self._idle:
                self.loop.call_later(_GRACE, self._stop)
            else:
                self._close_after_answer()

        def _stop(self) -> None:
            if self._idle and not self.transport.is_closing():
                super().shutdown()

        def _close_after_answer(self) -> None:
            self.cycle.keep_alive = False
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]

        def _expect_request(self) -> None:
            """Its head comes in time, however little there is of it now."""
            if self._deadline is None:
                self._deadline = self.loop.call_later(limits.read_seconds, self._expire)

        def _forget_deadline(self) -> None:
            if self._deadline:
                self._deadline.cancel()
                self._deadline = None

        def _expire(self) -> None:
            self._deadline = None
            if self._idle:
                self.transport.close()

    return Protocol
