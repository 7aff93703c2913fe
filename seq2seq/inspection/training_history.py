"""The course of a training run, read from its metrics.jsonl: loss, BLEU, learning rate, gates."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

from seq2seq.bleu_chrf import rank_of_row
from seq2seq.errors import Seq2SeqError

Row = Mapping[str, Any]
GateTable = Mapping[str, Mapping[str, Mapping[str, float]]]
"""The statistics of gates at a validation: by layer, gate and name of the figure."""

_NUMBERS = {
    "train": ("step", "epoch", "loss", "nll", "learning_rate"),
    "valid": ("step", "epoch", "bleu", "nll", "perplexity"),
    "rollback": ("step", "failed_step"),
}
"""The numbers that a row of each kind must have, see `seq2seq.training.training_metrics`."""


class GateNames(NamedTuple):
    """The names in a table of gates; all layers have the same gates, all gates the same figures."""

    layers: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: GateTable) -> Self:
        """Read the names; raise `ValueError` if gates or figures are not the same everywhere."""
        [gates] = {tuple(layer) for layer in table.values()}
        [figures] = {tuple(gate) for layer in table.values() for gate in layer.values()}
        return cls(tuple(table), gates, figures)


@dataclass(frozen=True, eq=False)
class TrainingHistory:
    """The rows of one run, in the order in which they were written."""

    name: str
    rows: tuple[Row, ...]  # of all kinds

    @cached_property
    def train(self) -> tuple[Row, ...]:
        """The rows with loss, learning rate and speed, every few steps."""
        return self._of_kind("train")

    @cached_property
    def validations(self) -> tuple[Row, ...]:
        """The rows with BLEU, perplexity and gates."""
        return self._of_kind("valid")

    @cached_property
    def rollbacks(self) -> tuple[Row, ...]:
        """The rows that say where the loss exploded and the run went back."""
        return self._of_kind("rollback")

    def _of_kind(self, kind: str) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row["kind"] == kind)

    @property
    def steps(self) -> int:
        """The last step that has a row."""
        return max(int(row["step"]) for row in self.rows)

    @property
    def epochs(self) -> int:
        """The last epoch that has a row, counted from 1; 0 if there is none."""
        return max((int(row["epoch"]) for row in (*self.train, *self.validations)), default=0)

    @property
    def best(self) -> Row | None:
        """The best validation by `rank_of_row`, whose weights were kept; None if there is none."""
        return max(self.validations, key=rank_of_row, default=None)

    @property
    def directions(self) -> tuple[str, ...]:
        """The names of the directions that validations report, such as en-de."""
        found = (row.get("bleu_by_direction", {}) for row in self.validations)
        return tuple(dict.fromkeys(name for bleus in found for name in bleus))

    @property
    def gates(self) -> tuple[Row, ...]:
        """The validations with statistics of gates; runs of earlier versions have none."""
        return tuple(row for row in self.validations if row.get("gates"))

    @property
    def gate_names(self) -> GateNames:
        """The layers, gates and figures in the rows of `gates`."""
        return GateNames.of(self.gates[-1]["gates"]) if self.gates else GateNames()

    def to_json(self) -> dict[str, Any]:
        """Return the rows as they are in metrics.jsonl, by kind, with a summary."""
        return {
            "run": self.name,
            "steps": self.steps,
            "epochs": self.epochs,
            "best_step": self.best["step"] if self.best else None,
            "train": list(self.train),
            "validations": list(self.validations),
            "rollbacks": list(self.rollbacks),
        }


def read_history(run: Path) -> TrainingHistory:
    """Read the rows of a run directory or of a metrics.jsonl file; the run may still be going on.

    Raises `Seq2SeqError` if there are none, or if one of them cannot be read.
    """
    file = run / "metrics.jsonl" if run.is_dir() else run
    rows: list[Row] = []
    names = set()
    for number, line in enumerate(_lines(file, run), 1):
        try:
            row = json.loads(line)
            if row.get("gates"):
                names.add(GateNames.of(row["gates"]))
            if len(names) > 1 or not all(map(math.isfinite, _numbers(row))):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise Seq2SeqError(f"{file}, line {number}: not a row of a training run.") from None
        rows.append(row)
    if not rows:
        raise Seq2SeqError(f"{file}: no rows yet; the first comes after 50 steps.")
    return TrainingHistory(file.resolve().parent.name, tuple(rows))


def _numbers(row: Row) -> Iterator[float]:
    """Yield all numbers of a row that are drawn."""
    for key in _NUMBERS.get(row["kind"], ("step",)):
        yield row[key]
    yield from row.get("bleu_by_direction", {}).values()
    for layer in row.get("gates", {}).values():
        for gate in layer.values():
            yield from gate.values()


def _lines(file: Path, run: Path) -> Sequence[bytes]:
    """Return the complete lines of `file`, without one that is still being written."""
    try:
        return file.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        if not run.exists():
            raise Seq2SeqError(f"{run}: not there.") from None
        raise Seq2SeqError(
            f"{run}: no metrics.jsonl is in it; a training run has one from its first rows on."
        ) from None
    except OSError as error:
        raise Seq2SeqError(f"{file}: cannot be read: {error.strerror}.") from None


def history_lines(history: TrainingHistory) -> Iterator[str]:
    """Yield a table of the validations, and one of the gates at the last one, in 80 columns."""
    yield f"{history.name}: {history.steps:,} steps, epoch {history.epochs}"
    yield "loss and rate are those that training last told of, up to each step"
    yield f"{'step':>9} {'epoch':>6} {'loss':>8} {'rate':>10} {'perplexity':>11} {'BLEU':>7}"
    latest: Row = {}
    for row in sorted((*history.train, *history.validations), key=lambda row: row["step"]):
        if row["kind"] == "train":
            latest = row
            continue
        yield _validation_line(row, latest, row is history.best)
    if latest and (not history.validations or latest["step"] > history.validations[-1]["step"]):
        yield _validation_line({}, latest, False)
    for row in history.rollbacks:
        yield f"went back from step {row['failed_step']:,} to {row['step']:,}"
    if history.gates:
        yield ""
        yield from _gate_lines(history.gates[-1], history.gate_names)


def runs_lines(histories: Sequence[TrainingHistory]) -> Iterator[str]:
    """Yield a table of the best validation of each run."""
    width = max(len("run"), *(len(history.name) for history in histories))
    yield f"{'run':<{width}} {'steps':>9} {'best at':>9} {'BLEU':>7} {'chrF':>7} {'perplexity':>11}"
    for history in histories:
        line = f"{history.name:<{width}} {history.steps:>9,}"
        best = history.best
        if best is None:
            yield f"{line} {'no validation yet':>17}"
            continue
        chrf = f"{best['chrf']:.2f}" if "chrf" in best else "-"
        yield (
            f"{line} {best['step']:>9,} {best['bleu']:>7.2f} {chrf:>7} {best['perplexity']:>11.2f}"
        )


def _validation_line(row: Row, latest: Row, best: bool) -> str:
    shown = row or latest
    loss, rate = (
        (f"{latest['loss']:.3f}", f"{latest['learning_rate']:.2e}") if latest else ("-", "-")
    )
    perplexity, bleu = (f"{row['perplexity']:.2f}", f"{row['bleu']:.2f}") if row else ("-", "-")
    return (
        f"{shown['step']:>9,} {shown['epoch']:>6} {loss:>8} {rate:>10} {perplexity:>11} {bleu:>7}"
        f"{'  best' if best else ''}"
    )


def _gate_lines(row: Row, names: GateNames) -> Iterator[str]:
    table: GateTable = row["gates"]
    if "saturated" in names.figures:  # a plain RNN has no gates
        yield f"units whose state is above 0.9 in size, at step {row['step']:,}"
        for layer, states in table.items():
            yield f"{layer:<20} {states['hidden']['saturated']:>6.1%}"
        return
    yield f"gates at step {row['step']:,}: mean; shares above 0.9 and below 0.1"
    yield f"{'':<20}{''.join(f'{name:>19}' for name in names.gates)}"
    for layer, gates in table.items():
        told = (
            f"{gate['mean']:.2f} {gate['open']:4.0%} {gate['closed']:4.0%}"
            for gate in gates.values()
        )
        yield f"{layer:<20}{''.join(f'{cell:>19}' for cell in told)}"
