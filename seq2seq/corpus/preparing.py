"""From the corpus settings of a recipe to the texts that training uses, checked first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from seq2seq.config import CorpusConfig, OnProblem, Source
from seq2seq.corpus.checking import (
    PROBLEMS,
    CorpusReport,
    Problem,
    TextReport,
    check,
    find_problems,
)
from seq2seq.corpus.reading import ParallelText, read_parallel
from seq2seq.errors import Seq2SeqError

_SENTENCES: Mapping[Problem, str] = {
    "empty": "with an empty side",
    "identical": "with identical sides",
    "length_ratio": "with an extreme length ratio (above corpus.max_length_ratio)",
    "duplicate": "that repeat an earlier pair",
    "leakage": "with a side that is in valid or test",
}


@dataclass(frozen=True)
class Corpus:
    """What training uses, and the report on what was read and what was dropped of it."""

    train: ParallelText
    valid: ParallelText
    test: ParallelText | None
    report: CorpusReport


def prepare(config: CorpusConfig) -> Corpus:
    """Read and check the texts of `config`; keep, drop or stop as it says.

    Only training pairs are ever dropped: problems of the held-out texts are reported, since
    dropping their pairs would change what a score means. Raises `Seq2SeqError` for a problem whose
    setting is `stop`, and where nothing is left to train on.
    """
    train, valid = (_read(source, config) for source in (config.train, config.valid))
    test = None if config.test is None else _read(config.test, config)
    held_out = [valid] if test is None else [valid, test]
    problems = find_problems(train, held_out, config.max_length_ratio)

    settings: dict[Problem, OnProblem] = {problem: getattr(config, problem) for problem in PROBLEMS}
    for problem, indices in problems.items():
        if indices and settings[problem] == "stop":
            raise Seq2SeqError(
                f"{train.name} has training pairs {_SENTENCES[problem]}: {len(indices):,} of "
                f"{len(train):,}, the first on line {indices[0] + 1:,}; clean the corpus, or set "
                f"corpus.{problem} to 'drop' or 'keep'."
            )
    dropping = [problem for problem in PROBLEMS if settings[problem] == "drop"]
    report = TextReport.of(train, problems, dropping)
    kept = _without(train, (index for problem in dropping for index in problems[problem]))
    if not len(kept):
        raise Seq2SeqError(
            f"{train.name}: every training pair has a problem that corpus.* says to drop, so none "
            "is left; `seq2seq check` lists the problems."
        )
    others = _check_held_out(held_out, config.max_length_ratio)
    return Corpus(kept, valid, test, CorpusReport((report, *others)))


def check_sources(
    sources: Sequence[Source],
    source_language: str,
    target_language: str,
    max_length_ratio: float = 9.0,
) -> CorpusReport:
    """Read and check texts: the first is to train on, and the others are held out from it."""
    train, *held_out = (
        read_parallel(source, source_language, target_language) for source in sources
    )
    report = check(train, held_out, max_length_ratio)
    return CorpusReport((report, *_check_held_out(held_out, max_length_ratio)))


def check_corpus(config: CorpusConfig) -> CorpusReport:
    """Read and check the texts of `config`, whatever it says about their problems."""
    sources = [source for source in (config.train, config.valid, config.test) if source is not None]
    languages = config.source_language, config.target_language
    return check_sources(sources, *languages, config.max_length_ratio)


def _read(source: Source, config: CorpusConfig) -> ParallelText:
    return read_parallel(source, config.source_language, config.target_language)


def _check_held_out(texts: Sequence[ParallelText], max_length_ratio: float) -> list[TextReport]:
    """Reports on the held-out texts, each compared with those after it."""
    return [check(text, texts[index + 1 :], max_length_ratio) for index, text in enumerate(texts)]


def _without(text: ParallelText, indices: Iterable[int]) -> ParallelText:
    dropped = set(indices)
    if not dropped:
        return text
    kept = [index for index in range(len(text)) if index not in dropped]
    return ParallelText(
        text.name, [text.source[index] for index in kept], [text.target[index] for index in kept]
    )
