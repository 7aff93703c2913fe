"""Fine-tuning: start a run from a trained model instead of random weights.

That model is the best of another run, or a model directory of any precision. The run takes over its
tokenizer, since each row of the embedding belongs to a piece, and the shape of its network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.config.model_config import Direction, ModelConfig
from seq2seq.config.parse import to_table
from seq2seq.config.recipe import Recipe, read_table
from seq2seq.engines.weights import unpack
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.model_dir.read import WEIGHTS, is_training_run, read_config, read_weights
from seq2seq.nn.cell_file import CellFile
from seq2seq.tokenizer import UNK_ID, Tokenizer, language_tag
from seq2seq.training.run_dir import ParentModel, RunDir

BUNDLED = "bundled"
"""The value of --init-from that means the package's default model."""


@dataclass(frozen=True, eq=False)
class PretrainedInit:
    """A trained model to start from."""

    parent: ParentModel
    model: ModelConfig
    tokenizer: Tokenizer
    weights: Mapping[str, Tensor]  # the state of an `EncoderDecoder`

    @classmethod
    def load(cls, where: str) -> Self:
        """Load the model of a training run, of a model directory, or the `BUNDLED` one.

        Raises a `Seq2SeqError` that names the file if one is missing or damaged.
        """
        path = DEFAULT_MODEL if where == BUNDLED else Path(where)
        if is_training_run(path):
            run = RunDir.open(path)
            weights, sha256 = run.best_weights()
            model, tokenizer = run.recipe().model, run.tokenizer()
        else:
            config, tokenizer, stored = read_weights(path)
            model, sha256 = config.model, config.checksums[WEIGHTS]
            state = unpack(stored, model, config.precision, config.shortlist)
            weights = {name: torch.from_numpy(weight) for name, weight in state.items()}
        if not all(bool(weight.isfinite().all()) for weight in weights.values()):
            raise Seq2SeqError(f"{where}: its weights are not all finite.")
        return cls(ParentModel(where, sha256), model, tokenizer, weights)

    def require(self, recipe: Recipe) -> None:
        """Raise `UsageError` if `recipe` asks for something that this model cannot become."""
        where, requested = self.parent.path, to_table(recipe.model)
        for name, value in to_table(self.model).items():
            if requested[name] != value and name != "kernels":
                raise UsageError(
                    f"model.{name} is {requested[name]!r}, but {where} has {value!r}; leave "
                    f"model.{name} out, or train without --init-from."
                )
        if recipe.tokenizer.path is not None:
            raise UsageError(
                f"tokenizer.path is {recipe.tokenizer.path!r}, but {where} has a tokenizer of its "
                "own; leave tokenizer.path out, or train without --init-from."
            )
        known = _languages(self.tokenizer)
        for language in recipe.languages:
            if language not in known:
                raise UsageError(
                    f"{where} does not know the language {language!r}, and cannot learn another; "
                    f"it knows {', '.join(known)}."
                )


def first_direction(where: str) -> Direction:
    """Return the first direction of a model that a run can start from."""
    path = DEFAULT_MODEL if where == BUNDLED else Path(where)
    if is_training_run(path):
        return RunDir.open(path).recipe().directions[0]
    return read_config(path).directions[0]


def load_recipe(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    where: str | None = None,
    resumed: Path | None = None,
) -> tuple[Recipe, PretrainedInit | None]:
    """Load the recipe at `path`, and the model `where` that a new run starts from, if any.

    Model settings that neither the recipe nor `overrides` give are taken from that model, or, if
    a run that began with a model is `resumed`, from that run.
    """
    recipe = Recipe.load(path, overrides)
    if resumed is not None:
        run = RunDir.open(resumed)
        parent = run.parent()
        if where not in (None, parent and parent.path):
            began = f"from {parent.path}" if parent else "without --init-from"
            raise UsageError(
                f"{resumed} was started {began}, not from {where}; --resume continues with its "
                "own weights: leave --init-from out, or start another run."
            )
        shape = run.recipe().model if parent else recipe.model
        return _completed(recipe, path, overrides, shape), None
    if where is None:
        return recipe, None
    init = PretrainedInit.load(where)
    recipe = _completed(recipe, path, overrides, init.model)
    init.require(recipe)
    return recipe, init


def named_cell(recipe: Recipe, path: Path, overrides: Sequence[str]) -> CellFile | None:
    """Read the file of the user's own cell, if `recipe` has one, without running it.

    Raises `UsageError` if the file is named only in the recipe at `path`, or in a model that a run
    starts from: code is run only if the command itself names it.
    """
    if recipe.model.own_cell is None:
        return None
    if not any(override.partition("=")[0].strip() == "model.cell" for override in overrides):
        raise UsageError(
            f"{path}: model.cell is code, {recipe.model.cell}, which is run only if the command "
            f"names it: read it, and add --set model.cell={recipe.model.cell}"
        )
    file, name = recipe.model.own_cell
    return CellFile.read(Path(file), name)


def _completed(recipe: Recipe, path: Path, overrides: Sequence[str], model: ModelConfig) -> Recipe:
    """Replace the model settings that are not given explicitly with those of `model`."""
    names = [override.partition("=")[0].strip() for override in overrides]
    stated = {*read_table(path).get("model", {})}
    stated |= {name.removeprefix("model.") for name in names if name.startswith("model.")}
    shape = replace(model, **{name: getattr(recipe.model, name) for name in stated})
    return replace(recipe, model=shape)


def _languages(tokenizer: Tokenizer) -> list[str]:
    """List the languages with a tag; tags come right after the special ids."""
    pieces = (tokenizer.pieces([number])[0] for number in count(UNK_ID + 1))
    before, after = language_tag("\n").split("\n")
    tags = takewhile(lambda piece: piece.startswith(before) and piece.endswith(after), pieces)
    return [tag.removeprefix(before).removesuffix(after) for tag in tags]
