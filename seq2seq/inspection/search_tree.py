"""The beam as a tree: which hypotheses the search kept, which it dropped, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from seq2seq.config.model_config import Direction, SearchConfig
from seq2seq.inspection.loading import InspectedModel
from seq2seq.inspection.numpy_model import Floats
from seq2seq.search.beam import Outcome, beam_search, length_penalty
from seq2seq.search.engine_protocol import Ints


@dataclass(frozen=True)
class Node:
    """A hypothesis: the tokens of its parent, and one more."""

    number: int  # from 0, by step, within a step best first
    parent: int | None  # number of the parent; None: BOS
    step: int  # number of tokens, at least 1
    token: str
    log_prob: float  # of the token, natural logarithm
    total: float  # log-probability of the hypothesis
    outcome: Outcome
    score: float | None  # total / length penalty; None: not finished
    best: bool = False  # True: the translation, or the beginning of it


@dataclass(frozen=True)
class SearchTree:
    """All hypotheses that the search kept, and the best of those it dropped at each step."""

    source: tuple[str, ...]
    translation: str
    score: float
    beam_size: int
    nodes: tuple[Node, ...]

    def children(self, number: int | None) -> list[Node]:
        """Return the hypotheses that extend a node, or BOS (None), best first."""
        return [node for node in self.nodes if node.parent == number]

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
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
    """Translate `sentence` with `model`, and return the tree of its search.

    The tree has all hypotheses that were kept or finished. Of the others, it has at most the
    `dropped` best at each step.
    """
    search = search or model.search
    ids = model.read(sentence, direction)
    recorder = _Recorder(model, search, dropped)
    [[best]] = beam_search(
        model.engine,
        [ids],
        search,
        forbidden=model.forbidden,
        byte_rule=model.byte_rule,
        trace=recorder,
    )
    nodes = recorder.nodes
    scores = {node.number: node.score for node in nodes if node.score is not None}
    number: int | None = max(scores, key=scores.__getitem__)
    while number is not None:  # go back from the best finished hypothesis
        nodes[number] = replace(nodes[number], best=True)
        number = nodes[number].parent
    return SearchTree(
        tuple(model.tokenizer.pieces(ids)),
        model.tokenizer.decode(best.ids).strip(),
        best.score,
        search.beam_size,
        tuple(nodes),
    )


@dataclass
class _Recorder:
    """A `Trace` that collects the nodes of the tree."""

    model: InspectedModel
    search: SearchConfig
    runners_up: int
    nodes: list[Node] = field(default_factory=list)
    _kept: list[Node | None] = field(default_factory=lambda: [None])  # None is BOS
    _step: int = 0

    def record(
        self, log_probs: Floats, parents: Ints, tokens: Ints, outcomes: Sequence[Outcome]
    ) -> None:
        """Add the nodes of one step; see `Trace.record`."""
        self._step += 1
        penalty = length_penalty(self._step, self.search.length_penalty)
        pieces = self.model.tokenizer.pieces(tokens.tolist())
        kept: list[Node | None] = []
        dropped = 0
        for total, parent_row, piece, outcome in zip(
            log_probs.tolist(), parents.tolist(), pieces, outcomes, strict=True
        ):
            is_dropped = outcome not in ("kept", "finished")
            dropped += is_dropped
            if is_dropped and dropped > self.runners_up:
                continue
            parent = self._kept[parent_row]
            node = Node(
                len(self.nodes),
                None if parent is None else parent.number,
                self._step,
                piece,
                total if parent is None else total - parent.total,
                total,
                outcome,
                total / penalty if outcome == "finished" else None,
            )
            self.nodes.append(node)
            if outcome == "kept":
                kept.append(node)
        self._kept = kept
