"""Measure how open the gates of each layer are, at each validation.

Torch's fused layers do not tell what their gates did. But a gate follows from what a layer read and
from its state before that, and both are known once it has run. So the cells of `seq2seq.nn.cells`
compute the gates of all positions in one call, on what a forward pass left behind.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from seq2seq.corpus.batches import Batch, make_batch
from seq2seq.nn.cells import Weights, gru_step, lstm_step
from seq2seq.nn.model import EncoderDecoder
from seq2seq.nn.recurrent import RecurrentLayer
from seq2seq.training.optimizer_step import forward

GateStatistics = Mapping[str, Mapping[str, Mapping[str, float]]]
"""By layer ("encoder 1 forwards", "decoder 2"), by gate, by figure.

Of a gate: its `mean`, and the shares that are `open` (above 0.9) and `closed` (below 0.1), over all
units and tokens. A plain RNN has no gates, and of its `hidden` state the share that is `saturated`
(above 0.9 in size): there tanh lets at most a fifth of the gradient through.
"""

_SENTENCES = 32  # some 100,000 values of a gate, in a model of the usual size
_DIGITS = 4  # so that the last bits of a sum do not show
_OPEN, _CLOSED, _SATURATED = 0.9, 0.1, 0.9


def gate_sample(held_out: Sequence[Sequence[Batch]]) -> Batch | None:
    """Choose a few pairs, spread evenly over each of the held-out texts; the same each time."""
    pairs = [pair for batches in held_out for pair in _spread(batches, len(held_out))]
    if not pairs:
        return None
    sources, targets = zip(*pairs, strict=True)
    return make_batch(range(len(pairs)), sources, targets)


def _spread(batches: Sequence[Batch], texts: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield source and target ids (without EOS) of the pairs sampled from a text."""
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
    runs: dict[str, tuple[Tensor, Tensor, Tensor]] = {}  # inputs, state before each, state after

    def keep(name: str, arguments: tuple[object, ...], outputs: Tensor) -> None:
        inputs, *rest = arguments
        assert isinstance(inputs, Tensor)
        state = rest[0] if rest else None
        first = state[0] if isinstance(state, tuple) else outputs.new_zeros(outputs[:, 0].shape)
        runs[name] = inputs, torch.cat([first.unsqueeze(1), outputs[:, :-1]], dim=1), outputs

    layers = dict(_layers(model))
    with torch.inference_mode():
        hooks = [
            layer.register_forward_hook(
                lambda _, arguments, result, name=name: keep(name, arguments, result[0])
            )
            for name, layer in layers.items()
        ]
        try:
            forward(model, batch)
        finally:
            for hook in hooks:
                hook.remove()
        return {
            name: _figures(layer.fused, runs[name], _is_real(name, batch))
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
    """Mark the positions (B, T) of what a layer reads that are not padding."""
    lengths, ids = (
        (batch.src_lengths, batch.src)
        if layer.startswith("encoder")
        else (batch.tgt_lengths, batch.tgt_in)
    )
    return torch.from_numpy(np.arange(ids.shape[1]) < lengths[:, None])


def _figures(
    fused: nn.RNNBase, run: tuple[Tensor, Tensor, Tensor], real: Tensor
) -> dict[str, dict[str, float]]:
    """Measure the gates of a layer that read inputs (B, T, X) in the states (B, T, H)."""
    inputs, before, after = run
    real = real.to(after.device)
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = Weights(*(getattr(fused, f"{part}_l0") for part in parts))
    gates: dict[str, Tensor] = {}
    if fused.mode == "LSTM":
        # Its gates do not look into the cell, so that may be anything.
        lstm = lstm_step(inputs, before, torch.zeros_like(before), weights)
        gates = {"forget": lstm.forget, "update": lstm.update, "output": lstm.output}
    elif fused.mode == "GRU":
        gru = gru_step(inputs, before, weights)
        gates = {"reset": gru.reset, "update": gru.update}
    else:
        return {"hidden": {"saturated": _mean(after[real].abs() > _SATURATED)}}
    return {
        name: {
            "mean": _mean(values[real]),
            "open": _mean(values[real] > _OPEN),
            "closed": _mean(values[real] < _CLOSED),
        }
        for name, values in gates.items()
    }


def _mean(values: Tensor) -> float:
    return round(values.double().mean().item(), _DIGITS)
