"""An exercise: the answer that a learner's file gives by name, and the check that marks it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class NotYet(Exception):  # noqa: N818
    """An answer that is not right yet; the message is a hint, one or two sentences."""


@dataclass(frozen=True)
class Exercise:
    """A function or a value that a learner's file has to define."""

    answer: str  # its name
    check: Callable[[Any], None]  # called with the answer; raises `NotYet` if it is wrong


@dataclass(frozen=True)
class Lesson:
    """A lesson of 45 minutes, as far as it is marked."""

    number: int  # from 1
    title: str
    exercises: tuple[Exercise, ...]

    @property
    def name(self) -> str:
        """Such as lesson3, which is the name of the learner's file as well."""
        return f"lesson{self.number}"


def require(holds: bool, hint: str) -> None:
    """Raise `NotYet` with the hint unless something holds."""
    if not holds:
        raise NotYet(hint)


def is_close(answer: object, expected: object) -> bool:
    """Say whether an answer is a number or an array like the expected one, to seven digits."""
    try:
        values = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        return False
    wanted = np.asarray(expected, dtype=float)
    return values.shape == wanted.shape and bool(np.allclose(values, wanted, rtol=1e-7, atol=1e-9))


def require_array(answer: object, shape: tuple[int, ...], name: str) -> None:
    """Raise `NotYet` unless an answer is an array of numbers of this shape."""
    try:
        values = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        raise NotYet(f"{name} should be an array of numbers, not {_short(answer)}.") from None
    require(values.shape == shape, f"{name} has the shape {values.shape}; it should be {shape}.")


def require_list(answer: object, of_what: str) -> list[Any]:
    """Return an answer as a list; raise `NotYet` where it is none."""
    if isinstance(answer, (list, tuple)):
        return [*answer]
    raise NotYet(f"it should return a list of {of_what}, and returns {_short(answer)}.")


def require_choices(answer: object, choices: dict[Any, Any]) -> None:
    """Raise `NotYet` unless an answer is a dictionary that chooses rightly for each key.

    The hint names what is wrong, and not what would be right.
    """
    if not isinstance(answer, dict):
        raise NotYet("it should be the dictionary of the file that you began with, filled in.")
    missing = [key for key in choices if answer.get(key) in ("", None)]
    require(len(missing) < len(choices), "not filled in yet.")
    require(not missing, f"not filled in: {'; '.join(map(str, missing))}.")
    wrong = [key for key, choice in choices.items() if answer[key] != choice]
    require(not wrong, f"think again about: {'; '.join(map(str, wrong))}.")


def _short(answer: object) -> str:
    return "None" if answer is None else f"{type(answer).__name__} {str(answer)[:40]}"
