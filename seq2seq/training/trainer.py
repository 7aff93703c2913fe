"""The training loop: teacher forcing, validation, checkpoints, resumption."""

import copy
import json
import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor

from seq2seq.batching import Batch, make_batch, plan_epoch
from seq2seq.config import Recipe, to_table
from seq2seq.corpus import Corpus, ParallelText, prepare
from seq2seq.decoding.torch_engine import TorchEngine
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.nn.model import EncoderDecoder
from seq2seq.tokenizer import Tokenizer, normalise_source
from seq2seq.training.checkpoint import (
    Position,
    last_checkpoint,
    load_checkpoint,
    optimizer_tensors,
    prune_checkpoints,
    restore_optimizer,
    save_checkpoint,
    save_tensors,
)
from seq2seq.training.display import Display
from seq2seq.training.loss import smoothed_cross_entropy
from seq2seq.training.pairs import TrainingPairs, encode_pairs, fingerprint
from seq2seq.training.run import RunFolder, load_weights
from seq2seq.training.schedule import learning_rate
from seq2seq.training.step import autocast, forward, uses_bfloat16
from seq2seq.training.validation import Validation, validate
from seq2seq.translator import Translator

_ROW_STEPS = 50  # steps between two rows of metrics.jsonl


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended."""

    best_bleu: float
    interrupted: bool


def train(recipe: Recipe, path: Path, display: Display, *, resume: bool = False) -> Outcome:
    """Train the model that `recipe` describes in the run folder `path`.

    With `resume` an earlier run of the same recipe goes on from its last checkpoint. Ctrl-C and
    SIGTERM save a checkpoint and return.
    """
    if resume:
        run = RunFolder.open(path)
        _same_recipe(recipe, run)
        corpus = _prepare(recipe, display)
        tokenizer = Tokenizer.load(run.tokenizer_file)
    else:
        run = RunFolder.vacant(path)
        corpus = _prepare(recipe, display)
        tokenizer = _tokenizer(recipe, corpus)
    trainer = Trainer(recipe, run, corpus, tokenizer, display)
    if resume:
        trainer.restore()
    else:
        # Only now: what is wrong with the corpus or the recipe has been found, nothing is left.
        run.create(recipe, tokenizer)
    with _stop_signals() as stop:
        return trainer.run(stop)


class Trainer:
    """The state of a run: weights, their average, optimizer, random numbers and position."""

    def __init__(
        self,
        recipe: Recipe,
        run: RunFolder,
        corpus: Corpus,
        tokenizer: Tokenizer,
        display: Display,
    ) -> None:
        settings = recipe.training
        self.recipe, self.folder, self.tokenizer, self.display = recipe, run, tokenizer, display
        if settings.threads:
            torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = EncoderDecoder(
            recipe.model,
            len(tokenizer),
            dropout=settings.dropout,
            word_dropout=settings.word_dropout,
        ).to(self.device)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(self.model, settings.weight_decay), betas=(0.9, 0.98), fused=True
        )
        low = uses_bfloat16(self.device, settings.precision)
        arithmetic = f"{self.device.type}, {'bfloat16' if low else 'float32'}"
        if self.device.type == "cpu":
            arithmetic += f", {torch.get_num_threads()} threads"
        self.position = Position(
            corpus=fingerprint(corpus.train, corpus.valid), arithmetic=arithmetic
        )
        language = recipe.corpus.target_language
        pairs = TrainingPairs(corpus.train, tokenizer, language, settings.max_length)
        if not len(pairs):
            raise Seq2SeqError(
                f"every training pair is longer than training.max_length = {settings.max_length}."
            )
        self.pairs = pairs
        valid = encode_pairs(corpus.valid, tokenizer, language)
        self.valid_text = corpus.valid
        self.valid_batches = [
            make_batch(lines.tolist(), valid.sources, valid.targets)
            for lines in plan_epoch(valid.sources, valid.targets, settings.batch_tokens, 0, 0)
        ]
        size = sum(weight.numel() for weight in self.model.parameters())
        display.say(
            f"{len(pairs):,} training pairs ({pairs.left_out:,} longer than "
            f"{settings.max_length} ids left out), {len(tokenizer):,} subwords, "
            f"{size:,} parameters; {arithmetic}."
        )

    def run(self, stop: "StopFlag") -> Outcome:
        """Train until the last epoch, until validation BLEU stops rising, or until `stop`."""
        settings, position = self.recipe.training, self.position
        clock = _Clock()
        while not position.finished:
            pairs = self.pairs.sample(self.recipe.tokenizer, settings.seed, position.epoch)
            budget, seed = settings.batch_tokens, settings.seed
            plan = plan_epoch(pairs.sources, pairs.targets, budget, seed, position.epoch)
            self.display.start((settings.epochs - position.epoch) * len(plan) - position.batch)
            for lines in plan[position.batch :]:
                progress = (position.epoch + position.batch / len(plan)) / settings.epochs
                with clock:
                    batch = make_batch(lines.tolist(), pairs.sources, pairs.targets)
                    loss, rate, norm = self._step(batch, progress)
                clock.tokens += batch.tokens
                position.batch += 1
                position.step += 1
                self.display.advance(loss, clock.tokens_per_second)
                if position.step % _ROW_STEPS == 0:
                    self._write_training_row(rate, norm, clock.tokens_per_second)
                    clock = _Clock()
                epoch_done = position.batch == len(plan)
                if epoch_done:
                    position.epoch += 1
                    position.batch = 0
                if self._validation_is_due(epoch_done):
                    self._validate_and_save()
                elif stop.requested:
                    self.save()
                if position.finished:
                    break
                if stop.requested:
                    return Outcome(position.best_bleu, interrupted=True)
        return Outcome(position.best_bleu, interrupted=False)

    def save(self) -> None:
        """Write a checkpoint, and remove the oldest ones."""
        tensors: dict[str, Tensor] = {"random": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["random_cuda"] = torch.cuda.get_rng_state()
        for part, named in self._parts().items():
            tensors |= {f"{part}/{name}": tensor for name, tensor in named.items()}
        save_checkpoint(self.folder.checkpoints, self.position, tensors)
        prune_checkpoints(self.folder.checkpoints, self.recipe.training.keep_checkpoints)

    def restore(self) -> None:
        """Go back to the last checkpoint, or to the start where there is none."""
        checkpoint = last_checkpoint(self.folder.checkpoints)
        if checkpoint is None:
            self.display.say("no checkpoint yet: the run starts from the beginning.")
            self.folder.best_file.unlink(missing_ok=True)
            self._cut_metrics()
            return
        begun = self.position
        self.position, tensors = load_checkpoint(checkpoint)
        self._compare_with(begun)
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        try:
            random, random_cuda = tensors.pop("random"), tensors.pop("random_cuda", None)
            for key, tensor in tensors.items():
                part, _, name = key.partition("/")
                parts[part][name] = tensor
        except KeyError as error:
            raise Seq2SeqError(f"{checkpoint}: not a checkpoint of a run: {error}.") from None
        load_weights(self.model, parts["model"], checkpoint)
        load_weights(self.average, parts["average"], checkpoint)
        restore_optimizer(self.optimizer, parts["optimizer"])
        torch.set_rng_state(random)
        if random_cuda is not None:
            torch.cuda.set_rng_state(random_cuda)
        self._cut_metrics()
        position = self.position
        if not position.finished:
            self.display.say(f"resumed at step {position.step:,}, epoch {position.epoch + 1}.")

    def _compare_with(self, begun: Position) -> None:
        """Another corpus would be another run; other arithmetic is only worth a word."""
        if self.position.corpus != begun.corpus:
            raise Seq2SeqError(
                "the training or validation text has changed since the run began; bring the old "
                "text back, or start another run."
            )
        if self.position.arithmetic != begun.arithmetic:
            self.display.say(
                f"the run began on {self.position.arithmetic} and goes on with {begun.arithmetic}: "
                "not byte for byte what it would have been."
            )
            self.position.arithmetic = begun.arithmetic

    def _step(self, batch: Batch, progress: float) -> tuple[float, float, float]:
        """One optimizer step: the loss of a token, the learning rate, the gradient's norm."""
        settings, position = self.recipe.training, self.position
        rate = learning_rate(settings.learning_rate, position.step, settings.warmup_steps, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        with autocast(self.device, settings.precision):
            readout, targets = forward(self.model, batch)
            loss, nll = smoothed_cross_entropy(
                readout,
                self.model.embedding.weight,
                self.model.output_bias,
                targets,
                settings.label_smoothing,
            )
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss / batch.tokens)
        clipped = torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        total, norm = loss.item(), clipped.item()
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise Seq2SeqError(
                f"the loss became {total} and its gradient {norm} at step {position.step + 1:,}; "
                "start another run with a lower training.learning_rate."
            )
        self.optimizer.step()
        self._update_average()
        position.window_loss += total
        position.window_nll += nll.item()
        position.window_tokens += batch.tokens
        position.window_padding += batch.padding
        position.window_positions += batch.src.size + batch.tgt_out.size
        return total / batch.tokens, rate, norm

    @torch.no_grad()
    def _update_average(self) -> None:
        # A short memory at first: the average of a young model must not be its random start.
        step = self.position.step
        decay = min(self.recipe.training.ema_decay, (1 + step) / (10 + step))
        for mean, weight in zip(self.average.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)

    def _validation_is_due(self, epoch_done: bool) -> bool:
        every, position = self.recipe.training.validate_every, self.position
        over = epoch_done and position.epoch == self.recipe.training.epochs
        return over or (position.step % every == 0 if every else epoch_done)

    def _validate_and_save(self) -> None:
        settings, position = self.recipe.training, self.position
        started = time.perf_counter()
        with autocast(self.device, "float32"):
            result = validate(
                self.average, self.valid_batches, self._greedy_translator(), self.valid_text
            )
        self._write_validation_row(result, time.perf_counter() - started)
        # To two decimals, as BLEU is reported; among equals the likelier one.
        better = round(result.bleu, 2) - round(position.best_bleu, 2)
        if better > 0 or (better == 0 and result.nll < position.best_nll):
            position.best_bleu, position.best_nll = result.bleu, result.nll
            position.validations_since_best = 0
            save_tensors(self.folder.best_file, self.average.state_dict())
        else:
            position.validations_since_best += 1
        tired = 0 < settings.patience <= position.validations_since_best
        position.finished = position.epoch >= settings.epochs or tired
        if tired:
            self.display.say(f"validation BLEU has not risen {settings.patience} times: stopped.")
        self.save()

    def _greedy_translator(self) -> Translator:
        corpus = self.recipe.corpus
        return Translator.over(
            TorchEngine(self.average, self.device),
            self.tokenizer,
            corpus.target_language,
            replace(self.recipe.search, beam_size=1),
            corpus.source_language,
        )

    def _parts(self) -> dict[str, dict[str, Tensor]]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
        }

    def _write_training_row(self, rate: float, norm: float, speed: float) -> None:
        position = self.position
        row = {
            "kind": "train",
            "epoch": position.epoch + 1,
            "step": position.step,
            "loss": position.window_loss / position.window_tokens,
            "nll": position.window_nll / position.window_tokens,
            "learning_rate": rate,
            "gradient_norm": norm,
            "padding_share": position.window_padding / position.window_positions,
            "tokens_per_second": round(speed, 1),
            "time": round(time.time(), 1),
        }
        position.window_loss = position.window_nll = 0.0
        position.window_tokens = position.window_padding = position.window_positions = 0
        self._append_row(row)
        if position.step % (10 * _ROW_STEPS) == 0:
            self.display.say(
                f"epoch {row['epoch']}, step {position.step:,}: loss {row['loss']:.3f}, "
                f"{speed:,.0f} target tokens/s, padding {row['padding_share']:.0%}"
            )

    def _write_validation_row(self, result: Validation, seconds: float) -> None:
        position = self.position
        row = {
            "kind": "valid",
            "epoch": position.epoch + (position.batch > 0),
            "step": position.step,
            "bleu": result.bleu,
            "nll": result.nll,
            "perplexity": result.perplexity,
            "seconds": round(seconds, 1),
            "time": round(time.time(), 1),
        }
        self._append_row(row)
        self.display.validated(result.bleu)
        self.display.say(
            f"epoch {row['epoch']}, step {position.step:,}: validation BLEU {result.bleu:.2f} "
            f"(greedy), perplexity {result.perplexity:.2f}"
        )

    def _append_row(self, row: dict[str, object]) -> None:
        with self.folder.metrics_file.open("ab") as file:
            file.write(json.dumps(row).encode() + b"\n")
            self.position.metrics_bytes = file.tell()

    def _cut_metrics(self) -> None:
        """Drop the rows that were written after the checkpoint."""
        file = self.folder.metrics_file
        if file.exists():  # shorter than it was if the machine lost its last rows
            os.truncate(file, min(file.stat().st_size, self.position.metrics_bytes))


class _Clock:
    """Target tokens and seconds of training steps alone: no validation, no saving."""

    def __init__(self) -> None:
        self.tokens = 0
        self._seconds = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds += time.perf_counter() - self._started

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self._seconds


class StopFlag:
    """Whether somebody asked the run to stop."""

    requested = False


@contextmanager
def _stop_signals() -> Iterator[StopFlag]:
    """Ctrl-C and SIGTERM ask for a stop after the present step; a second one stops at once."""
    flag = StopFlag()

    def ask(number: int, frame: FrameType | None) -> None:
        flag.requested = True
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, before[name])

    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    for name in before:
        signal.signal(name, ask)
    try:
        yield flag
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _prepare(recipe: Recipe, display: Display) -> Corpus:
    corpus = prepare(recipe.corpus)
    for line in corpus.report.lines():
        display.say(line)
    return corpus


def _tokenizer(recipe: Recipe, corpus: Corpus) -> Tokenizer:
    """The tokenizer that the recipe names, or a new one."""
    languages = (recipe.corpus.source_language, recipe.corpus.target_language)
    if recipe.tokenizer.path is None:
        return Tokenizer.train(_sentences(corpus.train), recipe.tokenizer, languages)
    tokenizer = Tokenizer.load(Path(recipe.tokenizer.path))
    tokenizer.language_id(recipe.corpus.target_language)
    return tokenizer


def _sentences(text: ParallelText) -> Iterator[str]:
    """Each different sentence of both sides once."""
    yield from dict.fromkeys(normalise_source(sentence) for sentence in text.source)
    yield from dict.fromkeys(text.target)


def _same_recipe(recipe: Recipe, run: RunFolder) -> None:
    """A run goes on with the settings that it was started with, or not at all."""
    before, now = to_table(run.recipe()), to_table(recipe)
    for section in sorted(before.keys() | now.keys()):
        old, new = before.get(section, {}), now.get(section, {})
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                raise UsageError(
                    f"{run.path} was started with {section}.{key} = {old.get(key)!r}, not "
                    f"{new.get(key)!r}; resume with the same recipe, or start another run."
                )


def _parameter_groups(model: EncoderDecoder, weight_decay: float) -> list[dict[str, object]]:
    """Matrices decay, biases and norms do not."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
