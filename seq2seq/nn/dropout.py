"""Dropout that does not wait for random numbers."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_LEVELS = 1 << 16


class Dropout(nn.Module):
    """Zeroes a share `rate` of the values in training, and scales the others up to match.

    See Srivastava et al. (2014). On a CPU, torch draws its masks value by value, which slows
    training down. Here 64 random bits serve four values, so `rate` is rounded to a multiple of
    1 / 65,536.

    With `tied`, all positions of a sequence share a mask (variational dropout, Gal & Ghahramani
    2016).
    """

    def __init__(self, rate: float, tied: bool = False) -> None:
        super().__init__()
        self.rate = rate
        self.tied = tied

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout to x, which may have any shape, but is (B, T, X) if `tied`."""
        if not self.training or self.rate == 0:
            return x
        shape = torch.Size((len(x), 1, *x.shape[2:])) if self.tied else x.shape
        if x.device.type != "cpu":
            if self.tied:
                return x * functional.dropout(x.new_ones(shape), self.rate)
            return functional.dropout(x, self.rate)
        size = shape.numel()
        words = torch.empty((size + 3) // 4, dtype=torch.int64)
        words.random_(-(1 << 63), None)
        levels = words.view(torch.int16)[:size].view(shape)
        kept = levels >= round(self.rate * _LEVELS) - _LEVELS // 2
        return x * kept.to(x.dtype).mul_(1 / (1 - self.rate))
