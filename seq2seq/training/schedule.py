"""The learning rate over a run."""

import math


def learning_rate(peak: float, step: int, warmup_steps: int, progress: float) -> float:
    """Linear warm-up over `warmup_steps` steps, times a cosine from 1 to 0 over `progress`.

    `progress` in [0, 1] is the share of the run that is done (Loshchilov & Hutter 2017).
    Progress, not a step count, is the cosine's clock: sampled subwords give each epoch another
    number of batches.
    """
    warmup = min(1.0, (step + 1) / max(1, warmup_steps))
    return peak * warmup * (1 + math.cos(math.pi * progress)) / 2
