"""Which words can come up at all: for each sentence a few hundred candidates out of V.

Half the work of a step is the product with all V embeddings, nearly all of them hopeless. What a
source piece was translated with in the training corpus is known beforehand (Jean et al. 2015,
section 3.2; Devlin 2017). The candidates of a sentence are the likeliest translations of its
pieces, the most frequent pieces of the target language, and the source pieces themselves, since
names and numbers are copied. For what the others would get see `seq2seq.engines.quantization`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from seq2seq.engines.lexicon import Lexicon, lexicons_into
from seq2seq.engines.weights import read_tensors
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

Ints = NDArray[np.int64]

_SPECIAL = (PAD_ID, BOS_ID, EOS_ID, UNK_ID)
_MOST_TRANSLATIONS = 1000  # of a piece; a search takes memory for all of them
_MULTIPLE = 64  # see `seq2seq.engines.onnx_graphs`


@dataclass(frozen=True, eq=False)
class Shortlist:
    """For each of G target languages: translations of a piece, and what is frequent anyway.

    PAD stands where there are fewer.
    """

    tags: Ints  # (G,) of the languages, ascending
    translations: NDArray[np.integer]  # (G, V, L) the likeliest first
    frequent: NDArray[np.integer]  # (G, F)

    @classmethod
    def from_bytes(cls, data: bytes, vocabulary_size: int, tags: Sequence[int]) -> Self:
        """What `to_bytes` gave; raises `ValueError` unless it is of this vocabulary and `tags`."""
        try:
            tensors = read_tensors(data)
        except ValueError as error:
            raise ValueError(f"not a shortlist: {error}") from None
        if tensors.keys() != {"translations", "frequent"}:
            raise ValueError("not a shortlist: it has other tensors")
        rows, ids = tensors["translations"], tensors["frequent"]
        if len(tags) == 1:
            rows, ids = rows[None], ids[None]
        if (
            (rows.ndim, ids.ndim) != (3, 2)
            or rows.shape[:2] != (len(tags), vocabulary_size)
            or len(ids) != len(tags)
            or ids.shape[1] > vocabulary_size
            or not all(part.dtype.kind in "iu" for part in (rows, ids))
            or not all(((part >= 0) & (part < vocabulary_size)).all() for part in (rows, ids))
            or rows[:, PAD_ID].any()  # padding has no translations
        ):
            raise ValueError(
                f"not a shortlist of a vocabulary of {vocabulary_size} pieces for {len(tags)} "
                "target languages"
            )
        if rows.shape[2] > _MOST_TRANSLATIONS:
            raise ValueError(
                f"a shortlist of {rows.shape[2]:,} translations a piece; {_MOST_TRANSLATIONS:,} "
                "are the most"
            )
        return cls(np.array(sorted(tags)), rows, ids)

    @staticmethod
    def most_bytes(vocabulary_size: int, languages: int) -> int:
        """What its tensors can come to."""
        return languages * vocabulary_size * (_MOST_TRANSLATIONS + 1) * 4

    def to_bytes(self) -> bytes:
        """As a safetensors file: (V, L) and (F,) where there is one language."""
        rows, ids = self.translations, self.frequent
        if len(self.tags) == 1:
            rows, ids = rows[0], ids[0][ids[0] != PAD_ID]
        return save({"translations": np.ascontiguousarray(rows), "frequent": ids})

    def candidates(self, source: Ints, forced: Ints | None = None) -> "Candidates":
        """source (B, S), each with its language's tag first -> the candidates of each sentence.

        The ids `forced` (B, R), padded with PAD_ID, are among them.
        """
        # What begins with no tag is no text: a try whether the graphs run.
        language = np.minimum(np.searchsorted(self.tags, source[:, 0]), len(self.tags) - 1)  # (B,)
        sentences = np.arange(len(source))[:, None]
        chosen = np.zeros((len(source), self.translations.shape[1]), np.bool_)
        chosen[sentences, source] = True
        chosen[sentences[:, :, None], self.translations[language[:, None], source]] = True
        chosen[sentences, self.frequent[language]] = True
        chosen[:, _SPECIAL] = True
        if forced is not None:
            chosen[sentences, forced] = True
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
    learnt: Mapping[tuple[str, str], Lexicon],
    tags: Mapping[str, int],
    vocabulary_size: int,
    translations: int = 100,
    frequent: int = 100,
) -> Shortlist:
    """From the lexicon of each pair of languages; `tags` has those of the target languages."""
    languages = sorted(tags, key=tags.__getitem__)
    frequent = min(frequent, vocabulary_size)
    narrow = np.min_scalar_type(vocabulary_size - 1)
    table = np.full((len(languages), vocabulary_size, translations), PAD_ID, narrow)
    common = np.full((len(languages), frequent), PAD_ID, narrow)
    for number, language in enumerate(languages):
        known = Lexicon.joined(lexicons_into(learnt, language, vocabulary_size), vocabulary_size)
        table[number], _ = known.best(translations, vocabulary_size)
        counts = np.bincount(known.target, known.count, vocabulary_size)
        order = np.argsort(-counts, kind="stable")[:frequent]
        common[number, : len(order)] = np.where(counts[order] > 0, order, PAD_ID)
    return Shortlist(np.array(sorted(tags.values())), table, common)
