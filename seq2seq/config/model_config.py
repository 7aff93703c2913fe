"""The settings that a trained model needs: its shape, its directions and its search.

Settings are frozen dataclasses, checked when they are made. The settings of training are in
`seq2seq.config.recipe`.
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from seq2seq.config.parse import shown
from seq2seq.errors import UsageError

Cell = Literal["lstm", "gru", "rnn"]
Attention = Literal["multihead", "dot", "additive", "none"]
Kernels = Literal["fused", "reference"]
WeightPrecision = Literal["int8", "fp32"]
Combination = Literal["log", "linear"]
"""The mean that an ensemble uses: of log-probabilities, or of probabilities."""

SMALLEST_VOCABULARY = 380
"""Number of pieces: 256 bytes, printable ASCII, and the special symbols."""

_OWN_CELL = re.compile(r"(.+\.py):([^\W\d]\w*)")
_REGION = re.compile(r"[a-z]{2}|[0-9]{3}")  # of BCP 47, in lower case


def require(condition: bool, message: str) -> None:
    """Raise `UsageError` with `message` unless `condition` holds."""
    if not condition:
        raise UsageError(message)


@dataclass(frozen=True)
class Direction:
    """A source language and a target language."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"

    @property
    def reverse(self) -> "Direction":
        """The reverse direction."""
        return Direction(self.target, self.source)

    def fits(self, source: str | None, target: str | None) -> bool:
        """Return whether these are its languages; None fits any language."""
        return source in (None, self.source) and target in (None, self.target)


def known_language(language: str, known: Iterable[str]) -> str:
    """Return the code in `known` that `language` stands for, or `language` itself if none does.

    Case is ignored, and so is a region that no code in `known` has: `EN` stands for `en`, and
    `pt-BR` for `pt`. A script is not a region: `sr-Latn` does not stand for `sr`.
    """
    by_case = {code.lower().replace("_", "-"): code for code in known}
    asked = language.strip().lower().replace("_", "-")
    base, _, rest = asked.partition("-")
    if asked not in by_case and _REGION.fullmatch(rest):
        asked = base
    return by_case.get(asked, language)


def choose_direction(
    directions: Sequence[Direction], source: str | None, target: str | None
) -> Direction:
    """Return the first of `directions` that fits, or a new one between their languages.

    A language that is None fits any. Raises a `UsageError` that lists the directions if none fits.
    """
    sources = {direction.source for direction in directions}
    targets = {direction.target for direction in directions}
    source = source and known_language(source, sources)
    target = target and known_language(target, targets)
    for direction in directions:
        if direction.fits(source, target):
            return direction
    if source in sources and target in targets and source != target:
        assert source is not None
        assert target is not None
        return Direction(source, target)
    ways = (
        "" if source is None else f" from {source!r}",
        "" if target is None else f" into {target!r}",
    )
    raise UsageError(
        f"the model does not translate{''.join(ways)}; it knows {', '.join(map(str, directions))}."
    )


@dataclass(frozen=True)
class ModelConfig:
    """The shape of the network. H is `hidden_size`; embeddings have that size too.

    `cell` is "lstm", "gru" or "rnn", or the user's own cell as FILE.py:NAME (see
    `seq2seq.nn.cell_file`), which always runs by its equations.

    `attention` is "multihead", "none", or one of the classics, "dot" and "additive", which have one
    head and ignore `heads`; see `seq2seq.nn.attention`. With `input_feeding`, the decoder reads
    each token together with its readout at the previous one (Luong et al. 2015, section 3.3).

    With `kernels` "reference", the cells run step by step, by the equations in `seq2seq.nn.cells`.
    That is slower than torch's fused layers, but changes to the equations take effect.
    """

    cell: str = "lstm"
    attention: Attention = "multihead"
    hidden_size: int = 256
    encoder_layers: int = 2
    decoder_layers: int = 2
    heads: int = 4
    kernels: Kernels = "fused"
    input_feeding: bool = False

    def __post_init__(self) -> None:
        require(
            self.cell in get_args(Cell) or self.own_cell is not None,
            f"'model.cell' is {shown(self.cell)}; it can be "
            f"{', '.join(map(repr, get_args(Cell)))}, or FILE.py:NAME.",
        )
        for name in ("hidden_size", "encoder_layers", "decoder_layers", "heads"):
            require(getattr(self, name) >= 1, f"model.{name} must be at least 1.")
        for name in ("encoder_layers", "decoder_layers"):
            require(getattr(self, name) <= 64, f"'model.{name}' must be at most 64.")
        require(self.hidden_size <= 1 << 16, "'model.hidden_size' must be at most 65,536.")
        require(
            self.hidden_size % 2 == 0,
            "model.hidden_size must be even: each encoder direction has half of it.",
        )
        require(
            self.hidden_size % self.heads == 0,
            f"model.heads: {self.heads} does not divide model.hidden_size {self.hidden_size}.",
        )
        require(
            not self.input_feeding or self.attention != "none",
            "model.input_feeding feeds what the attention found; choose a model.attention.",
        )

    @property
    def own_cell(self) -> tuple[str, str] | None:
        """The file and the name of the user's own cell; None: the cell is built in."""
        found = _OWN_CELL.fullmatch(self.cell)
        return found and (found[1], found[2])

    @property
    def not_exported(self) -> str | None:
        """The setting that keeps the model from being exported; None if there is none.

        The user's own cell is not reported here; see `own_cell`.
        """
        if self.attention not in ("multihead", "none"):
            return f"model.attention {self.attention!r}"
        return "model.input_feeding" if self.input_feeding else None

    @property
    def embedding_scale(self) -> float:
        """The factor by which embeddings are multiplied before a layer reads them.

        They are initialised with a standard deviation of H ** -0.5, which suits the tied softmax.
        Layers learn fastest with a standard deviation between that and 1.
        """
        return float(self.hidden_size**0.25)


@dataclass(frozen=True)
class SearchConfig:
    """The settings of the beam search.

    A hypothesis of length t has the score log p / ((5 + t) / 6) ** `length_penalty` (Wu et al.
    2016, eq. 14). Its length is at most `max_length_ratio` times the length of the source, plus
    `max_length_extra`. If `prune` is set, a hypothesis is dropped if its log-probability is more
    than `prune` nats below the best one of its length.
    """

    beam_size: int = 5
    length_penalty: float = 1.0
    max_length_ratio: float = 2.0
    max_length_extra: int = 10
    max_source_length: int = 120
    prune: float | None = None

    def __post_init__(self) -> None:
        require(1 <= self.beam_size <= 1000, "search.beam_size must lie in [1, 1000].")
        require(0 <= self.length_penalty <= 10, "search.length_penalty must lie in [0, 10].")
        require(0 < self.max_length_ratio <= 100, "search.max_length_ratio must lie in (0, 100].")
        for name in ("max_length_extra", "max_source_length"):
            require(getattr(self, name) >= 1, f"search.{name} must be at least 1.")
            require(getattr(self, name) < 1 << 31, f"search.{name} must be below 2 ** 31.")
        require(self.prune is None or self.prune > 0, "search.prune must be above 0.")

    def changed(
        self,
        *,
        beam_size: int | None = None,
        length_penalty: float | None = None,
        prune: float | None = None,
        max_source_length: int | None = None,
    ) -> Self:
        """Return a copy in which the given settings are replaced; `prune` 0 turns pruning off."""
        given = {
            "beam_size": beam_size,
            "length_penalty": length_penalty,
            "prune": prune,
            "max_source_length": max_source_length,
        }
        changes: dict[str, Any] = {
            name: value for name, value in given.items() if value is not None
        }
        if prune == 0:
            changes["prune"] = None
        return dataclasses.replace(self, **changes)
