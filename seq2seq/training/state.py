"""The state of a run, except for its tensors."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from seq2seq.bleu_chrf import validation_rank
from seq2seq.config.parse import from_table
from seq2seq.config.recipe import ValidationMetric

MOST_ROLLBACKS = 3

_FORMER_NAMES = {
    "pool": "buffer",
    "window": "averages",
    "watch": "loss_watch",
    "good_step": "stable_step",
    "arithmetic": "compute",
}
"""Names of fields in checkpoints of version 0.1, with their present names."""

_BLIND = 3.0  # times ln V: limit of the loss of a single batch
_LEAST = 1.0  # nats above the mean
_DEVIATIONS = 3.0  # above the mean
_IN_A_ROW = 10  # batches
_DECAY = 0.99  # of the running mean and variance
_SETTLED = 20  # batches until mean and variance are reliable


class InstabilityError(Exception):
    """Loss, gradient or weights are no longer usable; the message says which."""


@dataclass
class LossWatch:
    """Detects divergence of the loss, from its running mean and variance.

    The loss has diverged if its mean over a batch is more than three times that of blind guessing,
    ln V; or if in ten batches in a row it is above the running mean by more than one nat and more
    than three standard deviations. A single high batch says little: it may be garbage, which
    clipped gradients survive.
    """

    mean: float = 0.0
    variance: float = 0.0
    seen: int = 0  # batches
    high: int = 0  # batches in a row that were too far above the mean

    def explodes(self, loss: float, vocabulary_size: int) -> bool:
        """Add the mean loss per token of a batch; return whether the loss has diverged."""
        limit = self.mean + max(_LEAST, _DEVIATIONS * math.sqrt(self.variance))
        if self.seen >= _SETTLED and loss > limit:
            self.high += 1
        else:
            self.high = 0
            share = max(1 - _DECAY, 1 / (self.seen + 1))
            step = loss - self.mean
            self.mean += share * step
            self.variance = (1 - share) * (self.variance + share * step * step)
            self.seen += 1
        return loss > _BLIND * math.log(vocabulary_size) or self.high >= _IN_A_ROW


@dataclass
class RunningAverages:
    """Sums over the batches since the last row of metrics.jsonl."""

    loss: float = 0.0
    nll: float = 0.0
    tokens: int = 0
    padding: int = 0
    positions: int = 0

    def add(self, loss: float, nll: float, tokens: int, padding: int, positions: int) -> None:
        """Add a step with `tokens` target tokens."""
        self.loss += loss
        self.nll += nll
        self.tokens += tokens
        self.padding += padding
        self.positions += positions

    def means(self) -> dict[str, float]:
        """Return loss and negative log-likelihood per token, and the share of padding."""
        tokens = max(1, self.tokens)
        return {
            "loss": self.loss / tokens,
            "nll": self.nll / tokens,
            "padding_share": self.padding / max(1, self.positions),
        }


@dataclass
class TrainState:
    """How far a run has come. All counts are of what is finished."""

    epoch: int = 0  # whole epochs
    buffer: int = 0  # shuffle buffers of the current epoch
    batch: int = 0  # batches of the current buffer
    step: int = 0  # optimizer steps of the whole run
    validation_due: bool = False  # at this step, not done yet
    metrics_bytes: int = 0  # length of metrics.jsonl
    best_bleu: float = -1.0
    best_chrf: float = -1.0
    best_nll: float = 0.0
    validations_since_best: int = 0
    validations_since_cut: int = 0  # without a new best, since the rate was last lowered
    plateaus: int = 0  # each has lowered the learning rate
    averages: RunningAverages = field(default_factory=RunningAverages)
    loss_watch: LossWatch = field(default_factory=LossWatch)
    stable_step: int = 0  # of the checkpoint to roll back to if the loss diverges
    rollbacks: int = 0  # each has halved the learning rate
    finished: bool = False
    corpus: str = ""  # fingerprint of the training and validation text
    compute: str = ""  # device, precision and threads; with the same, runs are equal to the byte

    @classmethod
    def from_json(cls, table: Any) -> Self:
        """Read what `to_json` returned; raise `UsageError` for anything else."""
        if isinstance(table, dict):
            table = {_FORMER_NAMES.get(name, name): value for name, value in table.items()}
        return from_table(cls, table)

    def to_json(self) -> dict[str, Any]:
        """Return the state as dictionaries, text and numbers."""
        return asdict(self)

    def advance(self, batches: int, buffers: int, processes: int = 1) -> None:
        """Count a step, in which each process takes one of the remaining `batches` of its buffer.

        An epoch has as many `buffers`.
        """
        self.step += 1
        self.batch = min(self.batch + processes, batches)
        if self.batch == batches:
            self.buffer, self.batch = self.buffer + 1, 0
        if self.buffer == buffers:
            self.epoch, self.buffer = self.epoch + 1, 0

    def take_validation(
        self, bleu: float, chrf: float, nll: float, metric: ValidationMetric = "bleu"
    ) -> bool:
        """Record the figures of a validation; return whether it is the best so far."""
        best = validation_rank(self.best_bleu, self.best_chrf, self.best_nll, metric)
        has_best = self.best_bleu >= 0
        if has_best and validation_rank(bleu, chrf, nll, metric) <= best:
            self.validations_since_best += 1
            self.validations_since_cut += 1
            return False
        self.best_bleu, self.best_chrf, self.best_nll = bleu, chrf, nll
        self.validations_since_best = self.validations_since_cut = 0
        return True

    def take_plateau(self, patience: int) -> bool:
        """Return whether `patience` validations brought no new best, and count that plateau."""
        is_plateau = self.validations_since_cut >= patience
        if is_plateau:
            self.plateaus, self.validations_since_cut = self.plateaus + 1, 0
        return is_plateau

    @property
    def rate_factor(self) -> float:
        """The factor of the learning rate after rollbacks."""
        return 0.5**self.rollbacks

    @property
    def is_between_epochs(self) -> bool:
        """Whether the current epoch has not begun."""
        return self.buffer == self.batch == 0

    @property
    def last_epoch(self) -> int:
        """The number of the epoch of the last step, from 1."""
        return self.epoch + (not self.is_between_epochs)
