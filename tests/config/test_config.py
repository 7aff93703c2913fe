"""Recipes: what they may say, and how each mistake is named."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from seq2seq.config.model_config import ModelConfig, SearchConfig
from seq2seq.config.parse import from_table, to_table
from seq2seq.config.recipe import CorpusConfig, HubSource, Recipe, TokenizerConfig, TrainingConfig
from seq2seq.errors import Seq2SeqError, UsageError

CORPUS = """
[corpus]
source_language = "en"
target_language = "de"
train = "data/train"
valid = "data/valid"
"""


def load(tmp_path: Path, text: str, *overrides: str) -> Recipe:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return Recipe.load(path, overrides)


def complaint(tmp_path: Path, text: str, *overrides: str) -> str:
    """What loading the recipe complains about: one sentence, without the name of the file."""
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text, *overrides)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert is_one_sentence(message)
    return message.removeprefix(f"{tmp_path / 'recipe.toml'}: ")


def is_one_sentence(message: str) -> bool:
    return message[-1] in ".?" and "\n" not in message and ". " not in message


def test_the_smallest_recipe_has_the_defaults(tmp_path: Path) -> None:
    recipe = load(tmp_path, CORPUS)
    assert recipe == Recipe((CorpusConfig("en", "de", "data/train", "data/valid"),))
    assert recipe.model == ModelConfig()
    assert recipe.training == TrainingConfig()
    assert recipe.corpus[0].test is None


def test_every_table_is_read(tmp_path: Path) -> None:
    tables = """
        [tokenizer]
        algorithm = "bpe"
        [model]
        cell = "gru"
        attention = "none"
        [training]
        epochs = 2
        learning_rate = 1
        [search]
        beam_size = 3
    """
    recipe = load(tmp_path, CORPUS + tables)
    assert recipe.tokenizer == TokenizerConfig(algorithm="bpe")
    assert recipe.model == ModelConfig(cell="gru", attention="none")
    assert recipe.training == TrainingConfig(epochs=2, learning_rate=1.0)
    assert isinstance(recipe.training.learning_rate, float)
    assert recipe.search == SearchConfig(beam_size=3)


def several(*targets: str) -> str:
    return "".join(
        CORPUS.replace("[corpus]", "[[corpus]]").replace('"de"', f'"{target}"')
        for target in targets
    )


def test_several_corpora(tmp_path: Path) -> None:
    recipe = load(
        tmp_path, several("de", "fr"), "corpus.1.both_directions=true", "corpus.0.train=x"
    )
    assert [corpus.target_language for corpus in recipe.corpus] == ["de", "fr"]
    assert [str(direction) for direction in recipe.directions] == ["en-de", "en-fr", "fr-en"]
    assert recipe.languages == ("en", "de", "fr")
    assert [corpus.train for corpus in recipe.corpus] == ["x", "data/train"]
    assert from_table(Recipe, json.loads(json.dumps(to_table(recipe)))) == recipe


@pytest.mark.parametrize(
    ("text", "override", "message"),
    [
        ("corpus = []", "model.heads=4", "'corpus' names no corpus."),
        (several("de", "de"), "model.heads=4", "two corpora are en-de; join their files."),
        (several("de", "fr") + "x = 1", "model.heads=4", "unknown key 'corpus.1.x'; did you mean"),
        (
            several("de", "fr"),
            "corpus.train=x",
            "--set 'corpus.train=x': the recipe has 2 tables 'corpus'; say which, as in "
            "corpus.0.train.",
        ),
        (
            several("de", "fr"),
            "corpus.2.train=x",
            "--set 'corpus.2.train=x': 'corpus.2' is not a table of the recipe.",
        ),
    ],
)
def test_mistakes_with_several_corpora(
    tmp_path: Path, text: str, override: str, message: str
) -> None:
    assert complaint(tmp_path, text, override).startswith(message)


def test_several_training_files_may_have_weights(tmp_path: Path) -> None:
    several = CORPUS.replace('"data/train"', '["a.tsv", "b.tsv.xz"]')
    (corpus,) = load(tmp_path, several).corpus
    assert corpus.training_sources == ("a.tsv", "b.tsv.xz")
    assert corpus.weights == ()
    recipe = load(tmp_path, several + "weights = [1, 0.5]")
    assert recipe.corpus[0].weights == (1.0, 0.5)
    assert from_table(Recipe, json.loads(json.dumps(to_table(recipe)))) == recipe
    (alone,) = load(tmp_path, CORPUS).corpus
    assert alone.training_sources == ("data/train",)


@pytest.mark.parametrize(
    ("train", "weights", "message"),
    [
        ('["a", "b"]', "[1]", "corpus.weights has 1 numbers, but corpus.train 2 files."),
        ('"a"', "[1, 2]", "corpus.weights has 2 numbers, but corpus.train 1 files."),
        ('["a", "b"]', "[1, 0]", "corpus.weights must be above 0 and at most 1000."),
        ('["a", "b"]', "[1, 1e9]", "corpus.weights must be above 0 and at most 1000."),
        ("[]", "[]", "corpus.train names no file."),
        ('["a", 7]', "[]", "'corpus.train.1' must be text, not 7."),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, train: str, weights: str, message: str) -> None:
    text = CORPUS.replace('"data/train"', train) + f"weights = {weights}"
    assert complaint(tmp_path, text) == message


def test_each_training_file_may_have_a_tag(tmp_path: Path) -> None:
    several = CORPUS.replace('"data/train"', '["a.tsv", "b.tsv", "c.tsv"]')
    assert load(tmp_path, several).tags == ()
    recipe = load(tmp_path, several + 'tags = ["legal", "", "legal"]')
    assert recipe.corpus[0].tags == ("legal", "", "legal")
    assert recipe.tags == ("legal",)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ('["a"]', "corpus.tags has 1 names, but corpus.train 2 files."),
        ('["a", "b c"]', "corpus.tags: 'b c' is not a name of up to 32 letters, digits, - and _."),
    ],
)
def test_tags_that_do_not_fit(tmp_path: Path, tags: str, message: str) -> None:
    text = CORPUS.replace('"data/train"', '["a", "b"]') + f"tags = {tags}"
    assert complaint(tmp_path, text) == message


def test_a_hub_source_is_a_table(tmp_path: Path) -> None:
    table = """
        [corpus.test]
        dataset = "bentrevett/multi30k"
        columns = ["en", "translation.de"]
        split = "test"
    """
    recipe = load(tmp_path, CORPUS + table)
    assert recipe.corpus[0].test == HubSource(
        "bentrevett/multi30k", ("en", "translation.de"), split="test"
    )


@pytest.mark.parametrize("test", [None, "data/test", HubSource("json", ("a", "b.c"))])
def test_a_recipe_survives_json(test: str | HubSource | None) -> None:
    recipe = Recipe(
        (CorpusConfig("en", "pt-BR", "data/train", "data/valid", test),),
        TokenizerConfig(sampling=0.1),
        search=SearchConfig(length_penalty=0),
    )
    assert from_table(Recipe, json.loads(json.dumps(to_table(recipe)))) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nepoch = 3", "unknown key 'training.epoch'; did you mean 'training.epochs'?"),
        (
            "[model]\nhiden_size = 8",
            "unknown key 'model.hiden_size'; did you mean 'model.hidden_size'?",
        ),
        ("[modle]", "unknown key 'modle'; did you mean 'model'?"),
        (
            "[training]\ndevice = 'cuda'",
            "unknown key 'training.device': a GPU is used where there is one; the environment "
            "variable CUDA_VISIBLE_DEVICES says which, and empty that none is.",
        ),
        (
            "[corpus.test]\ndataset = 'x'\ncolumns = ['a', 'b']\nsplits = 'x'",
            "unknown key 'corpus.test.splits'; did you mean 'corpus.test.split'?",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest(tmp_path: Path, text: str, message: str) -> None:
    assert complaint(tmp_path, CORPUS + text) == message


def test_a_key_like_no_other_is_still_answered(tmp_path: Path) -> None:
    assert complaint(tmp_path, CORPUS + "[model]\nzzz = 1").startswith("unknown key 'model.zzz'; ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'corpus' is missing."),
        ("[corpus]\nsource_language = 'en'", "'corpus.target_language' is missing."),
        (CORPUS + "[corpus.test]\ndataset = 'x'", "'corpus.test.columns' is missing."),
    ],
)
def test_a_missing_key_is_named(tmp_path: Path, text: str, message: str) -> None:
    assert complaint(tmp_path, text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nepochs = 'two'", "'training.epochs' must be a whole number, not 'two'."),
        ("[training]\nepochs = 2.5", "'training.epochs' must be a whole number, not 2.5."),
        ("[training]\nepochs = true", "'training.epochs' must be a whole number, not True."),
        ("[training]\ndropout = '0.1'", "'training.dropout' must be a number, not '0.1'."),
        ("[training]\ndropout = true", "'training.dropout' must be a number, not True."),
        ("[training]\ndropout = nan", "'training.dropout' must be a finite number, not nan."),
        (
            "[search]\nmax_length_ratio = inf",
            "'search.max_length_ratio' must be a finite number, not inf.",
        ),
        ("[tokenizer]\npath = 3", "'tokenizer.path' must be text, not 3."),
        (
            "[model]\ncell = 'LSTM'",
            "'model.cell' is 'LSTM'; it can be 'lstm', 'gru', 'rnn', or FILE.py:NAME.",
        ),
        ("[model]\ncell = ['lstm']", "'model.cell' must be text, not ['lstm']."),
        (
            "[corpus.test]\ndataset = 'x'\ncolumns = ['a']",
            "'corpus.test.columns' must be a list of 2.",
        ),
        (
            "[corpus.test]\ndataset = 'x'\ncolumns = ['a', 1]",
            "'corpus.test.columns' must be text, not 1.",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_named(tmp_path: Path, text: str, message: str) -> None:
    assert complaint(tmp_path, CORPUS + text) == message


def test_a_table_is_not_a_value(tmp_path: Path) -> None:
    assert complaint(tmp_path, "corpus = 3") == "'corpus' must be a table, or several of them."
    assert complaint(tmp_path, "model = []\n" + CORPUS) == "'model' must be a table."


@pytest.mark.parametrize("table", [None, 3, "model", [1, 2]])
def test_json_that_is_no_table_is_refused(table: Any) -> None:
    with pytest.raises(UsageError, match=r"^not a table\.$"):
        from_table(ModelConfig, table)


def test_overrides_are_toml_or_plain_text(tmp_path: Path) -> None:
    recipe = load(
        tmp_path,
        CORPUS,
        "training.epochs=7",
        "training.learning_rate = 1e-2",
        "model.cell=rnn",
        "tokenizer.algorithm='bpe'",
        "corpus.train=data/other=1",
        "training.epochs=8",
    )
    assert recipe.training.epochs == 8
    assert recipe.training.learning_rate == 0.01
    assert recipe.model.cell == "rnn"
    assert recipe.tokenizer.algorithm == "bpe"
    assert recipe.corpus[0].train == "data/other=1"


def test_an_override_reaches_into_a_nested_table(tmp_path: Path) -> None:
    table = "[corpus.test]\ndataset = 'x'\ncolumns = ['a', 'b']"
    recipe = load(tmp_path, CORPUS + table, "corpus.test.split=dev")
    assert recipe.corpus[0].test == HubSource("x", ("a", "b"), split="dev")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs=3", "--set 'epochs=3': write table.key=value, as in training.epochs=3."),
        (
            "training.epochs",
            "--set 'training.epochs': write table.key=value, as in training.epochs=3.",
        ),
        ("training.=3", "--set 'training.=3': write table.key=value, as in training.epochs=3."),
        ("training.epoch=3", "unknown key 'training.epoch'; did you mean 'training.epochs'?"),
        ("training.epochs=", "'training.epochs' must be a whole number, not ''."),
        ("training.epochs=0", "training.epochs must be at least 1."),
        (
            "model..cell=gru",
            "--set 'model..cell=gru': write table.key=value, as in training.epochs=3.",
        ),
        (
            "corpus.train.split=x",
            "--set 'corpus.train.split=x': 'corpus.train' is not a table of the recipe.",
        ),
    ],
)
def test_a_wrong_override_is_named(tmp_path: Path, override: str, message: str) -> None:
    assert complaint(tmp_path, CORPUS, override) == message


NUMBERS = {  # that strangers may write
    "401 digits": "1" + 400 * "0",
    "401 digits and a sign": "-1" + 400 * "0",
    "5,000 digits": 5000 * "9",
    "20,000 digits of base 16": "0x" + 20_000 * "f",
    "100,000 brackets": 100_000 * "[" + 100_000 * "]",
    "100,000 open brackets": 100_000 * "[",
    "100,000 braces": 30_000 * "{a=" + "1" + 30_000 * "}",
}


@pytest.mark.parametrize("value", NUMBERS.values(), ids=NUMBERS)
def test_absurd_values_are_refused_in_a_short_sentence(tmp_path: Path, value: str) -> None:
    """Wherever they stand, in the file or in an override."""
    for key in ("training.dropout", "training.epochs", "model.hidden_size", "model.cell", "new"):
        table, _, name = key.rpartition(".")
        text = f"{CORPUS}[{table}]\n{name} = {value}" if table else f"{name} = {value}\n{CORPUS}"
        messages = [complaint(tmp_path, text)]
        if table:
            messages.append(complaint(tmp_path, CORPUS, f"{key}={value}"))
        assert max(map(len, messages)) < 400


@pytest.mark.parametrize(
    "key",
    [
        *(
            f"training.{f.name}"
            for f in dataclasses.fields(TrainingConfig)
            if f.type in ("int", int)
        ),
        "model.hidden_size",
        "model.encoder_layers",
        "tokenizer.vocabulary_size",
        "search.beam_size",
        "search.max_length_extra",
        "search.max_source_length",
    ],
)
def test_every_count_has_a_bound(tmp_path: Path, key: str) -> None:
    assert key in complaint(tmp_path, CORPUS, f"{key}={10**30}")
    assert key in complaint(tmp_path, CORPUS, f"{key}={(1 << 63) + 2}")


@pytest.mark.parametrize(
    "override",
    ["training.epochs=3\nfoo = 4", "training.epochs=3\n[search]", "training.epochs=3\nvalue2 = 4"],
)
def test_text_behind_the_value_of_an_override_is_not_dropped(tmp_path: Path, override: str) -> None:
    message = complaint(tmp_path, CORPUS, override)
    assert message == f"--set {override!r}: give a single value; there is more after it."


def test_a_recipe_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"#" * (1 << 21))
    with pytest.raises(Seq2SeqError, match=r"recipe\.toml: more than 1,048,576 bytes"):
        Recipe.load(path)


def test_an_override_of_what_is_no_table(tmp_path: Path) -> None:
    message = complaint(tmp_path, "model = 3\n" + CORPUS, "model.cell=gru")
    assert message == "--set 'model.cell=gru': 'model' is not a table of the recipe."


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "corpus.source_language=''",
            "corpus.source_language: '' is not a language code such as 'en' or 'pt-BR'.",
        ),
        (
            "corpus.source_language='e n'",
            "corpus.source_language: 'e n' is not a language code such as 'en' or 'pt-BR'.",
        ),
        (
            "corpus.target_language=en",
            "corpus.target_language: 'en' is the source language too.",
        ),
        ("augmentation.names=2", "augmentation.names must lie in [0, 1]."),
        ("training.temperature=0.5", "training.temperature must be at least 1."),
        ("corpus.max_length_ratio=1", "corpus.max_length_ratio must be above 1."),
        ("tokenizer.vocabulary_size=379", "tokenizer.vocabulary_size must be at least 380."),
        (
            "tokenizer.character_coverage=0.5",
            "tokenizer.character_coverage must lie in [0.98, 1].",
        ),
        ("tokenizer.sampling=1.1", "tokenizer.sampling must lie in [0, 1]."),
        ("tokenizer.sampling=-0.1", "tokenizer.sampling must lie in [0, 1]."),
        ("model.hidden_size=0", "model.hidden_size must be at least 1."),
        (
            "model.hidden_size=5",
            "model.hidden_size must be even: each encoder direction has half of it.",
        ),
        ("model.heads=3", "model.heads: 3 does not divide model.hidden_size 256."),
        ("model.encoder_layers=0", "model.encoder_layers must be at least 1."),
        ("training.batch_tokens=0", "training.batch_tokens must be at least 1."),
        ("training.keep_checkpoints=0", "training.keep_checkpoints must be at least 1."),
        ("training.warmup_steps=-1", "training.warmup_steps must not be negative."),
        ("training.threads=1025", "training.threads must be at most 1024."),
        ("training.seed=-1", "training.seed must not be negative."),
        (f"training.seed={1 << 63}", "training.seed must be below 2 ** 63."),
        ("training.dropout=1.0", "training.dropout must lie in [0, 1)."),
        ("training.ema_decay=1", "training.ema_decay must lie in [0, 1)."),
        ("training.learning_rate=0", "training.learning_rate must be above 0."),
        ("training.clip_norm=-1", "training.clip_norm must be above 0."),
        ("training.weight_decay=-0.1", "training.weight_decay must not be negative."),
        ("search.beam_size=0", "search.beam_size must lie in [1, 1000]."),
        ("search.beam_size=1001", "search.beam_size must lie in [1, 1000]."),
        ("search.prune=0", "search.prune must be above 0."),
        ("search.length_penalty=-1", "search.length_penalty must lie in [0, 10]."),
        ("search.length_penalty=1000", "search.length_penalty must lie in [0, 10]."),
        ("search.max_length_ratio=0", "search.max_length_ratio must lie in (0, 100]."),
        ("search.max_length_ratio=101", "search.max_length_ratio must lie in (0, 100]."),
        ("search.max_length_extra=0", "search.max_length_extra must be at least 1."),
        ("search.max_source_length=0", "search.max_source_length must be at least 1."),
    ],
)
def test_a_value_out_of_range_is_named(tmp_path: Path, override: str, message: str) -> None:
    assert complaint(tmp_path, CORPUS, override) == message


def test_the_edges_of_the_ranges_are_allowed() -> None:
    TokenizerConfig(vocabulary_size=400, sampling=1)
    ModelConfig(hidden_size=2, encoder_layers=1, decoder_layers=1, heads=1)
    TrainingConfig(warmup_steps=0, weight_decay=0, dropout=0, ema_decay=0, seed=(1 << 63) - 1)
    SearchConfig(beam_size=1, length_penalty=0, max_length_extra=1)
    SearchConfig(length_penalty=10, max_length_ratio=100)


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Recipe.load(tmp_path / "none.toml")
    assert str(caught.value) == f"{tmp_path / 'none.toml'}: there is no such recipe."


def test_a_recipe_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Recipe.load(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read: Is a directory."


def test_text_that_is_not_toml(tmp_path: Path) -> None:
    message = complaint(tmp_path, "[corpus]\ntrain = \n")
    assert message.startswith("not a TOML file: ")
    assert "line 2" in message


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"# \xff")
    with pytest.raises(UsageError, match=r"recipe\.toml: not a TOML file: .*\.$"):
        Recipe.load(path)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig().hidden_size = 1  # type: ignore[misc]
