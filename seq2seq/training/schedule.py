"""The learning rate over a run."""

import math

from seq2seq.config.recipe import Schedule


def learning_rate(
    schedule: Schedule, peak: float, step: int, warmup_steps: int, progress: float
) -> float:
    """Warm up linearly over `warmup_steps` steps, then follow `schedule`.

    `progress` in [0, 1] is the share of the run that is done; `cosine` (Loshchilov & Hutter 2017)
    and `linear` fall to 0 as it comes to 1. Progress, not a step count, is their clock: sampled
    subwords give each epoch another number of batches. `inverse_square_root` falls with the number
    of steps (Vaswani et al. 2017), and `constant` does not fall.
    """
    warmup = min(1.0, (step + 1) / max(1, warmup_steps))
    match schedule:
        case "cosine":
            decay = (1 + math.cos(math.pi * progress)) / 2
        case "linear":
            decay = 1 - progress
        case "inverse_square_root":
            decay = math.sqrt(max(1, warmup_steps) / max(1, warmup_steps, step + 1))
        case "constant":
            decay = 1.0
    return peak * warmup * decay
