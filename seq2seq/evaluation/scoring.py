"""Score given translations: their log-probability, token by token, and perplexity.

A line is read as one sentence, as in training: unlike in `translate`, nothing in it is masked or
split. A translation is divided into its most probable subwords. A search may have reached the same
text through other subwords, whose probability differs.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import NamedTuple, Self

from seq2seq.config.model_config import Direction
from seq2seq.errors import Seq2SeqError
from seq2seq.search.beam import length_penalty
from seq2seq.search.engine_protocol import batches_by_length
from seq2seq.search.forced import forced_log_probs
from seq2seq.tokenizer import EOS_ID, plain_spaces
from seq2seq.translation.preprocess import Preprocessor
from seq2seq.translation.translator import Translator

_READ_AHEAD = 2048  # pairs: enough to find some of similar length for every batch
_SEPARATOR = " ||| "


@dataclass(frozen=True)
class ScoredTranslation:
    """The score of a translation by a model, in natural logarithms."""

    pieces: tuple[str, ...]  # the last one is the end of the sentence
    log_probs: tuple[float, ...]  # of each piece
    score: float  # divided by the length penalty, as `translate` prints it

    @property
    def log_prob(self) -> float:
        """The log-probability of the whole translation."""
        return math.fsum(self.log_probs)


@dataclass
class Perplexity:
    """Accumulates scored translations."""

    sentences: int = 0
    tokens: int = 0  # including ends of sentences
    log_prob: float = 0.0

    def add(self, scored: ScoredTranslation) -> None:
        """Add a translation."""
        self.sentences += 1
        self.tokens += len(scored.log_probs)
        self.log_prob += scored.log_prob

    @property
    def perplexity(self) -> float:
        """exp of the mean negative log-likelihood per token, as training reports it."""
        return math.exp(min(-self.log_prob / max(1, self.tokens), 700.0))


def score_translations(
    translator: Translator,
    pairs: Iterable[tuple[str, str]],
    direction: Direction,
    alpha: float | None = None,
) -> Iterator[ScoredTranslation]:
    """Score pairs of a source and its translation, in order.

    `alpha` is the exponent of the length penalty; None: that of the model.
    """
    alpha = translator.search.length_penalty if alpha is None else alpha
    tokenizer, target = translator.tokenizer, direction.target
    reader = Preprocessor(
        tokenizer, direction.source, target, translator.search.max_source_length, None, None
    )

    def source_ids(text: str) -> Sequence[int]:
        # `whole` gives no ids for text without letters, which `translate` passes through.
        return reader.whole(text).ids or tokenizer.encode_sources([text], target)[0]

    coming = iter(pairs)
    while chunk := [*islice(coming, _READ_AHEAD)]:
        sources = [source_ids(source.strip()) for source, _ in chunk]
        targets = tokenizer.encode([plain_spaces(text.strip()) for _, text in chunk])
        scored = dict[int, ScoredTranslation]()
        for batch in batches_by_length([*map(_size, sources, targets)]):
            log_probs = forced_log_probs(
                translator.engine, [sources[i] for i in batch], [targets[i] for i in batch]
            )
            for i, of_tokens in zip(batch, log_probs, strict=True):
                total = math.fsum(of_tokens.tolist())
                scored[i] = ScoredTranslation(
                    tuple(tokenizer.pieces([*targets[i], EOS_ID])),
                    tuple(of_tokens.tolist()),
                    total / length_penalty(len(of_tokens), alpha),
                )
        yield from (scored[i] for i in range(len(chunk)))


def _size(source: Sequence[int], target: Sequence[int]) -> int:
    return len(source) + len(target) + 1


class NBestEntry(NamedTuple):
    """A line of an n-best list as Moses writes it: `N ||| text ||| features ||| score`."""

    number: int  # of the source, from 0
    text: str
    features: str  # NAME= VALUE ...
    rest: tuple[str, ...]  # the score, and anything after it, such as an alignment

    @classmethod
    def parse(cls, line: str, place: str, sources: int) -> Self:
        """Read a line; raise a `Seq2SeqError` that names its `place` if it is malformed."""
        number, *fields = line.split(_SEPARATOR)
        if not (number.strip().isdecimal() and len(number) < 20 and fields):
            raise Seq2SeqError(
                f"{place}: not a line of an n-best list, NUMBER ||| TEXT ||| FEATURES ||| SCORE."
            )
        if int(number) >= sources:
            raise Seq2SeqError(
                f"{place}: a translation of source {int(number):,}, counted from 0, but there "
                f"are {sources:,} sources."
            )
        text, features, *rest = *fields, *[""] * (2 - len(fields))
        return cls(int(number), text, features, tuple(rest))

    def with_feature(self, name: str, value: float) -> Self:
        """Return the entry with another feature at the end."""
        return self._replace(features=f"{self.features} {name}= {value:.6f}".strip())

    def with_score(self, score: float) -> Self:
        """Return the entry with its score replaced."""
        return self._replace(rest=(f"{score:.6f}", *self.rest[1:]))

    def __str__(self) -> str:
        return _SEPARATOR.join([str(self.number), self.text, self.features, *self.rest])


def with_scores(
    scored: Iterable[tuple[NBestEntry, ScoredTranslation]], feature: str, rerank: bool
) -> Iterator[str]:
    """Yield the lines of an n-best list, with the log-probability added as a feature.

    With `rerank`, the model's score replaces the old one, and the lines of each source are sorted
    by it, best first.
    """
    for _, lines in groupby(scored, key=lambda pair: pair[0].number):
        entries = [
            (entry.with_feature(feature, translation.log_prob), translation.score)
            for entry, translation in lines
        ]
        if rerank:
            entries = [(entry.with_score(score), score) for entry, score in entries]
            entries.sort(key=lambda pair: pair[1], reverse=True)
        yield from (str(entry) for entry, _ in entries)
