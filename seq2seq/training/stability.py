"""When a run has come off the rails."""

import math
from dataclasses import dataclass

MOST_ROLLBACKS = 3
_BLIND = 3.0  # times ln V
_LEAST = 1.0  # nats
_DEVIATIONS = 3.0
_ON_END = 10  # batches
_DECAY = 0.99  # of the running mean and variance
_SETTLED = 20  # batches, before which nothing is known of either


class InstabilityError(Exception):
    """Loss, gradient or weights are of no use any more; the message says which."""


@dataclass
class LossWatch:
    """Sees whether the loss explodes, from its running mean and variance. Part of a run's state.

    It has exploded where a token of a batch costs more than three times what guessing blindly
    would, 3 ln V; or where those of ten batches on end each cost more than one nat, and more than
    three standard deviations, above the running mean. One batch says little: it may be garbage,
    which clipped gradients survive.
    """

    mean: float = 0.0
    variance: float = 0.0
    seen: int = 0  # batches
    high: int = 0  # batches on end that were too far above the mean

    def explodes(self, loss: float, vocabulary_size: int) -> bool:
        """Take in the loss of a batch, for a token."""
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
        return loss > _BLIND * math.log(vocabulary_size) or self.high >= _ON_END
