"""The training loop: optimizer steps, validation, checkpoints, rollback, resumption."""

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from seq2seq.config.recipe import Recipe
from seq2seq.corpus import Corpus, prepare, tokenizer_for
from seq2seq.errors import Seq2SeqError
from seq2seq.nn.cell_file import CellFile
from seq2seq.nn.cells import CellType
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.checkpoint import (
    WriteError,
    checkpoint_of,
    checkpoints,
    last_checkpoint,
    load_checkpoint,
    prune_checkpoints,
    publish_best,
    remove_checkpoints_after,
    save_checkpoint,
    step_of,
)
from seq2seq.training.finetune import PretrainedInit
from seq2seq.training.optimizer_step import Learner, learning_rate
from seq2seq.training.process_group import ALONE, LostRankError, ProcessGroup
from seq2seq.training.reporter import ProgressReporter
from seq2seq.training.run_dir import ParentModel, RunDir, flat_settings, locked
from seq2seq.training.signals import StopSignal, stop_signals
from seq2seq.training.state import (
    MOST_ROLLBACKS,
    InstabilityError,
    RunningAverages,
    TrainState,
)
from seq2seq.training.training_metrics import (
    EventWriter,
    MetricsWriter,
    Row,
    rollback_row,
    split_row,
    training_row,
    validation_row,
)
from seq2seq.training.training_pairs import ShuffleBuffer, TrainingPairs, fingerprint
from seq2seq.training.validation import HeldOut, advice, validate

_ROW_STEPS = 50  # steps between two rows of metrics.jsonl
_SAMPLED_SHARE = 0.9  # of a run may use a sampled softmax; the rest corrects its estimates


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended."""

    best_bleu: float
    best_chrf: float
    stopped_by: int = 0  # number of the signal that stopped it; 0: none

    @property
    def interrupted(self) -> bool:
        """Whether a signal stopped it; everything is saved then, and the run can be resumed."""
        return self.stopped_by > 0


def train(
    recipe: Recipe,
    path: Path,
    reporter: ProgressReporter,
    *,
    resume: bool = False,
    init: PretrainedInit | None = None,
    own_cell: CellFile | None = None,
    tensorboard: bool = False,
    group: ProcessGroup = ALONE,
) -> Outcome:
    """Train the model that `recipe` describes in the run directory `path`.

    A new run begins with random weights, or with the weights and the tokenizer of `init`. With
    `resume`, an earlier run of the same recipe continues from its last checkpoint. Ctrl-C, SIGTERM
    and SIGHUP save a checkpoint and return; before there is anything to save, they end the process.
    `own_cell` is the file of the user's own cell, whose code is run. With `tensorboard`, the
    directory gets the events of the whole run.

    With several processes, all of them call this, and `group` connects them (see `process_group`).
    Rank 0 writes; with `resume` all ranks read. Restarted processes resume.

    Raises `Seq2SeqError` for anything wrong with the recipe, the corpus or the directory.
    """
    group.require_same(
        {
            **flat_settings(recipe),
            "the model to start from": init and init.parent.sha256,
            "the cell": own_cell and own_cell.digest,
            "--resume": resume,
            "torch": torch.__version__,
        }
    )
    if init:
        init.require(recipe)
    if group.restarts:
        resume = group.from_first(RunDir(path).recipe_file.exists)
    if resume:
        run_dir = RunDir.open(path)  # raises if there is no run, before a directory is made
        if own_cell:
            run_dir.require_cell(own_cell)
    cell = own_cell.load() if own_cell else None
    tensorboard = tensorboard and group.is_first
    events = EventWriter(RunDir(path).events, reporter.say) if tensorboard else None
    metrics = MetricsWriter(RunDir(path).metrics_file, events)
    with stop_signals() as stop, locked(path) if group.is_first else nullcontext():
        if resume:
            run_dir = RunDir.open(path)
            run_dir.require(recipe)
            corpus = _prepare(recipe, reporter)
            tokenizer, parent = run_dir.tokenizer(), run_dir.parent()
        else:
            run_dir = group.from_first(lambda: RunDir.vacant(path))
            corpus = _prepare(recipe, reporter)
            tokenizer = init.tokenizer if init else _tokenizer(recipe, corpus, group)
            parent = init.parent if init else None
        trainer = Trainer(
            recipe, run_dir, corpus, tokenizer, reporter, metrics, parent, cell, group
        )
        group.require_same({"the digest of the corpus": trainer.state.corpus})
        if resume:
            trainer.restore()
        else:
            if init:
                trainer.start_from(init)
            trainer.draw()
            # Only now, when recipe and corpus have proved right, so that otherwise nothing is left
            # behind.
            if group.is_first:
                run_dir.create(recipe, tokenizer, trainer.save, parent, own_cell)
        with stop.waits():
            return trainer.run(stop)


def _prepare(recipe: Recipe, reporter: ProgressReporter) -> Corpus:
    corpus = prepare(recipe.corpus)
    for line in corpus.report.lines():
        reporter.say(line)
    return corpus


def _tokenizer(recipe: Recipe, corpus: Corpus, group: ProcessGroup) -> Tokenizer:
    """Train or load the tokenizer on rank 0; the other ranks get its model."""
    own = tokenizer_for(recipe, corpus) if group.is_first else None
    model = group.from_first(lambda: own and own.model)
    return own or Tokenizer(model or b"")


class Trainer:
    """A run: the model in training, its data and its state."""

    def __init__(
        self,
        recipe: Recipe,
        run_dir: RunDir,
        corpus: Corpus,
        tokenizer: Tokenizer,
        reporter: ProgressReporter,
        metrics: MetricsWriter,
        parent: ParentModel | None = None,
        own_cell: CellType | None = None,
        group: ProcessGroup = ALONE,
    ) -> None:
        self.group = group
        self.recipe, self.run_dir, self.reporter = recipe, run_dir, reporter
        self.tokenizer, self.metrics, self.parent = tokenizer, metrics, parent
        fine_tunes = parent is not None
        self.learner = Learner(recipe, len(tokenizer), fine_tunes, own_cell, group)
        self.state = TrainState(
            corpus=fingerprint(text for _, text in (*corpus.train, *corpus.valid)),
            compute=self.learner.compute,
        )
        self.pairs = TrainingPairs(
            corpus.train, tokenizer, recipe, corpus.weights, group, corpus.tags
        )
        self.held_out = [HeldOut.of(text, tokenizer, recipe.training) for text in corpus.valid]
        self._drawn: ShuffleBuffer | None = None
        self._tokens, self._seconds = 0, 0.0  # in steps since the last row, without validation
        reporter.say(
            f"{len(self.pairs):,} training pairs, {len(tokenizer):,} subwords, "
            f"{self.learner.parameters:,} parameters; {self.learner.compute}."
        )
        if setting := recipe.model.not_exported:
            reporter.say(
                f"{setting}: such a run is evaluated and inspected, but cannot be exported."
            )
        for message in advice(self.held_out):
            reporter.say(message)

    def start_from(self, init: PretrainedInit) -> None:
        """Begin with the weights of `init`, which are validated before the first step.

        This shows what training gains; if it gains nothing, they stay the best weights.
        """
        self.learner.start_from(init.weights, Path(init.parent.path))
        self.state.validation_due = True

    def draw(self) -> None:
        """Draw the first pairs ahead of time; raise `Seq2SeqError` if all of them are too long."""
        self._drawn = self.pairs.buffer(0, 0)

    def run(self, stop: StopSignal) -> Outcome:
        """Train until the last epoch, until validations stop improving, or until `stop`.

        If it cannot go on, a `Seq2SeqError` says up to which step the run is saved.
        """
        try:
            while not (self.state.finished or self.group.largest(stop.number)):
                try:
                    if self.state.validation_due:  # not done yet because of a signal
                        self._validate(stop)
                    else:
                        self._train_on_buffer(stop)
                except InstabilityError as error:
                    self._roll_back(str(error))
        except LostRankError:
            if not self.group.is_first:
                raise LostRankError("Continue with --resume.") from None
            self.save()  # the weights are as they were after the last step
            raise LostRankError(str(self._stopped("", "Continue with --resume."))) from None
        except WriteError as error:
            raise self._stopped(str(error), "Make room, and continue with --resume.") from None
        except RuntimeError as error:  # only on a GPU, running out of memory has its own class
            if "memory" not in str(error):
                raise
            raise self._stopped(
                "the memory does not suffice.",
                "Start another run with a lower training.batch_tokens or model.hidden_size.",
            ) from None
        state = self.state
        stopped_by = 0 if state.finished else self.group.largest(stop.number)
        return Outcome(state.best_bleu, state.best_chrf, stopped_by)

    def _train_on_buffer(self, stop: StopSignal) -> None:
        """Train on the rest of a shuffle buffer, or until `stop`."""
        state = self.state
        buffer = self._drawn or self.pairs.buffer(state.epoch, state.buffer)
        self._drawn = None
        self.reporter.start()
        checkpoint_every = self.recipe.training.checkpoint_every
        for first in range(state.batch, len(buffer), self.group.size):
            self._step(buffer, range(first, min(first + self.group.size, len(buffer))))
            is_saved = True
            if state.validation_due:
                self._validate(stop)
            elif checkpoint_every and state.step % checkpoint_every == 0:
                self._save_stable()
            else:
                is_saved = False
            stopped = self.group.largest(stop.number)
            if stopped and not is_saved:
                self.save()
            if state.finished or stopped:
                return

    def _step(self, buffer: ShuffleBuffer, numbers: range) -> None:
        """Train on these batches of `buffer`, one per rank, and record the result."""
        settings, state, rank = self.recipe.training, self.state, self.group.rank
        buffers = state.buffer + numbers.start / len(buffer)
        progress = (state.epoch + buffers / self.pairs.buffers) / settings.epochs
        lowered = settings.plateau_factor**state.plateaus
        peak = settings.learning_rate * state.rate_factor * lowered
        rate = learning_rate(settings.schedule, peak, state.step, settings.warmup_steps, progress)
        sampled_words = settings.sampled_words if progress < _SAMPLED_SHARE else 0

        started = time.perf_counter()
        batch = buffer[numbers[rank]] if rank < len(numbers) else None
        result = self.learner.train_step(batch, rate, state.step, sampled_words)
        self._seconds += time.perf_counter() - started
        self._tokens += result.tokens
        tokens_per_second = self._tokens / self._seconds

        state.advance(len(buffer), self.pairs.buffers, len(numbers))
        loss = result.loss_of_a_token
        diverges = result.tokens > 0 and state.loss_watch.explodes(loss, len(self.tokenizer))
        if diverges or not result.is_finite:
            raise InstabilityError(
                f"step {state.step:,}: the loss of a token is {loss:.4g} and its gradient "
                f"{result.norm:.4g}, on {self.pairs.describe(buffer.pairs(numbers))}"
            )
        state.averages.add(result.loss, result.nll, result.tokens, result.padding, result.positions)
        self.reporter.advance(progress, loss, tokens_per_second)
        if result.was_split:
            left_out = self.pairs.describe(result.left_out) if result.left_out else ""
            self._record(split_row(state, result, len(buffer.pairs(numbers)), left_out))
        if state.step % _ROW_STEPS == 0:
            self._record(training_row(state, result, rate, tokens_per_second))
            state.averages = RunningAverages()
            self._tokens, self._seconds = 0, 0.0
        state.validation_due = self._is_validation_due()

    def _record(self, row: Row) -> None:
        """Write a row of metrics.jsonl and report it, on rank 0 only."""
        if not self.group.is_first:
            return
        self.metrics.write(row)
        self.reporter.report(row)

    def _is_validation_due(self) -> bool:
        settings, state = self.recipe.training, self.state
        if state.is_between_epochs and state.epoch == settings.epochs:
            return True
        every = settings.validate_every
        return state.step % every == 0 if every else state.is_between_epochs

    def _validate(self, stop: StopSignal) -> None:
        """Validate and save; if a signal comes, only save, and leave the validation due."""
        settings, state = self.recipe.training, self.state
        self._require_finite()
        started = time.perf_counter()
        try:
            # With several ranks, the others would wait for one that ended.
            with stop.ends_at_once() if self.group.size == 1 else nullcontext():
                result = validate(
                    self.learner.ema,
                    self.held_out,
                    self.tokenizer,
                    self.recipe.search,
                    self.group,
                )
        except (KeyboardInterrupt, SystemExit):
            self.save()
            return
        if not math.isfinite(result.nll):
            raise InstabilityError(f"step {state.step:,}: the validation loss is {result.nll}")
        state.validation_due = False
        seconds = time.perf_counter() - started
        self._record(validation_row(state, result, settings.metric, seconds))
        is_best = state.take_validation(result.bleu, result.chrf, result.nll, settings.metric)
        if settings.schedule == "plateau" and state.take_plateau(settings.plateau_patience):
            self.reporter.say(f"learning rate times {settings.plateau_factor}: no improvement.")
        out_of_patience = 0 < settings.patience <= state.validations_since_best
        state.finished = state.epoch >= settings.epochs or out_of_patience
        if out_of_patience:
            self.reporter.say(f"stopped early: no improvement in {settings.patience} validations.")
        self._save_stable(best=is_best)

    def _save_stable(self, best: bool = False) -> None:
        """Save a checkpoint that the run can roll back to, unless its loss is rising.

        Only the recipe decides at which steps these come, so a run that was stopped in between
        rolls back to the same step as one that was not.
        """
        self._require_finite()
        if not self.state.loss_watch.high:
            self.state.stable_step = self.state.step
        self.save(best)

    def save(self, best: bool = False) -> None:
        """Write a checkpoint, prune older ones, and publish the moving average if it is `best`.

        Only rank 0 does.
        """
        if not self.group.is_first:
            return
        run_dir, state = self.run_dir, self.state
        self.metrics.sync()
        state.metrics_bytes = self.metrics.size
        earlier_best = run_dir.best_file if run_dir.best_file.exists() else None
        checkpoint = save_checkpoint(
            run_dir.checkpoints,
            state,
            self.learner.tensors(),
            self.learner.ema.state_dict() if best else earlier_best,
        )
        # After the checkpoint, so that it is never from a validation that a resumed run must redo.
        if best:
            publish_best(checkpoint, run_dir.best_file)
        keep = self.recipe.training.keep_checkpoints
        prune_checkpoints(run_dir.checkpoints, keep, state.stable_step)

    def restore(self) -> None:
        """Return to the last checkpoint, or to the beginning if there is none."""
        new = self.state
        last = self.group.from_first(self._last_checkpoint)
        if last is None:
            if self.parent:
                raise Seq2SeqError(
                    f"{self.run_dir.path}: no checkpoint is left, and the first weights were in "
                    f"one; start another run from {self.parent.path}."
                )
            self.reporter.say("no checkpoint is left: the run starts from the beginning.")
            if self.group.is_first:
                self.run_dir.best_file.unlink(missing_ok=True)
                self.metrics.cut(0)
            self.save()
            return
        self._load(last)
        if self.group.is_first:
            self.metrics.cut(self.state.metrics_bytes)
        self._compare_with(new)
        state = self.state
        steps = [*map(step_of, checkpoints(self.run_dir.checkpoints))]
        if state.stable_step not in self.group.from_first(lambda: steps):
            state.stable_step = state.step  # its checkpoint was removed; this is the next best
        if not state.finished:
            self.reporter.say(f"resumed at step {state.step:,}, epoch {state.epoch + 1}.")

    def _last_checkpoint(self) -> Path | None:
        """Return the last checkpoint, after removing half-written ones."""
        self.run_dir.clean()
        return last_checkpoint(self.run_dir.checkpoints)

    def _load(self, checkpoint: Path) -> None:
        self.state, tensors = self.group.from_first(lambda: load_checkpoint(checkpoint))
        self.learner.restore(tensors, checkpoint)
        if self.group.is_first:
            publish_best(checkpoint, self.run_dir.best_file)

    def _compare_with(self, new: TrainState) -> None:
        """Refuse a different corpus, as that would be another run; warn of a different device."""
        if self.state.corpus != new.corpus:
            raise Seq2SeqError(
                "the training or validation text has changed since the run began; restore the "
                "old text, or start another run."
            )
        if self.state.compute != new.compute:
            self.reporter.say(
                f"the run began on {self.state.compute} and continues on {new.compute}: the result "
                "will not be the same byte for byte."
            )
            self.state.compute = new.compute

    def _roll_back(self, reason: str) -> None:
        """Return to the last stable checkpoint, and continue with half the learning rate."""
        failed_step, rollbacks = self.state.step, self.state.rollbacks + 1
        stable_step = self.state.stable_step
        if rollbacks > MOST_ROLLBACKS:
            raise self._stopped(
                f"{reason}, and the run has been rolled back {MOST_ROLLBACKS} times.",
                "Start another run with a lower training.learning_rate.",
            )
        self._load(checkpoint_of(self.run_dir.checkpoints, stable_step))
        # Before cutting the metrics: if killed here, a run must not resume from a checkpoint whose
        # rows are gone.
        if self.group.is_first:
            remove_checkpoints_after(self.run_dir.checkpoints, stable_step)
            self.metrics.cut(self.state.metrics_bytes, keep="rollback")
        self.state.rollbacks = rollbacks
        self._tokens, self._seconds = 0, 0.0
        self._record(rollback_row(self.state, failed_step, reason))

    def _require_finite(self) -> None:
        if not self.learner.is_finite():
            raise InstabilityError(f"step {self.state.step:,}: the weights are not finite")

    def _stopped(self, reason: str, advice: str) -> Seq2SeqError:
        """Return the error that ends the run; it says up to which step the run is saved."""
        last = last_checkpoint(self.run_dir.checkpoints)
        saved = 0 if last is None else step_of(last)
        message = f"{reason} Everything is saved up to step {saved:,}. {advice}"
        return Seq2SeqError(message.strip())
