"""Lesson 1, four shapes of sequence. One way to fill it in."""

from collections.abc import Callable

# 1. Which shape has each task: "aligned", "many to one", "one to many" or "many to many"?
SHAPES = {
    "is this review friendly or not": "many to one",
    "is each word of this text a noun": "aligned",
    "go on from this first letter": "one to many",
    "translate this sentence": "many to many",
    "does each word begin with a capital": "aligned",
    "which language is this": "many to one",
}

Step = Callable[[int, float], float]
"""A cell: called with an input and the state before it, it returns the state after it."""

Readout = Callable[[float], int]
"""Called with a state, it returns the output that belongs to it."""


# 2. Aligned and many to one.
def read(step: Step, inputs: list[int], state: float) -> list[float]:
    """Return the state after each input; `state` is the one before the first input."""
    states = []
    for symbol in inputs:
        state = step(symbol, state)
        states.append(state)
    return states


# 3. One to many: each output is the next input.
def write(step: Step, readout: Readout, first: int, state: float, length: int) -> list[int]:
    """Return `length` outputs; the first one is read out after the input `first`."""
    outputs: list[int] = []
    symbol = first
    for _ in range(length):
        state = step(symbol, state)
        symbol = readout(state)
        outputs.append(symbol)
    return outputs


# 4. Many to many: one cell reads all inputs, another one goes on from its last state.
def translate(
    encoder: Step, decoder: Step, readout: Readout, inputs: list[int], begin: int, end: int
) -> list[int]:
    """Return the outputs up to `end`, which is not among them; at most 20 of them.

    The encoder begins with the state 0.0. The first input of the decoder is `begin`.
    """
    state = read(encoder, inputs, 0.0)[-1]
    outputs: list[int] = []
    symbol = begin
    for _ in range(20):
        state = decoder(symbol, state)
        symbol = readout(state)
        if symbol == end:
            break
        outputs.append(symbol)
    return outputs
