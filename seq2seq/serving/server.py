"""uvicorn, with what it leaves open closed: slow clients, costly heads, too many connections.

It is the smallest of the usual ASGI servers (two packages, none compiled), and finishes what it has
begun when it is told to stop.
"""

import asyncio
import json
import logging
import signal
import socket
import time
from http import HTTPStatus

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from seq2seq.errors import Seq2SeqError
from seq2seq.serving.limits import Limits

_GRACE = 0.2  # seconds for a request that is on its way when the server is told to stop
_UNREAD = 30.0  # seconds until a client that does not read its answer is left
_PARSED = 1 << 12  # bytes at a time
_PARSING = 0.1  # seconds of CPU time that a request may take to parse, and again for each megabyte:
# chunks of a byte take seconds, in which nobody else is answered


def _refusal(status: HTTPStatus, message: str, headers: str = "") -> bytes:
    """A whole answer, after which the connection ends."""
    body = json.dumps({"error": message}, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n{headers}"
        "Content-Type: application/json; charset=utf-8\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


_BUSY = _refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections, try again later", "Retry-After: 1\r\n"
)
_INVALID = _refusal(HTTPStatus.BAD_REQUEST, "Invalid HTTP request")
_COSTLY = _refusal(HTTPStatus.BAD_REQUEST, "The request comes in too many pieces")


def open_socket(host: str, port: int) -> socket.socket:
    """Listen there; port 0 is any that is free. Raises `Seq2SeqError`."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        opened = socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"cannot listen on {host}, port {port}: {reason}."
        raise Seq2SeqError(f"{message} Another is chosen with --host and --port.") from error
    # Connections inherit it. asyncio only sets it on a socket that names its protocol, and without
    # it the body of an answer waits 40 ms for the client to acknowledge the head.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def make_server(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    """To be run with `server.run(sockets=[...])`."""
    for name, level in (("uvicorn.error", logging.ERROR), ("python_multipart", logging.CRITICAL)):
        logging.getLogger(name).setLevel(level)  # anyone can send what warns
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
    server = make_server(app, limits)

    def stop(*_: object) -> None:
        server.should_exit = True

    # One that comes before uvicorn listens to it; after that, uvicorn sends it again when all is
    # done.
    signal.signal(signal.SIGTERM, stop)
    server.run(sockets=[listening])


def _protocol(limits: Limits) -> type[H11Protocol]:
    class Protocol(H11Protocol):
        """One connection."""

        _deadline: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None
        _stopping = False
        _received = 0  # bytes of a request, and the time that it took to parse them
        _parsing = 0.0

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
            for start in range(0, len(data), _PARSED):
                if self.transport.is_closing():
                    return
                self._parse(data[start : start + _PARSED])
            if self._idle:
                self._expect_request()
                return
            self._forget_deadline()
            if self._stopping:
                self._close_after_answer()

        def _parse(self, data: bytes) -> None:
            began = time.thread_time()
            super().data_received(data)
            self._parsing += time.thread_time() - began
            self._received += len(data)
            if self._parsing > _PARSING * (1 + self._received / 1e6):
                self._refuse(_COSTLY)

        def send_400_response(self, msg: str) -> None:
            self._refuse(_INVALID)

        def _refuse(self, answer: bytes) -> None:
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # there is none yet
                self.transport.write(answer)
            if not self._idle:
                self.cycle.disconnected = True  # and there will be no other
                self.cycle.message_event.set()
            self.transport.close()

        def on_response_complete(self) -> None:
            self._received, self._parsing = 0, 0.0
            super().on_response_complete()
            # The rest of a body that was refused, or the beginning of the next head.
            if self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]:
                self._expect_request()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget_deadline()
            self._forget_unread()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._unread = self.loop.call_later(_UNREAD, self.transport.abort)

        def resume_writing(self) -> None:
            self._forget_unread()
            super().resume_writing()

        def timeout_keep_alive_handler(self) -> None:
            if self.transport.get_write_buffer_size():  # closing would wait for it to be read
                self.transport.abort()
            else:
                super().timeout_keep_alive_handler()

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

        def _forget_unread(self) -> None:
            if self._unread:
                self._unread.cancel()
                self._unread = None

        def _expire(self) -> None:
            self._deadline = None
            if self._idle:
                self.transport.close()

    return Protocol
