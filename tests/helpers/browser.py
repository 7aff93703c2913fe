"""A real browser: Chromium, through Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

IN_A_BROWSER = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
]


@contextmanager
def open_browser() -> "Iterator[Browser]":
    """Start a browser; skip the test where Playwright is not installed."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: pip install playwright"
    )
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_tab() -> "Iterator[Page]":
    """Start a browser with one tab."""
    with open_browser() as browser:
        tab = browser.new_page()
        tab.set_default_timeout(20_000)
        yield tab


CONTRAST = """
selector => {
    const parse = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = ([red, green, blue]) => {
        const [r, g, b] = [red, green, blue].map(one => one / 255)
            .map(one => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = one => {
        const [red, green, blue, alpha = 1] = parse(getComputedStyle(one).backgroundColor);
        return alpha ? [red, green, blue] : ground(one.parentElement);
    };
    const element = document.querySelector(selector);
    const one = light(parse(getComputedStyle(element).color));
    const other = light(ground(element));
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}
"""
"""WCAG's ratio between an element's colour and what is behind it."""

UNNAMED = """
    [...document.querySelectorAll("button, select, textarea, input, section, meter, [role]")]
    .filter(one => !(one.ariaLabel || one.labels?.length || one.innerText?.trim()
                     || one.getAttribute("aria-labelledby")
                     || ["status", "alert"].includes(one.role)))
    .map(one => one.outerHTML)
"""
"""What has no name for a screen reader."""
