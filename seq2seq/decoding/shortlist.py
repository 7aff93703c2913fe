"""Which words can come up at all: for each sentence a few hundred candidates out of V.

Half the work of a step is the product with all V embeddings, nearly all of them hopeless. What a
source piece was translated with in the training corpus is known beforehand (Jean et al. 2015,
section 3.2; Devlin 2017). The candidates of a sentence are the likeliest translations of its
pieces, the most frequent pieces of the target language, and the source pieces themselves, since
names and numbers are copied. For what the others would get see `seq2seq.decoding.quantisation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

Ints = NDArray[np.int64]

_SPECIAL = (PAD_ID, BOS_ID, EOS_ID, UNK_ID)
_MOST_COOCCURRENCES = 30_000_000  # about 3 GB; beyond, a part of the corpus has to do
_MULTIPLE = 64  # see `seq2seq.decoding.graphs`


@dataclass(frozen=True, eq=False)
class Shortlist:
    """Translations of each source piece, and what is frequent anyway."""

    translations: NDArray[np.integer]  # (V, L) the likeliest first; PAD where there are fewer
    frequent: NDArray[np.integer]  # (F,)

    @classmethod
    def from_bytes(cls, data: bytes, vocabulary_size: int) -> Self:
        """What `to_bytes` gave; raises `ValueError` unless it is of a vocabulary of this size."""
        try:
            tensors = load(data)
            shortlist = cls(tensors["translations"], tensors["frequent"])
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"not a shortlist: {error}") from None
        rows, ids = shortlist.translations, shortlist.frequent
        if (
            (rows.ndim, ids.ndim) != (2, 1)
            or len(rows) != vocabulary_size
            or not all(part.dtype.kind in "iu" for part in (rows, ids))
            or not all(((part >= 0) & (part < vocabulary_size)).all() for part in (rows, ids))
            or rows[PAD_ID].any()  # padding has no translations
        ):
            raise ValueError(f"not a shortlist of a vocabulary of {vocabulary_size} pieces")
        return shortlist

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        return save({"translations": self.translations, "frequent": self.frequent})

    def candidates(self, source: Ints) -> "Candidates":
        """source (B, S) -> the candidates of each sentence."""
        chosen = np.zeros((len(source), len(self.translations)), np.bool_)
        sentences = np.arange(len(source))[:, None]
        chosen[sentences, source] = True
        chosen[sentences[:, :, None], self.translations[source]] = True
        chosen[:, self.frequent] = True
        chosen[:, _SPECIAL] = True
        rows, ids = np.nonzero(chosen)
        numbers = chosen.sum(axis=1)
        own = np.arange(len(rows)) - (numbers.cumsum() - numbers)[rows]
        candidates = np.full((len(source), _rounded_up(int(numbers.max()))), PAD_ID)
        candidates[rows, own] = ids

        anywhere = chosen.any(axis=0)
        union = np.flatnonzero(anywhere)
        pool = np.full(_rounded_up(len(union)), PAD_ID)
        pool[: len(union)] = union
        columns = anywhere.cumsum() - 1
        return Candidates(candidates, pool, columns[candidates])


class Candidates(NamedTuple):
    """The candidates of B sentences, out of a pool. PAD fills up what is left over."""

    ids: Ints  # (B, C) ascending; the first four are PAD, BOS, EOS and UNK
    pool: Ints  # (U,) all that any sentence has, ascending
    columns: Ints  # (B, C) where they are in the pool


def _rounded_up(number: int) -> int:
    return -(-number // _MULTIPLE) * _MULTIPLE


def learn_shortlist(
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    vocabulary_size: int,
    translations: int = 100,
    frequent: int = 100,
    rounds: int = 4,
) -> Shortlist:
    """From the ids of a parallel corpus, by IBM Model 1 (Brown et al. 1993, section 4.1).

    The language tag in front of each source takes the part of the empty word.
    """
    size = sum(len(s) * len(t) for s, t in zip(sources, targets, strict=True))
    every = max(1, -(-size // _MOST_COOCCURRENCES))
    source, target, pair_of = _cooccurrences(sources[::every], targets[::every])
    links, which = np.unique(source * vocabulary_size + target, return_inverse=True)
    link_source = links // vocabulary_size
    link_target = links % vocabulary_size
    probability = np.ones(len(links))
    for _ in range(rounds):
        # Expectation: each target piece is divided among the source pieces of its sentence.
        share = probability[which]
        share /= np.bincount(pair_of, share)[pair_of]
        # Maximisation: what each source piece got, as a distribution.
        count = np.bincount(which, share, minlength=len(links))
        probability = count / np.bincount(link_source, count, vocabulary_size)[link_source]
    order = np.lexsort((link_target, -probability, link_source))
    first = np.searchsorted(link_source[order], np.arange(vocabulary_size))
    rank = np.arange(len(links)) - first[link_source[order]]
    kept = order[rank < translations]
    narrow = np.min_scalar_type(vocabulary_size - 1)
    table = np.full((vocabulary_size, translations), PAD_ID, narrow)
    table[link_source[kept], rank[rank < translations]] = link_target[kept]
    counts = np.bincount(
        np.concatenate([np.asarray(ids, np.int64) for ids in targets]), minlength=vocabulary_size
    )
    common = np.argsort(-counts, kind="stable")[:frequent]
    return Shortlist(table, common[counts[common] > 0].astype(narrow))


def _cooccurrences(
    sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> tuple[Ints, Ints, Ints]:
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
