"""What must survive translation does, whatever the engine says."""

import random
import re
import unicodedata

import numpy as np
import pytest
from helpers import tiny
from helpers.engines import CopyEngine, CopyState, copying, hostile
from helpers.engines import translator as translator_over
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seq2seq.config.model_config import SearchConfig
from seq2seq.search.engine_protocol import Step
from seq2seq.text.blocks import Unit
from seq2seq.text.masking import (
    INLINE_TAG,
    PLACEHOLDER,
    Protection,
    mask,
    mask_placeholders,
    number_of_spans,
    restore,
    without_invisible,
)
from seq2seq.tokenizer import Tokenizer, normalise_source
from seq2seq.translation.translator import Translator

WORDS = ["kalo", "miren", "stawog", "schupan,", "wog.", "Elbo"]
HELD = [
    "{{name}}",
    "{{ a b }}",
    "{0}",
    "{name:>10}",
    "%s",
    "%1$s",
    "%-5.2lf",
    "%(total)d",
    "%%",
    "%PATH%",
    "${home}",
    "#{x}",
    "&amp;",
    "&#39;",
    "https://example.org/a_(b)?q=1&r=%20#x",
    "www.example.org/{id}",
    "mailto:a@b.org",
    "joe.bloggs+x@mail.example.org",
    "`x = 1`",
    "``a`b``",
    "```ls -l```",
    "\U000f0000",
    "\U000f0001",
]
INLINE_KINDS = [
    "<b>",
    "</b>",
    "<br/>",
    '<a href="x y">',
    "</a>",
    "<ph3>",
    "<!-- a > b -->",
    "😀",
    "👍🏽",
    "✂️",
]
SPANS = HELD + INLINE_KINDS

texts = st.lists(st.sampled_from(WORDS + SPANS), min_size=1, max_size=12).map(" ".join)
snippets = st.lists(
    st.sampled_from([*SPANS, *WORDS, *"{}%<>/`@&;$ \n_-.:~!", "<!--", "-->", "://", "www."]),
    max_size=25,
).map("".join)


@given(st.one_of(st.text(st.characters(codec=None)), snippets))
def test_what_is_taken_out_comes_back(text: str) -> None:
    masked = mask(text)
    assert restore(*masked) == text
    assert number_of_spans(masked.text) == len(masked.spans)
    assert restore(*mask_placeholders(text)) == text


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("*http://example.org/a*. No", ["*", "http://example.org/a", "*"]),
        ("**www.example.org/b/** No", ["**", "www.example.org/b/", "**"]),
        ("_http://example.org/c_d_.", ["_", "http://example.org/c_d", "_"]),
        ("(see http://example.org/(e)), no", ["http://example.org/(e)"]),
        ("%dms, %.1fMB, %s!", ["%d", "%.1f", "%s"]),
        ("5 %ige, 100 der, a %discount", []),
        ("5\u00a0%s 5 %d.", ["%s", "%d"]),
        ("%sKalo%s, %2lludays, %shint, %discount", ["%s", "%s", "%2llu", "%s"]),
        ("%'d hours, %b %-e, kalo %R", ["%'d", "%b", "%-e", "%R"]),
        ("%Y%m%d, 50 %B, 50%B, 100% sure", ["%Y%m%d", "100%"]),
        ("`a`/`b`, {x}:{y} {{c}}{{d}}", ["`a`/`b`", "{x}:{y}", "{{c}}{{d}}"]),
        ("<b>{x}</b>{y}", ["<b>", "{x}", "</b>", "{y}"]),
        ('[kalo\nren](/x "lo\nmi") <a\nhref="y">', ["[", '](/x "lo\nmi")', '<a\nhref="y">']),
        ('[kalo](/x\r\n"lo")', ["[", '](/x\r\n"lo")']),
        ("a <b\n\nc> [d\n\ne](f", []),
        ("kalo[^1] and `git\ncommit`", ["[^1]", "`git\ncommit`"]),
        ("a ` b\n\nc ` d", []),
        ("your %dth visit, %dmin, %1$sth", ["%d", "%d", "%1$s"]),
        ("o'brien@example.com, a&b@c.de", ["o'brien@example.com", "a&b@c.de"]),
        ("git@example.org:a/b.git.", ["git@example.org:a/b.git"]),
        ('<a\n  class="x"\n  href="a>b">kalo</a>', ['<a\n  class="x"\n  href="a>b">', "</a>"]),
        (
            "<!DOCTYPE html> <?php x > y ?> {% if x %}",
            ["<!DOCTYPE html>", "<?php x > y ?>", "{% if x %}"],
        ),
        ("<b>kalo</b><b>ren</b>", ["<b>", "</b><b>", "</b>"]),
        ("⏰ ⭐⭐ ⬆️ 1️⃣", ["⏰", "⭐⭐", "⬆️", "1️⃣"]),
        ("kalo \\| ren", ["\\|"]),
        ("hi @<b>Tom_1</b>, #<i>x</i> a@<b>c</b>", ["@<b>Tom_1</b>", "#<i>x</i>", "<b>", "</b>"]),
        ("cat<sup>1</sup> s.<sup class=x>[2]</sup>", ["<sup>1</sup>", "<sup class=x>[2]</sup>"]),
        ("a<sup>b c</sup> <i class='x'>▾</i>", ["<sup>", "</sup>", "<i class='x'>▾</i>"]),
        ("---\n-a: b\n" + "-a: b\n" * 50, []),
    ],
)
def test_where_a_span_ends(text: str, spans: list[str]) -> None:
    assert [span.text for span in mask(text).spans] == spans


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    [
        *"~`%\\*_<{[(&@.",
        "~~",
        "```a",
        '<a b="',
        "<%",
        "<a b",
        "](",
        "x'",
        "<!--",
        "@<a",
        "@<a>",
        "<sup>x",
        "<a>!",
        "`a\nb",
        "%%",
    ],
)
def test_a_hundred_thousand_of_the_same_are_no_trouble(part: str) -> None:
    text = part * (100_000 // len(part)) + "x"
    assert restore(*mask(text)) == text


@pytest.mark.parametrize("span", SPANS)
def test_it_is_one_span_with_nothing_around_it(span: str) -> None:
    stands = INLINE_TAG if span in INLINE_KINDS else PLACEHOLDER
    text, spans = mask(f"Kalo ({span}, wog: {span}.")
    assert text == f"Kalo ({stands}, wog: {stands}."
    assert [one.text for one in spans] == [span, span]


@pytest.mark.parametrize(
    "text",
    [
        "20%discount",
        "a < b > c, 3<4",
        "it's 'so', Q & A",
        "12:30, a@ b, a::b",
        "3.5, C++",
    ],
)
def test_ordinary_text_is_no_span(text: str) -> None:
    assert mask(text) == (text, ())


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("See https://a.org/x.", "https://a.org/x"),
        ("(see https://a.org/x)", "https://a.org/x"),
        ("https://a.org/x_(y)!?", "https://a.org/x_(y)"),
        ("so “https://a.org/x”, b", "“https://a.org/x”"),  # what stands around it is its own
        ("a [https://a.org/x] b", "[https://a.org/x]"),
    ],
)
def test_a_link_ends_before_the_punctuation_around_it(text: str, link: str) -> None:
    assert [span.text for span in mask(text).spans] == [link]


def counts(text: str) -> dict[str, int]:
    return {span: text.count(span) for span in SPANS}


@pytest.mark.parametrize("engine", hostile())
@settings(max_examples=12)
@given(text=texts, unit=st.sampled_from(["line", "sentence"]))
def test_each_span_comes_out_once_whatever_the_engine_does(
    engine: str, text: str, unit: Unit
) -> None:
    [translation] = hostile()[engine].translate([text], unit=unit)
    assert counts(translation.text) == counts(text)


@settings(max_examples=50)
@given(texts)
def test_spans_stay_at_their_words(text: str) -> None:
    """But for the white space between a tag and what it encloses."""
    [translation] = copying().translate([text])
    parts = re.compile(r"<[^<>]*>|[^<>\s]+")
    assert parts.findall(translation.text) == parts.findall(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "a {x} " * 40 + "b",
        "kalo " + "{x}" * 40,
        "{x}" * 40,
        " ".join(f"{{x{i}}}" for i in range(40)),
        "<b>kalo</b> " * 39 + "<b>kalo</b>",
        "<b>" * 300 + "kalo" + "</b>" * 300,
        "ka{x}lo mi<b>ren</b>sta %swog",
        '{a}kalo{b} {c}, ({d}) "{e}".',
        "<ph3> kalo <ph5> {x} <ph16>",
        "{x}\u0338 kalo",  # a mark that would be joined to the symbol's last letter
        "{x}\u2581 \u2581{y} kalo",
    ],
)
def test_many_of_them_and_some_inside_words(text: str) -> None:
    [copied] = copying().translate([text])
    assert copied.text == normalise_source(text)
    spans = [span.text for span in mask(text).spans]
    for translator in hostile().values():
        [translation] = translator.translate([text])
        found = re.findall("|".join(map(re.escape, {*spans})), translation.text)
        assert sorted(found) == sorted(spans)


class MisplacingEngine(CopyEngine):
    """Says one placeholder when it reads the other, and looks at both, at its own a bit less."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(len(tokenizer))
        self.placeholders = tokenizer.placeholder_ids()[:2]

    def decode_step(self, state: CopyState, tokens: NDArray[np.int64]) -> Step[CopyState]:
        step = super().decode_step(state, tokens)
        first, second = self.placeholders
        for row, source in enumerate(state.source):
            both = np.isin(source, self.placeholders)
            read = source[min(state.position + 1, len(source) - 1)]
            if both.sum() == 2 and read in self.placeholders:
                said = first if read == second else second
                step.log_probs[row] = -20
                step.log_probs[row, said] = -0.001
                step.attention[row] = np.where(source == read, 0.6, np.where(both, 0.4, 0))
        return step


def test_placeholders_that_change_places_are_seen_and_put_right() -> None:
    tokenizer = tiny.tokenizer()
    misplacing = translator_over(MisplacingEngine(tokenizer), SearchConfig(beam_size=1))
    [translation] = misplacing.translate(["kalo {a} wog {b} sta."])
    assert translation.text == "kalo {a} wog {b} sta."
    assert any("swaps placeholders" in note for note in translation.notes)
    [unguarded] = misplacing.translate(["kalo {a} wog {b} sta."], guard=False)
    assert unguarded.text == "kalo {b} wog {a} sta."


class MiscountingEngine(CopyEngine):
    """Says a letter for each digit."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(len(tokenizer))
        self.heard = np.arange(len(tokenizer))
        digits = [*range(0x30, 0x3A)]
        [letter] = tokenizer.encode(["ka"])[0][-1:]
        for id_ in range(len(tokenizer)):
            [piece] = tokenizer.pieces([id_])
            if piece.strip("\u2581").isdecimal() or piece in {f"<0x{byte:02X}>" for byte in digits}:
                self.heard[id_] = letter

    def encode(
        self,
        source: NDArray[np.int64],
        lengths: NDArray[np.int64],
        forced: NDArray[np.int64] | None = None,
    ) -> CopyState:
        return super().encode(self.heard[source], lengths, forced)


def test_numbers_that_are_changed_are_held_in_another_search() -> None:
    wrong = translator_over(MiscountingEngine(tiny.tokenizer()), SearchConfig(beam_size=3))
    [translation] = wrong.translate(["Wog 1,317.50 elbo, 482 sta 7:45, mi 61 {x} wog."])
    numbers = re.findall(r"\d[\d.,:]*\d", translation.text)
    assert sorted(numbers) == ["1.317,50", "482", "61", "7:45"]
    assert "searched again, since the first translation changes a number" in translation.notes
    [translation] = wrong.translate(["Wog 1,317.50 elbo, 482 sta."], guard=False)
    assert "1.317,50" not in translation.text


def test_without_protection_any_text_is_still_translated() -> None:
    for translator in hostile().values():
        texts = ["kalo <ph3> {x}.", "<ph0>", "a \U000f0000 b"]
        translations = translator.translate(texts, protect=False)
        assert all(translation.text for translation in translations)
        assert translations[2].text.count("\U000f0000") == 1


def test_code_keeps_its_lines() -> None:
    code = "```\nfor x in y:\n\n    print(x)\n```"
    for translator in hostile().values():
        for unit in ("sentence", "paragraph"):
            text = f"Kalo miren.\n{code}\nWog."
            [translation] = translator.translate([text], unit=unit)
            assert f"\n{code}\n" in translation.text


def an_amount(rng: random.Random) -> str:
    """One of the ways to write an amount in English."""
    # Round hundreds may become words: "hundert".
    number = rng.choice(
        [rng.randrange(13, 100), rng.randrange(101, 200), rng.randrange(1000, 10**7)]
    )
    fraction = rng.choice(["", f".{rng.randrange(100):02}"])
    written = f"{number:,}{fraction}"
    return rng.choice(
        [
            f"${written}",
            f"€{written}",
            f"{written} USD",
            f"{written} kg",
            f"{written} km",
            f"{written} °C",
            f"{written}%",
            written,
        ]
    )


@pytest.mark.stress
def test_five_thousand_amounts_keep_their_digits() -> None:
    rng = random.Random(5)
    frames = ["It costs {}.", "I have {} of it.", "There were {} there.", "{} is too much.", "{}"]
    texts = [rng.choice(frames).format(an_amount(rng)) for _ in range(5000)]
    shipped = Translator(threads=1)
    changed = [
        (text, one.text)
        for text, one in zip(texts, shipped.translate(texts), strict=True)
        if re.findall(r"\d", text) != re.findall(r"\d", one.text)
    ]
    print(f"{len(texts)} amounts; {len(changed)} changed: {changed[:20]}")
    assert not changed


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
def test_unseen_words_are_held_and_unseen_symbols_are_inline(
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


@given(st.text(["a", "ك", "\N{CAT}", "\N{WAVING BLACK FLAG}", *INVISIBLE, "\U000e0041"]))
def test_what_is_left_without_invisible_characters_has_no_more_of_them(text: str) -> None:
    left = without_invisible(text)
    assert without_invisible(left) == left


def test_a_long_run_of_invisible_characters_leaves_nothing() -> None:
    for run in ("\U000e0041", "\ufe0f\u200c", "\u200c\ufe0f"):
        assert without_invisible("a" + 5_000 * run) == "a"


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
