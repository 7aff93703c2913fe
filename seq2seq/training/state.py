"""The state of a run, all of it that is not a tensor."""

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
"""Of fields, in checkpoints of version 0.1."""

_BLIND = 3.0  # times ln V
_LEAST = 1.0  # nats
_DEVIATIONS = 3.0
_IN_A_ROW = 10  # batches
_DECAY = 0.99  # of the running mean and variance
_SETTLED = 20  # batches, before which nothing is known of either


class InstabilityError(Exception):
    """Loss, gradient or weights have become useless; the message says which."""


@dataclass
class LossWatch:
    """Detects divergence of the loss, from its running mean and variance.

    The loss has diverged if a token of a batch costs more than three times what blind guessing
    would, 3 ln V; or if in each of ten batches in a row a token costs more than one nat, and more
    than three standard deviations, above the running mean. A single batch says little: it may be
    garbage, which clipped gradients survive.
    """

    mean: float = 0.0
    variance: float = 0.0
    seen: int = 0  # batches
    high: int = 0  # batches in a row that were too far above the mean

    def explodes(self, loss: float, vocabulary_size: int) -> bool:
        """Take in the mean loss of a token of a batch, and tell whether the loss has diverged."""
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
        """Add a step, with `tokens` target tokens that were trained on."""
        self.loss += loss
        self.nll += nll
        self.tokens += tokens
        self.padding += padding
        self.positions += positions

    def means(self) -> dict[str, float]:
        """Compute loss and negative log-likelihood of a token, and the share of padding."""
        tokens = max(1, self.tokens)
        return {
            "loss": self.loss / tokens,
            "nll": self.nll / tokens,
            "padding_share": self.padding / max(1, self.positions),
        }


@dataclass
class TrainState:
    """How far a run has come. All counts are of what is done."""

    epoch: int = 0  # whole epochs
    buffer: int = 0  # shuffle buffers of the current epoch
    batch: int = 0  # batches of the current buffer
    step: int = 0  # optimizer steps of the whole run
    validation_due: bool = False  # at this step, and not done yet
    metrics_bytes: int = 0  # length of metrics.jsonl
    best_bleu: float = -1.0
    best_chrf: float = -1.0
    best_nll: float = 0.0
    validations_since_best: int = 0
    validations_since_cut: int = 0  # without a new best, since the rate was cut at a plateau
    plateaus: int = 0  # each has lowered the learning rate
    averages: RunningAverages = field(default_factory=RunningAverages)
    loss_watch: LossWatch = field(default_factory=LossWatch)
    stable_step: int = 0  # that of the checkpoint to roll back to when the loss diverges
    rollbacks: int = 0  # each has halved the learning rate
    finished: bool = False
    corpus: str = ""  # fingerprint of the training and validation text
    compute: str = ""  # device, precision and threads: results are the same to the byte on these

    @classmethod
    def from_json(cls, table: Any) -> Self:
        """Read what `to_json` gave; raises `UsageError` for anything else."""
        if isinstance(table, dict):
            table = {_FORMER_NAMES.get(name, name): value for name, value in table.items()}
        return from_table(cls, table)

    def to_json(self) -> dict[str, Any]:
        """Give the state as dictionaries, text and numbers."""
        return asdict(self)

    def advance(self, batches: int, buffers: int, processes: int = 1) -> None:
        """Count a step: a batch for each process, as far as the `batches` of its buffer go.

        There are so many `buffers` in an epoch.
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
        """Take in the figures of a validation, and tell whether it is the best so far."""
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
        """Count a plateau where so many validations brought no new best, and tell of it."""
        is_plateau = self.validations_since_cut >= patience
        if is_plateau:
            self.plateaus, self.validations_since_cut = self.plateaus + 1, 0
        return is_plateau

    @property
    def rate_factor(self) -> float:
        """What the learning rate is multiplied by after rollbacks."""
        return 0.5**self.rollbacks

    @property
    def is_between_epochs(self) -> bool:
        """Whether the current epoch has not begun."""
        return self.buffer == self.batch == 0

    @property
    def last_epoch(self) -> int:
        """The number of the epoch that the last step was of, from 1."""
        return self.epoch + (not self.is_between_epochs)
