"""Engines that do not translate: one that copies, and hostile ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from helpers import tiny
from seq2seq.config.model_config import Attention, ModelConfig, SearchConfig
from seq2seq.engines.torch_engine import TorchEngine
from seq2seq.search.engine_protocol import Engine, Ints, Step
from seq2seq.tokenizer import EOS_ID, Tokenizer
from seq2seq.translation.translator import Translator

GREEDY = SearchConfig(beam_size=1, max_length_ratio=1.0, max_length_extra=5)


@dataclass
class CopyState:
    source: NDArray[np.int64]  # (N, S)
    lengths: NDArray[np.int64]  # (N,)
    position: int = 0  # of the source id before the next one; 0 is the language tag

    def select(self, rows: NDArray[np.int64]) -> Self:
        return replace(self, source=self.source[rows], lengths=self.lengths[rows])


class CopyEngine:
    """Says the source again: the next id has 0.9, `second` 0.06, EOS 0.03."""

    def __init__(self, vocabulary_size: int, second: int = 300) -> None:
        self.vocabulary_size = vocabulary_size
        self.second = second
        self.batches: list[tuple[int, ...]] = []

    def encode(
        self,
        source: NDArray[np.int64],
        lengths: NDArray[np.int64],
        forced: NDArray[np.int64] | None = None,
    ) -> CopyState:
        self.batches.append(source.shape)
        return CopyState(source, lengths)

    def decode_step(self, state: CopyState, tokens: NDArray[np.int64]) -> Step[CopyState]:
        number, size = state.source.shape
        position = state.position + 1
        copied = np.full(number, EOS_ID)
        running = position < state.lengths
        copied[running] = state.source[running, min(position, size - 1)]
        probabilities = np.full((number, self.vocabulary_size), 1e-6)
        probabilities[:, EOS_ID] = 0.03
        probabilities[:, self.second] = 0.06
        np.put_along_axis(probabilities, copied[:, None], 0.9, axis=1)
        attention = np.zeros((number, size), dtype=np.float32)
        attention[:, min(position, size - 1)] = 1.0
        log_probs = np.log(probabilities).astype(np.float32)
        return Step(log_probs, None, attention, replace(state, position=position))


@dataclass
class ScriptState:
    lengths: Ints  # (N,)
    size: int  # S
    position: int = 0

    def select(self, rows: Ints) -> Self:
        return replace(self, lengths=self.lengths[rows])


class ScriptEngine:
    """Says the same whatever it reads: `ids`, then EOS, or the `ids` for ever."""

    def __init__(self, vocabulary_size: int, ids: Sequence[int], for_ever: bool = False) -> None:
        self.vocabulary_size = vocabulary_size
        self.ids = [*ids] if for_ever else [*ids, EOS_ID]

    def encode(self, source: Ints, lengths: Ints, forced: Ints | None = None) -> ScriptState:
        return ScriptState(lengths, source.shape[1])

    def decode_step(self, state: ScriptState, tokens: Ints) -> Step[ScriptState]:
        log_probs = np.full((len(tokens), self.vocabulary_size), -20, np.float32)
        log_probs[:, self.ids[state.position % len(self.ids)]] = -0.001
        inside = np.arange(state.size) < state.lengths[:, None]
        attention = (inside / state.lengths[:, None]).astype(np.float32)
        return Step(log_probs, None, attention, replace(state, position=state.position + 1))


def random_engine(seed: int, attention: bool = True) -> Engine[Any]:
    """A network whose weights nobody has trained."""
    kind: Attention = "multihead" if attention else "none"
    config = ModelConfig("lstm", kind, 16, encoder_layers=1, decoder_layers=1, heads=2)
    return TorchEngine(tiny.network(config, seed))


def translator(engine: Engine[Any], search: SearchConfig = GREEDY) -> Translator:
    return Translator.over(engine, tiny.tokenizer(), [tiny.EN_DE], search)


@cache
def copying() -> Translator:
    """Its text is the source as the model reads it."""
    return translator(CopyEngine(len(tiny.tokenizer())), SearchConfig(beam_size=3))


@cache
def hostile() -> dict[str, Translator]:
    """By what they do."""
    tokenizer = tiny.tokenizer()
    size = len(tokenizer)
    [word] = tokenizer.encode(["a"])
    engines: dict[str, Engine[Any]] = {
        "nothing": ScriptEngine(size, []),
        "loops": ScriptEngine(size, word, for_ever=True),
        "placeholders": ScriptEngine(size, tokenizer.placeholder_ids(), for_ever=True),
        "spelled": ScriptEngine(size, spelled(tokenizer, " <ph0> <ph1>\U000f0000\U000f0001")),
        "line ends": ScriptEngine(size, spelled(tokenizer, "a\nb\r\n"), for_ever=True),
        "broken bytes": ScriptEngine(size, spelled(tokenizer, "ä")[:1], for_ever=True),
        "random": random_engine(1),
        "random, without attention": random_engine(2, attention=False),
    }
    return {name: translator(engine) for name, engine in engines.items()}


def spelled(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of `text` byte by byte."""
    ids = {tokenizer.pieces([id_])[0]: id_ for id_ in range(len(tokenizer))}
    return [ids[f"<0x{byte:02X}>"] for byte in text.encode()]
