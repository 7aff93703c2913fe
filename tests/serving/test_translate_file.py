"""Documents over HTTP: `/translate_file` and `/download_file`, as LibreTranslate has them."""

import io
from pathlib import Path
from typing import Any

import pytest
from helpers.serving import ask, client
from starlette.testclient import TestClient

from seq2seq.errors import UsageError
from seq2seq.serving import file_store
from seq2seq.serving.app import Settings
from seq2seq.serving.file_store import FileStore, safe_name
from seq2seq.serving.middleware import Limits
from seq2seq.serving.openapi import description
from seq2seq.serving.suggestions import Suggestions

PAGE = b"<p title='a b'>one <b>two</b></p><pre>x</pre>"


def post(opened: TestClient, name: str, data: bytes, **fields: str) -> Any:
    fields = {"source": "en", "target": "de", **fields}
    return opened.post("/translate_file", data=fields, files={"file": (name, io.BytesIO(data))})


def settings(log: list[str] | None = None, **limits: Any) -> Settings:
    return Settings(Limits(**limits), log=(log if log is not None else []).append)


def translated(name: str, data: bytes, **fields: str) -> bytes:
    with client() as opened:
        answer = post(opened, name, data, **fields)
        assert answer.status_code == 200, answer.text
        url = answer.json()["translatedFileUrl"]
        assert url.startswith("http://testserver/download_file/")
        return opened.get(url).content


def refusal(status: int, name: str, data: bytes, used: Settings | None = None, **f: str) -> str:
    with client(used) as opened:
        answer = post(opened, name, data, **f)
    assert answer.status_code == status
    return str(answer.json()["error"])


def test_a_document_is_translated_and_fetched_as_an_attachment() -> None:
    log = list[str]()
    with client(settings(log)) as opened:
        url = post(opened, "my page.html", PAGE).json()["translatedFileUrl"]
        found = opened.get(url)
        assert opened.get(url).content == found.content  # it may be fetched again
    assert found.content == b"<p title='A B'>ONE <b>TWO</b></p><pre>x</pre>"
    assert found.headers["content-disposition"] == "attachment; filename*=UTF-8''my_page.html"
    assert found.headers["content-type"] == "application/octet-stream"
    assert found.headers["cache-control"] == "no-store"
    assert not any("page" in line for line in log)  # neither names nor texts


def test_the_language_of_a_document_is_identified() -> None:
    assert translated("a.txt", b"der hund\n", source="auto", target="en") == b"DER HUND\n"
    assert translated("a.txt", b"der hund\n", source="auto") == b"der hund\n"  # in German already
    assert translated("a.txt", b"12\n", source="auto") == b"12\n"
    assert translated("a.txt", b"a dog\n", source="de") == b"a dog\n"
    assert "give its source" in refusal(400, "a.txt", b"xyzzy", source="auto")


def test_a_text_with_a_limit_gets_a_candidate_that_keeps_it() -> None:
    xliff = (
        b'<xliff version="1.2"><file source-language="en" target-language="de"><body>'
        b'<trans-unit id="1" maxwidth="5" size-unit="char"><source>a b</source></trans-unit>'
        b"</body></file></xliff>"
    )
    assert b">A B</target>" in translated("a.xlf", xliff)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.xyz", b"text", "file format not supported"),
        ("a.docx", b"text", "the file is not a valid zip file"),
        ("a.html", b"caf\xe9", "not UTF-8"),
        ("a.txt", b"", "empty file"),
        ("a.txt", b"x" * 31, "request (31) exceeds text limit (30)"),
    ],
)
def test_what_is_no_document_is_refused(name: str, data: bytes, message: str) -> None:
    assert message in refusal(400, name, data, settings(characters=30))


def test_languages_that_are_not_there_are_refused() -> None:
    assert refusal(400, "a.txt", b"text", target="fi") == "fi is not supported"
    assert "missing target" in refusal(400, "a.txt", b"text", target="")


def test_limits_and_keys_hold_for_documents() -> None:
    assert "exceeds 9 bytes" in refusal(413, "a.txt", b"x" * 10, settings(file_bytes=9))
    assert "disabled" in refusal(403, "a.txt", b"text", settings(file_bytes=0))
    secret = Settings(api_keys=("secret",), log=lambda line: None)
    assert "API key" in refusal(400, "a.txt", b"text", secret)
    with client(secret) as opened:
        assert post(opened, "a.txt", b"text", api_key="secret").status_code == 200
        assert opened.post("/translate_file", data={"file": "x"}).status_code == 400


def test_no_more_documents_than_allowed_are_translated_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("seq2seq.serving.app.MOST_AT_ONCE", 0)
    assert "Too many files" in refusal(503, "a.txt", b"text")


@pytest.mark.parametrize("name", ["nothing", "..%2f..%2fetc%2fpasswd", "%00", "%2e%2e"])
def test_nothing_else_can_be_fetched(name: str) -> None:
    with client() as opened:
        assert opened.get(f"/download_file/{name}").status_code == 404


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\docs\\report.docx", "report.docx"),
        ("naïve – «x»\n.txt", "naïve_x_.txt"),
        (".htaccess", "htaccess"),
        ("/", "file"),
        ("a" * 100 + ".txt", "a" * 76 + ".txt"),
    ],
)
def test_a_name_keeps_its_last_part_and_no_unusual_characters(given: str, kept: str) -> None:
    assert safe_name(given) == kept


def test_files_are_forgotten_after_some_time_and_the_oldest_where_they_are_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(file_store, "_MOST_BYTES", 10)
    store = FileStore(clock=lambda: now)
    first, second = store.put("a.txt", b"12345"), store.put("a.txt", b"67890")
    assert first != second
    assert (store.get(first), store.get(second)) == (b"12345", b"67890")
    third = store.put("b.txt", b"x")
    assert (store.get(first), store.get(second), store.get(third)) == (None, b"67890", b"x")
    now = 601.0
    assert (store.get(second), store.get(third)) == (None, None)


# Suggestions


def test_suggestions_are_appended_with_their_languages(tmp_path: Path) -> None:
    path = tmp_path / "s.tsv"
    used = Settings(suggestions=Suggestions(path), log=lambda line: None)
    given = {"q": "Save\tit\n", "s": "Speichern", "source": "en", "target": "de"}
    with client(used) as opened:
        assert opened.post("/suggest", data=given).json() == {"success": True}
        assert opened.post("/suggest", json={**given, "q": "é"}).json() == {"success": True}
        assert opened.post("/suggest", json={**given, "s": ""}).status_code == 400
        assert opened.post("/suggest", json={**given, "s": ["x"]}).status_code == 400
        assert opened.post("/suggest", json={**given, "target": "fi"}).status_code == 400
        assert opened.post("/suggest", json={**given, "s": "x" * 50_001}).status_code == 400
        assert opened.get("/frontend/settings").json()["suggestions"] is True
    lines = "Save it\tSpeichern\ten\tde\né\tSpeichern\ten\tde\n"
    assert path.read_text(encoding="utf-8") == lines


def test_suggestions_are_refused_where_no_file_takes_them(tmp_path: Path) -> None:
    with client() as opened:
        assert opened.post("/suggest", data={"q": "a", "s": "b"}).status_code == 403
    with pytest.raises(UsageError, match="cannot be written"):
        Suggestions(tmp_path / "nowhere" / "s.tsv")


def test_a_full_file_takes_no_more_suggestions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seq2seq.serving.suggestions._MOST_BYTES", 15)
    path = tmp_path / "s.tsv"
    used = Settings(suggestions=Suggestions(path), log=lambda line: None)
    given = {"q": "a", "s": "b", "source": "en", "target": "de"}
    with client(used) as opened:
        assert opened.post("/suggest", data=given).status_code == 200
        assert opened.post("/suggest", data=given).status_code == 403
    assert path.read_bytes() == b"a\tb\ten\tde\n"


# Description


def test_the_description_has_every_path() -> None:
    with client() as opened:
        described = opened.get("/openapi.json").json()
        kept = opened.get("/frontend/settings").json()["supportedFilesFormat"]
        for path, operations in described["paths"].items():
            for method in operations:
                status = opened.request(method, path).status_code
                assert status != 405, path
                assert status != 404 or "{" in path, path
    assert described["openapi"].startswith("3.")
    assert described["paths"].keys() == {
        "/", "/translate", "/translate_file", "/download_file/{name}", "/detect", "/suggest",
        "/languages", "/frontend/settings", "/health", "/metrics", "/openapi.json",
        "/docs", "/explain",
    }  # fmt: skip
    assert {".txt", ".docx", ".xml"} <= {*kept}


@pytest.mark.parametrize("texts", ["a 1", ["a 1", "b"]])
def test_the_description_has_every_field_of_a_translation(texts: str | list[str]) -> None:
    wishes = dict.fromkeys(("alignment", "confidence", "notes"), True)
    answer = ask(q=texts, source="auto", alternatives=2, **wishes)
    operation = description()["paths"]["/translate"]["post"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert [*answer] == [*schema["properties"]]
    assert schema["required"] == ["translatedText"]
    for name, value in answer.items():
        assert fits(value, schema["properties"][name]), name


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is as a schema says, of what our description has of JSON schema."""
    if "anyOf" in schema:
        return any(fits(value, choice) for choice in schema["anyOf"])
    if value is None:
        return schema.get("nullable", False) is True
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "array": list,
        "object": dict,
    }
    if not isinstance(value, kinds[schema["type"]]):
        return False
    if isinstance(value, list):
        return all(fits(item, schema["items"]) for item in value)
    if isinstance(value, dict):
        properties = schema["properties"]
        return value.keys() == properties.keys() and all(
            fits(item, properties[name]) for name, item in value.items()
        )
    return True
