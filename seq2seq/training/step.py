"""A batch through the network under teacher forcing, on whatever device the network is."""

import numpy as np
import torch
from torch import Tensor

from seq2seq.config.recipe import Precision
from seq2seq.corpus.batches import Batch
from seq2seq.nn.model import EncoderDecoder


def forward(model: EncoderDecoder, batch: Batch) -> tuple[Tensor, Tensor]:
    """The readout (P, H) and the target id (P,) at each of the P real target positions."""
    device = model.output_bias.device
    size = batch.tgt_out.shape[1]
    real = np.arange(size) < batch.tgt_lengths[:, None]  # (B, T)
    positions = np.flatnonzero(real)  # (P,)
    src, lengths, tgt_in, kept, targets = (
        torch.from_numpy(array).to(device, non_blocking=True)
        for array in (
            batch.src,
            batch.src_lengths,
            batch.tgt_in,
            positions,
            batch.tgt_out[real],
        )
    )
    return model(src, lengths, tgt_in, kept), targets


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """The first and the second half of the pairs of `batch`, padded no more than they need."""
    middle = (len(batch.lines) + 1) // 2
    return _rows(batch, slice(middle)), _rows(batch, slice(middle, None))


def _rows(batch: Batch, rows: slice) -> Batch:
    src_lengths, tgt_lengths = batch.src_lengths[rows], batch.tgt_lengths[rows]
    return Batch(
        lines=batch.lines[rows],
        src=batch.src[rows, : src_lengths.max()],
        src_lengths=src_lengths,
        tgt_in=batch.tgt_in[rows, : tgt_lengths.max()],
        tgt_out=batch.tgt_out[rows, : tgt_lengths.max()],
        tgt_lengths=tgt_lengths,
    )


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The context in which products run in bfloat16, where `precision` says so.

    `auto` takes bfloat16 where the processor multiplies it natively: there it is faster, see
    `scripts/benchmarks/benchmark.py train`. Weights, sums and the optimizer stay in float32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(device, precision))


def uses_bfloat16(device: torch.device, precision: Precision) -> bool:
    """Whether products run in bfloat16 on `device`."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def can_use_bfloat16(device: torch.device) -> bool:
    """Tell whether an LSTM runs in bfloat16 on `device`; older processors have no such kernel."""
    if device.type != "cpu":
        return True
    try:
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
            torch.nn.LSTM(8, 8)(torch.zeros(1, 1, 8))
    except RuntimeError:
        return False
    return True
