"""Open a model for inspection: the engine that translates, and the network in NumPy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.config.model_config import Direction, SearchConfig, choose_direction
from seq2seq.engines.weights import activation_scales, unpack
from seq2seq.errors import UsageError, require_extra
from seq2seq.inspection.numpy_model import Network
from seq2seq.model_dir.read import is_training_run, load_model_dir, read_weights
from seq2seq.search.beam import Hypothesis, beam_search
from seq2seq.search.engine_protocol import Engine
from seq2seq.search.repetition import loops
from seq2seq.search.utf8 import ByteRule
from seq2seq.text.casing import is_all_caps
from seq2seq.text.masking import Protection
from seq2seq.tokenizer import Tokenizer
from seq2seq.translation.preprocess import Preprocessor


@dataclass(frozen=True, eq=False)
class InspectedModel:
    """A model opened for inspection."""

    name: str
    network: Network
    engine: Engine[Any]
    tokenizer: Tokenizer
    directions: tuple[Direction, ...]
    search: SearchConfig

    @property
    def forbidden(self) -> list[int]:
        """The ids that never occur in a translation."""
        return [*self.tokenizer.tag_ids(), *self.tokenizer.placeholder_ids()]

    @property
    def byte_rule(self) -> ByteRule:
        """The rule that says which bytes may follow in a translation."""
        return ByteRule(self.tokenizer.byte_ids())

    def between(self, source: str | None, target: str | None) -> Direction:
        """Choose a direction that fits; raise a `UsageError` that lists all if there is none."""
        return choose_direction(self.directions, source, target)

    def read(self, sentence: str, direction: Direction) -> tuple[int, ...]:
        """Return the ids that the encoder reads for `sentence`, as a single piece.

        It is prepared as in `translate`: for example, text in capitals is read as ordinary text.
        `differences` lists what `translate` would do differently. Raises `UsageError` if the
        sentence is empty or too long.
        """
        if not sentence.strip():
            raise UsageError("the sentence is empty; give one to look at.")
        piece = self._preprocessor(direction, protect=False).whole(sentence.strip())
        # Without a letter, there are no ids: `translate` would not run the model. Encode it here.
        ids = piece.ids or self.tokenizer.encode_sources([piece.text], direction.target)[0]
        most = self.search.max_source_length
        if len(ids) - 1 > most:
            raise UsageError(
                f"the sentence is too long: the model reads {most} subwords at once; give a "
                "shorter one."
            )
        return tuple(ids)

    def differences(self, sentence: str, direction: Direction) -> Iterator[str]:
        """Yield a line for each thing that `translate` would do differently with `sentence`.

        It translates sentences separately, passes spans such as links through unread, leaves text
        without a letter as it is, restores capitals, and searches again if the translation loops.
        """
        pieces = [*self._preprocessor(direction, protect=True).preprocess(sentence, "sentence")]
        number = sum(bool(piece.ids) for piece in pieces)
        if number == 0:
            yield "leave this as it is, since it has no letter"
            return
        if number > 1:
            yield f"translate these {number} parts apart; here they are read as one"
        spans = [span.text for piece in pieces for span in piece.spans]
        if spans:
            yield f"carry {', '.join(spans)} through unchanged; here it is read like other text"
        if is_all_caps(sentence):
            yield "put the capitals back"
        ids = self.read(sentence, direction)
        [best] = self.translate([ids])
        if loops(ids, best.ids):
            yield "search again, since this translation repeats itself"

    def _preprocessor(self, direction: Direction, protect: bool) -> Preprocessor:
        limit = self.search.max_source_length
        return Preprocessor(
            self.tokenizer,
            direction.source,
            direction.target,
            limit,
            Protection(spells=self.tokenizer.spells) if protect else None,
            glossary=None,
        )

    def translate(self, sources: Sequence[Sequence[int]]) -> list[Hypothesis]:
        """Return the best translation of each source, by the search that `translate` uses."""
        found = beam_search(
            self.engine, sources, self.search, forbidden=self.forbidden, byte_rule=self.byte_rule
        )
        return [best for best, *_ in found]


def open_model(path: Path, cell: Path | None = None) -> InspectedModel:
    """Open a model directory, or the best model of a training run, which needs torch.

    `cell` is the file of the user's own cell, if the run was trained with one.
    """
    if is_training_run(path):
        return _open_run(path, cell)
    loaded = load_model_dir(path, threads=1)
    config, _, weights = read_weights(path)
    return InspectedModel(
        path.name,
        Network(
            config.model,
            unpack(weights, config.model, config.precision),
            activation_scales(weights, config.model) if config.precision == "int8" else None,
        ),
        loaded.engine,
        loaded.tokenizer,
        loaded.directions,
        loaded.search,
    )


def _open_run(path: Path, cell: Path | None) -> InspectedModel:
    require_extra("torch", f"{path} is a training run, which", "train")
    from seq2seq.engines.torch_engine import TorchEngine
    from seq2seq.training.run_dir import RunDir

    model, tokenizer, recipe = RunDir.open(path).best_model(cell)
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return InspectedModel(
        path.name,
        Network(recipe.model, state, own_cell=model.own_cell),
        TorchEngine(model),
        tokenizer,
        tuple(recipe.directions),
        recipe.search,
    )
