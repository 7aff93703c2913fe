"""Terms are found as they should be, and are in what any engine says."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers.engines import ScriptEngine, copying, hostile, translator
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.config.model_config import SearchConfig
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.search.beam import Hypothesis
from seq2seq.text.alignment import word_numbers
from seq2seq.text.glossary import Found, Glossary, Term
from seq2seq.text.masking import Protection
from seq2seq.translation.hypothesis_checks import _has_term_behind_end
from seq2seq.translation.postprocess import Output, Postprocessor, _in_capitals
from seq2seq.translation.preprocess import Preprocessor, Segment
from seq2seq.translation.result import SegmentTranslation, Translation

TERMS = {
    "kalo": "Kohl",
    "kalo miren": "Kohlrabi Mirena",
    "WoG": "wog-Rad",
    "straße": "road",
    "C++": "C plus plus",
    "o'brien": "O'Brien",
    "nai\u0308ve": "naiv",
    "elbo": "Größe 42",
}


@pytest.fixture(scope="module")
def glossary() -> Glossary:
    return Glossary(Term(*term) for term in TERMS.items())


def found(glossary: Glossary, text: str) -> list[str]:
    terms = glossary.find(text)
    assert all(0 <= one.start < one.end <= len(text) for one in terms)
    assert all(one.end <= two.start for one, two in pairwise(terms))
    return [text[start:end] for _, start, end in terms]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kalo Kalo KALO", ["kalo", "Kalo", "KALO"]),
        ("kalo miren, kalo", ["kalo miren", "kalo"]),
        ("(kalo  miren)", ["kalo  miren"]),
        ("kalo. Miren", ["kalo"]),
        ("WoG wog WOG", ["WoG"]),
        ("Straße STRASSE straße", ["Straße", "STRASSE", "straße"]),
        ("kalos unkalo kalo_x kalo\u0301", []),
        ("C++, C+", ["C++"]),
        ("o\u2019brien o'brien O\u2019BRIEN", ["o\u2019brien", "o'brien", "O\u2019BRIEN"]),
        ("nai\u0308ve na\u00efve", ["nai\u0308ve", "na\u00efve"]),
        ("", []),
    ],
)
def test_whole_words_longest_first_case_by_the_term(
    glossary: Glossary, text: str, expected: list[str]
) -> None:
    assert found(glossary, text) == expected


def test_a_term_alone_behind_the_full_stop_is_hung_on() -> None:
    segment = Segment("the wog.", "", terms=(Found(Term("wog", "Rad"), 4, 7),))
    assert _has_term_behind_end(segment, "Das da. Rad.")
    assert not _has_term_behind_end(segment, "Das Rad.")
    assert not _has_term_behind_end(segment, "Rad.")


def test_in_capitals_other_words_are_left_alone() -> None:
    """The term is as the glossary has it, and only where it is a word."""
    segment = Segment("WOG", "", terms=(Found(Term("wog", "in"), 0, 3),))
    assert _in_capitals("mein Kind in China", segment) == "MEIN KIND in CHINA"


@given(st.text(), st.lists(st.sampled_from([*TERMS, " ", ".", "\U000f0000"])).map("".join))
def test_no_text_is_trouble(text: str, terms: str) -> None:
    glossary = Glossary(Term(*term) for term in TERMS.items())
    found(glossary, text)
    found(glossary, terms)


@pytest.mark.parametrize("engine", hostile())
def test_the_terms_are_in_the_output_of_any_engine(engine: str, glossary: Glossary) -> None:
    texts = [
        "kalo",
        "Sta kalo miren ren, kalo.",
        "Kalo and kalo {x} elbo 17.",
        "<b>Kalo</b> lo <i>C++</i>",
        "KALO MIREN IST WEG!",
    ]
    for translation in hostile()[engine].translate(texts, glossary=glossary):
        for one in glossary.find(translation.source):
            target = one.term.target.casefold()
            times = [term.term.target.casefold() for term in glossary.find(translation.source)]
            assert translation.text.casefold().count(target) >= times.count(target)
        assert not any("term" in note for note in translation.notes)


def test_the_numbers_of_a_term_are_no_mistakes() -> None:
    tokenizer = copying().tokenizer
    [said] = tokenizer.encode(["wog 4"])
    over = translator(ScriptEngine(len(tokenizer), said))
    glossary = Glossary([Term("elbo 5", "Modell 7")])
    [translation] = over.translate(["elbo 5 wog 3"], glossary=glossary)
    assert "Modell 7" in translation.text
    assert translation.text.endswith(" 3")
    assert translation.notes == ("the number 4 was corrected to 3",)
    [translation] = copying().translate(["wog 3 elbo 5"])
    assert translation.notes == ()


def load(tmp_path: Path, data: bytes) -> Glossary:
    path = tmp_path / "terms.tsv"
    path.write_bytes(data)
    return Glossary.load(path)


def test_a_file_of_terms(tmp_path: Path) -> None:
    glossary = load(tmp_path, "\ufeffkalo\tKohl\r\n\n wog \t Rad \nkalo\tKohl".encode())
    assert [term.term.target for term in glossary.find("Wog kalo")] == ["Rad", "Kohl"]
    assert load(tmp_path, b"").find("kalo") == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"kalo\tKohl\nwog\n", "line 2: needs a term, a tab and its translation"),
        (b"kalo\tKohl\tRad", "line 1: needs a term, a tab and its translation"),
        (b"\n\tKohl", "line 2: needs a term, a tab and its translation"),
        (b"kalo\t", "line 1: needs a term, a tab and its translation"),
        (b"kalo\tKohl\nkalo\tRad", "line 2: 'kalo' has two translations"),
        (b"b\xe4d\tx", "not UTF-8"),
    ],
)
def test_a_bad_file_is_an_error_of_one_sentence(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(Seq2SeqError) as caught:
        load(tmp_path, data)
    assert str(caught.value).startswith(str(tmp_path / "terms.tsv"))
    assert message in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Glossary.load(tmp_path / "none.tsv")
    with pytest.raises(UsageError, match="needs a term and a translation"):
        Glossary([Term(" ", "x")])


SAID = st.lists(st.sampled_from(["miren", "wog.", "(Elbo)", "ka-lo", "l'elbo,"]), min_size=1)


def written(
    source: list[str], said: list[str], looking: int, glossary: Glossary | None = None
) -> SegmentTranslation:
    """What becomes of `said` where the word number `looking` was made from the last one."""
    tokenizer = copying().tokenizer
    preprocessor = Preprocessor(tokenizer, "en", "de", 50, Protection(), glossary)
    [segment] = preprocessor.preprocess(" ".join(source), "line")
    [ids] = tokenizer.encode([" ".join(said)])
    own = word_numbers(tokenizer.pieces(segment.ids))
    attention = np.full((len(ids), len(segment.ids)), 0.01, np.float32)
    rows = [word == looking for word in word_numbers(tokenizer.pieces(ids))]
    attention[np.ix_(rows, [word == len(source) - 1 for word in own])] = 0.9
    postprocessor = Postprocessor(tokenizer, "en", "de", None, 0.0, True, True, Protection())
    hypothesis = Hypothesis(tuple(ids), -1.0, -1.0, attention)
    part = postprocessor.write(segment, postprocessor.decode(segment, hypothesis))
    assert part
    return part


@settings(max_examples=200)
@given(SAID, st.integers(0, 99), st.sampled_from(["Rad", "das neue Rad", "l'An 5"]))
def test_a_term_takes_the_place_of_the_word_made_from_its_source(
    said: list[str], number: int, term: str
) -> None:
    """Whatever word it is: the others stay as they are, and in their order."""
    looking = number % len(said)
    part = written(["sta", "schupan", "kalo"], said, looking, Glossary([Term("kalo", term)]))
    changed = re.sub(r"(\W*(?:l')?)[\w-]+(\W*)", lambda m: m[1] + term + m[2], said[looking])
    expected = " ".join([*said[:looking], changed, *said[looking + 1 :]])
    assert part.text == expected.removesuffix(".")  # the source has no full stop
    place = len(" ".join(said[:looking]).split())
    assert {(2, place + i) for i in range(len(term.split()))} <= {*part.alignment}


@pytest.mark.parametrize(
    ("name", "said", "copied"),
    [
        ("Xyzzyqu", "(qxzzyxyq).", "(Xyzzyqu)"),
        ("Xyzzyqu", "kalo", "kalo"),  # a word that the model knows
        ("xyzzyqu", "qxzzyxyq", "qxzzyxyq"),  # no name
    ],
)
def test_a_name_is_copied_where_it_was_spelled(name: str, said: str, copied: str) -> None:
    assert written(["sta", name], ["elbo", said], 1).text == f"elbo {copied}"


# Several forms


def with_forms(said: str, *terms: Term, text: str = "sta kalo miren") -> Translation:
    """What a model says that would rather say `said`, whatever it reads."""
    over = copying()
    [ids] = over.tokenizer.encode([said])
    own = translator(ScriptEngine(len(over.tokenizer), ids), SearchConfig(beam_size=5))
    [translation] = own.translate([text], glossary=Glossary(terms))
    return translation


@pytest.mark.parametrize("said", ["wog Rad", "wog Rades", "wog Räder"])
def test_of_several_forms_the_translation_has_the_one_that_the_model_prefers(said: str) -> None:
    term = Term("kalo", "Rad", ("Rades", "Räder", "Gefährt"))
    translation = with_forms(said, term)
    assert translation.text == said
    assert translation.notes == ()


def test_each_of_several_terms_has_one_of_its_forms() -> None:
    terms = Term("kalo", "Rad", ("Rades",)), Term("miren", "neu", ("neue",))
    assert with_forms("neue Rades", *terms).text == "neue Rades"
    assert {*with_forms("wog", *terms).text.split()} & {"Rad", "Rades"}


def test_forms_of_a_file_are_parted_by_a_bar(tmp_path: Path) -> None:
    [term] = load(tmp_path, b"kalo\tRad | Rades|| Rad").find("kalo")
    assert term.term == Term("kalo", "Rad", ("Rades",))


def test_a_term_at_the_end_is_hung_on_where_the_model_looked_at_another_word() -> None:
    assert not hung_on(looks_at=0).hangs_on_term
    assert hung_on(looks_at=2).hangs_on_term


def test_a_sentence_whose_term_does_not_fit_is_translated_without_it_and_a_note_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        Postprocessor, "_hangs_on_term", lambda _, segment, *rest: bool(segment.terms)
    )
    translation = with_forms("wog elbo", Term("kalo", "Rad", ("Rades",)))
    assert translation.text == "wog elbo"
    assert translation.notes[-1] == "the term 'Rad' or 'Rades' is not in the translation"


def hung_on(looks_at: int) -> Output:
    """What becomes of a term at the end that was said with a look at one of the source's words."""
    tokenizer = copying().tokenizer
    glossary = Glossary([Term("kalo", "Rad", ("Rades",))])
    preprocessor = Preprocessor(tokenizer, "en", "de", 50, Protection(), glossary)
    [segment] = preprocessor.preprocess("kalo sta miren", "line")
    [ids] = tokenizer.encode(["wog elbo Rades"])
    source = word_numbers(tokenizer.pieces(segment.ids))
    attention = np.full((len(ids), len(segment.ids)), 0.01, np.float32)
    attention[:, source.index(looks_at)] = 0.9
    postprocessor = Postprocessor(tokenizer, "en", "de", None, 0.0, True, True, Protection())
    return postprocessor.decode(segment, Hypothesis(tuple(ids), -1.0, -1.0, attention))


def test_in_languages_without_spaces_the_search_says_the_terms() -> None:
    over = copying()
    glossary = Glossary([Term("kalo", "Rad")])
    preprocessor = Preprocessor(over.tokenizer, "zh", "de", 50, None, glossary)
    [segment] = preprocessor.preprocess("kalo", "line")
    assert (len(segment.terms), len(segment.replacing)) == (1, 0)
