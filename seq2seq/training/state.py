"""Where a run stands, all of it that is not a tensor."""

from dataclasses import dataclass, field

from seq2seq.corpus.batches import Batch
from seq2seq.training.stability import LossWatch


@dataclass
class Window:
    """Sums over the batches since the last row of metrics.jsonl."""

    loss: float = 0.0
    nll: float = 0.0
    tokens: int = 0
    padding: int = 0
    positions: int = 0

    def add(self, batch: Batch, loss: float, nll: float, tokens: int) -> None:
        """One batch more, of which `tokens` were learnt."""
        self.loss += loss
        self.nll += nll
        self.tokens += tokens
        self.padding += batch.padding
        self.positions += batch.src.size + batch.tgt_out.size

    def means(self) -> dict[str, float]:
        """Loss and likelihood of a token, and the share of padding."""
        tokens = max(1, self.tokens)
        return {
            "loss": self.loss / tokens,
            "nll": self.nll / tokens,
            "padding_share": self.padding / max(1, self.positions),
        }


@dataclass
class Position:
    """Where a run stands. All counts are of what is done."""

    epoch: int = 0  # whole epochs
    pool: int = 0  # pools of the present epoch
    batch: int = 0  # batches of the present pool
    step: int = 0  # optimizer steps of the whole run
    validation_due: bool = False  # at this step, and not done yet
    metrics_bytes: int = 0  # length of metrics.jsonl
    best_bleu: float = -1.0
    best_chrf: float = -1.0
    best_nll: float = 0.0
    validations_since_best: int = 0
    window: Window = field(default_factory=Window)
    watch: LossWatch = field(default_factory=LossWatch)
    good_step: int = 0  # that of the checkpoint to go back to when the loss explodes
    rollbacks: int = 0  # how often that was done; each has halved the learning rate
    finished: bool = False
    corpus: str = ""  # fingerprint of the training and validation text
    arithmetic: str = ""  # device, precision and threads: results are the same to the byte on these

    def advance(self, batches: int, pools: int) -> None:
        """One batch more is done, of so many of its pool; and of so many pools of the epoch."""
        self.step += 1
        self.batch += 1
        if self.batch == batches:
            self.pool, self.batch = self.pool + 1, 0
        if self.pool == pools:
            self.epoch, self.pool = self.epoch + 1, 0

    @property
    def rate_factor(self) -> float:
        """What the learning rate is multiplied by."""
        return 0.5**self.rollbacks

    @property
    def is_between_epochs(self) -> bool:
        """Whether the present epoch has not begun."""
        return self.pool == self.batch == 0

    @property
    def last_epoch(self) -> int:
        """The number of the epoch that the last step was of, from 1."""
        return self.epoch + (not self.is_between_epochs)
