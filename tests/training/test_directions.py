"""Several directions in one model, as a user meets them: train, evaluate, export, translate."""

import json
from pathlib import Path

import pytest
from helpers.commands import run as translate
from helpers.commands import run_seq2seq as run

pytestmark = pytest.mark.slow


CORPUS = """
[[corpus]]
source_language = "en"
target_language = "{language}"
train = "{folder}/train"
valid = "{folder}/valid"
test = "{folder}/valid"
both_directions = {both}
leakage = "keep"
"""
SETTINGS = """
[tokenizer]
vocabulary_size = 385

[model]
hidden_size = 16
encoder_layers = 1
decoder_layers = 1

[augmentation]
lower_case = 0.1
unpunctuated = 0.1
names = 0.1
placeholders = 0.1

[training]
epochs = 1
batch_tokens = 300
temperature = 2
threads = 1
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """English words, the same in capitals (xx), and backwards (yy): en-xx, xx-en and en-yy."""
    folder = tmp_path_factory.mktemp("corpus")
    words = ["red", "green", "blue", "small", "tall", "house", "tree", "river", "road", "bird"]
    lines = [f"{a} {b} {c}." for a in words[:5] for b in words[5:] for c in words[5:]]
    for name, part in (("train", lines[:60]), ("valid", lines[60:68])):
        for language, sentences in (
            ("en", part),
            ("xx", [line.upper() for line in part]),
            ("yy", [line[::-1] for line in part]),
        ):
            text = "".join(f"{sentence}\n" for sentence in sentences)
            (folder / f"{name}.{language}").write_text(text)
    path = folder / "recipe.toml"
    corpora = [
        CORPUS.format(language="xx", folder=folder, both="true"),
        CORPUS.format(language="yy", folder=folder, both="false"),
    ]
    path.write_text("".join(corpora) + SETTINGS)
    return path


@pytest.fixture(scope="module")
def trained(recipe: Path) -> Path:
    """A finished run."""
    done = run("train", recipe, "-o", recipe.parent / "run")
    assert done.returncode == 0, done.stderr
    assert "180 training pairs" in done.stderr
    return recipe.parent / "run"


@pytest.fixture(scope="module")
def exported(trained: Path) -> Path:
    """A model directory in 8 bits, with a shortlist."""
    done = run("export", trained, "-o", trained.parent / "mine.s2s")
    assert done.returncode == 0, done.stderr
    return trained.parent / "mine.s2s"


def test_every_direction_is_validated(trained: Path) -> None:
    rows = [json.loads(row) for row in (trained / "metrics.jsonl").read_text().splitlines()]
    bleus = rows[-1]["bleu_by_direction"]
    assert list(bleus) == ["en-xx", "xx-en", "en-yy"]
    assert rows[-1]["bleu"] == pytest.approx(sum(bleus.values()) / 3)


def test_all_test_sets_are_evaluated(trained: Path, exported: Path, recipe: Path) -> None:
    ways: list[tuple[Path, list[str | Path]]] = [(trained, []), (exported, ["--recipe", recipe])]
    for model, options in ways:
        done = run("evaluate", model, *options, "--json")
        reports = [json.loads(line) for line in done.stdout.splitlines()]
        assert [report["direction"] for report in reports] == ["en-xx", "xx-en", "en-yy"]
        assert all(report["sentences"] == 8 for report in reports)
        table = run("evaluate", model, *options).stdout
        assert all(f"\n{way}" in table for way in ("en-xx", "xx-en", "en-yy"))
    done = run("evaluate", exported, "--recipe", recipe, "-t", "en", "--json")
    assert json.loads(done.stdout)["direction"] == "xx-en"
    done = run("evaluate", exported, "--corpus", recipe.parent / "valid", "-t", "yy", "--json")
    assert json.loads(done.stdout)["direction"] == "en-yy"


def test_the_language_is_chosen(exported: Path) -> None:
    def translation(*options: str) -> str:
        done = translate("--quiet", "-m", exported, "red house tree.", *options)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert translation() == translation("-f", "en", "-t", "xx")
    assert translation("-t", "en") == translation("-f", "xx")


def test_a_direction_that_was_not_trained_goes_through_a_third_language(exported: Path) -> None:
    def translation(text: str, *options: str) -> str:
        return translate("--quiet", "-m", exported, text, *options).stdout

    done = translate("-m", exported, "-f", "xx", "-t", "yy", "RED HOUSE TREE.")
    english = translation("RED HOUSE TREE.", "-f", "xx", "-t", "en").removesuffix("\n")
    assert done.stdout == translation(english, "-f", "en", "-t", "yy")
    note = "xx-yy goes through en, since no model was trained for it."
    assert done.returncode == 0
    assert done.stderr.startswith(f"translate: {note}\n")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-t", "zz"], "into 'zz'"),
        (["-f", "yy"], "from 'yy'"),
        (["-f", "xx", "-t", "xx"], "from 'xx' into 'xx'"),
    ],
)
def test_an_unknown_language_lists_the_directions(
    exported: Path, options: list[str], complaint: str
) -> None:
    done = translate("-m", exported, "red house.", *options)
    assert (done.returncode, done.stdout) == (2, "")
    expected = f"the model does not translate {complaint}; it knows en-xx, xx-en, en-yy, xx-yy."
    assert done.stderr == f"translate: {expected}\n"


def test_test_sets_of_other_languages(exported: Path, recipe: Path) -> None:
    done = run("evaluate", exported, "--recipe", recipe, "-f", "yy")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "seq2seq: none of the test sets is of these languages.\n"


def test_a_recipe_without_a_test_set(exported: Path, recipe: Path, tmp_path: Path) -> None:
    lines = recipe.read_text().splitlines()
    without = tmp_path / "recipe.toml"
    without.write_text("\n".join(line for line in lines if not line.startswith("test =")))
    done = run("evaluate", exported, "--recipe", without)
    assert done.returncode == 2
    assert "the recipe names no test set; give --src and --ref, or --corpus." in done.stderr


def test_one_corpus_does_not_stand_for_several(trained: Path, recipe: Path) -> None:
    output = trained.parent / "other.s2s"
    done = run("export", trained, "-o", output, "--corpus", recipe.parent / "train")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--corpus replaces the corpus of a run that has one" in done.stderr
    assert not output.exists()
