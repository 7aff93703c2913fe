"""A user-defined cell: a Python file that makes a `seq2seq.nn.cells.CellType`.

Loading such a file runs it. So only a file that the user names on the command line is loaded, never
one that is merely named in a recipe or a run.
"""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np

from seq2seq.errors import UsageError
from seq2seq.files import digest, read_bounded
from seq2seq.nn.cells import CellType, Weights

_LARGEST = 1 << 20  # bytes

LOOK = "see docs/examples/cells"


@dataclass(frozen=True, eq=False)
class CellFile:
    """The source text of a cell file, not run yet, and the name of the cell in it."""

    path: Path
    name: str
    text: bytes

    @classmethod
    def read(cls, path: Path, name: str) -> Self:
        """Read the file without running it; raises `UsageError` if it cannot be read."""
        try:
            return cls(path, name, read_bounded(path, _LARGEST))
        except OSError as error:
            raise UsageError(f"{path}: the cell's file cannot be read: {error.strerror}.") from None

    @property
    def digest(self) -> str:
        """The SHA-256 of the text."""
        return digest(self.text)

    def load(self) -> CellType:
        """Run the file and return its cell; raises `UsageError`, which says what is wrong."""
        module = ModuleType(self.path.stem)
        module.__file__ = str(self.path)
        try:
            exec(compile(self.text, str(self.path), "exec"), vars(module))
        except Exception as error:
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
            raise self._complaint(f"{type(error).__name__}: {error}{line}") from error
        cell = getattr(module, self.name, None)
        if not isinstance(cell, CellType):
            named = [name for name, value in vars(module).items() if isinstance(value, CellType)]
            there = f"it makes {', '.join(named)}" if named else f"it makes none, {LOOK}"
            raise self._complaint(f"there is no CellType called {self.name}; {there}")
        self._try(cell)
        return cell

    def _try(self, cell: CellType) -> None:
        """Run one step on a small batch and check its output; raises `UsageError`."""
        batch, inputs, size = 2, 3, 4
        rows = len(cell.blocks) * size
        if not (cell.blocks and cell.states):
            raise self._complaint("a cell has at least one block of weights and one state")
        if unknown := {*cell.open_at_first} - {*cell.blocks}:
            raise self._complaint(f"open_at_first has {unknown.pop()!r}, which is not a block")
        weights = Weights(
            np.zeros((rows, inputs)), np.zeros((rows, size)), np.zeros(rows), np.zeros(rows)
        )
        states = [np.zeros((batch, size)) for _ in cell.states]
        vectors = {name: np.zeros(size) for name in cell.vectors}
        try:
            step: Any = cell.step(np.zeros((batch, inputs)), *states, weights, **vectors)
        except Exception as error:
            raise self._complaint(f"its step fails: {type(error).__name__}: {error}") from error
        fields = getattr(step, "_fields", ())
        if fields[: len(states)] != cell.states:
            raise self._complaint(
                f"its step returns {', '.join(fields) or type(step).__name__}, where a NamedTuple "
                f"is wanted that begins with {', '.join(cell.states)}"
            )
        for name in cell.values:
            if name not in fields:
                raise self._complaint(f"its step returns no field {name!r}")
            shape = np.shape(getattr(step, name))
            if shape != (batch, size):
                raise self._complaint(f"{name!r} has the shape {shape}, not {(batch, size)} (B, H)")

    def _complaint(self, message: str) -> UsageError:
        return UsageError(f"{self.path}: {message}.")
