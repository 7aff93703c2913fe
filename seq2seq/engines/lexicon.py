"""What translates what: piece by piece, learnt from a parallel corpus.

IBM Model 1 (Brown et al. 1993, section 4.1) says how often each target piece was the translation of
each source piece. A direction of which there is no corpus goes by way of a third language.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]
Ids = Sequence[Sequence[int]]

_MOST_COOCCURRENCES = 30_000_000  # about 3 GB; beyond, a part of the corpus has to do
_THROUGH = 30  # translations of a piece that are followed into the third language


@dataclass(frozen=True, eq=False)
class Lexicon:
    """L links between a source and a target piece of a vocabulary of V; each link once."""

    source: Ints  # (L,) ascending
    target: Ints  # (L,)
    count: Doubles  # (L,) how often one was translated by the other

    @classmethod
    def learn(cls, sources: Ids, targets: Ids, vocabulary_size: int, rounds: int = 4) -> "Lexicon":
        """By IBM Model 1, with the language tag in front of a source as the empty word."""
        size = sum(len(s) * len(t) for s, t in zip(sources, targets, strict=True))
        every = max(1, -(-size // _MOST_COOCCURRENCES))
        source, target, pair_of = _cooccurrences(sources[::every], targets[::every])
        links, which = np.unique(source * vocabulary_size + target, return_inverse=True)
        link_source = links // vocabulary_size
        probability = count = np.ones(len(links))
        for _ in range(rounds):
            # Expectation: each target piece is divided among the source pieces of its sentence.
            share = probability[which]
            share /= np.bincount(pair_of, share)[pair_of]
            # Maximisation: what each source piece got, as a distribution.
            count = np.bincount(which, share, minlength=len(links)).astype(np.float64)
            probability = count / np.bincount(link_source, count, vocabulary_size)[link_source]
        return cls(link_source, links % vocabulary_size, count)

    @classmethod
    def summed(cls, links: Ints, which: Ints, counts: Doubles, vocabulary_size: int) -> "Lexicon":
        """Of `links` (L,), as source * V + target, the one `which` each of the counts is of."""
        count = np.bincount(which, counts, len(links)).astype(np.float64)
        return cls(links // vocabulary_size, links % vocabulary_size, count)

    @classmethod
    def joined(cls, lexicons: Iterable["Lexicon"], vocabulary_size: int) -> "Lexicon":
        """All links of several, their counts summed."""
        parts = list(lexicons)
        keys = np.concatenate([one.source * vocabulary_size + one.target for one in parts])
        links, which = np.unique(keys, return_inverse=True)
        counts = np.concatenate([one.count for one in parts])
        return cls.summed(links, which, counts, vocabulary_size)

    def through(self, other: "Lexicon", vocabulary_size: int) -> "Lexicon":
        """The way over the language between: this lexicon leads into it, `other` out of it."""
        into, first = self.best(_THROUGH, vocabulary_size)  # (V, R)
        out, second = other.best(_THROUGH, vocabulary_size)
        second = second / np.maximum(second.sum(axis=1, keepdims=True), 1e-12)
        source, rank = np.nonzero(first)
        between = into[source, rank]
        keys = source[:, None] * vocabulary_size + out[between]
        counts = first[source, rank][:, None] * second[between]
        links, which = np.unique(keys[counts > 0], return_inverse=True)
        return Lexicon.summed(links, which, counts[counts > 0], vocabulary_size)

    def weighed(self, weight: float) -> "Lexicon":
        """With all counts times `weight`."""
        return Lexicon(self.source, self.target, self.count * weight)

    def best(self, number: int, vocabulary_size: int) -> tuple[Ints, Doubles]:
        """The likeliest translations of each piece, (V, number), and their counts; 0 fills up."""
        order = np.lexsort((self.target, -self.count, self.source))
        source = self.source[order]
        rank = np.arange(len(order)) - np.searchsorted(source, np.arange(vocabulary_size))[source]
        kept = rank < number
        ids = np.zeros((vocabulary_size, number), np.int64)
        counts = np.zeros((vocabulary_size, number))
        ids[source[kept], rank[kept]] = self.target[order[kept]]
        counts[source[kept], rank[kept]] = self.count[order[kept]]
        return ids, counts


def lexicons_into(
    learnt: Mapping[tuple[str, str], Lexicon], target: str, vocabulary_size: int
) -> Iterable[Lexicon]:
    """What leads into the language `target`; `learnt` has the lexicons from language to language.

    A way over another language counts less, so that it displaces no translation of a direction
    that the model was trained for.
    """
    for (source, into), lexicon in learnt.items():
        if into == target:
            yield lexicon
            continue
        if source != target and (source, target) not in learnt and (into, target) in learnt:
            yield lexicon.through(learnt[into, target], vocabulary_size).weighed(0.3)


def _cooccurrences(sources: Ids, targets: Ids) -> tuple[Ints, Ints, Ints]:
    """All pairs of a source and a target piece of one sentence, and which target position it is."""
    source: list[Ints] = []
    target: list[Ints] = []
    position: list[Ints] = []
    begin = 0
    for from_ids, to_ids in zip(sources, targets, strict=True):
        source.append(np.tile(np.array(from_ids, np.int64), len(to_ids)))
        target.append(np.repeat(np.array(to_ids, np.int64), len(from_ids)))
        position.append(np.repeat(np.arange(begin, begin + len(to_ids)), len(from_ids)))
        begin += len(to_ids)
    return np.concatenate(source), np.concatenate(target), np.concatenate(position)
