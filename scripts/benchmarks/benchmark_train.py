"""Measure training steps for `benchmark.py train`: the steps of `Learner`, as in a run."""

import os
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from seq2seq.config.model_config import ModelConfig
from seq2seq.config.recipe import CorpusConfig, Precision, Recipe, TrainingConfig
from seq2seq.corpus.batches import Batch, make_batch, plan_batches
from seq2seq.errors import Seq2SeqError
from seq2seq.training.launcher import run_processes
from seq2seq.training.optimizer_step import Learner, can_use_bfloat16
from seq2seq.training.process_group import ALONE, ProcessGroup, process_group

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}  # matrices of a cell
_RATE = 1e-4


def measure_training(
    rounds: int,
    batch_tokens: int,
    vocabulary_size: int,
    hidden_size: int,
    threads: int,
    bar: Callable[[range], Iterable[int]],
) -> None:
    """Print target tokens a second of `Learner.train_step` in each precision that runs here.

    `bar` shows the progress of the rounds.
    """
    if threads:
        torch.set_num_threads(threads)
    config = ModelConfig(hidden_size=hidden_size)
    batches = _caption_batches(vocabulary_size, batch_tokens)
    tokens = sum(batch.tokens for batch in batches)
    work = sum(_useful_flops(config, vocabulary_size, batch) for batch in batches)
    precisions: list[Precision] = ["float32"]
    if can_use_bfloat16(torch.device("cuda" if torch.cuda.is_available() else "cpu")):
        precisions.append("bfloat16")
    learners = {p: _learner(config, vocabulary_size, p) for p in precisions}
    seconds: dict[str, list[float]] = {p: [] for p in precisions}
    for batch in batches[:3]:
        for precision in precisions:
            learners[precision].train_step(batch, _RATE, step=0)
    for _ in bar(range(rounds)):
        for precision in precisions:
            started = time.perf_counter()
            for batch in batches:
                learners[precision].train_step(batch, _RATE, step=0)
            seconds[precision].append(time.perf_counter() - started)
    padding = sum(batch.padding for batch in batches) / sum(
        batch.src.size + batch.tgt_out.size for batch in batches
    )
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, {len(batches)} batches of "
        f"{batch_tokens} tokens,\nV = {vocabulary_size}, H = {hidden_size}, "
        f"{padding:.0%} padding, medians of {rounds} rounds\n"
    )
    print("precision  target tokens/s  GFLOP/s useful  1024-cube product  share")
    for precision in precisions:
        median = statistics.median(seconds[precision])
        rate, peak = work / median / 1e9, _product_rate(precision)
        print(
            f"{precision:<9}  {tokens / median:15,.0f}  {rate:14.1f}  "
            f"{peak:17.1f}  {rate / peak:5.0%}"
        )


def measure_processes(
    processes: int,
    rounds: int,
    batch_tokens: int,
    vocabulary_size: int,
    hidden_size: int,
    bar: Callable[[range], Iterable[int]],
) -> None:
    """Print target tokens a second of one process and of several, a core each, turn by turn."""
    rates: dict[int, list[float]] = {1: [], processes: []}
    with TemporaryDirectory() as folder:
        for _ in bar(range(rounds)):
            for count, measured in rates.items():
                file = Path(folder, str(count))
                rank = partial(_measure_rank, file, batch_tokens, vocabulary_size, hidden_size)
                if run_processes(count, rank):
                    raise Seq2SeqError("a process of the benchmark failed.")
                measured.append(float(file.read_text()))
    print(f"torch {torch.__version__}, V = {vocabulary_size}, H = {hidden_size}, {rounds} rounds")
    print("processes  target tokens/s, median (all)")
    for count, measured in rates.items():
        each = " ".join(f"{rate:,.0f}" for rate in measured)
        print(f"{count:9}  {statistics.median(measured):,.0f} ({each})")
    ratios = [many / one for one, many in zip(*rates.values(), strict=True)]
    print(f"ratio      {statistics.median(ratios):.2f}")


def _measure_rank(file: Path, batch_tokens: int, vocabulary_size: int, hidden_size: int) -> None:
    """Train on every Nth batch on a core of its own; rank 0 writes tokens a second of all."""
    torch.set_num_threads(1)
    with process_group() as group:
        if hasattr(os, "sched_setaffinity"):
            available = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {available[group.rank % len(available)]})
        config = ModelConfig(hidden_size=hidden_size)
        learner = _learner(config, vocabulary_size, "float32", group)
        batches = _caption_batches(vocabulary_size, batch_tokens)[group.rank :: group.size]
        learner.train_step(batches[0], _RATE, step=0)  # the kernels are prepared, and all are here
        started = time.perf_counter()
        tokens = sum(learner.train_step(batch, _RATE, step=0).tokens for batch in batches)
        if group.is_first:
            file.write_text(str(tokens / (time.perf_counter() - started)))


def _caption_batches(vocabulary_size: int, batch_tokens: int) -> list[Batch]:
    """Make twenty batches of random ids, cut from an epoch of 4,000 pairs."""
    random = np.random.default_rng(1)

    def sentences(mean: float) -> list[list[int]]:
        lengths = np.clip(random.normal(mean, 4, 4000).round(), 4, 40).astype(int)
        return [random.integers(300, vocabulary_size, n).tolist() for n in lengths]

    sources, targets = sentences(14), sentences(13)
    longer = np.maximum([*map(len, sources)], [len(ids) + 1 for ids in targets])
    return [
        make_batch(lines.tolist(), [sources[i] for i in lines], [targets[i] for i in lines])
        for lines in plan_batches(longer, batch_tokens, 1)[:20]
    ]


def _learner(
    config: ModelConfig, vocabulary_size: int, precision: Precision, group: ProcessGroup = ALONE
) -> Learner:
    """Make the learner of a run that has the default settings."""
    corpus = CorpusConfig("en", "de", train="unused", valid="unused")
    recipe = Recipe((corpus,), model=config, training=TrainingConfig(precision=precision))
    return Learner(recipe, vocabulary_size, group=group)


def _useful_flops(config: ModelConfig, vocabulary_size: int, batch: Batch) -> float:
    """Count multiplications and additions of matrix products at real positions, without padding.

    Forward and backward: three products for each one.
    """
    size, gates = config.hidden_size, _GATES[config.cell]
    half = size // 2
    source = config.encoder_layers * 2 * gates * half * (size + half) + 2 * size * size
    target = config.decoder_layers * gates * size * 2 * size  # recurrent layers
    target += 2 * size * size + 2 * size * size  # query and output of the attention; projection
    target += vocabulary_size * size
    attention = 2 * size * float((batch.src_lengths * batch.tgt_lengths).sum())
    return 3 * 2 * (source * float(batch.src_lengths.sum()) + target * batch.tokens + attention)


def _product_rate(precision: Precision) -> float:
    """Measure GFLOP/s of a 1024-cube matrix product, median of 15."""
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    a, b = torch.randn(1024, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return float(2 * 1024**3 / statistics.median(seconds[5:]) / 1e9)
