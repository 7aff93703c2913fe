"""Average checkpoints of a run: the average is often a better model than each of them.

Of each checkpoint, the weights that would be exported are averaged: their moving average (EMA).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from seq2seq.bleu_chrf import rank_of_row
from seq2seq.config.recipe import Recipe
from seq2seq.corpus import read_validation
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import replacing_folder
from seq2seq.nn.model import EncoderDecoder
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.checkpoint import (
    WriteError,
    checkpoints,
    load_checkpoint,
    step_of,
    write_best,
)
from seq2seq.training.optimizer_step import averaged_weights
from seq2seq.training.run_dir import RunDir, load_weights
from seq2seq.training.training_metrics import (
    MetricsWriter,
    read_validations,
    validation_row,
)
from seq2seq.training.validation import HeldOut, Validation, validate


@dataclass(frozen=True)
class Average:
    """The averaged model."""

    steps: tuple[int, ...]  # of the checkpoints
    validation: Validation | None  # None: the validation corpus is not on this machine
    best_bleu: float  # of the run's validations


def average_run(run: Path, output: Path, *, last: int = 0, best: int = 0) -> Average:
    """Write the average of the `last` or the `best` checkpoints that `run` has kept.

    `output` becomes a run directory with the recipe and the tokenizer of the run. It can be
    evaluated and exported, but not resumed, since it has no checkpoint. The best checkpoints are
    those with the best validations. The average is validated too. Raises `UsageError` if there are
    too few checkpoints.
    """
    run_dir = RunDir.open(run)
    recipe, tokenizer = run_dir.recipe(), run_dir.tokenizer()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output} is there already; choose another folder with -o.")
    chosen = _best(run_dir, best) if best else _last(run_dir, last)
    weights = average_checkpoints(chosen)
    started = time.perf_counter()
    validation = _validated(weights, recipe, tokenizer)
    seconds = time.perf_counter() - started
    try:
        with replacing_folder(output) as folder:
            made = RunDir(folder)
            for file in (run_dir.recipe_file, run_dir.tokenizer_file, run_dir.sums_file):
                if file.exists():  # old runs have no digests
                    (folder / file.name).write_bytes(file.read_bytes())
            write_best(weights, made.best_file)
            if validation:
                newest, _ = load_checkpoint(max(chosen))
                row = validation_row(newest, validation, recipe.training.metric, seconds)
                MetricsWriter(made.metrics_file).write(row)
    except OSError as error:
        raise WriteError(output, error) from None
    best_bleu = read_validations(run_dir.metrics_file)[-1]["bleu"]
    return Average(tuple(sorted(map(step_of, chosen))), validation, best_bleu)


def average_checkpoints(chosen: Sequence[Path]) -> dict[str, Tensor]:
    """Return the mean of the averaged weights of some checkpoints, at least one."""
    total: dict[str, Tensor] = {}
    for checkpoint in chosen:
        _, tensors = load_checkpoint(checkpoint)
        for name, weight in averaged_weights(tensors).items():
            total[name] = total[name] + weight.double() if name in total else weight.double()
    return {name: (weight / len(chosen)).float() for name, weight in total.items()}


def _last(run_dir: RunDir, number: int) -> list[Path]:
    """Return the newest checkpoints, except the one before the first step."""
    return _enough([c for c in checkpoints(run_dir.checkpoints) if step_of(c)], number, run_dir)


def _best(run_dir: RunDir, number: int) -> list[Path]:
    """Return the kept checkpoints with the best validations, the best last."""
    ranks = {row["step"]: rank_of_row(row) for row in read_validations(run_dir.metrics_file)}
    validated = [c for c in checkpoints(run_dir.checkpoints) if step_of(c) in ranks]
    validated.sort(key=lambda checkpoint: ranks[step_of(checkpoint)])
    return _enough(validated, number, run_dir)


def _enough(kept: list[Path], number: int, run_dir: RunDir) -> list[Path]:
    if len(kept) < number:
        raise UsageError(
            f"{run_dir.path} has kept {len(kept)} such checkpoints, not {number}; train with "
            f"training.keep_checkpoints = {number} or more (--keep {number})."
        )
    return kept[-number:]


def _validated(
    weights: dict[str, Tensor], recipe: Recipe, tokenizer: Tokenizer
) -> Validation | None:
    try:
        texts = read_validation(recipe.corpus)
    except Seq2SeqError:
        return None
    model = EncoderDecoder(recipe.model, len(tokenizer))
    load_weights(model, weights, Path("the average"))
    held_out = [HeldOut.of(text, tokenizer, recipe.training) for text in texts]
    with torch.inference_mode():
        return validate(model.eval(), held_out, tokenizer, recipe.search)
