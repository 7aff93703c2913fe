"""Distilled corpora: a teacher's translations, the nearest to the reference of each beam."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from seq2seq import Translator
from seq2seq.bleu_chrf import sentence_chrf
from seq2seq.cli.main import app
from seq2seq.corpus import ParallelText
from seq2seq.errors import Seq2SeqError
from seq2seq.training.distillation import distilled_pairs, recover

pytestmark = pytest.mark.slow

MODEL = Path(__file__).parents[1] / "golden" / "fp32"
SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "valid"


@pytest.fixture(scope="module")
def text() -> ParallelText:
    sources, targets = (
        Path(f"{SAMPLE}.{side}").read_text().split("\n")[:12] for side in ("en", "de")
    )
    return ParallelText("sample", sources, targets)


def distill(corpus: Path, output: Path, *options: str) -> None:
    words = ["distill", str(MODEL), "--corpus", str(corpus), "-o", str(output), "--threads", "1"]
    assert CliRunner().invoke(app, [*words, *options]).exit_code == 0


@pytest.fixture
def corpus(text: ParallelText, tmp_path: Path) -> Path:
    path = tmp_path / "corpus.tsv"
    rows = zip(text.source, text.target, strict=True)
    path.write_text("".join(f"{source}\t{target}\n" for source, target in rows))
    return path


def test_the_translation_of_the_beam_that_is_nearest_to_the_reference_is_chosen(
    text: ParallelText,
) -> None:
    translator = Translator(MODEL, threads=1)
    beams = translator.translate(text.source, n_best=translator.search.beam_size)
    pairs = list(distilled_pairs(translator, text))
    assert [pair.line for pair in pairs] == list(range(1, 13))
    for pair, beam, reference in zip(pairs, beams, text.target, strict=True):
        scores = {one.text: sentence_chrf(one.text, reference) for one in beam.candidates}
        assert pair.chrf == scores[pair.translation] == max(scores.values())
    assert any(
        pair.translation != beam.text for pair, beam in zip(pairs, beams, strict=True)
    )  # not simply the most probable one


def test_an_interrupted_distillation_goes_on_to_the_same_file(corpus: Path, tmp_path: Path) -> None:
    whole, halved = tmp_path / "whole.tsv", tmp_path / "halved.tsv"
    distill(corpus, whole)
    content = whole.read_bytes()
    halved.write_bytes(content[: len(content) // 2])  # in the middle of a row
    distill(corpus, halved)
    assert halved.read_bytes() == content
    distill(corpus, halved)  # nothing is left to do
    assert halved.read_bytes() == content


def test_pairs_far_from_the_reference_are_left_out(corpus: Path, tmp_path: Path) -> None:
    every, near = tmp_path / "every.tsv", tmp_path / "near.tsv"
    distill(corpus, every)
    rows = every.read_text().split("\n")[:-1]
    scores = [float(row.split("\t")[3]) for row in rows]
    bound = sum(sorted(scores)[5:7]) / 2
    distill(corpus, near, "--min-chrf", str(bound))
    kept = [row for row, score in zip(rows, scores, strict=True) if score > bound]
    assert near.read_text().split("\n")[:-1] == kept
    assert len(kept) == 6


@pytest.mark.parametrize(
    "text",
    ["Dear Mary,\nI am well.\nunfinished", "no line end", "a\tb\t3\nunfinished", "\tx\t3\ty\nc"],
)
def test_a_file_of_another_kind_is_not_touched(text: str, tmp_path: Path) -> None:
    path = tmp_path / "letters.txt"
    path.write_text(text)
    with pytest.raises(Seq2SeqError, match="not a file that `seq2seq distill` wrote"):
        recover(path)
    assert path.read_text() == text


def test_a_sampled_corpus_is_drawn_by_its_seed_and_goes_on_where_it_stopped(
    corpus: Path, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("first", "again", "other", "halved")]
    for file, seed in zip(files[:3], ("3", "3", "4"), strict=True):
        distill(corpus, file, "--sample", "--seed", seed)
    first, again, other = (file.read_bytes() for file in files[:3])
    assert first == again != other
    files[3].write_bytes(first[: len(first) // 2])
    distill(corpus, files[3], "--sample", "--seed", "3")
    assert files[3].read_bytes() == first
