"""The shortlist: for each sentence, a few hundred candidates out of a vocabulary of V.

Half of the work of a step is the product with all V embeddings, nearly all of which are hopeless.
The training corpus shows in advance what a source piece is translated with (Jean et al. 2015,
section 3.2; Devlin 2017). The candidates of a sentence are the most probable translations of its
pieces, the most frequent pieces of the target language, and the source pieces themselves, since
names and numbers are copied. For the probability of all others, see
`seq2seq.engines.quantization`.

The translations are learned by IBM Model 1 (Brown et al. 1993, section 4.1), which counts how often
each target piece was the translation of each source piece. A direction without a corpus goes
through a third language.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from seq2seq.engines.weights import read_tensors
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]
Ids = Sequence[Sequence[int]]

_SPECIAL = (PAD_ID, BOS_ID, EOS_ID, UNK_ID)
_MOST_TRANSLATIONS = 1000  # per piece; a search needs memory for all of them
_MULTIPLE = 64  # see `seq2seq.engines.onnx_graphs`
_MOST_COOCCURRENCES = 30_000_000  # about 3 GB; of a larger corpus, a part is used
_THROUGH = 30  # translations of a piece that are followed into the third language


@dataclass(frozen=True, eq=False)
class Shortlist:
    """Translations of each piece, and frequent pieces, for each of G target languages.

    Shorter lists are padded with PAD.
    """

    tags: Ints  # (G,) of the languages, ascending
    translations: NDArray[np.integer]  # (G, V, L) most probable first
    frequent: NDArray[np.integer]  # (G, F)

    @classmethod
    def from_bytes(cls, data: bytes, vocabulary_size: int, tags: Sequence[int]) -> Self:
        """Read what `to_bytes` wrote; raise `ValueError` unless it fits vocabulary and `tags`."""
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
        """Return the maximum size of its tensors in bytes."""
        return languages * vocabulary_size * (_MOST_TRANSLATIONS + 1) * 4

    def to_bytes(self) -> bytes:
        """Write a safetensors file; for a single language, with (V, L) and (F,)."""
        rows, ids = self.translations, self.frequent
        if len(self.tags) == 1:
            rows, ids = rows[0], ids[0][ids[0] != PAD_ID]
        return save({"translations": np.ascontiguousarray(rows), "frequent": ids})

    def candidates(self, source: Ints, forced: Ints | None = None) -> "Candidates":
        """Return the candidates for source (B, S), whose first column is the language tag.

        The ids in `forced` (B, R), padded with PAD_ID, are candidates too.
        """
        # A source without a tag is only a test of whether the graphs run.
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
    """The candidates of B sentences, from a common pool, padded with PAD."""

    ids: Ints  # (B, C) ascending; the first four are PAD, BOS, EOS and UNK
    pool: Ints  # (U,) the candidates of all sentences, ascending
    columns: Ints  # (B, C) their places in the pool


def _rounded_up(number: int) -> int:
    return -(-number // _MULTIPLE) * _MULTIPLE


def learn_shortlist(
    lexicons: "Mapping[tuple[str, str], Lexicon]",
    tags: Mapping[str, int],
    vocabulary_size: int,
    translations: int = 100,
    frequent: int = 100,
) -> Shortlist:
    """Learn from the lexicon of each pair of languages; `tags` has the target languages."""
    languages = sorted(tags, key=tags.__getitem__)
    frequent = min(frequent, vocabulary_size)
    narrow = np.min_scalar_type(vocabulary_size - 1)
    table = np.full((len(languages), vocabulary_size, translations), PAD_ID, narrow)
    common = np.full((len(languages), frequent), PAD_ID, narrow)
    for number, language in enumerate(languages):
        known = Lexicon.joined(lexicons_into(lexicons, language, vocabulary_size), vocabulary_size)
        table[number], _ = known.best(translations, vocabulary_size)
        counts = np.bincount(known.target, known.count, vocabulary_size)
        order = np.argsort(-counts, kind="stable")[:frequent]
        common[number, : len(order)] = np.where(counts[order] > 0, order, PAD_ID)
    return Shortlist(np.array(sorted(tags.values())), table, common)


@dataclass(frozen=True, eq=False)
class Lexicon:
    """L distinct links between source and target pieces of a vocabulary of V."""

    source: Ints  # (L,) ascending
    target: Ints  # (L,)
    count: Doubles  # (L,) how often the source piece was translated by the target piece

    @classmethod
    def learn(cls, sources: Ids, targets: Ids, vocabulary_size: int, rounds: int = 4) -> "Lexicon":
        """Learn by IBM Model 1; a source's language tag serves as the empty word."""
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
            # Maximisation: the counts of each source piece become a distribution.
            count = np.bincount(which, share, minlength=len(links)).astype(np.float64)
            probability = count / np.bincount(link_source, count, vocabulary_size)[link_source]
        return cls(link_source, links % vocabulary_size, count)

    @classmethod
    def summed(cls, links: Ints, which: Ints, counts: Doubles, vocabulary_size: int) -> "Lexicon":
        """Sum `counts`, whose links are `links[which]`; `links` (L,) are source * V + target."""
        count = np.bincount(which, counts, len(links)).astype(np.float64)
        return cls(links // vocabulary_size, links % vocabulary_size, count)

    @classmethod
    def joined(cls, lexicons: Iterable["Lexicon"], vocabulary_size: int) -> "Lexicon":
        """Merge the links of several lexicons, adding up their counts."""
        parts = list(lexicons)
        keys = np.concatenate([part.source * vocabulary_size + part.target for part in parts])
        links, which = np.unique(keys, return_inverse=True)
        counts = np.concatenate([part.count for part in parts])
        return cls.summed(links, which, counts, vocabulary_size)

    def through(self, other: "Lexicon", vocabulary_size: int) -> "Lexicon":
        """Compose with `other`, which leads out of the language that this lexicon leads into."""
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
        """Return the lexicon with all counts multiplied by `weight`."""
        return Lexicon(self.source, self.target, self.count * weight)

    def best(self, number: int, vocabulary_size: int) -> tuple[Ints, Doubles]:
        """Return the most probable translations of each piece, (V, number), and their counts."""
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
    lexicons: Mapping[tuple[str, str], Lexicon], target: str, vocabulary_size: int
) -> Iterable[Lexicon]:
    """Yield lexicons into the language `target`, composed through a third one if necessary.

    Composed ones have a lower weight, so that they displace no translation of a direction that the
    model was trained for.
    """
    for (source, into), lexicon in lexicons.items():
        if into == target:
            yield lexicon
            continue
        if source != target and (source, target) not in lexicons and (into, target) in lexicons:
            yield lexicon.through(lexicons[into, target], vocabulary_size).weighed(0.3)


def _cooccurrences(sources: Ids, targets: Ids) -> tuple[Ints, Ints, Ints]:
    """Pair each source piece with each target piece of its sentence; add the target's position."""
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
