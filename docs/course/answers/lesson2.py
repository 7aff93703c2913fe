"""Lesson 2, memory and the vanishing gradient. One way to fill it in.

An array is of NumPy: `A @ x` is a product of matrix and vector, `np.tanh` works on each element.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


# 1. The plain recurrent unit.
def rnn_step(x: Array, h: Array, W: Array, U: Array, b: Array) -> Array:
    """Return the new state (H,): tanh of the sum of W x, U h and b.

    The input x (X,), the state h (H,), W (H, X), U (H, H), b (H,).
    """
    new: Array = np.tanh(W @ x + U @ h + b)
    return new


# 2. Of one unit: a step h' = tanh(x + u h) multiplies the influence of h by u (1 - h' h').
def influence(u: float, states: list[float]) -> float:
    """Return d(last state) / d(first state) of the states that follow each other."""
    product = 1.0
    for h in states[1:]:
        product *= u * (1 - h * h)
    return product


# 3. With the same factor at every step.
def steps_until_below(factor: float, share: float) -> int:
    """Return after how many steps less than `share` is left of 1; `factor` is less than 1."""
    steps, left = 0, 1.0
    while left >= share:
        left *= factor
        steps += 1
    return steps


# 4. A unit h' = tanh(x + u h) gets one impulse, x = 1, and then 200 times x = 0. Is h still further
# than 0.1 from 0 at the end? True or False for each u. Guess first; then try it.
HOLDS = {
    0.5: False,
    0.9: False,
    1.5: True,
    -1.5: True,
}
