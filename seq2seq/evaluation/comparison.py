"""Two systems, translated, tested and counted: a `Comparison` for each test set."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from seq2seq.config.model_config import Direction
from seq2seq.corpus import DirectedText, read_lines, read_parallel
from seq2seq.errors import UsageError
from seq2seq.evaluation.lexical import (
    Bag,
    FrequencyScore,
    MissingWord,
    Wording,
    bag,
    by_frequency,
    count_words,
    missing_words,
    wording,
)
from seq2seq.evaluation.scores import (
    LengthScore,
    Outputs,
    PairedScore,
    SentenceScore,
    Tally,
    by_length,
    by_sentence,
    most_different,
    paired_scores,
    tally,
)
from seq2seq.evaluation.sides import Both
from seq2seq.evaluation.systems import open_system, read_tests
from seq2seq.evaluation.test_sets import EvaluationSet

_MISSING_WORDS = 10


@dataclass(frozen=True)
class Comparison:
    """Two systems on one test set.

    `to_json` has the same keys, and those of the parts; what is of A and of B has keys a and b.
    """

    systems: Both[str]  # as they were named
    direction: Direction  # in JSON such as "en-de"
    test: str  # where the sentences are from
    sentences: int
    metrics: tuple[PairedScore, ...]  # BLEU and chrF
    better_in: Tally  # how many sentences
    by_length: tuple[LengthScore, ...]
    frequencies_of: str  # the text that the frequencies were counted in
    by_frequency: tuple[FrequencyScore, ...]
    wording: Both[Wording]
    missing_words: Both[tuple[MissingWord, ...]]  # a: those that A lacks more often
    most_different: Both[tuple[SentenceScore, ...]]  # a: those that A translates better

    def to_json(self) -> str:
        """Everything, as one JSON object on one line."""
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

    `train` is a text whose words are counted, in the target language: a file with a sentence a
    line, or a TSV file, of which the second column is taken. Without it the words of the
    references are counted. `show` is how many of the sentences that differ most are kept.
    """
    opened = systems.each(lambda path: open_system(path, threads, beam_size))
    tests = read_tests(opened, test_set)
    lines = _training_lines(train, tests)
    opened.each(lambda system: system.check(tests))  # before work is done in vain
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
    """Compare two translations of a test set; `training` is the name of a text, and its lines."""
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
        tally(sentences),
        by_length(direction, sources, references, outputs),
        counted_in,
        by_frequency(bags, output_bags, counts),
        outputs.each(lambda lines: wording(references, lines, language)),
        missing_words(bags, output_bags, _MISSING_WORDS),
        most_different(sentences, show),
    )


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
    if train.name.endswith((".tsv", ".tsv.gz")):
        languages = directions[0].source, directions[0].target
        return str(train), read_parallel(str(train), *languages).target
    return str(train), read_lines(train)
