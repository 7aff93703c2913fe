"""Beam search under constraints: what must be said, and what must not be said again.

Phrases that a translation has to contain are met by dynamic beam allocation (Post & Vilar 2018):
besides the best extensions of all, each hypothesis is extended by the next id of every phrase that
is open to it, and the places of the beam are shared out among hypotheses that have met equally many
ids. So a hypothesis that begins a phrase need not at once compete with those that do not. EOS is
open to none but those that have met all. As the longest length comes near, only what is still
missing is open: every search ends with all constraints met. Of phrases that are alternatives, such
as the forms of a word, one has to be met (disjunctive constraints, Li et al. 2020, "Guided
generation of cause and effect"), and the model says which.

A translation may also have to begin with given ids, its prefix: then nothing else is open until all
of them are said, and what they cost counts in the score.

It is for the few sentences that need it: one hypothesis is one object, and a step takes about twice
as long as in `seq2seq.search.beam`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, count, zip_longest
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from seq2seq.config.model_config import SearchConfig
from seq2seq.errors import Seq2SeqError
from seq2seq.search.beam import Hypothesis, length_penalty, longest_length, pad_sources
from seq2seq.search.engine_protocol import Engine, Ints, S, Step
from seq2seq.search.repetition import RepetitionRule, allowed_repeats, closes_loop
from seq2seq.search.utf8 import BETWEEN, LONGEST, NO_BYTES, ByteRule
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

_NEVER = -np.inf
_WIDEST = 16  # the beam of a sentence, unless a wider one is asked for
_LEAST_SHARE = 1e-9  # what has to be said can be said


class Phrase(NamedTuple):
    """Ids that must come up in a row, in place of the source ids at `positions`."""

    ids: tuple[int, ...]
    positions: tuple[int, ...] = ()
    ends_word: bool = False  # what goes on with a word may not follow
    firm: int = 1  # once it has so many ids, it is not broken off
    begins_word: bool = False  # a word that is not whole may not precede
    group: int | None = None  # phrases of a group are alternatives: one of them comes up


@dataclass(frozen=True)
class Constraints:
    """What a translation must contain: the prefix, then each phrase once, in any order.

    Of a group of phrases it contains one.
    """

    phrases: tuple[Phrase, ...] = ()
    repetition_rule: RepetitionRule | None = None  # without it, twice in a row is right
    prefix: tuple[int, ...] = ()  # ids that it begins with

    @property
    def size(self) -> int:
        """The most ids that its phrases take."""
        return _most_ids(self.phrases)

    @property
    def ids(self) -> list[int]:
        """The ids of the prefix and of all phrases."""
        return [*self.prefix, *(id_ for phrase in self.phrases for id_ in phrase.ids)]


def constrained_search(
    engine: Engine[S],
    sources: Sequence[Sequence[int]],
    constraints: Sequence[Constraints],
    config: SearchConfig,
    n_best: int = 1,
    forbidden: Sequence[int] = (),
    continuing: Sequence[int] = (),
    byte_rule: ByteRule = NO_BYTES,
) -> list[list[Hypothesis]]:
    """Return the `n_best` best translations of each source that meet its constraints.

    The `forbidden` ids come up in phrases alone, and as often as there. `continuing` are those that
    go on with a word. Bytes come as `byte_rule` allows. Nothing is said in a row more often than in
    the source, or twice where constraints have no repetition rule; with one there are as
    many as the beam has.
    """
    if not sources:
        return []
    size = max([UNK_ID, *forbidden, *continuing]) + 1
    rules = _Rules(
        _mask([PAD_ID, BOS_ID, UNK_ID, *forbidden], size),
        _mask(continuing, size),
        byte_rule,
        config,
    )
    sentences = [
        _Sentence(ids, needed, rules, config.beam_size if needed.repetition_rule else n_best)
        for ids, needed in zip(sources, constraints, strict=True)
    ]
    forced = [needed.ids for needed in constraints]
    active = sentences
    state = engine.encode(*pad_sources(sources), pad_sources(forced)[0])
    tokens: Ints = np.full(len(active), BOS_ID)
    for length in count(1):
        step = engine.decode_step(state, tokens)
        first = 0
        for sentence in active:
            rows = len(sentence.live)
            sentence.extend(step, first, length)
            first += rows
        active = [sentence for sentence in active if sentence.live]
        if not active:
            break
        grown = [hypothesis for sentence in active for hypothesis in sentence.live]
        tokens = np.array([hypothesis.ids[-1] for hypothesis in grown])
        state = step.state.select(np.array([hypothesis.row for hypothesis in grown]))
    return [sentence.results() for sentence in sentences]


@dataclass(frozen=True)
class _Rules:
    """What holds for all sentences."""

    never: NDArray[np.bool_]
    continuing: NDArray[np.bool_]
    byte_rule: ByteRule
    config: SearchConfig


@dataclass(frozen=True)
class _Progress:
    """How far the phrases of a sentence are met."""

    phrases: tuple[Phrase, ...]
    waiting: tuple[int, ...]  # the numbers of those that are not met
    begun: tuple[int, ...] = ()  # of those that the last ids are the beginning of
    place: int = 0  # in these
    is_longer: bool = False  # the last ids are also a whole phrase, and `begun` go on with it

    @cached_property
    def missing(self) -> int:
        """The number of ids, at most."""
        return _most_ids([self.phrases[i] for i in self.waiting]) - self.place

    @cached_property
    def open(self) -> dict[int, list[int]]:
        """The ids that would begin or go on with phrases, each with the numbers of these."""
        ids: dict[int, list[int]] = {}
        for number in self.begun or self.waiting:
            ids.setdefault(self.phrases[number].ids[self.place], []).append(number)
        return ids

    def after(self, id_: int) -> Iterator[Self]:
        """Yield the progress after `id_`; a phrase that is broken off has to begin again.

        Where it ends a phrase, another one of the group may go on: those are two.
        """
        numbers = self.open.get(id_)
        if numbers is None:
            broken_off = replace(self, begun=(), place=0, is_longer=False)
            yield from broken_off.after(id_) if self.begun else [self]
            return
        place = self.place + 1
        met = [i for i in numbers if place == len(self.phrases[i].ids)]
        if not met:
            yield replace(self, begun=tuple(numbers), place=place, is_longer=False)
            return
        group = self.phrases[met[0]].group
        alternatives = [i for i in self.waiting if self._is_in(i, group)] or met[:1]
        waiting = tuple(i for i in self.waiting if i not in alternatives)
        yield replace(self, waiting=waiting, begun=(), place=0, is_longer=False)
        longer = tuple(i for i in numbers if i not in met and self._is_in(i, group))
        if longer:
            yield replace(self, begun=longer, place=place, is_longer=True)

    def rivals(self, id_: int) -> list[int]:
        """Return the open ids of which a group needs only one, `id_` among them."""
        groups = {self.phrases[i].group for i in self.open[id_]} - {None}
        return [
            other
            for other, numbers in self.open.items()
            if other == id_ or any(self.phrases[i].group in groups for i in numbers)
        ]

    def _is_in(self, number: int, group: int | None) -> bool:
        return group is not None and self.phrases[number].group == group

    @property
    def is_firm(self) -> bool:
        """Whether nothing may come but the rest of a phrase."""
        return any(self.place >= self.phrases[number].firm for number in self.begun)

    def share(
        self, numbers: Sequence[int], attention: NDArray[np.float32], whole_word: float
    ) -> float:
        """Return how likely it is that one of the phrases `numbers` is what is said next.

        At least the attention to what they stand for, as if the model copied it (Gu et al. 2016),
        where the word before is whole, as it is with the probability `whole_word`; and once a
        phrase is firm, the rest follows. Of what stands for nothing in the source the model alone
        says how likely it is, and so it does where a phrase might have ended.
        """
        if self.is_longer:
            return 0.0
        copied = [self.phrases[i] for i in numbers if self.phrases[i].positions]
        if copied and self.is_firm and self.begun == tuple(numbers):
            return 1.0
        shares = (
            float(attention[[*phrase.positions]].sum())
            * (whole_word if phrase.begins_word and not self.begun else 1.0)
            for phrase in copied
        )
        return max(shares, default=0.0)


@dataclass(frozen=True, eq=False)
class _Live:
    """A hypothesis that goes on."""

    ids: tuple[int, ...]
    log_prob: float
    attention: tuple[NDArray[np.float32], ...]  # a row for each of `ids`, each (S,)
    progress: _Progress
    row: int = 0  # in the step that it was extended in
    ends_word: bool = False  # with a phrase that says so
    state: int = BETWEEN  # of the byte rule


class _Sentence:
    """The hypotheses of one source."""

    def __init__(
        self, source: Sequence[int], constraints: Constraints, rules: _Rules, n_best: int
    ) -> None:
        self._rules, self._n_best = rules, n_best
        self._source_length = len(source)
        self._prefix = constraints.prefix
        longest = longest_length(len(source), rules.config)
        self._limit = longest + constraints.size + len(constraints.prefix)
        self._repetition_rule = constraints.repetition_rule
        self._allowed = allowed_repeats(source)
        # A place at least for each number of ids met.
        self._width = max(rules.config.beam_size, min(constraints.size + 2, _WIDEST))
        phrases = constraints.phrases
        start = _Progress(phrases, tuple(range(len(phrases))))
        self.live = [_Live((), 0.0, (), start)]
        self._finished: list[Hypothesis] = []
        self._columns: Ints = np.empty(0, np.int64)  # (C,) the candidates, ascending
        self._closed = self._continuing = np.empty(0, np.bool_)  # (C,) which may not come
        self._beginning = self._closed  # (C,) which begin a character of several bytes

    def extend(self, step: Step[S], first: int, length: int) -> None:
        """Take a step to `length` tokens; the rows of this sentence begin at `first`."""
        extensions: list[_Extension] = []
        if not len(self._columns):
            candidates = None if step.candidates is None else step.candidates[first]
            self._look(candidates, step.log_probs.shape[1])
        bound = self._bound()
        for row, hypothesis in enumerate(self.live, first):
            attention = step.attention[row, : self._source_length]
            log_probs = step.log_probs[row]
            extensions += self._extensions(hypothesis, row, log_probs, attention, length, bound)
        extensions.sort(key=lambda extension: (-extension.log_prob, extension.row, extension.id))
        chosen = self._allocate(extensions)
        parents = self.live
        self.live = []
        for extension in chosen:
            parent = parents[extension.row - first]
            if extension.id == EOS_ID:
                self._finish(parent, extension.log_prob)
            else:
                attention = step.attention[extension.row, : self._source_length]
                self.live.append(self._grown(parent, extension, attention))

    def results(self) -> list[Hypothesis]:
        """Return the best finished hypotheses."""
        if not self._finished:
            raise Seq2SeqError(
                "the model gives no translation a probability: its weights are broken (not a "
                "number, or infinite); use another checkpoint."
            )
        return self._finished[: self._n_best]

    def _extensions(
        self,
        hypothesis: _Live,
        row: int,
        log_probs: NDArray[np.float32],
        attention: NDArray[np.float32],
        length: int,
        bound: float,
    ) -> "list[_Extension]":
        """Return the best extensions of a hypothesis, and those that meet a constraint."""
        if length <= len(self._prefix):
            return [self._next_of_prefix(hypothesis, row, log_probs, length)]
        total = log_probs[: len(self._columns)].astype(np.float64)  # (C,)
        progress = hypothesis.progress
        whole_word = 1.0
        if progress.open:
            whole_word -= float(np.exp(total[self._continuing]).sum())
        own = {id_: int(np.searchsorted(self._columns, id_)) for id_ in progress.open}
        shares: dict[int, float] = {}
        for id_, numbers in progress.open.items():
            share = progress.share(numbers, attention, whole_word)
            rivals = [own[rival] for rival in progress.rivals(id_)]
            if len(rivals) > 1:  # the model says which one
                preferred = np.exp(total[own[id_]] - np.logaddexp.reduce(total[rivals]))
                share *= float(preferred)
            shares[own[id_]] = share
        meets = [*shares]
        for column, share in shares.items():
            total[column] = max(total[column], np.log(min(max(share, _LEAST_SHARE), 1.0)))
        total += hypothesis.log_prob
        closed = self._closed.copy()
        if hypothesis.ends_word:
            closed |= self._continuing
        if self._repetition_rule:
            closed |= self._repetition_rule.closed(hypothesis.ids).take(self._columns, mode="clip")
        else:
            closed[self._places(closes_loop(hypothesis.ids, self._allowed))] = True
        if self._limit - length < progress.missing + progress.place + LONGEST:
            closed |= self._beginning
        if hypothesis.state != BETWEEN:
            closed = ~self._rules.byte_rule.allowed(hypothesis.state, self._columns)
            meets = [column for column in meets if not closed[column]]
        if progress.is_firm:
            closed[:] = True
        elif progress.missing:
            closed[EOS_ID] = True
        elif length >= self._limit and hypothesis.state == BETWEEN:
            closed[:] = True
            closed[EOS_ID] = False
        closed[meets] = False
        total[closed] = _NEVER
        beam_size = self._rules.config.beam_size
        best = np.argpartition(-total, min(beam_size, len(total) - 1))[:beam_size]
        room = self._limit - length  # for what is still missing, and EOS
        extensions: list[_Extension] = []
        for column in {*best.tolist(), *meets}:
            log_prob = float(total[column])
            if not log_prob > bound:  # nor is NaN
                continue
            id_ = int(self._columns[column])
            is_step = progress.begun or id_ in progress.open
            for after in progress.after(id_) if is_step else [progress]:
                if id_ == EOS_ID or after.missing < room:
                    extensions.append(_Extension(log_prob, row, id_, after))
        return extensions

    def _next_of_prefix(
        self, hypothesis: _Live, row: int, log_probs: NDArray[np.float32], length: int
    ) -> "_Extension":
        id_ = self._prefix[length - 1]
        log_prob = hypothesis.log_prob + float(log_probs[np.searchsorted(self._columns, id_)])
        return _Extension(log_prob, row, id_, next(hypothesis.progress.after(id_)))

    def _look(self, candidates: Ints | None, size: int) -> None:
        """See which ids there are to choose from, the same in all steps."""
        if candidates is None:
            self._columns = np.arange(size)
        else:
            self._columns = candidates[: np.count_nonzero(candidates) + 1]  # PAD is the first
        byte_rule = self._rules.byte_rule
        self._beginning = byte_rule.begins(self._columns)
        self._closed = self._rules.never.take(self._columns, mode="clip")
        self._closed |= ~byte_rule.allowed(BETWEEN, self._columns)
        self._closed |= byte_rule.dead_ends(self._columns[None])[0]
        self._continuing = self._rules.continuing.take(self._columns, mode="clip")

    def _places(self, ids: Collection[int]) -> Ints:
        """Return where those of the `ids` are that are among the candidates."""
        wanted = np.array(sorted(ids), np.int64)
        places = np.minimum(np.searchsorted(self._columns, wanted), len(self._columns) - 1)
        found: Ints = places[self._columns[places] == wanted]
        return found

    def _grown(
        self, parent: _Live, extension: "_Extension", attention: NDArray[np.float32]
    ) -> _Live:
        met = {*parent.progress.waiting} - {*extension.progress.waiting}
        return _Live(
            (*parent.ids, extension.id),
            extension.log_prob,
            (*parent.attention, attention),
            extension.progress,
            extension.row,
            any(parent.progress.phrases[number].ends_word for number in met),
            int(self._rules.byte_rule.after(np.array(parent.state), np.array(extension.id))),
        )

    def _finish(self, hypothesis: _Live, log_prob: float) -> None:
        length = len(hypothesis.ids) + 1
        score = log_prob / length_penalty(length, self._rules.config.length_penalty)
        attention = np.array(hypothesis.attention, np.float32).reshape(
            len(hypothesis.ids), self._source_length
        )
        self._finished.append(Hypothesis(hypothesis.ids, score, log_prob, attention))
        self._finished.sort(key=lambda hypothesis: hypothesis.score, reverse=True)

    def _bound(self) -> float:
        """Return what a log-probability must exceed to go on; see `beam_search`."""
        if len(self._finished) < self._n_best:
            return _NEVER
        penalty = length_penalty(self._limit, self._rules.config.length_penalty)
        to_beat = 0 if self._repetition_rule else self._n_best - 1
        return self._finished[to_beat].score * penalty

    def _allocate(self, extensions: "Sequence[_Extension]") -> "list[_Extension]":
        """Choose in turn the best of those that miss fewest ids, of those that miss more..."""
        banks: defaultdict[int, list[_Extension]] = defaultdict(list)
        for extension in extensions:
            banks[extension.progress.missing].append(extension)
        turns = zip_longest(*(banks[missing] for missing in sorted(banks)))
        return [turn for turn in chain.from_iterable(turns) if turn][: self._width]


class _Extension(NamedTuple):
    """A hypothesis with one more id."""

    log_prob: float
    row: int
    id: int
    progress: _Progress


def _most_ids(phrases: Sequence[Phrase]) -> int:
    """Return the number of ids of the phrases, of each group that of the longest."""
    alone = sum(len(phrase.ids) for phrase in phrases if phrase.group is None)
    longest = dict[int, int]()
    for phrase in phrases:
        if phrase.group is not None:
            longest[phrase.group] = max(longest.get(phrase.group, 0), len(phrase.ids))
    return alone + sum(longest.values())


def _mask(ids: Sequence[int], size: int) -> NDArray[np.bool_]:
    """(size + 1,) whether each id is among `ids`; the last element stands for all others."""
    mask = np.zeros(size + 1, np.bool_)
    mask[list(ids)] = True
    return mask
