"""Runs the two graphs of a model on ONNX Runtime: what ships.

A sentence gets the same bits whatever its batch, its padding and the number of threads; how is
told in `seq2seq.engines.onnx_graphs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seq2seq.engines.onnx_builder import OUTSIDE
from seq2seq.engines.shortlist import Shortlist
from seq2seq.search.engine_protocol import Ints, Step, grid, renumber
from seq2seq.tokenizer import PAD_ID

Floats = NDArray[np.float32]

_WORTH_KEEPING = 0.8
"""Above this share of living sentences their memory is not copied to leave out the others."""


@dataclass(frozen=True, eq=False)
class OnnxState:
    """What the next step needs to know of B sentences with N hypotheses."""

    memory: Mapping[str, NDArray[Any]]  # of B sentences, shared by their hypotheses
    pool: Mapping[str, NDArray[Any]]  # what is known of the candidates of all sentences
    candidates: Ints | None  # (B, C) the ids that each sentence may use
    states: Floats  # (N, M), the parts of all decoder layers side by side
    sentences: Ints  # (N,) ascending
    number: int  # B
    source_size: int  # S; a model without attention has no memory to tell it

    def select(self, rows: Ints) -> Self:
        """Return the state of the hypotheses `rows` (N',)."""
        states, sentences = self.states[rows], self.sentences[rows]
        kept, renumbered = renumber(sentences)
        if len(kept) > _WORTH_KEEPING * self.number:
            return replace(self, states=states, sentences=sentences)
        return replace(
            self,
            memory={name: part[kept] for name, part in self.memory.items()},
            candidates=None if self.candidates is None else self.candidates[kept],
            states=states,
            sentences=renumbered,
            number=len(kept),
        )


class OnnxEngine:
    """An `Engine` over an encoder and a step graph that share their weights."""

    def __init__(
        self,
        encoder: bytes,
        step: bytes,
        weights: Mapping[str, NDArray[Any]],
        shortlist: Shortlist | None = None,
        threads: int = 0,
    ) -> None:
        """Run the graphs of `seq2seq.engines.onnx_graphs` over weights of their schema.

        `threads` 0: one a core.
        """
        # ONNX Runtime reads these arrays where they are, so they live as long as the engine.
        self._weights = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(weight))
            for name, weight in weights.items()
        }
        options = _session_options(threads)
        for name, weight in self._weights.items():
            options.add_initializer(name, weight)
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(OUTSIDE.parent)
        )
        self._encoder, self._step = (
            onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            for graph in (encoder, step)
        )
        self._shortlist = shortlist
        self._reads_grid = any(value.name == "slots" for value in self._step.get_inputs())

    def candidates(self, source: Ints) -> Ints | None:
        """Return what the shortlist has for source (B, S), (B, C); None where there is none."""
        return None if self._shortlist is None else self._shortlist.candidates(source).ids

    def encode(self, source: Ints, lengths: Ints, forced: Ints | None = None) -> OnnxState:
        """source (B, S), lengths (B,) -> the state before the first token, a row each.

        Where there is a shortlist, it is longer by the ids `forced` (B, R).
        """
        size = source.shape[1]
        # A single column would take another kernel, see `seq2seq.engines.onnx_graphs`.
        if size == 1:
            source = np.pad(source, [(0, 0), (0, 1)], constant_values=PAD_ID)
        inputs = {"src": source, "lengths": lengths}
        if self._shortlist is None:
            memory, ids, pool = self._run(self._encoder, inputs), None, {}
        else:
            ids, inputs["pool"], columns = self._shortlist.candidates(source, forced)
            memory = self._run(self._encoder, inputs)
            pool = {name: memory.pop(name) for name in [*memory] if name.startswith("candidate_")}
            memory["columns"] = columns
        states = memory.pop("states")
        return OnnxState(memory, pool, ids, states, np.arange(len(source)), len(source), size)

    def decode_step(self, state: OnnxState, tokens: Ints) -> Step[OnnxState]:
        """tokens (N,) -> the log-probabilities of what follows, and the state after them."""
        inputs: dict[str, NDArray[Any]] = {"tokens": tokens, "states": state.states}
        inputs.update(state.memory)
        inputs.update(state.pool)
        if self._reads_grid:
            slots, numbers = grid(state.sentences, state.number)
            # One place more than hypotheses, see `seq2seq.engines.onnx_graphs`.
            inputs["slots"] = np.concatenate([slots, slots[:, -1:]], axis=1)
            inputs["places"] = np.stack([state.sentences, numbers], axis=1)
        if state.candidates is not None:
            inputs["sentences"] = state.sentences
        outputs = self._run(self._step, inputs)
        attention = np.zeros((len(tokens), state.source_size), np.float32)
        if "attention" in outputs:
            attention = outputs["attention"][:, : state.source_size]
        candidates = None if state.candidates is None else state.candidates[state.sentences]
        new_state = replace(state, states=outputs["new_states"])
        readout = outputs.get("readout")
        return Step(outputs["log_probs"], candidates, attention, new_state, readout)

    def _run(
        self, session: onnxruntime.InferenceSession, inputs: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _session_options(threads: int) -> onnxruntime.SessionOptions:
    """How every graph is run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # The graphs are run as they are written, so that no rewriting changes the order of a sum.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # A thread that spins while it waits takes a core from whoever has work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what goes wrong is raised
    return options
