"""What a model computes while it translates a sentence: attention, gates and states."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from seq2seq.config.model_config import Direction, ModelConfig
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.inspection.loading import InspectedModel
from seq2seq.inspection.numpy_model import Decoded, Encoded, Floats, Trace
from seq2seq.nn.cells import CellType, cell_type
from seq2seq.tokenizer import BOS_ID, EOS_ID


@dataclass(frozen=True, eq=False)
class Attention:
    """The attention of some or all heads, for one sentence and its translation."""

    source: tuple[str, ...]  # S tokens, the language tag first
    target: tuple[str, ...]  # T tokens, EOS last
    translation: str
    heads: tuple[int, ...]  # the numbers of the G heads, from 1
    weights: Floats  # (G, T, S), rows sum to 1

    @property
    def mean(self) -> Floats:
        """The mean over the heads, (T, S)."""
        mean: Floats = self.weights.mean(axis=0)
        return mean

    def of_heads(self, numbers: Sequence[int]) -> Self:
        """Keep only these heads; raise `UsageError` if one does not exist or is given twice."""
        for number in numbers:
            if number not in self.heads:
                raise UsageError(f"there is no head {number}; the model has {len(self.heads)}.")
        if len({*numbers}) < len(numbers):
            raise UsageError("a head is given twice.")
        rows = [self.heads.index(number) for number in numbers]
        return replace(self, heads=tuple(numbers), weights=self.weights[rows])

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; `weights` is indexed by head, target token and source token."""
        return {
            "source": list(self.source),
            "target": list(self.target),
            "translation": self.translation,
            "heads": list(self.heads),
            "weights": self.weights.tolist(),
            "mean": self.mean.tolist(),
        }


def attention(model: InspectedModel, sentence: str, direction: Direction) -> Attention:
    """Translate `sentence` and return the attention; raise `Seq2SeqError` if there is none."""
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


class Place(NamedTuple):
    """A gate or a state of one layer, in one direction."""

    part: Literal["encoder", "decoder"]
    layer: int  # from 1
    direction: Literal["forwards", "backwards"]  # a decoder layer: always forwards
    gate: str  # the name of the gate (forget, update...) or state
    is_gate: bool  # True: values in (0, 1); False: values may be negative

    @property
    def layer_name(self) -> str:
        """The part, layer and direction, such as "encoder 1 backwards"."""
        direction = f" {self.direction}" if self.part == "encoder" else ""
        return f"{self.part} {self.layer}{direction}"

    def __str__(self) -> str:
        return f"{self.layer_name}, {self.gate}"

    def to_json(self) -> dict[str, Any]:
        """Return part, layer, direction and gate."""
        table = self._asdict()
        del table["is_gate"]
        return table


@dataclass(frozen=True, eq=False)
class Panel:
    """The values at one place over T tokens."""

    place: Place
    values: Floats  # (T, H)
    order: NDArray[np.int64]  # (H,) the units, sorted by the token at which each peaks

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; `values` is indexed by token, then by unit (not sorted)."""
        return {
            **self.place.to_json(),
            "order": self.order.tolist(),
            "values": self.values.tolist(),
        }


@dataclass(frozen=True, eq=False)
class Gates:
    """The panels of one sentence and its translation."""

    source: tuple[str, ...]  # S tokens that the encoder reads, the language tag first
    target: tuple[str, ...]  # T tokens that the decoder reads, BOS first
    translation: str
    panels: tuple[Panel, ...]
    cell: str

    def tokens(self, place: Place) -> tuple[str, ...]:
        """Return the tokens that the layer of a place reads."""
        return self.source if place.part == "encoder" else self.target

    def of_unit(self, place: Place, unit: int) -> Floats:
        """Return the values (T,) of one unit at a place that has a panel."""
        [panel] = (panel for panel in self.panels if panel.place == place)
        values: Floats = panel.values[:, unit]
        return values

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; see `Panel.to_json`."""
        return {
            "source": list(self.source),
            "target": list(self.target),
            "translation": self.translation,
            "cell": self.cell,
            "panels": [panel.to_json() for panel in self.panels],
        }


def places(
    config: ModelConfig,
    layer: str | None = None,
    direction: str | None = None,
    gate: str | None = None,
    own_cell: CellType | None = None,
) -> list[Place]:
    """Return the places of a model, all or only those of a `layer`, `direction` or `gate`.

    A layer is given as "encoder.1"; "input" means the update gate of an LSTM. Raises a `UsageError`
    that lists the choices if there is no such place.
    """
    if gate == "input" and config.cell == "lstm":
        gate = "update"
    cell = cell_type(own_cell or config.cell)
    gates = cell.values if gate else cell.shown
    encoder = [
        Place("encoder", number, way, name, name in cell.gates)
        for number in range(1, config.encoder_layers + 1)
        for way in ("forwards", "backwards")
        for name in gates
    ]
    decoder = [
        Place("decoder", number, "forwards", name, name in cell.gates)
        for number in range(1, config.decoder_layers + 1)
        for name in gates
    ]
    found = encoder + decoder
    for what, wanted, name_of in (
        ("layer", layer, lambda place: f"{place.part}.{place.layer}"),
        ("gate", gate, lambda place: place.gate),
        ("direction", direction, lambda place: place.direction),
    ):
        names = dict.fromkeys(map(name_of, found))
        if wanted is not None and wanted not in names:
            raise UsageError(f"there is no {what} {wanted!r} here; there is {', '.join(names)}.")
        found = [place for place in found if wanted in (None, name_of(place))]
    return found


def gates(
    model: InspectedModel, sentence: str, direction: Direction, wanted: Sequence[Place]
) -> Gates:
    """Translate `sentence` with `model`, and return the values at the `wanted` places."""
    ids = model.read(sentence, direction)
    [best] = model.translate([ids])
    encoded = model.network.encode(ids)
    decoded = model.network.decode(encoded, best.ids)
    panels = (
        Panel(place, values, _by_peak(values))
        for place, values in zip(wanted, values_at(wanted, encoded, decoded), strict=True)
    )
    return Gates(
        tuple(model.tokenizer.pieces(ids)),
        tuple(model.tokenizer.pieces([BOS_ID, *best.ids])),
        model.tokenizer.decode(best.ids).strip(),
        tuple(panels),
        model.network.config.cell,
    )


def values_at(
    wanted: Sequence[Place], encoded: Encoded, decoded: Decoded | None
) -> Iterator[Floats]:
    """Yield the values (T, H) at each place; encoder places do not need `decoded`."""
    for place in wanted:
        if place.part == "encoder":
            trace: Trace = encoded.layers[place.layer - 1][place.direction == "backwards"]
        else:
            assert decoded is not None
            trace = decoded.layers[place.layer - 1]
        yield getattr(trace, place.gate)


def _by_peak(values: Floats) -> NDArray[np.int64]:
    """Return the units of values (T, H), sorted by the token at which each peaks.

    Units that peak at the same token are sorted by how far they rise above their own mean, the
    highest first.
    """
    above = values - values.mean(axis=0)
    return np.lexsort((-above.max(axis=0), above.argmax(axis=0)))
