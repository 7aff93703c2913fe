"""Two systems side by side: what is better, where, and whether it may be chance."""

import bz2
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from helpers.training_runs import Recorder, make_small, with_corpus, with_training
from rich.cells import cell_len
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest
from typer.testing import CliRunner

from seq2seq.cli.main import app
from seq2seq.config.model_config import Direction
from seq2seq.config.recipe import Recipe
from seq2seq.corpus import DirectedText, ParallelText
from seq2seq.errors import Seq2SeqError
from seq2seq.evaluation.comparison import (
    TOO_FEW,
    Comparison,
    by_length,
    by_sentence,
    compare_systems,
    count_wins,
    most_different,
)
from seq2seq.evaluation.comparison import compare as compare_texts
from seq2seq.evaluation.lexical import (
    Bag,
    Both,
    bag,
    by_frequency,
    count_words,
    lexical_statistics,
    missing_words,
    words,
)
from seq2seq.evaluation.test_sets import EvaluationSet
from seq2seq.training.trainer import train

MODEL = Path(__file__).parents[1] / "golden" / "int8"
EN_DE = Direction("en", "de")

NOUNS = ["dog", "mouse", "house", "tree", "river", "road", "bird", "train"]
REFERENCES = [f"the {a} sees a {b} near the {c}." for a in NOUNS for b in NOUNS for c in NOUNS][:80]
SOURCES = [line.upper() for line in REFERENCES]
POOR = [line.replace("sees a", "look") for line in REFERENCES]


def comparison(
    a: list[str], b: list[str], references: list[str] = REFERENCES, show: int = 5
) -> Comparison:
    test = DirectedText(EN_DE, ParallelText("test.tsv", SOURCES[: len(references)], references))
    return compare_texts(test, Both("one.txt", "two.s2s"), Both(a, b), show=show)


def run(*arguments: str | Path, code: int = 0) -> str:
    """What the command prints; an error is one line."""
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    assert result.exit_code == code, result.output
    if code:
        assert result.output.startswith("seq2seq: ")
        assert result.output.count("\n") == 1
    return result.output


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return path


def sentences_of(files: dict[str, Path]) -> list[str | Path]:
    return ["--src", files["src"], "--ref", files["ref"]]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Source, reference, and a good and a poor translation."""
    texts = {"src": SOURCES, "ref": REFERENCES, "good": REFERENCES, "poor": POOR}
    return {name: write(tmp_path / f"{name}.txt", lines) for name, lines in texts.items()}


def test_the_test_is_that_of_sacrebleu() -> None:
    mixed = [*REFERENCES[:70], *POOR[70:]]
    metrics = comparison(POOR, mixed).metrics
    test = PairedTest(
        [("A", POOR), ("B", mixed)],
        {"BLEU": BLEU(), "chrF": CHRF()},
        [REFERENCES],
        test_type="bs",
        n_samples=1000,
    )
    _, results = test()
    for metric, name in zip(metrics, ("BLEU", "chrF2"), strict=True):
        first, second = results[name]
        assert (metric.scores.a, metric.scores.b) == (first.score, second.score)
        assert metric.difference == second.score - first.score
        assert metric.p_value == second.p_value
        assert "bs:1000|seed:12345" in metric.signature


def test_which_is_better() -> None:
    assert [one.better for one in comparison(POOR, REFERENCES).metrics] == ["b", "b"]
    assert [one.better for one in comparison(REFERENCES, POOR).metrics] == ["a", "a"]


def test_a_difference_in_one_sentence_may_be_chance() -> None:
    almost = [*REFERENCES[:-1], POOR[-1]]
    assert [one.better for one in comparison(almost, REFERENCES).metrics] == [None, None]


def test_nothing_is_better_than_itself() -> None:
    same = comparison(POOR, POOR)
    assert [(one.difference, one.p_value, one.better) for one in same.metrics] == [(0, 1, None)] * 2
    assert asdict(same.better_in) == {"a": 0, "b": 0, "neither": 80, "identical": 80}
    assert same.most_different == Both((), ())
    assert same.missing_words == Both((), ())


def test_equal_scores_of_unlike_translations_have_p_1() -> None:
    good, poor = REFERENCES[0], POOR[0]
    swapped = comparison([good, poor] * 20, [poor, good] * 20, [good] * 40)
    assert swapped.most_different.a
    assert [(one.difference, one.p_value) for one in swapped.metrics] == [(0, 1)] * 2


def test_a_handful_of_sentences_tells_nothing() -> None:
    few = comparison(POOR[:1], REFERENCES[:1], REFERENCES[:1])
    assert few.metrics[0].difference > 0
    assert [one.better for one in few.metrics] == [None, None]
    enough = comparison(POOR[:TOO_FEW], REFERENCES[:TOO_FEW], REFERENCES[:TOO_FEW])
    assert [one.better for one in enough.metrics] == ["b", "b"]


def test_lengths_are_those_of_the_source() -> None:
    sources = ["", "one", "one two three four five", "1 2 3 4 5 6", " ".join("x" * 40)]
    outputs = Both(["a b c d e"] * 5, ["e d c b a"] * 5)
    scores = by_length(EN_DE, sources, ["a b c d e"] * 5, outputs)
    assert [(one.words, one.sentences) for one in scores] == [("1-5", 3), ("6-10", 1), ("21+", 1)]
    assert all(one.bleu.a > one.bleu.b for one in scores)
    assert all(one.chrf.a == 100 > one.chrf.b for one in scores)


def test_words_have_no_punctuation_around_them() -> None:
    assert words("„Geht’s?“ – «Ja», 3.5 % sagte Dr. O'Neil (x-mal)…", "de") == [
        *("Geht’s", "Ja", "3.5", "sagte", "Dr", "O'Neil", "x-mal")
    ]
    assert words("हिन्दी में। ¿Qué?", "hi") == ["हिन्दी", "में", "Qué"]
    assert words(" . — !", "en") == []


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("zh-TW", "我每天早上都在公園裡散步。"),
        ("jpn", "わたしは毎朝公園を散歩しています。"),
        ("th", "ฉันเดินเล่นในสวนทุกเช้า"),
        ("km_KH", "ខ្ញុំដើរលេងនៅក្នុងសួន"),
    ],
)
def test_a_language_without_spaces_has_more_than_one_word(language: str, text: str) -> None:
    """The figures of lengths, words and BLEU are not those of whole sentences."""
    reference, poor = [text] * 40, [text[1:]] * 40
    test = DirectedText(
        Direction(language, language), ParallelText("test.tsv", reference, reference)
    )
    told = compare_texts(test, Both("a", "b"), Both(poor, reference))
    bleu, _ = told.metrics
    assert (bleu.better, round(bleu.scores.b, 6)) == ("b", 100)
    assert bleu.scores.a > 50
    assert [one.words for one in told.by_length] != ["1-5"]
    assert told.wording.b.words > 5 * 40
    assert 0 < told.wording.a.missing < told.wording.b.words / 2


def test_directions_that_count_other_words_have_signatures_of_their_own(
    tmp_path: Path,
) -> None:
    for name, target in (("de", REFERENCES), ("zh", ["我在公園裡散步。"] * 80)):
        rows = [f"{source}\t{line}" for source, line in zip(SOURCES, target, strict=True)]
        write(tmp_path / f"{name}.tsv", rows)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        "\n".join(
            f'[[corpus]]\nsource_language = "en"\ntarget_language = "{name}"\n'
            + "".join(f'{use} = "{tmp_path / name}.tsv"\n' for use in ("train", "valid", "test"))
            for name in ("de", "zh")
        )
    )
    both = write(tmp_path / "both.txt", [*REFERENCES, *["我在公園裡散步。"] * 80])
    lines = run(both, both, "--recipe", recipe).splitlines()
    assert "tok:13a" in lines[lines.index("en-de:") + 1]
    assert "tok:zh" in lines[lines.index("en-zh:") + 1]
    assert sum("nc:6" in line for line in lines) == 1


def english(text: str) -> Bag:
    return bag(text, "en")


def test_frequent_and_rare_words() -> None:
    references = [english("the cat and the dog"), english("the cat")]
    outputs = Both(
        [english("the the the cow"), english("the cat")],
        [english("cat and dog"), english("a cat")],
    )
    counts = {"the": 1000, "cat": 2, "dog": 1, "a": 12}
    found = by_frequency(references, outputs, counts)
    assert [(one.frequency, one.reference_words) for one in found] == [
        ("0", 1),  # and
        ("1", 1),  # dog
        ("2-9", 2),  # cat
        ("1000+", 3),  # the
    ]
    unseen, once, some, often = [one.accuracy for one in found]
    assert (unseen.a.recall, unseen.a.precision, unseen.a.f) == (0, 0, 0)  # cow
    assert (unseen.b.recall, unseen.b.precision, unseen.b.f) == (1, 1, 1)
    assert (once.a.f, once.b.f) == (0, 1)
    assert (some.a.recall, some.a.precision, some.a.f) == (1 / 2, 1, 2 / 3)
    assert (often.a.recall, often.a.precision, often.a.f) == (1, 3 / 4, 6 / 7)  # clipped
    assert (often.b.recall, often.b.precision, often.b.f) == (0, 0, 0)


def test_words_are_counted_where_they_are_wanted() -> None:
    assert count_words(["the dog.", "The dog and the cat"], {"the", "dog"}, "en") == {
        "the": 2,
        "dog": 2,
    }


def test_words_that_are_missing_or_said_again_and_again() -> None:
    references = ["a dog is a dog", "the cat", "no no no", "no no no"]
    output = ["a dog dog dog", "the mouse the mouse the mouse", "no no no", "no no no no"]
    told = lexical_statistics(references, output, "en")
    assert (told.words, told.length_ratio) == (17, 17 / 13)
    assert told.missing == 3  # is, a, cat
    assert told.repeated == 1 + 2 + 2 + 1  # dog; the, mouse; no
    assert told.loops == (1, 2, 4)
    nothing = lexical_statistics(["?"], ["..."], "en")
    assert (nothing.length_ratio, nothing.missing, nothing.repeated) == (0, 0, 0)


def test_what_only_one_of_them_lacks() -> None:
    references = [
        english("red dog the dog"),
        english("red dog"),
        english("the cat"),
        english("the cow"),
    ]
    a = [english("red"), english("dog"), english("the"), english("cow")]
    b = [english("red dog dog the"), english("red"), english("the"), english("the cow")]
    missing = missing_words(references, Both(a, b), 10)
    assert [(one.word, one.missing.a, one.missing.b) for one in missing.a] == [
        ("the", 2, 0),
        ("red", 1, 0),
        ("dog", 2, 1),
    ]
    assert missing.a[0].in_references == 3
    assert missing.b == ()
    assert missing_words(references, Both(b, a), 1).b[0].word == "the"


def test_the_sentences_that_differ_most() -> None:
    references = ["one two three", "four five six", "seven eight", "nine"]
    outputs = Both(
        ["one two three", "four", "seven eight", "x"], ["one two", "four five six", "eight", "y"]
    )
    sentences = by_sentence(references, references, outputs)
    assert asdict(count_wins(sentences)) == {"a": 2, "b": 1, "neither": 1, "identical": 0}
    different = most_different(sentences, 5)
    assert {one.number for one in different.a} == {1, 3}
    assert different.a[0].difference < different.a[1].difference < 0
    [better] = different.b
    assert (better.number, better.translations) == (2, Both("four", "four five six"))
    assert [len(side) for side in (most_different(sentences, 1).a, most_different([], 1).b)] == [
        1,
        0,
    ]


def test_json_has_all_of_it(files: dict[str, Path]) -> None:
    arguments = [files["poor"], files["good"], *sentences_of(files)]
    told = json.loads(run(*arguments, "--json", "-f", "en", "-t", "de", "--show", "2"))
    assert list(told) == [
        *("systems", "direction", "test", "sentences", "metrics", "better_in", "by_length"),
        *("frequencies_of", "by_frequency", "wording", "missing_words", "most_different"),
    ]
    assert told["systems"] == {"a": str(files["poor"]), "b": str(files["good"])}
    assert (told["direction"], told["sentences"]) == ("en-de", 80)
    assert told["metrics"][0]["better"] == "b"
    assert told["metrics"][0]["scores"]["b"] == pytest.approx(100)
    assert told["by_frequency"][-1]["accuracy"]["b"] == {"recall": 1, "precision": 1, "f": 1}
    assert told["wording"]["a"]["missing"] == 160
    assert {one["word"] for one in told["missing_words"]["a"]} == {"sees", "a"}
    assert told["most_different"]["a"] == []
    assert len(told["most_different"]["b"]) == 2


def test_the_report_fits_a_terminal(files: dict[str, Path]) -> None:
    lines = [*POOR]
    lines[3] = " ".join(["很长的句子"] * 40)
    lines[4] = "\x1b[31mred\x07"
    lines[5] = "dog dog dog dog"
    write(files["poor"], lines)
    arguments = [files["good"], files["poor"], *sentences_of(files)]
    report = run(*arguments, "--show", "3")
    assert "\x1b" not in report
    assert "\x07" not in report
    named = {*map(str, files.values())}
    for line in report.splitlines():
        assert cell_len(line) <= 80 or any(path in line for path in named)
        assert line == line.rstrip()
    assert report.count("A is better\n") == 2
    assert "Sentences in which A is better by most" in report
    assert "Sentences in which B" not in report
    assert "\n  of B: 4, 6\n" in report
    assert "Sentences" not in run(*arguments, "--show", "0")


def test_the_verdict_is_in_words(files: dict[str, Path]) -> None:
    test = sentences_of(files)
    assert run(files["poor"], files["poor"], *test).count("the same score") == 2
    almost = write(files["poor"], [*REFERENCES[:-1], POOR[-1]])
    assert run(almost, files["good"], *test).count("not significant") == 2
    for path in files.values():
        write(path, path.read_text().splitlines()[-3:])
    assert run(almost, files["good"], *test).count("too few sentences") == 2


def test_a_verdict_comes_with_a_word_on_seeds(files: dict[str, Path], several: Path) -> None:
    one = run(files["poor"], files["good"], *sentences_of(files))
    lines = [*SOURCES[:40], *REFERENCES[:40], *REFERENCES[:5]]
    table = run(write(files["poor"], lines), files["poor"], "--recipe", several)
    for report in (one, table):
        assert "two seeds of one recipe may differ as much" in " ".join(report.split())


def test_words_are_counted_in_a_training_corpus(files: dict[str, Path], tmp_path: Path) -> None:
    arguments = [files["poor"], files["good"], *sentences_of(files)]
    plain = write(tmp_path / "train.txt", ["the dog"] * 12)
    every_word = " ".join(files["ref"].read_text().split())
    table = write(tmp_path / "train.tsv", [f"{every_word}\tthe dog"] * 12)
    packed = tmp_path / "train.tsv.bz2"
    packed.write_bytes(bz2.compress(table.read_bytes()))
    memory = tmp_path / "train.tmx"
    segments = f'<tuv xml:lang="en"><seg>{every_word}</seg></tuv>'
    segments += '<tuv xml:lang="de"><seg>the dog</seg></tuv>'
    memory.write_text(
        f'<tmx version="1.4"><header/><body>{f"<tu>{segments}</tu>" * 12}</body></tmx>'
    )
    languages = ["--from", "en", "--to", "de"]
    for text in (plain, table, packed, memory):
        told = json.loads(run(*arguments, *languages, "--train", text, "--json"))
        assert told["frequencies_of"] == str(text)
        assert [one["frequency"] for one in told["by_frequency"]] == ["0", "10-99"]


def test_a_training_corpus_whose_languages_are_not_named_is_refused(
    files: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "train.tmx").write_text('<tmx version="1.4"><header/><body/></tmx>')
    arguments = [files["poor"], files["good"], *sentences_of(files)]
    message = run(*arguments, "--train", tmp_path / "train.tmx", code=2)
    assert "Name its languages with --from and --to." in message


def test_a_model_and_a_file_of_its_translations(tmp_path: Path) -> None:
    sources = ["the dog sees the mouse", "a bird", "", "the house"]
    src, ref = write(tmp_path / "a.en", sources), write(tmp_path / "a.de", sources)
    kept = tmp_path / "kept.txt"
    arguments = ["evaluate", MODEL, "--src", src, "--ref", ref, "-o", kept, "-b", "1"]
    assert CliRunner().invoke(app, [*map(str, arguments)]).exit_code == 0
    told = json.loads(run(MODEL, kept, "--src", src, "--ref", ref, "-b", "1", "--json"))
    assert told["direction"] == "en-de"
    assert told["better_in"]["identical"] == 4
    swapped = json.loads(run(kept, MODEL, "--corpus", tmp_path / "a", "-b", "1", "--json"))
    assert swapped["better_in"]["identical"] == 4


@pytest.mark.slow
def test_a_run_brings_its_test_set(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(monkeypatch)
    valid = recipe.corpus[0].valid
    short = with_training(with_corpus(recipe, test=valid), epochs=1)
    train(short, tmp_path / "run", Recorder())
    [told] = compare_systems(Both(MODEL, tmp_path / "run"), EvaluationSet(), beam_size=1)
    assert (told.direction, told.test, told.sentences) == (EN_DE, valid, 10)
    assert told.systems.b == str(tmp_path / "run")


SEVERAL = """
[[corpus]]
source_language = "en"
target_language = "xx"
both_directions = true
train = "{0}/t"
valid = "{0}/t"
test = "{0}/t"

[[corpus]]
source_language = "pt-BR"
target_language = "en"
train = "{0}/u.tsv"
valid = "{0}/u.tsv"
test = "{0}/u.tsv"
"""


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """Three directions: 40 sentences both ways, and 5."""
    write(tmp_path / "t.en", REFERENCES[:40])
    write(tmp_path / "t.xx", SOURCES[:40])
    write(tmp_path / "u.tsv", [f"{line}\t{line.lower()}" for line in SOURCES[:5]])
    path = tmp_path / "recipe.toml"
    path.write_text(SEVERAL.format(tmp_path))
    return path


@pytest.mark.slow
def test_several_directions_are_a_summary(several: Path, tmp_path: Path) -> None:
    good = [*SOURCES[:40], *REFERENCES[:40], *REFERENCES[:5]]
    a = write(tmp_path / "good.txt", good)
    b = write(tmp_path / "poor.txt", [*SOURCES[:40], *POOR[:40], *POOR[:5]])
    report = run(a, b, "--recipe", several)
    assert all(len(line) <= 80 for line in report.splitlines() if str(tmp_path) not in line)
    rows = {line.split()[0]: line.split()[1:] for line in report.splitlines() if line}
    assert (rows["en-xx"][0], rows["en-xx"][5], rows["en-xx"][10]) == ("40", "-", "-")
    assert (rows["xx-en"][0], rows["xx-en"][5], rows["xx-en"][10]) == ("40", "A", "A")
    assert (rows["pt-BR-en"][0], rows["pt-BR-en"][5]) == ("5", "-")
    told = [json.loads(line) for line in run(a, b, "--recipe", several, "--json").splitlines()]
    assert [one["direction"] for one in told] == ["en-xx", "xx-en", "pt-BR-en"]
    one = run(write(a, POOR[:5]), write(b, REFERENCES[:5]), "--recipe", several, "-f", "pt-BR")
    assert "pt-BR-en, 5 sentences" in one


def test_a_training_corpus_is_in_one_language(several: Path, tmp_path: Path) -> None:
    a = write(tmp_path / "a.txt", ["x"] * 85)
    message = run(a, a, "--recipe", several, "--train", tmp_path / "t.en", code=2)
    assert "--to" in message
    short = write(tmp_path / "a.txt", ["x"] * 45)
    training = tmp_path / "t.en"
    told = run(short, short, "--recipe", several, "--train", training, "-t", "en", "--json")
    assert len(told.splitlines()) == 2


@pytest.mark.parametrize(
    ("a", "more", "code", "named"),
    [
        ("nowhere", ["--src", "src", "--ref", "ref"], 1, "nowhere: there is no model"),
        ("short", ["--src", "src", "--ref", "ref"], 1, "short.txt has 79 lines for 80 sentences"),
        ("good", ["--src", "src", "--ref", "short"], 1, "80 lines and"),
        ("good", ["--src", "nowhere", "--ref", "ref"], 1, "there is no such file"),
        ("good", ["--src", "src", "--ref", "ref", "--train", "nowhere"], 1, "no such file"),
        ("good", ["--src", "src"], 2, "go together"),
        ("good", ["--src", "src", "--ref", "ref", "--corpus", "src"], 2, "give one of the three"),
        ("good", [], 2, "--src and --ref"),
    ],
)
def test_slips_are_told(
    files: dict[str, Path], tmp_path: Path, a: str, more: list[str], code: int, named: str
) -> None:
    files["short"] = write(tmp_path / "short.txt", POOR[1:])
    files["nowhere"] = tmp_path / "nowhere"
    arguments = [one if one.startswith("--") else str(files[one]) for one in more]
    assert named in run(files[a], files["poor"], *arguments, code=code)


def test_a_model_that_lacks_the_direction(files: dict[str, Path]) -> None:
    test = [*sentences_of(files), "-f", "en", "-t", "fr"]
    message = run(MODEL, files["poor"], *test, code=2)
    assert "'fr'" in message
    assert "en-de" in message


def test_the_second_model_is_named_where_it_lacks_the_direction(
    tmp_path: Path, several: Path
) -> None:
    systems = Both(write(tmp_path / "a.txt", ["x"] * 85), MODEL)
    with pytest.raises(Seq2SeqError, match=r"golden.int8: the model does not translate"):
        compare_systems(systems, EvaluationSet(recipe=several))
