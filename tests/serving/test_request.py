"""What a request may look like, and how it is refused otherwise."""

from typing import Any

import pytest
from helpers.serving import client, refused

from seq2seq.serving.app import Settings
from seq2seq.serving.middleware import Limits


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


def test_limits_of_a_text() -> None:
    limits = Settings(Limits(characters=5, texts=2, body_bytes=100), log=lambda line: None)
    message = "Invalid request: request (6) exceeds text limit (5)"
    assert refused(400, limits, q="123456") == message
    assert refused(400, limits, q=["123", "456"]) == message
    assert refused(400, limits, q=["1", "2", "3"]) == message.replace("6", "3").replace("5", "2")
    assert "100 bytes" in refused(413, limits, q="1" * 100)
