"""Text in, text out, over engines that do something simple and a tiny tokenizer."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
from helpers.engines import CopyEngine, CopyState
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import seq2seq
from seq2seq.config.model_config import Direction, SearchConfig, choose_direction
from seq2seq.config.recipe import TokenizerConfig
from seq2seq.errors import UsageError
from seq2seq.search.engine_protocol import Step
from seq2seq.tokenizer import EOS_ID, Tokenizer, normalise_source
from seq2seq.translation.result import Translation
from seq2seq.translation.translator import Translator

EN_DE = Direction("en", "de")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    sentences = [
        f"the {size} {animal} sees a {thing} in the {place}."
        for size in ("big", "small", "old")
        for animal in ("dog", "cat", "horse", "bird")
        for thing in ("house", "tree", "river")
        for place in ("garden", "village", "city", "forest")
    ]
    return Tokenizer.train(sentences, TokenizerConfig(vocabulary_size=384), ["en", "de"])


@pytest.fixture(scope="module")
def translator(tokenizer: Tokenizer) -> Translator:
    """Gives the source back as the model reads it."""
    return Translator.over(
        CopyEngine(len(tokenizer)), tokenizer, [EN_DE], SearchConfig(beam_size=3)
    )


def translate(translator: Translator, text: str) -> str:
    [translation] = translator.translate([text])
    assert "\n" not in translation.text
    return translation.text


def target_ids(translation: Translation) -> list[tuple[int, ...]]:
    """The ids of all candidates."""
    parts = [part for candidate in translation.candidates for part in candidate.parts]
    return [part.hypothesis.ids for part in parts if part.hypothesis]


def test_a_translation_for_each_text_in_order(translator: Translator) -> None:
    texts = [f"the {'old ' * (17 * i % 29)}dog" for i in range(100)]
    translations = translator.translate(texts)
    assert [one.source for one in translations] == texts
    assert [one.text for one in translations] == texts


@pytest.mark.parametrize("blank", ["", " ", "\t", "\u00a0 \u2003", "\n", "\r"])
def test_blank_gives_nothing(translator: Translator, blank: str) -> None:
    [translation] = translator.translate([blank])
    assert (translation.text, translation.score, translation.parts) == ("", 0.0, ())


@pytest.mark.parametrize(
    "text", ["-", "12.50", " 3 + 4 ", "...?!", "😀👍🏽", "½ “”", "\0", "\ufffd"]
)
def test_text_without_letters_passes_through(translator: Translator, text: str) -> None:
    [translation] = translator.translate([text])
    assert translation.text == text
    assert translation.parts[0].hypothesis is None


@pytest.mark.parametrize("text", ["Où est la gare ?", "駅はどこですか。", "ⲕⲏⲙⲉ", "a\0b", "𐍈𐌰"])
def test_no_script_is_foreign(translator: Translator, text: str) -> None:
    assert translate(translator, text) == normalise_source(text)


@settings(deadline=None, max_examples=100)
@given(text=st.text(st.characters(codec=None), max_size=40))
def test_any_text_gives_one_line(translator: Translator, text: str) -> None:
    assert bool(translate(translator, text).strip()) == bool(text.strip())


def test_half_surrogate_pairs(translator: Translator) -> None:
    assert translate(translator, "a \ud83d dog") == "a \ufffd dog"
    assert translate(translator, "a \ud83d\ude00 dog") == "a 😀 dog"


def test_line_ends_become_spaces(translator: Translator, tokenizer: Tokenizer) -> None:
    assert translate(translator, "the dog\nthe cat") == "the dog the cat"
    assert translate(translator, "1\n2") == "1 2"
    [newline] = [i for i in range(len(tokenizer)) if tokenizer.pieces([i]) == ["<0x0A>"]]
    engine = CopyEngine(len(tokenizer), second=newline)
    saying_newlines = Translator.over(engine, tokenizer, [EN_DE], SearchConfig(beam_size=3))
    [translation] = saying_newlines.translate(["dog"], n_best=3)
    assert not any("\n" in candidate.text for candidate in translation.candidates)
    assert all(candidate.text.strip() for candidate in translation.candidates)


def test_a_text_of_ten_thousand_words_is_whole(translator: Translator) -> None:
    animals = ("dog", "cat", "horse", "bird")
    words = [f"{animals[i % 4]}{',' * (i % 7 == 0)}{'.' * (i % 11 == 0)}" for i in range(10_000)]
    [translation] = translator.translate([" ".join(words)])
    assert translation.text == " ".join(words)
    lengths = [len(part.source_ids) - 1 for part in translation.parts]
    assert max(lengths) <= translator.search.max_source_length
    assert len(lengths) > 100


def test_a_text_without_spaces_is_cut_too(translator: Translator) -> None:
    text = "thedogsees" * 100
    [translation] = translator.translate([text])
    assert translation.text == text
    assert len(translation.parts) > 1


def test_the_parts_give_the_text_back(translator: Translator) -> None:
    text = "The dog sees. 17 + 4! " * 40
    [translation] = translator.translate([text])
    assert "".join(part.source + part.separator for part in translation.parts) == text.strip()
    assert {part.source: part.hypothesis is None for part in translation.parts} == {
        "The dog sees.": False,
        "17 + 4!": True,
    }


def test_part_has_ids_and_attention(translator: Translator, tokenizer: Tokenizer) -> None:
    [translation] = translator.translate(["the old dog"])
    [part] = translation.parts
    assert list(part.source_ids) == tokenizer.encode_sources(["the old dog"], "de")[0]
    assert part.hypothesis is not None
    assert part.hypothesis.ids == part.source_ids[1:]
    assert part.hypothesis.attention.shape == (len(part.hypothesis.ids), len(part.source_ids))
    assert (part.hypothesis.attention.argmax(axis=1) == range(1, len(part.source_ids))).all()


def test_score_is_that_of_the_hypothesis(translator: Translator) -> None:
    [translation] = translator.translate(["the dog"])
    [part] = translation.parts
    assert part.hypothesis is not None
    length = len(part.hypothesis.ids) + 1
    assert translation.score == part.hypothesis.score
    assert translation.score == pytest.approx(length * np.log(0.9) / ((5 + length) / 6), rel=1e-5)


def test_score_of_several_parts_is_their_mean_by_length(translator: Translator) -> None:
    [translation] = translator.translate(["The dog sees the old cat. A bird! 17! " * 20])
    scores, weights = zip(
        *[
            (part.hypothesis.score, len(part.source_ids))
            for part in translation.parts
            if part.hypothesis
        ],
        strict=True,
    )
    assert len(scores) == 40
    assert translation.score == pytest.approx(np.average(scores, weights=weights))


def test_n_best(translator: Translator) -> None:
    for text in ("the dog", "the dog sees the cat. " * 30):
        [translation] = translator.translate([text], n_best=3)
        scores = [candidate.score for candidate in translation.candidates]
        assert 1 < len(scores) == len({one.text for one in translation.candidates}) <= 3
        assert scores == sorted(scores, reverse=True)
        assert translation.text == translation.candidates[0].text == text.strip()
    assert len(translator.translate(["17"], n_best=3)[0].candidates) == 1


def test_parts_without_a_choice_are_in_all_candidates(translator: Translator) -> None:
    text = "17 + 4! " * 3 + "The dog sees. " * 30 + "18 + 4!"
    [translation] = translator.translate([text], n_best=3)
    assert len(translation.candidates) > 1
    for rank, candidate in enumerate(translation.candidates):
        assert candidate.text == "".join(part.text + part.separator for part in candidate.parts)
        assert [part.hypothesis is None for part in candidate.parts] == [
            *[True] * 3,
            *[False] * 30,
            True,
        ]
        assert len({part.text for part in candidate.parts[3:-1]}) == 1
        assert rank == 0 or candidate.score < translation.candidates[rank - 1].score


def test_n_best_must_fit_the_beam(translator: Translator) -> None:
    with pytest.raises(UsageError, match="more than the beam size 3"):
        translator.translate(["the dog"], n_best=4)


def test_a_text_does_not_depend_on_its_company(translator: Translator) -> None:
    texts = ["the dog", "", "17", "駅はどこですか。", "the dog sees the cat. " * 30, "a bird"]
    together = translator.translate(texts, n_best=2)
    for text, translation in zip(texts, together, strict=True):
        [alone] = translator.translate([text], n_best=2)
        assert [(c.text, c.score) for c in alone.candidates] == [
            (c.text, c.score) for c in translation.candidates
        ]


def test_batches_are_bounded(tokenizer: Tokenizer) -> None:
    engine = CopyEngine(len(tokenizer))
    greedy = Translator.over(engine, tokenizer, [EN_DE], SearchConfig(beam_size=1))
    lines = [f"a dog {i}" for i in range(150)]
    lines += [f"{i} {'the dog sees the big cat. ' * 4}" for i in range(100)] + ["17"] * 10
    assert len([*greedy.translate_lines(lines)]) == 260
    assert sum(sentences for sentences, _ in engine.batches) == 250
    assert all(b <= 64 and b * s <= 4096 for b, s in engine.batches)
    assert len(engine.batches) < 12


def endless_lines(read: list[str]) -> Iterator[str]:
    """Lines of very different lengths, some of which pass through; each is noted as it is read."""
    for i in count():
        read.append(["17", "", f"the {'old ' * (17 * i % 29)}dog {i}"][min(2, i % 7)])
        yield read[-1]


@pytest.mark.slow
def test_lines_keep_their_order(translator: Translator) -> None:
    lines = list(islice(endless_lines([]), 5000))
    translations = translator.translate_lines(iter(lines))
    assert [(one.source, one.text) for one in translations] == [(line, line) for line in lines]


@pytest.mark.slow
def test_lines_are_read_ahead_but_not_without_end(translator: Translator) -> None:
    read: list[str] = []
    translations = translator.translate_lines(endless_lines(read))
    assert read == []
    ahead = []
    for number, _ in enumerate(islice(translations, 5000)):
        ahead.append(len(read) - number)
    assert 1000 < max(ahead) < 5000


def test_long_lines_are_not_read_ahead_by_the_thousand(translator: Translator) -> None:
    read = 0

    def lines() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "The dog sees. " * 1000

    translations = translator.translate_lines(lines())
    assert next(translations).text == "The dog sees. " * 999 + "The dog sees."
    assert read < 5


@pytest.mark.slow
def test_a_line_does_not_wait_for_those_behind_it(tokenizer: Tokenizer) -> None:
    engine = CopyEngine(len(tokenizer))
    greedy = Translator.over(engine, tokenizer, [EN_DE], SearchConfig(beam_size=1))
    translations = greedy.translate_lines(endless_lines([]))
    for number in range(1, 2000):
        next(translations)
        assert len(engine.batches) <= number
    assert np.mean([sentences for sentences, _ in engine.batches]) > 40


def test_a_call_may_change_how_the_model_searches(tokenizer: Tokenizer) -> None:
    translator = Translator.over(CopyEngine(len(tokenizer)), tokenizer, [EN_DE], SearchConfig())
    [translation] = translator.translate(["the dog sees the old cat"], beam_size=1, max_length=5)
    assert len(translation.parts) > 1
    assert translation.text == "the dog sees the old cat"


def test_language_tags_are_never_generated(tokenizer: Tokenizer) -> None:
    tag = tokenizer.language_id("en")
    engine = CopyEngine(len(tokenizer), second=tag)
    translator = Translator.over(engine, tokenizer, [EN_DE], SearchConfig(beam_size=5))
    [translation] = translator.translate(["the dog"], n_best=5)
    assert not any(tag in ids for ids in target_ids(translation))


def test_where_the_model_is_silent_the_source_stands(tokenizer: Tokenizer) -> None:
    class SilentEngine(CopyEngine):
        def decode_step(self, state: CopyState, tokens: NDArray[np.int64]) -> Step[CopyState]:
            step = super().decode_step(state, tokens)
            step.log_probs[:, EOS_ID] = 0.0
            return step

    translator = Translator.over(SilentEngine(len(tokenizer)), tokenizer, [EN_DE], SearchConfig())
    # The guard would make it say something.
    assert translator.translate(["the dog"], guard=False)[0].text == "the dog"


def test_a_bare_string_is_a_mistake(translator: Translator) -> None:
    with pytest.raises(TypeError, match="list of texts"):
        translator.translate("the dog")
    with pytest.raises(TypeError, match="takes lines"):
        next(translator.translate_lines("the dog"))


def test_threads_may_share_a_translator() -> None:
    """The one that ships, on ONNX Runtime."""
    translator = Translator(threads=2)
    texts = [f"The {'old ' * (i % 7)}dog is in house {i}." for i in range(40)]

    def translated(chosen: list[str]) -> list[tuple[str, float]]:
        return [(one.text, one.score) for one in translator.translate(chosen, beam_size=2)]

    expected = translated(texts)
    starts = [*range(8)] * 4
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(translated, [texts[start::8] for start in starts])
        assert list(found) == [expected[start::8] for start in starts]


PROGRAM = """
from collections.abc import Iterator
from pathlib import Path

from seq2seq import Seq2SeqError, Translation, Translator, UsageError

def best(lines: Iterator[str]) -> Iterator[tuple[str, float]]:
    translator = Translator("mine.s2s", threads=2)
    for translation in translator.translate_lines(lines, beam_size=2):
        yield translation.text, translation.score

def alternatives(model: Path | None, text: str) -> list[str]:
    try:
        translations: list[Translation] = Translator(model).translate([text], n_best=3)
    except UsageError as error:
        raise SystemExit(error.exit_code) from None
    except Seq2SeqError as error:
        raise SystemExit(str(error)) from None
    return [candidate.text for one in translations for candidate in one.candidates]
"""


@pytest.mark.slow
def test_programs_that_use_it_are_type_checked(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(f"{PROGRAM}\nTranslator().translate([1])\n")

    root = Path(seq2seq.__file__).parents[1]
    environment = dict(os.environ)
    if root.name != "site-packages":  # where mypy finds it, through py.typed
        environment["MYPYPATH"] = str(root)

    def check(name: str) -> str:
        command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", name]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env=environment
        ).stdout

    assert check("right.py").startswith("Success")
    assert "List item 0" in check("wrong.py")


DIRECTIONS = [Direction("en", "de"), Direction("de", "en"), Direction("en", "fr")]


@pytest.mark.parametrize(
    ("source", "target", "chosen"),
    [
        (None, None, "en-de"),
        ("de", None, "de-en"),
        (None, "fr", "en-fr"),
        (None, "en", "de-en"),
        ("en", "fr", "en-fr"),
        ("de", "fr", "de-fr"),  # not trained, but both are known
    ],
)
def test_languages_choose_a_direction(source: str | None, target: str | None, chosen: str) -> None:
    assert str(choose_direction(DIRECTIONS, source, target)) == chosen


@pytest.mark.parametrize(
    ("source", "target", "ways"),
    [
        ("fr", None, "from 'fr'"),
        (None, "es", "into 'es'"),
        ("en", "en", "from 'en' into 'en'"),
        ("fr", "de", "from 'fr' into 'de'"),
    ],
)
def test_an_unknown_direction_lists_the_known(
    source: str | None, target: str | None, ways: str
) -> None:
    with pytest.raises(UsageError) as caught:
        choose_direction(DIRECTIONS, source, target)
    expected = f"the model does not translate {ways}; it knows en-de, de-en, en-fr."
    assert str(caught.value) == expected


def test_the_target_language_is_asked_for(tokenizer: Tokenizer) -> None:
    engine = CopyEngine(len(tokenizer))
    both = Translator.over(engine, tokenizer, DIRECTIONS[:2], SearchConfig(beam_size=1))
    for target, language in ((None, "de"), ("de", "de"), ("en", "en")):
        [translation] = both.translate(["ka lo."], target=target)
        [part] = translation.parts
        assert part.source_ids[0] == tokenizer.language_id(language)
