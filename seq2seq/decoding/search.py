"""Beam search: the K most promising hypotheses of each sentence grow by one token a step.

A sentence has K places. At each step all extensions of its live hypotheses compete for them. An
extension by EOS is a finished hypothesis: it keeps its place, and the beam of that sentence is one
narrower from then on. So a sentence ends with at most K finished hypotheses, and with K = 1 the
search is greedy.

Finished hypotheses are compared by score: the natural log-probability, EOS included, over the
length penalty of Wu et al. (2016), eq. 14; the length counts EOS too. A hypothesis that reaches the
longest length allowed can only be extended by EOS there, so its score is as honest as any other.

Stop rule: a sentence is done when none of its live hypotheses can still beat the worst of its
`n_best` best finished ones. A log-probability only falls and the penalty only rises with the
length, so no live hypothesis can come to more than log_prob / penalty(longest length). The rule
never changes the result; it saves steps. Sentences that are done leave the batch.

Equals are ordered by parent, then by id, the lower one first, so a search can be repeated exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from numpy.typing import NDArray

from seq2seq.config import SearchConfig
from seq2seq.decoding.protocol import Engine, S
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

_NEVER = -np.inf

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A finished translation of one source of S ids into T ids."""

    ids: tuple[int, ...]  # without BOS and EOS
    score: float  # log_prob over the length penalty
    log_prob: float  # natural log, EOS included
    attention: NDArray[np.float32]  # (T, S), a row for each of `ids`


def length_penalty(length: int, alpha: float) -> float:
    """What the log-probability of `length` tokens is divided by: ((5 + length) / 6) ** alpha."""
    return float(((5 + length) / 6) ** alpha)


def beam_search(
    engine: Engine[S],
    sources: Sequence[Sequence[int]],
    config: SearchConfig,
    n_best: int = 1,
    forbidden: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """The `n_best` best translations of each source, best first.

    There are fewer where the model gives fewer a probability above 0. PAD, BOS, UNK and the
    `forbidden` ids are never generated.
    """
    if not 1 <= n_best <= config.beam_size:
        raise UsageError(
            f"n-best {n_best} does not fit a beam of {config.beam_size}: "
            f"it can be 1 to the beam size."
        )
    if not sources:
        return []
    never = sorted({PAD_ID, BOS_ID, UNK_ID, *forbidden} - {EOS_ID})
    sentences = [_Sentence(len(source), config, n_best) for source in sources]
    history: list[_Growth] = []

    active = sentences  # the B sentences of the grid
    live: Floats = np.zeros((len(active), 1))  # (B, K) log-probabilities; -inf: no hypothesis
    tokens: Ints = np.full((len(active), 1), BOS_ID)  # (B, K) the newest of each hypothesis
    state = engine.start(*_pad(sources))

    for length in count(1):
        # Ask for the log-probabilities of the next tokens, and rule out what may not come.
        step = engine.step(state, tokens)
        step.log_probs[:, :, never] = _NEVER
        at_limit = [sentence.limit <= length for sentence in active]
        step.log_probs[at_limit, :, :EOS_ID] = _NEVER
        step.log_probs[at_limit, :, EOS_ID + 1 :] = _NEVER

        # Extend: the best extensions of each sentence, as many as it has places.
        places = np.array([sentence.places for sentence in active])
        live, parents, tokens = _best_extensions(live, step.log_probs, places)  # each (B, K)

        # Finish: extensions by EOS leave the grid.
        ended = (tokens == EOS_ID) & (live > _NEVER)
        for b, k in np.argwhere(ended):
            active[b].finish(_Ending(length, float(live[b, k]), int(parents[b, k])))
        live[ended] = _NEVER

        # Go on: with the sentences that are not done, their live hypotheses still best first.
        on = [b for b, sentence in enumerate(active) if sentence.can_improve(live[b].max())]
        if not on:
            break
        used = int((live[on] > _NEVER).sum(axis=1).max())
        order = np.argsort(-live[on], axis=1, kind="stable")[:, :used]
        kept = np.array(on)[:, None], order
        live, parents, tokens = live[kept], parents[kept], tokens[kept]  # each (B', K')
        active = [active[b] for b in on]

        history.append(_Growth(tokens, parents, step.attention))
        state = step.state.select(parents)

    # The last step's attention belongs to EOS alone and is not needed.
    return [sentence.results(history) for sentence in sentences]


@dataclass(frozen=True)
class _Ending:
    """A finished hypothesis, still as a place in the history."""

    length: int  # tokens, EOS counted
    log_prob: float
    parent: int  # the row that EOS was added to


@dataclass
class _Sentence:
    """The finished hypotheses of one source, best first, and when to stop looking for more."""

    source_length: int
    config: SearchConfig
    n_best: int
    finished: list[_Ending] = field(default_factory=list)

    def __post_init__(self) -> None:
        longest = self.config.max_length_ratio * self.source_length
        self.limit = int(longest) + self.config.max_length_extra
        self._penalty_at_limit = length_penalty(self.limit, self.config.length_penalty)

    @property
    def places(self) -> int:
        """How many hypotheses may go on."""
        return self.config.beam_size - len(self.finished)

    def finish(self, ending: _Ending) -> None:
        """Take up a finished hypothesis; among equals the earlier one stays first."""
        self.finished.append(ending)
        self.finished.sort(key=self._score, reverse=True)

    def can_improve(self, log_prob: float) -> bool:
        """Whether a live hypothesis with `log_prob` may still become one of the n best."""
        if len(self.finished) < self.n_best:
            return log_prob > _NEVER
        return log_prob / self._penalty_at_limit > self._score(self.finished[self.n_best - 1])

    def results(self, history: "Sequence[_Growth]") -> list[Hypothesis]:
        """The n best hypotheses, their ids and attention read back from the history."""
        if not self.finished:
            raise Seq2SeqError(
                "the model gives no translation a probability: its weights are broken (not a "
                "number, or infinite); use another checkpoint."
            )
        return [self._trace(ending, history) for ending in self.finished[: self.n_best]]

    def _score(self, ending: _Ending) -> float:
        return ending.log_prob / length_penalty(ending.length, self.config.length_penalty)

    def _trace(self, ending: _Ending, history: "Sequence[_Growth]") -> Hypothesis:
        ids: list[int] = []
        attention = np.zeros((ending.length - 1, self.source_length), dtype=np.float32)
        row = ending.parent
        for t in reversed(range(ending.length - 1)):
            growth = history[t]
            ids.append(int(growth.tokens[row]))
            attention[t] = growth.attention[row, : self.source_length]
            row = growth.parents[row]
        return Hypothesis(tuple(reversed(ids)), self._score(ending), ending.log_prob, attention)


class _Growth:
    """One step of the search: how each row of the new grid came out of the old one.

    A hypothesis is not copied as it grows. Its ids are read back at the end, from row to parent.
    """

    def __init__(
        self,
        tokens: Ints,
        parents: Ints,
        attention: NDArray[np.float32],
    ) -> None:
        """tokens, parents (B', K') of the new grid; attention (B, K, S) of the old one."""
        self.tokens = tokens.reshape(-1)
        self.parents = parents.reshape(-1)
        self.attention = attention.reshape(-1, attention.shape[-1])[self.parents]  # (B' * K', S)


def _best_extensions(
    live: Floats, log_probs: NDArray[np.float32], places: Ints
) -> tuple[Floats, Ints, Ints]:
    """The best one-token extensions of the hypotheses `live` (B, K), best first.

    `log_probs` (B, K, V) are used up. Gives the new log-probabilities, the parents' row numbers and
    the tokens, each (B, K') with K' = max(places); beyond a sentence's `places` (B,) they are -inf.
    """
    sentences, beam = live.shape
    width = int(places.max())
    values, tokens = _largest(log_probs, width)  # (B, K, W): no parent can win more than K' places
    totals = (live[:, :, None] + values).reshape(sentences, -1)  # (B, K * W), in float64
    winners = np.argsort(-totals, axis=1, kind="stable")[:, :width]  # (B, K')
    totals = np.take_along_axis(totals, winners, axis=1)
    totals[np.arange(winners.shape[1]) >= places[:, None]] = _NEVER
    first_rows = np.arange(sentences)[:, None] * beam  # (B, 1)
    parents = first_rows + winners // values.shape[-1]
    return totals, parents, np.take_along_axis(tokens.reshape(sentences, -1), winners, axis=1)


def _largest(array: NDArray[np.float32], number: int) -> tuple[NDArray[np.float32], Ints]:
    """The `number` largest along the last axis and their indices, each (..., number).

    `array` is used up.
    Taking the maximum and striking it out, `number` times over, is much faster than
    `np.argpartition` for the few that a beam needs, and unlike it takes the first among equals.
    """
    number = min(number, array.shape[-1])
    values = np.empty((*array.shape[:-1], number), dtype=array.dtype)
    indices = np.empty(values.shape, dtype=np.int64)
    for i in range(number):
        best = array.argmax(axis=-1, keepdims=True)
        values[..., i : i + 1] = np.take_along_axis(array, best, axis=-1)
        indices[..., i : i + 1] = best
        np.put_along_axis(array, best, _NEVER, axis=-1)
    return values, indices


def _pad(sources: Sequence[Sequence[int]]) -> tuple[Ints, Ints]:
    """The sources side by side, (B, S) padded with PAD_ID, and their lengths (B,)."""
    lengths = np.array([len(source) for source in sources])
    padded = np.full((len(sources), int(lengths.max())), PAD_ID)
    for row, source in zip(padded, sources, strict=True):
        row[: len(source)] = source
    return padded, lengths
