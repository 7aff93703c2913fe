"""The answers to LibreTranslate's requests: translation, detection, languages, the page."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError

import pytest
from helpers.serving import (
    TIMEOUT,
    FakeIdentifier,
    FakeTranslator,
    ask,
    client,
    live_server,
    post_json,
    refused,
    until,
    waiting_requests,
)
from starlette.testclient import TestClient

from seq2seq.config.model_config import Direction
from seq2seq.serving.app import Settings, create_app
from seq2seq.serving.middleware import Limits
from seq2seq.translation.router import Router


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
    assert [detection["language"] for detection in found["detectedLanguage"]] == ["en", "de"]
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


def test_a_direction_that_nobody_knows_is_translated_through_a_third_language() -> None:
    german = FakeTranslator(Direction("en", "de"), Direction("de", "en"))
    french = FakeTranslator(Direction("en", "fr"), Direction("fr", "en"))
    app = create_app(Router([german, french]), FakeIdentifier(), Settings(log=lambda line: None))
    with TestClient(app) as opened:
        targets = {entry["code"]: entry["targets"] for entry in opened.get("/languages").json()}
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
                "translated through 'en'",
                "into 'en': the number 12 is in it",
                "from 'en': the number 12 is in it",
            ],
            ["translated through 'en'"],
        ],
    }
    assert found["translatedText"] == ["LA VIE", "der hund"]
    ways = [[f"{way}" for way, *_ in translator.calls] for translator in (german, french)]
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


def test_the_first_translator_of_a_direction_has_it() -> None:
    first = FakeTranslator(Direction("en", "de"))
    second = FakeTranslator(Direction("en", "de"), Direction("en", "fr"))
    app = create_app(Router([first, second]), FakeIdentifier(), Settings(log=lambda line: None))
    with TestClient(app) as opened:
        for target in ("de", "fr"):
            assert post_json(opened, "/translate", q="a", target=target).status_code == 200
        [languages] = [x for x in opened.get("/languages").json() if x["code"] == "en"]
    assert languages["targets"] == ["de", "fr"]
    assert [call[0] for call in first.calls] == [Direction("en", "de")]
    assert [call[0] for call in second.calls] == [Direction("en", "fr")]


def test_detect() -> None:
    with client() as opened:
        assert opened.post("/detect", data={"q": "der hund"}).json() == [
            {"confidence": 90.0, "language": "de"},
            {"confidence": 9.6, "language": "en"},
        ]
        response = opened.post("/detect", json={})
        assert response.json() == {"error": "Invalid request: missing q parameter"}


def test_without_an_identifier_nothing_is_detected() -> None:
    app = create_app(Router([FakeTranslator()]), None, Settings(log=lambda line: None))
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


@pytest.mark.parametrize(
    ("page", "own"),
    [("/", {"page/page.js", "page/page.css"}), ("/docs", {"page/api.js", "page/page.css"})],
)
def test_a_page_has_no_outside_resources_and_no_inline_code(page: str, own: set[str]) -> None:
    with client() as opened:
        response = opened.get(page)
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "unsafe" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        parts = re.findall(r'(?:src|href)="([^"]+)"', response.text)
        assert own <= {*parts}
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
        assert [detection["code"] for detection in translate.languages()] == ["en", "de"]
        with pytest.raises(HTTPError, match="403"):
            api.LibreTranslateAPI(url, api_key="wrong").translate("a", "en", "de")


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
        crash, other = (future.result(TIMEOUT) for future in others)
        assert other.json() == {"translatedText": "OTHER"}
        assert (crash.status_code, [*crash.json()]) == (500, ["error"])
        assert "crash" not in crash.text
        assert crash.headers["x-content-type-options"] == "nosniff"
