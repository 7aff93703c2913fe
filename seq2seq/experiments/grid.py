"""Read the description of a sweep: recipes, settings with several values each, and seeds.

    recipe = "data/recipes/sample.toml"   # or several: ["a.toml", "b.toml"]
    seeds = [1, 2, 3]

    [grid]
    model.cell = ["lstm", "gru"]
    training.dropout = [0.1, 0.3]
    training.epochs = [12]

Each combination of a recipe and values is a candidate. It is trained once with each seed; each such
training is a trial.
"""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from seq2seq.config.parse import from_table, shown, to_table
from seq2seq.config.recipe import Recipe, read_table
from seq2seq.errors import UsageError

_MOST_TRIALS = 10_000
_FREE = ("keep_checkpoints",)  # settings of `training` that do not affect the results of a run
_LONGEST_NAME = 80  # characters of a folder's name, without the unique suffix


@dataclass(frozen=True)
class SweepConfig:
    """The settings of a sweep, without its grid."""

    recipe: str | tuple[str, ...]
    seeds: tuple[int, ...] = (1, 2, 3)

    @property
    def recipes(self) -> tuple[str, ...]:
        """The recipes, always as a tuple."""
        return self.recipe if isinstance(self.recipe, tuple) else (self.recipe,)


@dataclass(frozen=True)
class Trial:
    """A training run: the recipe of a candidate with one seed."""

    candidate: str
    seed: int
    recipe: Recipe

    @property
    def identity(self) -> str:
        """The suffix of the run's folder: the seed, and a hash of all settings that affect it.

        It does not contain the name of the candidate, which depends on the rest of the grid.
        """
        table = to_table(self.recipe)
        for name in _FREE:
            table["training"].pop(name)
        digest = sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:8]
        return f"_seed={self.seed}_{digest}"

    def run(self, folder: Path) -> Path:
        """Return the folder of the run within `folder`: an existing one, or the path for a new one.

        An existing folder is recognised by its suffix, whatever the candidate was called.
        """
        earlier = sorted(path for path in folder.glob(f"*{self.identity}") if path.is_dir())
        name = re.sub(r"[^\w.=-]+", "_", self.candidate)[:_LONGEST_NAME]
        return earlier[0] if earlier else folder / f"{name}{self.identity}"


@dataclass(frozen=True)
class Candidate:
    """A recipe with a combination of settings, and its trials."""

    name: str
    trials: tuple[Trial, ...]

    @property
    def recipe(self) -> Recipe:
        """The recipe, with the first seed."""
        return self.trials[0].recipe


def read_sweep(path: Path) -> list[Candidate]:
    """Read a sweep and all its recipes; raises `UsageError` if anything is wrong with them."""
    table = read_table(path)
    try:
        grid = _flat(table.pop("grid", {}))
        config = from_table(SweepConfig, table)
        for name, values in grid.items():
            if not isinstance(values, list) or not values:
                raise UsageError(f"'grid.{name}' must be a list of values.")
            if name == "training.seed":
                raise UsageError("'grid.training.seed': the seeds have a list of their own, seeds.")
        if not config.recipes:
            raise UsageError("'recipe' names no recipe.")
        for name, values in (("seeds", config.seeds), ("recipe", config.recipes)):
            if len({*values}) < len(values) or not values:
                raise UsageError(f"'{name}' must have at least one value, and each once.")
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    candidates = []
    for recipe in config.recipes:
        for values in itertools.product(*grid.values()):
            settings = dict(zip(grid, values, strict=True))
            candidates.append(_candidate(path, config, recipe, settings, grid))
            if len(candidates) * len(config.seeds) > _MOST_TRIALS:
                raise UsageError(f"{path}: more than {_MOST_TRIALS:,} runs; leave some values out.")
    if any(
        candidate.recipe.directions != candidates[0].recipe.directions for candidate in candidates
    ):
        raise UsageError(f"{path}: the recipes must be of the same languages, to be compared.")
    return candidates


def _candidate(
    path: Path,
    config: SweepConfig,
    recipe: str,
    settings: Mapping[str, Any],
    grid: Mapping[str, Sequence[Any]],
) -> Candidate:
    varied = {name: value for name, value in settings.items() if len(grid[name]) > 1}
    parts = [f"{_short(name, varied)}={_plain(value)}" for name, value in varied.items()]
    if len(config.recipes) > 1 or not parts:
        parts.insert(0, Path(recipe).stem)
    name = ", ".join(parts)
    overrides = [f"{name}={json.dumps(value)}" for name, value in settings.items()]
    trials = []
    for seed in config.seeds:
        try:
            loaded = Recipe.load(Path(recipe), [*overrides, f"training.seed={seed}"])
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        if loaded.model.own_cell:
            raise UsageError(f"{path}: model.cell is code, and a sweep runs built-in cells alone.")
        trials.append(Trial(name, seed, loaded))
    return Candidate(name, tuple(trials))


def _flat(table: Any, prefix: str = "") -> dict[str, Any]:
    """Return the settings by their full names, whether written with dots or as nested tables."""
    if not isinstance(table, Mapping):
        raise UsageError("'grid' must be a table.")
    settings: dict[str, Any] = {}
    for key, value in table.items():
        name = prefix + key
        settings |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return settings


def _short(name: str, settings: Mapping[str, Any]) -> str:
    """Return the last part of a setting's name, or the full name if that would be ambiguous."""
    last = name.rpartition(".")[2]
    alike = [other for other in settings if other.rpartition(".")[2] == last]
    return last if len(alike) == 1 else name


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else shown(value)
