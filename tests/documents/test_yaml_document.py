"""YAML of translations: each style of scalar, and what stays around it."""

import io
from typing import Any

import pytest
import yaml
from helpers.catalogues import TRANSLATORS, Translate, texts_of, translated
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from seq2seq.documents.yaml_document import read
from seq2seq.errors import Seq2SeqError


def load(text: str) -> Any:
    """Read with another library."""
    return YAML(typ="safe", pure=True).load(io.StringIO(text))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a: one two  # note\n", "a: ONE TWO  # note\n"),
        ("a: 'it''s'\n", "a: 'IT''S'\n"),
        ('a: "say \\"one\\"\\n\\ttwo"\n', 'a: "SAY \\"ONE\\"\\n\\tTWO"\n'),
        ('"a": &x one\nb: *x\nc: !!str two\nd: !t three\n',
         '"a": &x ONE\nb: *x\nc: !!str TWO\nd: !t three\n'),
        ("a: one\n  two\n\n  three\n", 'a: "ONE TWO\\nTHREE"\n'),
        ("a: |\n  one\n    two\n\n  three\n\n\nb: x y\n",
         "a: |\n  ONE\n    TWO\n\n  THREE\n\n\nb: X Y\n"),
        ("a: |2-  # note\n    one\n   two\n", "a: |2-  # note\n    ONE\n   TWO\n"),
        ("a: |\n\n\n  one\n", "a: |\n\n\n  ONE\n"),
        ("a: >+\n  one\n  two\n\n  three\n\n", "a: >+\n  ONE\n  TWO\n\n  THREE\n\n"),
        ("a: >\n  one\n\n    two\n    three\n\n  four\n",
         "a: >\n  ONE\n\n    TWO\n    THREE\n\n  FOUR\n"),
        ("- one\n- [two, 'x y', {a: three}]\n", "- ONE\n- [TWO, 'X Y', {a: THREE}]\n"),
        ("a: yes\nb: ~\nc: 12\nd: 2024-01-01\ne: off\nf: !!binary aGVsbG8=\ng: one\n",
         "a: yes\nb: ~\nc: 12\nd: 2024-01-01\ne: off\nf: !!binary aGVsbG8=\ng: ONE\n"),
        ("\ufeff---\r\na: one\r\nb: |\r\n  two\r\n  x\r\n...\r\n",
         "\ufeff---\r\na: ONE\r\nb: |\r\n  TWO\r\n  X\r\n...\r\n"),
        ("? one\n: two\n? [x y]\n: three\n", "? one\n: TWO\n? [x y]\n: THREE\n"),
        ("😀: one\nb: 'é two'\n", "😀: ONE\nb: 'É TWO'\n"),
        ('a: "\\u00e9t\\u00e9 \\U0001f600 one"\n', 'a: "\\u00c9T\\u00c9 \\U0001f600 ONE"\n'),
        ("fmt: '%d. %B %Y at %H:%M'\na: one\n", "fmt: '%d. %B %Y at %H:%M'\na: ONE\n"),
    ],
)  # fmt: skip
def test_a_scalar_keeps_its_style_and_all_else_stays(source: str, expected: str) -> None:
    assert translated(read, source) == expected


@pytest.mark.parametrize(
    ("source", "translation", "expected"),
    [
        ("a: one", "eins: zwei", 'a: "eins: zwei"'),
        ("a: one", "# eins", 'a: "# eins"'),
        ("a: one", "'eins'", "a: \"'eins'\""),
        ("a: one", '"eins" ja', "a: '\"eins\" ja'"),
        ("a: one", "%{x} eins", 'a: "%{x} eins"'),
        ("a: one", "nein #1", 'a: "nein #1"'),
        ("a: one", "no", 'a: "no"'),
        ("a: one", "eins, zwei", "a: eins, zwei"),
        ("[one]", "eins, zwei", '["eins, zwei"]'),
        ("a: 'one'", "eins\nzwei", 'a: "eins\\nzwei"'),
        ("a: |\n  one\n", "  eins\n  zwei", "a: |\n  eins\n    zwei\n"),
        ("a: >\n  one\n", "eins zwei " * 20 + "drei", "a: >\n  " + "eins zwei " * 20 + "drei\n"),
        (
            "a: >\n  one two six\n  three\n",
            "eins zwei drei vier",
            "a: >\n  eins zwei\n  drei vier\n",
        ),
    ],
)
def test_a_translation_is_quoted_where_it_must_be(
    source: str, translation: str, expected: str
) -> None:
    assert translated(read, source, lambda _: translation) == expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("en:\n  a: one\n", "de", "de:\n  a: ONE\n"),
        ("'en-US':\n  a: one\n", "no", '"no":\n  a: ONE\n'),
        ("fr:\n  a: one\n", "de", "fr:\n  a: ONE\n"),
        ("en: one\n", "de", "en: ONE\n"),
    ],
)
def test_a_root_key_that_is_the_language_becomes_the_target(
    source: str, target: str, expected: str
) -> None:
    assert translated(read, source, target=target) == expected


def test_plurals_of_rails_get_the_categories_of_the_target() -> None:
    source = """en:
  items:
    one: "%{count} item"
    other: "%{count} items" # note
  days: {one: a day, other: days}
  notes:
    one: a note
    other: |
      Two
      notes
  other: more
"""
    result = load(translated(read, source, target="ru"))["ru"]
    assert result["items"] == {
        "one": "%{count} ITEM",
        **dict.fromkeys(["other", "few", "many"], "%{count} ITEMS"),
    }
    assert [*result["days"]] == ["one", "other", "few", "many"]
    assert result["notes"]["many"] == "TWO\nNOTES\n"
    assert result["other"] == "MORE"
    assert load(translated(read, source, target="fr"))["fr"]["items"].keys() == {"one", "other"}


def test_messages_of_icu_are_translated_by_branches() -> None:
    assert texts_of(read, "a: '{n, plural, one {# cat} other {it''''s}}'") == ["{#} cat", "it's"]


@pytest.mark.parametrize(
    "data",
    [b"one", b"one: a\n---\ntwo", b"a: [", b"a: b: c", b"\t- a", b"a: &x &y", b"a: *x\n b",
     b"\x01: a", b'a: "\xff"', b"[" * 5_000, b"@a"],
)  # fmt: skip
def test_what_is_no_such_file_is_told_in_one_sentence(data: bytes) -> None:
    with pytest.raises(Seq2SeqError, match=r"^[^\n]{10,200}\.$"):
        read(data, "en", "de")


@pytest.mark.parametrize("source", ["", "# one\n", "---\n...\n", "{}\n", "1: 2\n"])
def test_a_file_without_texts_stays(source: str) -> None:
    assert translated(read, source) == source


def test_aliases_are_not_expanded() -> None:
    bomb = "a0: &a0 one two\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
    )
    assert texts_of(read, bomb) == ["one two"]


_WORDS = st.text(
    st.sampled_from("ab c:#-'\"{}[],&*!|>%@`\\\né\u2028\x85😀\t"), min_size=1, max_size=12
)
_KEYS = st.sampled_from(["a", "b c", "one", "other", "1", "x.y"])
_YAML = st.recursive(
    st.one_of(_WORDS, st.integers(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.dictionaries(_KEYS, inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)
_STYLES = st.sampled_from([None, "'", '"', "|", ">"])


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [*map(_shape, value)]
    return "" if isinstance(value, str) else value


@given(_YAML, _STYLES, st.booleans(), st.booleans(), st.sampled_from(TRANSLATORS))
def test_any_yaml_keeps_its_shape(
    value: Any, style: str | None, is_flow: bool, is_unicode: bool, translate: Translate
) -> None:
    source = yaml.safe_dump(
        {"root": value},
        default_style=style,
        default_flow_style=is_flow,
        allow_unicode=is_unicode,
        width=20,
    )
    result = translated(read, source, translate, target="de")
    assert _shape(yaml.safe_load(result)) == _shape(yaml.safe_load(source))


@given(_WORDS.filter(lambda text: text.strip() == text), _STYLES)
def test_the_scalar_that_is_read_is_the_translation(text: str, style: str | None) -> None:
    source = yaml.safe_dump({"k": "one two"}, default_style=style)
    result = yaml.safe_load(translated(read, source, lambda _: text))
    if style in ("|", ">"):
        text = text.replace("\x85", "\n").replace("\u2028", "\n")
        assert result["k"].split() == text.split()
    else:
        assert result == {"k": text}
