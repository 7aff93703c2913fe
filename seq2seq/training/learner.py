"""What learns, batch by batch: weights, their moving average, optimizer, random numbers."""

import copy
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from seq2seq.config.model_config import ModelConfig
from seq2seq.config.recipe import Recipe
from seq2seq.corpus.batches import Batch
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.nn.model import EncoderDecoder
from seq2seq.training.checkpoint import optimizer_tensors, restore_optimizer
from seq2seq.training.loss import smoothed_cross_entropy
from seq2seq.training.run_dir import load_weights
from seq2seq.training.step import autocast, can_use_bfloat16, forward, halves, uses_bfloat16

_BYTES_A_PARAMETER = 5 * 4  # weight, gradient, two moments, average


@dataclass(frozen=True)
class Learnt:
    """What came of one batch. Losses are sums over its tokens."""

    loss: float
    nll: float
    norm: float  # of the gradient
    tokens: int
    parts: int  # in which it was learnt; more than 1 where memory did not suffice
    left_out: tuple[int, ...]  # numbers of the pairs that did not fit even alone

    @property
    def loss_of_a_token(self) -> float:
        """The mean."""
        return self.loss / max(1, self.tokens)

    @property
    def is_finite(self) -> bool:
        """Whether it is of any use."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


def require_memory(model: ModelConfig, vocabulary_size: int) -> None:
    """Raises `UsageError` where a model cannot be trained in the memory that the machine has.

    The system would give the memory, and end the process when it is used.
    """
    with torch.device("meta"):
        parameters = sum(one.numel() for one in EncoderDecoder(model, vocabulary_size).parameters())
    needed = parameters * _BYTES_A_PARAMETER
    if hasattr(os, "sysconf"):  # but for Windows
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needed > installed:
            raise UsageError(
                f"the model has {parameters:,} parameters and takes {needed / 1e9:,.0f} GB to "
                f"train, but this machine has {installed / 1e9:,.0f} GB; lower model.hidden_size, "
                "the layers or tokenizer.vocabulary_size."
            )


class Learner:
    """Everything with tensors in it. As it is made, it is the start of the run.

    With `fine_tunes` that is `start_from` weights that have been trained before.
    """

    def __init__(self, recipe: Recipe, vocabulary_size: int, fine_tunes: bool = False) -> None:
        settings = recipe.training
        self._settings = settings
        self._fine_tunes = fine_tunes
        if settings.threads:
            torch.set_num_threads(settings.threads)
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
            word_dropout=settings.word_dropout,
        ).to(self.device)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self._optimizer = torch.optim.AdamW(
            _parameter_groups(self.model, settings.weight_decay), betas=(0.9, 0.98), fused=True
        )

    def start_from(self, weights: Mapping[str, Tensor], where: Path) -> None:
        """Begin with these weights; raises `Seq2SeqError` naming `where` they come from."""
        load_weights(self.model, weights, where)
        load_weights(self.average, weights, where)

    @property
    def arithmetic(self) -> str:
        """Device, precision and threads: results are the same to the byte on these."""
        low = uses_bfloat16(self.device, self._settings.precision)
        name = f"{self.device.type}, {'bfloat16' if low else 'float32'}"
        if self.device.type == "cpu":
            name += f", {torch.get_num_threads()} threads"
        return name

    @property
    def parameters(self) -> int:
        """How many numbers are learnt."""
        return sum(weight.numel() for weight in self.model.parameters())

    def learn(self, batch: Batch, rate: float, step: int, sampled_words: int = 0) -> Learnt:
        """Take one optimizer step after `step` others; none where the loss is not finite.

        `sampled_words` are as `smoothed_cross_entropy` has them.

        Where a GPU's memory does not suffice for the batch, it is learnt in parts, whose gradients
        are summed: the same step but for dropout.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        parts, left_out = [batch], []
        while isinstance(sums := self._add_gradients(parts, sampled_words), int):
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            too_large = parts.pop(sums)
            if len(too_large.lines) == 1:
                left_out.append(int(too_large.lines[0]))
            else:
                parts[sums:sums] = halves(too_large)
        clipped = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._settings.clip_norm)
        tokens = sum(part.tokens for part in parts)
        learnt = Learnt(*sums, clipped.item(), tokens, len(parts), tuple(left_out))
        if learnt.is_finite and parts:
            self._optimizer.step()
            self._update_average(step)
        return learnt

    def _add_gradients(
        self, parts: Sequence[Batch], sampled_words: int
    ) -> tuple[float, float] | int:
        """Gradients of the mean over all tokens; loss and likelihood, summed.

        Or the number of the part that memory does not suffice for. No gradient is of use then.
        """
        self._optimizer.zero_grad(set_to_none=True)
        tokens = sum(part.tokens for part in parts)
        total = likelihood = 0.0
        for number, part in enumerate(parts):
            try:
                with autocast(self.device, self._settings.precision):
                    readout, targets = forward(self.model, part)
                    loss, nll = smoothed_cross_entropy(
                        readout,
                        self.model.embedding.weight,
                        self.model.output_bias,
                        targets,
                        self._settings.label_smoothing,
                        sampled_words,
                    )
                torch.autograd.backward(loss / tokens)
            except torch.OutOfMemoryError:
                return number
            total += loss.item()
            likelihood += nll.item()
        return total, likelihood

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        decay = self._settings.ema_decay
        if not self._fine_tunes:
            # A short memory at first: the average of a young model must not be its random start.
            # One that is fine-tuned is better for some of its start: it forgets less.
            decay = min(decay, (1 + step) / (10 + step))
        for mean, weight in zip(self.average.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)

    def is_finite(self) -> bool:
        """Whether all weights are."""
        return all(bool(weight.isfinite().all()) for weight in self.model.parameters())

    def tensors(self) -> dict[str, Tensor]:
        """All that `restore` needs."""
        tensors = {"random": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["random_cuda"] = torch.cuda.get_rng_state()
        for part, named in (
            ("model", self.model.state_dict()),
            ("average", self.average.state_dict()),
            ("optimizer", optimizer_tensors(self._optimizer)),
        ):
            tensors |= {f"{part}/{name}": tensor for name, tensor in named.items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor], where: Path) -> None:
        """Put back what `tensors` gave; raises `Seq2SeqError` naming `where` it comes from."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        rest = dict(tensors)
        try:
            random, random_cuda = rest.pop("random"), rest.pop("random_cuda", None)
            for key, tensor in rest.items():
                part, _, name = key.partition("/")
                parts[part][name] = tensor
        except KeyError as error:
            raise Seq2SeqError(f"{where}: not a checkpoint of a run: {error}.") from None
        load_weights(self.model, parts["model"], where)
        load_weights(self.average, parts["average"], where)
        restore_optimizer(self._optimizer, parts["optimizer"])
        torch.set_rng_state(random)
        if random_cuda is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(random_cuda)


def _parameter_groups(model: EncoderDecoder, weight_decay: float) -> list[dict[str, object]]:
    """Matrices decay, biases and norms do not."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
