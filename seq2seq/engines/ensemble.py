"""Ensembles: several models search together, using the mean of their outputs at each step.

The mean is either of log-probabilities, which is a geometric mean that loses some probability mass,
or of probabilities. Every candidate of one model is a candidate of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, get_args

import numpy as np

from seq2seq.config.model_config import Combination
from seq2seq.errors import UsageError
from seq2seq.search.engine_protocol import DecoderState, Engine, Ints, Step


class Member(Engine[Any], Protocol):
    """An engine that can tell its candidates in advance."""

    def candidates(self, source: Ints) -> Ints | None:
        """Return the ids that may be used to translate source (B, S): (B, C); None: all."""
        ...


@dataclass(frozen=True, eq=False)
class EnsembleState:
    """The state of each model."""

    states: tuple[DecoderState, ...]

    def select(self, rows: Ints) -> Self:
        """Return the states of the hypotheses `rows` (N',)."""
        return type(self)(tuple(state.select(rows) for state in self.states))


class EnsembleEngine:
    """An `Engine` that combines engines with the same vocabulary of V ids."""

    def __init__(
        self, engines: Sequence[Member], vocabulary_size: int, combination: Combination = "log"
    ) -> None:
        if combination not in get_args(Combination):
            raise UsageError(f"an ensemble takes the mean 'log' or 'linear', not {combination!r}.")
        self._engines = engines
        self._vocabulary_size = vocabulary_size
        self._combination = combination

    def encode(self, source: Ints, lengths: Ints, forced: Ints | None = None) -> EnsembleState:
        """Encode source (B, S), lengths (B,) with each model.

        The candidates are those of all models, and the ids in `forced` (B, R).
        """
        shortlists = [engine.candidates(source) for engine in self._engines]
        wanted = [ids for ids in (forced, *shortlists) if ids is not None]
        if any(ids is None for ids in shortlists):  # if one model uses all ids, the others must too
            every = np.arange(self._vocabulary_size)
            wanted = [np.broadcast_to(every, (len(source), len(every)))]
        union = np.concatenate(wanted, axis=1)
        return EnsembleState(
            tuple(engine.encode(source, lengths, union) for engine in self._engines)
        )

    def decode_step(self, state: EnsembleState, tokens: Ints) -> Step[EnsembleState]:
        """Read tokens (N,), the newest of each hypothesis, with each model; combine the outputs."""
        steps: list[Step[Any]] = [
            engine.decode_step(part, tokens)
            for engine, part in zip(self._engines, state.states, strict=True)
        ]
        width = min(step.log_probs.shape[1] for step in steps)  # shortlists may be padded
        log_probs = np.stack([step.log_probs[:, :width] for step in steps]).astype(np.float64)
        if self._combination == "log":
            mean = log_probs.mean(axis=0)
        else:
            mean = np.logaddexp.reduce(log_probs) - np.log(len(steps))
        attention = np.stack([step.attention for step in steps]).mean(axis=0, dtype=np.float64)
        has_all = any(step.candidates is None for step in steps)
        return Step(
            mean.astype(np.float32),
            None if has_all else steps[0].candidates,
            attention.astype(np.float32),
            EnsembleState(tuple(step.state for step in steps)),
        )
