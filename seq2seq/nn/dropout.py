"""Dropout that does not wait for random numbers."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_LEVELS = 1 << 16


class Dropout(nn.Module):
    """Zeroes a share `rate` of the values while training, and scales the others up to match.

    See Srivastava et al. (2014). On a CPU torch draws its masks value by value, and a training step
    waits for it. Here each 64 random bits serve four values, so `rate` is rounded to a multiple
    of 1 / 65,536.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape -> the same shape."""
        if not self.training or self.rate == 0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.rate)
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64)
        words.random_(-(1 << 63), None)
        levels = words.view(torch.int16)[: x.numel()].view(x.shape)
        kept = levels >= round(self.rate * _LEVELS) - _LEVELS // 2
        return x * kept.to(x.dtype).mul_(1 / (1 - self.rate))
