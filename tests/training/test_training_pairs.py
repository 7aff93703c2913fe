"""Training pairs: each once an epoch, drawn by seed and epoch alone, of several directions."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers.corpora import make_sentences

from seq2seq.config.model_config import Direction
from seq2seq.config.recipe import AugmentationConfig, Recipe, TokenizerConfig
from seq2seq.corpus import DirectedText, ParallelText, check_corpora, prepare
from seq2seq.corpus.batches import Batch
from seq2seq.errors import Seq2SeqError
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, Tokenizer
from seq2seq.training import training_pairs as module
from seq2seq.training.training_pairs import TrainingPairs

EN_DE, DE_EN = Direction("en", "de"), Direction("de", "en")


@pytest.fixture
def text(recipe: Recipe) -> DirectedText:
    [text] = prepare(recipe.corpus).train
    return text


def epoch_of(pairs: TrainingPairs, epoch: int) -> list[Batch]:
    buffers = [pairs.buffer(epoch, number) for number in range(pairs.buffers)]
    return [buffer[number] for buffer in buffers for number in range(len(buffer))]


def read(batch: Batch) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """Number, source and target of each pair, without padding and marks."""
    found = []
    for line, src, tgt_in, tgt_out in zip(
        batch.lines, batch.src, batch.tgt_in, batch.tgt_out, strict=True
    ):
        assert tgt_in[0] == BOS_ID
        target = tuple(tgt_out[: tgt_out.tolist().index(EOS_ID)].tolist())
        assert tuple(tgt_in[1 : len(target) + 1].tolist()) == target
        found.append((int(line), tuple(src[src != PAD_ID].tolist()), target))
    return found


def drawn(pairs: TrainingPairs, epoch: int) -> dict[int, tuple[tuple[int, ...], tuple[int, ...]]]:
    return {n: (src, tgt) for batch in epoch_of(pairs, epoch) for n, src, tgt in read(batch)}


def with_temperature(recipe: Recipe, temperature: float) -> Recipe:
    return replace(recipe, training=replace(recipe.training, temperature=temperature))


def test_every_pair_comes_once_an_epoch(
    recipe: Recipe, text: DirectedText, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(recipe, training=replace(recipe.training, batch_tokens=30))
    for size, buffers in ((20, 1), (2, 2), (1, 3)):
        monkeypatch.setattr(module, "_BUFFER", size)
        pairs = TrainingPairs([text], tokenizer, recipe)
        assert pairs.buffers == buffers
        orders = [
            [n for batch in epoch_of(pairs, epoch) for n, *_ in read(batch)] for epoch in (0, 1)
        ]
        assert sorted(orders[0]) == sorted(orders[1]) == list(range(80))
        assert orders[0] != orders[1]


def test_each_epoch_draws_its_own_subwords(
    recipe: Recipe, text: DirectedText, tokenizer: Tokenizer
) -> None:
    pairs = TrainingPairs([text], tokenizer, recipe)
    again = TrainingPairs([text], tokenizer, recipe)
    first = drawn(pairs, 0)
    assert first == drawn(again, 0)
    assert first != drawn(pairs, 1)
    tag = tokenizer.language_id("de")
    for number, (source, target) in first.items():
        assert source[0] == tag
        assert tokenizer.decode(source) == text.text.source[number]
        assert tokenizer.decode(target) == text.text.target[number]
    # The two sides are equal here, and are drawn independently.
    assert any(source[1:] != target for source, target in first.values())


def test_without_sampling_the_ids_are_the_most_likely(
    recipe: Recipe, text: DirectedText, tokenizer: Tokenizer
) -> None:
    recipe = replace(recipe, tokenizer=TokenizerConfig())
    found = drawn(TrainingPairs([text], tokenizer, recipe), 0)
    assert found == drawn(TrainingPairs([text], tokenizer, recipe), 1)
    expected = tokenizer.encode(text.text.target)
    assert [list(found[number][1]) for number in range(80)] == expected


def test_both_directions_ask_for_their_language(recipe: Recipe, tokenizer: Tokenizer) -> None:
    both = (replace(recipe.corpus[0], both_directions=True),)
    texts = prepare(both).train
    assert [one.direction for one in texts] == [EN_DE, DE_EN]
    found = drawn(TrainingPairs(texts, tokenizer, recipe), 0)
    assert len(found) == 160
    for number, (source, _) in found.items():
        assert source[0] == tokenizer.language_id("de" if number < 80 else "en")


@pytest.mark.parametrize(
    ("temperature", "shares"), [(1.0, (300, 30)), (1e9, (165, 165)), (2.0, (251, 79))]
)
def test_the_temperature_evens_out_directions(
    recipe: Recipe, tokenizer: Tokenizer, temperature: float, shares: tuple[int, int]
) -> None:
    many, few = make_sentences(300, seed=5), make_sentences(30, seed=6)
    texts = [
        DirectedText(EN_DE, ParallelText("many", many, many)),
        DirectedText(DE_EN, ParallelText("few", few, few)),
    ]
    pairs = TrainingPairs(texts, tokenizer, with_temperature(recipe, temperature))
    counts = Counter(n for batch in epoch_of(pairs, 0) for n, *_ in read(batch))
    assert sum(counts[n] for n in range(300)) == shares[0]
    assert sum(counts[n] for n in range(300, 330)) == shares[1]
    for part in (range(300), range(300, 330)):
        assert max(counts[n] for n in part) - min(counts[n] for n in part) <= 1


@pytest.mark.parametrize(
    ("weights", "shares"),
    [((), (200, 100, 60)), ((1, 0.5, 1), (232, 58, 70)), ((1, 4, 1), (109, 218, 33))],
)
def test_pairs_come_as_often_as_the_weight_of_their_text_says(
    recipe: Recipe, tokenizer: Tokenizer, weights: tuple[float, ...], shares: tuple[int, ...]
) -> None:
    sizes = 200, 100, 60
    texts = [
        DirectedText(way, ParallelText("text", sentences, sentences))
        for way, size in zip((EN_DE, EN_DE, DE_EN), sizes, strict=True)
        for sentences in [make_sentences(size, seed=size)]
    ]
    pairs = TrainingPairs(texts, tokenizer, with_temperature(recipe, 1.0), weights)
    counts = Counter(n for batch in epoch_of(pairs, 0) for n, *_ in read(batch))
    ends = [0, 200, 300, 360]
    found = tuple(sum(counts[n] for n in range(first, last)) for first, last in pairwise(ends))
    assert found == shares


def test_long_pairs_are_left_out(recipe: Recipe, text: DirectedText, tokenizer: Tokenizer) -> None:
    plain = replace(recipe, tokenizer=TokenizerConfig())
    longest = {
        number: max(len(source), len(target) + 1)
        for number, (source, target) in drawn(TrainingPairs([text], tokenizer, plain), 0).items()
    }
    limit = int(np.median(list(longest.values())))
    short = replace(plain, training=replace(plain.training, max_length=limit))
    kept = drawn(TrainingPairs([text], tokenizer, short), 0)
    assert kept.keys() == {number for number, length in longest.items() if length <= limit}
    none = replace(plain, training=replace(plain.training, max_length=1))
    with pytest.raises(Seq2SeqError, match="each of 80 training pairs is longer than"):
        TrainingPairs([text], tokenizer, none).buffer(0, 0)


def test_pairs_are_named_by_the_lines_of_their_file(
    recipe: Recipe, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    for language in ("en", "de"):
        path = tmp_path / f"train.{language}"
        path.write_text("\n\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    both = (replace(recipe.corpus[0], both_directions=True),)
    texts = prepare(both).train  # the blank lines are dropped
    pairs = TrainingPairs(texts, tokenizer, recipe)
    name = tmp_path / "train"
    assert pairs.describe([0]) == f"1 pair ({name}, line 3)"
    assert pairs.describe([81, 1, 0]) == f"3 pairs ({name}, lines 3, 4, 4)"
    assert pairs.describe(range(40)).endswith("lines 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 ...)")


def test_a_pair_that_comes_often_is_drawn_anew_each_time(
    recipe: Recipe, tokenizer: Tokenizer
) -> None:
    many, few = make_sentences(300, seed=5), make_sentences(3, seed=6)
    texts = [
        DirectedText(EN_DE, ParallelText("many", many, many)),
        DirectedText(DE_EN, ParallelText("few", few, few)),
    ]
    recipe = replace(recipe, tokenizer=TokenizerConfig(sampling=0.1))
    pairs = TrainingPairs(texts, tokenizer, with_temperature(recipe, 1e9))
    ways = [source for batch in epoch_of(pairs, 0) for n, source, _ in read(batch) if n == 300]
    assert len(ways) > 40
    assert len(set(ways)) > 5


def test_check_and_training_find_the_same(recipe: Recipe, tmp_path: Path) -> None:
    [corpus] = recipe.corpus
    held_out = (tmp_path / "valid.en").read_text(encoding="utf-8").split("\n")[0]
    for name, lines in (("t", f"{held_out}\nka.\n"), ("v", "lo.\n")):
        for language in ("en", "fr"):
            (tmp_path / f"{name}.{language}").write_text(lines, encoding="utf-8")
    other = replace(
        corpus, target_language="fr", train=str(tmp_path / "t"), valid=str(tmp_path / "v")
    )
    report = check_corpora((corpus, other))
    [text] = [text for text in report.texts if text.name == str(tmp_path / "t")]
    assert text.findings["leakage"].lines == (1,)
    with pytest.raises(Seq2SeqError, match="the first on line 1;"):
        prepare((corpus, other))


def test_augmentation_is_drawn_anew(
    recipe: Recipe, text: DirectedText, tokenizer: Tokenizer
) -> None:
    changed = replace(
        recipe,
        tokenizer=TokenizerConfig(),
        augmentation=AugmentationConfig(unpunctuated=0.5, placeholders=0.5),
    )
    pairs = TrainingPairs([text], tokenizer, changed)
    assert drawn(pairs, 0) == drawn(TrainingPairs([text], tokenizer, changed), 0)
    assert drawn(pairs, 0) != drawn(pairs, 1)
    ends = [tokenizer.decode(target)[-1] for _, target in drawn(pairs, 0).values()]
    assert ends.count(".") < 60


def test_targets_are_learnt_with_plain_spaces(recipe: Recipe, tokenizer: Tokenizer) -> None:
    text = DirectedText(EN_DE, ParallelText("spaces", ["ka ?"], ["ka\u202f?"]))
    for plain, expected in ((True, "ka ?"), (False, "ka\u202f?")):
        recipe = replace(recipe, tokenizer=TokenizerConfig(plain_spaces=plain))
        [(_, target)] = drawn(TrainingPairs([text], tokenizer, recipe), 0).values()
        assert tokenizer.decode(target) == expected


def test_a_sentence_held_out_from_one_corpus_is_held_out_from_all(
    recipe: Recipe, tmp_path: Path
) -> None:
    [corpus] = recipe.corpus
    sentences = make_sentences(60, seed=7)
    for name, part in (("train", sentences[:50]), ("valid", sentences[50:])):
        lines = "".join(f"{line}\n" for line in part)
        (tmp_path / f"other-{name}.en").write_text(lines, encoding="utf-8")
        (tmp_path / f"other-{name}.fr").write_text(lines.replace("ka", "ké"), encoding="utf-8")
    held_out = (tmp_path / "valid.en").read_text(encoding="utf-8").split("\n")[0]
    with (tmp_path / "other-train.en").open("a", encoding="utf-8") as file:
        file.write(f"{held_out}\n")
    with (tmp_path / "other-train.fr").open("a", encoding="utf-8") as file:
        file.write("autre chose\n")
    other = replace(
        corpus,
        target_language="fr",
        train=str(tmp_path / "other-train"),
        valid=str(tmp_path / "other-valid"),
    )
    with pytest.raises(Seq2SeqError, match="with a side that is in valid or test: 1 of 51"):
        prepare((corpus, other))
    prepared = prepare((corpus, replace(other, leakage="drop")))
    assert [len(one.text.source) for one in prepared.train] == [80, 50]
    assert [str(one.direction) for one in prepared.valid] == ["en-de", "en-fr"]


def test_pairs_are_tagged_with_the_form_of_address_of_their_target(recipe: Recipe) -> None:
    text = ParallelText(
        "letters",
        ["Do you see?", "Do you see?", "She sees."],
        ["Sehen Sie?", "Siehst du?", "Sie sieht."],
    )
    sentences = make_sentences(300, seed=1)
    tokenizer = Tokenizer.train(
        sentences, TokenizerConfig(vocabulary_size=480), ["en", "de"], formality=True
    )
    recipe = replace(recipe, augmentation=AugmentationConfig(formality=1.0))
    pairs = TrainingPairs([DirectedText(EN_DE, text)], tokenizer, recipe)
    sources = {number: source for number, (source, _) in drawn(pairs, 0).items()}
    tags = [[i for i in sources[number] if i in tokenizer.tag_ids()] for number in range(3)]
    german = tokenizer.language_id("de")
    formal, informal = tokenizer.formality_id("formal"), tokenizer.formality_id("informal")
    assert tags == [[german, formal], [german, informal], [german]]


def test_half_of_the_pairs_of_a_text_with_a_tag_are_drawn_with_it(recipe: Recipe) -> None:
    sentences = make_sentences(300, seed=1)
    tokenizer = Tokenizer.train(
        sentences, TokenizerConfig(vocabulary_size=480), ["en", "de"], tags=["legal", "mail"]
    )
    texts = [ParallelText(name, sentences[:200], sentences[:200]) for name in ("a", "b", "c")]
    pairs = TrainingPairs(
        [DirectedText(EN_DE, text) for text in texts],
        tokenizer,
        recipe,
        tags=["legal", "", "mail"],
    )
    german = tokenizer.language_id("de")
    legal, mail = tokenizer.constraint_id("legal"), tokenizer.constraint_id("mail")
    tags = Counter(
        (number // 200, tuple(i for i in source if i in tokenizer.tag_ids()))
        for number, (source, _) in drawn(pairs, 0).items()
    )
    assert set(tags) == {
        (0, (german,)),
        (0, (german, legal)),
        (1, (german,)),
        (2, (german,)),
        (2, (german, mail)),
    }
    assert 70 < tags[0, (german, legal)] < 130
    assert 70 < tags[2, (german, mail)] < 130


def test_joined_pairs_are_lines_of_several_sentences(recipe: Recipe, tokenizer: Tokenizer) -> None:
    text = ParallelText("text", ["ka lo.", "mi ta."], ["ka lo.", "mi ta."])
    recipe = replace(recipe, augmentation=AugmentationConfig(joined=1.0))
    pairs = TrainingPairs([DirectedText(EN_DE, text)], tokenizer, recipe)
    for source, target in drawn(pairs, 0).values():
        assert tokenizer.decode(source) == tokenizer.decode(target)
        assert tokenizer.decode(target).count(".") > 1
