"""Checking parallel text, and what becomes of the pairs with problems."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config.recipe import CorpusConfig, OnProblem
from seq2seq.corpus import (
    Finding,
    ParallelText,
    cache,
    check,
    check_corpora,
    check_sources,
    duplicates,
    prepare,
)
from seq2seq.corpus import filters as checking
from seq2seq.corpus import lines as lines_module
from seq2seq.corpus.filters import PROBLEMS, Examination, Problem, SideStatistics, examine
from seq2seq.corpus.report import CorpusReport
from seq2seq.errors import Seq2SeqError

TRAIN = [
    ("A dog sleeps.", "Ein Hund schläft."),
    ("", "Nichts."),
    ("Taxi", " Taxi "),
    ("Go.", "Das ist ein viel zu langer Satz für ein so kurzes Wort."),
    ("A  dog sleeps.", "Ein Hund\u00a0schläft."),
    ("The cat is here.", "Die Katze ist hier."),
    ("The cat came.", "Die  Katze kam."),
]
VALID = [("The cat is  here.", "Hier ist die Katze."), ("The cat was here.", "Die Katze kam.")]
TEST = [("A bird sings.", "Ein Vogel singt.")]
LINES: dict[Problem, int] = {
    "empty": 2,
    "identical": 3,
    "length_ratio": 4,
    "duplicate": 5,
    "leakage": 6,
}


def parallel(pairs: list[tuple[str, str]], name: str = "train") -> ParallelText:
    return ParallelText(name, [pair[0] for pair in pairs], [pair[1] for pair in pairs])


def pairs_of(text: ParallelText) -> list[tuple[str, str]]:
    return list(zip(text.source, text.target, strict=True))


@pytest.fixture
def config(tmp_path: Path) -> CorpusConfig:
    """The three texts on disk, with every problem kept."""
    paths = []
    for name, pairs in {"train": TRAIN, "valid": VALID, "test": TEST}.items():
        paths.append(str(tmp_path / f"{name}.tsv"))
        text = "".join(f"{source}\t{target}\n" for source, target in pairs)
        Path(paths[-1]).write_text(text, encoding="utf-8", newline="\n")
    train, valid, test = paths
    return CorpusConfig(
        "en", "de", train, valid, test, empty="keep", length_ratio="keep", leakage="keep"
    )


def test_each_problem_is_counted_with_its_first_line() -> None:
    findings = check(parallel(TRAIN), [parallel(VALID), parallel(TEST)]).findings
    assert findings == {
        "empty": Finding(1, (2,)),
        "identical": Finding(1, (3,)),
        "length_ratio": Finding(1, (4,)),
        "duplicate": Finding(1, (5,)),
        "leakage": Finding(2, (6, 7)),
    }


def test_statistics() -> None:
    report = check(parallel([("One two three.", "Eins zwei."), ("Four.", "Vier fünf.")]))
    assert report.pairs == 2
    assert (report.source.words, report.source.characters, report.source.longest) == (4, 19, 3)
    assert (report.target.words, report.target.characters, report.target.longest) == (4, 20, 2)
    assert not report.findings


@pytest.mark.parametrize(
    ("source", "target", "extreme"),
    [
        ("I would like to have a glass of cold water, please.", "请给我一杯冷水。", False),
        ("I would like to have a glass of cold water, please.", "水", True),
        ("Yes.", "ตกลงตามนั้นแล้วก็อย่าลืมโทรหาฉันด้วยนะ", True),
        ("All right then, and do not forget to call me.", "ตกลงตามนั้นแล้วก็อย่าลืมโทรหาฉันด้วยนะ", False),
        ("Где находится вокзал?", "Where is the station?", False),
    ],
)
def test_length_ratio_works_without_spaces(source: str, target: str, extreme: bool) -> None:
    for pair in ((source, target), (target, source)):
        assert ("length_ratio" in check(parallel([pair])).findings) == extreme


def test_length_ratio_is_a_setting() -> None:
    text = parallel([("ab", "abcdefgh")])
    assert "length_ratio" in check(text, max_length_ratio=3.9).findings
    assert "length_ratio" not in check(text, max_length_ratio=4.0).findings


def test_empty_sentences_do_not_leak() -> None:
    held_out = parallel([("", "Etwas."), ("Something.", "")], "valid")
    assert list(check(parallel([("", "Nichts.")]), [held_out]).findings) == ["empty"]


SENTENCES = st.lists(st.tuples(st.text("ab \u2028", max_size=3), st.text("ab ", max_size=3)))


def problems_of(examination: Examination) -> dict[Problem, list[int]]:
    return {problem: examination.first(problem, len(examination.flags)) for problem in PROBLEMS}


def by_definition(
    pairs: list[tuple[str, str]], held: list[tuple[str, str]], max_length_ratio: float = 9.0
) -> dict[Problem, list[int]]:
    """The problems of pairs with everything in memory, and nothing by hashes."""
    problems: dict[Problem, list[int]] = {problem: [] for problem in PROBLEMS}
    words = [(source.split(), target.split()) for source, target in pairs]
    sources = [source.split() for source, _ in held]
    targets = [target.split() for _, target in held]
    for index, (source, target) in enumerate(words):
        if (source, target) in words[:index]:
            problems["duplicate"].append(index)
        if not (source and target):
            problems["empty"].append(index)
            continue
        lengths = sorted(len(" ".join(side).encode()) for side in (source, target))
        if source == target:
            problems["identical"].append(index)
        if lengths[1] / lengths[0] > max_length_ratio:
            problems["length_ratio"].append(index)
        if source in sources or target in targets:
            problems["leakage"].append(index)
    return problems


@given(SENTENCES, SENTENCES, st.sampled_from([1.5, 2.0, 9.0]))
def test_problems_agree_with_their_definitions(
    pairs: list[tuple[str, str]], held: list[tuple[str, str]], ratio: float
) -> None:
    examination = examine(parallel(pairs), [parallel(held)], ratio)
    assert problems_of(examination) == by_definition(pairs, held, ratio)


@given(SENTENCES, SENTENCES)
def test_equal_hashes_of_different_sentences_do_no_harm(
    pairs: list[tuple[str, str]], held: list[tuple[str, str]]
) -> None:
    def poor_hash(normalised: bytes) -> bytes:
        return bytes(7) + bytes([hashlib.sha256(normalised).digest()[0] % 2])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checking, "_hash", poor_hash)
        patch.setattr(duplicates, "_STRETCH", 5)
        patch.setattr(duplicates, "_PARTITION", 3)
        examination = examine(parallel(pairs), [parallel(held)])
    assert problems_of(examination) == by_definition(pairs, held)


@given(SENTENCES, st.sets(st.sampled_from(PROBLEMS)))
def test_what_is_left_without_some_problems(
    pairs: list[tuple[str, str]], dropped: set[Problem]
) -> None:
    examination = examine(parallel(pairs))
    problems = by_definition(pairs, [])
    bad = {index for problem in dropped for index in problems[problem]}
    assert examination.without(*dropped).tolist() == sorted(set(range(len(pairs))) - bad)
    assert examination.count(*dropped) == len(bad)


class TestLargeText:
    """What is done for large texts, with small ones."""

    @pytest.fixture(autouse=True)
    def all_is_large(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("SEQ2SEQ_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(cache, "SMALL", 0)
        monkeypatch.setattr(checking, "MANY", 1)
        monkeypatch.setattr(checking, "_PART", 2)
        monkeypatch.setattr(duplicates, "_STRETCH", 2)
        monkeypatch.setattr(duplicates, "_PARTITION", 2)
        monkeypatch.setattr(lines_module, "_PART", 2)

    @pytest.fixture
    def two_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lines_module, "MANY", 5)
        monkeypatch.setattr(lines_module, "cores", lambda: 2)

    @pytest.fixture
    def examined(self, monkeypatch: pytest.MonkeyPatch) -> list[ParallelText]:
        """The texts that have really been examined."""
        texts = list[ParallelText]()
        examine_anew: Callable[..., Examination] = checking._examine

        def count(text: ParallelText, *rest: object) -> Examination:
            texts.append(text)
            return examine_anew(text, *rest)

        monkeypatch.setattr(checking, "_examine", count)
        return texts

    @pytest.mark.usefixtures("two_cores")
    def test_processes_and_files_find_the_same(self, config: CorpusConfig) -> None:
        large = prepare([config])
        assert large.report.texts[0].findings == {
            "empty": Finding(1, (2,), "kept"),
            "identical": Finding(1, (3,), "kept"),
            "length_ratio": Finding(1, (4,), "kept"),
            "duplicate": Finding(1, (5,), "kept"),
            "leakage": Finding(2, (6, 7), "kept"),
        }
        source = large.report.texts[0].source
        assert source == SideStatistics(
            words=sum(len(pair[0].split()) for pair in TRAIN),
            characters=sum(len(pair[0]) for pair in TRAIN),
            longest=4,
        )

    def test_dropping(self, config: CorpusConfig) -> None:
        (train,) = prepare([replace(config, leakage="drop", empty="drop")]).train
        kept = [pair for number, pair in enumerate(TRAIN, 1) if number not in (2, 6, 7)]
        assert pairs_of(train.text) == kept

    def test_the_second_time_nothing_is_examined(
        self, config: CorpusConfig, examined: list[ParallelText]
    ) -> None:
        first = prepare([config]).report
        number = len(examined)
        assert number == 3
        assert prepare([config]).report == first
        assert check_corpora([config]).texts[0].findings.keys() == first.texts[0].findings.keys()
        assert len(examined) == number

    def test_another_text_or_setting_is_examined_anew(
        self, config: CorpusConfig, examined: list[ParallelText]
    ) -> None:
        prepare([config])
        examined.clear()
        prepare([replace(config, max_length_ratio=2.0)])
        assert len(examined) == 3
        examined.clear()
        Path(str(config.test)).write_text("Go.\tGeh.\n", encoding="utf-8")
        findings = prepare([config]).report.texts[0].findings
        assert [text.name for text in examined] == [config.train, config.valid, config.test]
        assert findings["leakage"] == Finding(3, (4, 6, 7), "kept")


def test_the_report_fits_a_terminal_and_json(config: CorpusConfig) -> None:
    report = prepare([replace(config, leakage="drop")]).report
    assert str(report) == "\n".join(report.lines())
    for expected in ("7 pairs, 2 of them dropped", "held-out sentence, dropped (line 6, 7)"):
        assert expected in str(report)
    table = report.to_json()
    assert json.loads(json.dumps(table)) == table
    assert [text["pairs"] for text in table["texts"]] == [7, 2, 1]
    assert table["texts"][0]["dropped"] == 2
    assert table["texts"][0]["findings"]["leakage"] == {
        "count": 2,
        "lines": [6, 7],
        "action": "dropped",
    }


def test_a_large_report_fits_80_columns() -> None:
    report = check(parallel([("a", "b")]))
    side = replace(report.source, words=123_456_789, characters=1_234_567_890, longest=1234)
    findings = {
        problem: Finding(9_999_999, (9_999_997, 9_999_998, 9_999_999), "dropped")
        for problem in PROBLEMS
    }
    large = replace(report, pairs=9_999_999, source=side, findings=findings, dropped=9_999_999)
    assert max(map(len, CorpusReport((large,)).lines())) <= 80


def test_a_clean_text_says_so() -> None:
    assert check(parallel(TEST)).lines()[-1].strip() == "no problems found"


@pytest.mark.parametrize("problem", PROBLEMS)
def test_stop_names_count_line_and_key(config: CorpusConfig, problem: Problem) -> None:
    with pytest.raises(Seq2SeqError) as caught:
        prepare([with_setting(config, problem, "stop")])
    message = str(caught.value)
    count = 2 if problem == "leakage" else 1
    assert f"{count} of 7, the first on line {LINES[problem]}" in message
    assert f"corpus.{problem} to 'drop' or 'keep'" in message


@pytest.mark.parametrize("problem", PROBLEMS)
def test_drop_takes_training_pairs_out(config: CorpusConfig, problem: Problem) -> None:
    corpus = prepare([with_setting(config, problem, "drop")])
    lines = [6, 7] if problem == "leakage" else [LINES[problem]]
    kept = [pair for number, pair in enumerate(TRAIN, start=1) if number not in lines]
    assert pairs_of(corpus.train[0].text) == kept
    assert corpus.report.texts[0].dropped == len(lines)


def test_keep_changes_nothing_and_reports_all(config: CorpusConfig) -> None:
    corpus = prepare([config])
    assert pairs_of(corpus.train[0].text) == TRAIN
    assert [finding.action for finding in corpus.report.texts[0].findings.values()] == ["kept"] * 5


def test_held_out_pairs_are_reported_and_never_dropped(config: CorpusConfig) -> None:
    valid = Path(str(config.valid))
    valid.write_text("A bird sings.\tVogelgesang\n\tLeer\n", encoding="utf-8")
    corpus = prepare([replace(config, empty="drop", leakage="drop")])
    assert len(corpus.valid[0].text) == 2
    findings = corpus.report.texts[1].findings
    assert findings == {"empty": Finding(1, (2,)), "leakage": Finding(1, (1,))}


def test_a_corpus_without_test(config: CorpusConfig) -> None:
    corpus = prepare([replace(config, test=None)])
    assert corpus.test == ()
    assert len(corpus.report.texts) == 2


def test_nothing_left_to_train_on(config: CorpusConfig) -> None:
    Path(str(config.train)).write_text("\teins\ntwo\t\n", encoding="utf-8")
    with pytest.raises(Seq2SeqError, match="none is left"):
        prepare([replace(config, empty="drop")])


def test_each_of_several_training_files_is_checked_and_kept_apart(
    config: CorpusConfig, tmp_path: Path
) -> None:
    (tmp_path / "more.tsv").write_text("nine\tneun\nten\t\n", encoding="utf-8")
    several = replace(
        config, train=(config.training_sources[0], str(tmp_path / "more.tsv")), weights=(1.0, 0.5),
        both_directions=True, leakage="drop", empty="drop",
    )  # fmt: skip
    corpus = prepare([several])
    names = [(str(one.direction), Path(one.text.name).name) for one in corpus.train]
    assert names == [("en-de", "train.tsv"), ("de-en", "train.tsv"), ("en-de", "more.tsv"),
                     ("de-en", "more.tsv")]  # fmt: skip
    assert corpus.weights == (1.0, 1.0, 0.5, 0.5)
    assert [len(one.text) for one in corpus.train[2:]] == [1, 1]
    assert len(corpus.valid) == 2


def test_check_sources_holds_the_first_against_the_others(config: CorpusConfig) -> None:
    sources = [*config.training_sources, config.valid, config.test]
    report = check_sources([source for source in sources if source], "en", "de")
    assert report.texts[0].findings["leakage"].count == 2
    assert not report.texts[2].findings
    assert report == check_corpora([config])
    assert "held-out sentence (line 6, 7)" in str(report)  # kept or dropped: not decided here
    (alone,) = check_sources(config.training_sources, "en", "de").texts
    assert "leakage" not in alone.findings


def with_setting(config: CorpusConfig, problem: Problem, setting: OnProblem) -> CorpusConfig:
    changes: dict[str, OnProblem] = {problem: setting}
    return replace(config, **changes)  # type: ignore[arg-type]
