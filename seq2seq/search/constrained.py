"""Beam search under constraints: phrases that must be said, and repetitions that must not.

Dynamic beam allocation (Post & Vilar 2018) makes a translation contain given phrases. Besides its
best extensions, each hypothesis is extended by the next id of every phrase that is open to it. The
slots of the beam are divided among groups of hypotheses that have met equally many ids, so a
hypothesis that begins a phrase need not compete at once with those that do not. EOS is open only to
hypotheses that have met all constraints. Near the maximum length only missing ids are open, so
every search ends with all constraints met. Of alternative phrases, such as the forms of a word, one
has to be met (disjunctive constraints, Li et al. 2020, "Guided generation of cause and effect"),
and the model decides which.

A translation may also have to begin with given ids, its prefix. Until all of them are said, nothing
else is open; their log-probability counts in the score.

This search is for the few sentences that need it: each hypothesis is an object of its own, and a
step takes about twice as long as in `seq2seq.search.beam`.
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
_WIDEST = 16  # maximum beam of a sentence, unless a wider one is asked for
_LEAST_SHARE = 1e-9  # minimum probability of a constraint's next id


class Phrase(NamedTuple):
    """Ids that must come up in a row, as the translation of the source ids at `positions`."""

    ids: tuple[int, ...]
    positions: tuple[int, ...] = ()
    ends_word: bool = False  # no piece that continues a word may follow
    firm: int = 1  # once this many ids are said, the rest must follow
    begins_word: bool = False  # the word before it must be complete
    group: int | None = None  # phrases of one group are alternatives: only one comes up


@dataclass(frozen=True)
class Constraints:
    """What a translation must contain: the prefix first, then each phrase once, in any order.

    Of the phrases of a group it contains one.
    """

    phrases: tuple[Phrase, ...] = ()
    repetition_rule: RepetitionRule | None = None  # None: saying something twice in a row is fine
    prefix: tuple[int, ...] = ()  # ids that the translation begins with

    @property
    def size(self) -> int:
        """The largest number of ids that the phrases can take."""
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

    The `forbidden` ids come up only in phrases, and only as often as there. `continuing` are the
    ids that continue a word. Bytes come only as `byte_rule` allows. Nothing is said in a row more
    often than in the source, or than twice if the constraints have no repetition rule. With a
    repetition rule, as many translations are returned as the beam has.
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
    """What applies to all sentences."""

    never: NDArray[np.bool_]
    continuing: NDArray[np.bool_]
    byte_rule: ByteRule
    config: SearchConfig


@dataclass(frozen=True)
class _Progress:
    """Which phrases of a sentence are met, and how far those that are begun have come."""

    phrases: tuple[Phrase, ...]
    waiting: tuple[int, ...]  # numbers of the phrases that are not met
    begun: tuple[int, ...] = ()  # numbers of the phrases that the last ids are the beginning of
    place: int = 0  # how many ids of the begun phrases are said
    is_longer: bool = False  # the last ids are also a whole phrase, which `begun` would extend

    @cached_property
    def missing(self) -> int:
        """The largest number of ids that may still be needed."""
        return _most_ids([self.phrases[i] for i in self.waiting]) - self.place

    @cached_property
    def open(self) -> dict[int, list[int]]:
        """The ids that would begin or continue phrases, each with the numbers of these phrases."""
        ids: dict[int, list[int]] = {}
        for number in self.begun or self.waiting:
            ids.setdefault(self.phrases[number].ids[self.place], []).append(number)
        return ids

    def after(self, id_: int) -> Sequence[Self]:
        """Return the progress after `id_`; a phrase that is broken off has to begin again.

        There are two if `id_` completes a phrase and a longer one of its group may go on.
        """
        following = self._after_open.get(id_)
        if following:
            return following
        return self._broken_off.after(id_) if self.begun else [self]

    @cached_property
    def _after_open(self) -> dict[int, list[Self]]:
        """The progress after each of the open ids."""
        return {id_: [*self._went_on(numbers)] for id_, numbers in self.open.items()}

    @cached_property
    def _broken_off(self) -> Self:
        return replace(self, begun=(), place=0, is_longer=False)

    def _went_on(self, numbers: Sequence[int]) -> Iterator[Self]:
        """Yield the progress after the next id of the phrases `numbers`."""
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
        """Return the open ids of alternative phrases, of which only one is needed, with `id_`."""
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
        """Whether only the rest of a phrase may follow."""
        return any(self.place >= self.phrases[number].firm for number in self.begun)

    def share(
        self, numbers: Sequence[int], attention: NDArray[np.float32], whole_word: float
    ) -> float:
        """Return the least probability that one of the phrases `numbers` comes next.

        It is 1 if a firm phrase must go on. Otherwise it is the attention to the source positions
        of the phrase, as if the model copied them (Gu et al. 2016), times the probability
        `whole_word` that the word before is complete, if the phrase begins a word. It is 0, which
        leaves it to the model, for phrases without source positions, and if a phrase may have just
        ended.
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
    attention: tuple[NDArray[np.float32], ...]  # for each of `ids`, (S,)
    progress: _Progress
    row: int = 0  # of the step that extended it
    ends_word: bool = False  # its last id completed a phrase that ends a word
    state: int = BETWEEN  # in the byte rule


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
        # At least one slot for each number of ids that can be met.
        self._width = max(rules.config.beam_size, min(constraints.size + 2, _WIDEST))
        phrases = constraints.phrases
        start = _Progress(phrases, tuple(range(len(phrases))))
        self.live = [_Live((), 0.0, (), start)]
        self._finished: list[Hypothesis] = []
        self._ids = constraints.ids
        self._columns: Ints = np.empty(0, np.int64)  # (C,) the candidates, ascending
        self._own = dict[int, int]()  # the columns of the ids of phrases and prefix
        self._closed = self._continuing = np.empty(0, np.bool_)  # (C,) which are ruled out
        self._beginning = self._closed  # (C,) which begin a multi-byte character

    def extend(self, step: Step[S], first: int, length: int) -> None:
        """Take the step to token number `length`; this sentence's rows begin at `first`."""
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
        own = self._own
        shares: dict[int, float] = {}
        for id_, numbers in progress.open.items():
            share = progress.share(numbers, attention, whole_word)
            rivals = [own[rival] for rival in progress.rivals(id_)]
            if len(rivals) > 1:  # the model decides among alternatives
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
            if not log_prob > bound:  # also skips NaN
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
        log_prob = hypothesis.log_prob + float(log_probs[self._own[id_]])
        return _Extension(log_prob, row, id_, hypothesis.progress.after(id_)[0])

    def _look(self, candidates: Ints | None, size: int) -> None:
        """Set up the candidate ids and their properties, which are the same in all steps."""
        if candidates is None:
            self._columns = np.arange(size)
        else:
            self._columns = candidates[: np.count_nonzero(candidates) + 1]  # only PAD is 0
        own = np.searchsorted(self._columns, self._ids).tolist()
        self._own = dict(zip(self._ids, own, strict=True))
        byte_rule = self._rules.byte_rule
        self._beginning = byte_rule.begins(self._columns)
        self._closed = self._rules.never.take(self._columns, mode="clip")
        self._closed |= ~byte_rule.allowed(BETWEEN, self._columns)
        self._closed |= byte_rule.dead_ends(self._columns[None])[0]
        self._continuing = self._rules.continuing.take(self._columns, mode="clip")

    def _places(self, ids: Collection[int]) -> Ints:
        """Return the columns of those `ids` that are among the candidates."""
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
        """Return the log-probability that a hypothesis must exceed; see `beam_search`."""
        if len(self._finished) < self._n_best:
            return _NEVER
        penalty = length_penalty(self._limit, self._rules.config.length_penalty)
        to_beat = 0 if self._repetition_rule else self._n_best - 1
        return self._finished[to_beat].score * penalty

    def _allocate(self, extensions: "Sequence[_Extension]") -> "list[_Extension]":
        """Fill the beam in turns: the best extension per number of missing ids, fewest first."""
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
    """Return how many ids the phrases can take at most: of each group, only the longest counts."""
    alone = sum(len(phrase.ids) for phrase in phrases if phrase.group is None)
    longest = dict[int, int]()
    for phrase in phrases:
        if phrase.group is not None:
            longest[phrase.group] = max(longest.get(phrase.group, 0), len(phrase.ids))
    return alone + sum(longest.values())


def _mask(ids: Sequence[int], size: int) -> NDArray[np.bool_]:
    """Return (size + 1,) whether each id is in `ids`; the last element is for all higher ids."""
    mask = np.zeros(size + 1, np.bool_)
    mask[list(ids)] = True
    return mask
