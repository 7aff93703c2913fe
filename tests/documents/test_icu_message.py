"""ICU messages: the texts of their branches, and what else stays as it is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyicumessageformat import Parser

from seq2seq.documents.icu_message import Grammar, IcuMessage


def read(source: str, grammar: Grammar = "icu") -> IcuMessage:
    message = IcuMessage.read(source, grammar)
    assert message
    return message


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("{n, plural, =0 {none} one {# cat} other {# cats}}", ["none", "{#} cat", "{#} cats"]),
        ("{g, select, male {He's} other {They're}}", ["He's", "They're"]),
        ("{n, selectordinal, one {#st} other {#th day}}", ["{#}st", "{#}th day"]),
        (
            "You have {n, plural, one {a cat} other {# cats}} in {room}.",
            ["You have a cat in {room}.", "You have {#} cats in {room}."],
        ),
        (
            "{n, plural, one {a cat} other {# cats}} and {m, plural, one {a dog} other {# dogs}}",
            [
                "a cat and a dog",
                "a cat and {#} dogs",
                "{n, number} cats and a dog",
                "{n, number} cats and {#} dogs",
            ],
        ),
        (
            "{g, select, a {{n, plural, one {his cat} other {his # cats}}} other {none}}",
            ["his cat", "his {#} cats", "none"],
        ),
        ("{n, plural, offset:1 one {you} other {you and #}}", ["you", "you and {#}"]),
        (
            "On {d, date, short}, {n, number, ::currency/EUR}",
            ["On {d, date, short}, {n, number, ::currency/EUR}"],
        ),
        ("It''s '{'x'}' and it's", ["It's {x} and it's"]),
        ("{n, plural, other {'#' is #}}", ["# is {#}"]),
        ("{n, plural, one {1} other {2}}", []),
        ("{n, plural, one { # day } other { # days }}", ["{#} day", "{#} days"]),
    ],
)
def test_the_texts_of_branches_are_whole_sentences(source: str, texts: list[str]) -> None:
    assert read(source).texts == texts


@pytest.mark.parametrize(
    "source",
    ["{", "}", "{n, plural}", "{n, plural, }", "{n, plural, one {a}", "{}", "{{count}}", "{a b}",
     "{n, plural, one {a}} }", "{n, select, a b}", "{n,plural,one{" * 30 + "a" + "}}" * 30],
)  # fmt: skip
def test_what_is_no_message_is_told(source: str) -> None:
    assert IcuMessage.read(source) is None


@pytest.mark.parametrize(
    ("source", "translations", "expected"),
    [
        (
            "{n, plural,\n  one {# cat}\n  other {# cats}\n}",
            ["{#} Katze", "{#} Katzen"],
            "{n, plural,\n  one {# Katze}\n  other {# Katzen}\n}",
        ),
        (
            "the {n, plural, other {cat}} of # {x}",
            ["l'{x} # le"],
            "{n, plural, other {l''{x} '#' le}}",
        ),
        ("Cat {x}", ["Chat d'Anne {x}'"], "Chat d'Anne {x}''"),
        ("Cat''s {x}", ["Chat d'Anne {x}"], "Chat d''Anne {x}"),
        ("Cat {x}", ["{b} '{x}"], "'{'b'}' ''{x}"),
        ("Cat {x}", ["without"], "Cat {x}"),
        ("Cat {x}", ["{x} {x}"], "Cat {x}"),
        ("{n, plural, other {# cats}}", ["'Katzen'{#}"], "{n, plural, other {'Katzen''#}}"),
        ("{n, plural, other { # cats}}", ["{#} Katzen"], "{n, plural, other { # Katzen}}"),
    ],
)
def test_translations_are_written_by_the_grammar(
    source: str, translations: list[str], expected: str
) -> None:
    assert read(source).render(translations) == expected


@pytest.mark.parametrize(
    ("source", "texts", "translations", "expected"),
    [
        ("It''s {0}", ["It's {0}"], ["C'est l'{0}"], "C''est l''{0}"),
        (
            "{0,choice,0#no cats|1#a cat|1<{0} cats}",
            ["no cats", "a cat", "{0} cats"],
            ["0 d'or", "1|2", "l'{0}"],
            "{0,choice,0#0 d''or|1#1'|'2|1<l''''{0}}",
        ),
        ("{0,number,#.##} is # {1}", ["{0,number,#.##} is # {1}"], ["# {1} {0,number,#.##}"],
         "# {1} {0,number,#.##}"),
    ],
)  # fmt: skip
def test_java_doubles_every_apostrophe_and_has_choices(
    source: str, texts: list[str], translations: list[str], expected: str
) -> None:
    message = read(source, "java")
    assert message.texts == texts
    assert message.render(translations) == expected
    assert message.render(texts) == source


def test_without_quoting_an_apostrophe_is_one() -> None:
    message = read("{n, plural, one {it's a} other {it's '{x}'}}", "unquoted")
    assert message.texts == ["it's a", "it's '{x}'"]
    assert message.render(["l'{b}", "'{x}'"]) == "{n, plural, one {l'b} other {'{x}'}}"


_TEXTS = st.text(st.sampled_from("ab c'{}|<é\n"), min_size=1, max_size=8)


def _quoted(text: str) -> str:
    return re.sub(r"[{}]+", lambda match: f"'{match[0]}'", text.replace("'", "''"))


_MESSAGES = st.recursive(
    st.one_of(_TEXTS.map(_quoted), st.sampled_from(["{x}", "{d, date}", "{n, number, #.#}"])),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(
            st.sampled_from(["{n, plural, one {%s} other {# %s}}", "{g, select, a{%s} other{%s}}"]),
            inner,
            inner,
        ).map(lambda parts: parts[0] % parts[1:]),
    ),
    max_leaves=8,
)  # fmt: skip


def _arguments(nodes: object) -> list[tuple[str, str]]:
    """Name each argument that another parser finds, wherever."""
    if isinstance(nodes, list):
        return [name for node in nodes for name in _arguments(node)]
    if not isinstance(nodes, dict):
        return []
    own = [(nodes["name"], nodes.get("type", ""))]
    return own + [name for node in nodes.get("options", {}).values() for name in _arguments(node)]


@given(_MESSAGES, st.sampled_from([str.upper, lambda text: "'{b}#" + text, lambda _: "l'"]))
def test_another_parser_finds_the_same_arguments_in_what_is_written(
    source: str, translate: object
) -> None:
    message = IcuMessage.read(source)
    if not message:
        return
    assert callable(translate)
    parse = Parser({"allow_tags": False}).parse
    rendered = message.render([*map(translate, message.texts)])
    assert {*_arguments(parse(rendered))} >= {*_arguments(parse(source))}
    again = IcuMessage.read(rendered)
    assert again
    assert len(again.texts) >= len(message.texts) or translate is not str.upper


def test_a_hundred_thousand_apostrophes_are_read_in_no_time() -> None:
    source = "{n, plural, other {" + "'" * 100_000 + "}}"
    assert read(source).texts == []
