"""Lesson 1, four shapes of sequence. Fill this in, then: seq2seq learn check lesson1.py"""

from collections.abc import Callable

# 1. Which shape has each task: "aligned", "many to one", "one to many" or "many to many"?
SHAPES = {
    "is this review friendly or not": "",
    "is each word of this text a noun": "",
    "go on from this first letter": "",
    "translate this sentence": "",
    "does each word begin with a capital": "",
    "which language is this": "",
}

Step = Callable[[int, float], float]
"""A cell: called with an input and the state before it, it returns the state after it."""

Readout = Callable[[float], int]
"""Called with a state, it returns the output that belongs to it."""


# 2. Aligned and many to one.
def read(step: Step, inputs: list[int], state: float) -> list[float]:
    """Return the state after each input; `state` is the one before the first input."""
    raise NotImplementedError


# 3. One to many: each output is the next input.
def write(step: Step, readout: Readout, first: int, state: float, length: int) -> list[int]:
    """Return `length` outputs; the first one is read out after the input `first`."""
    raise NotImplementedError


# 4. Many to many: one cell reads all inputs, another one goes on from its last state.
def translate(
    encoder: Step, decoder: Step, readout: Readout, inputs: list[int], begin: int, end: int
) -> list[int]:
    """Return the outputs up to `end`, which is not among them; at most 20 of them.

    The encoder begins with the state 0.0. The first input of the decoder is `begin`.
    """
    raise NotImplementedError
