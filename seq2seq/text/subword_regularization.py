"""Draw subwords at random, so that training sees each word split in many ways.

SentencePiece can draw too, but its generator is seeded anew in each process, and a resumed run must
see what the interrupted one would have seen. Here the draws depend only on a `random.Random`. The
pieces and their scores are those of SentencePiece.
"""

import math
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from random import Random
from typing import NamedTuple, Protocol

_UNKNOWN_PENALTY = 10.0  # below the least probable piece, as in SentencePiece
_CACHED_WORDS = 1 << 14


@dataclass(frozen=True)
class Pieces:
    """What a word can be split into: pieces with id and score, otherwise bytes.

    The score of a unigram piece is its natural log-probability; the score of a BPE piece is the
    negative rank of its merge.
    """

    ids: Mapping[str, int]
    scores: Mapping[str, float]
    byte_ids: tuple[int, ...]  # of the 256 bytes

    def spell(self, piece: str) -> list[int]:
        """Return the id of `piece`, or those of its bytes."""
        if piece in self.ids:
            return [self.ids[piece]]
        return [self.byte_ids[byte] for byte in piece.encode()]


class Sampler(Protocol):
    """Splits words at random. A word has no space, except one before it, written as U+2581."""

    def draw(self, word: str, random: Random) -> list[int]:
        """Draw the ids of a random segmentation."""


class _Ways(NamedTuple):
    """The pieces that can end at one place of a word."""

    cumulative: list[float]  # cumulative weights of the pieces
    starts: list[int]  # where each piece begins


class UnigramSampler:
    """Draws each segmentation in proportion to its probability ** alpha (Kudo 2018).

    Forward filtering and backward sampling give the exact distribution over all segmentations.
    """

    def __init__(self, pieces: Pieces, alpha: float) -> None:
        self._pieces = pieces
        self._alpha = alpha
        self._longest = max(map(len, pieces.ids))
        self._unknown = min(pieces.scores.values()) - _UNKNOWN_PENALTY
        self._lattice = lru_cache(_CACHED_WORDS)(self._make_lattice)

    def draw(self, word: str, random: Random) -> list[int]:
        """Draw the ids of a random segmentation."""
        lattice = self._lattice(word)
        cuts = [len(word)]
        while cuts[-1]:
            cumulative, starts = lattice[cuts[-1]]
            point = random.random() * cumulative[-1]
            # The last piece is also taken if rounding moves the point to the total weight.
            cuts.append(starts[bisect(cumulative, point, 0, len(starts) - 1)])
        cuts.reverse()
        return [i for start, end in pairwise(cuts) for i in self._pieces.spell(word[start:end])]

    def _make_lattice(self, word: str) -> list[_Ways]:
        """Return the pieces that can end at each place 0 ... len(word), with their weights."""
        totals = [0.0]  # log of the summed weights of all segmentations up to each place
        lattice = [_Ways([], [])]
        for end in range(1, len(word) + 1):
            starts, logs = [], []
            for start in range(max(0, end - self._longest), end):
                score = self._pieces.scores.get(word[start:end])
                if score is None and start == end - 1:
                    score = self._unknown
                if score is not None:
                    starts.append(start)
                    logs.append(totals[start] + self._alpha * score)
            highest = max(logs)
            cumulative = list(accumulate(math.exp(log - highest) for log in logs))
            lattice.append(_Ways(cumulative, starts))
            totals.append(highest + math.log(cumulative[-1]))
        return lattice


class DropoutSampler:
    """Encodes by byte pairs, skipping each merge at random (Provilkov et al. 2020)."""

    def __init__(self, pieces: Pieces, rate: float) -> None:
        self._pieces = pieces
        self._rate = rate

    def draw(self, word: str, random: Random) -> list[int]:
        """Draw the ids of a random segmentation."""
        symbols = list(word)
        while True:
            merges = [
                (-score, place)
                for place, pair in enumerate(map("".join, pairwise(symbols)))
                if (score := self._pieces.scores.get(pair)) is not None
                and random.random() >= self._rate
            ]
            if not merges:
                return [i for symbol in symbols for i in self._pieces.spell(symbol)]
            _, place = min(merges)
            symbols[place : place + 2] = ["".join(symbols[place : place + 2])]
