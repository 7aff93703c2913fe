"""The process that runs a learner's file and checks its answers: `python -m ... LESSON FILE ...`.

It writes a line of JSON as soon as something is known: first null, or why the file cannot be read;
then for each exercise null where it is right, or a hint.
"""

import faulthandler
import json
import runpy
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from seq2seq.course.exercise import Exercise, NotYet
from seq2seq.course.lessons import lesson_named


def main(name: str, file: str, first: str, results: str, late: str, seconds: str) -> None:
    """Mark the exercises of a lesson from the `first` on, which is counted from 0.

    After so many seconds for one of them, end with a traceback in the file `late`.
    """
    sys.path.append(str(Path(file).parent))
    lesson = lesson_named(name)
    with Path(results).open("w", encoding="utf-8") as sink, Path(late).open("w") as dump:

        def timed(answer: Callable[[], str | None]) -> str | None:
            faulthandler.dump_traceback_later(float(seconds), exit=True, file=dump)
            try:
                outcome = answer()
            finally:
                faulthandler.cancel_dump_traceback_later()
            _tell(outcome, sink)
            return outcome

        answers: dict[str, Any] = {}
        if timed(lambda: _read(file, answers)) is not None:
            return
        for exercise in lesson.exercises[int(first) :]:
            timed(lambda exercise=exercise: _hint(exercise, answers, file))  # type: ignore[misc]


def _tell(outcome: str | None, sink: TextIO) -> None:
    sink.write(f"{json.dumps(outcome)}\n")
    sink.flush()


def _read(file: str, answers: dict[str, Any]) -> str | None:
    """Run the file and take what it defines; return why it cannot be run, or None."""
    try:
        answers |= runpy.run_path(file)
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        return f"{where}this is not Python: {error.msg}."
    except UnicodeDecodeError:
        return "this is not Python: the file is not UTF-8."
    except SystemExit as error:
        return f"it ends the program{_place(error, file)}."
    except Exception as error:
        return f"it cannot be run: {_told(error, file)}."
    return None


def _hint(exercise: Exercise, answers: dict[str, Any], file: str) -> str | None:
    """Return what is not right yet, or None."""
    if exercise.answer not in answers:
        return f"the file does not define {exercise.answer}."
    try:
        exercise.check(answers[exercise.answer])
    except NotYet as hint:
        return str(hint)
    except NotImplementedError:
        return "not written yet."
    except SystemExit as error:
        return f"it ends the program{_place(error, file)}; an answer should return."
    except Exception as error:
        return f"{_told(error, file)}."
    return None


def _told(error: Exception, file: str) -> str:
    """Say in a few words what was raised, and where."""
    message = " ".join(str(error).split())
    kind = f"{type(error).__name__}{_place(error, file)}"
    return f"{kind}: {message}" if message else kind


def _place(error: BaseException, file: str) -> str:
    """Say at which line of the learner's file something was raised, if at any."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    return f" at line {lines[-1]}" if lines else ""


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # the command that started it says what there is to say
        main(*sys.argv[1:])
