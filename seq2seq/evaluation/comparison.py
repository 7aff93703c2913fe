"""Compare two systems on the same test sets, in the manner of compare-mt (Neubig 2019).

Is one better by BLEU and chrF, and is that significant? For which lengths, and in which sentences?
Which words does each get right, leave out or repeat (`lexical`)?
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from seq2seq.bleu_chrf import BOOTSTRAP_SAMPLES, bleu, chrf, sentence_chrf, words
from seq2seq.config.model_config import Direction, choose_direction
from seq2seq.corpus import DirectedText, read_lines, read_parallel
from seq2seq.corpus.readers import is_parallel
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.evaluation.lexical import (
    Bag,
    Both,
    FrequencyScore,
    LexicalStatistics,
    MissingWord,
    Range,
    Side,
    bag,
    by_frequency,
    count_words,
    lexical_statistics,
    missing_words,
    range_of,
)
from seq2seq.evaluation.test_sets import EvaluationSet, open_translator, translate_test
from seq2seq.model_dir.read import is_training_run
from seq2seq.translation.base import TranslateOptions

SIGNIFICANT = 0.05
"""The p-value below which a difference is significant."""

TOO_FEW = 30
"""Number of sentences below which resampling says nothing about other sentences."""

LENGTHS = (Range(1, 5), Range(6, 10), Range(11, 15), Range(16, 20), Range(21, None))
"""Ranges of the number of words in the source."""

Outputs = Both[Sequence[str]]

_MISSING_WORDS = 10
_UNNAMED = Direction("src", "ref")  # if neither a model nor an option names the languages


@dataclass(frozen=True)
class PairedScore:
    """The scores of both systems by one metric, and whether the difference is significant."""

    name: str
    scores: Both[float]  # from 0 to 100
    difference: float  # B - A
    p_value: float  # by paired bootstrap resampling (Koehn 2004)
    better: Side | None  # None: not significant
    signature: str


@dataclass(frozen=True)
class LengthScore:
    """The scores of the sentences whose source is of a certain length."""

    words: str
    sentences: int
    bleu: Both[float]
    chrf: Both[float]


@dataclass(frozen=True)
class SentenceScore:
    """A sentence, both of its translations, and their scores."""

    number: int  # in the test set, from 1
    source: str
    reference: str
    translations: Both[str]
    chrf: Both[float]

    @property
    def difference(self) -> float:
        """The difference in chrF, B - A."""
        return self.chrf.b - self.chrf.a


@dataclass(frozen=True)
class WinCounts:
    """The numbers of sentences in which A, B or neither is better, by chrF."""

    a: int
    b: int
    neither: int
    identical: int  # sentences with exactly the same translation, included in `neither`


@dataclass(frozen=True)
class Comparison:
    """Two systems on one test set.

    The result of `to_json` has the same keys, and those of the parts; a `Both` has keys a and b.
    """

    systems: Both[str]  # as they were named
    direction: Direction  # in JSON such as "en-de"
    test: str  # name of the test set
    sentences: int
    metrics: tuple[PairedScore, ...]  # BLEU and chrF
    better_in: WinCounts
    by_length: tuple[LengthScore, ...]
    frequencies_of: str  # name of the text in which words were counted
    by_frequency: tuple[FrequencyScore, ...]
    wording: Both[LexicalStatistics]
    missing_words: Both[tuple[MissingWord, ...]]  # a: words that A leaves out more often
    most_different: Both[tuple[SentenceScore, ...]]  # a: sentences that A translates better

    def to_json(self) -> str:
        """Return everything as one JSON object on one line."""
        return json.dumps(asdict(self) | {"direction": str(self.direction)}, ensure_ascii=False)


def compare_systems(
    systems: Both[Path],
    test_set: EvaluationSet,
    *,
    train: Path | None = None,
    show: int = 5,
    beam_size: int | None = None,
    threads: int = 0,
    show_progress: bool = False,
) -> list[Comparison]:
    """Translate test sets with two models, or read their translations from files, and compare.

    `train` is a text in the target language whose words are counted: a file with one sentence per
    line, or a TSV file, whose second column is used. Without it, the words of the references are
    counted. `show` is how many of the most different sentences to keep.
    """
    opened = systems.each(lambda path: open_system(path, threads, beam_size))
    tests = _read_tests(opened, test_set)
    lines = _training_lines(train, tests)
    opened.each(lambda system: system.check(tests))  # before any translation begins
    outputs = opened.each(lambda system: system.translate(tests, show_progress))
    return [
        compare(test, systems.each(str), Both(a, b), lines, show)
        for test, a, b in zip(tests, outputs.a, outputs.b, strict=True)
    ]


def compare(
    test: DirectedText,
    names: Both[str],
    outputs: Outputs,
    training: tuple[str, Sequence[str]] | None = None,
    show: int = 5,
) -> Comparison:
    """Compare two translations of a test set; `training` is the name of a text and its lines."""
    direction, text = test
    sources, references = [*text.source], [*text.target]
    sentences = by_sentence(sources, references, outputs)
    language = direction.target
    bags = [bag(line, language) for line in references]
    output_bags = outputs.each(lambda lines: [bag(line, language) for line in lines])
    counted_in, lines = training or ("the references", references)
    vocabulary = _vocabulary(bags, output_bags.a, output_bags.b)
    counts = count_words(lines, vocabulary, language)
    return Comparison(
        names,
        direction,
        text.name,
        len(sentences),
        paired_scores(outputs, references, language),
        count_wins(sentences),
        by_length(direction, sources, references, outputs),
        counted_in,
        by_frequency(bags, output_bags, counts),
        outputs.each(lambda lines: lexical_statistics(references, lines, language)),
        missing_words(bags, output_bags, _MISSING_WORDS),
        most_different(sentences, show),
    )


def paired_scores(
    outputs: Outputs, references: Sequence[str], language: str
) -> tuple[PairedScore, ...]:
    """Score translations into `language`, and test the difference by paired bootstrap."""
    from sacrebleu.significance import PairedTest

    test = PairedTest(
        [("A", list(outputs.a)), ("B", list(outputs.b))],
        {"BLEU": bleu(language), "chrF": chrf()},
        [list(references)],
        test_type="bs",
        n_samples=BOOTSTRAP_SAMPLES,
    )
    signatures, results = test()
    return tuple(
        _paired(name, results[key], str(signatures[key]), len(references))
        for name, key in (("BLEU", "BLEU"), ("chrF", "chrF2"))
    )


def _paired(name: str, results: Sequence[Any], signature: str, sentences: int) -> PairedScore:
    scores = Both(*(float(result.score) for result in results))
    difference = scores.b - scores.a
    # If both are equal, p is 1; sacreBLEU counts only samples with a larger difference.
    p_value = float(results[1].p_value) if difference else 1.0
    significant = p_value < SIGNIFICANT and sentences >= TOO_FEW
    better: Side | None = ("b" if difference > 0 else "a") if significant else None
    return PairedScore(name, scores, difference, p_value, better, signature)


def by_length(
    direction: Direction, sources: Sequence[str], references: Sequence[str], outputs: Outputs
) -> tuple[LengthScore, ...]:
    """Score sentences by length of the source; ranges without a sentence are left out."""
    places: dict[Range, list[int]] = {length: [] for length in LENGTHS}
    for place, source in enumerate(sources):
        places[range_of(len(words(source, direction.source)), LENGTHS)].append(place)

    def scores(metric: Any, chosen: Sequence[int]) -> Both[float]:
        expected = [[references[i] for i in chosen]]
        return outputs.each(
            lambda lines: float(metric.corpus_score([lines[i] for i in chosen], expected).score)
        )

    return tuple(
        LengthScore(
            str(length),
            len(chosen),
            scores(bleu(direction.target, force=True), chosen),
            scores(chrf(), chosen),
        )
        for length, chosen in places.items()
        if chosen
    )


def by_sentence(
    sources: Sequence[str], references: Sequence[str], outputs: Outputs
) -> list[SentenceScore]:
    """Score every sentence, in order."""
    rows = zip(sources, references, outputs.a, outputs.b, strict=True)
    return [
        SentenceScore(
            number,
            source,
            reference,
            Both(a, b),
            Both(sentence_chrf(a, reference), sentence_chrf(b, reference)),
        )
        for number, (source, reference, a, b) in enumerate(rows, start=1)
    ]


def count_wins(sentences: Sequence[SentenceScore]) -> WinCounts:
    """Count the sentences in which each system is better."""
    differences = [sentence.difference for sentence in sentences]
    return WinCounts(
        sum(difference < 0 for difference in differences),
        sum(difference > 0 for difference in differences),
        sum(difference == 0 for difference in differences),
        sum(sentence.translations.a == sentence.translations.b for sentence in sentences),
    )


def most_different(
    sentences: Sequence[SentenceScore], number: int
) -> Both[tuple[SentenceScore, ...]]:
    """Return the sentences in which A is better by most, and those in which B is."""
    ordered = sorted(sentences, key=lambda sentence: sentence.difference)
    a = [sentence for sentence in ordered if sentence.difference < 0]
    b = [sentence for sentence in reversed(ordered) if sentence.difference > 0]
    return Both(tuple(a[:number]), tuple(b[:number]))


def _vocabulary(*texts: Iterable[Bag]) -> set[str]:
    return {word for text in texts for sentence in text for word in sentence}


def _training_lines(
    train: Path | None, tests: Sequence[DirectedText]
) -> tuple[str, Sequence[str]] | None:
    if train is None:
        return None
    directions = [test.direction for test in tests]
    if len({direction.target for direction in directions}) > 1:
        raise UsageError("--train is a text in one language; choose it with --to.")
    if not is_parallel(str(train)):
        return str(train), read_lines(train)
    source, target = directions[0].source, directions[0].target
    try:
        return str(train), read_parallel(str(train), source, target).target
    except Seq2SeqError as error:
        if train.exists() and (source == _UNNAMED.source or target == _UNNAMED.target):
            raise UsageError(f"{error} Name its languages with --from and --to.") from None
        raise


class System(Protocol):
    """A source of translations of test sets."""

    def check(self, tests: Sequence[DirectedText]) -> None:
        """Raise `Seq2SeqError` if it has no translations of these test sets."""

    def translate(self, tests: Sequence[DirectedText], show_progress: bool) -> list[list[str]]:
        """Return the translations of each test set, in order."""


class Model:
    """A model, exported or in its run directory."""

    def __init__(self, path: Path, threads: int = 0, beam_size: int | None = None) -> None:
        """Load it; `threads` 0: one per core."""
        self.path = path
        self.translator = open_translator(path, threads)
        self._beam_size = beam_size

    def check(self, tests: Sequence[DirectedText]) -> None:
        """Raise `UsageError` if the model does not know the languages."""
        try:
            for test in tests:
                direction = test.direction
                choose_direction(self.translator.directions, direction.source, direction.target)
        except UsageError as error:
            raise UsageError(f"{self.path}: {error}") from None

    def translate(self, tests: Sequence[DirectedText], show_progress: bool) -> list[list[str]]:
        """Translate each test set."""
        name = f"{self.path.name}, " if show_progress else None
        options = TranslateOptions(beam_size=self._beam_size)
        return [
            [line.text for line in translate_test(self.translator, test, options, name)]
            for test in tests
        ]


class TranslatedFile:
    """A file with one translation per line, of all test sets in order."""

    def __init__(self, path: Path) -> None:
        """Read it."""
        self.path = path
        self.lines = read_lines(path)

    def check(self, tests: Sequence[DirectedText]) -> None:
        """Raise `Seq2SeqError` if the numbers of lines and sentences differ."""
        sentences = sum(len(test.text) for test in tests)
        if len(self.lines) != sentences:
            raise Seq2SeqError(
                f"{self.path} has {len(self.lines):,} lines for {sentences:,} sentences: it needs "
                "a translation of each, one per line."
            )

    def translate(self, tests: Sequence[DirectedText], show_progress: bool) -> list[list[str]]:
        """Return the lines of each test set."""
        lines = iter(self.lines)
        return [[*islice(lines, len(test.text))] for test in tests]


def open_system(path: Path, threads: int = 0, beam_size: int | None = None) -> System:
    """Open a model, which is a directory, or else a file (or pipe) of translations."""
    if path.is_dir():
        return Model(path, threads, beam_size)
    if path.exists():
        return TranslatedFile(path)
    raise Seq2SeqError(f"{path}: there is no model and no file of translations of this name.")


def _read_tests(systems: Both[System], test_set: EvaluationSet) -> list[DirectedText]:
    """Read the test sets; if none is given, those of the recipe of a run that is compared.

    If both systems are files, the languages are not known; they matter only if a file name contains
    them.
    """
    models = [system for system in (systems.a, systems.b) if isinstance(system, Model)]
    if not models:
        source = test_set.source_language or _UNNAMED.source
        target = test_set.target_language or _UNNAMED.target
        return test_set.read([Direction(source, target)])
    run = next((model.path for model in models if is_training_run(model.path)), None)
    model = next((model for model in models if model.path == run), models[0])
    return test_set.read(model.translator.directions, run)
