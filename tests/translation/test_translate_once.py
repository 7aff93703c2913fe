"""Texts that come up again: each is searched once, and all are translated in order."""

from collections.abc import Iterable, Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.translation import translate_once
from seq2seq.translation.result import Translation
from seq2seq.translation.translate_once import searched_once


class Stream:
    """Translates into capitals, some texts at a time, and counts them."""

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead
        self.searched: list[str] = []

    def __call__(self, texts: Iterable[str]) -> Iterator[Translation]:
        coming = iter(texts)
        failure: Exception | None = None
        while not failure:
            batch: list[str] = []
            try:
                batch.extend(islice(coming, self.ahead))
            except ValueError as error:
                failure = error
            if not (batch or failure):
                return
            self.searched += batch
            for text in batch:
                yield Translation.unchanged(text.upper())
        raise failure


TEXTS = st.lists(st.sampled_from("abcdefgh"), max_size=60)


@given(TEXTS, st.integers(1, 10))
def test_every_text_is_translated_in_order_and_searched_once(texts: list[str], ahead: int) -> None:
    stream = Stream(ahead)
    translated = [translation.text for translation in searched_once(texts, stream)]
    assert translated == [text.upper() for text in texts]
    assert stream.searched == [*dict.fromkeys(texts)]


@given(TEXTS, st.integers(1, 10))
def test_the_texts_before_a_failure_come_first(texts: list[str], ahead: int) -> None:
    def failing() -> Iterator[str]:
        yield from texts
        raise ValueError

    translated: list[str] = []
    with pytest.raises(ValueError):  # noqa: PT011
        translated.extend(t.text for t in searched_once(failing(), Stream(ahead)))
    assert translated == [text.upper() for text in texts]


@given(TEXTS, st.integers(1, 10))
def test_all_are_translated_however_few_are_remembered(texts: list[str], ahead: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translate_once, "_KEPT", 2)
        patch.setattr(translate_once, "_WAITING", 3)
        patch.setattr(translate_once, "_LONGEST", 0)
        translated = [translation.text for translation in searched_once(texts, Stream(ahead))]
    assert translated == [text.upper() for text in texts]


def test_no_more_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translate_once, "_KEPT", 2)
    stream = Stream(1)
    assert len([*searched_once("abcdaabb", stream)]) == 8
    assert stream.searched == [*"abcdabb"]


def test_a_text_without_end_of_repetitions_is_yielded_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(translate_once, "_WAITING", 10)

    def same() -> Iterator[str]:
        while True:
            yield "a"

    assert [t.text for t in islice(searched_once(same(), Stream(2)), 25)] == ["A"] * 25


def test_what_is_no_text_is_named_by_its_place() -> None:
    with pytest.raises(TypeError, match="text 2 of the list"):
        list(searched_once(["a", "a", 3], Stream(1)))  # type: ignore[list-item]
