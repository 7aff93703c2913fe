"""`seq2seq score`: translations that are given, lists to rerank, perplexity."""

import json
import math
from pathlib import Path

import pytest
from helpers.training_runs import Recorder, make_small, read_metrics
from typer.testing import CliRunner

from seq2seq import Translator
from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.cli.main import app
from seq2seq.config.recipe import Recipe
from seq2seq.evaluation.scoring import NBestEntry, score_translations, with_scores
from seq2seq.training.trainer import train

SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "valid"
SOURCES = SAMPLE.with_suffix(".en").read_text().splitlines()[:12]


def score(*arguments: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["score", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Sources and their translations by the model."""
    src, hyp = tmp_path / "src.en", tmp_path / "hyp.de"
    src.write_text("".join(f"{line}\n" for line in SOURCES))
    translations = Translator(DEFAULT_MODEL, threads=1).translate(SOURCES)
    hyp.write_text("".join(f"{line.text}\n" for line in translations))
    return src, hyp


def test_a_translation_of_the_model_has_the_score_that_the_search_gave_it() -> None:
    translator = Translator(DEFAULT_MODEL, threads=1)
    translations = translator.translate(SOURCES, n_best=3)
    pairs = [
        (translation.source, candidate.text, candidate.score, candidate.parts[0].hypothesis)
        for translation in translations
        for candidate in translation.candidates
        if len(candidate.parts) == 1
    ]
    scored = score_translations(translator, [pair[:2] for pair in pairs], translator.direction)
    compared = 0
    for (_, text, expected, hypothesis), its in zip(pairs, scored, strict=True):
        if hypothesis and translator.tokenizer.encode([text])[0] == list(hypothesis.ids):
            assert its.score == pytest.approx(expected, abs=1e-5)
            assert its.log_prob == pytest.approx(hypothesis.log_prob, abs=1e-5)
            compared += 1
    assert compared > 0.8 * len(pairs)


def test_two_files_are_scored_line_by_line_with_their_tokens(files: tuple[Path, Path]) -> None:
    src, hyp = files
    plain = score(DEFAULT_MODEL, "--src", src, "--hyp", hyp, "--quiet").splitlines()
    rows = score(DEFAULT_MODEL, "--src", src, "--hyp", hyp, "--json", "--tokens").splitlines()
    assert len(plain) == len(rows) == len(SOURCES)
    for line, row in zip(plain, map(json.loads, rows), strict=True):
        assert float(line) == row["log_prob"]
        assert row["tokens"][-1][0] == "</s>"
        assert sum(value for _, value in row["tokens"]) == pytest.approx(row["log_prob"], abs=1e-4)


def test_a_tsv_file_is_scored_as_two_files_are(files: tuple[Path, Path], tmp_path: Path) -> None:
    src, hyp = files
    tsv = tmp_path / "pairs.tsv"
    lines = zip(src.read_text().splitlines(), hyp.read_text().splitlines(), strict=True)
    tsv.write_text("".join(f"{source}\t{target}\n" for source, target in lines))
    assert score(DEFAULT_MODEL, "--corpus", tsv) == score(DEFAULT_MODEL, "--src", src, "--hyp", hyp)


@pytest.mark.slow
def test_perplexity_is_that_of_validation(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(monkeypatch)
    run = tmp_path / "run"
    train(recipe, run, Recorder())
    validations = [row for row in read_metrics(run) if row["kind"] == "valid"]
    best = max(validations, key=lambda row: (row["bleu"], row["chrf"], -row["nll"]))
    summary = json.loads(
        score(run, "--corpus", recipe.corpus[0].valid, "--summary", "--json")  # type: ignore[arg-type]
    )
    assert summary["perplexity"] == pytest.approx(best["perplexity"], rel=1e-4)
    assert summary["sentences"] == 10
    assert summary["perplexity"] == pytest.approx(
        math.exp(-summary["log_prob"] / summary["tokens"])
    )


def test_an_n_best_list_keeps_its_lines_and_gets_a_feature(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    src, _ = files
    moses = tmp_path / "list"
    moses.write_text(
        f"0 ||| {'x ' * 9}||| A= -1 B= 2 ||| -5\n0 ||| Ja. ||| A= -2 B= 1 ||| -6 ||| 0-0\n"
        "3 ||| Nein. |||  ||| -1\n"
    )
    lines = score(DEFAULT_MODEL, "--src", src, "--n-best", moses, "--feature", "Rnn").splitlines()
    assert [line.partition(" Rnn= ")[0] for line in lines[:2]] == [
        f"0 ||| {'x ' * 9}||| A= -1 B= 2".replace("x |||", "x |||"),
        "0 ||| Ja. ||| A= -2 B= 1",
    ]
    assert lines[1].endswith(" ||| -6 ||| 0-0")
    assert lines[2].startswith("3 ||| Nein. ||| Rnn= -")


def test_reranked_lines_are_sorted_by_the_score_of_the_model(files: tuple[Path, Path]) -> None:
    _, hyp = files
    best = hyp.read_text().splitlines()
    translator = Translator(DEFAULT_MODEL, threads=1)
    entries = [
        NBestEntry(number, text, "", ("-1",))
        for number in (0, 1)
        for text in ("Quatsch mit Soße.", best[number])
    ]
    pairs = [(SOURCES[entry.number], entry.text) for entry in entries]
    scored = [*score_translations(translator, pairs, translator.direction)]
    lines = [*with_scores(zip(entries, scored, strict=True), "F", rerank=True)]
    assert [line.split(" ||| ")[1] for line in lines] == [
        best[0],
        "Quatsch mit Soße.",
        best[1],
        "Quatsch mit Soße.",
    ]
    assert float(lines[0].split(" ||| ")[3]) == pytest.approx(scored[1].score, abs=1e-6)


def test_what_cannot_be_scored_is_told_in_one_sentence(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    src, hyp = files
    wrong: list[list[str | Path]] = [
        [],
        ["--src", src],
        ["--hyp", hyp],
        ["--src", src, "--corpus", SAMPLE],
    ]
    for arguments in wrong:
        assert "give one of the three: --src and --hyp" in score(DEFAULT_MODEL, *arguments, code=2)
    short = tmp_path / "short"
    short.write_text("Ja.\n")
    assert "12 lines" in score(DEFAULT_MODEL, "--src", src, "--hyp", short, code=1)
    assert "not a line of an n-best list" in score(
        DEFAULT_MODEL, "--src", src, "--n-best", short, code=1
    )
    short.write_text("12 ||| Ja. ||| ||| 1\n")
    message = score(DEFAULT_MODEL, "--src", src, "--n-best", short, code=1)
    assert "line 1: a translation of source 12" in message
    assert "--rerank" in score(DEFAULT_MODEL, "--src", src, "--hyp", hyp, "--rerank", code=2)


def test_evaluate_takes_several_references(files: tuple[Path, Path], tmp_path: Path) -> None:
    src, hyp = files
    reference, short = SAMPLE.with_suffix(".de"), tmp_path / "short.de"
    short.write_text("".join(f"{line}\n" for line in reference.read_text().splitlines()[:12]))
    arguments = ["evaluate", DEFAULT_MODEL, "--src", src, "--ref", short, "--ref", hyp, "--json"]
    result = CliRunner().invoke(app, [*map(str, arguments)])
    report = json.loads(result.stdout)
    assert report["scores"][0]["signature"].startswith("nrefs:2|")
    assert report["scores"][0]["score"] == pytest.approx(100)  # one of them is its own
    result = CliRunner().invoke(app, [*map(str, arguments), "--ref", str(reference)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "has 300 lines, and the other reference 12" in result.stderr
