"""`seq2seq learn`: a course of six lessons with exercises, which it marks."""

from pathlib import Path
from textwrap import fill
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors

app = typer.Typer(
    name="learn",
    help="Learn how it works, in six lessons.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_WIDTH = 80


@app.callback(invoke_without_command=True)
def _list(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        with reported_errors("seq2seq learn"):
            _list_lessons()


def _list_lessons() -> None:
    from seq2seq.course.lessons import LESSONS

    for lesson in LESSONS:
        typer.echo(f"{lesson.name}  {lesson.title} ({len(lesson.exercises)} exercises)")
    first = LESSONS[0].name
    typer.echo(
        f"\nTo begin:  seq2seq learn start {first}\n           seq2seq learn check {first}.py"
    )


@app.command()
@reported_errors("seq2seq learn")
def start(
    lesson: Annotated[str, typer.Argument(metavar="LESSON", help="lesson1 to lesson6.")],
) -> None:
    """Write a lesson's file, to fill in, into this folder."""
    from seq2seq.course.lessons import lesson_named, skeleton
    from seq2seq.errors import UsageError

    chosen = lesson_named(lesson)
    file = Path(f"{chosen.name}.py")
    try:
        with file.open("x", encoding="utf-8") as sink:
            sink.write(skeleton(chosen))
    except FileExistsError:
        raise UsageError(f"{file} exists and is left as it is; rename it to start again.") from None
    typer.echo(f"{file}: {len(chosen.exercises)} exercises. Fill them in, then:")
    typer.echo(f"  seq2seq learn check {file}")


@app.command()
@reported_errors("seq2seq learn")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Such as lesson3.py; it is run.")],
) -> None:
    """Mark a lesson's file.

    Each exercise is right, or not yet, with a hint. The exit code is 0 if all are right, and
    otherwise 1.
    """
    from seq2seq.course.lessons import lesson_of_file
    from seq2seq.course.marking import mark

    lesson = lesson_of_file(file)
    marks = mark(file, lesson)
    typer.echo(f"{lesson.name}: {lesson.title}")
    for exercise in marks:
        told = f"not yet  {exercise.answer}: {exercise.hint}"
        if exercise.is_right:
            told = f"right    {exercise.answer}"
        typer.echo(fill(told, _WIDTH, subsequent_indent=" " * 9, break_on_hyphens=False))
    right = sum(exercise.is_right for exercise in marks)
    typer.echo(f"{right} of {len(marks)} right.")
    if right < len(marks):
        raise typer.Exit(1)
