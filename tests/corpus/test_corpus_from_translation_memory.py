"""A recipe and a corpus from a translation memory."""

from pathlib import Path

import pytest

from seq2seq.config.model_config import Direction
from seq2seq.config.recipe import Recipe
from seq2seq.corpus.corpus_from_translation_memory import split_memory, write_memory_recipe
from seq2seq.corpus.prepare import prepare
from seq2seq.corpus.readers import ParallelText, read_parallel
from seq2seq.errors import Seq2SeqError, UsageError

TMX = (
    '<tmx version="1.4"><header srclang="en"/><body><tu><tuv xml:lang="en"><seg>Open <bpt i="1"/>'
    'a<ept i="1"/>\nfile</seg></tuv><tuv xml:lang="de"><seg>Öffnen</seg></tuv></tu></body></tmx>'
)
PO = 'msgid ""\nmsgstr "Language: de\\n"\n\nmsgid "Close"\nmsgstr "Schließen"\n'


def memory(tmp_path: Path, number: int) -> Path:
    path = tmp_path / "m.tsv"
    path.write_text("".join(f"source {n}\ttarget {n}\n" for n in range(number)))
    return path


def test_catalogues_are_read_without_inline_elements(tmp_path: Path) -> None:
    (tmp_path / "a.tmx").write_text(TMX, encoding="utf-8")
    (tmp_path / "b.po").write_text(PO, encoding="utf-8")
    text = read_parallel(str(tmp_path / "a.tmx"), "en", "de")
    assert ([*text.source], [*text.target]) == (["Open a file"], ["Öffnen"])
    folder = read_parallel(str(tmp_path), "en", "de")
    assert [*folder.target] == ["Öffnen", "Schließen"]


def test_a_folder_beside_files_of_its_name_is_a_prefix(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for language in ("en", "de"):
        (tmp_path / f"train.{language}").write_text("a\n")
    assert len(read_parallel(str(tmp_path / "train"), "en", "de")) == 1


def test_a_source_is_in_one_part_and_the_parts_are_the_same_again() -> None:
    sources = [f"s{number % 900}" for number in range(1000)]
    text = ParallelText("m", sources, [f"t{number}" for number in range(1000)])
    train, valid, test = split_memory(text)
    parts = [{source for source, _ in part} for part in (train, valid, test)]
    assert [len(valid), len(test)] == [45, 45]
    assert set.union(*parts) == {*sources}
    assert sum(map(len, parts)) == 900
    assert (train, valid, test) == split_memory(text)
    assert valid != split_memory(text, seed=2)[1]


def test_the_recipe_can_be_trained_and_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "run.corpus"
    path = write_memory_recipe(memory(tmp_path, 1000), folder, Direction("en", "de"))
    recipe = Recipe.load(path)
    corpus = prepare(recipe.corpus)
    counts = [len(texts[0].text) for texts in (corpus.train, corpus.valid, corpus.test)]
    assert counts == [900, 50, 50]
    assert recipe.training.epochs == 16
    with pytest.raises(UsageError, match="exists already"):
        write_memory_recipe(memory(tmp_path, 2000), folder, Direction("en", "de"))


def test_too_few_segments_and_names_that_a_recipe_cannot_have_are_told(tmp_path: Path) -> None:
    with pytest.raises(Seq2SeqError, match=r"100 different segments are too few .* 400 are needed"):
        write_memory_recipe(memory(tmp_path, 100), tmp_path / "c", Direction("en", "de"))
    with pytest.raises(UsageError, match="is not possible"):
        write_memory_recipe(memory(tmp_path, 500), tmp_path / 'a"b', Direction("en", "de"))
    assert not (tmp_path / "c").exists()
