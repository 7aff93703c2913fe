"""Turn the corpus settings of a recipe into checked texts for training."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from seq2seq.config.model_config import Direction
from seq2seq.config.recipe import CorpusConfig, OnProblem, Recipe, Source
from seq2seq.corpus.filters import PROBLEMS, Problem, examine
from seq2seq.corpus.readers import ParallelText, read_parallel
from seq2seq.corpus.report import CorpusReport, TextReport, check
from seq2seq.errors import Seq2SeqError
from seq2seq.tokenizer import Tokenizer, normalise_source, plain_spaces

_TOKENIZER_SENTENCES = 100_000  # per language, to learn subwords from

_SENTENCES: Mapping[Problem, str] = {
    "empty": "with an empty side",
    "identical": "with identical sides",
    "length_ratio": "with an extreme length ratio (above corpus.max_length_ratio)",
    "duplicate": "that repeat an earlier pair",
    "leakage": "with a side that is in valid or test",
}


class DirectedText(NamedTuple):
    """A parallel text, and the direction in which it is translated."""

    direction: Direction
    text: ParallelText


@dataclass(frozen=True)
class Corpus:
    """The texts for training, by direction, and the report on what was read and dropped.

    Each direction has one training text for each that its recipe names. `weights` and `tags`
    have an entry for each training text.
    """

    train: tuple[DirectedText, ...]
    valid: tuple[DirectedText, ...]
    test: tuple[DirectedText, ...]
    report: CorpusReport
    weights: tuple[float, ...] = ()  # (): all are equal
    tags: tuple[str, ...] = ()  # "": the text has no tag; (): no text has one


def prepare(configs: Sequence[CorpusConfig]) -> Corpus:
    """Read and check the texts of `configs`; keep or drop pairs, or stop, as they say.

    Only training pairs are ever dropped. Problems of held-out texts are only reported, since
    dropping their pairs would change what a score means. A sentence that is held out from one
    corpus is held out from all. Raises `Seq2SeqError` for a problem that is set to `stop`, and if
    nothing is left to train on.
    """
    held_out = {config: _held_out(config) for config in configs}
    reports = list[TextReport]()
    train, weights, tags = list[DirectedText](), list[float](), list[str]()
    for config in configs:
        sources = config.training_sources
        for source, weight, tag in zip(
            sources,
            config.weights or len(sources) * [1.0],
            config.tags or len(sources) * [""],
            strict=True,
        ):
            text, report = _training_text(source, config, _held_out_from(config, held_out))
            reports.append(report)
            train += directed_texts(config, text)
            weights += len(config.directions) * [weight]
            tags += len(config.directions) * [tag]
        reports += _check_held_out(held_out[config], config.max_length_ratio)
    return Corpus(
        tuple(train),
        _directed([(config, held_out[config][0]) for config in configs]),
        _directed([(config, text) for config in configs for text in held_out[config][1:]]),
        CorpusReport(tuple(reports)),
        tuple(weights),
        tuple(tags),
    )


def tokenizer_for(recipe: Recipe, corpus: Corpus) -> Tokenizer:
    """Load the tokenizer that `recipe` names, or train one on `corpus`."""
    if recipe.tokenizer.path is None:
        return Tokenizer.train(
            tokenizer_sentences(recipe, corpus),
            recipe.tokenizer,
            recipe.languages,
            formality=recipe.augmentation.formality > 0,
            tags=recipe.tags,
        )
    tokenizer = Tokenizer.load(Path(recipe.tokenizer.path))
    for direction in recipe.directions:
        tokenizer.language_id(direction.target)
    for tag in recipe.tags:
        tokenizer.constraint_id(tag)
    return tokenizer


def tokenizer_sentences(
    recipe: Recipe, corpus: Corpus, most: int = _TOKENIZER_SENTENCES
) -> Iterator[str]:
    """Yield each distinct sentence of each side of each training text once.

    From a large corpus, only about `most` sentences per language are yielded, spread evenly, since
    SentencePiece takes some kilobytes of memory for each.
    """
    plain = recipe.tokenizer.plain_spaces
    sentences = 2 * sum(len(text) for _, text in corpus.train)
    share = min(1.0, most * len(recipe.languages) / sentences)
    for _, text in corpus.train:
        sample = text.sample(round(share * len(text)))
        yield from dict.fromkeys(map(normalise_source, sample.source))
        yield from dict.fromkeys(map(plain_spaces, sample.target) if plain else sample.target)


def read_tests(configs: Sequence[CorpusConfig]) -> tuple[DirectedText, ...]:
    """Read the test texts of `configs`, direction by direction."""
    return _directed(
        (config, _read(config.test, config)) for config in configs if config.test is not None
    )


def read_validation(configs: Sequence[CorpusConfig]) -> tuple[DirectedText, ...]:
    """Read the validation texts of `configs`, direction by direction."""
    return _directed((config, _read(config.valid, config)) for config in configs)


def _held_out(config: CorpusConfig) -> list[ParallelText]:
    """Read the validation text and, if there is one, the test text."""
    sources = [config.valid] if config.test is None else [config.valid, config.test]
    return [_read(source, config) for source in sources]


def _held_out_from(
    config: CorpusConfig, held_out: Mapping[CorpusConfig, Sequence[ParallelText]]
) -> list[ParallelText]:
    """List the texts to hold out from the training text of `config`: its own, then all others."""
    of_others = [
        _in_languages(text, other, config)
        for other, texts in held_out.items()
        if other is not config
        for text in texts
    ]
    return [*held_out[config], *of_others]


def _in_languages(text: ParallelText, config: CorpusConfig, other: CorpusConfig) -> ParallelText:
    """Return the sides of a text of `config` that are in the languages of `other`; [] if not."""
    sides = {config.source_language: text.source, config.target_language: text.target}
    languages = other.source_language, other.target_language
    return ParallelText(text.name, *(sides.get(language, []) for language in languages))


def directed_texts(config: CorpusConfig, text: ParallelText) -> list[DirectedText]:
    """Return `text` in each of the directions of `config`."""
    both_ways = text, ParallelText(text.name, text.target, text.source)
    pairs = zip(config.directions, both_ways, strict=False)
    return [DirectedText(direction, directed) for direction, directed in pairs]


def _directed(texts: Iterable[tuple[CorpusConfig, ParallelText]]) -> tuple[DirectedText, ...]:
    return tuple(directed for config, text in texts for directed in directed_texts(config, text))


def _training_text(
    source: Source, config: CorpusConfig, held_out: Sequence[ParallelText]
) -> tuple[ParallelText, TextReport]:
    train = _read(source, config)
    examination = examine(train, held_out, config.max_length_ratio)
    settings: dict[Problem, OnProblem] = {problem: getattr(config, problem) for problem in PROBLEMS}
    for problem, setting in settings.items():
        count = examination.count(problem)
        if count and setting == "stop":
            raise Seq2SeqError(
                f"{train.name} has training pairs {_SENTENCES[problem]}: {count:,} of "
                f"{len(train):,}, the first on line {examination.first(problem)[0] + 1:,}; clean "
                f"the corpus, or set corpus.{problem} to 'drop' or 'keep'."
            )
    dropping = [problem for problem in PROBLEMS if settings[problem] == "drop"]
    report = TextReport.of(train, examination, dropping)
    kept = train.select(examination.without(*dropping)) if report.dropped else train
    if not len(kept):
        raise Seq2SeqError(
            f"{train.name}: every training pair has a problem that corpus.* says to drop, so none "
            "is left; `seq2seq check` lists the problems."
        )
    return kept, report


def check_sources(
    sources: Sequence[Source],
    source_language: str,
    target_language: str,
    max_length_ratio: float = 9.0,
) -> CorpusReport:
    """Read and check texts; the first is the training text, the others are held out from it."""
    train, *held_out = (
        read_parallel(source, source_language, target_language) for source in sources
    )
    report = check(train, held_out, max_length_ratio)
    return CorpusReport((report, *_check_held_out(held_out, max_length_ratio)))


def check_corpora(configs: Sequence[CorpusConfig]) -> CorpusReport:
    """Read and check the texts of `configs`, ignoring their settings for problems."""
    held_out = {config: _held_out(config) for config in configs}
    reports = list[TextReport]()
    for config in configs:
        ratio = config.max_length_ratio
        for source in config.training_sources:
            reports.append(check(_read(source, config), _held_out_from(config, held_out), ratio))
        reports += _check_held_out(held_out[config], ratio)
    return CorpusReport(tuple(reports))


def _read(source: Source, config: CorpusConfig) -> ParallelText:
    return read_parallel(source, config.source_language, config.target_language)


def _check_held_out(texts: Sequence[ParallelText], max_length_ratio: float) -> list[TextReport]:
    """Report on the held-out texts, each compared with those after it."""
    return [check(text, texts[index + 1 :], max_length_ratio) for index, text in enumerate(texts)]
