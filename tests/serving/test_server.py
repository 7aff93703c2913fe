"""Connections: a real server, in a thread."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from helpers.serving import (
    HEAD,
    TIMEOUT,
    FakeTranslator,
    connect,
    live_server,
    read_all,
    until,
    with_body,
)

from seq2seq.serving.app import Settings, create_app
from seq2seq.serving.middleware import Limits
from seq2seq.serving.server import make_server, open_socket
from seq2seq.translation.router import Router

CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def status_of(url: str) -> int:
    try:
        with urlopen(f"{url}/health", timeout=TIMEOUT) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code


def open_later(gate: threading.Event) -> None:
    time.sleep(0.5)
    gate.set()


@pytest.mark.parametrize("length", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_a_body_that_does_not_arrive_in_time_ends_its_connection(length: bytes) -> None:
    settings = Settings(Limits(read_seconds=0.2), log=lambda line: None)
    with live_server(settings) as url, connect(url) as opened:
        opened.sendall(HEAD + length + b"\r\n\r\n1\r\n")
        found = read_all(opened)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 0.2 seconds" in found


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\0\x01\0\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000,
        HEAD + b"Content-Length: %s\r\n\r\n" % (b"9" * 5000),
        CHUNKED + b"zz\r\n",
    ],
)
def test_what_is_no_http_is_refused(sent: bytes) -> None:
    with live_server(Settings(log=lambda line: None)) as url, connect(url) as opened:
        opened.sendall(sent[:10_000])
        if sent[10_000:]:
            opened.sendall(sent[10_000:20_000])
        assert read_all(opened).startswith(b"HTTP/1.1 400 ")


def test_nothing_that_a_client_sends_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    log: list[str] = []
    multipart = HEAD.replace(b"application/json", b"multipart/form-data; boundary=x")
    with live_server(Settings(log=log.append)) as url:
        with connect(url) as opened:
            opened.sendall(CHUNKED.replace(b"/translate", b"/nothing"))
            until(lambda: len(log) == 1)
            opened.sendall(b"zz\r\n")  # when it has its answer already
            found = read_all(opened)
            assert found.startswith(b"HTTP/1.1 404 ")
            assert found.endswith(b'{"error":"Not Found"}')
        with connect(url) as opened:
            opened.sendall(multipart + b"Connection: close\r\nContent-Length: 7\r\n\r\nprivate")
            assert b'{"error":"Invalid request: the form cannot be read"}' in read_all(opened)
    assert caplog.text == ""
    assert len(log) == 2


def test_an_answer_waits_for_no_acknowledgement() -> None:
    with (
        open_socket("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
    ):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_too_large_bodies_are_refused_before_they_are_here() -> None:
    settings = Settings(Limits(body_bytes=1000), log=lambda line: None)
    with live_server(settings) as url:
        with connect(url) as opened:
            opened.sendall(HEAD + b"Content-Length: 1000000000\r\n\r\n{")
            assert opened.recv(100).startswith(b"HTTP/1.1 413 ")
        with connect(url) as opened:
            opened.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            opened.sendall((b"400\r\n" + b"x" * 0x400 + b"\r\n") * 3)
            assert opened.recv(100).startswith(b"HTTP/1.1 413 ")
            opened.sendall(b"400\r\n" + b"x" * 0x400 + b"\r\n0\r\n\r\n")  # which is left
            opened.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b"HTTP/1.1 200 " in read_all(opened)


def test_too_many_connections_are_refused() -> None:
    settings = Settings(Limits(connections=1), log=lambda line: None)
    with live_server(settings) as url:
        with connect(url) as first:
            first.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert first.recv(100).startswith(b"HTTP/1.1 200 ")
            with connect(url) as second:
                second.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                assert read_all(second).startswith(b"HTTP/1.1 503 ")
        until(lambda: status_of(url) == 200)


def test_a_client_that_goes_away_is_not_translated_for() -> None:
    translator = FakeTranslator()
    translator.gate.clear()
    log: list[str] = []
    body = b'{"q": "a", "source": "en", "target": "de"}'
    with (
        live_server(Settings(log=log.append), translator) as url,
        connect(url) as first,
        connect(url) as second,
    ):
        first.sendall(with_body(body))
        until(lambda: len(translator.calls) == 1)
        second.sendall(with_body(body))
        second.close()
        until(lambda: any(" 499 " in line for line in log))
        translator.gate.set()
        assert first.recv(100).startswith(b"HTTP/1.1 200 ")
    assert len(translator.calls) == 1


def test_a_server_that_stops_answers_what_has_come() -> None:
    translator = FakeTranslator()
    translator.gate.clear()
    body = b'{"q": "a", "source": "en", "target": "de"}'
    opened: list[socket.socket] = []
    with ThreadPoolExecutor(1) as threads:
        with live_server(Settings(log=lambda line: None), translator) as url:
            for _ in range(3):
                opened.append(connect(url))
                opened[-1].sendall(with_body(body))
            until(lambda: len(translator.calls) == 1)
            threads.submit(open_later, translator.gate)
        for connection in opened:
            found = read_all(connection)
            assert found.startswith(b"HTTP/1.1 200 ")
            connection.close()


def test_clients_that_send_no_whole_request_do_not_keep_a_server_that_stops() -> None:
    settings = Settings(Limits(read_seconds=0.2), log=lambda line: None)
    unfinished = (b"", b"GET / HTTP/1.1\r\nX: ", HEAD + b"Content-Length: 9\r\n\r\n{")
    opened: list[socket.socket] = []
    with live_server(settings) as url:
        for sent in unfinished:
            opened.append(connect(url))
            opened[-1].sendall(sent)
    # and the server has stopped
    for silent in opened:
        assert read_all(silent)[:13] in (b"", b"HTTP/1.1 408 ")
        silent.close()


def test_a_server_that_stops_waits_for_both_time_limits_and_little_more() -> None:
    limits = Limits(read_seconds=3, translate_seconds=4)
    app = create_app(Router([FakeTranslator()]), None, Settings(limits))
    assert make_server(app, limits).config.timeout_graceful_shutdown == 12
