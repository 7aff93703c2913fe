"""The page that steps through a sentence, in a real browser.

To see it: `SEQ2SEQ_SCREENSHOTS=folder pytest -m slow tests/inspection/test_sentence_page.py`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from helpers.browser import CONTRAST, IN_A_BROWSER, UNNAMED, open_browser

from seq2seq.inspection.loading import open_model
from seq2seq.inspection.sentence_steps import SentenceSteps, sentence_steps

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = IN_A_BROWSER

MODEL = Path(__file__).parents[1] / "golden" / "int8"
SENTENCE = "the dog sees the mouse"
HOSTILE = "the <script>alert(1)</script> </script><!-- {{data}} dog & cat"
LEGIBLE = 11 * 96 / 72
"""Pixels: 11 points."""

SCREENSHOTS = os.environ.get("SEQ2SEQ_SCREENSHOTS")


@cache
def steps_of(sentence: str) -> SentenceSteps:
    opened = open_model(MODEL)
    return sentence_steps(opened, sentence, opened.between(None, None))


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with open_browser() as started:
        yield started


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """Open the page in a tab of its own; it raises no error and asks no server."""
    with opened(browser, SENTENCE) as tab:
        yield tab


@contextmanager
def opened(browser: "Browser", sentence: str) -> "Iterator[Page]":
    wrong: list[str] = []
    tab = browser.new_page()
    tab.set_default_timeout(60_000)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("dialog", lambda dialog: wrong.append(dialog.message))
    tab.on("request", lambda request: wrong.append(request.url))
    tab.set_content(steps_of(sentence).page())
    yield tab
    assert wrong == []
    tab.close()


def test_everything_moves_with_the_token(page: "Page") -> None:
    table = steps_of(SENTENCE).to_json()
    source, target = len(table["source"]), len(table["target"])
    pixels = "[...document.querySelectorAll('.map canvas')].map(e => e.toDataURL()).join()"
    assert "the encoder reads" in page.inner_text("#told")
    first = page.evaluate(pixels)
    page.click("#next")
    assert page.inner_text("#told") == (
        f"Step 2 of {source + target}: the encoder reads “{table['source'][1]}”."
    )
    assert page.evaluate(pixels) != first
    assert page.is_hidden("#beam")
    page.locator("#target button").first.click()
    assert f"writes “{table['target'][0]}”" in page.inner_text("#told")
    assert page.locator("#beam tbody tr").count() == len(table["beams"][0])
    weights = page.locator("#source .weight span").all_inner_texts()
    assert weights == [f"{100 * weight:.0f}%" for weight in table["attention"][0]]
    assert page.locator("[aria-current=step]").all_inner_texts() == [table["target"][0]]


def test_keys_slider_and_play_step(page: "Page") -> None:
    last = page.get_attribute("#step", "max")
    page.keyboard.press("End")
    assert page.input_value("#step") == last
    assert page.is_disabled("#next")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    assert int(page.input_value("#step")) == int(last or 0) - 1
    page.keyboard.press("Home")
    assert page.is_disabled("#back")
    page.focus("#step")
    page.keyboard.press("ArrowRight")  # the slider's own
    assert "Step 2 of" in page.inner_text("#told")
    assert "Step" not in (page.get_attribute("#step", "aria-valuetext") or "Step")[:4]
    page.click("#play")
    page.get_by_text("Step 4 of").wait_for()
    assert page.inner_text("#play") == "Pause"
    page.click("#play")
    assert page.get_attribute("#told", "aria-live") == "polite"


def test_a_unit_is_chosen_and_drawn_over_the_tokens(page: "Page") -> None:
    page.fill("#unit", "3")
    page.keyboard.press("Tab")
    assert "Unit 3 over the tokens" in page.inner_text("#layers")
    table = steps_of(SENTENCE).to_json()
    value = table["layers"][0]["panels"][0]["values"][0][2]
    assert f"unit 3: {value:.2f}" in page.locator("figcaption").first.inner_text()
    page.locator(".squares").first.click(position={"x": 2, "y": 2})
    assert page.input_value("#unit") == "1"


@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "dark"), (390, "light"), (1200, "light"), (1200, "dark")]
)
def test_it_fits_and_can_be_read(
    page: "Page", width: int, scheme: Literal["light", "dark"]
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    for key in ("Home", "End"):
        page.keyboard.press(key)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(UNNAMED) == []
        for selector in ("#told", "h2", ".layer", "footer p", "#source button", "#next"):
            assert page.evaluate(CONTRAST, selector) >= 4.5, selector
        smallest = page.evaluate(
            "Math.min(...[...document.querySelectorAll('body *')].filter(e => e.innerText)"
            ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        assert smallest >= LEGIBLE
        assert page.evaluate(
            "[...document.querySelectorAll('svg text')]"
            f".every(e => parseFloat(getComputedStyle(e).fontSize) >= {LEGIBLE})"
        )
    if SCREENSHOTS:
        file = Path(SCREENSHOTS) / f"steps-{scheme}-{width}.png"
        page.screenshot(path=file, full_page=True)


def test_markup_in_the_sentence_is_not_run(browser: "Browser") -> None:
    with opened(browser, HOSTILE) as page:
        assert page.inner_text("h1") == HOSTILE
        page.keyboard.press("End")
        assert page.locator("script").count() == 2
