"""Translate test sets with exported models or the best models of runs, and score them."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from seq2seq.bleu_chrf import (
    FurtherMetric,
    MetricScore,
    Tokenize,
    score,
    sentence_chrf,
    signature_lines,
    tokenizer_advice,
)
from seq2seq.confidence import calibration_error
from seq2seq.config.model_config import Combination, Direction, choose_direction
from seq2seq.config.recipe import Recipe
from seq2seq.corpus import DirectedText, ParallelText, read_lines, read_parallel, read_tests
from seq2seq.errors import Seq2SeqError, UsageError, require_extra
from seq2seq.evaluation.comet_metric import comet_score, require_comet
from seq2seq.model_dir.read import is_training_run
from seq2seq.translation.base import TranslateOptions
from seq2seq.translation.result import Translation
from seq2seq.translation.translator import Translator

SMALL = 200
"""Number of sentences below which a difference of a few points says little."""


@dataclass(frozen=True)
class Evaluation:
    """The scores of one model on one test set."""

    model: str
    direction: Direction
    test: str
    sentences: int
    scores: tuple[MetricScore, ...]
    seconds: float  # for the translation
    beam_size: int
    calibration_error: float | None = None  # expected error of the confidence, if it has one

    @property
    def sentences_per_second(self) -> float:
        """The speed of the translation."""
        return self.sentences / self.seconds

    def to_json(self) -> str:
        """Return everything as one JSON object on one line."""
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
            lines.append(f"confidence: expected calibration error {self.calibration_error:.3f}")
        if self.sentences < SMALL:
            lines += ["", f"few sentences ({self.sentences}): trust the interval, not the score."]
        return "\n".join(lines)


def table(evaluations: Sequence[Evaluation]) -> str:
    """Return a table of several directions of a model, with signatures at the end."""
    first = evaluations[0]
    metrics = [metric.name for metric in first.scores]
    lines = [
        f"{first.model}, beam {first.beam_size}",
        "",
        "direction  sentences" + "".join(f"{name:>20}" for name in metrics),
    ]
    for evaluation in evaluations:
        scores = (f"{metric.score:.2f} ± {metric.interval:.2f}" for metric in evaluation.scores)
        lines.append(
            f"{evaluation.direction!s:<9}  {evaluation.sentences:>9,}"
            + "".join(f"{score:>20}" for score in scores)
        )
    for number, name in enumerate(metrics):
        signatures = (
            (evaluation.direction, evaluation.scores[number].signature)
            for evaluation in evaluations
        )
        lines += ["", name, *(f"  {line}" for line in signature_lines(signatures))]
    lines += tokenizer_advice(evaluation.direction.target for evaluation in evaluations)
    return "\n".join(lines)


@dataclass(frozen=True)
class EvaluationSet:
    """The test sets to translate; if several are given, the first of these fields counts.

    `files` are source and reference, line by line, and `further` are more references. `corpus` is
    an argument of `read_parallel`. `recipe` names its test sets. Without any of them, the test sets
    are those of the run's recipe.
    """

    files: tuple[Path, Path] | None = None
    corpus: str | None = None
    recipe: Path | None = None
    source_language: str | None = None
    target_language: str | None = None
    further: tuple[Path, ...] = ()  # references in addition to that of `files`

    def read_further(self, sentences: int) -> list[Sequence[str]]:
        """Read the further references; raise `Seq2SeqError` if a number of lines differs."""
        texts = [read_lines(file) for file in self.further]
        for file, lines in zip(self.further, texts, strict=True):
            if len(lines) != sentences:
                raise Seq2SeqError(
                    f"{file} has {len(lines):,} lines, and the other reference {sentences:,}: all "
                    "need the same number."
                )
        return [*texts]

    def read(self, directions: Sequence[Direction], run: Path | None = None) -> list[DirectedText]:
        """Read the texts; raise `UsageError` if there are none.

        `directions` are those of the model; `run` is the run whose test sets are read if no others
        are given.
        """
        if self.files is None and self.corpus is None:
            return self._of_recipe(run)
        direction = choose_direction(directions, self.source_language, self.target_language)
        if self.files is not None:
            return [DirectedText(direction, _line_by_line(*self.files))]
        assert self.corpus is not None
        text = read_parallel(self.corpus, direction.source, direction.target)
        return [DirectedText(direction, text)]

    def _of_recipe(self, run: Path | None) -> list[DirectedText]:
        """Read the test sets of a recipe, limited to the languages asked for."""
        if self.recipe is not None:
            recipe = Recipe.load(self.recipe)
        elif run is not None:
            from seq2seq.training.run_dir import RunDir

            recipe = RunDir.open(run).recipe()
        else:
            raise UsageError("nothing to translate: give --src and --ref, --corpus, or --recipe.")
        tests = read_tests(recipe.corpus)
        if not tests:
            raise UsageError("the recipe names no test set; give --src and --ref, or --corpus.")
        matching = [
            test
            for test in tests
            if self.source_language in (None, test.direction.source)
            and self.target_language in (None, test.direction.target)
        ]
        if not matching:
            raise UsageError("none of the test sets is of these languages.")
        return matching


def open_translator(model: Path, threads: int = 0, cell: Path | None = None) -> Translator:
    """Open an exported model, or the best model of a training run (by torch).

    `cell` is the file of a run's cell, if that is the user's own.
    """
    if not is_training_run(model):
        return Translator(model, threads)
    require_extra("torch", f"{model} is a training run, which", "train")
    import torch

    from seq2seq.engines.torch_engine import TorchEngine
    from seq2seq.training.run_dir import RunDir

    if threads:
        torch.set_num_threads(threads)
    network, tokenizer, recipe = RunDir.open(model).best_model(cell)
    return Translator.over(TorchEngine(network), tokenizer, recipe.directions, recipe.search)


def open_ensemble(
    models: Sequence[Path],
    threads: int = 0,
    combination: Combination = "log",
    cell: Path | None = None,
) -> Translator:
    """Open exported models or runs, as `open_translator` does; several form an ensemble."""
    translators = [open_translator(model, threads, cell) for model in models]
    return translators[0] if len(models) == 1 else Translator.together(translators, combination)


def translate_test(
    translator: Translator,
    test: DirectedText,
    options: TranslateOptions,
    progress: str | None = None,
) -> list[Translation]:
    """Translate the sources of a test set in its direction.

    On a terminal, a bar shows the progress, with the text `progress` before the direction.
    """
    direction, text = test
    options = replace(options, source=direction.source, target=direction.target, keep_parts=False)
    lines: Iterable[Translation] = translator.stream(text.source, options)
    if progress is not None:
        from rich.console import Console
        from rich.progress import track

        console = Console(stderr=True)
        lines = track(
            lines,
            f"{progress}{direction}",
            len(text),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
    return [*lines]


def evaluate_model(
    models: Sequence[Path],
    test_set: EvaluationSet,
    options: TranslateOptions,
    *,
    tokenize: Tokenize | None = None,
    metric: FurtherMetric | None = None,
    combination: Combination = "log",
    threads: int = 0,
    cell: Path | None = None,
    sink: BinaryIO | None = None,
    show_progress: bool = False,
) -> list[Evaluation]:
    """Translate test sets with an exported model or the best model of a run, and score them.

    Several models form an ensemble. The translations are written to `sink`, one per line.
    `tokenize` is passed to `bleu_chrf.score`; `metric` is an additional metric.
    """
    if metric == "comet":
        require_comet()
    translator = open_ensemble(models, threads, combination, cell)
    runs = filter(is_training_run, models)
    tests = test_set.read(translator.directions, next(runs, None))
    name = " + ".join(map(str, models))
    further = test_set.read_further(len(tests[0].text))
    for test in tests:  # before any translation begins
        choose_direction(translator.directions, test.direction.source, test.direction.target)
    return [
        _evaluate(name, translator, test, further, options, tokenize, metric, sink, show_progress)
        for test in tests
    ]


def _evaluate(
    model: str,
    translator: Translator,
    test: DirectedText,
    further: Sequence[Sequence[str]],
    options: TranslateOptions,
    tokenize: Tokenize | None,
    metric: FurtherMetric | None,
    sink: BinaryIO | None,
    show_progress: bool,
) -> Evaluation:
    direction, text = test
    started = time.perf_counter()
    translations = translate_test(translator, test, options, "" if show_progress else None)
    seconds = time.perf_counter() - started
    hypotheses = [translation.text for translation in translations]
    if sink is not None:
        sink.writelines(f"{line}\n".encode() for line in hypotheses)
    scores = score(hypotheses, text.target, direction.target, tokenize, further)
    if metric == "comet":
        scores = (*scores, comet_score([*text.source], hypotheses, [*text.target]))
    return Evaluation(
        model,
        direction,
        text.name,
        len(text),
        scores,
        seconds,
        options.beam_size or translator.search.beam_size,
        _calibration_error(translations, text.target),
    )


def confidence_and_quality(
    translations: Sequence[Translation], references: Sequence[str]
) -> tuple[list[float], list[float]]:
    """Return the confidence of each translation that has one, and its sentence chrF / 100."""
    confident = [
        (translation.confidence, sentence_chrf(translation.text, reference) / 100)
        for translation, reference in zip(translations, references, strict=True)
        if translation.confidence is not None
    ]
    return [confidence for confidence, _ in confident], [quality for _, quality in confident]


def _calibration_error(
    translations: Sequence[Translation], references: Sequence[str]
) -> float | None:
    confidence, quality = confidence_and_quality(translations, references)
    return calibration_error(confidence, quality) if confidence else None


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
