"""`POST /explain`: the page that steps through a sentence, and when there is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.serving import FakeIdentifier, FakeTranslator, client, post_json
from starlette.testclient import TestClient

from seq2seq.config.model_config import Direction
from seq2seq.serving.app import Settings, create_app
from seq2seq.translation.router import Router
from seq2seq.translation.translator import Translator

MODEL = Path(__file__).parents[1] / "golden" / "int8"


@contextmanager
def server(**settings: tuple[str, ...]) -> Iterator[TestClient]:
    used = Settings(log=lambda line: None, **settings)  # type: ignore[arg-type]
    with TestClient(create_app(Router([Translator(MODEL, 1)]), FakeIdentifier(), used)) as opened:
        yield opened


@pytest.fixture(scope="module")
def opened() -> Iterator[TestClient]:
    with server() as found:
        yield found


def test_each_sentence_of_a_text_has_its_page(opened: TestClient) -> None:
    text = "the dog sees the mouse. A <script>cat</script>."
    answers = [post_json(opened, "/explain", q=text, sentence=n).json() for n in (1, 2)]
    assert [*answers[0]] == ["sentences", "page"]
    assert answers[0]["sentences"] == ["the dog sees the mouse.", "A <script>cat</script>."]
    assert "<title>the dog sees the mouse. – int8</title>" in answers[0]["page"]
    assert "<title>A &lt;script&gt;cat" in answers[1]["page"]
    assert "<script>cat" not in answers[1]["page"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"q": "the dog", "sentence": 2}, "There is no sentence 2"),
        ({"q": "the dog", "sentence": "x"}, "sentence is not a number"),
        ({"q": " "}, "There is no sentence 1"),
        ({"q": ["the dog"]}, "q is not a string"),
        ({"q": "dog " * 2000}, "the sentence is too long"),
        ({"q": "the dog", "target": "fi"}, "fi is not supported"),
    ],
)
def test_what_cannot_be_explained_is_told(
    opened: TestClient, fields: dict[str, object], message: str
) -> None:
    response = post_json(opened, "/explain", **fields)
    assert response.status_code == 400
    assert message in response.json()["error"]


def test_a_pivot_translation_and_one_without_a_model_have_no_page() -> None:
    ways = FakeTranslator(Direction("de", "en"), Direction("en", "fr"))
    with client(translator=ways) as opened:
        pivot = post_json(opened, "/explain", q="a", source="de", target="fr")
        assert pivot.status_code == 400
        assert "in two steps, through English" in pivot.json()["error"]
        assert post_json(opened, "/explain", q="a", source="de", target="en").status_code == 501


def test_a_key_is_asked_for() -> None:
    with server(api_keys=("secret",)) as opened:
        assert post_json(opened, "/explain", q="the dog").status_code in (400, 403)
        assert post_json(opened, "/explain", q="the dog", api_key="secret").status_code == 200
