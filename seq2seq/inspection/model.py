"""A model opened for looking inside: the engine that translates, and the network in NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.config import Direction, SearchConfig, choose_direction
from seq2seq.decoding.folder import load_folder, read_weights
from seq2seq.decoding.protocol import Engine
from seq2seq.decoding.restoring import restore
from seq2seq.decoding.search import Hypothesis, beam_search
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.inspection.reference import Network
from seq2seq.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class InspectedModel:
    """What looks inside ask of a model."""

    name: str
    network: Network
    engine: Engine[Any]
    tokenizer: Tokenizer
    directions: tuple[Direction, ...]
    search: SearchConfig

    def between(self, source: str | None, target: str | None) -> Direction:
        """A direction of the model; raises `UsageError`, which lists them."""
        return choose_direction(self.directions, source, target)

    def read(self, sentence: str, direction: Direction) -> tuple[int, ...]:
        """What the encoder reads; raises `UsageError` where that is nothing or too much."""
        if not sentence.strip():
            raise UsageError("the sentence is empty; give one to look at.")
        [ids] = self.tokenizer.encode_sources([sentence], direction.target)
        most = self.search.max_source_length
        if len(ids) - 1 > most:
            raise UsageError(
                f"the sentence has {len(ids) - 1} subwords, and the model reads {most} at once; "
                "give a shorter one."
            )
        return tuple(ids)

    def translate(self, sources: Sequence[Sequence[int]]) -> list[Hypothesis]:
        """The best translation of each source, by the search that `translate` uses."""
        found = beam_search(self.engine, sources, self.search, forbidden=self.tokenizer.tag_ids())
        return [best for best, *_ in found]


def open_model(path: Path) -> InspectedModel:
    """A model folder (without torch) or the best model of a training run (by torch)."""
    if (path / "recipe.json").exists():
        return _open_run(path)
    shipped = load_folder(path, threads=1)
    config, _, weights = read_weights(path)
    return InspectedModel(
        path.name,
        Network(
            config.model,
            restore(weights, config.model, config.precision),
            {name: weight for name, weight in weights.items() if ".step." in name},
        ),
        shipped.engine,
        shipped.tokenizer,
        shipped.directions,
        shipped.search,
    )


def _open_run(path: Path) -> InspectedModel:
    try:
        from seq2seq.decoding.torch_engine import TorchEngine
        from seq2seq.training.run import RunFolder
    except ModuleNotFoundError as error:
        raise Seq2SeqError(
            f"{path} is a training run, which needs {error.name}: pip install 'seq2seq[train]'"
        ) from None
    model, tokenizer, recipe = RunFolder.open(path).best_model()
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return InspectedModel(
        path.name,
        Network(recipe.model, state),
        TorchEngine(model),
        tokenizer,
        tuple(recipe.directions),
        recipe.search,
    )
