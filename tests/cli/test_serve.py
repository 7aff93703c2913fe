"""The command `seq2seq serve`: its options in this process, its end as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from helpers.serving import TIMEOUT, connect, post_json, read_all, with_body
from starlette.testclient import TestClient
from starlette.types import ASGIApp

import seq2seq.cli.serve as cli_serve
from seq2seq.cli.main import app
from seq2seq.serving import server

MODEL = Path(__file__).parents[1] / "golden" / "int8"


@contextmanager
def process(*arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server, and where it is."""
    command = [sys.executable, "-m", "seq2seq.cli.main", "serve", "-m", str(MODEL)]
    with subprocess.Popen(
        [*command, "--port", "0", "--threads", "1", "--translate-timeout", "600", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | variables,
    ) as started:
        try:
            assert started.stderr
            lines = list[str]()
            while not lines or "is ready" not in lines[-1]:
                lines.append(started.stderr.readline())
                assert lines[-1], lines
            yield started, lines[-1].split()[0]
        finally:
            started.kill()


@pytest.mark.parametrize(
    ("number", "threads"),
    [
        (signal.SIGTERM, "1"),
        (signal.SIGINT, "1"),
        pytest.param(signal.SIGTERM, "2", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, "2", marks=pytest.mark.slow),
    ],
)
def test_a_signal_loses_no_request(number: signal.Signals, threads: str) -> None:
    with process("--threads", threads) as (started, url):
        # Long texts have a worker of their own, which leaves time for the signal.
        body = json.dumps({"q": "ka lo mi. " * 201, "source": "en", "target": "de"}).encode()
        opened = [connect(url) for _ in range(2)]
        for connection in opened:
            connection.sendall(with_body(body))
        short = json.dumps({"q": "ka lo", "source": "en", "target": "de"}).encode()
        with connect(url) as connection:
            connection.sendall(with_body(short))
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")  # so the others have come
        started.send_signal(number)
        if number == signal.SIGTERM:
            started.send_signal(number)  # a second signal does not hurry it
        for connection in opened:
            assert b'{"translatedText":' in read_all(connection)
            connection.close()
        assert started.stderr
        log = started.stderr.read()
        assert started.wait(TIMEOUT) == (0 if number == signal.SIGTERM else 130)
        assert log.count("POST /translate 200 ") == 3
        assert "Traceback" not in log


@pytest.mark.slow
def test_two_threads_explain_a_sentence_as_one_does_while_others_are_translated() -> None:
    texts = ["the dog sees the mouse. the cat sleeps.", "the old man saw the dog."] * 3

    def ask(url: str, path: str, text: str) -> object:
        body = json.dumps({"q": text, "source": "en", "target": "de"}).encode()
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(url + path, body, headers), timeout=TIMEOUT) as response:
            return json.load(response)

    def answers(threads: str) -> list[object]:
        with process("--threads", threads) as (_, url), ThreadPoolExecutor(4) as clients:
            asked = [
                clients.submit(ask, url, path, text)
                for text in texts
                for path in ("/explain", "/translate")
            ]
            return [answer.result() for answer in asked]

    one, two = answers("1"), answers("2")
    assert "<title>the dog sees the mouse." in str(one[0])
    assert one == two


def application(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> ASGIApp:
    """Return the application that the command would serve."""
    apps: list[ASGIApp] = []
    monkeypatch.setattr(server, "run", lambda app, listening, limits: apps.append(app))
    monkeypatch.setattr(cli_serve, "leave", lambda code=0: None)
    options = ["--port", "0", "--quiet", "--threads", "1", *arguments]
    app(["serve", *options], standalone_mode=False)
    return apps[0]


def test_keys_from_a_file_and_a_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("\ufefffirst\n\n second \n", encoding="utf-8")
    monkeypatch.setenv("SEQ2SEQ_API_KEY", "third")
    with TestClient(
        application(monkeypatch, "-m", str(MODEL), "--api-key-file", str(keys)),
        "http://localhost",
    ) as opened:
        for key, status in (("first", 200), ("second", 200), ("third", 200), ("fourth", 403)):
            assert post_json(opened, "/translate", q="ka lo", api_key=key).status_code == status


def test_options_reach_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--max-characters", "50", "--allow-host", "a.example", "--cors", "https://b.example")
    with TestClient(
        application(monkeypatch, "-m", str(MODEL), *options, "--no-batching"), "http://localhost"
    ) as opened:
        assert post_json(opened, "/translate", q="ka " * 20).status_code == 400
        for host, status in (("localhost", 200), ("a.example", 200), ("evil.example", 403)):
            assert opened.get("/health", headers={"Host": host}).status_code == status
        answer = opened.get("/health", headers={"Origin": "https://b.example"})
    assert answer.headers["access-control-allow-origin"] == "https://b.example"


def test_a_memory_is_asked_first_in_its_direction(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    memory = tmp_path / "tm.tsv"
    memory.write_text("I lost 3 keys.\tMir fehlen 3 Schlüssel.\n", encoding="utf-8")
    options = ("-m", str(MODEL), "--memory", str(memory), "--memory-from", "75")

    def translated(q: str, *more: str) -> object:
        with TestClient(application(monkeypatch, *options, *more), "http://localhost") as opened:
            answer = post_json(opened, "/translate", q=q, source="en", target="de")
            return answer.json()["translatedText"]

    assert translated("I lost 12 key.") == "Mir fehlen 12 Schlüssel."
    assert translated("I lost 12 keys.", "-t", "de") == "Mir fehlen 12 Schlüssel."
    assert translated("ka lo") != "ka lo"


def refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    """Return the exit code of the command, and what it printed to stderr."""

    def run(*_: object) -> None:
        raise AssertionError("it serves")

    monkeypatch.setattr(server, "run", run)
    with pytest.raises(SystemExit) as end:
        app(["serve", *arguments], prog_name="seq2seq")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert isinstance(end.value.code, int)
    return end.value.code, printed.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--port", "99999"], 2, "--port"),
        (["--host", "256.0.0.1"], 1, "cannot listen on 256.0.0.1"),
        (["-m", "nowhere.s2s"], 1, "nowhere.s2s"),
        (["--api-key-file", os.devnull], 2, "this file contains no key"),
        (["--cors", "example.org"], 2, "--cors example.org: no page has this origin"),
        (["--cors", "https://Example.org/"], 2, "such as https://example.org."),
        (["--cors", "https://example.org:443"], 2, "such as https://example.org."),
        (["--cors", "http://a.org:x"], 2, "no page has this origin"),
        (["--cors", "null"], 2, "no page has this origin"),
        (["--memory-from", "75"], 2, "--memory-from is for a translation memory: add --memory."),
        (["-t", "de"], 2, "languages of a translation memory: add --memory."),
        (["-m", str(MODEL), "--memory", "nowhere.tsv"], 2, "nowhere.tsv: cannot be read"),
        (["--read-timeout", "nan"], 2, "--read-timeout is at most 86,400 seconds."),
    ],
)
def test_a_wrong_option_is_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    ended, error = refusal(monkeypatch, capsys, "--port", "0", *arguments)
    assert ended == code
    assert message in error


def test_a_file_that_is_not_there_ends_the_process_with_one_sentence() -> None:
    command = [sys.executable, "-m", "seq2seq.cli.main", "serve", "--api-key-file", "/nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "seq2seq: /nowhere: No such file or directory.\n"


@pytest.mark.parametrize("key", ["", " ", "\n", "a\x07b"])
def test_a_variable_without_a_key_does_not_open_the_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    monkeypatch.setenv("SEQ2SEQ_API_KEY", key)
    code, error = refusal(monkeypatch, capsys, "--port", "0")
    assert code == 2
    assert "SEQ2SEQ_API_KEY" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("given", ["*", "http://localhost", "https://a.b:8080", "http://[::1]:81"])
def test_an_origin_is_taken_as_browsers_write_it(given: str) -> None:
    assert cli_serve._origin(given) == given


@pytest.mark.parametrize(
    "module", ["uvicorn", "starlette", "python_multipart", "prometheus_client"]
)
def test_an_extra_that_is_missing_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert refusal(monkeypatch, capsys) == (
        1,
        f"seq2seq: serve needs {module}: pip install 'seq2seq[serve]'\n",
    )


def test_a_port_in_use_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, error = refusal(monkeypatch, capsys, "--port", port)
    assert code == 1
    assert f"cannot listen on 127.0.0.1, port {port}" in error
    assert error.count("\n") == 1
