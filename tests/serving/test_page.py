"""The page, in a real browser: Chromium, through Playwright.

To see it: `SEQ2SEQ_SCREENSHOTS=folder pytest tests/serving/test_page.py`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from helpers.browser import CONTRAST, IN_A_BROWSER, UNNAMED, open_tab
from helpers.serving import FakeTranslator, live_server

from seq2seq.config.model_config import Direction
from seq2seq.serving.app import Settings
from seq2seq.serving.middleware import Limits
from seq2seq.translation.translator import Translator

if TYPE_CHECKING:
    from playwright.sync_api import Page

GOLDEN = Path(__file__).parents[1] / "golden" / "int8"
SCREENSHOTS = os.environ.get("SEQ2SEQ_SCREENSHOTS")

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
def tab() -> "Iterator[Page]":
    """Open a tab for all tests: each has a server of its own, and so a page with no past."""
    with open_tab() as opened:
        yield opened


@pytest.fixture
def translator() -> FakeTranslator:
    return FakeTranslator()


@pytest.fixture
def url(translator: FakeTranslator) -> Iterator[str]:
    with live_server(Settings(log=lambda line: None), translator) as found:
        yield found


@pytest.fixture
def page(tab: "Page", url: str) -> "Iterator[Page]":
    with visit(tab, url) as visited:
        yield visited


@contextmanager
def visit(tab: "Page", url: str) -> "Iterator[Page]":
    """Load the page, and check that it asks no other server and raises no error."""
    wrong: list[str] = []

    def on_error(error: Any) -> None:
        wrong.append(str(error))

    def on_request(request: Any) -> None:
        if not request.url.startswith(url):
            wrong.append(request.url)

    tab.on("pageerror", on_error)
    tab.on("request", on_request)
    tab.goto(url)
    tab.wait_for_selector("#target option", state="attached")
    try:
        yield tab
    finally:
        tab.remove_listener("pageerror", on_error)
        tab.remove_listener("request", on_request)
        tab.goto("about:blank")  # so that nothing asks a server that is gone
    assert wrong == []


def wait_for(page: "Page", text: str) -> None:
    page.wait_for_function(
        "text => document.querySelector('#translation').innerText === text", arg=text
    )


def test_what_is_typed_is_translated(page: "Page") -> None:
    assert page.evaluate("document.activeElement.id") == "text"  # one can type at once
    page.keyboard.type("a house\n\na cat")
    wait_for(page, "A HOUSE\n\nA CAT")
    assert page.input_value("#source") == "auto"
    assert page.inner_text("#source option[value=auto]") == "Auto: English"
    assert page.inner_text("#percent") == "75%"
    assert page.locator("#alternatives li").all_inner_texts() == [
        "A HOUSE!\n\nA CAT!",
        "A HOUSE!!\n\nA CAT!!",
    ]
    page.fill("#text", "")
    wait_for(page, "")
    assert page.is_hidden("#sure")
    assert page.is_hidden("#others")


def test_a_pause_is_waited_for(page: "Page", translator: FakeTranslator) -> None:
    page.keyboard.type("several words", delay=10)
    wait_for(page, "SEVERAL WORDS")
    assert len(translator.calls) < 4


def test_an_answer_that_comes_late_is_not_shown(page: "Page", translator: FakeTranslator) -> None:
    translator.gate.clear()
    page.fill("#text", "first")
    page.wait_for_selector("#translation[aria-busy=true]")
    page.fill("#text", "second")
    page.wait_for_timeout(500)
    translator.gate.set()
    wait_for(page, "SECOND")
    page.wait_for_timeout(200)
    assert page.inner_text("#translation") == "SECOND"


def test_languages_are_chosen_and_exchanged(page: "Page", translator: FakeTranslator) -> None:
    page.select_option("#source", "de")
    assert page.input_value("#target") == "en"
    page.fill("#text", "ein haus")
    wait_for(page, "EIN HAUS")
    assert translator.calls[-1][0] == Direction("de", "en")
    page.click("#swap")
    assert (page.input_value("#source"), page.input_value("#target")) == ("en", "de")
    assert page.input_value("#text") == "EIN HAUS"
    page.wait_for_selector("#translation:not([aria-busy])")
    assert translator.calls[-1][0] == Direction("en", "de")


def test_a_direction_that_is_not_there_is_not_offered(tab: "Page") -> None:
    one_way = FakeTranslator(Direction("en", "de"))
    with live_server(Settings(log=lambda line: None), one_way) as url, visit(tab, url) as page:
        assert page.locator("#target option").all_inner_texts() == ["German"]
        page.fill("#text", "a")
        wait_for(page, "A")
        assert page.is_disabled("#swap")


def test_a_language_that_is_only_translated_into_is_no_source(tab: "Page") -> None:
    one_way = FakeTranslator(Direction("en", "de"), Direction("en", "fr"), Direction("fr", "en"))
    with live_server(Settings(log=lambda line: None), one_way) as url, visit(tab, url) as page:
        sources = page.locator("#source option").all_inner_texts()
        assert sources == ["Automatic", "English", "French"]
        page.select_option("#source", "en")
        assert page.locator("#target option").all_inner_texts() == ["German", "French"]


def test_notes_are_under_the_translation(page: "Page") -> None:
    page.fill("#text", "12 cats\n7 dogs")
    wait_for(page, "12 CATS\n7 DOGS")
    notes = page.locator("#notes li")
    assert notes.all_text_contents() == ["the number 12 is in it", "the number 7 is in it"]
    page.fill("#text", "cats")
    wait_for(page, "CATS")
    assert notes.count() == 0


def test_a_text_that_is_too_long_is_told_and_not_cut(
    tab: "Page", translator: FakeTranslator
) -> None:
    settings = Settings(Limits(characters=1_000), log=lambda line: None)
    with live_server(settings, translator) as url, visit(tab, url) as page:
        page.fill("#text", "\N{CAT}" * 1_000)  # which are twice as many to the browser
        wait_for(page, "\N{CAT}" * 1_000)
        calls = len(translator.calls)
        page.fill("#text", "a" * 1_234)
        page.wait_for_selector("#error:visible")
        assert "1,234 / 1,000 characters" in page.inner_text("#error")
        assert page.inner_text("#count") == "1,234 / 1,000 characters"
        assert len(page.input_value("#text")) == 1_234
        assert page.inner_text("#translation") == ""
        assert len(translator.calls) == calls
        page.fill("#text", "again")
        wait_for(page, "AGAIN")
        assert page.is_hidden("#error")
        assert page.inner_text("#count") == "5 characters"


def test_words_tell_what_they_come_from(page: "Page") -> None:
    page.fill("#text", "one, two\nthree four")
    wait_for(page, "ONE, TWO\nTHREE FOUR")
    page.hover(".word >> nth=2")
    assert page.inner_text("#word") == "THREE ← three"
    assert page.locator("mark").all_inner_texts() == ["three"]
    page.hover("h1")
    assert page.inner_text("#word") == ""
    assert page.locator("mark").count() == 0


def test_the_keyboard_goes_everywhere(page: "Page") -> None:
    page.keyboard.type("one two")
    wait_for(page, "ONE TWO")
    places = []
    for _ in range(4):
        page.keyboard.press("Tab")
        places.append(page.evaluate("document.activeElement.id"))
    assert places == ["choose", "clear", "translation", "copy"]
    page.keyboard.press("Shift+Tab")
    assert page.inner_text("#word") == "ONE ← one"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#word") == "TWO ← two"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#word") == "TWO ← two"
    page.keyboard.press("Home")
    assert page.inner_text("#word") == "ONE ← one"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"


def test_everything_has_a_name_for_a_screen_reader(page: "Page") -> None:
    assert page.evaluate(UNNAMED) == []
    assert page.get_attribute("#translation", "aria-live") == "polite"
    assert page.get_attribute("#error", "role") == "alert"
    assert page.get_attribute("html", "lang") == "en"


def test_how_a_sentence_was_translated_is_asked_for_when_it_is_opened(tab: "Page") -> None:
    asked: list[str] = []
    with (
        live_server(Settings(log=asked.append), Translator(GOLDEN, 1)) as url,
        visit(tab, url) as page,
    ):
        page.fill("#text", "The dog sees the mouse. The cat sleeps.")
        page.wait_for_selector("#how:visible")
        assert not any("/explain" in line for line in asked)
        page.click("#how summary")
        frame = page.locator("#steps iframe")
        frame.scroll_into_view_if_needed(timeout=60_000)  # or it is not drawn
        steps = page.frame_locator("#steps iframe")
        steps.get_by_text("Step 1 of").wait_for(timeout=60_000)
        assert steps.locator("h1").inner_text() == "The dog sees the mouse."
        steps.locator("#next").click()
        steps.get_by_text("Step 2 of").wait_for()
        page.wait_for_function("document.querySelector('#steps iframe').offsetHeight > 700")
        page.select_option("#sentence", "2")
        steps.get_by_text("The cat sleeps.").first.wait_for()
        if SCREENSHOTS:
            page.screenshot(path=f"{SCREENSHOTS}/how.png", full_page=True)
        page.fill("#text", "the cat")
        page.wait_for_selector("#how:not([open])", state="attached")
        assert frame.count() == 0


def test_what_the_server_refuses_is_told(page: "Page", translator: FakeTranslator) -> None:
    page.fill("#text", "crash")
    page.wait_for_selector("#error:visible")
    assert "Cannot translate" in page.inner_text("#error")
    page.fill("#text", "again")
    wait_for(page, "AGAIN")
    assert page.is_hidden("#error")


def test_an_api_key_can_be_typed(tab: "Page") -> None:
    settings = Settings(api_keys=("secret",), log=lambda line: None)
    with live_server(settings) as url, visit(tab, url) as page:
        page.fill("#text", "a")
        page.wait_for_selector("#error:visible")
        page.fill("#key", "secret")
        wait_for(page, "A")


def test_text_is_text_and_not_markup(page: "Page") -> None:
    page.fill("#text", "<img src=x onerror=alert(1)> a")
    page.wait_for_selector(".word")
    assert page.locator("main img").count() == 0


@pytest.mark.parametrize(  # no colour depends on the width
    ("width", "scheme"), [(320, "light"), (390, "dark"), (1100, "light")]
)
def test_it_fits_and_can_be_read(tab: "Page", width: int, scheme: Literal["light", "dark"]) -> None:
    settings = Settings(Limits(characters=5_000), log=lambda line: None)
    height = 800
    tab.set_viewport_size({"width": width, "height": height})
    tab.emulate_media(color_scheme=scheme)
    with live_server(settings) as url, visit(tab, url) as page:
        page.fill("#text", f"Where is the station?\n{'long' * 40} {'12' * 40} 7")
        page.wait_for_selector(".word")
        page.hover(".word")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for button in page.locator("button:visible, select:visible").all():
            box = button.bounding_box()
            assert box
            assert box["height"] >= 36  # for a thumb
        for selector in (
            "#text",
            "#translation",
            "#notes li",
            "#word",
            "#count",
            "footer p",
            "label",
        ):
            assert page.evaluate(CONTRAST, selector) >= 4.5, selector
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{SCREENSHOTS}/{scheme}-{width}.png", full_page=True)
        page.fill("#text", "long " * 1_001)
        page.wait_for_selector("#error:visible")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        error = page.locator("#error").bounding_box()
        assert error
        assert error["y"] + error["height"] <= height  # in sight, though the text is not
        for selector in ("#error", "#count"):
            assert page.evaluate(CONTRAST, selector) >= 4.5, selector
        if SCREENSHOTS:
            page.screenshot(path=f"{SCREENSHOTS}/{scheme}-{width}-over.png")


# Files


def test_a_file_that_is_chosen_or_dropped_comes_back_translated(page: "Page") -> None:
    def fetched() -> str:
        with page.expect_download() as download:
            page.get_by_role("link", name="note.html").click()
        return Path(download.value.path()).read_text()

    markup = "<p>a <b>house</b></p>"
    data = {"name": "note.html", "mimeType": "text/html", "buffer": markup.encode()}
    page.locator("#file").set_input_files(data)  # type: ignore[arg-type]
    assert fetched() == "<p>A <b>HOUSE</b></p>"
    page.evaluate(
        """(markup) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([markup], "note.html"));
            document.querySelector("#file-note").replaceChildren();
            document.querySelector("main").dispatchEvent(
                new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
        }""",
        markup,
    )
    assert fetched() == "<p>A <b>HOUSE</b></p>"


def test_a_file_of_an_unknown_format_is_told(page: "Page") -> None:
    data = {"name": "note.xyz", "mimeType": "text/plain", "buffer": b"a house"}
    page.locator("#file").set_input_files(data)  # type: ignore[arg-type]
    page.get_by_text("file format not supported").wait_for()


# The page of the API


def test_the_api_is_shown_and_can_be_tried(tab: "Page", url: str) -> None:
    tab.goto(f"{url}/docs")
    tab.locator("details form button").first.wait_for()
    assert tab.locator("details").count() >= 10
    assert f"curl {url}/translate -d 'q=Where is the station?'" in tab.inner_text("details pre")
    tab.locator("details form button").first.click()
    tab.get_by_text('"translatedText": "WHERE').wait_for()
    for width in (1000, 390):
        for scheme in ("light", "dark"):
            tab.set_viewport_size({"width": width, "height": 800})
            tab.emulate_media(color_scheme=scheme)
            overflow = "document.documentElement.scrollWidth - innerWidth"
            assert tab.evaluate(overflow) <= 0, width
            if SCREENSHOTS:
                tab.screenshot(path=f"{SCREENSHOTS}/api-{scheme}-{width}.png")
    tab.goto("about:blank")
