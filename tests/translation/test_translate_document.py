"""A document and a translator: which texts are searched, and what becomes of their units."""

from collections.abc import Iterable, Iterator, Sequence

import pytest
from helpers.serving import FakeTranslator

from seq2seq.documents.document import State, TextUnit, UnitTranslation
from seq2seq.translation.base import TranslateOptions
from seq2seq.translation.result import Candidate, Translation
from seq2seq.translation.translate_document import translate_document
from seq2seq.translation.translation_memory import MemoryTranslator, TranslationMemory

OPTIONS = TranslateOptions(source="en", target="de")


class Catalogue:
    """Units, and nothing around them."""

    def __init__(self, *units: TextUnit) -> None:
        self.units = units

    def render(self, translations: Sequence[UnitTranslation | None]) -> bytes:
        return b""


def test_a_text_that_is_repeated_is_searched_once() -> None:
    translator = FakeTranslator()
    document = Catalogue(*(TextUnit(text=text) for text in ("b", "a", "b", "b")))
    done: list[str] = []
    translations = translate_document(document, translator, OPTIONS, on_text=done.append)
    assert [found and found.text for found in translations] == ["B", "A", "B", "B"]
    assert [texts for *_, texts in translator.calls if texts] == [["b", "a"]]
    assert done == ["b", "a"]


def test_confidence_and_notes_go_with_the_translation() -> None:
    document = Catalogue(TextUnit(text="page 7"))
    assert translate_document(document, FakeTranslator(), OPTIONS) == [
        UnitTranslation("PAGE 7", 0.75, State.TRANSLATED, ("the number 7 is in it",))
    ]


def test_a_fuzzy_match_needs_a_review_and_an_exact_one_none() -> None:
    memory = TranslationMemory([("Open the file", "Datei öffnen")], "en", "de")
    translator = MemoryTranslator(FakeTranslator(), memory, least_similarity=0.75)
    document = Catalogue(TextUnit(text="Open the files"), TextUnit(text="open the file"))
    fuzzy, exact = translate_document(document, translator, OPTIONS)
    assert fuzzy is not None
    assert exact is not None
    assert (fuzzy.text, fuzzy.state) == ("Datei öffnen", State.NEEDS_REVIEW)
    assert fuzzy.match == pytest.approx(13 / 14)
    assert (exact.text, exact.state, exact.match) == ("Datei öffnen", State.TRANSLATED, 1.0)


def test_only_new_leaves_what_is_translated_and_marks_the_rest_for_review() -> None:
    translator = FakeTranslator()
    document = Catalogue(
        TextUnit(text="a", translation="A!", state=State.TRANSLATED),
        TextUnit(text="b", translation="?", state=State.NEEDS_REVIEW),
        TextUnit(text="c"),
        TextUnit(text="a"),
    )
    first, *others = translate_document(document, translator, OPTIONS, only_new=True)
    assert first is None
    assert [found and (found.text, found.state) for found in others] == [
        (text, State.NEEDS_REVIEW) for text in "BCA"
    ]


def test_without_only_new_all_is_translated_and_nothing_marked() -> None:
    document = Catalogue(TextUnit(text="a", translation="!", state=State.TRANSLATED))
    [found] = translate_document(document, FakeTranslator(), OPTIONS)
    assert found
    assert (found.text, found.state) == ("A", State.TRANSLATED)


def test_a_unit_with_a_limit_gets_the_best_candidate_that_keeps_it() -> None:
    def candidates(text: str) -> Translation:
        texts = (text.upper(), text.upper()[1:], text.upper()[:1])
        return Translation(text, tuple(Candidate(found, -1.0, 0.5, (), ()) for found in texts))

    class Shortening(FakeTranslator):
        def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
            return map(candidates, lines)

    document = Catalogue(TextUnit(text="abcd", max_length=3))
    [found] = translate_document(document, Shortening(), OPTIONS)
    assert found == UnitTranslation("BCD", 0.5)


def test_where_no_candidate_keeps_a_limit_there_is_a_note() -> None:
    document = Catalogue(
        TextUnit(text="abc", max_length=3),
        TextUnit(text="abc"),
        TextUnit(text="abcd", max_length=3),
    )
    translator = FakeTranslator()
    fits, free, too_long = translate_document(document, translator, OPTIONS)
    assert fits == free == UnitTranslation("ABC", 0.75)
    assert too_long
    assert too_long.text == "ABCD"
    assert too_long.notes == ("it has 4 characters, and no more than 3 are allowed",)
    assert [n_best for _, n_best, _, texts in translator.calls if texts] == [3]
