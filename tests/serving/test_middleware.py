"""Who may ask, and what is counted and logged."""

import asyncio
import re
from collections.abc import Iterator

import pytest
from helpers.serving import PATHS, client, post_json
from starlette.types import Message, Receive, Scope, Send

from seq2seq.serving.app import Settings
from seq2seq.serving.middleware import Limits, Monitor
from seq2seq.serving.telemetry import Metrics


def test_a_body_in_pieces_is_not_read_past_its_limit() -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(1000):
            yield b"x" * 50
            given.append(50)

    given: list[int] = []
    settings = Settings(Limits(body_bytes=100), log=lambda line: None)
    with client(settings) as opened:
        assert opened.post("/translate", content=pieces()).status_code == 413


def test_api_keys() -> None:
    settings = Settings(api_keys=("one", "zweï"), log=lambda line: None)
    fields = {"q": "a", "source": "en", "target": "de"}
    with client(settings) as opened:
        for path in PATHS:
            missing = opened.post(path, json=fields)
            assert (missing.status_code, [*missing.json()]) == (400, ["error"])
            wrong = opened.post(path, json=fields | {"api_key": "on"})
            assert (wrong.status_code, wrong.json()) == (403, {"error": "Invalid API key"})
            for key in ("one", "zweï"):
                assert opened.post(path, data=fields | {"api_key": key}).status_code == 200
            assert opened.post(path, json=fields | {"api_key": ["one"]}).status_code == 403
            assert post_json(opened, path, q="a", api_key="\ud800").status_code == 403
        assert opened.get("/metrics").status_code == 401
        bearer = {"Authorization": "Bearer one"}
        assert opened.get("/metrics", headers=bearer).status_code == 200
        assert opened.get("/languages").status_code == 200
        assert opened.get("/frontend/settings").json()["keyRequired"] is True


@pytest.mark.parametrize("key", ["one", "zwe\u00ef"])
def test_a_key_may_be_in_the_header(key: str) -> None:
    settings = Settings(api_keys=("one", "zwe\u00ef"), log=lambda line: None)
    fields = {"q": "a", "source": "en", "target": "de"}
    with client(settings) as opened:
        for path in PATHS:
            for header, status in ((f"Bearer {key}", 200), (f"bearer  {key}", 200)):
                headers = {b"Authorization": header.encode()}
                assert opened.post(path, json=fields, headers=headers).status_code == status
            for header, status in (("Bearer on", 403), (f"Basic {key}", 400), ("Bearer", 400)):
                headers = {b"Authorization": header.encode()}
                assert opened.post(path, json=fields, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *[(host, 200) for host in ("localhost", "LOCALHOST:5000", "localhost.", "127.0.0.1:80")],
        *[(host, 200) for host in ("127.9.9.9", "[::1]:5000", "[::1]", "mt.example")],
        *[(host, 403) for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.de")],
        *[(host, 403) for host in ("", "evil", "[::1", "10.0.0.1", "[::2]:80", "a@b@c", ":80")],
    ],
)
def test_a_server_for_this_machine_answers_to_its_own_names_alone(host: str, status: int) -> None:
    settings = Settings(hosts=("mt.example",), log=lambda line: None)
    with client(settings) as opened:
        for path in ("/", "/health", "/metrics", "/languages"):
            assert opened.get(path, headers={"Host": host}).status_code == status


def test_other_origins_are_let_in_only_when_told() -> None:
    origin = {"Origin": "https://example.org"}
    allowed = "access-control-allow-origin"
    with client() as opened:
        assert allowed not in opened.get("/languages", headers=origin).headers
    settings = Settings(cors_origins=("https://example.org",), log=lambda line: None)
    with client(settings) as opened:
        found = opened.get("/languages", headers=origin)
        assert found.headers[allowed] == "https://example.org"
        other = {"Origin": "https://example.com"}
        assert allowed not in opened.get("/languages", headers=other).headers
        wanted = {"Access-Control-Request-Method": "POST"}
        preflight = opened.options("/translate", headers=origin | wanted)
        assert preflight.status_code == 200


def test_metrics_and_log_have_no_texts() -> None:
    log: list[str] = []
    with client(log=log) as opened:
        fields = {"q": "private words", "source": "en", "target": "de"}
        opened.post("/translate", json=fields)
        opened.post("/translate", params=fields)
        opened.get("/private%0awords")
        opened.request("PRIVATE", "/health")
        metrics = opened.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'seq2seq_requests_total{path="/translate",status="200"} 2.0\n' in metrics.text
    assert 'seq2seq_requests_total{path="other",status="404"} 1.0\n' in metrics.text
    assert "seq2seq_characters_total 26.0\n" in metrics.text
    assert "seq2seq_batch_texts_count 2.0\n" in metrics.text
    for line in metrics.text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{(\w+=\"[^\"]*\",?)+\})? [\d.e+-]+", line)
    assert log[0].startswith("POST /translate 200 ")
    assert len(log) == 5
    assert "private" not in "\n".join([*log, metrics.text]).lower()


def test_two_applications_of_one_process_count_apart() -> None:
    with client() as busy, client() as idle:
        post_json(busy, "/translate", q="four")
        texts = [opened.get("/metrics").text for opened in (busy, idle)]
    assert ["seq2seq_characters_total 4.0\n" in text for text in texts] == [True, False]


def test_a_request_that_a_stopping_server_cancels_is_logged_and_raises_nothing() -> None:
    async def cancelled(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError("it is not answered")

    log: list[str] = []
    scope = {"type": "http", "method": "GET", "path": "/health", "headers": []}
    asyncio.run(Monitor(cancelled, Metrics(), ["/health"], log.append)(scope, receive, send))
    assert log[0].startswith("GET /health 500 ")
