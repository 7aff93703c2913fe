"""`seq2seq serve`: LibreTranslate's API, its limits, and what becomes of requests under load."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from helpers.serving_fakes import FakeIdentifier, FakeTranslator, live_server
from starlette.testclient import TestClient

from seq2seq.cli.serve import _origin, serve
from seq2seq.config.model_config import Direction
from seq2seq.serving.app import Settings, create_app
from seq2seq.serving.batching import Batcher, BatchSettings
from seq2seq.serving.middleware import Limits, RefusedError
from seq2seq.serving.server import open_socket

MODEL = Path(__file__).parents[1] / "golden" / "int8"
PATHS = ("/detect", "/translate")
TIMEOUT = 60  # seconds: only so that what waits for ever is a failure


@contextmanager
def client(
    settings: Settings | None = None,
    translator: FakeTranslator | None = None,
    identifier: FakeIdentifier | None = None,
    log: list[str] | None = None,
) -> Iterator[TestClient]:
    used = settings or Settings(log=(log if log is not None else []).append)
    app = create_app([translator or FakeTranslator()], identifier or FakeIdentifier(), used)
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


def post_json(opened: TestClient, path: str, **fields: Any) -> Any:
    """The response; `source` and `target` have a default. The JSON is ASCII."""
    body = json.dumps({"source": "en", "target": "de", **fields})
    return opened.post(path, content=body, headers={"Content-Type": "application/json"})


def ask(**fields: Any) -> Any:
    """The answer to a request in JSON."""
    with client() as opened:
        response = post_json(opened, "/translate", **fields)
    assert response.status_code == 200, response.text
    return response.json()


def refused(status: int, settings: Settings | None = None, **fields: Any) -> str:
    """The error of such a request."""
    with client(settings) as opened:
        response = post_json(opened, "/translate", **fields)
    assert response.status_code == status
    assert [*response.json()] == ["error"]
    return str(response.json()["error"])


# Translation


def test_a_text_and_a_list_of_texts() -> None:
    assert ask(q="a house") == {"translatedText": "A HOUSE"}
    assert ask(q=["a house", "", "a cat"]) == {"translatedText": ["A HOUSE", "", "A CAT"]}
    assert ask(q=["a house"]) == {"translatedText": ["A HOUSE"]}


@pytest.mark.parametrize("text", ["one\n\n  two\r\nthree\n", "\n\n", " ", "1 2", "\ud800x", "é\0"])
def test_lines_and_white_space_stay(text: str) -> None:
    assert ask(q=text)["translatedText"] == text.replace("\ud800", "\ufffd").upper()


def test_text_is_given_to_the_translator_by_lines_and_sentences() -> None:
    translator = FakeTranslator()
    code = "four\n```\n\nfive\n```"
    with client(translator=translator) as opened:
        body = {
            "q": f"one. two\n\nthree\n{code}\nsix",
            "source": "en",
            "target": "de",
            "alternatives": 1,
        }
        opened.post("/translate", json=body)
    assert translator.calls == [
        (
            Direction("en", "de"),
            2,
            "sentence",
            ["one. two\n", "three\n", "four\n", "```\n\nfive\n```\n", "six"],
        ),
    ]


def test_forms() -> None:
    fields = {"q": "für\r\nzwei", "source": "de", "target": "en", "format": "text"}
    expected = {"translatedText": "FÜR\nZWEI"}
    with client() as opened:
        assert opened.post("/translate", data=fields).json() == expected
        multipart = {name: (None, value) for name, value in fields.items()}
        assert opened.post("/translate", files=multipart).json() == expected
        assert opened.post("/translate", params=fields | {"q": "für\nzwei"}).json() == expected
        # As curl -d sends it.
        raw = "q=für\nzwei&source=de&target=en".encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        assert opened.post("/translate", content=raw, headers=kind).json() == expected
        several = opened.post("/translate", data=fields | {"q": ["a", "b"]})
        assert several.json() == {"translatedText": ["A", "B"]}


def test_html() -> None:
    markup = '<p class="green">Hello <b>big</b> &amp; <code>x</code></p>\n'
    assert ask(q=markup, format="html") == {
        "translatedText": '<p class="green">HELLO <b>BIG</b> &amp; <code>x</code></p>\n'
    }
    found = ask(q=[markup, "<i>a</i>"], format="html", alternatives=1)
    assert found["translatedText"][1] == "<i>A</i>"
    assert found["alternatives"][1] == ["<i>A!</i>"]


def test_alternatives() -> None:
    assert ask(q="a", alternatives=2) == {"translatedText": "A", "alternatives": ["A!", "A!!"]}
    assert ask(q="a", alternatives="1")["alternatives"] == ["A!"]
    assert ask(q=["a", "b"], alternatives=1)["alternatives"] == [["A!"], ["B!"]]
    assert len(ask(q="a", alternatives=10**30)["alternatives"]) == 2  # as many as there are
    assert "alternatives" not in ask(q="a", alternatives=-1)


def test_alignment_and_confidence_come_when_asked_for() -> None:
    found = ask(q="one two\n\nthree", alignment=True, confidence=True)
    assert found["alignment"] == [[0, 0], [1, 1], [2, 2]]
    assert found["confidence"] == 0.75
    found = ask(q=["one", "1", ""], alignment=True, confidence=True)
    assert found["alignment"][0] == [[0, 0]]
    assert found["confidence"] == [0.75, 0.75, None]


def test_notes_come_when_asked_for() -> None:
    assert "notes" not in ask(q="12 cats")
    note = "the number 12 is in it"
    assert ask(q="12 cats\n\n7 dogs, 12 cats", notes=True)["notes"] == [
        note,
        "the number 7 is in it",
    ]
    found = ask(q=["cats", "12 cats"], notes=True, alternatives=1)
    assert found["notes"] == [[], [note]]
    assert ask(q="<p>12 <b>cats</b></p><p>dogs</p>", notes=True, format="html")["notes"] == [note]
    assert ask(q="der 12", source="auto", notes=True)["notes"] == []  # which is in German already
    with client() as opened:
        fields = {"q": "12 cats", "source": "en", "target": "de", "notes": "true"}
        assert opened.post("/translate", data=fields).json()["notes"] == [note]


def test_the_language_is_detected() -> None:
    assert ask(q="der hund", source="auto", target="en") == {
        "translatedText": "DER HUND",
        "detectedLanguage": {"confidence": 90.0, "language": "de"},
    }
    found = ask(q=["a dog", "der hund"], source="auto")
    assert found["translatedText"] == ["A DOG", "der hund"]  # which is in German already
    assert [one["language"] for one in found["detectedLanguage"]] == ["en", "de"]
    # What cannot be translated is not found.
    assert ask(q="la vie", source="auto")["detectedLanguage"] == {
        "confidence": 9.6,
        "language": "en",
    }


def test_text_in_no_known_language_stays_as_it_is_with_a_note() -> None:
    found = ask(q=["xyzzy plugh", "a dog"], source="auto", notes=True)
    assert found["translatedText"] == ["xyzzy plugh", "A DOG"]
    assert found["detectedLanguage"][0] == {"confidence": 20.0, "language": "de"}
    assert found["notes"] == [["left as it is: it is in no language that is known"], []]
    page = ask(q="<p>xyzzy <b>plugh</b></p>", source="auto", format="html")
    assert page["translatedText"] == "<p>xyzzy <b>plugh</b></p>"


def test_languages_that_are_not_there() -> None:
    assert refused(400, q="a", source="xx") == "xx is not supported"
    assert refused(400, q="a", target="xx") == "xx is not supported"
    assert refused(400, q="a", source="auto", target="xx") == "xx is not supported"
    assert refused(400, q="a", source="xx", target="xx") == "xx is not supported"
    with client(translator=FakeTranslator(Direction("en", "de"))) as opened:
        response = opened.post("/translate", json={"q": "a", "source": "de", "target": "en"})
    assert response.json() == {
        "error": "English (en) is not available as a target language from German (de)"
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Invalid request: missing q parameter"),
        ({"q": []}, "Invalid request: missing q parameter"),
        ({"q": ""}, "Invalid request: missing q parameter"),
        ({"q": 5}, "Invalid request: q is not a string or a list of strings"),
        ({"q": ["a", None]}, "Invalid request: q is not a string or a list of strings"),
        ({"q": "a", "source": None}, "Invalid request: missing source parameter"),
        ({"q": "a", "target": ""}, "Invalid request: missing target parameter"),
        ({"q": "a", "target": ["de"]}, "['de'] is not supported"),
        ({"q": "a", "target": "x" * 1000}, f"{'x' * 50} is not supported"),
        ({"q": "a", "format": "xml"}, "xml format is not supported"),
        ({"q": "a", "format": "\ud800"}, "\ufffd format is not supported"),
        (
            {"q": "a", "alternatives": "abc"},
            "Invalid request: alternatives parameter is not a number",
        ),
        (
            {"q": "a", "alternatives": 1e999},
            "Invalid request: alternatives parameter is not a number",
        ),
    ],
)
def test_wrong_requests(fields: dict[str, Any], message: str) -> None:
    assert refused(400, **fields) == message


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b'"q"', b"\xff", b"NaN", b"[" * 100_000, b'{"q":' + b"9" * 9000 + b"}"),
        b'{"a": [%s1]}' % (b"[]," * 60_000),
    ],
)
def test_malformed_json(body: bytes) -> None:
    with client() as opened:
        kind = {"Content-Type": "application/json"}
        response = opened.post("/translate", content=body, headers=kind)
    assert (response.status_code, response.json()) == (400, {"error": "Invalid JSON format"})


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"q=a"),
        ("multipart/form-data; boundary=x", b"--x\r\nbroken"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="q"; filename="f"\r\n\r\na\r\n--x--',
        ),
        ("application/x-www-form-urlencoded", b"a=b&" * 5000),
        ("text/plain", b'{"q": "a"}'),
    ],
)
def test_malformed_forms(kind: str, body: bytes) -> None:
    with client() as opened:
        response = opened.post("/translate", content=body, headers={"Content-Type": kind})
    assert response.status_code == 400
    assert response.json()["error"].startswith("Invalid request: ")


@pytest.mark.parametrize("charset", ["punycode", "utf-7", "idna", "iso-8859-1", "\u00e9"])
@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data; boundary=x", "text/plain"]
)
def test_any_charset_but_utf_8_is_refused_before_anything_is_decoded(
    kind: str, charset: str
) -> None:
    named = {b"Content-Type": f"{kind}; charset={charset}".encode()}
    with client() as opened:
        response = opened.post("/translate", content=b"a" * 1_000_000, headers=named)
    assert response.status_code == 400
    assert response.json() == {"error": "Invalid request: the charset must be UTF-8"}


@pytest.mark.parametrize("name", ["utf-8", "UTF-8", "utf8", '"utf-8"'])
def test_utf_8_may_be_named(name: str) -> None:
    body = '{"q": "\u00e4", "source": "en", "target": "de"}'.encode()
    with client() as opened:
        kind = {"Content-Type": f"application/json; charset={name}"}
        response = opened.post("/translate", content=body, headers=kind)
    assert response.json() == {"translatedText": "\u00c4"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"source=en&target=de&q=caf%E9"),
        ("application/x-www-form-urlencoded", b"source=en&target=de&q=caf\xe9"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="q"\r\n\r\ncaf\xe9\r\n--x--\r\n',
        ),
    ],
)
def test_a_form_that_is_not_utf_8_is_refused(kind: str, body: bytes) -> None:
    with client() as opened:
        response = opened.post("/translate", content=body, headers={"Content-Type": kind})
    assert response.status_code == 400
    assert response.json() == {"error": "Invalid request: the form is not UTF-8"}


@pytest.mark.parametrize("name", ["formt", "glossary", "Q", "\ud800", "a" * 1000])
def test_an_option_that_nobody_knows_is_refused(name: str) -> None:
    fields: dict[str, Any] = {"q": "a", name: "html"}
    error = refused(400, **fields)
    assert error.startswith("Invalid request: unknown parameter ")
    assert len(error) < 100


@pytest.mark.parametrize("value", ["yes", 2, [], {}, "tru"])
def test_an_option_is_true_or_false(value: Any) -> None:
    assert refused(400, q="a", notes=value) == "Invalid request: notes is neither true nor false"


@pytest.mark.parametrize(
    ("source", "target"), [("EN", "de"), ("en-GB", "DE"), ("en_us", "de-at"), ("eN", "de-CH")]
)
def test_languages_are_known_in_any_case_and_with_a_region(source: str, target: str) -> None:
    assert ask(q="a", source=source, target=target) == {"translatedText": "A"}
    assert ask(q="a", source="AUTO", target=target)["translatedText"] == "A"


def test_another_script_is_another_language() -> None:
    assert refused(400, q="a", source="en-Latn") == "en-Latn is not supported"


@pytest.mark.parametrize("path", ["/languages", "/health", "/nowhere"])
def test_json_answers_name_their_charset(path: str) -> None:
    with client() as opened:
        kind = opened.get(path).headers["content-type"]
    assert kind == "application/json; charset=utf-8"


# The other paths


def test_languages() -> None:
    with client() as opened:
        assert opened.get("/languages").json() == [
            {"code": "en", "name": "English", "targets": ["de"]},
            {"code": "de", "name": "German", "targets": ["en"]},
        ]


def test_a_language_that_is_only_translated_into_is_listed() -> None:
    one_way = FakeTranslator(Direction("en", "de"), Direction("en", "fr"))
    with client(translator=one_way) as opened:
        assert opened.get("/languages").json() == [
            {"code": "en", "name": "English", "targets": ["de", "fr"]},
            {"code": "de", "name": "German", "targets": []},
            {"code": "fr", "name": "French", "targets": []},
        ]


def test_a_direction_that_nobody_knows_goes_by_way_of_a_third_language() -> None:
    german = FakeTranslator(Direction("en", "de"), Direction("de", "en"))
    french = FakeTranslator(Direction("en", "fr"), Direction("fr", "en"))
    app = create_app([german, french], FakeIdentifier(), Settings(log=lambda line: None))
    with TestClient(app) as opened:
        targets = {one["code"]: one["targets"] for one in opened.get("/languages").json()}
        fields = {"alternatives": 1, "alignment": True, "confidence": True, "notes": True}
        response = post_json(
            opened, "/translate", q=["der hund 12", ""], source="de", target="fr", **fields
        )
        found = post_json(opened, "/translate", q=["la vie", "der hund"], source="auto").json()
    assert targets == {"en": ["de", "fr"], "de": ["en", "fr"], "fr": ["en", "de"]}
    assert response.json() == {
        "translatedText": ["DER HUND 12", ""],
        "alternatives": [["DER HUND 12!"], []],
        "alignment": [[[0, 0], [1, 1], [2, 2]], []],
        "confidence": [None, None],
        "notes": [
            [
                "by way of 'en'",
                "into 'en': the number 12 is in it",
                "from 'en': the number 12 is in it",
            ],
            ["by way of 'en'"],
        ],
    }
    assert found["translatedText"] == ["LA VIE", "der hund"]
    ways = [[f"{way}" for way, *_ in one.calls] for one in (german, french)]
    assert ways == [["de-en", "en-de"], ["en-fr", "fr-en"]]


def test_a_direction_that_is_known_takes_one_step() -> None:
    translator = FakeTranslator(
        *(Direction(*way.split("-")) for way in ("de-en", "en-fr", "de-fr"))
    )
    with client(translator=translator) as opened:
        assert post_json(opened, "/translate", q="a", source="de", target="fr").status_code == 200
        refused = post_json(opened, "/translate", q="a", source="fr", target="en")
    assert [str(way) for way, *_ in translator.calls] == ["de-fr"]
    assert "English (en) is not available as a target language" in refused.json()["error"]


def test_detect() -> None:
    with client() as opened:
        assert opened.post("/detect", data={"q": "der hund"}).json() == [
            {"confidence": 90.0, "language": "de"},
            {"confidence": 9.6, "language": "en"},
        ]
        response = opened.post("/detect", json={})
        assert response.json() == {"error": "Invalid request: missing q parameter"}


def test_without_an_identifier_nothing_is_detected() -> None:
    app = create_app([FakeTranslator()], None, Settings(log=lambda line: None))
    with TestClient(app) as opened:
        assert opened.post("/detect", json={"q": "a"}).status_code == 501
        body = {"q": "a", "source": "auto", "target": "de"}
        assert opened.post("/translate", json=body).status_code == 501
        assert opened.get("/frontend/settings").json()["language"]["source"]["code"] == "en"


def test_what_else_clients_of_libretranslate_ask() -> None:
    with client() as opened:
        assert opened.get("/health").json() == {"status": "ok"}
        found = opened.get("/frontend/settings").json()
        assert (found["charLimit"], found["keyRequired"]) == (50_000, False)
        assert found["language"]["source"]["code"] == "auto"
        assert opened.post("/translate_file").status_code == 403
        assert opened.post("/suggest").status_code == 403
        assert opened.get("/nothing").json() == {"error": "Not Found"}
        assert opened.get("/translate").status_code == 405


@pytest.mark.parametrize("path", ["/page", "/page/", "/health/", "/page/nothing", "/page/%00"])
def test_nobody_is_sent_elsewhere(path: str) -> None:
    with client() as opened:
        found = opened.get(path, headers={"Host": "evil.example"}, follow_redirects=False)
    assert (found.status_code, found.json()) == (404, {"error": "Not Found"})


@pytest.mark.parametrize("wanted", ["bytes=abc", "bytes=9999999-", "bytes=0-1"])
def test_the_page_comes_whole(wanted: str) -> None:
    with client() as opened:
        for path in ("/", "/page/page.css"):
            found = opened.get(path, headers={"Range": wanted})
            assert found.status_code == 200
            assert "accept-ranges" not in found.headers
            assert found.text == opened.get(path).text


def test_the_page_has_no_outside_resources_and_no_inline_code() -> None:
    with client() as opened:
        response = opened.get("/")
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "unsafe" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        parts = re.findall(r'(?:src|href)="([^"]+)"', response.text)
        assert {"page/page.js", "page/page.css"} <= {*parts}
        for part in parts:
            found = opened.get(f"/{part}")
            assert found.status_code == 200
            assert not re.search(r"https?:(?!//www\.w3\.org/2000/svg)|url\(.?/|@import", found.text)
    assert not re.search(r"<script>|<style>| style=| on\w+=", response.text)


def test_the_client_libretranslatepy_works() -> None:
    api = pytest.importorskip("libretranslatepy", reason="libretranslatepy is not installed")
    settings = Settings(api_keys=("secret",), log=lambda line: None)
    with live_server(settings) as url:
        translate = api.LibreTranslateAPI(url, api_key="secret")
        assert translate.translate("der Hund\nfür & = ?", "de", "en") == "DER HUND\nFÜR & = ?"
        assert translate.translate("a dog", "auto", "de") == "A DOG"
        assert translate.detect("der Hund")[0] == {"confidence": 90.0, "language": "de"}
        assert [one["code"] for one in translate.languages()] == ["en", "de"]
        with pytest.raises(HTTPError, match="403"):
            api.LibreTranslateAPI(url, api_key="wrong").translate("a", "en", "de")


# Limits and access


def test_limits_of_a_text() -> None:
    limits = Settings(Limits(characters=5, texts=2, body_bytes=100), log=lambda line: None)
    message = "Invalid request: request (6) exceeds text limit (5)"
    assert refused(400, limits, q="123456") == message
    assert refused(400, limits, q=["123", "456"]) == message
    assert refused(400, limits, q=["1", "2", "3"]) == message.replace("6", "3").replace("5", "2")
    assert "100 bytes" in refused(413, limits, q="1" * 100)


def test_a_body_in_pieces_is_not_read_past_its_limit() -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(1000):
            yield b"x" * 50
            given.append(50)

    given: list[int] = []
    settings = Settings(Limits(body_bytes=100), log=lambda line: None)
    with client(settings) as opened:
        assert opened.post("/translate", content=pieces()).status_code == 413


def test_too_many_waiting_requests_are_refused() -> None:
    translator = FakeTranslator()
    translator.gate.clear()
    settings = Settings(Limits(waiting=2), log=lambda line: None)
    with client(settings, translator) as opened, ThreadPoolExecutor(8) as threads:
        body = {"q": "a", "source": "en", "target": "de"}

        def post() -> Any:
            return threads.submit(opened.post, "/translate", json=body)

        first = post()
        until(lambda: len(translator.calls) == 1)
        accepted = [post(), post()]
        until(lambda: waiting_requests(opened) == 2)
        refusal = opened.post("/translate", json=body)
        assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "1")
        translator.gate.set()
        assert all(one.result(TIMEOUT).status_code == 200 for one in (first, *accepted))


class SlowIdentifier(FakeIdentifier):
    """Finds nothing before its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.calls: list[int] = []

    def identify_batch(self, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        """As many calls as there are batches."""
        self.calls.append(len(texts))
        assert self.gate.wait(TIMEOUT)
        return super().identify_batch(texts)


def test_too_many_texts_whose_language_is_asked_are_refused() -> None:
    identifier = SlowIdentifier()
    settings = Settings(Limits(waiting=2), BatchSettings(workers=1), log=lambda line: None)
    with (
        client(settings, identifier=identifier) as opened,
        ThreadPoolExecutor(8) as threads,
    ):
        body = {"q": "der hund", "source": "auto", "target": "en"}
        accepted = [threads.submit(opened.post, "/detect", json=body)]
        until(lambda: identifier.calls == [1])
        accepted += [threads.submit(opened.post, path, json=body) for path in PATHS]
        until(lambda: waiting_requests(opened) == 2)
        for path in PATHS:
            refusal = opened.post(path, json=body)
            assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "1")
        known = opened.post("/translate", json={"q": "a", "source": "en", "target": "de"})
        assert known.status_code == 200  # it does not wait for them
        identifier.gate.set()
        assert all(one.result(TIMEOUT).status_code == 200 for one in accepted)
    assert identifier.calls == [1, 2]


def waiting_requests(opened: TestClient) -> int:
    found = re.search(r"^seq2seq_waiting_requests (\d+)\.0$", opened.get("/metrics").text, re.M)
    assert found
    return int(found[1])


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_translation_that_takes_too_long_is_given_up() -> None:
    translator = FakeTranslator()
    translator.gate.clear()
    settings = Settings(Limits(translate_seconds=0.1), log=lambda line: None)
    with client(settings, translator) as opened:
        body = {"q": "a", "source": "en", "target": "de"}
        response = opened.post("/translate", json=body)
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
        assert response.json() == {"error": "The translation took more than 0.1 seconds"}
        translator.gate.set()


def test_long_work_holds_nobody_else_and_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def busy(ask: Any) -> list[Any]:
        while not ended.is_set():
            pass
        return []

    monkeypatch.setattr("seq2seq.serving.service._divide", busy)
    limits = Limits(translate_seconds=0.2)
    try:
        with client(Settings(limits, log=lambda line: None)) as opened:
            assert post_json(opened, "/translate", q="a").status_code == 503
            assert opened.get("/health").status_code == 200  # while it still works
        # and the server has stopped
    finally:
        ended.set()


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


def test_a_failure_is_that_of_its_request_alone() -> None:
    translator = FakeTranslator()
    translator.gate.clear()
    with client(translator=translator) as opened, ThreadPoolExecutor(8) as threads:

        def post(text: str) -> Any:
            body = {"q": text, "source": "en", "target": "de"}
            return threads.submit(opened.post, "/translate", json=body)

        first = post("first")
        until(lambda: len(translator.calls) == 1)
        others = [post("crash"), post("other")]
        until(lambda: waiting_requests(opened) == 2)
        translator.gate.set()
        assert first.result(TIMEOUT).status_code == 200
        crash, other = (one.result(TIMEOUT) for one in others)
        assert other.json() == {"translatedText": "OTHER"}
        assert (crash.status_code, [*crash.json()]) == (500, ["error"])
        assert "crash" not in crash.text
        assert crash.headers["x-content-type-options"] == "nosniff"


# Batches


def batches(
    settings: BatchSettings, requests: Sequence[tuple[str, Sequence[str]]], capacity: int = 100
) -> list[tuple[str, list[str]]]:
    """What is worked on together when all `requests`, keys and texts, come at once."""

    def work(key: str, texts: Sequence[str], is_wanted: Callable[[], bool]) -> list[str]:
        done.append((key, [*texts]))
        return [f"{key} {text}" for text in texts]

    async def run() -> None:
        batcher = Batcher(work, settings, capacity)
        async with batcher.running():
            found = await asyncio.gather(*(batcher.run(key, texts) for key, texts in requests))
        assert found == [[f"{key} {text}" for text in texts] for key, texts in requests]

    done: list[tuple[str, list[str]]] = []
    asyncio.run(run())
    return done


def test_texts_of_several_requests_are_joined() -> None:
    requests = [("x", ["a"]), ("y", ["b"]), ("x", ["c", "d"]), ("x", []), ("y", ["e"])]
    assert batches(BatchSettings(), requests) == [("x", ["a", "c", "d"]), ("y", ["b", "e"])]


def test_a_batch_is_of_bounded_size() -> None:
    assert batches(BatchSettings(size=1), [("x", ["a", "b"])]) == [("x", ["a"]), ("x", ["b"])]
    long = "l" * 9_000
    found = batches(BatchSettings(), [("x", ["a", long, long, "b"])])
    assert [texts for _, texts in found] == [["a", long], [long, "b"]]


def test_requests_take_turns() -> None:
    many = [str(number) for number in range(20)]
    found = batches(BatchSettings(size=10), [("x", many), ("x", ["a"]), ("y", ["b"])])
    assert [texts for _, texts in found] == [[*many[:8], "a", "8"], ["b"], many[9:19], ["19"]]


def test_without_sharing_a_request_has_its_batch_to_itself() -> None:
    settings = BatchSettings(size=10, is_shared=False)
    many = [str(number) for number in range(20)]
    found = batches(settings, [("x", many), ("x", ["a", "b"]), ("x", ["c"])])
    assert [texts for _, texts in found] == [many[:10], ["a", "b"], ["c"], many[10:]]


def test_what_is_left_of_a_request_that_failed_is_not_worked_on() -> None:
    def work(key: str, texts: Sequence[str], is_wanted: Callable[[], bool]) -> Sequence[str]:
        done.append([*texts])
        if "crash" in texts:
            raise RuntimeError("crash")
        return texts

    async def run() -> None:
        batcher = Batcher(work, BatchSettings(), capacity=2)
        async with batcher.running():
            asked = (batcher.run("x", texts) for texts in (["crash", "a"], ["b"]))
            found = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(found[0], RuntimeError)
        assert found[1] == ["b"]

    done: list[list[str]] = []
    asyncio.run(run())
    assert done == [["crash", "a", "b"], ["crash"], ["b"]]


def test_small_requests_do_not_wait_for_large_ones() -> None:
    def work(key: str, texts: Sequence[str], is_wanted: Callable[[], bool]) -> Sequence[str]:
        if len(texts[0]) > 1:
            begun.set()
            assert gate.wait(TIMEOUT)
        return texts

    async def run() -> None:
        batcher = Batcher(work, BatchSettings(workers=1), capacity=1)
        async with batcher.running():
            large = asyncio.create_task(batcher.run("x", ["l" * 40_000]))
            await asyncio.to_thread(begun.wait, TIMEOUT)
            for _ in range(3):
                assert await batcher.run("x", ["s"]) == ["s"]
            gate.set()
            assert await large == ["l" * 40_000]

    begun, gate = threading.Event(), threading.Event()
    asyncio.run(run())


def test_requests_under_load_are_joined_over_http() -> None:
    translator = FakeTranslator()
    translator.gate.clear()
    with client(translator=translator) as opened, ThreadPoolExecutor(20) as threads:

        def post(text: str) -> Any:
            body = {"q": text, "source": "en", "target": "de"}
            return threads.submit(opened.post, "/translate", json=body)

        answers = [post("first")]
        until(lambda: len(translator.calls) == 1)
        answers += [post(f"text {number}") for number in range(19)]
        until(lambda: waiting_requests(opened) == 19)
        translator.gate.set()
        found = [one.result(TIMEOUT).json()["translatedText"] for one in answers]
    assert found == ["FIRST", *(f"TEXT {number}" for number in range(19))]
    assert [len(texts) for *_, texts in translator.calls] == [1, 19]


def test_what_nobody_waits_for_is_not_begun() -> None:
    def work(key: str, texts: Sequence[str], is_wanted: Callable[[], bool]) -> Sequence[str]:
        done.append([*texts])
        assert gate.wait(TIMEOUT)
        return texts

    async def run() -> None:
        batcher = Batcher(work, BatchSettings(), capacity=1)
        async with batcher.running():
            first = asyncio.create_task(batcher.run("x", ["a"]))
            while not done:
                await asyncio.sleep(0.01)
            second = asyncio.create_task(batcher.run("x", ["b"]))
            await asyncio.sleep(0.01)
            with pytest.raises(RefusedError, match="waiting"):
                await batcher.run("x", ["c"])
            second.cancel()
            await asyncio.wait([second])
            gate.set()
            assert await first == ["a"]
            assert await batcher.run("x", ["d"]) == ["d"]

    gate = threading.Event()
    done: list[list[str]] = []
    asyncio.run(run())
    assert done == [["a"], ["d"]]


# Connections: a real server in a thread


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=TIMEOUT)


def read_all(opened: socket.socket) -> bytes:
    """All until the other side closes."""
    parts = []
    try:
        while part := opened.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


HEAD = b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def with_body(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("length", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_a_body_that_does_not_arrive_in_time_ends_its_connection(length: bytes) -> None:
    settings = Settings(Limits(read_seconds=0.2), log=lambda line: None)
    with live_server(settings) as url, connect(url) as opened:
        opened.sendall(HEAD + length + b"\r\n\r\n1\r\n")
        found = read_all(opened)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 0.2 seconds" in found


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


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


def status_of(url: str) -> int:
    try:
        with urlopen(f"{url}/health", timeout=TIMEOUT) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code


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
        for one in opened:
            found = read_all(one)
            assert found.startswith(b"HTTP/1.1 200 ")
            one.close()


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


def open_later(gate: threading.Event) -> None:
    time.sleep(0.5)
    gate.set()


# The command, as a process


@contextmanager
def process(*arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server, and where it is."""
    command = [sys.executable, "-m", "seq2seq.cli.main", "serve", "-m", str(MODEL)]
    with subprocess.Popen(
        [*command, "--port", "0", "--threads", "1", *arguments],
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


def post(url: str, **fields: Any) -> tuple[int, Any]:
    request = Request(
        f"{url}/translate",
        json.dumps({"source": "en", "target": "de", **fields}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urlopen(request, timeout=TIMEOUT) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_loses_no_request(number: signal.Signals) -> None:
    with process() as (started, url):
        opened = []
        body = json.dumps({"q": "ka lo mi. " * 200, "source": "en", "target": "de"}).encode()
        for _ in range(8):
            opened.append(connect(url))
            opened[-1].sendall(with_body(body))
        assert post(url, q="ka lo")[0] == 200  # so all the others have come
        started.send_signal(number)
        if number == signal.SIGTERM:
            started.send_signal(number)  # a second one does not hurry it
        for one in opened:
            assert b'{"translatedText":' in read_all(one)
            one.close()
        assert started.stderr
        rest = started.stderr.read()
        assert started.wait(TIMEOUT) == (0 if number == signal.SIGTERM else 130)
        assert rest.count("POST /translate 200 ") == 9
        assert "Traceback" not in rest


def test_keys_from_a_file_and_a_variable(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("\ufefffirst\n\n second \n", encoding="utf-8")
    arguments = ("--api-key-file", str(keys), "--no-batching", "--max-characters", "50")
    with process(*arguments, SEQ2SEQ_API_KEY="third") as (_, url):
        for key, status in (("first", 200), ("second", 200), ("third", 200), ("fourth", 403)):
            assert post(url, q="ka lo", api_key=key)[0] == status
        assert post(url, q="ka " * 20, api_key="first")[0] == 400
        named = Request(f"{url}/health", headers={"Host": "evil.example"})
        with pytest.raises(HTTPError, match="403") as error:
            urlopen(named, timeout=TIMEOUT)
        error.value.close()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--port", "99999"], 2, "--port"),
        (["--host", "256.0.0.1"], 1, "cannot listen on 256.0.0.1"),
        (["-m", "nowhere.s2s"], 1, "nowhere.s2s"),
        (["--api-key-file", "/nowhere"], 1, "/nowhere"),
        (["--api-key-file", os.devnull], 2, "there is no key"),
        (["--cors", "example.org"], 2, "--cors example.org: no page has this origin"),
        (["--cors", "https://Example.org/"], 2, "such as https://example.org."),
        (["--cors", "https://example.org:443"], 2, "such as https://example.org."),
        (["--cors", "http://a.org:x"], 2, "no page has this origin"),
        (["--cors", "null"], 2, "no page has this origin"),
    ],
)
def test_a_wrong_option_is_told(arguments: list[str], code: int, message: str) -> None:
    command = [sys.executable, "-m", "seq2seq.cli.main", "serve", "--port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("key", ["", " ", "\n", "a\x07b"])
def test_a_variable_without_a_key_does_not_open_the_server(key: str) -> None:
    command = [sys.executable, "-m", "seq2seq.cli.main", "serve", "--port", "0"]
    environment = os.environ | {"SEQ2SEQ_API_KEY": key}
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=environment)
    assert done.returncode == 2
    assert "SEQ2SEQ_API_KEY" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("given", ["*", "http://localhost", "https://a.b:8080", "http://[::1]:81"])
def test_an_origin_is_taken_as_browsers_write_it(given: str) -> None:
    assert _origin(given) == given


def test_an_extra_that_is_missing_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SystemExit, match="1"):
        serve()
    message = "seq2seq: serve needs uvicorn: pip install 'seq2seq[serve]'\n"
    assert capsys.readouterr().err == message


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "seq2seq.cli.main", "serve", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1, port {port}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_first_translator_of_a_direction_has_it() -> None:
    one = FakeTranslator(Direction("en", "de"))
    other = FakeTranslator(Direction("en", "de"), Direction("en", "fr"))
    app = create_app([one, other], FakeIdentifier(), Settings(log=lambda line: None))
    with TestClient(app) as opened:
        for target in ("de", "fr"):
            assert post_json(opened, "/translate", q="a", target=target).status_code == 200
        [languages] = [x for x in opened.get("/languages").json() if x["code"] == "en"]
    assert languages["targets"] == ["de", "fr"]
    assert [call[0] for call in one.calls] == [Direction("en", "de")]
    assert [call[0] for call in other.calls] == [Direction("en", "fr")]
