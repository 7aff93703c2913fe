"""Every pattern of the package takes as many steps as its text is long, whatever the text.

`re` does not count its steps. What it takes is therefore measured against a plain scan of the same
text by the same engine, in CPU time: a pattern that looks back from each character takes thousands
of those, and their number grows with the text. What is bounded takes as many for a long text.
"""

import gc
import importlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.documents import html_page, po, subtitles
from seq2seq.documents.document import Document, UnitTranslation
from seq2seq.documents.html_fragment import HtmlFragment
from seq2seq.documents.plain_text import TextDocument
from seq2seq.errors import Seq2SeqError
from seq2seq.identification.alphabet import clean
from seq2seq.text.blocks import Unit, segments
from seq2seq.text.casing import is_all_caps, sentence_case
from seq2seq.text.glossary import Glossary, Term
from seq2seq.text.masking import Protection, mask, restore
from seq2seq.text.numbers import check_numbers
from seq2seq.text.protected_spans import span_pattern
from seq2seq.text.sentences import sentences
from seq2seq.tokenizer import Tokenizer, normalise_source
from seq2seq.translation.hypothesis_checks import negation, possible_negation
from seq2seq.translation.preprocess import Preprocessor

pytestmark = pytest.mark.slow

_PACKAGE = Path(__file__).parents[2] / "seq2seq"
_CHARACTERS = [
    *" \t\n\r\f\u00a0\u2028aZ_0.,;:!?'\"`~^*#@&%$+=/\\|<>()[]{}-",
    *"ä字。、，」’»…–§\u0301\u200d\U0001f600\U0001f1e9\U000f0000\U000f0001",
]
_RUNS = [
    *_CHARACTERS,
    "a ", "a\n", " \n", "\r\n", "\\\n", ". ", "a.", "a. ", "1 ", "1.", "1,", "111 ", "1.1 ",
    "1/1", "- ", "> ", "* ", "1. ", "| ", " |", "|\n", "# ", "I. ", "(1) ", "§ 1 ", "\\|", "--",
    "---\n", "<a ", "<a", "</a", "<a>", "</a>", "<a a", "<a b='", '<a b="', "a=", "='", "<!",
    "<!--", "-->", "<!-- -->", "<?", "<![CDATA[", "]]>", "<%", "{%", "{{", "}}", "${", "%(",
    "%1$", "%s", "%a%", "&a", "&#1", "&#x", "&a;", "a@", "a@b", "a@b.", "a://", "http://", "www.",
    "mailto:", "a/b", "` ", "``", "```", "```\n", "~~~\n", "[a", "[a]", "[a](", "](", "](a", "**",
    "** ", "* a", "_a", "__", "~~", "[^a", "<g1>", "<g1/>", "<ph1>", "<script>", "</script", "a-",
    "-a-", "A1", "1e", "$x", "\\n", "{a}", "{a, b", "00:", "a='b' ", "p.m.", "😀\u200d", "0️",
    "é ", "A. ",
]  # fmt: skip
_AROUND = [("x", "x"), ("", ""), ("<", ""), ("<a ", "x"), ("`", " x"), ("| ", "\n"), ("1", ".1x")]
_SCAN = re.compile(r"(?s:.)*?\Z")  # in as many steps as the text has characters

Work = Callable[[str], object]


class _Pattern(NamedTuple):
    name: str
    pattern: re.Pattern[str]
    methods: frozenset[str]  # that the package calls

    def work(self) -> Iterator[Work]:
        """All that is done with it."""
        if isinstance(self.pattern.pattern, bytes):
            yield from (lambda text, work=work: work(text.encode()) for work in self._methods())
        else:
            yield from self._methods()

    def _methods(self) -> Iterator[Callable[[Any], object]]:
        if self.methods - {"match", "fullmatch"} or not self.methods:
            yield lambda text: sum(1 for _ in self.pattern.finditer(text))
        if "match" in self.methods:
            yield self.pattern.match
        if "fullmatch" in self.methods:
            yield self.pattern.fullmatch


def _patterns() -> Iterator[_Pattern]:
    """Those that the modules of the package make, each with the methods that any of them calls."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(_PACKAGE.rglob("*.py"))}
    for path, source in sources.items():
        if "re.compile(" not in source:
            continue
        parts = path.relative_to(_PACKAGE.parent).with_suffix("").parts
        for name, value in vars(importlib.import_module(".".join(parts))).items():
            if not re.search(rf"^{name}\b.* = ", source, re.MULTILINE):
                continue  # imported
            users = [source] if name.startswith("_") else sources.values()
            call = re.compile(rf"\b{name}(?:\[[^]]*\])*\.([a-z]+)\(")
            methods = frozenset(method for user in users for method in call.findall(user))
            for pattern in value.values() if isinstance(value, dict) else [value]:
                if isinstance(pattern, re.Pattern):
                    yield _Pattern(f"{'.'.join(parts[1:])}.{name}", pattern, methods)


_COMPILED_WHEN_NEEDED = {
    "text.protected_spans.span_pattern": span_pattern(),
    **{f"negation in {language}": negation(language) for language in ("de", "en", "es", "fr")},
    **{
        f"perhaps in {language}": possible_negation(language)
        for language in ("de", "en", "es", "fr")
    },
}
_PATTERNS = [
    *_patterns(),
    *(_Pattern(name, pattern, frozenset()) for name, pattern in _COMPILED_WHEN_NEEDED.items()),
]


def _tokenizer() -> Tokenizer:
    return Tokenizer.load(DEFAULT_MODEL / "tokenizer.model")


def _read(unit: Unit) -> Work:
    tokenizer = _tokenizer()
    preprocessor = Preprocessor(
        tokenizer, "en", "de", 100, Protection(spells=tokenizer.spells), None
    )
    return lambda text: [
        [*preprocessor.around_spans(s)] for s in preprocessor.preprocess(text, unit)
    ]


def _html(text: str) -> str:
    document = HtmlFragment(text)
    return document.render([one.replace("a", "b") for one in document.texts])


def _file(read: Callable[[bytes, str, str], Document], before: str, after: str = "") -> Work:
    def work(text: str) -> None:
        with suppress(Seq2SeqError):
            document = read(f"{before}{text}{after}".encode(errors="replace"), "en", "de")
            document.render([UnitTranslation(f"{unit.text} a") for unit in document.units])

    return work


_GLOSSARY = Glossary([Term("a b", "c d")])
_READING: dict[str, Work] = {
    "an HTML document": _html,
    "a text document": lambda text: TextDocument(text).render(TextDocument(text).texts),
    "an HTML file": _file(html_page.read, '<p title="'),
    "subtitles": _file(subtitles.read, "00:00:01,000 --> 00:00:02,000\n"),
    "a catalogue": _file(po.read, '#, c-format\nmsgid "a', '"\nmsgstr ""\n'),
    "what may be a catalogue": _file(po.read, ""),
    "spans": lambda text: restore(*mask(text)),
    "the layout of sentences": lambda text: [*segments(text, "sentence")],
    "the layout of paragraphs": lambda text: [*segments(text, "paragraph")],
    "sentences": lambda text: [*sentences(text, "de")],
    "identification": clean,
    "numbers": lambda text: check_numbers(text, text[::-1], "de"),
    "case": lambda text: is_all_caps(text) or sentence_case(text),
    "terms": _GLOSSARY.find,
    "normalising": normalise_source,
    "a line": _read("line"),
    "a paragraph": _read("paragraph"),
}


_BY_SEGMENT = ("a line", "a paragraph")
"""Readings that make some dozen objects for each segment, and one character may be a segment."""

_SCANS = {**dict.fromkeys(_READING, 600), **dict.fromkeys(_BY_SEGMENT, 10_000)}
"""A step for each pair of characters takes 25,000 scans of 50,000 characters."""


def _seconds(work: Work, text: str) -> float:
    """Of CPU time, without the garbage collector, whose passes grow with all that is alive."""
    gc.disable()
    try:
        began = time.thread_time()
        work(text)
        return time.thread_time() - began
    finally:
        gc.enable()


def _is_linear(work: Work, make: Callable[[int], str], length: int, scans: int) -> bool:
    """Whether the work takes few scans of the text, or no more for each character of a longer one.

    Four times the length is four times the steps; were they its square, they would be 16 times as
    many. Both are measured again, one after the other, where it looks like that: other programs may
    be in the way, and slow down one of the two.
    Short texts come first: what takes a second for them might never end with long ones.
    """
    if any(_seconds(work, make(short)) > 1 for short in (*range(10, 31, 2), 100, 300, 900)):
        return False
    text = make(length)
    if _seconds(work, text) <= scans * _seconds(_SCAN.fullmatch, text):
        return True
    longer = make(4 * length)
    return any(_seconds(work, longer) <= 8 * _seconds(work, text) for _ in range(4))


def _failing(work: Work, length: int, scans: int, around: list[tuple[str, str]]) -> str:
    """The first shape of text that it takes more steps for, "" for none."""
    for run in _RUNS:
        for before, behind in around:

            def make(size: int, run: str = run, before: str = before, behind: str = behind) -> str:
                return before + run * (size // len(run)) + behind

            if not _is_linear(work, make, length, scans):
                return f"{before!r}, runs of {run!r}, {behind!r}"
    return ""


def test_the_patterns_of_the_package_are_found() -> None:
    """Else nothing here says anything."""
    names = {one.name for one in _PATTERNS}

    assert {
        "text.blocks._CELL",
        "text.protected_spans.span_pattern",
        "text.sentences._SENTENCE_END",
        "cli.translate_lines._LINE",
    } <= names


@pytest.mark.parametrize("pattern", [r"\s+$", r" *\|", r"(?: |a)+b", r"(?: | )+b", r"(?: *)*b"])
def test_the_measure_sees_a_pattern_that_looks_on_from_each_character(pattern: str) -> None:
    search = re.compile(pattern).search

    assert not _is_linear(search, lambda size: f"x{' ' * size}x", 2_000, 30)


@pytest.mark.parametrize("number", range(len(_PATTERNS)), ids=[one.name for one in _PATTERNS])
def test_a_pattern_takes_steps_in_proportion_to_the_text(number: int) -> None:
    for work in _PATTERNS[number].work():
        assert not _failing(work, 3_000, 60, _AROUND[:1])


@pytest.mark.parametrize("name", [name for name in _READING if name not in _BY_SEGMENT])
def test_reading_takes_steps_in_proportion_to_the_text(name: str) -> None:
    assert not _failing(_READING[name], 3_000, 600, _AROUND[:1])


@pytest.mark.stress
@pytest.mark.parametrize("number", range(len(_PATTERNS)), ids=[one.name for one in _PATTERNS])
def test_a_pattern_takes_steps_in_proportion_up_to_200_000_characters(number: int) -> None:
    for work in _PATTERNS[number].work():
        assert not _failing(work, 3_000, 60, _AROUND)
        assert not _failing(work, 50_000, 600, _AROUND)


@pytest.mark.stress
@pytest.mark.parametrize("name", _READING)
def test_reading_takes_steps_in_proportion_up_to_200_000_characters(name: str) -> None:
    assert not _failing(_READING[name], 3_000, _SCANS[name], _AROUND)
    assert not _failing(_READING[name], 50_000, _SCANS[name], _AROUND[:1])
