"""A test set translated and scored: by an exported model, or by the best model of a run."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from seq2seq.confidence import calibration_error
from seq2seq.config.model_config import Direction, choose_direction
from seq2seq.config.recipe import Recipe
from seq2seq.corpus import DirectedText, ParallelText, read_lines, read_parallel, read_tests
from seq2seq.errors import Seq2SeqError, UsageError, require_extra
from seq2seq.metrics import (
    MetricScore,
    score,
    sentence_chrf,
    signature_lines,
    tokenizer_advice,
)
from seq2seq.model_dir.read import is_training_run
from seq2seq.translation.base import TranslateOptions
from seq2seq.translation.result import Translation
from seq2seq.translation.translator import Translator

SMALL = 200
"""Below this many sentences a difference of a few points says little."""


@dataclass(frozen=True)
class Evaluation:
    """The scores of one model on one test set."""

    model: str
    direction: Direction
    test: str
    sentences: int
    scores: tuple[MetricScore, ...]
    seconds: float  # of translation
    beam_size: int
    calibration_error: float | None = None  # expected, of the confidence, where it has one

    @property
    def sentences_per_second(self) -> float:
        """The speed of the translation that was scored."""
        return self.sentences / self.seconds

    def to_json(self) -> str:
        """Everything, as one JSON object on one line."""
        table = asdict(self) | {"sentences_per_second": self.sentences_per_second}
        return json.dumps(table | {"direction": str(self.direction)}, ensure_ascii=False)

    def __str__(self) -> str:
        lines = [
            f"{self.model}: {self.direction}, {self.sentences:,} sentences, beam {self.beam_size}, "
            f"{self.sentences_per_second:,.1f} sentences/s",
            "",
        ]
        for metric in self.scores:
            lines.append(f"{metric.name:<18} {metric.score:6.2f} ± {metric.interval:.2f}")
            lines.append(f"  {metric.signature}")
        lines += tokenizer_advice([self.direction.target])
        if self.calibration_error is not None:
            lines.append(f"confidence is off by {self.calibration_error:.3f} of 1 (expected error)")
        if self.sentences < SMALL:
            lines += ["", f"{self.sentences} sentences are few: trust the interval, not the score."]
        return "\n".join(lines)


def table(evaluations: Sequence[Evaluation]) -> str:
    """Several directions of one model: a line each, and what is the same for all at the end."""
    first = evaluations[0]
    metrics = [metric.name for metric in first.scores]
    lines = [
        f"{first.model}, beam {first.beam_size}",
        "",
        "direction  sentences" + "".join(f"{name:>20}" for name in metrics),
    ]
    for one in evaluations:
        scores = (f"{metric.score:.2f} ± {metric.interval:.2f}" for metric in one.scores)
        lines.append(
            f"{one.direction!s:<9}  {one.sentences:>9,}"
            + "".join(f"{score:>20}" for score in scores)
        )
    for number, name in enumerate(metrics):
        signatures = ((one.direction, one.scores[number].signature) for one in evaluations)
        lines += ["", name, *(f"  {line}" for line in signature_lines(signatures))]
    lines += tokenizer_advice(one.direction.target for one in evaluations)
    return "\n".join(lines)


@dataclass(frozen=True)
class EvaluationSet:
    """What is to be translated: of several the first that is given.

    `files` are source and reference, line by line; `corpus` is what `read_parallel` takes; `recipe`
    names test sets of its own. Without any of them they are those of the training run's recipe.
    """

    files: tuple[Path, Path] | None = None
    corpus: str | None = None
    recipe: Path | None = None
    source_language: str | None = None
    target_language: str | None = None

    def read(self, model: Path, translator: Translator) -> list[DirectedText]:
        """The texts, each with its direction; raises `UsageError` where there are none."""
        languages = self.source_language, self.target_language
        if self.files is None and self.corpus is None:
            tests = self._of_recipe(model)
            fitting = [
                test
                for test in tests
                if self.source_language in (None, test.direction.source)
                and self.target_language in (None, test.direction.target)
            ]
            if not fitting:
                raise UsageError(
                    "none of the test sets is of these languages."
                    if tests
                    else "the recipe names no test set; give --src and --ref, or --corpus."
                )
            return fitting
        direction = choose_direction(translator.directions, *languages)
        if self.files is not None:
            return [DirectedText(direction, _line_by_line(*self.files))]
        assert self.corpus is not None
        text = read_parallel(self.corpus, direction.source, direction.target)
        return [DirectedText(direction, text)]

    def _of_recipe(self, model: Path) -> Sequence[DirectedText]:
        if self.recipe is not None:
            return read_tests(Recipe.load(self.recipe).corpus)
        if not is_training_run(model):
            raise UsageError("nothing to translate: give --src and --ref, --corpus, or --recipe.")
        from seq2seq.training.run_dir import RunDir

        return read_tests(RunDir.open(model).recipe().corpus)


def evaluate_model(
    model: Path,
    test_set: EvaluationSet,
    *,
    beam_size: int | None = None,
    length_penalty: float | None = None,
    prune: float | None = None,
    threads: int = 0,
    sink: BinaryIO | None = None,
    show_progress: bool = False,
) -> list[Evaluation]:
    """Translate test sets with an exported model, or with the best model of a run, and score them.

    The translations go to `sink`, one a line.
    """
    translator = open_translator(model, threads)
    tests = test_set.read(model, translator)
    # All of them first: what the model does not translate must not end it halfway.
    directions = [
        choose_direction(translator.directions, test.direction.source, test.direction.target)
        for test in tests
    ]
    options = [
        TranslateOptions(
            source=direction.source,
            target=direction.target,
            beam_size=beam_size,
            length_penalty=length_penalty,
            prune=prune,
            keep_parts=False,
        )
        for direction in directions
    ]
    return [
        _evaluate(model, translator, test, chosen, sink, show_progress)
        for test, chosen in zip(tests, options, strict=True)
    ]


def _evaluate(
    model: Path,
    translator: Translator,
    test: DirectedText,
    options: TranslateOptions,
    sink: BinaryIO | None,
    show_progress: bool,
) -> Evaluation:
    direction, text = test
    started = time.perf_counter()
    lines: Iterable[Translation] = translator.stream(text.source, options)
    if show_progress:
        from rich.console import Console
        from rich.progress import track

        console = Console(stderr=True)
        hidden = not console.is_terminal
        lines = track(
            lines, f"{direction}", len(text), console=console, disable=hidden, transient=True
        )
    translations = [*lines]
    seconds = time.perf_counter() - started
    hypotheses = [translation.text for translation in translations]
    if sink is not None:
        sink.writelines(f"{line}\n".encode() for line in hypotheses)
    scores = score(hypotheses, text.target, direction.target)
    beam_size = options.beam_size or translator.search.beam_size
    return Evaluation(
        str(model),
        direction,
        text.name,
        len(text),
        scores,
        seconds,
        beam_size,
        _calibration_error(translations, text.target),
    )


def _calibration_error(
    translations: Sequence[Translation], references: Sequence[str]
) -> float | None:
    pairs = [
        (translation.confidence, sentence_chrf(translation.text, reference) / 100)
        for translation, reference in zip(translations, references, strict=True)
        if translation.confidence is not None
    ]
    confidence, quality = [one for one, _ in pairs], [other for _, other in pairs]
    return calibration_error(confidence, quality) if pairs else None


def open_translator(model: Path, threads: int = 0) -> Translator:
    """A translator over an exported model, or over the best model of a training run (by torch)."""
    if not is_training_run(model):
        return Translator(model, threads)
    require_extra("torch", f"{model} is a training run, which", "train")
    import torch

    from seq2seq.engines.torch_engine import TorchEngine
    from seq2seq.training.run_dir import RunDir

    if threads:
        torch.set_num_threads(threads)
    network, tokenizer, recipe = RunDir.open(model).best_model()
    return Translator.over(TorchEngine(network), tokenizer, recipe.directions, recipe.search)


def _line_by_line(source: Path, reference: Path) -> ParallelText:
    lines, references = read_lines(source), read_lines(reference)
    if len(lines) != len(references):
        raise Seq2SeqError(
            f"{source} has {len(lines):,} lines and {reference} has {len(references):,}: "
            "both need the same number."
        )
    if not lines:
        raise Seq2SeqError(f"{source}: no sentences in it.")
    return ParallelText(str(source), lines, references)
