"""Translation memory: what is the same is taken, what is similar named, the rest searched."""

from collections.abc import Iterator

import pytest
from helpers.serving import FakeTranslator
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.search.sampling import Sampling
from seq2seq.translation import translate_once
from seq2seq.translation import translation_memory as memory_module
from seq2seq.translation.base import TranslateOptions
from seq2seq.translation.translation_memory import MemoryTranslator, TranslationMemory


def memory(*pairs: tuple[str, str], target: str = "de") -> TranslationMemory:
    return TranslationMemory(pairs, "en", target)


def exact(text: str, *pairs: tuple[str, str], target: str = "de") -> str | None:
    return memory(*pairs, target=target).exact(text)


# The same


@pytest.mark.parametrize(
    ("text", "translation"),
    [
        ("Open the file", "Datei öffnen"),
        ("open  the\nfile", "Datei öffnen"),
        ("  Open the file\n", "  Datei öffnen\n"),
        ("Open the File", None),
        ("Open the files", None),
    ],
)
def test_a_text_that_differs_in_space_or_its_first_letter_has_the_translation(
    text: str, translation: str | None
) -> None:
    assert exact(text, ("Open the file", "Datei öffnen")) == translation


def test_the_first_letter_is_that_of_the_text_unless_it_may_be_a_noun() -> None:
    assert exact("Open", ("open", "ouvrir"), target="fr") == "Ouvrir"
    assert exact("open", ("Open", "Ouvrir"), target="fr") == "ouvrir"
    assert exact("file", ("File", "Datei")) == "Datei"
    assert exact("“open”", ("“Open”", "«Ouvrir»"), target="fr") == "«ouvrir»"


@pytest.mark.parametrize(
    ("text", "pair", "translation"),
    [
        ("Delete 12 files", ("Delete 3 files", "3 Dateien löschen"), "12 Dateien löschen"),
        ("It is 2.5 km", ("It is 1,200.75 km", "Es sind 1.200,75 km"), "Es sind 2,5 km"),
        ("5 of 9", ("1 of 3", "1 von 3"), "5 von 9"),
        ("Hi {user}!", ("Hi {name}!", "{name}, hallo!"), "{user}, hallo!"),
        ("%s in %d", ("%d in %s", "%s hat %d"), "%d hat %s"),
        ("<g2>Go</g2> on", ("<g1>Go</g1> on", "Weiter <g1>so</g1>"), "Weiter <g2>so</g2>"),
        # as they are, whatever the translation has of them
        ("Delete 3 files", ("Delete 3 files", "Drei Dateien löschen"), "Drei Dateien löschen"),
    ],
)
def test_numbers_and_placeholders_are_exchanged(
    text: str, pair: tuple[str, str], translation: str
) -> None:
    assert exact(text, pair) == translation


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("Delete 12 files", ("Delete 3 files", "Drei Dateien löschen")),
        ("2 of 5", ("3 of 3", "3 von 3")),
        ("Hi {user}!", ("Hi {name}!", "Hallo!")),
        ("Wait 4 days", ("Wait 7 days", "7 Tage (7 × 24 Stunden) warten")),
    ],
)
def test_where_an_exchange_is_unsure_nothing_is_taken(text: str, pair: tuple[str, str]) -> None:
    assert exact(text, pair) is None


def test_of_several_translations_the_most_frequent_counts_then_the_last() -> None:
    assert exact("Save", ("Save", "Sichern"), ("Save", "Speichern")) == "Speichern"
    two = ("Save", "Sichern"), ("Save", "Sichern"), ("Save", "Speichern")
    assert exact("Save", *two) == "Sichern"
    assert exact("save", *two, ("save", "speichern")) == "speichern"


def test_pairs_that_lack_a_side_are_left_out() -> None:
    known = memory(("Save", ""), (" ", "Speichern"), ("Open", "Öffnen"), ("Open", "Öffnen"))
    assert len(known) == 1


def test_a_memory_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "_MOST_CHARACTERS", 10)
    memory(("Open", "Öffnen"), ("Open", "Öffnen"), ("Open", "Öffnen"))
    with pytest.raises(Seq2SeqError, match="more than 10 characters; divide it"):
        memory(("Open", "Öffnen"), ("Save as", "Speichern unter"))


# Similar


def test_the_most_similar_segment_is_named_with_its_percentage() -> None:
    known = memory(("Open the filer", "A"), ("Open the file now", "B"), ("Close it", "C"))
    similar = known.similar("Open the file")
    assert similar is not None
    assert similar.note == 'the memory has 92% of it: "Open the filer" is "A"'
    assert known.similar("Something else entirely") is None
    assert known.similar("") is None
    assert memory().similar("Open the file") is None


WORDS = st.lists(st.sampled_from(["ab", "abc", "bca", "c", "dd", "é😀"]), max_size=8).map(" ".join)


@given(st.lists(WORDS, max_size=20), WORDS, st.sampled_from([0.5, 0.6, 0.75, 0.9]))
def test_the_index_loses_no_similar_segment(sources: list[str], text: str, least: float) -> None:
    known = memory(*((source, "x") for source in sources))
    best = max(
        (Levenshtein.normalized_similarity(source, text) for source in sources if source),
        default=0.0,
    )
    similar = known.similar(text, least)
    expected = best if text and best >= least else None
    assert (similar and similar.similarity) == expected


# Fuzzy


@pytest.mark.parametrize(
    ("text", "pair", "translation"),
    [
        ("Delete 12 old files", ("Delete 3 odd files", "3 Dateien weg"), "12 Dateien weg"),
        ("Bye, {user}!", ("bye {name}!", "{name}, tschüss!"), "{user}, tschüss!"),
        (" Save %s now\n", ("Save %d now?", "%d sichern?"), " %s sichern?\n"),
        # the number of one file has no place in the other
        ("Delete 12 old files", ("Delete the old files", "Alte Dateien löschen"), None),
        ("Delete all old files", ("Delete 3 old files", "3 alte Dateien löschen"), None),
        ("Delete 12 old files", ("Delete 3 odd files", "Drei Dateien löschen"), None),
    ],
)
def test_a_fuzzy_match_has_numbers_and_placeholders_of_the_text_or_is_none(
    text: str, pair: tuple[str, str], translation: str | None
) -> None:
    match = memory(pair).fuzzy(text, 0.7)
    assert (match and match.target) == translation
    assert match is None or (match.source == pair[0] and 0.7 <= match.similarity < 1)


def test_of_fuzzy_matches_the_most_similar_counts_that_can_be_adapted() -> None:
    known = memory(("Delete 3 filez", "Drei"), ("Delete 7 old files", "7 Dateien weg"))
    match = known.fuzzy("Delete 12 files", 0.6)
    assert match is not None
    assert match.target == "12 Dateien weg"
    assert match.note_if_taken == 'from the memory, 77% match of "Delete 7 old files"'


# Translating


PAIRS = ("Open the file", "Datei öffnen"), ("Yes", "Ja")


def translator(*pairs: tuple[str, str]) -> tuple[MemoryTranslator, FakeTranslator]:
    own = FakeTranslator()
    return MemoryTranslator(own, memory(*(pairs or PAIRS))), own


def test_what_the_memory_has_is_not_searched() -> None:
    known, own = translator()
    texts = ["yes", "hello you", "open the file", "Open the files", "42"]
    translations = known.translate(texts)
    assert [t.text for t in translations] == [
        "Ja", "HELLO YOU", "Datei öffnen", "OPEN THE FILES", "42",
    ]  # fmt: skip
    assert [t.source for t in translations] == texts
    assert [t.notes for t in translations[:4]] == [
        ("from the memory",),
        (),
        ("from the memory",),
        ('the memory has 92% of it: "Open the file" is "Datei öffnen"',),
    ]
    assert own.calls[-1][3] == ["hello you", "Open the files", "42"]
    assert (known.direction, known.directions, known.search) == (
        own.direction, own.directions, own.search,
    )  # fmt: skip


def test_fuzzy_matches_are_taken_from_the_least_similarity_on() -> None:
    _, own = translator()
    known = MemoryTranslator(own, memory(*PAIRS), least_similarity=0.75)
    texts = ["Open the files", "Open that file", "open the file", "Open a filing cabinet"]
    fuzzy, other, exact, none = known.translate(texts)
    assert (fuzzy.text, other.text, exact.text) == ("Datei öffnen",) * 3
    assert fuzzy.notes == ('from the memory, 92% match of "Open the file"',)
    assert fuzzy.candidates[0].match == pytest.approx(13 / 14)
    assert exact.candidates[0].match == 1.0
    assert (none.text, none.candidates[0].match) == ("OPEN A FILING CABINET", None)
    stricter = MemoryTranslator(own, memory(*PAIRS), least_similarity=0.9)
    assert [t.text for t in stricter.translate(texts[:2])] == ["Datei öffnen", "OPEN THAT FILE"]


@pytest.mark.parametrize("least", [0.0, 0.49, 1.1, 75, float("nan")])
def test_a_similarity_that_is_no_share_or_too_low_is_refused(least: float) -> None:
    with pytest.raises(UsageError, match=r"between 0\.5 and 1"):
        MemoryTranslator(FakeTranslator(), memory(*PAIRS), least_similarity=least)


def test_options_that_the_translation_of_the_memory_does_not_fit_leave_it_aside() -> None:
    known, _ = translator()
    assert known.translate(["yes"], prefix="Jo")[0].text == "YES"
    assert known.translate(["yes"], prefix="J")[0].text == "Ja"
    assert known.translate(["yes"], sampling=Sampling(seed=1))[0].text == "YES"


def test_a_line_is_translated_to_one_line() -> None:
    known, _ = translator(("Yes", "Ja\noder so"))
    assert known.translate(["Yes"])[0].text == "Ja oder so"
    assert known.translate(["Yes"], unit="sentence")[0].text == "Ja\noder so"


@given(st.lists(st.sampled_from(["yes", "no", "open the file", "maybe"]), max_size=40))
def test_translations_come_in_the_order_of_the_lines_however_many_wait(texts: list[str]) -> None:
    known, _ = translator()
    expected = {"yes": "Ja", "no": "NO", "open the file": "Datei öffnen", "maybe": "MAYBE"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translate_once, "_WAITING", 3)
        translations = [t.text for t in known.translate_lines(texts)]
    assert translations == [expected[text] for text in texts]


def test_the_lines_before_a_failure_come_first() -> None:
    def lines() -> Iterator[str]:
        yield "yes"
        raise ValueError

    known, _ = translator()
    translations = known.stream(lines(), TranslateOptions())
    assert next(translations).text == "Ja"
    with pytest.raises(ValueError):  # noqa: PT011
        next(translations)
