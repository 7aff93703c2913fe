"""The directory of a training run: its files, its lock, and its trained model."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout
from torch import Tensor

from seq2seq.config.parse import from_table, to_table
from seq2seq.config.recipe import Recipe
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import checksums, digest, read_checksums, remove_leftovers, write_file
from seq2seq.nn.cell_file import CellFile
from seq2seq.nn.cells import CellType
from seq2seq.nn.model import EncoderDecoder
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.checkpoint import SUMS, WriteError, checkpoints, load_best, step_of

_FREE = ("training.keep_checkpoints",)  # may change on resuming: they do not affect the results
_PARENT = "origin"  # its key in recipe.json, beside the settings


@dataclass(frozen=True)
class ParentModel:
    """The model that a run started from, if not from random weights."""

    path: str  # as the user gave it
    sha256: str  # of its file of weights


@dataclass(frozen=True)
class RunDir:
    """A folder with `recipe.json`, `tokenizer.model`, `metrics.jsonl`, `best.safetensors`...

    Also `checkpoints/`, and `cell.py` if the cell is the user's own. `SHA256SUMS` has the digests
    of the files that never change: recipe, tokenizer and cell. The others contain their own.
    """

    path: Path

    @property
    def recipe_file(self) -> Path:
        """All settings of the run, and its `ParentModel`, if any."""
        return self.path / "recipe.json"

    @property
    def tokenizer_file(self) -> Path:
        """The SentencePiece model."""
        return self.path / "tokenizer.model"

    @property
    def cell_file(self) -> Path:
        """A copy of the file of the user's own cell; it is never run unless the user names it."""
        return self.path / "cell.py"

    @property
    def sums_file(self) -> Path:
        """The digests of the files that never change, in the format of `sha256sum -c`."""
        return self.path / SUMS

    @property
    def metrics_file(self) -> Path:
        """One JSON object per line: loss and speed every few steps, BLEU at each validation.

        A validation also has the gates, see `seq2seq.training.gate_statistics.GateStatistics`.
        """
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """The same as events for TensorBoard, if the user wants them."""
        return self.path / "tensorboard"

    @property
    def curve_file(self) -> Path:
        """A plot of metrics.jsonl, drawn at the end of the run."""
        return self.path / "curve.png"

    @property
    def best_file(self) -> Path:
        """The averaged weights of the best validation."""
        return self.path / "best.safetensors"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @classmethod
    def vacant(cls, path: Path) -> Self:
        """Return a place for a new run; raise `UsageError` if there is a run already."""
        run = cls(path)
        if run.recipe_file.exists():
            raise UsageError(
                f"{path}: there is a run already; add --resume to continue it, "
                "or choose another folder with -o."
            )
        if any(step_of(checkpoint) for checkpoint in checkpoints(run.checkpoints)):
            raise UsageError(
                f"{path}: there are checkpoints of a run already, but no recipe.json; choose "
                "another folder with -o."
            )
        if not run._was_begun():
            for file in (*run._files, run.events):
                if file.exists():
                    raise UsageError(f"{file} is in the way; choose another folder with -o.")
        return run

    @property
    def _files(self) -> tuple[Path, ...]:
        return (
            self.recipe_file,
            self.tokenizer_file,
            self.cell_file,
            self.sums_file,
            self.metrics_file,
            self.best_file,
            self.curve_file,
        )

    def _was_begun(self) -> bool:
        """Return whether a run was killed here before it was resumable; its files are ours."""
        try:
            names = read_checksums(self.sums_file).keys()
        except (OSError, ValueError):
            return False
        return names - {self.cell_file.name} == {self.recipe_file.name, self.tokenizer_file.name}

    def create(
        self,
        recipe: Recipe,
        tokenizer: Tokenizer,
        first: Callable[[], None],
        parent: ParentModel | None = None,
        own_cell: CellFile | None = None,
    ) -> None:
        """Make the directory, with the first checkpoint, which `first` saves.

        The recipe is written last; from then on the run can be resumed. If this fails or is stopped
        earlier, nothing is left behind. Raises `WriteError`.
        """
        table = to_table(recipe) | ({_PARENT: to_table(parent)} if parent else {})
        text = json.dumps(table, indent=1, ensure_ascii=False)
        files = {
            self.recipe_file.name: f"{text}\n".encode(),
            self.tokenizer_file.name: tokenizer.model,
        }
        if own_cell:
            files[self.cell_file.name] = own_cell.text
        try:
            self.clean()  # after a run that was killed before it could be resumed
            write_file(self.sums_file, checksums(files))
            write_file(self.tokenizer_file, tokenizer.model)
            if own_cell:
                write_file(self.cell_file, own_cell.text)
            first()
            write_file(self.recipe_file, files[self.recipe_file.name])
        except OSError as error:
            self._clear()
            raise WriteError(self.path, error) from None
        except BaseException:
            self._clear()
            raise

    def _clear(self) -> None:
        self.tokenizer_file.unlink(missing_ok=True)
        self.cell_file.unlink(missing_ok=True)
        self.sums_file.unlink(missing_ok=True)
        for checkpoint in checkpoints(self.checkpoints):
            shutil.rmtree(checkpoint)
        with suppress(OSError):
            self.checkpoints.rmdir()

    def clean(self) -> None:
        """Remove what a killed run left half written."""
        remove_leftovers(self.checkpoints, "step-*")
        for file in self._files:
            remove_leftovers(self.path, file.name)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return an existing run; raise `Seq2SeqError` if there is none."""
        run = cls(path)
        if not run.recipe_file.is_file():
            raise Seq2SeqError(f"{path}: not a training run (it has no recipe.json).")
        return run

    def recipe(self) -> Recipe:
        """Read the settings that the run was started with."""
        return self._read()[0]

    def parent(self) -> ParentModel | None:
        """Read which model the run started from; None: it began with random weights."""
        return self._read()[1]

    def _read(self) -> tuple[Recipe, ParentModel | None]:
        try:
            table = json.loads(self._unaltered(self.recipe_file))
            parent = table.pop(_PARENT, None) if isinstance(table, dict) else None
            recipe = from_table(Recipe, table)
            return recipe, parent and from_table(ParentModel, parent, f"{_PARENT}.")
        except (ValueError, RecursionError, UsageError) as error:
            raise Seq2SeqError(f"{self.recipe_file}: not a run's recipe: {error}") from None

    def tokenizer(self) -> Tokenizer:
        """Read the tokenizer that the run was started with."""
        return Tokenizer(self._unaltered(self.tokenizer_file), name=str(self.tokenizer_file))

    def _unaltered(self, file: Path) -> bytes:
        """Read a file that never changes, and verify its digest; old runs have no digests."""
        sums = self.sums_file
        try:
            data = file.read_bytes()
            digests = read_checksums(sums) if sums.exists() else {file.name: digest(data)}
        except OSError as error:
            raise Seq2SeqError(f"{error.filename}: cannot be read: {error.strerror}.") from None
        except ValueError:
            raise Seq2SeqError(f"{sums}: damaged; restore it from a copy.") from None
        if digest(data) != digests.get(file.name):
            raise Seq2SeqError(
                f"{file}: altered: it is not the file that the run began with, by {sums.name}; "
                "restore that file, or start another run."
            )
        return data

    def require(self, recipe: Recipe) -> None:
        """Raise `UsageError` if `recipe` differs from the recipe of the run."""
        before, now = flat_settings(self.recipe()), flat_settings(recipe)
        for name in sorted(before.keys() | now.keys()):
            old, new = before.get(name), now.get(name)
            if old != new and name not in _FREE:
                fixed = name.startswith(("model.", "tokenizer."))
                from_here = "" if fixed else f" from its weights: --init-from {self.path} -o FOLDER"
                raise UsageError(
                    f"{self.path} was started with {name} = {old!r}, not {new!r}; resume with the "
                    f"same recipe, or start another run{from_here}."
                )

    def own_cell(self, file: Path | None) -> CellType | None:
        """Run `file`, which the user named, and return the cell of this run from it.

        Return None if the cell is built in. Raises `UsageError` if the cell is the user's own and
        no file is named, or the file has changed since the run was started.
        """
        own_cell = self.recipe().model.own_cell
        if own_cell is None:
            if file is not None:
                raise UsageError(f"{self.path} has a built-in cell; leave --cell out.")
            return None
        if file is None:
            raise UsageError(
                f"{self.path}: its cell is {own_cell[1]} of {own_cell[0]}, and such code is run "
                f"only if you name its file: read it, and add --cell {self.cell_file}"
            )
        cell = CellFile.read(file, own_cell[1])
        self.require_cell(cell)
        return cell.load()

    def require_cell(self, cell: CellFile) -> None:
        """Raise `UsageError` if a cell's file has changed since the run was started."""
        try:
            digest_then = read_checksums(self.sums_file).get(self.cell_file.name)
        except (OSError, ValueError):
            raise Seq2SeqError(f"{self.sums_file}: damaged; restore it from a copy.") from None
        if cell.digest != digest_then:
            raise UsageError(
                f"{cell.path}: not as it was when {self.path} was started, by its SHA-256; the run "
                f"has a copy, {self.cell_file}."
            )

    def best_model(self, cell: Path | None = None) -> tuple[EncoderDecoder, Tokenizer, Recipe]:
        """Load the model with the best validation, ready to translate (without dropout).

        `cell` is the file of its cell, if that is the user's own.
        """
        recipe = self.recipe()
        tokenizer = self.tokenizer()
        model = EncoderDecoder(recipe.model, len(tokenizer), own_cell=self.own_cell(cell))
        load_weights(model, self.best_weights()[0], self.best_file)
        return model.eval(), tokenizer, recipe

    def best_weights(self) -> tuple[dict[str, Tensor], str]:
        """Read the weights with the best validation, and the SHA-256 of their file."""
        if not self.best_file.exists():
            raise Seq2SeqError(f"{self.path}: the run has no validated model yet.")
        return load_best(self.best_file)


def load_weights(model: EncoderDecoder, weights: Mapping[str, Tensor], path: Path) -> None:
    """Call `load_state_dict`; raise a `Seq2SeqError` that names the file if it does not fit."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise Seq2SeqError(f"{path}: the weights do not fit the recipe: {reason}") from None


def flat_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings by their full names, as `--set` takes them."""
    return _settings(to_table(recipe))


def _settings(value: Any, name: str = "") -> dict[str, Any]:
    """Return the settings in a table by their full names."""
    if isinstance(value, dict):
        parts = value
    elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        return _settings(value[0], name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        parts = {str(number): table for number, table in enumerate(value)}
    else:
        return {name: value}
    return {
        path: setting
        for key, part in parts.items()
        for path, setting in _settings(part, f"{name}.{key}" if name else key).items()
    }


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other trainers out of the run directory `path`, which is made if it does not exist.

    The lock is the kernel's, on the file `lock` in the directory, so it ends with the process, no
    matter how. A new directory is removed again if no run was started in it. Raises
    `Seq2SeqError` if another trainer is at work.
    """
    lock_file = path / "lock"
    if lock_file.is_file() and lock_file.stat().st_size:
        raise UsageError(f"{lock_file} is in the way; choose another folder with -o.")
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    lock = FileLock(lock_file)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise Seq2SeqError(
            f"{path}: another training is using this folder; wait until it ends, or choose "
            "another folder with -o."
        ) from None
    except OSError as error:
        _remove_empty(made)
        raise Seq2SeqError(f"{path}: cannot be written: {error.strerror}.") from None
    try:
        yield
    finally:
        unused = not RunDir(path).recipe_file.exists()
        if unused:  # before the release: nobody else may hold the lock when its file is removed
            with suppress(OSError):
                lock_file.unlink()
        lock.release()
        if unused:
            _remove_empty(made)


def _remove_empty(folders: list[Path]) -> None:
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
