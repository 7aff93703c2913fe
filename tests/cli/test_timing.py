"""`translate --report-timing`: what was translated, and how fast."""

import re
from pathlib import Path

import pytest
from helpers.commands import run
from helpers.engines import copying

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.cli.timing import TimedRouter
from seq2seq.translation.base import TranslateOptions


def test_texts_and_subwords_are_counted_and_translations_stay() -> None:
    lines, options = ["ka lo miren.", "", "ka"], TranslateOptions(keep_parts=False)
    router = TimedRouter([copying()])
    found = [*router.stream(lines, options), *router.stream(lines[:1], options)]
    expected = copying().translate(lines)
    assert [line.text for line in found] == [line.text for line in (*expected, expected[0])]
    ids = [
        len(part.hypothesis.ids) + 1
        for line in (*expected, expected[0])
        for part in line.parts
        if part.hypothesis
    ]
    assert (router.texts, router.subwords) == (4, sum(ids))
    assert router.seconds > 0
    router.seconds = 2.0
    report = router.report(0.5)
    assert report.startswith(
        f"loaded in 0.50 s; 4 texts, {sum(ids)} subwords in 2.00 s: 2.0 texts/s"
    )


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["Good morning!"], ["-m", DEFAULT_MODEL, "Good morning!"]])
def test_the_command_reports_on_stderr(arguments: list[str | Path]) -> None:
    done = run("--report-timing", *arguments)
    assert (done.returncode, done.stdout) == (0, run(*arguments).stdout)
    pattern = r"translate: loaded in [\d.]+ s; 1 text, 5 subwords in [\d.]+ s: [\d.]+ texts/s, .*\n"
    assert re.fullmatch(pattern, done.stderr)


@pytest.mark.slow
def test_documents_are_reported_too(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>Good morning!</p><p>Where is the station?</p>")
    done = run("--report-timing", "-i", page, "-o", tmp_path / "out.html")
    assert (done.returncode, done.stdout) == (0, "")
    assert "2 texts" in done.stderr
    assert "Guten Morgen!" in (tmp_path / "out.html").read_text()
