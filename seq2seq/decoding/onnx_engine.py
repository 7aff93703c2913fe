"""Runs the two graphs of a model folder on ONNX Runtime: what ships.

A sentence gets the same bits whatever its batch, its padding and the number of threads; how is
told in `seq2seq.decoding.graphs`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seq2seq.decoding.protocol import Step
from seq2seq.errors import Seq2SeqError

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class OnnxState:
    """What the next step needs to know of B sentences with K hypotheses each."""

    memory: Mapping[str, Floats]  # of B sentences, shared by their hypotheses
    states: Floats  # (B * K, C), the parts of all decoder layers side by side
    beam: int  # K
    source_size: int  # S; a model without attention has no memory to tell it

    def select(self, parents: NDArray[np.int64]) -> Self:
        """The state of the hypotheses `parents` (B', K'), by their row numbers b * K + k."""
        sentences = parents[:, 0] // self.beam
        memory = self.memory
        if not np.array_equal(sentences, np.arange(len(self.states) // self.beam)):
            memory = {name: part[sentences] for name, part in memory.items()}
        states = self.states[parents.reshape(-1)]
        return type(self)(memory, states, parents.shape[1], self.source_size)


class OnnxEngine:
    """An `Engine` over an encoder and a step graph that share their weights."""

    def __init__(
        self,
        encoder: Path,
        step: Path,
        weights: Mapping[str, Floats],
        threads: int = 0,
    ) -> None:
        """`threads` 0: one a core."""
        # ONNX Runtime reads these arrays where they are, so they live as long as the engine.
        self._weights = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(weight))
            for name, weight in weights.items()
        }
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # The graphs are run as they are written, so that no rewriting changes the order of a sum.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        # A thread that spins while it waits takes a core from whoever has work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # what goes wrong is raised
        for name, weight in self._weights.items():
            options.add_initializer(name, weight)
        self._encoder = _session(encoder, options)
        self._step = _session(step, options)
        memory = set(_names(self._encoder.get_outputs())) - {"states"}
        _check_names(encoder, self._encoder.get_inputs(), {"src", "lengths"})
        _check_names(step, self._step.get_inputs(), {"tokens", "states"} | memory)

    def start(self, source: NDArray[np.int64], lengths: NDArray[np.int64]) -> OnnxState:
        """source (B, S), lengths (B,) -> the state before the first token, with K = 1."""
        memory = _run(self._encoder, {"src": source, "lengths": lengths})
        states = memory.pop("states")
        return OnnxState(memory, states, beam=1, source_size=source.shape[1])

    def step(self, state: OnnxState, tokens: NDArray[np.int64]) -> Step[OnnxState]:
        """tokens (B, K) -> the log-probabilities of what follows, and the state after them."""
        outputs = _run(self._step, {"tokens": tokens, "states": state.states, **state.memory})
        attention = outputs.get("attention")
        if attention is None:
            attention = np.zeros((*tokens.shape, state.source_size), np.float32)
        new_state = OnnxState(state.memory, outputs["new_states"], state.beam, state.source_size)
        return Step(outputs["log_probs"], attention, new_state)


def _session(path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    providers = ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # the exceptions of ONNX Runtime have no other base
        reason = str(error).splitlines()[0].rstrip(".")
        raise Seq2SeqError(f"{path}: not a graph that ONNX Runtime can run: {reason}.") from None


def _check_names(path: Path, values: Sequence[onnxruntime.NodeArg], expected: set[str]) -> None:
    names = set(_names(values))
    if names != expected:
        raise Seq2SeqError(
            f"{path}: the graph has the inputs {', '.join(sorted(names))}, "
            f"not {', '.join(sorted(expected))}; export the model again."
        )


def _run(
    session: onnxruntime.InferenceSession, inputs: Mapping[str, NDArray[Any]]
) -> dict[str, Floats]:
    names = _names(session.get_outputs())
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _names(values: Sequence[onnxruntime.NodeArg]) -> list[str]:
    return [value.name for value in values]
