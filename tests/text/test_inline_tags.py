"""Tags go where the words went that they enclosed, and stay nested."""

import re

import pytest
from helpers.engines import copying
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seq2seq.text.alignment import WordAlignment
from seq2seq.text.inline_tags import place
from seq2seq.text.masking import PLACEHOLDER, MaskedText, mask, restore, without_inline_tags

WORD = st.sampled_from(["kalo", "miren", "wog.", "(Elbo", "ka-lo", "{x}", "lo,"])
TAG = re.compile(r"<(/?)(\w+)[^<>]*?(/?)>")


def marked_up(*gaps: str) -> st.SearchStrategy[str]:
    """Words and tags around words, with `gaps` between them."""

    def around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        names, gap = st.sampled_from(["b", "i", "a"]), st.sampled_from(gaps)
        enclosed = st.builds(lambda name, text: f"<{name} x='1'>{text}</{name}>", names, inner)
        return st.one_of(enclosed, st.builds(lambda a, gap, b: a + gap + b, inner, gap, inner))

    return st.recursive(
        st.one_of(WORD, st.sampled_from(["<br/>", "<hr>", "😀"])), around, max_leaves=12
    )


targets = st.lists(st.sampled_from(["ka", "Lo,", "“ren”", "(wog)", "-"]), max_size=8).map(" ".join)
links = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=20).map(tuple)


def nesting(text: str) -> list[tuple[str, ...]]:
    """The pairs, each as the names from the outermost to its own, sorted."""
    pairs, opened = list[tuple[str, ...]](), list[str]()
    for closes, name, _ in TAG.findall(text):
        if name in ("br", "hr"):
            continue
        if closes:
            assert opened.pop() == name
        else:
            opened.append(name)
            pairs.append((*opened,))
    assert not opened
    return sorted(pairs)


@settings(max_examples=300)
@given(marked_up(" ", " ", ""), targets, links)
@example("<b x='1'>kalo</b> <br/> kalo", "ka Lo,", ((0, 1),))
@example("<b x='1'><b x='1'>kalo</b></b>kalo<b x='1'>(Elbo</b>", "", ())
def test_each_tag_once_and_nested_as_before_or_nothing(
    text: str, words: str, linked: WordAlignment
) -> None:
    source = mask(text)
    own = without_inline_tags(source).spans
    target = MaskedText(" ".join([words, *[PLACEHOLDER] * len(own)]).strip(), own)
    placed = place(source, target, linked)
    if placed is None:
        return
    restored = restore(*placed)
    tags = [span.text for span in source.spans if span.is_inline]
    assert sorted(span.text for span in placed.spans if span.is_inline) == sorted(tags)
    assert nesting(restored) == nesting(text)
    without = without_inline_tags(placed)
    assert without.text.split() == target.text.split()
    assert [*without.spans] == [*own]


@settings(max_examples=30)
@given(marked_up(" "))
@example("kalo <b x='1'><br/> kalo</b>")
@example("kalo <b x='1'>kalo </b><br/> <i x='1'><hr> <br/> lo</i>")
def test_a_copy_has_its_tags_where_they_were(text: str) -> None:
    [translation] = copying().translate([text])
    parts = re.compile(r"<[^<>]*>|[^<>\s]+")
    assert parts.findall(translation.text) == parts.findall(text)


def tagged(text: str, translation: str, linked: WordAlignment) -> str:
    source = mask(text)
    spans = without_inline_tags(source).spans
    target = MaskedText(re.sub(r"\{\w*\}", PLACEHOLDER, translation), spans)
    placed = place(source, target, linked)
    assert placed
    return restore(*placed)


@pytest.mark.parametrize(
    ("text", "translation", "linked", "expected"),
    [
        ("a <b>red</b> house", "una casa roja", ((0, 0), (2, 1), (1, 2)), "una casa <b>roja</b>"),
        ("<p>a house</p>", "ein Haus", (), "<p>ein Haus</p>"),
        ("it <i>is</i>.", "es ist.", ((0, 0), (1, 1)), "es <i>ist</i>."),
        ("it <i>is.</i>", "es ist.", ((0, 0), (1, 1)), "es <i>ist.</i>"),
        ("so <b>a b</b> c", "x y z", ((0, 0), (1, 2), (2, 0), (3, 1)), "<b>x y z</b>"),
        ("a<br>b", "x{} y", (), "x<br> y"),  # joins two words, which the model must see
        ("CO<b>2</b> so", "so CO{}2{}", ((0, 1), (1, 0)), "so CO<b>2</b>"),
        ("CO<sub>2</sub> so", "so CO", ((0, 1), (1, 0)), "so CO<sub>2</sub>"),
        ("one <br> two", "eins zwei", ((0, 0), (1, 1)), "eins <br> zwei"),
        ("good 😀 day", "guten Tag", ((0, 0), (1, 1)), "guten 😀 Tag"),
        ("good day 😀", "guten Tag", ((0, 0), (1, 1)), "guten Tag 😀"),
        ("a <b></b> c", "x z", ((0, 0), (1, 1)), "x <b></b> z"),
        ("a <i> </i>c", "x z", ((0, 0), (1, 1)), "x <i> </i>z"),
        ("a <br><br> c", "x z", ((0, 0), (1, 1)), "x <br><br> z"),
        ("</b> a <b>", "x", ((0, 0),), "</b> x <b>"),
        ("so <b>{x}</b>, a", "so {}, x", ((0, 0), (1, 1), (2, 2)), "so <b>{x}</b>, x"),
        ("so <b>{x}</b> a", "so x {}", ((0, 0), (1, 1), (2, 2)), "so x <b>{x}</b>"),
        ("<i>so</i> <b>a</b> c", "y x z", ((0, 1), (1, 0), (2, 2)), "<b>y</b> <i>x</i> z"),
        ("<b>a b</b> <i>c</i>", "x y z", ((0, 0), (1, 2), (2, 1)), "<b>x</b> <i>y</i> z"),
        ("<b>a <i>c</i></b> d", "x y z", ((0, 1), (1, 2), (2, 0)), "x <b>y <i>z</i></b>"),
        ("a <b><br> c</b> d", "x y z", ((0, 2), (1, 0), (2, 1)), "<b><br> x</b> y z"),
        ("a <b>c</b><br> d", "x y z", ((0, 0), (1, 2), (2, 1)), "x y <b>z</b><br>"),
    ],
)
def test_where_they_go(text: str, translation: str, linked: WordAlignment, expected: str) -> None:
    assert tagged(text, translation, linked) == expected


@pytest.mark.parametrize(
    ("text", "translation", "linked"),
    [
        ("<b>a</b> <i>c</i>", "xy", ((0, 0), (1, 0))),  # one word for both
        ("<b>a</b> c", "", ((0, 0), (5, 7))),
        ("<b>a</b> c", "x z", ()),
    ],
)
def test_no_pair_is_emptied(text: str, translation: str, linked: WordAlignment) -> None:
    assert place(mask(text), MaskedText(translation, []), linked) is None


def test_tags_within_words_that_would_cross_are_refused() -> None:
    source = mask("CO<b>2</b>")
    target = MaskedText(f"CO{PLACEHOLDER}2{PLACEHOLDER}", source.spans[::-1])
    assert place(source, target, ()) is None


def test_spans_of_the_target_keep_their_order() -> None:
    source = mask("a {1} <b>b</b> {2}")
    spans = without_inline_tags(source).spans
    target = MaskedText(f"x {PLACEHOLDER} y {PLACEHOLDER}", [spans[1], spans[0]])
    placed = place(source, target, ((0, 0), (1, 3), (2, 2), (3, 1)))
    assert placed
    assert restore(*placed) == "x {2} <b>y</b> {1}"


@pytest.mark.parametrize(
    "text",
    [
        "kalo **lo mi** wog.",
        "kalo *lo* and _mi_ wog.",
        "see [kalo lo](https://a.org/x_(y)) wog.",
        "~~kalo~~ __lo__ wog",
    ],
)
def test_marks_of_markdown_stay_at_their_words(text: str) -> None:
    [translation] = copying().translate([text])
    assert translation.text == text
