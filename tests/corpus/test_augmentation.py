"""Augmentation: what is changed, and that both sides stay a translation of each other."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config.recipe import AugmentationConfig
from seq2seq.corpus import ParallelText
from seq2seq.corpus.augmentation import PLACEHOLDERS, Augmenter, copied_words, join
from seq2seq.tokenizer import PLACEHOLDERS as SYMBOLS

TEXT = ParallelText(
    "names",
    ["Tom likes Boston.", "Mary has 12 cats.", "Is Ulrike here?"],
    ["Tom mag Boston.", "Maria hat 12 Katzen.", "Ist Ulrike hier?"],
)


def changed(config: AugmentationConfig, source: str, target: str, seed: int) -> tuple[str, str]:
    return Augmenter(config, [TEXT]).augment(source, target, Random(seed))


def test_the_tokenizer_knows_every_placeholder() -> None:
    assert [f"<ph{number}>" for number in range(PLACEHOLDERS)] == list(SYMBOLS)


def test_the_source_alone_loses_its_capitals() -> None:
    config = AugmentationConfig(lower_case=1.0)
    assert changed(config, "Tom IS here.", "Tom ist da.", 1) == ("tom is here.", "Tom ist da.")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("Is he?", "¿Es él?", ("Is he", "Es él")),
        ("No!!", "Non !", ("No", "Non")),
        ("Mr. X left...", "Herr X ging …", ("Mr. X left", "Herr X ging")),
        ("plain", "schlicht", ("plain", "schlicht")),
        ("?", "!", ("?", "!")),  # there would be nothing left
        ("Oh!", "...", ("Oh!", "...")),
    ],
)
def test_the_last_punctuation_goes_on_both_sides(
    source: str, target: str, expected: tuple[str, str]
) -> None:
    assert changed(AugmentationConfig(unpunctuated=1.0), source, target, 1) == expected


def test_what_is_copied() -> None:
    assert copied_words("Tom met Tom in Rome in 1990.", "Tom traf Tom 1990 in Rome.") == [
        "Rome",
        "1990",
    ]
    assert copied_words("I saw A 3x.", "I sah A 3x.") == []


@pytest.mark.parametrize("seed", range(20))
def test_names_and_numbers_become_others_on_both_sides(seed: int) -> None:
    config = AugmentationConfig(names=1.0)
    source, target = changed(config, "Tom saw 35 cats.", "Tom sah 35 Katzen.", seed)
    found = re.fullmatch(r"([A-Z]\w+) saw (\d+) cats\.", source)
    assert found is not None
    assert target == f"{found[1]} sah {found[2]} Katzen."


def test_one_stays_one_and_no_other_number_becomes_it() -> None:
    """`1 cat` and `2 cats` differ in more than the number."""
    config = AugmentationConfig(names=1.0)
    ones = {changed(config, "I have 1 cat.", "Ich habe 1 Katze.", seed) for seed in range(100)}
    assert ones == {("I have 1 cat.", "Ich habe 1 Katze.")}
    others = {changed(config, "7 cats", "7 Katzen", seed)[0].split()[0] for seed in range(300)}
    assert {"2", "9"} < others
    assert not others & {"0", "1"}


def test_an_unseen_name_is_made_of_two() -> None:
    config = AugmentationConfig(names=1.0)
    names = {changed(config, "Tom left.", "Tom ging.", seed)[0] for seed in range(50)}
    assert len(names) > 5
    assert any(name not in " ".join(TEXT.source) for name in names)


@given(seed=st.integers(0, 10_000), text=st.text(max_size=20))
def test_placeholders_are_the_same_on_both_sides(seed: int, text: str) -> None:
    config = AugmentationConfig(placeholders=1.0)
    source, target = changed(config, f"Tom {text} 35", f"Tom 35 {text}", seed)
    assert sorted(re.findall(r"<ph\d+>", source)) == sorted(re.findall(r"<ph\d+>", target))
    source, target = changed(config, text.lower(), text.lower(), seed)
    assert source == target


LISTS = st.lists(st.integers(0, 10**30).map(str) | st.text("AB", min_size=2, max_size=3))


@given(words=LISTS, seed=st.integers(0, 100))
def test_no_list_is_too_long(words: list[str], seed: int) -> None:
    line = " ".join(words)
    config = AugmentationConfig(lower_case=0.5, unpunctuated=0.5, names=1.0, placeholders=1.0)
    source, target = changed(config, line, line, seed)
    assert source in (target, target.lower())


def test_many_copied_words_and_endless_numbers() -> None:
    line = " ".join(map(str, range(40)))
    for seed in range(20):
        source, target = changed(AugmentationConfig(placeholders=1.0), line, line, seed)
        assert source == target
        assert len(set(re.findall(r"<ph\d+>", source))) <= PLACEHOLDERS
    endless = "7" * 10_000
    source, _ = changed(AugmentationConfig(names=1.0), endless, endless, 1)
    assert len(source) <= 6


def test_a_line_of_spaces_takes_no_time() -> None:
    line = "a" + " " * 1_000_000 + "b."
    config = AugmentationConfig(unpunctuated=1.0)
    assert changed(config, line, line, 1) == (line[:-1], line[:-1])


def test_rates_are_kept() -> None:
    augmenter = Augmenter(AugmentationConfig(lower_case=0.3), [TEXT])
    random = Random(1)
    lower = sum(augmenter.augment("Tom", "Tom", random)[0] == "tom" for _ in range(2000))
    assert 500 < lower < 700


def test_nothing_is_changed_without_a_rate() -> None:
    assert not AugmentationConfig().is_on
    assert changed(AugmentationConfig(), "Tom IS 12.", "Tom ist 12.", 1)[0] == "Tom IS 12."


def test_whole_sentences_are_joined_on_both_sides_alike() -> None:
    pairs = [("I see.", "Ich sehe."), ("Really?", "Wirklich?"), ("a list", "eine Liste")]
    assert join(pairs) == ("I see. Really?", "Ich sehe. Wirklich?")


def test_a_fragment_stays_alone() -> None:
    assert join([("a list", "eine Liste"), ("I see.", "Ich sehe.")]) == ("a list", "eine Liste")


def test_pairs_are_joined_as_often_as_the_recipe_says() -> None:
    augmenter = Augmenter(AugmentationConfig(joined=0.25), [TEXT])
    random = Random(1)
    joins = [augmenter.joins(random) for _ in range(4000)]
    assert sum(number > 0 for number in joins) / len(joins) == pytest.approx(0.25, abs=0.03)
    assert max(joins) == 3
