"""Lesson 3: gates, in the LSTM and in the GRU."""

from math import log
from typing import Any

import numpy as np

from seq2seq.course.exercise import (
    Exercise,
    Floats,
    Lesson,
    NotYet,
    is_close,
    require,
    require_array,
    require_choices,
)
from seq2seq.nn.cells import Weights
from seq2seq.nn.cells import lstm_step as package_step
from seq2seq.nn.cells import sigmoid as package_sigmoid

_SIZE = 3
_GATES = {
    "keep what it holds, whatever comes in": {"forget": 1, "update": 0},
    "take the candidate in place of what it holds": {"forget": 0, "update": 1},
    "add the candidate to what it holds": {"forget": 1, "update": 1},
    "be emptied": {"forget": 0, "update": 0},
}


def _check_sigmoid(sigmoid: Any) -> None:
    x = np.linspace(-3, 3, 7)
    answer = sigmoid(x)
    require_array(answer, x.shape, "the sigmoid of seven numbers")
    require(not is_close(answer, package_sigmoid(-x)), "the sign is wrong: it is e to the -x.")
    require(is_close(answer, package_sigmoid(x)), "it is 1 / (1 + np.exp(-x)).")


def _check_lstm_step(lstm_step: Any) -> None:
    random = np.random.default_rng(3)
    w, u = random.normal(size=(4 * _SIZE, 2)), random.normal(size=(4 * _SIZE, _SIZE))
    x, h = random.normal(size=2), random.normal(size=_SIZE)
    c, b = random.normal(size=_SIZE), random.normal(size=4 * _SIZE)
    expected = package_step(x, h, c, Weights(w, u, b, np.zeros(4 * _SIZE)))
    answer = lstm_step(x, h, c, w, u, b)
    try:
        state, cell = answer
    except (TypeError, ValueError):
        raise NotYet("return two things: the new state and the new memory cell.") from None
    for values, name in ((state, "the new state"), (cell, "the new memory cell")):
        require_array(values, (_SIZE,), name)
    require(
        not (is_close(cell, expected.hidden) and is_close(state, expected.cell)),
        "both are right; return the state first, then the memory cell.",
    )
    require(
        not is_close(cell, expected.update * c + expected.forget * expected.candidate),
        "update and forget gate have changed places: the forget gate multiplies the old cell.",
    )
    require(
        not is_close(cell, expected.update * expected.candidate),
        "the old memory cell is lost: add forget gate times c.",
    )
    require(
        is_close(cell, expected.cell),
        "the memory cell is not right: forget gate * c + update gate * candidate. Are the blocks "
        "in the order update, forget, candidate, output?",
    )
    require(
        not is_close(state, expected.output * expected.cell),
        "the memory cell is right; the state is output gate times the tanh of it.",
    )
    require(
        is_close(state, expected.hidden),
        "the memory cell is right; the state is not: output gate * tanh(new memory cell).",
    )


def _check_gru_state(gru_state: Any) -> None:
    random = np.random.default_rng(4)
    h, candidate = random.normal(size=_SIZE), random.normal(size=_SIZE)
    z: Floats = random.uniform(size=_SIZE)
    answer = gru_state(h, candidate, z)
    require_array(answer, (_SIZE,), "the new state")
    require(
        not is_close(answer, z * candidate + (1 - z) * h),
        "z and 1 - z have changed places: with z = 1 the old state stays.",
    )
    require(
        is_close(answer, (1 - z) * candidate + z * h),
        "it is a mixture: z of the old state and 1 - z of the candidate.",
    )


def _check_gates(gates: Any) -> None:
    require(isinstance(gates, dict), "it should be the dictionary that you began with, filled in.")
    filled = {
        key: None if not isinstance(gate, dict) or None in gate.values() else gate
        for key, gate in gates.items()
    }
    require_choices(filled, _GATES)


def _check_bias_for(bias_for: Any) -> None:
    require(is_close(bias_for(0.5), 0.0), "a gate with a bias of 0 is half open.")
    for openness in (0.95, 0.99, 0.2):
        require(
            is_close(bias_for(openness), log(openness / (1 - openness))),
            f"the sigmoid of what you return for {openness} is not {openness}: solve "
            "1 / (1 + e^-bias) = openness for the bias.",
        )


LESSON = Lesson(
    3,
    "Gates: LSTM and GRU",
    (
        Exercise("sigmoid", _check_sigmoid),
        Exercise("lstm_step", _check_lstm_step),
        Exercise("gru_state", _check_gru_state),
        Exercise("GATES", _check_gates),
        Exercise("bias_for", _check_bias_for),
    ),
)
