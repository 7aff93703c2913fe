"""Markdown: what is translated, what stays, and that what is written reads as it was."""

import re
from pathlib import Path
from typing import Any

import mistune
import pytest
from helpers.catalogues import TRANSLATORS, Translate, shout, texts_of, translated
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it.token import Token

from seq2seq.documents.markdown_document import read
from seq2seq.documents.markdown_inline import is_plain, parser
from seq2seq.errors import Seq2SeqError


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# One ##\n\nTwo\n===\n", "# ONE ##\n\nTWO\n===\n"),
        ("one\ntwo  \nthree\\\nfour\n", "ONE TWO  \nTHREE\\\nFOUR\n"),
        ("> one\n> two\n>\n> - three\n>   four\n", "> ONE TWO\n>\n> - THREE FOUR\n"),
        ("1. one\n   two  \n   three\n", "1. ONE TWO  \n   THREE\n"),
        ("- [ ] one\n* [x] two\n", "- [ ] ONE\n* [x] TWO\n"),
        ("> [!NOTE]\n> one\n> two\n", "> [!NOTE]\n> ONE TWO\n"),
        ("| a | b \\| c |\n|:--|---|\n| `x\\|y` d | |\n",
         "| A | B \\| C |\n|:--|---|\n| `x\\|y` D | |\n"),
        ("**one** *two* _three_ ~~four~~", "**ONE** *TWO* _THREE_ ~~FOUR~~"),
        ("see `one` and ``two ` x``", "SEE `one` AND ``two ` x``"),
        ("[one](x \"two\") ![three](y) <https://z.org>", "[ONE](x \"two\") ![THREE](y) <https://z.org>"),
        ("[one][x], [x][], [x]\n\n[x]: y 'z'\n", "[ONE][x], [X][x], [X][x]\n\n[x]: y 'z'\n"),
        ("one[^a] two\n\n[^a]: three\n    four\n", "ONE[^a] TWO\n\n[^a]: THREE FOUR\n"),
        ("Term\n: one\n\n  two\n", "TERM\n: ONE\n\n  TWO\n"),
        ("!!! note \"One\"\n    two\n", "!!! note \"ONE\"\n    TWO\n"),
        (":::tip\none\n:::\n", ":::tip\nONE\n:::\n"),
        ("a $x_1$ b\n\n$$\ny\n$$\n", "A $x_1$ B\n\n$$\ny\n$$\n"),
        ("```py\none\n```\n\n    two\n", "```py\none\n```\n\n    two\n"),
        ("---\ntitle: One\ntags: [two]\n---\nthree", "---\ntitle: ONE\ntags: [two]\n---\nTHREE"),
        ("+++\ntitle = 'one'\n+++\ntwo", "+++\ntitle = 'one'\n+++\nTWO"),
        ("<div>\none <b>two</b> <img alt=\"x y\">\n</div>\n",
         "<div>\nONE <b>TWO</b> <img alt=\"X Y\">\n</div>\n"),
        ("one <b>two</b><br>\nthree <kbd>x</kbd> <!-- y -->",
         "ONE <b>TWO</b><br>\nTHREE <kbd>x</kbd> <!-- y -->"),
        ("one \\* two &copy; &amp; \\_", "ONE \\* TWO &copy; &amp; \\_"),
        ("[![one](https://img.shields.io/x)](y)\n",) * 2,
        ("## One {#two}\n\n[TOC]\n", "## ONE {#two}\n\n[TOC]\n"),
        ("\ufeffone\r\ntwo\r\n\r\nthree\r\n", "\ufeffONE TWO\r\n\r\nTHREE\r\n"),
        ("***one** two*", "***ONE** TWO*"),
        ("\tcode\n\n-\tone\n", "\tcode\n\n-\tONE\n"),
        ("", ""),
    ],
)  # fmt: skip
def test_texts_are_spliced_and_all_else_stays(source: str, expected: str) -> None:
    assert translated(read, source) == expected


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("a **b**\n`c` d", ["a <g1>b</g1> {g2} d"]),
        ("**a b**", ["a b"]),
        ("![a](x) b ![c](y)", ["b", "a", "c"]),
        ("[a ![b](x) c](y) d", ["<g1>a <g2/> c</g1> d", "b"]),
        ("<b>a</i> c</b> *d*", ["<g1>a<g2/> c</g1> <g3>d</g3>"]),
        ("a\\\nb", ["a\nb"]),
        ("&lt;a&gt; \\*b\\*", ["<a> *b*"]),
        ("12 `a`", []),
    ],
)
def test_the_translator_sees_text_with_tags(source: str, texts: list[str]) -> None:
    assert texts_of(read, source) == texts


def test_a_text_is_told_by_its_line() -> None:
    units = read(b"# One\n\ntwo ![three](x)\n", "en", "de").units
    assert [unit.context for unit in units] == ["line 1", "line 3", "line 3"]


@pytest.mark.parametrize(
    ("source", "translation", "expected"),
    [
        ("one", "1. eins", "1\\. eins"),
        ("one", "- eins", "\\- eins"),
        ("one", "# eins", "\\# eins"),
        ("one", "> eins", "\\> eins"),
        ("one", "*eins*", "\\*eins\\*"),
        ("one", "snake_case", "snake_case"),
        ("one", "a [b](c)", "a \\[b\\](c)"),
        ("one", "<b>", "\\<b\\>"),
        ("one", "&copy;", "\\&copy;"),
        ("one", "eins\nzwei", "eins zwei"),
        ("one *two*", "eins<g1> zwei </g1>drei", "eins *zwei* drei"),
        ("one _two_", "eins<g1>zwei</g1>drei", "eins*zwei*drei"),
        ("one **two**", "<g1>eins.</g1>zwei", "**eins.** zwei"),
        ("[one]\n\n[one]: x", "<g1>eins</g1>", "[eins][one]"),
        ("# one", "eins #", "# eins \\#"),
        ("|one|\n|-|", "eins|zwei", "|eins\\|zwei|\n|-|"),
        ("![one](x)", "[eins]", "![\\[eins\\]](x)"),
        ("`x` one", "eins", "eins`x`"),
    ],
)
def test_what_would_be_markup_is_escaped(source: str, translation: str, expected: str) -> None:
    result = translated(read, source, lambda _: translation)
    assert result.removesuffix("\n\n[one]: x") == expected


def _marks(source: str) -> list[str]:
    """Name what another reader finds, but for text and line breaks, as often as it does."""
    plugins = ["strikethrough", "footnotes", "table", "def_list", "task_lists"]
    tree = mistune.create_markdown(renderer=None, plugins=plugins)(source)
    marks = list[str]()

    def walk(nodes: list[dict[str, Any]]) -> None:
        for node in nodes:
            if node["type"] not in ("text", "softbreak", "linebreak", "blank_line"):
                attributes = node.get("attrs", {})
                kept = node["raw"] if node["type"] in ("codespan", "block_code") else ""
                marks.append(f"{node['type']} {attributes.get('url', '')} {kept}")
            walk(node.get("children", []))

    assert isinstance(tree, list)
    walk(tree)
    return sorted(marks)


_README = """# Title *a*

[![CI](https://github.com/x/y/workflows/ci/badge.svg)](z) Some **bold text** with `code`, [a
link](https://x.org "t") and ![a picture](p.png).

> A quote with [reference][ref] and _emphasis_ in words.

1. One **thing**.
   - nested ~~old~~ item
2. Two

| Name | Value |
|------|-------|
| a cell | `x` and *y z* |

Text with a note[^n] at its end.

[^n]: The note, with **bold** words.

[ref]: https://r.org
"""


@pytest.mark.parametrize("translate", TRANSLATORS)
def test_another_reader_finds_the_same_marks(translate: Translate) -> None:
    result = translated(read, _README, translate)
    emphasis = re.compile("strong |emphasis |strikethrough ")  # of nothing, which is left out

    def lasting(source: str) -> list[str]:
        is_whole = translate is shout
        return [mark for mark in _marks(source) if is_whole or not emphasis.match(mark)]

    assert lasting(result) == lasting(_README)
    assert result != _README
    if translate is shout:
        assert 'SOME **BOLD TEXT** WITH `code`, [A LINK](https://x.org "t")' in result


_PIECES = st.sampled_from(
    ["one", "two", " ", " ", "\n", "\n\n", "**", "*", "_", "`", "``", "[", "](x)", "][r]", "]",
     "![", "<b>", "</b>", "<br>", "&amp;", "\\", "\\*", "# ", "> ", "- ", "1. ", "    ", "|",
     "|-|-|\n", "~~", "$", "$$", "[^n]", "[^n]: ", "[r]: x\n", "---\n", ":::", "!!! note\n", ": ",
     "\t", "<!--", "-->", "```\n", "é", "{#a}", "[ ] ", "<div>"]
)  # fmt: skip


@example("<b>    <b>", TRANSLATORS[0])
@given(st.lists(_PIECES, max_size=25).map("".join), st.sampled_from(TRANSLATORS))
def test_any_markdown_comes_out_as_it_was_or_translated(source: str, translate: Translate) -> None:
    translated(read, source, translate)


@example("[ ] one")
@given(st.lists(_PIECES, max_size=6).map("".join))
def test_the_text_that_is_read_is_the_translation(text: str) -> None:
    text = " ".join(text.replace("{#a}", "").split()) or "x"
    result = translated(read, "one\n", lambda _: text)
    if result != "one\n":
        (again,) = texts_of(read, result) or [text]
        assert re.sub(r"\s", "", again) == re.sub(r"\s", "", text) or "<g" in text


@given(st.text("ab1é .,?'()/…-+:*_~|!#>=[]`$&\\<\t\n\xa0", max_size=8).map("a{}".format))
def test_what_is_taken_for_plain_text_is_read_as_one_paragraph_of_one_text(text: str) -> None:
    if is_plain(text):
        _, inline, _ = parser().parse(text)
        _, heading, _ = parser().parse(f"# {text}")
        assert inline.content == heading.content == text
        tokens: list[Token] = []
        parser().inline.parse(text, parser(), {}, tokens)
        assert [(token.type, token.content) for token in tokens] == [("text", text)]


@pytest.mark.parametrize("text", ["a", "One, two.", "Ärger (1/2)?"])
def test_words_and_stops_are_plain(text: str) -> None:
    assert is_plain(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "source", ["[" * 20_000, "*a **a " * 3_000, "`" * 20_000, "> " * 20_000 + "a", "a\n" * 100_000,
               "- a\n" * 20_000, "ab\ncd\n\n" * 20_000, "x" * 3_000_000, "<a " * 7_000,
               "| a " * 5_000 + "|\n" + "|-" * 5_000 + "|\n"]
)  # fmt: skip
def test_hostile_markdown_is_read_in_seconds(source: str) -> None:
    translated(read, source, str)


def test_what_is_larger_than_a_text_is_told() -> None:
    with pytest.raises(Seq2SeqError, match="larger than 10 MB"):
        read(b"a" * (11 << 20), "en", "de")


@pytest.mark.slow
@pytest.mark.parametrize(
    "source", ["- a\n" * 50_001, "a|b\n-|-\n" + "a|b\n" * 25_000, "# a\n" * 50_001]
)
def test_a_file_of_too_many_blocks_is_told(source: str) -> None:
    with pytest.raises(Seq2SeqError, match=r"more than 50,000 paragraphs"):
        read(source.encode(), "en", "de")


def test_the_documents_of_this_project_keep_their_marks() -> None:
    root = Path(__file__).parents[2]
    for path in (root / "README.md", root / "docs" / "documents.md", root / "docs" / "train.md"):
        text = path.read_text("utf-8")
        assert _marks(translated(read, text)) == _marks(text), path.name
