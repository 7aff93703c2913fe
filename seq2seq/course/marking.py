"""Mark a learner's file, in a process of its own and with a time limit."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from seq2seq.course.exercise import Lesson
from seq2seq.errors import Seq2SeqError

SECONDS = 10.0
"""How long reading the file, and each of its answers, may take."""


@dataclass(frozen=True)
class Mark:
    """What came of an exercise."""

    answer: str  # the name of the function or value
    hint: str | None  # what is not right yet; None: it is right

    @property
    def is_right(self) -> bool:
        """Whether the answer is right."""
        return self.hint is None


def mark(file: Path, lesson: Lesson, seconds: float = SECONDS) -> list[Mark]:
    """Mark each exercise of a lesson by a learner's file.

    The file is run, so it can do whatever a program can. Raises `Seq2SeqError` where it is not a
    Python file that runs to its end.
    """
    if not file.is_file():
        raise Seq2SeqError(f"{file}: there is no such file; `seq2seq learn start` writes one.")
    hints: list[str | None] = []
    while len(hints) < len(lesson.exercises):  # once, and again after an answer that does not end
        rows, stopped = _rows(file, lesson, len(hints), seconds)
        if not rows or rows[0] is not None:  # the first one says how reading the file went
            raise Seq2SeqError(f"{file}: {rows[0] if rows else stopped}")
        hints += rows[1:]
        if len(hints) < len(lesson.exercises):
            hints.append(stopped)
    return [Mark(item.answer, hint) for item, hint in zip(lesson.exercises, hints, strict=True)]


def _rows(file: Path, lesson: Lesson, first: int, seconds: float) -> tuple[list[str | None], str]:
    """Run `marking_process` from an exercise on; return what it wrote, and why it ended."""
    with TemporaryDirectory() as folder:
        results, late = Path(folder) / "results", Path(folder) / "late"
        words = [lesson.name, str(file.resolve()), str(first), str(results), str(late)]
        # -P: what lies in the current folder is not taken for a module of that name.
        process = subprocess.run(
            [sys.executable, "-P", "-m", "seq2seq.course.marking_process", *words, str(seconds)],
            stdin=subprocess.DEVNULL,
            check=False,
        )
        rows = [json.loads(row) for row in _text(results).splitlines()]
        return rows, _why_stopped(file, _text(late), process.returncode, seconds)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _why_stopped(file: Path, late: str, code: int, seconds: float) -> str:
    """Say why the process did not come to its end; `late` is the traceback of an endless loop."""
    if not late:
        return f"it ended the program, with exit code {code}; an answer should return."
    line = re.search(rf'File ".*{re.escape(file.name)}", line (\d+)', late)
    where = f", at line {line[1]}" if line else ""
    return f"it was still running after {seconds:g} seconds{where}; does each loop end?"
