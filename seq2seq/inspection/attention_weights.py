"""Where the decoder looks as it writes: for each target token a distribution over the source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from seq2seq.config.model_config import Direction
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.inspection.loading import InspectedModel
from seq2seq.inspection.numpy_model import Floats
from seq2seq.tokenizer import EOS_ID


@dataclass(frozen=True, eq=False)
class Attention:
    """The attention of some or all heads over one sentence and its translation."""

    source: tuple[str, ...]  # S tokens, the language tag first
    target: tuple[str, ...]  # T tokens, EOS last
    translation: str
    heads: tuple[int, ...]  # G numbers, from 1
    weights: Floats  # (G, T, S), rows sum to 1

    @property
    def mean(self) -> Floats:
        """(T, S), over the heads."""
        mean: Floats = self.weights.mean(axis=0)
        return mean

    def of_heads(self, numbers: Sequence[int]) -> Self:
        """Some heads only; raises `UsageError` where there is no such head."""
        for number in numbers:
            if number not in self.heads:
                raise UsageError(f"there is no head {number}; the model has {len(self.heads)}.")
        if len({*numbers}) < len(numbers):
            raise UsageError("a head is given twice.")
        rows = [self.heads.index(number) for number in numbers]
        return replace(self, heads=tuple(numbers), weights=self.weights[rows])

    def to_json(self) -> dict[str, Any]:
        """Plain lists; `weights` by head, target token, source token."""
        return {
            "source": list(self.source),
            "target": list(self.target),
            "translation": self.translation,
            "heads": list(self.heads),
            "weights": self.weights.tolist(),
            "mean": self.mean.tolist(),
        }


def attention(model: InspectedModel, sentence: str, direction: Direction) -> Attention:
    """The attention as `model` translates `sentence`."""
    ids = model.read(sentence, direction)
    [best] = model.translate([ids])
    weights = model.network.decode(model.network.encode(ids), best.ids).attention
    if weights is None:
        raise Seq2SeqError(f"{model.name}: the model has no attention to look at.")
    return Attention(
        tuple(model.tokenizer.pieces(ids)),
        tuple(model.tokenizer.pieces([*best.ids, EOS_ID])),
        model.tokenizer.decode(best.ids).strip(),
        tuple(range(1, weights.shape[1] + 1)),
        np.ascontiguousarray(weights.swapaxes(0, 1)),
    )
