"""The beam as a tree: what the search kept, what it dropped, and why.

This is the search that translates, `seq2seq.search.beam`, watched from outside: it is given an
engine that passes every call on to the real one and takes notes. Which hypotheses go on is what the
search did with the state, not worked out again here. Only the reasons for dropping the others are
told from the search's rules.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import Any, Generic, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from seq2seq.config.model_config import Direction, SearchConfig
from seq2seq.inspection.loading import InspectedModel
from seq2seq.inspection.numpy_model import Floats
from seq2seq.search.beam import beam_search, length_penalty, longest_length
from seq2seq.search.engine import Engine, Ints, S, Step
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer

Fate = Literal["kept", "finished", "beaten", "pruned", "outside"]
"""Kept: it goes on. Finished: EOS, among the best. Beaten: it cannot win any more. Pruned: too far
behind the best of its length. Outside: the beam has no place for it.
"""


@dataclass(frozen=True)
class Node:
    """A hypothesis: its parent's tokens and one more."""

    number: int  # from 0, in the order of steps, best first
    parent: int | None  # None: begins with BOS
    step: int  # tokens, from 1
    token: str
    log_prob: float  # of the token, natural logarithm
    total: float  # of the hypothesis
    fate: Fate
    score: float | None  # of a finished one: total / length penalty
    best: bool  # on the way to the translation


@dataclass(frozen=True)
class SearchTree:
    """All that the search kept, and the best of what it dropped at each step."""

    source: tuple[str, ...]
    translation: str
    score: float
    beam_size: int
    nodes: tuple[Node, ...]

    def children(self, number: int | None) -> list[Node]:
        """What grew out of a node, or out of BOS (None), best first."""
        return [node for node in self.nodes if node.parent == number]

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "source": list(self.source),
            "translation": self.translation,
            "score": self.score,
            "beam_size": self.beam_size,
            "nodes": [vars(node) for node in self.nodes],
        }


def search_tree(
    model: InspectedModel,
    sentence: str,
    direction: Direction,
    *,
    dropped: int = 3,
    search: SearchConfig | None = None,
) -> SearchTree:
    """The search as `model` translates `sentence`, with up to `dropped` others at each step."""
    search = search or model.search
    ids = model.read(sentence, direction)
    watched = WatchedEngine(model.engine)
    engine: Engine[_WatchedState[Any]] = watched
    [[best]] = beam_search(
        engine, [ids], search, forbidden=model.forbidden, byte_rule=model.byte_rule
    )
    never = [PAD_ID, BOS_ID, UNK_ID, *model.forbidden]
    nodes = list(_grow(watched.notes, len(ids), never, search, model.tokenizer, dropped))
    finished = {node.number: node.score for node in nodes if node.score is not None}
    node: Node | None = nodes[max(finished, key=finished.__getitem__)]
    while node is not None:  # back from the best finished one
        nodes[node.number] = replace(node, best=True)
        node = None if node.parent is None else nodes[node.parent]
    return SearchTree(
        tuple(model.tokenizer.pieces(ids)),
        model.tokenizer.decode(best.ids).strip(),
        best.score,
        search.beam_size,
        tuple(nodes),
    )


@dataclass(eq=False)
class Note:
    """One step of the search over one sentence, N hypotheses."""

    tokens: Ints  # (N,) the newest of each hypothesis
    log_probs: NDArray[np.float32]  # (N, C) of what may follow
    candidates: Ints | None  # (N, C)
    selected: Ints | None = None  # (N',) the parents of the next step's hypotheses


@dataclass(frozen=True, eq=False)
class _WatchedState(Generic[S]):
    """A decoder state that takes down what is selected of it."""

    state: S
    note: Note | None  # of the step that it came out of

    def select(self, rows: Ints) -> Self:
        if self.note:
            self.note.selected = rows
        return type(self)(self.state.select(rows), self.note)


@dataclass(frozen=True, eq=False)
class WatchedEngine(Generic[S]):
    """An engine around another one that takes down every step; for one sentence at a time."""

    engine: Engine[S]
    notes: list[Note] = field(default_factory=list)

    def start(self, source: Ints, lengths: Ints, required: Ints | None = None) -> _WatchedState[S]:
        return _WatchedState(self.engine.start(source, lengths, required), None)

    def step(self, state: _WatchedState[S], tokens: Ints) -> Step[_WatchedState[S]]:
        step = self.engine.step(state.state, tokens)
        note = Note(tokens, step.log_probs.copy(), step.candidates)  # the search uses them up
        self.notes.append(note)
        watched = _WatchedState(step.state, note)
        return Step(step.log_probs, step.candidates, step.attention, watched)


class _Extension(NamedTuple):
    row: int  # of the hypothesis before it
    token: int
    log_prob: float  # of the token
    total: float


def _grow(
    notes: Sequence[Note],
    source_length: int,
    never: Sequence[int],
    search: SearchConfig,
    tokenizer: Tokenizer,
    dropped: int,
) -> Iterator[Node]:
    """The nodes of each step, best first, at most `dropped` of those that do not go on."""
    limit = longest_length(source_length, search)
    longest_penalty = length_penalty(limit, search.length_penalty)
    live: list[Node | None] = [None]  # the N hypotheses; None is BOS alone
    totals = np.zeros(1)  # (N,) their log-probabilities
    places, floor = search.beam_size, -np.inf  # how many may go on, and what they must exceed
    numbers = count()
    for step, (note, following) in enumerate(pairwise([*notes, None]), start=1):
        assert note is not None
        best = list(_best_extensions(note, totals, never, step == limit, places + dropped))
        kept = _kept(note, following)
        scores = {  # of the finished ones, by rank
            rank: one.total / length_penalty(step, search.length_penalty)
            for rank, one in enumerate(best[:places])
            if one.token == EOS_ID and one.total > floor
        }
        floor = max([floor, *(score * longest_penalty for score in scores.values())])
        grown: dict[int, Node] = {}
        shown = 0
        for rank, one in enumerate(best):
            if (one.row, one.token) in kept:
                fate: Fate = "kept"
            elif rank in scores:
                fate = "finished"
            elif rank >= places:
                fate = "outside"
            else:
                fate = "beaten" if one.total <= floor or one.token == EOS_ID else "pruned"
            if fate not in ("kept", "finished"):
                shown += 1
                if shown > dropped:
                    continue
            before = live[one.row]
            [piece] = tokenizer.pieces([one.token])
            node = Node(
                next(numbers),
                None if before is None else before.number,
                step,
                piece,
                one.log_prob,
                one.total,
                fate,
                scores.get(rank),
                best=False,
            )
            if fate == "kept":
                grown[kept[one.row, one.token]] = node
            yield node
        places -= len(scores)
        nodes = [grown[row] for row in range(len(kept))]
        live, totals = [*nodes], np.array([node.total for node in nodes])


def _kept(note: Note, following: Note | None) -> dict[tuple[int, int], int]:
    """Row and token of what the search went on with -> its row in the following step."""
    if following is None:
        return {}
    assert note.selected is not None
    pairs = zip(note.selected.tolist(), following.tokens.tolist(), strict=True)
    return {pair: row for row, pair in enumerate(pairs)}


def _best_extensions(
    note: Note, totals: Floats, never: Sequence[int], only_end: bool, number: int
) -> "Iterator[_Extension]":
    """The likeliest extensions, by the rules of the search."""
    size = note.log_probs.shape[1]
    ids = np.arange(size)[None] if note.candidates is None else note.candidates
    ids = np.broadcast_to(ids, note.log_probs.shape)  # (N, C)
    ruled_out = (ids != EOS_ID) if only_end else np.isin(ids, never)
    extended = np.where(ruled_out, -np.inf, totals[:, None] + note.log_probs).ravel()  # (N * C,)
    for place in np.argsort(-extended, kind="stable")[:number]:
        if extended[place] > -np.inf:
            row, column = divmod(int(place), size)
            log_prob = float(note.log_probs[row, column])
            yield _Extension(row, int(ids[row, column]), log_prob, float(extended[place]))
