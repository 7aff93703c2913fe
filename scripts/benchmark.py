"""How fast things are here, and how that was measured.

`python scripts/benchmark.py train` measures training steps, in float32 and bfloat16 by turns;
`python scripts/benchmark.py translate` measures the model that ships, or another one.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.progress import track

from seq2seq.batching import Batch, make_batch, plan_epoch
from seq2seq.config import ModelConfig, Precision, TrainingConfig
from seq2seq.corpus import read_lines
from seq2seq.nn.model import EncoderDecoder
from seq2seq.training.loss import smoothed_cross_entropy
from seq2seq.training.step import autocast, forward
from seq2seq.translator import SHIPPED_MODEL, Translator

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

SENTENCES = Path("data/sample/test.en")
_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@app.callback()
def _commands() -> None:
    """Benchmarks; each prints its figures and how they were measured."""


@app.command()
def train(
    rounds: Annotated[int, typer.Option(help="Epochs over the batches, each precision.")] = 5,
    batch_tokens: Annotated[int, typer.Option(help="Budget of a batch.")] = 2500,
    vocabulary_size: Annotated[int, typer.Option(help="V, subwords.")] = 6000,
    hidden_size: Annotated[int, typer.Option(help="H.")] = 256,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 takes all.")] = 0,
) -> None:
    """Target tokens a second of whole training steps: forward, loss, backward, clip, AdamW.

    The pairs are random ids with the lengths of image captions (13 to 14 subwords a side,
    deviation 4), dropout 0.3, word dropout 0.1, label smoothing 0.1, 2 + 2 layers.
    Each round runs the same 20 batches in float32 and in bfloat16; the figures are medians over
    the rounds.
    """
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(1)
    config = ModelConfig(hidden_size=hidden_size)
    batches = _caption_batches(vocabulary_size, batch_tokens)
    tokens = sum(batch.tokens for batch in batches)
    work = sum(_useful_flops(config, vocabulary_size, batch) for batch in batches)
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    trainers = {p: _steps(config, vocabulary_size, p) for p in precisions}
    seconds: dict[str, list[float]] = {p: [] for p in precisions}
    for batch in batches[:3]:
        for precision in precisions:
            trainers[precision](batch)
    for _ in track(range(rounds), "training", transient=True):
        for precision in precisions:
            started = time.perf_counter()
            for batch in batches:
                trainers[precision](batch)
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


@app.command()
def translate(
    model: Annotated[Path, typer.Option(help="A model folder.")] = SHIPPED_MODEL,
    text: Annotated[Path, typer.Option(help="Sentences, one a line.")] = SENTENCES,
    rounds: Annotated[int, typer.Option(help="Rounds over the sentences.")] = 3,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Time to load a model, time for a sentence alone, and sentences a second side by side.

    Each sentence is translated alone, then all together, with beam 1 and 5 by turns; the figures
    are medians over all sentences and rounds.
    """
    started = time.perf_counter()
    translator = Translator(model, threads)
    translator.translate(["Hello!"])
    loading = time.perf_counter() - started
    sentences = read_lines(text)
    alone: dict[int, list[float]] = {1: [], 5: []}
    together: dict[int, list[float]] = {1: [], 5: []}
    for _ in track(range(rounds), "translating", transient=True):
        for beam_size in (1, 5):
            translator.search = replace(translator.search, beam_size=beam_size)
            for sentence in sentences:
                alone[beam_size].append(_seconds(partial(translator.translate, [sentence])))
            together[beam_size].append(_seconds(partial(translator.translate, sentences)))
    print(
        f"{threads} threads, {len(sentences)} sentences, medians of {rounds} rounds\n"
        f"load and first sentence: {loading * 1e3:.0f} ms (imports not counted)\n\n"
        "beam  one sentence  together"
    )
    for beam_size in (1, 5):
        one = statistics.median(alone[beam_size]) * 1e3
        rate = len(sentences) / statistics.median(together[beam_size])
        print(f"{beam_size:4}  {one:9.2f} ms  {rate:,.0f} sentences/s")


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _caption_batches(vocabulary_size: int, batch_tokens: int) -> list[Batch]:
    """Twenty batches of random ids, cut from an epoch of 4,000 pairs."""
    random = np.random.default_rng(1)

    def sentences(mean: float) -> list[list[int]]:
        lengths = np.clip(random.normal(mean, 4, 4000).round(), 4, 40).astype(int)
        return [random.integers(300, vocabulary_size, n).tolist() for n in lengths]

    sources, targets = sentences(14), sentences(13)
    plan = plan_epoch(sources, targets, batch_tokens, seed=1, epoch=0)
    return [make_batch(lines.tolist(), sources, targets) for lines in plan[:20]]


def _steps(
    config: ModelConfig, vocabulary_size: int, precision: Precision
) -> Callable[[Batch], None]:
    settings = TrainingConfig(precision=precision)
    model = EncoderDecoder(
        config, vocabulary_size, dropout=settings.dropout, word_dropout=settings.word_dropout
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step(batch: Batch) -> None:
        with autocast(torch.device("cpu"), precision):
            readout, targets = forward(model, batch)
            loss, _ = smoothed_cross_entropy(
                readout,
                model.embedding.weight,
                model.output_bias,
                targets,
                settings.label_smoothing,
            )
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss / batch.tokens)
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()

    return step


def _useful_flops(config: ModelConfig, vocabulary_size: int, batch: Batch) -> float:
    """Multiplications and additions of the matrix products at real positions, without padding.

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
    """GFLOP/s of a 1024-cube matrix product, median of 15."""
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    a, b = torch.randn(1024, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return float(2 * 1024**3 / statistics.median(seconds[5:]) / 1e9)


if __name__ == "__main__":
    app()
