"""Each kind of span is found where it is, and not where something only looks like it."""

import re
from pathlib import Path

import pytest

from seq2seq.errors import UsageError
from seq2seq.text.masking import Protection, mask, restore
from seq2seq.text.protected_spans import HINT, KINDS, Kind, compile_patterns, span_pattern

EXAMPLES = [(kind.name, example) for kind in KINDS for example in kind.examples]
OTHERS = [(kind.name, other) for kind in KINDS for other in kind.others]


def test_the_pattern_of_spans_is_compiled_when_a_text_may_have_one() -> None:
    """It takes 30 ms of CPU, of the time in which `translate` starts."""
    span_pattern.cache_clear()
    mask("Where is the station?")
    assert span_pattern.cache_info().currsize == 0
    mask("Where is {station}?")
    assert span_pattern.cache_info().currsize == 1


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_an_example_is_one_span_of_its_kind(kind: str, example: str) -> None:
    text = f"{example}\n" if kind in ("front", "webvtt") else f"Kalo {example} wog."
    assert HINT.search(text)
    [match] = [match for match in span_pattern().finditer(text) if match.lastgroup]
    assert (match.lastgroup, match[0]) == (kind, example)


@pytest.mark.parametrize(("kind", "other"), OTHERS)
def test_what_only_looks_like_a_kind_is_none(kind: str, other: str) -> None:
    assert kind not in [match.lastgroup for match in span_pattern().finditer(f"Kalo {other} wog.")]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("We need version 2.10, not version 2.1.", ["2.10", "2.1"]),
        ("Press &File.", ["&"]),
        ("Save it in C:\\a\\b.docx please.", ["C:\\a\\b.docx"]),
        ("Open /usr/bin/x.sh, or ~/x.", ["/usr/bin/x.sh", "~/x"]),
        ("Use $HOME or ${HOME} or %HOME% here.", ["$HOME", "${HOME}", "%HOME%"]),
        ("Use %%%c or %%c here.", ["%%%c", "%%"]),
        ("The 5th of 1990s, 3pm.", []),
    ],
)
def test_where_a_kind_ends(text: str, spans: list[str]) -> None:
    assert [span.text for span in mask(text).spans] == spans


@pytest.mark.stress
@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_hundred_thousand_beginnings_are_no_trouble(kind: Kind) -> None:
    """An example, and each beginning of one, again and again."""
    for example in kind.examples:
        for end in range(1, len(example) + 1):
            text = example[:end] * (100_000 // end) + " x"
            assert restore(*mask(text)) == text


def test_a_users_patterns_win_over_the_table() -> None:
    protection = Protection((re.compile(r"[A-Z]{2}-\d+ [a-z]+"), re.compile("")))
    spans = protection.mask("Kalo AB-12 wog and {x}, AB-13.").spans
    assert [span.text for span in spans] == ["AB-12 wog", "{x}", "AB-13"]
    assert [span.kind for span in spans] == ["user", "placeholder", "identifier"]


def test_a_pattern_that_is_none_is_a_users_error() -> None:
    with pytest.raises(UsageError, match="is not a regular expression"):
        compile_patterns(["a", "("])


def test_a_file_of_patterns_has_one_a_line_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "patterns"
    file.write_text("# products\n\n[A-Z]{3}-\\d+\r\n  kalo  \n", encoding="utf-8")
    patterns = compile_patterns(["a"], [file])
    assert [pattern.pattern for pattern in patterns] == ["a", r"[A-Z]{3}-\d+", "kalo"]


def test_a_bad_line_of_a_file_of_patterns_is_named(tmp_path: Path) -> None:
    file = tmp_path / "patterns"
    file.write_text("kalo\n# (\nwog(\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"patterns, line 3: 'wog\(' is not a regular expression"):
        compile_patterns([], [file])
    file.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        compile_patterns([], [file])
    with pytest.raises(UsageError, match="cannot be read"):
        compile_patterns([], [tmp_path / "none"])


@pytest.mark.parametrize("pattern", ["", "a*", "$", "(?:wog)?", "a{0,3}"])
def test_a_pattern_that_matches_nothing_at_all_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="matches an empty text"):
        compile_patterns([pattern])
