"""The course: right answers are right, wrong ones get a hint, and bad files a sentence."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from seq2seq.bleu_chrf import bleu
from seq2seq.course.exercise import Lesson, NotYet
from seq2seq.course.lesson6_search import reference_bleu
from seq2seq.course.lessons import LESSONS, lesson_named, lesson_of_file, skeleton
from seq2seq.course.marking import mark
from seq2seq.errors import Seq2SeqError, UsageError

ANSWERS = Path(__file__).parents[2] / "docs" / "course" / "answers"

WRONG = [
    ("lesson1", "state = step(symbol, state)\n        states", "states", "read", "five states"),
    (
        "lesson1",
        "outputs.append(symbol)\n    return outputs\n\n\n#",
        "outputs.append(first)\n    return outputs\n\n\n#",
        "write",
        "per step",
    ),
    ("lesson1", "range(20)", "range(30)", "translate", "never says the end"),
    (
        "lesson1",
        '"translate this sentence": "many to many"',
        '"translate this sentence": "aligned"',
        "SHAPES",
        "think again about: translate this",
    ),
    ("lesson2", "np.tanh(W @ x + U @ h + b)", "np.tanh(W @ x + b)", "rnn_step", "no part in it"),
    ("lesson2", "in states[1:]", "in states", "influence", "one factor too many"),
    ("lesson2", "steps, left = 0, 1.0", "steps, left = 1, 1.0", "steps_until_below", "count"),
    ("lesson2", "    1.5: True", "    1.5: False", "HOLDS", "think again about: 1.5."),
    ("lesson3", "np.exp(-x)", "np.exp(x)", "sigmoid", "the sign is wrong"),
    (
        "lesson3",
        "update, forget, candidate",
        "forget, update, candidate",
        "lstm_step",
        "changed places",
    ),
    ("lesson3", "sigmoid(output) * np.tanh(c), c", "sigmoid(output) * c, c", "lstm_step", "tanh"),
    ("lesson3", "z * h + (1 - z)", "(1 - z) * h + z", "gru_state", "changed places"),
    (
        "lesson3",
        '"forget": 0, "update": 0',
        '"forget": 0, "update": None',
        "GATES",
        "not filled in: be emptied",
    ),
    ("lesson3", "openness / (1 - openness)", "openness", "bias_for", "half open"),
    ("lesson4", "backwards[0]", "backwards[-1]", "summary", "at the first token"),
    ("lesson4", "scores - scores.max()", "scores", "softmax", "overflows"),
    ("lesson4", " / np.sqrt(len(query))", "", "attend", "not divided by the root of D"),
    ("lesson5", "length -= 1", "length = 1", "subwords", "longest beginning"),
    ("lesson5", '[*words, "</s>"]', "words", "shifted", "reads 5 tokens and says 4"),
    ("lesson5", ") / len(probabilities)", ")", "loss", "that is the sum"),
    ("lesson5", "return math.exp(", "return 2 ** (", "perplexity", "8,000"),
    (
        "lesson6",
        "return words\n        words",
        "return [*words, word]\n        words",
        "greedy",
        "is among the words",
    ),
    ("lesson6", "[:size]", "[:1]", "beam_search", "no better sentence"),
    ("lesson6", ") ** alpha", ") * alpha", "score", "with alpha = 0"),
    ("lesson6", "in_translation & in_reference", "in_translation", "matches", "only twice"),
    ("lesson6", "exp(1 - r / c)", "exp(1 - c / r)", "bleu", "not"),
    (
        "lesson1",
        "outputs.append(symbol)\n    return outputs\n\n\n#",
        "outputs.append(symbol)\n\n\n#",
        "write",
        "a list of outputs, and returns None",
    ),
    (
        "lesson6",
        "return words\n",
        "return {*words}\n",
        "greedy",
        "a list of words, and returns set",
    ),
]
"""Lesson, what is replaced in its answers and by what, the answer, and a part of the hint."""


def hints(lesson: Lesson, file: Path) -> dict[str, str | None]:
    """What is not right yet, by answer."""
    answers, found = runpy.run_path(str(file)), dict[str, str | None]()
    for exercise in lesson.exercises:
        found[exercise.answer] = None
        try:
            exercise.check(answers[exercise.answer])
        except (NotYet, NotImplementedError) as hint:
            found[exercise.answer] = str(hint)
    return found


@pytest.mark.parametrize(
    "lesson",
    [
        pytest.param(lesson, id=lesson.name, marks=[pytest.mark.slow] * (lesson.number == 4))
        for lesson in LESSONS
    ],
)
def test_the_answers_of_a_lesson_are_right_and_its_skeleton_is_not_yet(
    lesson: Lesson, tmp_path: Path
) -> None:
    assert [*hints(lesson, ANSWERS / f"{lesson.name}.py").values()] == [None] * len(
        lesson.exercises
    )
    file = tmp_path / f"{lesson.name}.py"
    file.write_text(skeleton(lesson), encoding="utf-8")
    assert None not in hints(lesson, file).values()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "right", "wrong", "answer", "part"), WRONG)
def test_a_common_mistake_gets_a_hint_that_names_it(
    name: str, right: str, wrong: str, answer: str, part: str, tmp_path: Path
) -> None:
    text = (ANSWERS / f"{name}.py").read_text(encoding="utf-8")
    assert text.count(right) == 1
    file = tmp_path / "answers.py"
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    hint = hints(lesson_named(name), file)[answer]
    assert part in (hint or "right")


def test_bleu_of_the_course_is_that_of_sacrebleu() -> None:
    translations = ["a cat sat on the mat today", "it is a very small house by a river"]
    references = ["a cat sat on a mat", "it is a very small house by the wide river"]
    expected = bleu("en", tokenize="none", force=True).corpus_score(translations, [references])
    split = [[line.split() for line in lines] for lines in (translations, references)]
    assert reference_bleu(*split) == pytest.approx(expected.score)


def test_a_file_is_of_the_lesson_that_its_name_ends_in() -> None:
    assert lesson_of_file(Path("/lesson1/anna-lesson3.py")).number == 3
    with pytest.raises(UsageError, match="anna-lesson3"):
        lesson_of_file(Path("homework.py"))


@pytest.mark.slow
def test_a_file_with_every_kind_of_fault_is_marked_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "lesson3.py"
    file.write_text(
        "import os\n"
        "def sigmoid(x):\n"
        "    while True: pass\n"
        "def lstm_step(x, h, c, W, U, b): return 1 / 0\n"
        "def gru_state(h, candidate, z): os._exit(3)\n"
        "def bias_for(openness): exit()\n"
    )
    assert [item.hint for item in mark(file, lesson_named("lesson3"), seconds=2)] == [
        "it was still running after 2 seconds, at line 3; does each loop end?",
        "ZeroDivisionError at line 4: division by zero.",
        "it ended the program, with exit code 3; an answer should return.",
        "the file does not define GATES.",
        "it ends the program at line 6; an answer should return.",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\ndef f(x) return 1\n", "line 2: this is not Python: expected ':'."),
        ("while True: pass\n", "still running after 2 seconds, at line 1; does each loop end?"),
        ("import not_there\n", "ModuleNotFoundError at line 1: No module named 'not_there'."),
        ("exit(5)\n", "it ends the program at line 1."),
    ],
)
def test_a_file_that_cannot_be_run_is_told_in_a_sentence(
    text: str, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "lesson1.py"
    file.write_text(text)
    with pytest.raises(Seq2SeqError) as error:
        mark(file, LESSONS[0], seconds=2)
    assert str(error.value).startswith(f"{file}: ")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_lesson_is_listed_started_filled_in_and_marked(tmp_path: Path) -> None:
    def learn(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "seq2seq.cli.main", "learn", *words],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
        )
        return done.returncode, done.stdout + done.stderr

    listed = learn()[1]
    assert all(f"{lesson.name}  {lesson.title}" in listed for lesson in LESSONS)
    assert learn("start", "lesson2")[0] == 0
    file = tmp_path / "lesson2.py"
    assert file.read_text(encoding="utf-8") == skeleton(LESSONS[1])
    (tmp_path / "random.py").write_text("raise Exception\n")  # not taken for Python's own
    code, output = learn("check", "lesson2.py")
    assert (code, output.splitlines()[-1]) == (1, "0 of 4 right.")
    file.write_bytes((ANSWERS / "lesson2.py").read_bytes())
    code, output = learn("check", "lesson2.py")
    assert (code, output.splitlines()[-1]) == (0, "4 of 4 right.")
    code, output = learn("start", "lesson2")
    assert code == 2
    assert "is left as it is" in output
    assert file.read_bytes() == (ANSWERS / "lesson2.py").read_bytes()
