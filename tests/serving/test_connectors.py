"""Programs of translators ask as they do: the requests of Weblate and of OmegaT's plugin.

Weblate 5.14 sends lists of texts as JSON, with a key that is "" where none is set, and takes the
reason of a refusal from the field `error`. omegat-libre-translate sends a form for each text, and
knows no keys.
"""

from typing import Any

import pytest
from helpers.serving import client
from starlette.testclient import TestClient

from seq2seq.serving.app import Settings

WEBLATE = {
    "Referer": "https://weblate.example.org",
    "Accept": "application/json; charset=utf-8",
    "User-Agent": "Weblate/5.14.3",
}
JAVA = {
    "Accept": "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
    "User-Agent": "Java/17.0.9",
    "Content-Type": "application/x-www-form-urlencoded",
}


def weblate(opened: TestClient, texts: list[str], key: str = "", target: str = "de") -> Any:
    body = {"api_key": key, "q": texts, "source": "en", "target": target}
    return opened.post("/translate", json=body, headers=WEBLATE)


def test_weblate_accepts_the_server_when_it_is_configured() -> None:
    with client() as opened:
        languages = opened.get("/languages", headers=WEBLATE).json()
        assert [language["code"] for language in languages] == ["en", "de"]
        assert weblate(opened, ["test"]).json() == {"translatedText": ["TEST"]}


def test_weblate_gets_a_translation_for_each_text_of_a_batch() -> None:
    texts = ["Hello, %s!", "", "One\n\nTwo", 'a "b" & <b>c</b>', "Hello, %s!"]
    with client() as opened:
        translations = weblate(opened, texts).json()["translatedText"]
    assert len(translations) == len(texts)
    assert translations[1:4] == ["", "ONE\n\nTWO", 'A "B" & <b>C</b>']
    assert translations[0] == translations[4]


@pytest.mark.parametrize(("key", "status"), [("", 400), ("wrong", 403), ("secret", 200)])
def test_weblate_is_told_what_is_wrong_with_its_key(key: str, status: int) -> None:
    settings = Settings(api_keys=("secret",), log=lambda line: None)
    with client(settings) as opened:
        answer = weblate(opened, ["test"], key)
    assert answer.status_code == status
    assert status == 200 or "API key" in answer.json()["error"]


@pytest.mark.parametrize("target", ["fi", "zh-Hans"])
def test_weblate_is_told_that_a_language_is_not_there(target: str) -> None:
    with client() as opened:
        answer = weblate(opened, ["test"], target=target)
    assert answer.status_code == 400
    assert answer.json() == {"error": f"{target} is not supported"}


def test_weblate_may_name_a_region() -> None:
    with client() as opened:
        assert weblate(opened, ["test"], target="de-AT").json() == {"translatedText": ["TEST"]}


def test_omegat_gets_the_translation_of_a_segment_with_its_tags() -> None:
    form = "q=The+%3Cf0%3Ered%3C%2Ff0%3E+dog+%26+caf%C3%A9%3Cbr1%2F%3E&source=en&target=de"
    with client() as opened:
        answer = opened.post("/translate", content=form, headers=JAVA)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == {"translatedText": "THE <f0>RED</f0> DOG & CAFÉ<br1/>"}


def test_omegat_is_told_that_a_language_is_not_there() -> None:
    with client() as opened:
        answer = opened.post("/translate", content="q=a&source=en&target=fi", headers=JAVA)
    assert (answer.status_code, answer.json()) == (400, {"error": "fi is not supported"})
