"""JSON Lines: which keys are translated."""

import json

import pytest
from helpers.catalogues import shout

from seq2seq.documents.document import UnitTranslation
from seq2seq.documents.jsonl_document import read
from seq2seq.errors import Seq2SeqError


def translated(source: str) -> str:
    document = read(source.encode(), "en", "de")
    assert document.render([None] * len(document.units)) == source.encode()
    return document.render([UnitTranslation(shout(unit.text)) for unit in document.units]).decode()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{"id": 1.0, "text": "one"}\r\n\r\n{"text":"two"}',
         '{"id": 1.0, "text": "ONE"}\r\n\r\n{"text":"TWO"}'),
        ('{"source": "one", "target": null}', '{"source": "one", "target": "ONE"}'),
        ('{"source": "one", "target": ""}', '{"source": "one", "target": "ONE"}'),
        ('{"x": 1, "en": "\\u00e9 one"}', '{"x": 1, "en": "\\u00e9 one", "de": "\\u00c9 ONE"}'),
        ('{"translation": {"en": "one", "de": "eins"}}',
         '{"translation": {"en": "one", "de": "ONE"}}'),
        ('{"text": "one"}\n{"other": "two"}\n', '{"text": "ONE"}\n{"other": "two"}\n'),
    ],
)  # fmt: skip
def test_keys_are_known_by_their_names(source: str, expected: str) -> None:
    assert translated(source) == expected
    assert all(json.loads(line) for line in expected.splitlines() if line)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b'{"text": "a"}\n{', "line 2 is not valid JSON"),
        (b'{"other": "a"}', "line 1 has no column"),
        (b"[" * 100_000, "too deeply"),
        (b'{"text": "\xff"}', "UTF-8"),
    ],
)
def test_what_is_no_such_file_is_told_in_one_sentence(data: bytes, message: str) -> None:
    with pytest.raises(Seq2SeqError, match=message):
        read(data, "en", "de")
