"""An engine over a hand-made table of probabilities, and random such tables."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from seq2seq.config.model_config import SearchConfig
from seq2seq.search.beam import Hypothesis
from seq2seq.search.engine_protocol import Step
from seq2seq.tokenizer import BOS_ID, PAD_ID

A, B, C = 4, 5, 6


WORDS = (A, B, C)


V = 7


Ids = tuple[int, ...]


Ints = NDArray[np.int64]


Model = Callable[[Ids, Ids], NDArray[np.float32]]  # source, prefix -> log-probabilities (V,)


@dataclass
class TableState:
    """Spells out what a real decoder keeps in vectors: the source and the ids so far."""

    rows: list[tuple[int, Ids, Ids]]  # N times sentence, source, prefix with BOS

    def select(self, rows: Ints) -> Self:
        chosen = [self.rows[row] for row in rows.tolist()]
        sentences = [sentence for sentence, _, _ in chosen]
        assert sentences == sorted(sentences)
        return type(self)(chosen)


class TableEngine:
    """An `Engine` over a table; counts the rows that it was asked for at each step.

    With `candidates` it considers only these ids, for each source its own.
    """

    def __init__(self, model: Model, candidates: Callable[[Ids], Ids] | None = None) -> None:
        self.model = model
        self.candidates = candidates
        self.rows: list[int] = []

    def encode(self, source: Ints, lengths: Ints, forced: Ints | None = None) -> TableState:
        self.source_size = source.shape[1]
        assert all((row[n:] == PAD_ID).all() for row, n in zip(source, lengths, strict=True))
        sources = [tuple(row[:n].tolist()) for row, n in zip(source, lengths, strict=True)]
        return TableState([(b, one, ()) for b, one in enumerate(sources)])

    def decode_step(self, state: TableState, tokens: Ints) -> Step[TableState]:
        self.rows.append(len(tokens))
        rows = [
            (b, source, (*prefix, token))
            for (b, source, prefix), token in zip(state.rows, tokens.tolist(), strict=True)
        ]
        assert all(prefix[0] == BOS_ID for _, _, prefix in rows)
        log_probs = np.array([self.model(source, prefix[1:]) for _, source, prefix in rows])
        attention = [attention_of(source, ids[1:], self.source_size) for _, source, ids in rows]
        candidates = None
        if self.candidates is not None:
            lists = [self.candidates(source) for _, source, _ in rows]
            width = max(map(len, lists))
            candidates = np.array([(*ids, *[PAD_ID] * (width - len(ids))) for ids in lists])
            log_probs = np.take_along_axis(log_probs, candidates, axis=1)
        return Step(log_probs, candidates, np.array(attention), TableState(rows))


def attention_of(source: Ids, prefix: Ids, size: int) -> NDArray[np.float32]:
    """Made up, and different for each prefix: shows which parents a hypothesis came from."""
    number = sum(id_ * 10**i for i, id_ in enumerate(prefix)) + 100_000 * len(prefix)
    return np.array([number + i if i < len(source) else 0 for i in range(size)], dtype=np.float32)


def table(rows: dict[Ids, dict[int, float]]) -> Model:
    """Probabilities after each prefix; what is not named has probability 0."""

    def model(source: Ids, prefix: Ids) -> NDArray[np.float32]:
        probabilities = np.zeros(V, dtype=np.float32)
        for id_, probability in rows.get(prefix, {}).items():
            probabilities[id_] = probability
        with np.errstate(divide="ignore"):
            return np.log(probabilities)

    return model


def random_model(seed: int, sharpness: float = 1.0) -> Model:
    """Any distribution after any prefix of any source, always the same one."""

    def model(source: Ids, prefix: Ids) -> NDArray[np.float32]:
        key = [seed, len(source), *source, *prefix]
        logits = np.random.default_rng(key).normal(size=V) * sharpness
        return np.asarray(logits - np.log(np.exp(logits).sum()), dtype=np.float32)

    return model


def longest(limit: int, beam_size: int, alpha: float = 1.0) -> SearchConfig:
    """Settings under which a source of fewer than 100 ids gets at most `limit` tokens."""
    return SearchConfig(beam_size, alpha, max_length_ratio=0.01, max_length_extra=limit)


def plain(found: list[Hypothesis]) -> list[tuple[Ids, float, float]]:
    return [(one.ids, one.score, one.log_prob) for one in found]


seeds = st.integers(0, 10**9)


sources = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(tuple)


alphas = st.sampled_from([0.0, 0.6, 1.0, 2.0])
