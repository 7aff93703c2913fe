"""The engine for use: runs the two graphs of a model on ONNX Runtime.

A sentence gives the same bits whatever its batch, its padding and the number of threads;
`seq2seq.engines.onnx_graphs` explains how.
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
"""Share of live sentences above which the memory of finished ones is not worth removing."""


@dataclass(frozen=True, eq=False)
class OnnxState:
    """The state of B sentences with N hypotheses."""

    memory: Mapping[str, NDArray[Any]]  # of B sentences, shared by their hypotheses
    pool: Mapping[str, NDArray[Any]]  # weights of the candidates of all sentences
    candidates: Ints | None  # (B, C) ids that each sentence may use
    states: Floats  # (N, M) of all decoder layers, concatenated
    sentences: Ints  # (N,) ascending
    number: int  # B
    source_size: int  # S, which the memory does not show if there is no attention

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
    """An `Engine` over an encoder graph and a step graph, which share their weights."""

    def __init__(
        self,
        encoder: bytes,
        step: bytes,
        weights: Mapping[str, NDArray[Any]],
        shortlist: Shortlist | None = None,
        threads: int = 0,
    ) -> None:
        """Load the graphs of `seq2seq.engines.onnx_graphs`, over weights of their schema.

        `threads` 0: one per core.
        """
        # ONNX Runtime reads these arrays in place, so they must live as long as the engine.
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
        """Return the shortlist's candidates for source (B, S): (B, C); None without a shortlist."""
        return None if self._shortlist is None else self._shortlist.candidates(source).ids

    def encode(self, source: Ints, lengths: Ints, forced: Ints | None = None) -> OnnxState:
        """Encode source (B, S), lengths (B,); return the state before the first token, N = B.

        If there is a shortlist, the ids in `forced` (B, R) are added to it.
        """
        size = source.shape[1]
        # A single column would use another kernel, see `seq2seq.engines.onnx_graphs`.
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
        """Read tokens (N,); return the log-probabilities of the next ones, and the new state."""
        inputs: dict[str, NDArray[Any]] = {"tokens": tokens, "states": state.states}
        inputs.update(state.memory)
        inputs.update(state.pool)
        if self._reads_grid:
            slots, numbers = grid(state.sentences, state.number)
            # One slot more than hypotheses, see `seq2seq.engines.onnx_graphs`.
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
    """Return the options of every session."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Graphs run as written, so that no optimisation changes the order of a sum.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # A waiting thread that spins would take a core from one that has work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors are raised anyway
    return options
