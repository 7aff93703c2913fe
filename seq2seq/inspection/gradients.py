"""Measure the vanishing gradient, and what it costs (needs torch).

Gradients: how much does the loss at the end of a sequence still depend on an input some steps
before it? A derivative over distance d is a product of d factors, one for each step. If these are
below 1, the dependence decays exponentially, and with it the gradient that could have taught the
cell to remember (Hochreiter 1991; Bengio et al. 1994).

The loss is that of a single answer, after the last step, and the answer is drawn at random. By the
chain rule, d loss / d x_t = (p - y) R d h_T / d x_t, with the readout R, the answer y and the
softmax p. With the right answer, p - y would be close to 0 in a cell that has learnt the task, and
its curve would be low however much it remembers. With a random answer, p - y is of similar size in
all cells, trained or not.

Memory: the same cells are trained on a task that needs nothing but memory. The cell reads a symbol,
then blanks (or distractors: more of the same symbols), then a mark, at which it has to recall the
first symbol. For each delay, a new cell is trained for a limited number of steps; it fails if no
gradient reaches the symbol.

All random numbers come from the seed, and everything runs on one thread, so the results can be
repeated. A single seed may be lucky, so several can be measured, each with its own weights,
sequences and answers.
"""

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.config.model_config import Cell
from seq2seq.nn.recurrent import RecurrentLayer

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """A cell and the initialisation of its weights.

    Weights are drawn from U(-1 / sqrt(H), 1 / sqrt(H)), torch's default, so that cells differ only
    in their equations. With `orthogonal`, they are initialised as in `RecurrentLayer`, with
    orthogonal recurrent weights, which preserve lengths. `bias` is the initial bias of the gate
    that keeps the past: the forget gate of an LSTM or the update gate of a GRU. Both are the second
    block of torch's parameters.
    """

    name: str
    cell: Cell
    orthogonal: bool = False
    bias: float = 0.0


VARIANTS = (
    Variant("RNN", "rnn"),
    Variant("RNN, orthogonal", "rnn", orthogonal=True),
    Variant("GRU, update bias 0", "gru"),
    Variant("GRU, update bias 3", "gru", bias=3.0),
    Variant("LSTM, forget bias 0", "lstm"),
    Variant("LSTM, forget bias 1", "lstm", bias=1.0),
    Variant("LSTM, forget bias 3", "lstm", bias=3.0),
)


@dataclass(frozen=True)
class GradientSettings:
    """What is measured, and how long each cell is trained."""

    hidden_size: int = 32
    symbols: int = 8
    distance: int = 100  # D, the longest distance over which the gradient is measured
    delays: tuple[int, ...] = (5, 10, 20, 40, 80, 160)
    distractors: bool = False  # symbols to be ignored, instead of blanks
    steps: int = 600  # of training for each delay, at most
    batch_size: int = 32
    learning_rate: float = 0.005
    learnt: float = 0.95  # the accuracy at which a delay counts as learnt
    seeds: tuple[int, ...] = (1,)


@dataclass(frozen=True, eq=False)
class GradientCurve:
    """How much the loss at the end depends on the input, at each distance before the end."""

    variant: str
    seed: int
    trained_delay: int | None  # the longest delay that the cell has learnt; None: not trained
    norms: Floats  # (D + 1,) for distances 0 to D, see `gradient_norms`

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        return {**asdict(self), "norms": self.norms.tolist()}


@dataclass(frozen=True)
class MemoryResult:
    """The result of training one cell with one delay, from one seed."""

    variant: str
    seed: int
    delay: int
    accuracy: float
    steps: int  # fewer than allowed if the loss was already close to 0


@dataclass(frozen=True, eq=False)
class GradientReport:
    """Everything that was measured."""

    settings: GradientSettings
    curves: tuple[GradientCurve, ...]
    memory: tuple[MemoryResult, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of the cells."""
        return tuple(dict.fromkeys(curve.variant for curve in self.curves))

    def norms(self, variant: str, *, trained: bool) -> Floats:
        """Return the norms (N, D + 1) of the N seeds; if trained, only seeds that have learnt."""
        rows = [
            curve.norms
            for curve in self.curves
            if curve.variant == variant and (curve.trained_delay is not None) == trained
        ]
        return np.array(rows).reshape(-1, self.settings.distance + 1)

    @property
    def inner_distances(self) -> tuple[int, int]:
        """The distances, near and far, that `factor_per_step` compares: a tenth from either end."""
        tenth = self.settings.distance // 10
        return tenth, self.settings.distance - tenth

    def factor_per_step(self, variant: str, seed: int, *, trained: bool) -> float | None:
        """Return the factor by which a step shrinks the gradient; None if there is no such curve.

        It is the geometric mean over the steps between the inner distances:
        (norm far / norm near) ** (1 / steps between).
        """
        near, far = self.inner_distances
        for curve in self.curves:
            is_trained = curve.trained_delay is not None
            if (curve.variant, curve.seed, is_trained) == (variant, seed, trained):
                return float((curve.norms[far] / curve.norms[near]) ** (1 / (far - near)))
        return None

    def limits(self, variant: str, seed: int) -> tuple[int | None, int | None]:
        """Return the longest delay learnt and the shortest not learnt; either may be None."""
        results = [
            result for result in self.memory if (result.variant, result.seed) == (variant, seed)
        ]
        learnt = [result.delay for result in results if result.accuracy >= self.settings.learnt]
        failed = [result.delay for result in results if result.accuracy < self.settings.learnt]
        return max(learnt, default=None), min(failed, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        return {
            "settings": asdict(self.settings),
            "curves": [curve.to_json() for curve in self.curves],
            "memory": [asdict(result) for result in self.memory],
        }


def measure(
    settings: GradientSettings,
    variants: Sequence[Variant] = VARIANTS,
    on_result: Callable[[MemoryResult], object] = lambda _: None,
) -> GradientReport:
    """Measure each variant and seed: initial gradients, memory at each delay, trained gradients.

    Delays grow until one is not learnt. The gradients after training are those of the cell with the
    longest delay learnt. `on_result` is called after each training.
    """
    curves: list[GradientCurve] = []
    memory: list[MemoryResult] = []
    with _repeatable():
        for seed, variant in itertools.product(settings.seeds, variants):
            curves.append(_curve(CopyMemoryModel(variant, settings, seed), None))
            learnt: CopyMemoryModel | None = None
            for delay in settings.delays:
                model = CopyMemoryModel(variant, settings, seed)
                memory.append(model.learn(delay))
                on_result(memory[-1])
                if memory[-1].accuracy < settings.learnt:
                    break
                learnt, longest = model, delay
            if learnt is not None:
                curves.append(_curve(learnt, longest))
    return GradientReport(settings, tuple(curves), tuple(memory))


class CopyMemoryModel(nn.Module):
    """A recurrent layer, with a readout that scores the symbols."""

    def __init__(self, variant: Variant, settings: GradientSettings, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.variant, self.settings, self.seed = variant, settings, seed
        size = settings.hidden_size
        self.layer = RecurrentLayer(variant.cell, settings.symbols + 2, size)
        self.readout = nn.Linear(size, settings.symbols)
        if not variant.orthogonal:
            for parameter in self.layer.parameters():
                nn.init.uniform_(parameter, -(size**-0.5), size**-0.5)
        if variant.cell != "rnn":
            self.layer.fused.bias_ih_l0.data[size : 2 * size] = variant.bias
            self.layer.fused.bias_hh_l0.data[size : 2 * size] = 0.0

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the scores (B, A) of the A symbols after the last step of inputs (B, T, X)."""
        outputs, _ = self.layer(inputs)
        scores: Tensor = self.readout(outputs[:, -1])
        return scores

    def learn(self, delay: int) -> MemoryResult:
        """Train until the loss is close to 0 or all steps are taken; then measure accuracy."""
        settings = self.settings
        random = torch.Generator().manual_seed(self.seed)
        optimizer = torch.optim.Adam(self.parameters(), settings.learning_rate)
        steps, last = 0, np.inf
        while steps < settings.steps and last > 0.01:
            inputs, answers = recall_task(settings, delay, settings.batch_size, random)
            loss = functional.cross_entropy(self(inputs), answers)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.parameters(), 1.0)
            optimizer.step()
            steps, last = steps + 1, loss.item()
        with torch.no_grad():
            inputs, answers = recall_task(settings, delay, 1000, random)
            accuracy = (self(inputs).argmax(dim=-1) == answers).double().mean().item()
        return MemoryResult(self.variant.name, self.seed, delay, accuracy, steps)


def recall_task(
    settings: GradientSettings, delay: int, number: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw B = `number` sequences (B, T, X), T = delay + 2; return them and their symbols (B,).

    A sequence is a symbol, blanks or distractors for the delay, and the mark. X is one-hot: the A
    symbols, the blank, the mark.
    """
    symbols = settings.symbols
    answers = torch.randint(symbols, (number, 1), generator=random)
    between = torch.full((number, delay), symbols)
    if settings.distractors:
        between = torch.randint(symbols, (number, delay), generator=random)
    marks = torch.full((number, 1), symbols + 1)
    ids = torch.cat([answers, between, marks], dim=1)  # (B, T)
    return functional.one_hot(ids, symbols + 2).float(), answers.squeeze(1)


def gradient_norms(model: CopyMemoryModel, inputs: Tensor, answers: Tensor) -> Floats:
    """Return |d loss / d x_t| by the distance T - t, as the root mean square over the batch.

    Takes inputs (B, T, X) and the answers (B,) whose loss is computed after the last step. Returns
    (T,), the norm of the last input first.
    """
    inputs = inputs.detach().requires_grad_()
    loss = functional.cross_entropy(model(inputs), answers, reduction="sum")
    [gradients] = torch.autograd.grad(loss, inputs)  # (B, T, X)
    norms: Floats = gradients.pow(2).sum(dim=-1).mean(dim=0).sqrt().flip(0).numpy()
    return norms


def _curve(model: CopyMemoryModel, trained_delay: int | None) -> GradientCurve:
    """Measure one curve with random answers, in float64, since gradients become very small."""
    settings = model.settings
    random = torch.Generator().manual_seed(model.seed)
    inputs, _ = recall_task(settings, settings.distance - 1, 64, random)  # T = D + 1
    answers = torch.randint(settings.symbols, (64,), generator=random)
    norms = gradient_norms(copy.deepcopy(model).double(), inputs.double(), answers)
    return GradientCurve(model.variant.name, model.seed, trained_delay, norms)


@contextmanager
def _repeatable() -> Iterator[None]:
    """Use one thread, so that sums have a fixed order; restore torch's random state afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):  # each `CopyMemoryModel` seeds it
            yield
    finally:
        torch.set_num_threads(threads)
