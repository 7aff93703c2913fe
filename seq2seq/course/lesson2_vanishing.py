"""Lesson 2: the plain recurrent unit, and the gradient that vanishes in it."""

from math import prod, tanh
from typing import Any

import numpy as np

from seq2seq.course.exercise import (
    Exercise,
    Lesson,
    is_close,
    require,
    require_array,
    require_choices,
)
from seq2seq.nn.cells import Weights
from seq2seq.nn.cells import rnn_step as package_step

_SIZE = 3
_STATES = [0.9, -0.5, 0.7, 0.2, 0.4]
_U = 1.2


def _check_rnn_step(rnn_step: Any) -> None:
    random = np.random.default_rng(2)
    w, u = random.normal(size=(_SIZE, 2)), random.normal(size=(_SIZE, _SIZE))
    x, h, b = random.normal(size=2), random.normal(size=_SIZE), random.normal(size=_SIZE)
    expected = package_step(x, h, Weights(w, u, b, np.zeros(_SIZE))).hidden
    answer = rnn_step(x, h, w, u, b)
    require_array(answer, (_SIZE,), "the new state")
    require(not is_close(np.tanh(answer), expected), "the sum is right; tanh is missing.")
    require(not is_close(answer, np.tanh(w @ x + b)), "the old state has no part in it: add U h.")
    require(not is_close(answer, np.tanh(w @ x + u @ h)), "b is missing in the sum.")
    require(not is_close(answer, np.tanh(w @ x + u.T @ h + b)), "it is U h, U @ h; not h @ U.")
    require(is_close(answer, expected), "add W x, U h and b, and take tanh of the sum.")


def _check_influence(influence: Any) -> None:
    factors = [_U * (1 - state**2) for state in _STATES]
    answer = influence(_U, [*_STATES])
    require_array(answer, (), "the influence")
    require(
        not is_close(answer, prod(factors)),
        "one factor too many: the first state is given, no step led to it.",
    )
    require(
        not is_close(answer, prod(factors[:-1])),
        "a factor belongs to the state that a step leads to: all states but the first.",
    )
    require(not is_close(answer, sum(factors[1:])), "the factors are multiplied, not added.")
    require(
        is_close(answer, prod(factors[1:])), "multiply u (1 - h h) of all states but the first."
    )
    require(is_close(influence(_U, [0.3]), 1.0), "with no step between them it is 1.")


def _check_steps_until_below(steps_until_below: Any) -> None:
    for factor, share in ((0.7, 0.001), (0.87, 0.001), (0.99, 0.4)):
        steps = 0
        while factor**steps >= share:
            steps += 1
        answer = steps_until_below(factor, share)
        require(
            answer == steps,
            f"with a factor of {factor} a share of {share} is passed after other than {answer} "
            "steps: multiply 1 by the factor until it is less, and count.",
        )


def _holds(u: float) -> bool:
    state = tanh(1.0)
    for _ in range(200):
        state = tanh(u * state)
    return abs(state) > 0.1


LESSON = Lesson(
    2,
    "Memory and the vanishing gradient",
    (
        Exercise("rnn_step", _check_rnn_step),
        Exercise("influence", _check_influence),
        Exercise("steps_until_below", _check_steps_until_below),
        Exercise(
            "HOLDS",
            lambda answer: require_choices(answer, {u: _holds(u) for u in (0.5, 0.9, 1.5, -1.5)}),
        ),
    ),
)
