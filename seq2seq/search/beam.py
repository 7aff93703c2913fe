"""Beam search: at each step, the K best hypotheses of each sentence grow by one token.

A sentence has K slots. At each step all extensions of its live hypotheses compete for the free
slots. An extension by EOS is a finished hypothesis: it keeps its slot, so the beam of that sentence
is one narrower from then on. A sentence thus ends with at most K finished hypotheses, and with
K = 1 the search is greedy.

Finished hypotheses are compared by score: the natural log-probability, EOS included, divided by the
length penalty of Wu et al. (2016), eq. 14, in which the length includes EOS too. A hypothesis that
reaches the maximum length can only be extended by EOS; its score is computed in the same way.

Stop rule: a hypothesis that cannot beat the worst of its sentence's `n_best` best finished ones is
dropped, and a sentence without live hypotheses is done. As a hypothesis grows, its log-probability
only falls and its penalty only rises, so its score cannot exceed
log_prob / penalty(maximum length). Dropping by that bound saves work and never loses a winner.

Pruning, an option, goes further and can change the result: it drops hypotheses whose
log-probability is more than `prune` nats below the best one of the same sentence and length
(Freitag & Al-Onaizan 2017, relative threshold).

Ties go to the lower parent, then to the lower id, so a search can be repeated exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from seq2seq.config.model_config import SearchConfig
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.search.engine_protocol import Engine, Ints, S, Step, grid, renumber
from seq2seq.search.repetition import RepetitionRule
from seq2seq.search.utf8 import BETWEEN, LONGEST, NO_BYTES, ByteRule
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

_NEVER = -np.inf

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A finished translation of one source of S ids into T ids."""

    ids: tuple[int, ...]  # without BOS and EOS
    score: float  # log_prob divided by the length penalty
    log_prob: float  # natural log, EOS included
    attention: NDArray[np.float32]  # (T, S), a row for each of `ids`


Outcome = Literal["kept", "finished", "beaten", "pruned", "outside"]
"""What became of an extension. Kept: it goes on. Finished: it ends with EOS, among the best so far.
Beaten: it can no longer be one of the n best. Pruned: too far behind the best of its length.
Outside: the beam had no slot for it.
"""


class Trace(Protocol):
    """An observer of the search for one source."""

    runners_up: int  # how many extensions outside the beam to record at each step

    def record(
        self, log_probs: Floats, parents: Ints, tokens: Ints, outcomes: Sequence[Outcome]
    ) -> None:
        """Record the N extensions of a step, best first; each array is (N,).

        `parents` number the extensions that were kept in the previous step, from 0; at the first
        step all are 0, which is BOS. `log_probs` are those of the whole hypotheses.
        """
        ...


class Chooser(Protocol):
    """Chooses the next token of each hypothesis, instead of the search."""

    def leave_one(self, numbers: Ints, length: int, log_probs: NDArray[np.float32]) -> None:
        """Rule out all but one token in each row of log_probs (N, C), in place.

        Row i belongs to the source with the number `numbers[i]`, and chooses its token number
        `length`, counted from 1.
        """
        ...


def length_penalty(length: int, alpha: float) -> float:
    """Return ((5 + length) / 6) ** alpha, which divides the log-probability of `length` tokens.

    See Wu et al. (2016), equation 14. Any other formula must not fall either as length grows: the
    search stops when no hypothesis could win even with the penalty of the maximum length.
    """
    return float(((5 + length) / 6) ** alpha)


def longest_length(source_length: int, config: SearchConfig) -> int:
    """Return the maximum length of a translation, in tokens, EOS included."""
    return int(config.max_length_ratio * source_length) + config.max_length_extra


def beam_search(
    engine: Engine[S],
    sources: Sequence[Sequence[int]],
    config: SearchConfig,
    n_best: int = 1,
    forbidden: Sequence[int] = (),
    byte_rule: ByteRule = NO_BYTES,
    repetition_rules: Sequence[RepetitionRule | None] | None = None,
    trace: Trace | None = None,
    chooser: Chooser | None = None,
) -> list[list[Hypothesis]]:
    """Return the `n_best` best translations of each source, best first.

    There are fewer if fewer have a probability above 0, or if pruning leaves fewer.
    PAD, BOS, UNK and the `forbidden` ids are never generated, and bytes only as `byte_rule` allows.
    A source with a repetition rule gets only hypotheses that obey it, up to the beam size; its beam
    does not narrow, and it stops once nothing can beat the best. A `trace` observes the search of a
    single source and changes nothing. A `chooser` needs a beam of 1, and chooses all tokens.
    """
    assert chooser is None or config.beam_size == 1
    assert trace is None or len(sources) == 1
    if not 1 <= n_best <= config.beam_size:
        raise UsageError(
            f"n-best {n_best} does not fit a beam of {config.beam_size}: "
            f"it can be 1 to the beam size."
        )
    if not sources:
        return []
    rules = repetition_rules or [None] * len(sources)
    sentences = [
        _Sentence(len(source), config, n_best if rule is None else config.beam_size, rule)
        for source, rule in zip(sources, rules, strict=True)
    ]
    active, live = _Active.all(sentences, config.beam_size), _Live.start(len(sources))
    restrictions = _Restrictions(byte_rule, forbidden)
    history: list[_Backpointers] = []
    state = engine.encode(*pad_sources(sources))

    for length in count(1):
        # Compute the log-probabilities of the next tokens, and rule out those not allowed.
        step = engine.decode_step(state, live.tokens)
        if length == 1 and step.candidates is not None:
            active.dead_ends = byte_rule.dead_ends(step.candidates)
        restrictions.apply(step, active, live, length, history)
        if chooser is not None:
            chooser.leave_one(active.numbers[live.batch_index], length, step.log_probs)
        if trace is not None:
            copied = replace(step, log_probs=step.log_probs.copy())
            recorded = _best_extensions(live, copied, active.free_slots + trace.runners_up)

        # Extend: take the best extensions of each sentence, as many as it has free slots.
        extended = _best_extensions(live, step, active.free_slots)  # N'

        # Finish: extensions by EOS leave, and take a slot if they may be among the best.
        is_end = extended.tokens == EOS_ID
        ended = is_end & active.can_win(extended)
        active.finish(extended, np.flatnonzero(ended).tolist(), length)

        # Continue with the hypotheses that may still become one of the best.
        can_win = ~is_end & active.can_win(extended)
        on = can_win if config.prune is None else can_win & extended.near_the_best(config.prune)
        if trace is not None:
            outcomes = _outcomes(len(recorded.tokens), ended, on, can_win)
            trace.record(recorded.log_probs, recorded.parents, recorded.tokens, outcomes)
        if not on.any():
            break
        remaining, batch_index = renumber(extended.batch_index[on])
        if len(remaining) < len(active.sentences):
            active = active.select(remaining)
        parents, tokens = extended.parents[on], extended.tokens[on]
        states = byte_rule.after(live.states[parents], tokens)
        live = _Live(batch_index, extended.log_probs[on], tokens, states)
        history.append(_Backpointers(tokens, parents, step.attention[parents]))
        state = step.state.select(parents)

    # The attention of the last step belongs to EOS and is not needed.
    return [sentence.results(history) for sentence in sentences]


@dataclass(frozen=True)
class _Finished:
    """A finished hypothesis, as the place in the history where it ends."""

    length: int  # in tokens, EOS included
    log_prob: float
    parent: int  # the row that EOS extended


@dataclass
class _Sentence:
    """The finished hypotheses of one source, best first, and the bound that ends its search."""

    source_length: int
    config: SearchConfig
    n_best: int
    rule: RepetitionRule | None = None
    finished: list[_Finished] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limit = longest_length(self.source_length, self.config)
        self._penalty_at_limit = length_penalty(self.limit, self.config.length_penalty)

    def finish(self, ending: _Finished) -> None:
        """Add a finished hypothesis; of equal ones, the earlier stays first."""
        self.finished.append(ending)
        self.finished.sort(key=self._score, reverse=True)

    def bound(self) -> float:
        """Return the log-probability that a live hypothesis must exceed to be one of the n best."""
        if len(self.finished) < self.n_best:
            return _NEVER
        to_beat = 0 if self.rule else self.n_best - 1  # with a rule, only the best must be found
        return self._score(self.finished[to_beat]) * self._penalty_at_limit

    def results(self, history: "Sequence[_Backpointers]") -> list[Hypothesis]:
        """Return the n best hypotheses, with ids and attention read back from the history."""
        if not self.finished:
            raise Seq2SeqError(
                "the model gives no translation a probability: its weights are broken (not a "
                "number, or infinite); use another checkpoint."
            )
        return [self._trace(ending, history) for ending in self.finished[: self.n_best]]

    def _score(self, ending: _Finished) -> float:
        return ending.log_prob / length_penalty(ending.length, self.config.length_penalty)

    def _trace(self, ending: _Finished, history: "Sequence[_Backpointers]") -> Hypothesis:
        ids: list[int] = []
        attention = np.zeros((ending.length - 1, self.source_length), dtype=np.float32)
        row = ending.parent
        for t in reversed(range(ending.length - 1)):
            pointers = history[t]
            ids.append(int(pointers.tokens[row]))
            attention[t] = pointers.attention[row, : self.source_length]
            row = pointers.parents[row]
        return Hypothesis(tuple(reversed(ids)), self._score(ending), ending.log_prob, attention)


@dataclass(frozen=True, eq=False)
class _Backpointers:
    """One step of the search: which row of the previous step each of its N rows extends.

    Hypotheses are not copied as they grow. Their ids are read back at the end, from row to parent.
    """

    tokens: Ints  # (N,)
    parents: Ints  # (N,)
    attention: NDArray[np.float32]  # (N, S)


@dataclass(frozen=True, eq=False)
class _Live:
    """The N hypotheses that go on, grouped by sentence."""

    batch_index: Ints  # (N,) the sentence of each, ascending
    log_probs: Floats  # (N,)
    tokens: Ints  # (N,) the newest token of each
    states: Ints  # (N,) in the byte rule

    @classmethod
    def start(cls, size: int) -> "_Live":
        """Return the hypotheses before the first token, one for each sentence."""
        return cls(np.arange(size), np.zeros(size), np.full(size, BOS_ID), np.full(size, BETWEEN))


@dataclass(frozen=True, eq=False)
class _Extensions:
    """N hypotheses with one more token, grouped by sentence, best first."""

    batch_index: Ints  # (N,)
    log_probs: Floats  # (N,)
    parents: Ints  # (N,) the rows that they extend
    tokens: Ints  # (N,)

    def near_the_best(self, prune: float) -> NDArray[np.bool_]:
        """Return (N,) whether each is within `prune` nats of the best of its sentence."""
        leaders = np.full(int(self.batch_index.max(initial=0)) + 1, _NEVER)
        np.maximum.at(leaders, self.batch_index, self.log_probs)
        near: NDArray[np.bool_] = self.log_probs >= (leaders - prune)[self.batch_index]
        return near


@dataclass(eq=False)
class _Active:
    """The B sentences that are still searched."""

    sentences: list[_Sentence]
    numbers: Ints  # (B,) among the sources
    limits: Ints  # (B,) maximum lengths
    free_slots: Ints  # (B,) how many hypotheses may go on
    bounds: Floats  # (B,) log-probability that a hypothesis must exceed
    dead_ends: NDArray[np.bool_]  # (B, C) leading bytes that no candidate can continue

    @classmethod
    def all(cls, sentences: list[_Sentence], beam_size: int) -> "_Active":
        """Return all sentences, before the first step."""
        size = len(sentences)
        return cls(
            sentences,
            np.arange(size),
            np.array([sentence.limit for sentence in sentences]),
            np.full(size, beam_size),
            np.full(size, _NEVER),
            np.zeros((size, 0), np.bool_),
        )

    def select(self, remaining: Ints) -> "_Active":
        """Return the sentences with these indices."""
        return _Active(
            [self.sentences[b] for b in remaining],
            self.numbers[remaining],
            self.limits[remaining],
            self.free_slots[remaining],
            self.bounds[remaining],
            self.dead_ends[remaining],
        )

    def can_win(self, extended: _Extensions) -> NDArray[np.bool_]:
        """Return (N,) whether each extension may still become one of the best of its sentence."""
        within: NDArray[np.bool_] = extended.log_probs > self.bounds[extended.batch_index]
        return within

    def finish(self, extended: _Extensions, rows: Sequence[int], length: int) -> None:
        """Add the extensions by EOS in these rows; each takes a slot of its sentence."""
        for row in rows:
            b = int(extended.batch_index[row])
            sentence = self.sentences[b]
            log_prob, parent = float(extended.log_probs[row]), int(extended.parents[row])
            sentence.finish(_Finished(length, log_prob, parent))
            # A hypothesis under a repetition rule may be far behind, so it takes no slot.
            self.free_slots[b] -= sentence.rule is None
            self.bounds[b] = sentence.bound()


class _Restrictions:
    """Rules out the tokens that may not come next."""

    def __init__(self, byte_rule: ByteRule, forbidden: Sequence[int]) -> None:
        size = max(UNK_ID + 2, max(forbidden, default=0) + 2, byte_rule.size)
        self._never = ~byte_rule.allowed(BETWEEN, np.arange(size))  # the last: all higher ids
        self._never[[PAD_ID, BOS_ID, UNK_ID, *forbidden]] = True
        self._never[EOS_ID] = False
        self._byte_rule = byte_rule

    def apply(
        self,
        step: Step[S],
        active: _Active,
        live: _Live,
        length: int,
        history: "Sequence[_Backpointers]",
    ) -> None:
        """Rule them out in the log-probabilities of the step that adds token number `length`."""
        log_probs, batch_index, states = step.log_probs, live.batch_index, live.states
        within = log_probs[np.flatnonzero(states)]
        _rule_out(step, self._never)
        if active.dead_ends.any():
            log_probs[active.dead_ends[batch_index, : log_probs.shape[1]]] = _NEVER
        no_room = np.flatnonzero((active.limits < length + LONGEST)[batch_index])
        if len(no_room):
            _rule_out_beginnings(step, self._byte_rule, no_room)
        if len(within):
            _go_on_with_characters(step, self._byte_rule, states, within)
        if any(sentence.rule for sentence in active.sentences):
            so_far = _read_back(history, len(batch_index))
            for row, b in enumerate(batch_index.tolist()):
                rule = active.sentences[b].rule
                if rule and active.limits[b] > length and states[row] == BETWEEN:
                    _rule_out_repetition(step, row, rule.closed(so_far[row]))
        at_limit = (active.limits <= length)[batch_index]
        log_probs[at_limit, :EOS_ID] = _NEVER
        log_probs[at_limit, EOS_ID + 1 :] = _NEVER


def _read_back(history: Sequence[_Backpointers], number: int) -> list[list[int]]:
    """Read the ids of all live hypotheses back, so many, from their rows to the first step."""
    ids = np.empty((number, len(history)), np.int64)  # (N, T)
    rows = np.arange(number)
    for t in reversed(range(len(history))):
        ids[:, t] = history[t].tokens[rows]
        rows = history[t].parents[rows]
    so_far: list[list[int]] = ids.tolist()
    return so_far


def _rule_out_repetition(step: Step[S], row: int, closed: NDArray[np.bool_]) -> None:
    """Rule out the `closed` ids in one row; the last element stands for all higher ids."""
    ids = np.arange(step.log_probs.shape[1]) if step.candidates is None else step.candidates[row]
    step.log_probs[row, closed.take(ids, mode="clip")] = _NEVER


def _outcomes(
    number: int, ended: NDArray[np.bool_], on: NDArray[np.bool_], can_win: NDArray[np.bool_]
) -> list[Outcome]:
    """Return what became of `number` extensions, of which the first (N',) have a slot each."""
    within = np.select([ended, on, can_win], ["finished", "kept", "pruned"], "beaten")
    return [*within.tolist(), *["outside"] * (number - len(within))]


def _rule_out(step: Step[S], never: NDArray[np.bool_]) -> None:
    """Rule out the ids of `never`; its last element stands for all higher ids."""
    if step.candidates is None:
        step.log_probs[:, np.flatnonzero(never)] = _NEVER
    else:
        step.log_probs[never.take(step.candidates, mode="clip")] = _NEVER


def _rule_out_beginnings(step: Step[S], byte_rule: ByteRule, rows: Ints) -> None:
    """Rule out, in these rows, bytes that begin a multi-byte character."""
    ids = np.arange(step.log_probs.shape[1]) if step.candidates is None else step.candidates[rows]
    step.log_probs[rows] = np.where(byte_rule.begins(ids), _NEVER, step.log_probs[rows])


def _go_on_with_characters(
    step: Step[S], byte_rule: ByteRule, states: Ints, before: NDArray[np.float32]
) -> None:
    """Rule out all but the next byte in the rows that are within a character, by `states` (N,).

    `before` (N', C) are the log-probabilities of these rows before anything was ruled out.
    """
    for row, log_probs in zip(np.flatnonzero(states).tolist(), before, strict=True):
        ids = np.arange(len(log_probs)) if step.candidates is None else step.candidates[row]
        step.log_probs[row] = np.where(byte_rule.allowed(states[row], ids), log_probs, _NEVER)


def _best_extensions(live: _Live, step: Step[S], free_slots: Ints) -> _Extensions:
    """Return the best one-token extensions of N hypotheses, grouped by sentence, best first.

    Each sentence gets up to `free_slots` (B,), or fewer if fewer have a probability above 0.
    The log-probabilities of `step` are overwritten.
    """
    width = int(free_slots.max())
    values, columns = _largest(step.log_probs, width)  # (N, W): no parent can win more slots
    totals = live.log_probs[:, None] + values  # (N, W), in float64
    slots, numbers = grid(live.batch_index, len(free_slots))  # (B, K), (N,)
    by_sentence = np.full((*slots.shape, values.shape[1]), _NEVER)
    by_sentence[live.batch_index, numbers] = totals
    by_sentence = by_sentence.reshape(len(free_slots), -1)  # (B, K * W)

    winners = np.argsort(-by_sentence, axis=1, kind="stable")[:, :width]  # (B, W')
    best = by_sentence[np.arange(len(free_slots))[:, None], winners]
    wins = (best > _NEVER) & (np.arange(winners.shape[1]) < free_slots[:, None])
    batch_index, _ = np.nonzero(wins)  # (N',)
    number, column = np.divmod(winners[wins], values.shape[1])
    parents = slots[batch_index, number]
    tokens = columns[parents, column]
    if step.candidates is not None:
        tokens = step.candidates[parents, tokens]
    return _Extensions(batch_index, best[wins], parents, tokens)


def _largest(array: NDArray[np.float32], number: int) -> tuple[NDArray[np.float32], Ints]:
    """Return the `number` largest values of each row and their columns: (N, C) -> each (N, number).

    `array` is overwritten: taking the maximum and striking it out, `number` times over, is much
    faster than `np.argpartition` for the few values that a beam needs, and takes the first of
    equal ones.
    """
    rows = np.arange(len(array))
    number = min(number, array.shape[1])
    values = np.empty((len(array), number), array.dtype)
    columns = np.empty(values.shape, np.int64)
    for i in range(number):
        columns[:, i] = best = array.argmax(axis=1)
        values[:, i] = array[rows, best]
        array[rows, best] = _NEVER
    return values, columns


def pad_sources(sources: Sequence[Sequence[int]]) -> tuple[Ints, Ints]:
    """Stack ids into an array (B, S) padded with PAD_ID; return it with their lengths (B,)."""
    lengths = np.array([len(source) for source in sources], np.int64)
    padded = np.full((len(sources), int(lengths.max())), PAD_ID)
    for row, source in zip(padded, sources, strict=True):
        row[: len(source)] = source
    return padded, lengths
