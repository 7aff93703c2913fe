"""The training loop: teacher forcing, validation, checkpoints, resumption."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from seq2seq.config.model_config import Direction
from seq2seq.config.recipe import Recipe
from seq2seq.corpus import Corpus, prepare
from seq2seq.engines.torch_engine import TorchEngine
from seq2seq.errors import Seq2SeqError
from seq2seq.files import remove_folder
from seq2seq.metrics import tokenizer_advice, validation_rank
from seq2seq.tokenizer import Tokenizer, normalise_source, plain_spaces
from seq2seq.training.checkpoint import (
    WriteError,
    checkpoints,
    last_checkpoint,
    load_checkpoint,
    prune_checkpoints,
    publish_best,
    save_checkpoint,
    step_of,
)
from seq2seq.training.display import Display
from seq2seq.training.events import EventLog
from seq2seq.training.finetune import Start
from seq2seq.training.journal import Journal
from seq2seq.training.learner import Learner, require_memory
from seq2seq.training.lock import locked
from seq2seq.training.metrics_log import MetricsLog
from seq2seq.training.pairs import Pool, TrainingPairs, fingerprint
from seq2seq.training.run_dir import Origin, RunFolder
from seq2seq.training.schedule import learning_rate
from seq2seq.training.signals import StopSignal, stop_signals
from seq2seq.training.stability import MOST_ROLLBACKS, InstabilityError
from seq2seq.training.state import Position, Window
from seq2seq.training.step import autocast
from seq2seq.training.validation import HeldOut, validate
from seq2seq.translation.translator import Translator

_ROW_STEPS = 50  # steps between two rows of metrics.jsonl
_SAMPLED_SHARE = 0.9  # of a run may have a sampled softmax; the rest corrects what it estimated
_TOKENIZER_SENTENCES = 100_000  # of each language, to learn subwords from


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended."""

    best_bleu: float
    best_chrf: float
    stopped_by: int = 0  # number of the signal that stopped it; 0: none

    @property
    def interrupted(self) -> bool:
        """Whether a signal stopped it; then everything is saved, and can be resumed."""
        return self.stopped_by > 0


def train(
    recipe: Recipe,
    path: Path,
    display: Display,
    *,
    resume: bool = False,
    start: Start | None = None,
    tensorboard: bool = False,
) -> Outcome:
    """Train the model that `recipe` describes in the run folder `path`.

    A new run begins with random weights, or with those of `start` and its tokenizer. With `resume`
    an earlier run of the same recipe goes on from its last checkpoint. Ctrl-C, SIGTERM and SIGHUP
    save a checkpoint and return. Until there is something to save they end the process. With
    `tensorboard` the folder has the events of the run, from its beginning.
    """
    if start:
        start.require(recipe)
    if resume:
        RunFolder.open(path)  # where there is none, no folder is made
    events = EventLog(RunFolder(path).events, display.say) if tensorboard else None
    with stop_signals() as stop, locked(path):
        if resume:
            run = RunFolder.open(path)
            run.require(recipe)
            corpus = _prepare(recipe, display)
            tokenizer, origin = run.tokenizer(), run.origin()
            trainer = Trainer(recipe, run, corpus, tokenizer, display, origin, events)
            trainer.restore()
        else:
            run = RunFolder.vacant(path)
            corpus = _prepare(recipe, display)
            tokenizer = start.tokenizer if start else _tokenizer(recipe, corpus)
            origin = start.origin if start else None
            trainer = Trainer(recipe, run, corpus, tokenizer, display, origin, events)
            if start:
                trainer.start_from(start)
            trainer.draw()
            # Only now: what is wrong with the corpus or the recipe has been found, nothing is left.
            run.create(recipe, tokenizer, trainer.save, origin)
        with stop.waits():
            return trainer.run(stop)


class Trainer:
    """The state of a run: what learns, and its position."""

    def __init__(
        self,
        recipe: Recipe,
        run: RunFolder,
        corpus: Corpus,
        tokenizer: Tokenizer,
        display: Display,
        origin: Origin | None = None,
        events: EventLog | None = None,
    ) -> None:
        self.recipe, self.folder, self.tokenizer, self.display = recipe, run, tokenizer, display
        self.origin = origin
        require_memory(recipe.model, len(tokenizer))
        self.learner = Learner(recipe, len(tokenizer), fine_tunes=origin is not None)
        self.position = Position(
            corpus=fingerprint(one.text for one in (*corpus.train, *corpus.valid)),
            arithmetic=self.learner.arithmetic,
        )
        self.pairs = TrainingPairs(corpus.train, tokenizer, recipe, corpus.weights)
        self.held_out = [HeldOut.of(text, tokenizer, recipe.training) for text in corpus.valid]
        self._metrics = MetricsLog(run.metrics_file, events)
        self._journal = Journal(self._metrics, display)
        self._clock = _Clock()
        self._drawn: Pool | None = None
        display.say(
            f"{len(self.pairs):,} training pairs, {len(tokenizer):,} subwords, "
            f"{self.learner.parameters:,} parameters; {self.learner.arithmetic}."
        )
        for advice in tokenizer_advice(text.text.direction.target for text in self.held_out):
            display.say(f"validation: {advice}")
        if left_out := sum(text.left_out for text in self.held_out):
            display.say(
                f"validation: {left_out:,} longer than training.max_length, which count for BLEU "
                "and not for perplexity."
            )

    def start_from(self, start: Start) -> None:
        """Begin with the weights of `start`, which are validated before the first step.

        So it can be seen what training brings, and where it brings nothing they stay the best.
        """
        self.learner.start_from(start.weights, Path(start.origin.path))
        self.position.validation_due = True

    def draw(self) -> None:
        """Draw the first pairs ahead of time; raises `Seq2SeqError` where they are of no use."""
        self._drawn = self.pairs.pool(0, 0)

    def run(self, stop: StopSignal) -> Outcome:
        """Train until the last epoch, until validation BLEU stops rising, or until `stop`.

        Raises `Seq2SeqError`, which says how far the run is saved, where it cannot go on.
        """
        try:
            while not (self.position.finished or stop.number):
                try:
                    self._go_on(stop)
                except InstabilityError as error:
                    self._go_back(str(error))
        except WriteError as error:
            raise self._stopped(str(error), "Make room, and go on with --resume.") from None
        except RuntimeError as error:  # it has a class of its own on a GPU alone
            if "memory" not in str(error):
                raise
            raise self._stopped(
                "the memory does not suffice.",
                "Start another run with a lower training.batch_tokens or model.hidden_size.",
            ) from None
        position = self.position
        stopped_by = 0 if position.finished else stop.number
        return Outcome(position.best_bleu, position.best_chrf, stopped_by)

    def _go_on(self, stop: StopSignal) -> None:
        """Train for the rest of a pool, or until `stop`."""
        position = self.position
        if position.validation_due:  # a signal came before it
            self._validate(stop)
            return
        pool = self._drawn or self.pairs.pool(position.epoch, position.pool)
        self._drawn = None
        self.display.start()
        for number in range(position.batch, len(pool)):
            self._step(pool, number)
            every = self.recipe.training.checkpoint_every
            if position.validation_due:
                self._validate(stop)
            elif every and position.step % every == 0:
                self._save_good()
            elif stop.number:
                self.save()
            if position.finished or stop.number:
                return

    def _step(self, pool: Pool, number: int) -> None:
        """Learn one batch of `pool`, and take down what came of it."""
        settings, position = self.recipe.training, self.position
        pools = position.pool + number / len(pool)
        progress = (position.epoch + pools / self.pairs.pools) / settings.epochs
        peak = settings.learning_rate * position.rate_factor
        rate = learning_rate(
            settings.schedule, peak, position.step, settings.warmup_steps, progress
        )
        sampled_words = settings.sampled_words if progress < _SAMPLED_SHARE else 0
        with self._clock:
            batch = pool[number]
            learnt = self.learner.learn(batch, rate, position.step, sampled_words)
        self._clock.tokens += learnt.tokens
        position.advance(len(pool), self.pairs.pools)
        loss = learnt.loss_of_a_token
        explodes = learnt.tokens > 0 and position.watch.explodes(loss, len(self.tokenizer))
        if explodes or not learnt.is_finite:
            raise InstabilityError(
                f"step {position.step:,}: the loss of a token is {loss:.4g} and its gradient "
                f"{learnt.norm:.4g}, on {self.pairs.describe(batch.lines.tolist())}"
            )
        position.window.add(batch, learnt.loss, learnt.nll, learnt.tokens)
        self.display.advance(progress, loss, self._clock.tokens_per_second)
        if learnt.parts != 1:
            left_out = self.pairs.describe(learnt.left_out) if learnt.left_out else ""
            self._journal.split(position, len(batch.lines), learnt.parts, left_out)
        if position.step % _ROW_STEPS == 0:
            self._journal.trained(position, rate, learnt.norm, self._clock.tokens_per_second)
            position.window, self._clock = Window(), _Clock()
        position.validation_due = self._is_validation_due()

    def _is_validation_due(self) -> bool:
        settings, position = self.recipe.training, self.position
        if position.is_between_epochs and position.epoch == settings.epochs:
            return True
        every = settings.validate_every
        return position.step % every == 0 if every else position.is_between_epochs

    def _validate(self, stop: StopSignal) -> None:
        """Validate and save; or, at a signal, save what validation is due for."""
        settings, position = self.recipe.training, self.position
        self._require_finite()
        started = time.perf_counter()
        try:
            with stop.ends_at_once(), autocast(self.learner.device, "float32"):
                result = validate(self.learner.average, self.held_out, self._greedy_translator)
        except (KeyboardInterrupt, SystemExit):
            self.save()
            return
        if not math.isfinite(result.nll):
            raise InstabilityError(f"step {position.step:,}: the validation loss is {result.nll}")
        position.validation_due = False
        self._journal.validated(position, result, time.perf_counter() - started)
        best = validation_rank(position.best_bleu, position.best_chrf, position.best_nll)
        better = result.rank > best
        if better:
            position.best_bleu, position.best_chrf = result.bleu, result.chrf
            position.best_nll = result.nll
            position.validations_since_best = 0
        else:
            position.validations_since_best += 1
        tired = 0 < settings.patience <= position.validations_since_best
        position.finished = position.epoch >= settings.epochs or tired
        if tired:
            self.display.say(f"validation BLEU has not risen {settings.patience} times: stopped.")
        self._save_good(best=better)

    def _greedy_translator(self, direction: Direction) -> Translator:
        return Translator.over(
            TorchEngine(self.learner.average, self.learner.device),
            self.tokenizer,
            [direction],
            replace(self.recipe.search, beam_size=1),
        )

    def _save_good(self, best: bool = False) -> None:
        """Save a checkpoint that the run can go back to, unless its loss is rising.

        These come at steps that the recipe decides. So a run that was stopped in between goes back
        to where one goes back to that was never stopped.
        """
        self._require_finite()
        if not self.position.watch.high:
            self.position.good_step = self.position.step
        self.save(best)

    def save(self, best: bool = False) -> None:
        """Write a checkpoint, with the present average as the `best` one or not; prune."""
        folder = self.folder
        self._metrics.sync()
        earlier = folder.best_file if folder.best_file.exists() else None
        checkpoint = save_checkpoint(
            folder.checkpoints,
            self.position,
            self.learner.tensors(),
            self.learner.average.state_dict() if best else earlier,
        )
        # After the checkpoint: it must not be of a validation that a resumed run has yet to reach.
        if best:
            publish_best(checkpoint, folder.best_file)
        keep = self.recipe.training.keep_checkpoints
        prune_checkpoints(folder.checkpoints, keep, self.position.good_step)

    def restore(self) -> None:
        """Go back to the last checkpoint, or to the start where there is none."""
        self.folder.clean()
        begun = self.position
        last = last_checkpoint(self.folder.checkpoints)
        if last is None:
            if self.origin:
                raise Seq2SeqError(
                    f"{self.folder.path}: no checkpoint is left, and the first weights were in "
                    f"one; start another run from {self.origin.path}."
                )
            self.display.say("no checkpoint is left: the run starts from the beginning.")
            self.folder.best_file.unlink(missing_ok=True)
            self._metrics.cut(0)
            self.save()
            return
        self._load(last)
        self._metrics.cut(self.position.metrics_bytes)
        self._compare_with(begun)
        position = self.position
        if position.good_step not in map(step_of, checkpoints(self.folder.checkpoints)):
            position.good_step = position.step  # somebody has removed it; this is the next best
        if not position.finished:
            self.display.say(f"resumed at step {position.step:,}, epoch {position.epoch + 1}.")

    def _load(self, checkpoint: Path) -> None:
        self.position, tensors = load_checkpoint(checkpoint)
        self.learner.restore(tensors, checkpoint)
        publish_best(checkpoint, self.folder.best_file)

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

    def _go_back(self, what: str) -> None:
        """Back to the last good checkpoint, with half the learning rate from there on."""
        failed_step, rollbacks = self.position.step, self.position.rollbacks + 1
        good_step = self.position.good_step
        if rollbacks > MOST_ROLLBACKS:
            raise self._stopped(
                f"{what}, and the run has gone back {MOST_ROLLBACKS} times.",
                "Start another run with a lower training.learning_rate.",
            )
        self._load(self.folder.checkpoints / f"step-{good_step:08d}")
        # Before the metrics: a run that is killed here must not go on from one without its rows.
        for later in reversed(checkpoints(self.folder.checkpoints)):
            if step_of(later) > good_step:
                remove_folder(later)
        self._metrics.cut(self.position.metrics_bytes, but="rollback")
        self.position.rollbacks = rollbacks
        self._clock = _Clock()
        self._journal.went_back(self.position, failed_step, what)

    def _require_finite(self) -> None:
        if not self.learner.is_finite():
            raise InstabilityError(f"step {self.position.step:,}: the weights are not finite")

    def _stopped(self, what: str, advice: str) -> Seq2SeqError:
        """Why the run ends, and how much of it is saved."""
        last = last_checkpoint(self.folder.checkpoints)
        saved = 0 if last is None else step_of(last)
        return Seq2SeqError(f"{what} All is saved up to step {saved:,}. {advice}")


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


def _prepare(recipe: Recipe, display: Display) -> Corpus:
    corpus = prepare(recipe.corpus)
    for line in corpus.report.lines():
        display.say(line)
    return corpus


def _tokenizer(recipe: Recipe, corpus: Corpus) -> Tokenizer:
    """The tokenizer that the recipe names, or a new one."""
    if recipe.tokenizer.path is None:
        sentences = _sentences(corpus, recipe)
        return Tokenizer.train(
            sentences,
            recipe.tokenizer,
            recipe.languages,
            formality=recipe.augmentation.formality > 0,
        )
    tokenizer = Tokenizer.load(Path(recipe.tokenizer.path))
    for direction in recipe.directions:
        tokenizer.language_id(direction.target)
    return tokenizer


def _sentences(corpus: Corpus, recipe: Recipe) -> Iterator[str]:
    """Each different sentence of each side of each direction once.

    Of a large corpus that is a part, spread evenly over it: SentencePiece takes some kilobytes of
    memory for each.
    """
    plain = recipe.tokenizer.plain_spaces
    number = 2 * sum(len(text) for _, text in corpus.train)
    share = min(1.0, _TOKENIZER_SENTENCES * len(recipe.languages) / number)
    for _, text in corpus.train:
        chosen = text.sample(round(share * len(text)))
        yield from dict.fromkeys(map(normalise_source, chosen.source))
        yield from dict.fromkeys(map(plain_spaces, chosen.target) if plain else chosen.target)
