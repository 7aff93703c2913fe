"""One optimizer step: a batch through the network, loss, gradients, weights, moving average.

Teacher forcing: the decoder reads the reference shifted by one token, and learns to predict it.
"""

import copy
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seq2seq.config.model_config import ModelConfig
from seq2seq.config.recipe import Optimizer, Precision, Recipe, Schedule
from seq2seq.corpus.batches import Batch
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.nn.cells import CellType
from seq2seq.nn.model import EncoderDecoder
from seq2seq.process_pool import cores
from seq2seq.training.loss import smoothed_cross_entropy, symmetric_divergence
from seq2seq.training.process_group import ALONE, ProcessGroup
from seq2seq.training.run_dir import load_weights

_BYTES_A_PARAMETER = 5 * 4  # weight, gradient, two moments, moving average
_EMA = "average"  # prefix of the moving average's tensors in a checkpoint


@dataclass(frozen=True)
class StepResult:
    """The result of a training step over all ranks. Losses are sums over its tokens."""

    loss: float
    nll: float
    norm: float  # of the gradient
    tokens: int
    padding: int  # padded positions
    positions: int  # padding included
    parts: int
    was_split: bool  # a batch did not fit into memory, and its gradients were accumulated
    left_out: tuple[int, ...]  # numbers of the pairs that did not fit even alone

    @property
    def loss_of_a_token(self) -> float:
        """The mean loss per token."""
        return self.loss / max(1, self.tokens)

    @property
    def is_finite(self) -> bool:
        """Whether loss and gradient norm are finite."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


class Learner:
    """The model, its moving average (EMA), the optimizer and the random state.

    A new one has random weights until `start_from` is called. `fine_tunes` tells that it will be,
    or was, at the beginning of the run.
    """

    def __init__(
        self,
        recipe: Recipe,
        vocabulary_size: int,
        fine_tunes: bool = False,
        own_cell: CellType | None = None,
        group: ProcessGroup = ALONE,
    ) -> None:
        """Make a model; raise `UsageError` if this machine cannot train it in that precision."""
        settings = recipe.training
        _require_memory(recipe.model, vocabulary_size, own_cell)
        self._settings = settings
        self._fine_tunes = fine_tunes
        self._group = group
        if settings.threads:
            torch.set_num_threads(settings.threads)
        elif group.local_size > 1:
            # The processes together get no more threads than cores; `torchrun` asks for one each.
            share = max(1, cores() // group.local_size)
            torch.set_num_threads(min(torch.get_num_threads(), share))
        torch.manual_seed(settings.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if settings.precision == "bfloat16" and not can_use_bfloat16(self.device):
            raise UsageError(
                "training.precision is 'bfloat16', which this processor does not compute; set it "
                "to 'auto'."
            )
        self.model = EncoderDecoder(
            recipe.model,
            vocabulary_size,
            dropout=settings.dropout,
            embedding_dropout=settings.word_dropout,
            tied_dropout=settings.variational_dropout,
            weight_drop=settings.weight_drop,
            own_cell=own_cell,
        ).to(self.device)
        self.ema = copy.deepcopy(self.model).eval().requires_grad_(False)
        self._optimizer = _make_optimizer(
            settings.optimizer, _parameter_groups(self.model, settings.weight_decay)
        )

    def start_from(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Begin with these weights; raise a `Seq2SeqError` naming `path` if they do not fit."""
        load_weights(self.model, weights, path)
        load_weights(self.ema, weights, path)

    @property
    def compute(self) -> str:
        """Device, precision, threads and processes: with the same, runs are equal to the byte."""
        low = uses_bfloat16(self.device, self._settings.precision)
        name = f"{self.device.type}, {'bfloat16' if low else 'float32'}"
        if self.device.type == "cpu":
            name += f", {torch.get_num_threads()} threads"
        if self._group.size > 1:
            name += f", {self._group.size} processes"
        return name

    @property
    def parameters(self) -> int:
        """The number of trained parameters."""
        return sum(weight.numel() for weight in self.model.parameters())

    def train_step(
        self, batch: Batch | None, rate: float, step: int, sampled_words: int = 0
    ) -> StepResult:
        """Train on a batch; `step` is the number of steps before it.

        The weights stay as they are if the loss is not finite. Each rank has its own batch, or
        None at the end of a buffer; apart from dropout, the step is the same as one process would
        make with all of these as one batch. `sampled_words` is for `smoothed_cross_entropy`.

        A batch that does not fit into a GPU's memory is split, and the gradients of its parts are
        accumulated, which is also the same apart from dropout.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        if self._group.size > 1:  # else all ranks have the same dropout, and only one is saved
            random = np.random.SeedSequence((self._settings.seed, step, self._group.rank))
            torch.manual_seed(int(random.generate_state(1)[0]))
        parts, left_out = [batch] if batch else [], list[int]()
        while isinstance(sums := self._accumulate_gradients(parts, sampled_words), int):
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            too_large = parts.pop(sums)
            if len(too_large.lines) == 1:
                left_out.append(int(too_large.lines[0]))
            else:
                parts[sums:sums] = halves(too_large)
        own_tokens = sum(part.tokens for part in parts)
        loss, nll, tokens, padding, positions, number, splits = self._group.sum(
            *sums,
            own_tokens,
            batch.padding if batch else 0,
            batch.positions if batch else 0,
            len(parts),
            len(parts) != (batch is not None),
        )
        if splits:
            left_out = [pair for pairs in self._group.gather(left_out) for pair in pairs]
        self._group.average_gradients(self.model.parameters(), own_tokens / max(1, tokens))
        clipped = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._settings.clip_norm)
        result = StepResult(
            loss,
            nll,
            clipped.item(),
            int(tokens),
            int(padding),
            int(positions),
            int(number),
            splits > 0,
            tuple(left_out),
        )
        if result.is_finite and tokens:
            self._optimizer.step()
            self._update_ema(step)
        return result

    def _accumulate_gradients(
        self, parts: Sequence[Batch], sampled_words: int
    ) -> tuple[float, float] | int:
        """Compute the gradient of the mean loss; return the summed loss and log-likelihood.

        If a part does not fit into memory, return its number; the gradients are then incomplete.
        """
        self._optimizer.zero_grad(set_to_none=True)
        tokens = sum(part.tokens for part in parts)
        total_loss = total_nll = 0.0
        for number, part in enumerate(parts):
            try:
                with autocast(self.device, self._settings.precision):
                    loss, nll = self._loss(part, sampled_words)
                torch.autograd.backward(loss / tokens)
            except torch.OutOfMemoryError:
                return number
            total_loss += loss.item()
            total_nll += nll.item()
        return total_loss, total_nll

    def _loss(self, batch: Batch, sampled_words: int) -> tuple[Tensor, Tensor]:
        """Return the loss and the nll, summed over the positions of a batch.

        With alpha = `training.r_drop`, the batch runs twice with different dropout, and the loss is
        the mean of both plus alpha / 2 times their `symmetric_divergence`. This is half of equation
        4 of R-Drop (Liang et al. 2021), so that a step is as large as without it.
        """
        softmax = self.model.embedding.weight, self.model.output_bias
        alpha, smoothing = self._settings.r_drop, self._settings.label_smoothing
        readout, targets = forward(self.model, batch)
        loss, nll = smoothed_cross_entropy(readout, *softmax, targets, smoothing, sampled_words)
        if alpha == 0:
            return loss, nll
        again, _ = forward(self.model, batch)
        loss_again, nll_again = smoothed_cross_entropy(again, *softmax, targets, smoothing)
        divergence = symmetric_divergence(readout, again, *softmax)
        return (loss + loss_again + alpha * divergence) / 2, (nll + nll_again) / 2

    @torch.no_grad()
    def _update_ema(self, step: int) -> None:
        decay = self._settings.ema_decay
        if not self._fine_tunes:
            # Forget fast at first, so that the average soon leaves the random start behind.
            # When fine-tuning, the start is worth remembering.
            decay = min(decay, (1 + step) / (10 + step))
        for mean, weight in zip(self.ema.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)

    def is_finite(self) -> bool:
        """Return whether all weights are finite."""
        return all(bool(weight.isfinite().all()) for weight in self.model.parameters())

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that `restore` needs."""
        tensors = {"random": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["random_cuda"] = torch.cuda.get_rng_state()
        for prefix, part in (
            ("model", self.model.state_dict()),
            (_EMA, self.ema.state_dict()),
            ("optimizer", _optimizer_tensors(self._optimizer)),
        ):
            tensors |= {f"{prefix}/{name}": tensor for name, tensor in part.items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor], path: Path) -> None:
        """Restore what `tensors` returned; raise a `Seq2SeqError` naming `path` if bad."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, _EMA: {}, "optimizer": {}}
        named = dict(tensors)
        try:
            random, random_cuda = named.pop("random"), named.pop("random_cuda", None)
            for key, tensor in named.items():
                prefix, _, name = key.partition("/")
                parts[prefix][name] = tensor
        except KeyError as error:
            raise Seq2SeqError(f"{path}: not a checkpoint of a run: {error}.") from None
        load_weights(self.model, parts["model"], path)
        load_weights(self.ema, parts[_EMA], path)
        _restore_optimizer(self._optimizer, parts["optimizer"])
        torch.set_rng_state(random)
        if random_cuda is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(random_cuda)


def averaged_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the moving average of the weights from the tensors of a checkpoint."""
    prefix = f"{_EMA}/"
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def learning_rate(
    schedule: Schedule, peak: float, step: int, warmup_steps: int, progress: float
) -> float:
    """Warm up linearly over `warmup_steps` steps, then follow `schedule`.

    `progress` in [0, 1] is the finished share of the run; with `cosine` (Loshchilov & Hutter 2017)
    and `linear`, the rate falls to 0 as it reaches 1. It is used rather than a step count, since
    with subword sampling the number of batches differs between epochs. `inverse_square_root` falls
    with the number of steps (Vaswani et al. 2017), and `constant` stays. With `plateau`, `peak`
    itself is lowered when validations stop improving.
    """
    warmup = min(1.0, (step + 1) / max(1, warmup_steps))
    match schedule:
        case "cosine":
            decay = (1 + math.cos(math.pi * progress)) / 2
        case "linear":
            decay = 1 - progress
        case "inverse_square_root":
            decay = math.sqrt(max(1, warmup_steps) / max(1, warmup_steps, step + 1))
        case "constant" | "plateau":
            decay = 1.0
    return peak * warmup * decay


def forward(model: EncoderDecoder, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the readout (P, H) and the target id (P,) at each of the P real target positions."""
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
    """Split a batch in two, each half padded only as much as it needs."""
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
    """Return the context in which products use bfloat16 if `precision` says so.

    `auto` uses bfloat16 if the processor multiplies it natively, since it is faster then; see
    `scripts/benchmarks/benchmark.py train`. Weights, sums and the optimizer stay in float32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(device, precision))


def uses_bfloat16(device: torch.device, precision: Precision) -> bool:
    """Return whether products use bfloat16 on `device`."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def can_use_bfloat16(device: torch.device) -> bool:
    """Return whether an LSTM runs in bfloat16 on `device`; older processors have no kernel."""
    if device.type != "cpu":
        return True
    try:
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
            torch.nn.LSTM(8, 8)(torch.zeros(1, 1, 8))
    except RuntimeError:
        return False
    return True


def _require_memory(model: ModelConfig, vocabulary_size: int, own_cell: CellType | None) -> None:
    """Raise `UsageError` if the machine does not have the memory to train a model.

    Otherwise the system would grant the memory, and kill the process when it is used.
    """
    with torch.device("meta"):
        weights = EncoderDecoder(model, vocabulary_size, own_cell=own_cell).parameters()
        parameters = sum(weight.numel() for weight in weights)
    needed = parameters * _BYTES_A_PARAMETER
    if hasattr(os, "sysconf"):  # Windows has none
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needed > installed:
            raise UsageError(
                f"the model has {parameters:,} parameters and takes {needed / 1e9:,.0f} GB to "
                f"train, but this machine has {installed / 1e9:,.0f} GB; lower model.hidden_size, "
                "the layers or tokenizer.vocabulary_size."
            )


def _make_optimizer(name: Optimizer, groups: list[dict[str, object]]) -> torch.optim.Optimizer:
    """Make an optimizer; for Adam and SGD, weight decay is part of the gradient (L2)."""
    match name:
        case "adamw":
            return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
        case "adam":
            return torch.optim.Adam(groups, betas=(0.9, 0.98), fused=True)
        case "sgd":
            return torch.optim.SGD(groups, fused=True)


def _parameter_groups(model: EncoderDecoder, weight_decay: float) -> list[dict[str, object]]:
    """Apply weight decay to matrices, but not to biases and norms."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's moments, named `NUMBER.NAME` by the number of the parameter."""
    return {
        f"{number}.{name}": value
        for number, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
    }


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
