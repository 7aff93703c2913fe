"""JSON of translations: i18next, ARB, Chrome, and any."""

import json
from typing import Any

import pytest
from helpers.catalogues import TRANSLATORS, Translate, shout, texts_of, translated
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.json_document import read
from seq2seq.errors import Seq2SeqError


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{"a" :  "one" }', '{"a" :  "ONE" }'),
        ('\ufeff{\r\n\t"a": "one",\r\n\t"b": ["two", {"c": "three"}]}\r\n',
         '\ufeff{\r\n\t"a": "ONE",\r\n\t"b": ["TWO", {"c": "THREE"}]}\r\n'),
        ('{"n": 1.50, "x": 1e400, "a": " one ", "t": true, "z": null}',
         '{"n": 1.50, "x": 1e400, "a": " ONE ", "t": true, "z": null}'),
        (r'{"a": "\u00e9t\u00e9 \ud83d\ude00"}', r'{"a": "\u00c9T\u00c9 \ud83d\ude00"}'),
        (r'{"a": "\u003cb\u003eone\u003c\/b\u003e é"}',
         r'{"a": "\u003cb\u003eONE\u003c\/b\u003e É"}'),
        (r'{"a": "one \"two\"\n\\Six\\ \t"}', r'{"a": "ONE \"TWO\"\n\\SIX\\ \t"}'),
        ('{"a": "https://example.org", "b": "{{name}}", "c": "42", "d": ""}',) * 2,
        ('{"$schema": "a schema", "a": "one"}', '{"$schema": "a schema", "a": "ONE"}'),
        ('["one", ["two"]]', '["ONE", ["TWO"]]'),
        ('"one"', '"ONE"'),
        (r'{"a": "\ud800 one"}',) * 2,
        ('{"a": "one", "a": "two"}', '{"a": "ONE", "a": "TWO"}'),
    ],
)  # fmt: skip
def test_strings_are_spliced_and_all_else_stays(source: str, expected: str) -> None:
    assert translated(read, source) == expected


@pytest.mark.parametrize(
    ("target", "added"),
    [("de", []), ("ja", []), ("pl", ["few", "many"]), ("ar", ["zero", "two", "few", "many"])],
)
def test_i18next_gets_the_plural_categories_of_the_target(target: str, added: list[str]) -> None:
    source = """{
  "a": {
    "item_one": "{{count}} item",
    "item_other" : "{{count}} items"
  }
}"""
    result = translated(read, source, target=target)
    keys = json.loads(result)["a"]
    assert [*keys] == ["item_one", "item_other", *(f"item_{category}" for category in added)]
    assert all(keys[f"item_{category}"] == "{{count}} ITEMS" for category in added)
    assert all(f'\n    "item_{category}" : "' in result for category in added)


@pytest.mark.parametrize(
    "source", ['{"item_other": "more items"}', '{"a_ordinal_one": "x a", "a_ordinal_other": "x b"}']
)
def test_what_is_no_plural_gets_no_categories(source: str) -> None:
    assert [*json.loads(translated(read, source, target="pl"))] == [*json.loads(source)]


def test_messages_of_icu_are_translated_by_branches_and_keep_their_layout() -> None:
    source = json.dumps(
        {"a": "{n, plural,\n  one {# cat}\n  other {# cats in {x}}\n}", "b": "it''s {x}"}
    )
    assert texts_of(read, source) == ["{#} cat", "{#} cats in {x}", "it's {x}"]
    assert json.loads(translated(read, source))["a"] == (
        "{n, plural,\n  one {# CAT}\n  other {# CATS IN {x}}\n}"
    )


def test_without_branches_in_the_file_an_apostrophe_is_one() -> None:
    assert texts_of(read, '{"b": "it\'\'s {x}"}') == ["it''s {x}"]


def test_arb_keeps_metadata_and_gets_the_locale_of_the_target() -> None:
    source = """{
  "@@locale": "en",
  "title": "The {name}'s title",
  "@title": {"description": "on top", "placeholders": {"name": {"type": "String"}}},
  "n": "{n, plural, =1{It's {name}} other{They're {n}}}"
}"""
    units = read(source.encode(), "en", "fr").units
    assert [unit.text for unit in units] == ["The {name}'s title", "It's {name}", "They're {n}"]
    assert [unit.context for unit in units] == ["title: on top", "n n=1", "n n=other"]
    expected = json.loads(source) | {
        "@@locale": "fr",
        "title": "THE {name}'S TITLE",
        "n": "{n, plural, =1{IT'S {name}} other{THEY'RE {n}}}",
    }
    assert json.loads(translated(read, source, target="fr")) == expected


def test_chrome_translates_messages_alone() -> None:
    source = """{"a": {"message": "Hello $WHO$", "description": "said first",
      "placeholders": {"who": {"content": "$1", "example": "Tom"}}}}"""
    units = read(source.encode(), None, "de").units
    assert [(unit.text, unit.context) for unit in units] == [
        ("Hello $WHO$", "a.message: said first")
    ]
    assert json.loads(translated(read, source))["a"]["message"] == "HELLO $WHO$"


@pytest.mark.parametrize("language", ["en", "en-US", "en_GB"])
def test_a_root_key_that_is_the_language_becomes_the_target(language: str) -> None:
    assert translated(read, f'{{ "{language}": {{"a": "one"}}}}') == '{ "de": {"a": "ONE"}}'


def test_a_root_key_that_is_another_stays() -> None:
    assert translated(read, '{"app": {"en": "one"}}') == '{"app": {"en": "ONE"}}'


@pytest.mark.parametrize(
    "data", [b"", b"{", b"{'a': 'b'}", b"[" * 100_000, b"\xff\xfe\xff", b"\x00" * 9]
)
def test_what_is_no_such_file_is_told_in_one_sentence(data: bytes) -> None:
    with pytest.raises(Seq2SeqError, match=r"^[^\n]{10,200}\.$"):
        read(data, "en", "de")


@pytest.mark.parametrize("source", ["{}", "[ ]", '{"a": 1}', "null"])
def test_a_file_without_texts_stays(source: str) -> None:
    assert translated(read, source) == source


def test_a_number_of_a_million_digits_and_a_long_string_are_read_in_no_time() -> None:
    source = f'{{"n": {"9" * 1_000_000}, "a": "{"one " * 100_000}"}}'
    assert len(translated(read, source)) == len(source)


_STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_JSON = st.recursive(
    st.one_of(_STRINGS, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(_STRINGS, st.sampled_from(["a_one", "a_other"])), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


def _shape(value: Any) -> Any:
    """What is left where every string is one."""
    if isinstance(value, dict):
        return {key: _shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [*map(_shape, value)]
    return "" if isinstance(value, str) else value


@given(_JSON, st.sampled_from([None, 2, "\t"]), st.booleans(), st.sampled_from(TRANSLATORS))
def test_any_json_keeps_its_shape(
    value: Any, indent: int | str | None, is_ascii: bool, translate: Translate
) -> None:
    source = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    try:
        result = translated(read, source, translate, source="xx")
    except Seq2SeqError:
        return
    assert _shape(json.loads(result)) == _shape(value)


@given(_STRINGS)
def test_the_string_that_is_read_is_the_translation(text: str) -> None:
    source = '{"a": "one", "é": "two"}'
    result = json.loads(
        translated(read, source, lambda source: text if source == "one" else source)
    )
    assert result == {"a": text.strip() or "one", "é": "two"}


def test_placeholders_stay_for_a_translator_that_keeps_them() -> None:
    source = '{"a": "Hi {{name}}, $t(b) %s <b>one</b>"}'
    assert translated(read, source, shout) == '{"a": "HI {{name}}, $t(b) %s <b>ONE</b>"}'
