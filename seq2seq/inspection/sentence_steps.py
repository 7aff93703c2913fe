"""A sentence step by step: gates, states, attention and beam at each token, as one HTML page.

First the encoder reads the S source tokens, then the decoder writes the T target tokens. The page
contains all its data, and requests nothing from a server.
"""

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import set_cell_size

from seq2seq.config.model_config import Direction
from seq2seq.inspection.activations import Attention, Gates, attention, gates, places
from seq2seq.inspection.loading import InspectedModel
from seq2seq.inspection.search_tree import Node, SearchTree, search_tree
from seq2seq.inspection.terminal import WIDTH, label

TEMPLATE = Path(__file__).parent / "sentence_steps.html"

_BYTE = re.compile("<0x([0-9A-F]{2})>")  # as SentencePiece writes it
_BYTES = re.compile("(?:<0x[0-9A-F]{2}>)+")
_DIGITS = 3  # decimals of gates and states in the page: finer than the shades of colour


@dataclass(frozen=True, eq=False)
class SentenceSteps:
    """What a model computes while it translates a sentence."""

    model: str
    direction: Direction
    sentence: str
    gates: Gates
    attention: Attention | None  # None: the model has none
    tree: SearchTree
    notes: tuple[str, ...]  # what `translate` would do differently

    @property
    def best(self) -> list[Node]:
        """The T hypotheses that lead to the translation, one for each target token."""
        return [node for node in self.tree.nodes if node.best]

    def to_json(self) -> dict[str, Any]:
        """Return plain types: layers by part, values by step and unit, hypotheses by step."""
        return {
            "model": self.model,
            "direction": str(self.direction),
            "sentence": self.sentence,
            "translation": self.tree.translation,
            "notes": [*self.notes],
            "cell": self.gates.cell,
            "source": [label(token) for token in self.gates.source],
            "read": [label(token) for token in self.gates.target],
            "target": [label(node.token) for node in self.best],
            "probabilities": [round(math.exp(node.log_prob), 4) for node in self.best],
            "layers": [*self._layers()],
            "attention": None if self.attention is None else self.attention.mean.round(4).tolist(),
            "beam_size": self.tree.beam_size,
            "beams": [[*self._beam(node.step)] for node in self.best],
        }

    def _layers(self) -> Iterator[dict[str, Any]]:
        panels = self.gates.panels
        for name in dict.fromkeys(panel.place.layer_name for panel in panels):
            inside = [panel for panel in panels if panel.place.layer_name == name]
            yield {
                "part": inside[0].place.part,
                "name": name,
                "panels": [
                    {
                        "name": panel.place.gate,
                        "is_gate": panel.place.is_gate,
                        "values": panel.values.round(_DIGITS).tolist(),
                    }
                    for panel in inside
                ],
            }

    def _beam(self, step: int) -> Iterator[dict[str, Any]]:
        for node in self.tree.nodes:
            if node.step == step:
                yield {
                    "text": self._text(node),
                    "total": round(node.total, 3),
                    "score": None if node.score is None else round(node.score, 3),
                    "outcome": node.outcome,
                    "best": node.best,
                }

    def _text(self, node: Node) -> str:
        tokens = [node.token]
        while node.parent is not None:
            node = self.tree.nodes[node.parent]
            tokens.append(node.token)
        text = "".join(reversed(tokens)).replace("▁", " ").strip()
        return _BYTES.sub(
            lambda match: bytes.fromhex("".join(_BYTE.findall(match[0]))).decode(errors="replace"),
            text,
        )

    def page(self) -> str:
        """Return the HTML page."""
        # Within a script element, only `<` could end the data.
        data = json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":"))
        parts = {
            "title": html.escape(f"{self.sentence} – {self.model}"),
            "lines": html.escape("\n".join(sentence_lines(self))),
            "data": data.replace("<", "\\u003c"),
        }
        template = TEMPLATE.read_text(encoding="utf-8")
        return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def page_hashes() -> tuple[str, str]:
    """Return the hashes of the page's script and style, to be used in a Content-Security-Policy."""
    template = TEMPLATE.read_text(encoding="utf-8")
    parts = (
        re.findall(rf"<{tag}>(.*?)</{tag}>", template, re.DOTALL) for tag in ("script", "style")
    )
    script, style = (
        f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'"
        for [part] in parts
    )
    return script, style


def sentence_steps(
    model: InspectedModel, sentence: str, direction: Direction, *, dropped: int = 3
) -> SentenceSteps:
    """Translate `sentence` with `model`, and return everything that is computed on the way.

    The tree has at most `dropped` dropped hypotheses for each step. Raises `UsageError` if the
    sentence is empty or too long.
    """
    config = model.network.config
    wanted = places(config, own_cell=model.network.cell)
    return SentenceSteps(
        model.name,
        direction,
        sentence.strip(),
        gates(model, sentence, direction, wanted),
        None if config.attention == "none" else attention(model, sentence, direction),
        search_tree(model, sentence, direction, dropped=dropped),
        tuple(model.differences(sentence, direction)),
    )


def sentence_lines(steps: SentenceSteps) -> Iterator[str]:
    """Yield a heading, and a line for each target token."""
    yield f"{'reads':<14} {'writes':<14} {'p':>4}  {'looks at':<18} kept, best first"
    for number, node in enumerate(steps.best):
        beam = [
            label(rival.token)
            for rival in steps.tree.nodes
            if rival.step == node.step and rival.outcome in ("kept", "finished")
        ]
        looks = ""
        if steps.attention is not None:
            row = steps.attention.mean[number]
            looks = f"{label(steps.attention.source[row.argmax()])} {row.max():.0%}"
        columns = (
            set_cell_size(label(steps.gates.target[number]), 14),
            set_cell_size(label(node.token), 14),
            f"{math.exp(node.log_prob):>4.0%}",
            set_cell_size(f" {looks}", 19),
            " ".join(beam),
        )
        yield set_cell_size(" ".join(columns), WIDTH).rstrip()
