"""The lessons of the course, in order."""

from importlib.resources import files
from pathlib import Path

from seq2seq.course import (
    lesson1_shapes,
    lesson2_vanishing,
    lesson3_gates,
    lesson4_attention,
    lesson5_loss,
    lesson6_search,
)
from seq2seq.course.exercise import Lesson
from seq2seq.errors import UsageError

LESSONS: tuple[Lesson, ...] = (
    lesson1_shapes.LESSON,
    lesson2_vanishing.LESSON,
    lesson3_gates.LESSON,
    lesson4_attention.LESSON,
    lesson5_loss.LESSON,
    lesson6_search.LESSON,
)


def lesson_named(name: str) -> Lesson:
    """Return the lesson of a name such as lesson3; raise `UsageError` where there is none."""
    for lesson in LESSONS:
        if lesson.name == name.lower():
            return lesson
    raise UsageError(f"there is no {name!r}; there are {_names()}.")


def lesson_of_file(file: Path) -> Lesson:
    """Return the lesson that the name of a learner's file ends in, such as anna-lesson3.py."""
    for lesson in LESSONS:
        if file.stem.lower().endswith(lesson.name):
            return lesson
    raise UsageError(
        f"{file}: the name of the file says which lesson it is, as in lesson3.py or "
        f"anna-lesson3.py; there are {_names()}."
    )


def skeleton(lesson: Lesson) -> str:
    """Return the file that a learner begins with."""
    return (files("seq2seq.course.skeletons") / f"{lesson.name}.py").read_text(encoding="utf-8")


def _names() -> str:
    return f"{LESSONS[0].name} to {LESSONS[-1].name}"
