"""Evaluate an identifier: by length of text, by way of writing, and for its calibration."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq.confidence import calibration_error
from seq2seq.identification.alphabet import without_accents
from seq2seq.identification.examples import bare, fragment
from seq2seq.identification.identifier import LanguageIdentifier

LENGTHS: Mapping[str, tuple[float, float]] = {
    "1 word": (1, 1),
    "2-3": (2, 3),
    "4-6": (4, 6),
    "7-10": (7, 10),
    "11+": (11, float("inf")),
}
"""The ranges of lengths that are reported, in words separated by white space."""

Change = Callable[[str, Random], str]

WRITTEN: Mapping[str, Change] = {
    "as they are": lambda text, random: text,
    "lower case": lambda text, random: text.lower(),
    "ALL CAPS": lambda text, random: text.upper(),
    "no accents": lambda text, random: without_accents(text),
    "lower case, no accents, no full stop": lambda text, random: without_accents(
        (bare(text) or text).lower()
    ),
    "one word of each": lambda text, random: fragment(text, 1, random),
    "two words of each": lambda text, random: fragment(text, 2, random),
    "three words of each": lambda text, random: fragment(text, 3, random),
}
"""How the test sentences are changed before they are identified."""

_BINS = 15
_BATCH = 1_000  # texts


class Share(NamedTuple):
    """The number of texts that were identified correctly, and of all texts."""

    right: int
    number: int

    def __str__(self) -> str:
        return f"{self.right / self.number:.2%}" if self.number else "-"


@dataclass(frozen=True)
class Score:
    """The scores of an identifier on sentences written in one way."""

    total: Share
    by_length: Mapping[str, Share]
    by_language: Mapping[str, Share]
    calibration_error: float
    """Expected calibration error: the mean distance between probability and accuracy."""


def evaluate(
    identifier: LanguageIdentifier,
    sentences: Mapping[str, Sequence[str]],
    change: Change = WRITTEN["as they are"],
    seed: int = 1,
) -> Score:
    """Identify all sentences, each after `change`.

    A sentence that is listed under two languages counts for each of them.
    """
    random = Random(seed)
    examples = [
        (change(text, random), language) for language, texts in sentences.items() for text in texts
    ]
    answers = [
        ranked[0]
        for first in range(0, len(examples), _BATCH)
        for ranked in identifier.identify_batch(
            [text for text, _ in examples[first : first + _BATCH]]
        )
    ]
    right = np.array(
        [answer == language for (answer, _), (_, language) in zip(answers, examples, strict=True)]
    )
    words = np.array([len(text.split()) for text, _ in examples])
    languages = np.array([language for _, language in examples])
    return Score(
        _share(right),
        {
            name: _share(right[(words >= least) & (words <= most)])
            for name, (least, most) in LENGTHS.items()
        },
        {language: _share(right[languages == language]) for language in sentences},
        calibration_error([confidence for _, confidence in answers], right.tolist(), _BINS),
    )


def _share(right: NDArray[Any]) -> Share:
    return Share(int(right.sum()), right.size)


def table(scores: Mapping[str, Score]) -> str:
    """Return a Markdown table with a row for each way of writing; numbers of texts in brackets."""
    first = next(iter(scores.values()))
    head = ["test sentences", "all", *LENGTHS, *first.by_language, "calibration error"]
    rows = [
        [
            name,
            str(score.total),
            *(
                f"{share} ({share.number:,})" if share.number else "-"
                for share in score.by_length.values()
            ),
            *map(str, score.by_language.values()),
            f"{score.calibration_error:.3f}",
        ]
        for name, score in scores.items()
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
