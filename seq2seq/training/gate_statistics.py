"""Measure how open the gates of each layer are, at each validation.

Torch's fused layers do not show their gates. So each layer is run once more, step by step, by the
equations of `seq2seq.nn.cells`, on the inputs that it had in a forward pass.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from seq2seq.corpus.batches import Batch, make_batch
from seq2seq.nn.model import EncoderDecoder
from seq2seq.nn.recurrent import RecurrentLayer, State
from seq2seq.training.optimizer_step import forward

GateStatistics = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Figures by layer ("encoder 1 forwards", "decoder 2"), gate and name.

For a gate: its `mean`, and the shares of values that are `open` (above 0.9) and `closed` (below
0.1), over all units and tokens. A plain RNN has no gates; for its `hidden` state, the share that is
`saturated` (absolute value above 0.9), where tanh lets at most a fifth of the gradient through.
"""

_SENTENCES = 32  # some 100,000 values per gate, in a model of the usual size
_DIGITS = 4  # hides differences in the last bits of a sum
_OPEN, _CLOSED, _SATURATED = 0.9, 0.1, 0.9


def gate_sample(held_out: Sequence[Sequence[Batch]]) -> Batch | None:
    """Choose a few pairs, spread evenly over each held-out text; the same ones each time."""
    pairs = [pair for batches in held_out for pair in _spread(batches, len(held_out))]
    if not pairs:
        return None
    sources, targets = zip(*pairs, strict=True)
    return make_batch(range(len(pairs)), sources, targets)


def _spread(batches: Sequence[Batch], texts: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield source and target ids (without EOS) of the pairs sampled from one text."""
    rows = sorted(
        (int(line), number, row)
        for number, batch in enumerate(batches)
        for row, line in enumerate(batch.lines)
    )
    wanted = min(len(rows), -(-_SENTENCES // texts))
    for turn in range(wanted):
        _, number, row = rows[turn * len(rows) // wanted]
        batch = batches[number]
        source = batch.src[row, : batch.src_lengths[row]]
        target = batch.tgt_out[row, : batch.tgt_lengths[row] - 1]
        yield source.tolist(), target.tolist()


def gate_statistics(model: EncoderDecoder, batch: Batch) -> GateStatistics:
    """Measure the gates of each recurrent layer of `model` on `batch`, under teacher forcing."""
    runs: dict[str, tuple[Tensor, State | None]] = {}  # inputs, first state
    layers = dict(_layers(model))

    def keep(name: str, inputs: Tensor, state: State | None = None) -> None:
        if name in runs:  # called for each position, as with input feeding
            before, state = runs[name]
            inputs = torch.cat([before, inputs], dim=1)
        runs[name] = inputs, state

    with torch.inference_mode():
        hooks = [
            layer.register_forward_pre_hook(lambda _, arguments, name=name: keep(name, *arguments))
            for name, layer in layers.items()
        ]
        try:
            forward(model, batch)
        finally:
            for hook in hooks:
                hook.remove()
        return {
            name: _figures(layer, *runs[name], _is_real(name, batch))
            for name, layer in layers.items()
        }


def _layers(model: EncoderDecoder) -> Iterator[tuple[str, RecurrentLayer]]:
    for number, both in enumerate(model.encoder.layers, 1):
        for way in ("forwards", "backwards"):
            yield f"encoder {number} {way}", getattr(both, way)
    for number, layer in enumerate(model.decoder.layers, 1):
        assert isinstance(layer, RecurrentLayer)
        yield f"decoder {number}", layer


def _is_real(layer: str, batch: Batch) -> Tensor:
    """Return (B, T), true where the input of a layer is not padding."""
    lengths, ids = (
        (batch.src_lengths, batch.src)
        if layer.startswith("encoder")
        else (batch.tgt_lengths, batch.tgt_in)
    )
    return torch.from_numpy(np.arange(ids.shape[1]) < lengths[:, None])


def _figures(
    layer: RecurrentLayer, inputs: Tensor, state: State | None, real: Tensor
) -> dict[str, dict[str, float]]:
    """Measure the gates of a layer on inputs (B, T, X) where `real` (B, T) is true."""
    trace = layer.trace(inputs, state)
    real = real.to(inputs.device)
    if not layer.cell.gates:
        return {"hidden": {"saturated": _mean(trace.hidden[real].abs() > _SATURATED)}}
    gates = {name: getattr(trace, name)[real] for name in layer.cell.gates}
    return {
        name: {
            "mean": _mean(values),
            "open": _mean(values > _OPEN),
            "closed": _mean(values < _CLOSED),
        }
        for name, values in gates.items()
    }


def _mean(values: Tensor) -> float:
    return round(values.double().mean().item(), _DIGITS)
