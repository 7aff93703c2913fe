"""What the tokenizer has never seen goes around the model, and comes back."""

import random
import unicodedata

import pytest
from helpers import tiny
from helpers.engines import copying, hostile
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.text.masking import INLINE_TAG, PLACEHOLDER, Protection
from seq2seq.text.unreadable import without_invisible
from seq2seq.tokenizer import Tokenizer
from seq2seq.translation.translator import Translator

INVISIBLE = (
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\u2068\u2069\u061c\u034f\u180e\ufe0f\ufffc"
)
INVISIBLE += "\ufeff\u00ad"
LATIN = set("abcdefghijklmnopqrstuvwxyzäöüß.,!?'\"-")
PROTECTION = Protection(spells=LATIN.__contains__)


@pytest.mark.parametrize(
    ("text", "masked", "spans"),
    [
        ("Ich mag 寿司 sehr.", f"Ich mag {PLACEHOLDER} sehr.", ["寿司"]),
        ("Über Ärger 12.", "Über Ärger 12.", []),  # capitals of letters that are seen
        ("Kraków ist a\u0308lter.", f"{PLACEHOLDER} ist a\u0308lter.", ["Kraków"]),
        ("Ich mag £.", f"Ich mag {INLINE_TAG}.", ["£"]),
        ("a ± b (c)", f"a {INLINE_TAG} b {INLINE_TAG}c{INLINE_TAG}", ["±", "(", ")"]),
        ("Brot/Milch", f"Brot{PLACEHOLDER}Milch", ["/"]),
        ("שלום {x}", f"{PLACEHOLDER} {PLACEHOLDER}", ["שלום", "{x}"]),
    ],
)
def test_unseen_words_are_held_and_unseen_symbols_float(
    text: str, masked: str, spans: list[str]
) -> None:
    found = PROTECTION.mask_unreadable(PROTECTION.mask(text))
    assert found.text == masked
    assert [span.text for span in found.spans] == spans


@settings(max_examples=20)
@given(
    st.text("kalo mirenü", min_size=1, max_size=12),
    st.lists(st.sampled_from(INVISIBLE), max_size=5),
    st.randoms(),
)
def test_what_nobody_sees_changes_nothing(text, marks, random) -> None:  # type: ignore[no-untyped-def]
    letters = [*text]
    for mark in marks:
        letters.insert(random.randrange(len(letters) + 1), mark)
    assert without_invisible("".join(letters)) == text
    for translator in (copying(), hostile()["random"]):
        plain, marked = translator.translate([text, "".join(letters)])
        assert without_invisible(marked.text).strip() == plain.text.strip()


def test_joiners_stay_where_they_are_letters_of_a_script() -> None:
    assert without_invisible("می\u200cخواهم क्\u200dष a\u200db") == "می\u200cخواهم क्\u200dष ab"


def test_text_in_another_script_stays_with_a_note(tokenizer: Tokenizer) -> None:
    for translator in hostile().values():
        [translation] = translator.translate(["我爱你。"])
        assert translation.text == "我爱你。"
        assert translation.notes == ("the model does not know this script; the text was kept",)


@settings(max_examples=8)
@given(
    st.lists(st.sampled_from(["kalo", "miren", "寿司", "שלום", "£", "♥", "Ж!", "٣"]), min_size=1)
)
def test_all_of_it_comes_back(words: list[str]) -> None:
    strange = [word.rstrip("!") for word in words if not word.isascii()]
    for name in ("random", "loops", "broken bytes"):
        [translation] = hostile()[name].translate([" ".join(words)])
        for word in strange:
            assert translation.text.count(word) == strange.count(word)


def test_a_symbol_is_not_what_it_can_be_written_as() -> None:
    tokenizer = tiny.tokenizer()
    assert tokenizer.spells("k")
    assert not tokenizer.spells("™")
    assert not tokenizer.spells("▁")


@pytest.mark.stress
def test_ten_thousand_lines_of_odd_symbols_have_no_broken_character() -> None:
    rng = random.Random(8)
    odd = [
        chr(code)
        for code in [*range(0x20, 0x2C00), *range(0x1F000, 0x1FB00)]
        if unicodedata.category(chr(code))[0] in "PSNML"
    ]
    words = ["Tom", "has", "the", "house", "we", "know", "that", "he", "is", "here"]

    def line() -> str:
        parts = [rng.choice([rng.choice(words), rng.choice(odd)]) for _ in range(rng.randint(1, 6))]
        return rng.choice(["", " "]).join(parts)

    lines = [line() for _ in range(10_000)]
    shipped = Translator(threads=1)
    broken = [
        (text, one.text)
        for text, one in zip(lines, shipped.translate(lines, beam_size=1), strict=True)
        if "\ufffd" in one.text
    ]
    print(f"{len(lines)} lines; {len(broken)} with U+FFFD: {broken[:20]}")
    assert not broken
