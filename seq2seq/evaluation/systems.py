"""What is compared: an exported model, the best model of a run, or a file of translations."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, cast

from seq2seq.config.model_config import Direction, SearchConfig, choose_direction
from seq2seq.corpus import DirectedText, read_lines
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.evaluation.sides import Both
from seq2seq.evaluation.test_sets import EvaluationSet, open_translator
from seq2seq.model_dir.read import is_training_run
from seq2seq.translation.result import Translation
from seq2seq.translation.translator import Translator


class System(Protocol):
    """What has, or makes, translations of test sets."""

    def check(self, tests: Sequence[DirectedText]) -> None:
        """Raise `Seq2SeqError` where it has none of these."""

    def translate(self, tests: Sequence[DirectedText], show_progress: bool) -> list[list[str]]:
        """The translations of each test set, in order."""


class Model:
    """A model, exported or in the folder of its run."""

    def __init__(self, path: Path, threads: int = 0, beam_size: int | None = None) -> None:
        """Load it; `threads` 0: one a core."""
        self.path = path
        self.translator = open_translator(path, threads)
        self._beam_size = beam_size

    def check(self, tests: Sequence[DirectedText]) -> None:
        """Raise `UsageError` where the model does not know the languages."""
        for test in tests:
            self._direction(test.direction)

    def translate(self, tests: Sequence[DirectedText], show_progress: bool) -> list[list[str]]:
        """Translate each test set."""
        return [self._translate(test, show_progress) for test in tests]

    def _direction(self, direction: Direction) -> Direction:
        try:
            return choose_direction(self.translator.directions, direction.source, direction.target)
        except UsageError as error:
            raise UsageError(f"{self.path}: {error}") from None

    def _translate(self, test: DirectedText, show_progress: bool) -> list[str]:
        direction = self._direction(test.direction)
        lines: Iterable[Translation] = self.translator.translate_lines(
            test.text.source,
            source=direction.source,
            target=direction.target,
            beam_size=self._beam_size,
            keep_parts=False,
        )
        if show_progress:
            lines = _tracked(lines, f"{self.path.name}, {test.direction}", len(test.text))
        return [line.text for line in lines]


class TranslatedFile:
    """A file with a translation on each line; of several test sets, in their order."""

    def __init__(self, path: Path) -> None:
        """Read it."""
        self.path = path
        self.lines = read_lines(path)

    def check(self, tests: Sequence[DirectedText]) -> None:
        """Raise `Seq2SeqError` where there are not as many lines as sentences."""
        sentences = sum(len(test.text) for test in tests)
        if len(self.lines) != sentences:
            raise Seq2SeqError(
                f"{self.path} has {len(self.lines):,} lines for {sentences:,} sentences: it needs "
                "a translation of each, one a line."
            )

    def translate(self, tests: Sequence[DirectedText], show_progress: bool) -> list[list[str]]:
        """The lines of each test set."""
        lines = iter(self.lines)
        return [[*islice(lines, len(test.text))] for test in tests]


def open_system(path: Path, threads: int = 0, beam_size: int | None = None) -> System:
    """A folder is a model, a file (or a pipe) has translations."""
    if path.is_dir():
        return Model(path, threads, beam_size)
    if path.exists():
        return TranslatedFile(path)
    raise Seq2SeqError(f"{path}: there is no such model, and no such file of translations.")


def read_tests(systems: Both[System], test_set: EvaluationSet) -> list[DirectedText]:
    """The test sets; where none is given, those of the recipe of the run that is compared.

    Two files do not know their languages, which only matters where they are part of a file's name.
    """
    models = [one for one in (systems.a, systems.b) if isinstance(one, Model)]
    if not models:
        direction = Direction(test_set.source_language or "src", test_set.target_language or "ref")
        nobody = Translator.over(cast(Any, None), cast(Any, None), [direction], SearchConfig())
        return test_set.read(Path(), nobody)
    runs = [one for one in models if is_training_run(one.path)]
    model = [*runs, *models][0]
    return test_set.read(model.path, model.translator)


def _tracked(lines: Iterable[Translation], what: str, number: int) -> Iterable[Translation]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = not console.is_terminal
    return track(lines, what, number, console=console, disable=hidden, transient=True)
