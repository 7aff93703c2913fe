"""The folder of a training run: what lies where, and how a finished model is read from it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from torch import Tensor

from seq2seq.config import Recipe, from_table, to_table
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.nn.model import EncoderDecoder
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.checkpoint import load_tensors


@dataclass(frozen=True)
class RunFolder:
    """`recipe.json`, `tokenizer.model`, `metrics.jsonl`, `best.safetensors`, `checkpoints/`."""

    path: Path

    @property
    def recipe_file(self) -> Path:
        """The settings of the run, all of them."""
        return self.path / "recipe.json"

    @property
    def tokenizer_file(self) -> Path:
        """The SentencePiece model."""
        return self.path / "tokenizer.model"

    @property
    def metrics_file(self) -> Path:
        """One JSON object a line: loss and speed every few steps, BLEU at each validation."""
        return self.path / "metrics.jsonl"

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
        return run

    def create(self, recipe: Recipe, tokenizer: Tokenizer) -> None:
        """Make the folder. The recipe comes last, and with it the run can be resumed."""
        text = json.dumps(to_table(recipe), indent=1, ensure_ascii=False)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.tokenizer_file.write_bytes(tokenizer.model)
            aside = self.path / "recipe.json.partial"
            aside.write_text(text + "\n", encoding="utf-8")
            aside.replace(self.recipe_file)
        except OSError as error:
            raise Seq2SeqError(f"{self.path}: cannot be written: {error.strerror}.") from None

    @classmethod
    def open(cls, path: Path) -> Self:
        """An existing run; raises `Seq2SeqError` where there is none."""
        run = cls(path)
        if not run.recipe_file.is_file():
            raise Seq2SeqError(f"{path}: not a training run (it has no recipe.json).")
        return run

    def recipe(self) -> Recipe:
        """The settings that the run was started with."""
        try:
            table = json.loads(self.recipe_file.read_text(encoding="utf-8"))
            return from_table(Recipe, table)
        except (OSError, ValueError, UsageError) as error:
            raise Seq2SeqError(f"{self.recipe_file}: not a run's recipe: {error}") from None

    def best_model(self) -> tuple[EncoderDecoder, Tokenizer, Recipe]:
        """The model that validated best, ready to translate (no dropout)."""
        recipe = self.recipe()
        tokenizer = Tokenizer.load(self.tokenizer_file)
        if not self.best_file.exists():
            raise Seq2SeqError(f"{self.path}: the run has no validated model yet.")
        model = EncoderDecoder(recipe.model, len(tokenizer))
        load_weights(model, load_tensors(self.best_file), self.best_file)
        return model.eval(), tokenizer, recipe


def load_weights(model: EncoderDecoder, weights: Mapping[str, Tensor], path: Path) -> None:
    """`load_state_dict` that tells which file does not fit the model, and how."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise Seq2SeqError(f"{path}: the weights do not fit the recipe: {reason}") from None
