"""The sample corpus is what its generator writes, and its splits share no sentence."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from seq2seq.corpus import check_sources, read_lines

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "data" / "sample"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """The script as a module."""
    path = ROOT / "data" / "make_sample.py"
    spec = importlib.util.spec_from_file_location("make_sample_corpus", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_committed_files_are_what_the_generator_writes(
    generator: ModuleType, tmp_path: Path
) -> None:
    generator.write(generator.make(seed=1), tmp_path)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(path.name for path in SAMPLE.iterdir())
    for name in written:
        # Compared as lines: a checkout may have turned the line ends.
        assert read_lines(tmp_path / name) == read_lines(SAMPLE / name), name


@pytest.mark.slow
def test_another_seed_gives_other_sentences(generator: ModuleType) -> None:
    first, second = generator.make(seed=1), generator.make(seed=2)
    assert first["train"] != second["train"]


def test_sizes_and_no_shared_sentence() -> None:
    splits = ("train", "valid", "test")
    report = check_sources([str(SAMPLE / name) for name in splits], "en", "de")
    assert [text.pairs for text in report.texts] == [6000, 300, 300]
    assert not any(text.findings for text in report.texts)
    for language in ("en", "de"):
        sentences = [line for name in splits for line in read_lines(SAMPLE / f"{name}.{language}")]
        assert len(set(sentences)) == len(sentences) == 6600
        assert all(4 <= len(sentence.split()) <= 14 for sentence in sentences)


def test_german_agrees(generator: ModuleType) -> None:
    """Gender, case and adjective endings after each kind of determiner."""
    phrase = generator.NounPhrase
    old = next(adjective for adjective in generator.ADJECTIVES if adjective.en == "old")
    nouns = {noun.en: noun for noun in generator.NOUNS}
    man, woman, child, boy = (nouns[word] for word in ("man", "woman", "child", "boy"))
    expected = {
        (man, generator.THE): "der alte Mann, den alten Mann, dem alten Mann, des alten Mannes",
        (
            man,
            generator.A,
        ): "ein alter Mann, einen alten Mann, einem alten Mann, eines alten Mannes",
        (woman, generator.THIS): "diese alte Frau, diese alte Frau, dieser alten Frau, "
        "dieser alten Frau",
        (child, generator.MY): "mein altes Kind, mein altes Kind, meinem alten Kind, "
        "meines alten Kindes",
        (boy, generator.THE): "der alte Junge, den alten Jungen, dem alten Jungen, "
        "des alten Jungen",
    }
    for (noun, determiner), forms in expected.items():
        singular = phrase(noun, determiner, adjective=old)
        assert ", ".join(map(singular.german, generator.ARTICLE)) == forms
    plural = phrase(man, generator.NUMBERS[0], plural=True, adjective=old)
    assert plural.german("nominative") == "zwei alte Männer"
    assert plural.german("dative") == "zwei alten Männern"
    none = phrase(man, generator.A, adjective=old)
    assert none.german("accusative", negated=True) == "keinen alten Mann"


@pytest.mark.parametrize(
    ("changes", "english", "statement", "question", "subordinate"),
    [
        ({}, "I am picking up the man", "ich hole den Mann ab", "hole ich den Mann ab",
         "ich den Mann abhole"),
        ({"negated": True}, "I am not picking up the man", "ich hole den Mann nicht ab",
         "hole ich den Mann nicht ab", "ich den Mann nicht abhole"),
        ({"tense": "past"}, "I picked up the man", "ich habe den Mann abgeholt",
         "habe ich den Mann abgeholt", "ich den Mann abgeholt habe"),
        ({"modal": "CAN"}, "I can pick up the man", "ich kann den Mann abholen",
         "kann ich den Mann abholen", "ich den Mann abholen kann"),
        ({"tense": "future"}, "I will pick up the man", "ich werde den Mann abholen",
         "werde ich den Mann abholen", "ich den Mann abholen werde"),
    ],
)  # fmt: skip
def test_german_word_order(
    generator: ModuleType,
    changes: dict[str, object],
    english: str,
    statement: str,
    question: str,
    subordinate: str,
) -> None:
    pick_up = next(verb for verb in generator.ACTING if verb.en == "pick")
    man = next(noun for noun in generator.NOUNS if noun.en == "man")
    if "modal" in changes:
        changes = {"modal": getattr(generator, str(changes["modal"]))}
    clause = generator.Clause(
        generator.SPEAKER, pick_up, object=generator.NounPhrase(man, generator.THE), **changes
    )
    assert generator.english(clause) == english
    assert generator.german(clause, "second") == statement
    assert generator.german(clause, "first") == question
    assert generator.german(clause, "last") == subordinate
