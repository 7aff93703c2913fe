"""Beam search: the K most promising hypotheses of each sentence grow by one token a step.

A sentence has K slots. At each step all extensions of its live hypotheses compete for them. An
extension by EOS is a finished hypothesis: it keeps its slot, and the beam of that sentence is one
narrower from then on. So a sentence ends with at most K finished hypotheses, and with K = 1 the
search is greedy.

Finished hypotheses are compared by score: the natural log-probability, EOS included, over the
length penalty of Wu et al. (2016), eq. 14; the length counts EOS too. A hypothesis that reaches the
longest length allowed can only be extended by EOS there, so its score is as honest as any other.

Stop rule: a hypothesis that cannot beat the worst of its sentence's `n_best` best finished ones is
dropped, and a sentence without live hypotheses is done. A log-probability only falls and the
penalty only rises with the length, so a hypothesis can come to no more than
log_prob / penalty(longest length); whatever is less likely than a dropped hypothesis could not win
either. So nothing that could win is lost, and work is saved.

Pruning, an option, goes further and can change the result: a hypothesis is dropped that is less
likely by `prune` nats than the best one of its sentence and length (Freitag & Al-Onaizan 2017,
relative threshold).

Equals are ordered by parent, then by id, the lower one first, so a search can be repeated exactly.
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
    score: float  # log_prob over the length penalty
    log_prob: float  # natural log, EOS included
    attention: NDArray[np.float32]  # (T, S), a row for each of `ids`


Outcome = Literal["kept", "finished", "beaten", "pruned", "outside"]
"""What became of an extension. Kept: it goes on. Finished: it ends with EOS, among the best so far.
Beaten: it cannot be one of the n best any more. Pruned: too far behind the best of its length.
Outside: the beam has no slot for it.
"""


class Trace(Protocol):
    """An observer of the search of one source."""

    runners_up: int  # how many extensions outside of the beam to record at each step

    def record(
        self, log_probs: Floats, parents: Ints, tokens: Ints, outcomes: Sequence[Outcome]
    ) -> None:
        """Take the N extensions of a step, best first, each (N,).

        `parents` are numbers of the extensions that were kept in the step before, counted from 0;
        at the first step all are 0, which is BOS. `log_probs` are those of the whole hypotheses.
        """
        ...


class Chooser(Protocol):
    """Chooses the next token of each hypothesis in place of the search."""

    def leave_one(self, numbers: Ints, length: int, log_probs: NDArray[np.float32]) -> None:
        """Rule out all but one token in each row of log_probs (N, C), which is written into.

        The rows are of the sources with the `numbers` (N,), and get their token number `length`.
        """
        ...


def length_penalty(length: int, alpha: float) -> float:
    """Return the divisor of the log-probability of `length` tokens: ((5 + length) / 6) ** alpha.

    See Wu et al. 2016, equation 14. Another divisor must not fall as length grows, either: the
    search stops when no hypothesis could win even with the divisor of the greatest length.
    """
    return float(((5 + length) / 6) ** alpha)


def longest_length(source_length: int, config: SearchConfig) -> int:
    """Return the longest length of a translation of a source, EOS counted."""
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

    There are fewer where the model gives fewer a probability above 0, or pruning leaves fewer.
    PAD, BOS, UNK and the `forbidden` ids are never generated, and bytes only as `byte_rule` allows.
    A source with a repetition rule has hypotheses within it, as many as the beam, which does not
    narrow; then it goes on only for what may be the best. A `trace` changes nothing; it is for a
    single source. With a `chooser` there is a single hypothesis of each source, of its tokens.
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
        # Ask for the log-probabilities of the next tokens, and rule out what may not come.
        step = engine.decode_step(state, live.tokens)
        if length == 1 and step.candidates is not None:
            active.dead_ends = byte_rule.dead_ends(step.candidates)
        restrictions.apply(step, active, live, length, history)
        if chooser is not None:
            chooser.leave_one(active.numbers[live.batch_index], length, step.log_probs)
        if trace is not None:
            copied = replace(step, log_probs=step.log_probs.copy())
            recorded = _best_extensions(live, copied, active.free_slots + trace.runners_up)

        # Extend: the best extensions of each sentence, as many as it has free slots.
        extended = _best_extensions(live, step, active.free_slots)  # N'

        # Finish: extensions by EOS leave, and take a slot where they may be among the best.
        is_end = extended.tokens == EOS_ID
        ended = is_end & active.can_win(extended)
        active.finish(extended, np.flatnonzero(ended).tolist(), length)

        # Go on: with the hypotheses that may still come among the best.
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

    # The last step's attention belongs to EOS alone and is not needed.
    return [sentence.results(history) for sentence in sentences]


@dataclass(frozen=True)
class _Finished:
    """A finished hypothesis: where in the history it ends."""

    length: int  # tokens, EOS counted
    log_prob: float
    parent: int  # the row that EOS was added to


@dataclass
class _Sentence:
    """The finished hypotheses of one source, best first, and when to stop looking for more."""

    source_length: int
    config: SearchConfig
    n_best: int
    rule: RepetitionRule | None = None
    finished: list[_Finished] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limit = longest_length(self.source_length, self.config)
        self._penalty_at_limit = length_penalty(self.limit, self.config.length_penalty)

    def finish(self, ending: _Finished) -> None:
        """Add a finished hypothesis; among equals the earlier one stays first."""
        self.finished.append(ending)
        self.finished.sort(key=self._score, reverse=True)

    def bound(self) -> float:
        """Return the log-probability that a live hypothesis must exceed to be one of the n best."""
        if len(self.finished) < self.n_best:
            return _NEVER
        to_beat = 0 if self.rule else self.n_best - 1  # with a rule there is enough to choose from
        return self._score(self.finished[to_beat]) * self._penalty_at_limit

    def results(self, history: "Sequence[_Backpointers]") -> list[Hypothesis]:
        """Return the n best hypotheses, their ids and attention read back from the history."""
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
    """One step of the search: from which row before each of its N rows came.

    A hypothesis is not copied as it grows. Its ids are read back at the end, from row to parent.
    """

    tokens: Ints  # (N,)
    parents: Ints  # (N,)
    attention: NDArray[np.float32]  # (N, S)


@dataclass(frozen=True, eq=False)
class _Live:
    """The N hypotheses that go on, by sentence."""

    batch_index: Ints  # (N,) whose hypothesis each is, ascending
    log_probs: Floats  # (N,)
    tokens: Ints  # (N,) the newest of each
    states: Ints  # (N,) of the byte rule

    @classmethod
    def start(cls, size: int) -> "_Live":
        """Return those that have said nothing yet, one for each sentence."""
        return cls(np.arange(size), np.zeros(size), np.full(size, BOS_ID), np.full(size, BETWEEN))


@dataclass(frozen=True, eq=False)
class _Extensions:
    """N hypotheses with one more token, by sentence, best first."""

    batch_index: Ints  # (N,)
    log_probs: Floats  # (N,)
    parents: Ints  # (N,) the rows that they extend
    tokens: Ints  # (N,)

    def near_the_best(self, prune: float) -> NDArray[np.bool_]:
        """(N,) whether it is within `prune` nats of the best one of its sentence."""
        leaders = np.full(int(self.batch_index.max(initial=0)) + 1, _NEVER)
        np.maximum.at(leaders, self.batch_index, self.log_probs)
        near: NDArray[np.bool_] = self.log_probs >= (leaders - prune)[self.batch_index]
        return near


@dataclass(eq=False)
class _Active:
    """The B sentences that are not done."""

    sentences: list[_Sentence]
    numbers: Ints  # (B,) among the sources
    limits: Ints  # (B,) the longest lengths
    free_slots: Ints  # (B,) how many hypotheses may go on
    bounds: Floats  # (B,) what a log-probability must exceed
    dead_ends: NDArray[np.bool_]  # (B, C) bytes that none could follow

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
        """Return the sentences of these places."""
        return _Active(
            [self.sentences[b] for b in remaining],
            self.numbers[remaining],
            self.limits[remaining],
            self.free_slots[remaining],
            self.bounds[remaining],
            self.dead_ends[remaining],
        )

    def can_win(self, extended: _Extensions) -> NDArray[np.bool_]:
        """(N,) whether an extension may still come among the best of its sentence."""
        within: NDArray[np.bool_] = extended.log_probs > self.bounds[extended.batch_index]
        return within

    def finish(self, extended: _Extensions, rows: Sequence[int], length: int) -> None:
        """Take extensions by EOS, by their rows: each takes a slot of its sentence."""
        for row in rows:
            b = int(extended.batch_index[row])
            sentence = self.sentences[b]
            log_prob, parent = float(extended.log_probs[row]), int(extended.parents[row])
            sentence.finish(_Finished(length, log_prob, parent))
            # What a repetition rule leaves may be far behind: it takes no slot.
            self.free_slots[b] -= sentence.rule is None
            self.bounds[b] = sentence.bound()


class _Restrictions:
    """What may not come next."""

    def __init__(self, byte_rule: ByteRule, forbidden: Sequence[int]) -> None:
        size = max(UNK_ID + 2, max(forbidden, default=0) + 2, byte_rule.size)
        self._never = ~byte_rule.allowed(BETWEEN, np.arange(size))  # the last is for all others
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
        """Rule it out, in the log-probabilities of a step to `length` tokens."""
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
            for row, b in enumerate(batch_index.tolist()):
                rule = active.sentences[b].rule
                if rule and active.limits[b] > length and states[row] == BETWEEN:
                    _rule_out_repetition(step, row, rule.closed(_read_back(history, row)))
        at_limit = (active.limits <= length)[batch_index]
        log_probs[at_limit, :EOS_ID] = _NEVER
        log_probs[at_limit, EOS_ID + 1 :] = _NEVER


def _read_back(history: Sequence[_Backpointers], row: int) -> list[int]:
    """Read the ids of a live hypothesis back, from its row to the first step."""
    ids: list[int] = []
    for pointers in reversed(history):
        ids.append(int(pointers.tokens[row]))
        row = pointers.parents[row]
    return ids[::-1]


def _rule_out_repetition(step: Step[S], row: int, closed: NDArray[np.bool_]) -> None:
    """Rule out the `closed` ids in one row; its last element stands for all higher ids."""
    ids = np.arange(step.log_probs.shape[1]) if step.candidates is None else step.candidates[row]
    step.log_probs[row, closed.take(ids, mode="clip")] = _NEVER


def _outcomes(
    number: int, ended: NDArray[np.bool_], on: NDArray[np.bool_], can_win: NDArray[np.bool_]
) -> list[Outcome]:
    """Tell what became of `number` extensions, of which the first (N',) have a slot each."""
    within = np.select([ended, on, can_win], ["finished", "kept", "pruned"], "beaten")
    return [*within.tolist(), *["outside"] * (number - len(within))]


def _rule_out(step: Step[S], never: NDArray[np.bool_]) -> None:
    """Rule out the ids of `never`; its last element stands for all higher ids."""
    if step.candidates is None:
        step.log_probs[:, np.flatnonzero(never)] = _NEVER
    else:
        step.log_probs[never.take(step.candidates, mode="clip")] = _NEVER


def _rule_out_beginnings(step: Step[S], byte_rule: ByteRule, rows: Ints) -> None:
    """Rule out, in these rows, the beginnings of characters of several bytes."""
    ids = np.arange(step.log_probs.shape[1]) if step.candidates is None else step.candidates[rows]
    step.log_probs[rows] = np.where(byte_rule.begins(ids), _NEVER, step.log_probs[rows])


def _go_on_with_characters(
    step: Step[S], byte_rule: ByteRule, states: Ints, before: NDArray[np.float32]
) -> None:
    """Rule out, within a character by the `states` (N,), all but its next byte.

    `before` (N', C) are the log-probabilities of these rows before any was ruled out.
    """
    for row, log_probs in zip(np.flatnonzero(states).tolist(), before, strict=True):
        ids = np.arange(len(log_probs)) if step.candidates is None else step.candidates[row]
        step.log_probs[row] = np.where(byte_rule.allowed(states[row], ids), log_probs, _NEVER)


def _best_extensions(live: _Live, step: Step[S], free_slots: Ints) -> _Extensions:
    """Return the best one-token extensions of N hypotheses, by sentence, best first.

    Each sentence gets as many as it has `free_slots` (B,), or fewer where the model gives fewer a
    probability. The log-probabilities of `step` are used up.
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
    """Return the `number` largest of each row and their columns: (N, C) -> each (N, number).

    `array` is used up.
    Taking the maximum and striking it out, `number` times over, is much faster than
    `np.argpartition` for the few that a beam needs, and unlike it takes the first among equals.
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
    """Put ids side by side, (B, S) padded with PAD_ID; return them and their lengths (B,)."""
    lengths = np.array([len(source) for source in sources], np.int64)
    padded = np.full((len(sources), int(lengths.max())), PAD_ID)
    for row, source in zip(padded, sources, strict=True):
        row[: len(source)] = source
    return padded, lengths
