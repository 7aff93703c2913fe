"""The folder of a training run: what lies where, and how a finished model is read from it."""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from seq2seq.config.parse import from_table, to_table
from seq2seq.config.recipe import Recipe
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import checksums, digest, read_checksums, remove_leftovers, write_file
from seq2seq.nn.model import EncoderDecoder
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.checkpoint import SUMS, WriteError, checkpoints, load_best, step_of

_FREE = ("training.keep_checkpoints",)  # of what comes out of a run
_ORIGIN = "origin"  # in recipe.json, beside the settings


@dataclass(frozen=True)
class Origin:
    """The model that a run has its first weights from, where it did not begin with random ones."""

    path: str  # as it was given
    sha256: str  # of the file that has them


@dataclass(frozen=True)
class RunFolder:
    """`recipe.json`, `tokenizer.model`, `metrics.jsonl`, `best.safetensors`, `checkpoints/`.

    `SHA256SUMS` has the digests of the first two, which never change; the others have their own.
    """

    path: Path

    @property
    def recipe_file(self) -> Path:
        """The settings of the run, all of them; and its `Origin`, where it has one."""
        return self.path / "recipe.json"

    @property
    def tokenizer_file(self) -> Path:
        """The SentencePiece model."""
        return self.path / "tokenizer.model"

    @property
    def sums_file(self) -> Path:
        """The digests of these two, as `sha256sum -c` reads them."""
        return self.path / SUMS

    @property
    def metrics_file(self) -> Path:
        """One JSON object a line: loss and speed every few steps, BLEU at each validation.

        With the BLEU come the gates, see `seq2seq.training.gate_statistics.GateStatistics`.
        """
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """The same once more as events for TensorBoard, where these are wanted."""
        return self.path / "tensorboard"

    @property
    def curve_file(self) -> Path:
        """A picture of metrics.jsonl, drawn when the run is done."""
        return self.path / "curve.png"

    @property
    def best_file(self) -> Path:
        """The averaged weights of the best validation."""
        return self.path / "best.safetensors"

    @property
    def checkpoints(self) -> Path:
        """One folder a checkpoint."""
        return self.path / "checkpoints"

    @classmethod
    def vacant(cls, path: Path) -> Self:
        """A place for a new run; raises `UsageError` where there is a run already."""
        run = cls(path)
        if run.recipe_file.exists():
            raise UsageError(
                f"{path}: there is a run already; add --resume to go on with it, "
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
            self.sums_file,
            self.metrics_file,
            self.best_file,
            self.curve_file,
        )

    def _was_begun(self) -> bool:
        """Whether a run was killed here before it could be resumed, so that its files are ours."""
        try:
            names = read_checksums(self.sums_file).keys()
        except (OSError, ValueError):
            return False
        return names == {self.recipe_file.name, self.tokenizer_file.name}

    def create(
        self,
        recipe: Recipe,
        tokenizer: Tokenizer,
        first: Callable[[], None],
        origin: Origin | None = None,
    ) -> None:
        """Make the folder, with what `first` saves: a checkpoint of the start.

        The recipe comes last, and with it the run can be resumed. What cannot be written, or is
        stopped half-way, leaves nothing behind.
        """
        table = to_table(recipe) | ({_ORIGIN: to_table(origin)} if origin else {})
        text = json.dumps(table, indent=1, ensure_ascii=False)
        files = {
            self.recipe_file.name: f"{text}\n".encode(),
            self.tokenizer_file.name: tokenizer.model,
        }
        try:
            self.clean()  # of a run that was killed before it could be resumed
            write_file(self.sums_file, checksums(files))
            write_file(self.tokenizer_file, tokenizer.model)
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
        """An existing run; raises `Seq2SeqError` where there is none."""
        run = cls(path)
        if not run.recipe_file.is_file():
            raise Seq2SeqError(f"{path}: not a training run (it has no recipe.json).")
        return run

    def recipe(self) -> Recipe:
        """The settings that the run was started with."""
        return self._read()[0]

    def origin(self) -> Origin | None:
        """The model that it was started from; none where it began with random weights."""
        return self._read()[1]

    def _read(self) -> tuple[Recipe, Origin | None]:
        try:
            table = json.loads(self._unaltered(self.recipe_file))
            origin = table.pop(_ORIGIN, None) if isinstance(table, dict) else None
            recipe = from_table(Recipe, table)
            return recipe, None if origin is None else from_table(Origin, origin, f"{_ORIGIN}.")
        except (ValueError, RecursionError, UsageError) as error:
            raise Seq2SeqError(f"{self.recipe_file}: not a run's recipe: {error}") from None

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the run was started with."""
        return Tokenizer(self._unaltered(self.tokenizer_file), name=str(self.tokenizer_file))

    def _unaltered(self, file: Path) -> bytes:
        """What the run began with, by its digest; runs of before have none."""
        sums = self.sums_file
        try:
            data = file.read_bytes()
            digests = read_checksums(sums) if sums.exists() else {file.name: digest(data)}
        except OSError as error:
            raise Seq2SeqError(f"{error.filename}: cannot be read: {error.strerror}.") from None
        except ValueError:
            raise Seq2SeqError(f"{sums}: damaged; bring it back from a copy.") from None
        if digest(data) != digests.get(file.name):
            raise Seq2SeqError(
                f"{file}: altered: it is not the file that the run began with, by {sums.name}; "
                "bring that back, or start another run."
            )
        return data

    def require(self, recipe: Recipe) -> None:
        """A run goes on with the settings that it was started with, or not at all."""
        before, now = (_settings(to_table(one)) for one in (self.recipe(), recipe))
        for name in sorted(before.keys() | now.keys()):
            old, new = before.get(name), now.get(name)
            if old != new and name not in _FREE:
                fixed = name.startswith(("model.", "tokenizer."))
                from_here = "" if fixed else f" from its weights: --init-from {self.path} -o FOLDER"
                raise UsageError(
                    f"{self.path} was started with {name} = {old!r}, not {new!r}; resume with the "
                    f"same recipe, or start another run{from_here}."
                )

    def best_model(self) -> tuple[EncoderDecoder, Tokenizer, Recipe]:
        """The model that validated best, ready to translate (no dropout)."""
        recipe = self.recipe()
        tokenizer = self.tokenizer()
        model = EncoderDecoder(recipe.model, len(tokenizer))
        load_weights(model, self.best_weights()[0], self.best_file)
        return model.eval(), tokenizer, recipe

    def best_weights(self) -> tuple[dict[str, Tensor], str]:
        """Those that validated best, and the SHA-256 of their file."""
        if not self.best_file.exists():
            raise Seq2SeqError(f"{self.path}: the run has no validated model yet.")
        return load_best(self.best_file)


def load_weights(model: EncoderDecoder, weights: Mapping[str, Tensor], path: Path) -> None:
    """`load_state_dict` that tells which file does not fit the model, and how."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise Seq2SeqError(f"{path}: the weights do not fit the recipe: {reason}") from None


def _settings(value: Any, name: str = "") -> dict[str, Any]:
    """Each setting by its whole name, as `--set` takes it."""
    if isinstance(value, dict):
        parts = value
    elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        return _settings(value[0], name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        parts = {str(number): one for number, one in enumerate(value)}
    else:
        return {name: value}
    return {
        path: one
        for key, part in parts.items()
        for path, one in _settings(part, f"{name}.{key}" if name else key).items()
    }
