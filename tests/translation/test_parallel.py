"""A translator on several processes: the same translations, in the same order, as one has."""

from collections.abc import Iterable, Iterator
from functools import partial

import pytest

from seq2seq import ParallelTranslator, Translator, UsageError
from seq2seq.config.model_config import Direction, SearchConfig
from seq2seq.errors import Seq2SeqError
from seq2seq.translation import parallel
from seq2seq.translation.base import BaseTranslator, TranslateOptions
from seq2seq.translation.result import Translation

EN_DE = Direction("en", "de")


class Capitals(BaseTranslator):
    """Translates into capitals, and notes the process."""

    directions = (EN_DE,)
    direction = EN_DE
    search = SearchConfig(1)

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        import os

        if options.n_best > 1:
            raise UsageError("one is enough.")
        return (Translation.unchanged(line.upper(), str(os.getpid())) for line in self._read(lines))

    def _read(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if line == "die":
                import os

                os._exit(1)
            yield line


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_FEW", 10)
    monkeypatch.setattr(parallel, "_PART", 4)


def test_many_texts_are_translated_in_order_by_other_processes() -> None:
    lines = [f"line {number}" for number in range(50)]
    with ParallelTranslator(Capitals, 2) as translator:
        translations = [*translator.translate_lines(lines)]
        again = [*translator.translate_lines(lines)]
    assert [found.text for found in translations] == [line.upper() for line in lines]
    processes = {found.notes for found in (*translations, *again)}
    assert len(processes) <= 2  # they stay from call to call
    [here] = translator.translate(["a"])
    assert here.notes not in processes


def test_few_texts_need_no_process() -> None:
    translator = ParallelTranslator(Capitals, 2)
    [here] = Capitals().translate(["a"])
    assert {found.notes for found in translator.translate_lines(["a"] * 9)} == {here.notes}


@pytest.mark.parametrize("number", [3, 30])
def test_the_texts_before_a_failure_come_first(number: int) -> None:
    def failing() -> Iterator[str]:
        yield from map(str, range(number))
        raise ValueError

    texts: list[str] = []
    with (
        pytest.raises(ValueError),  # noqa: PT011
        ParallelTranslator(Capitals, 2) as translator,
    ):
        texts.extend(found.text for found in translator.translate_lines(failing()))
    assert texts == [*map(str, range(number))]


def test_options_that_do_not_fit_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match="enough"):
        ParallelTranslator(Capitals, 2).translate_lines([], n_best=2)


def test_a_process_that_dies_is_told() -> None:
    with (
        pytest.raises(Seq2SeqError, match="enough memory"),
        ParallelTranslator(Capitals, 2) as translator,
    ):
        list(translator.translate_lines(["a"] * 20 + ["die"]))


@pytest.mark.slow
def test_the_bundled_model_gives_the_same_to_the_last_bit() -> None:
    lines = [f"I have {number} books and {number % 7} cats." for number in range(40)]
    load = partial(Translator, threads=1)
    with ParallelTranslator(load, 2) as translator:
        parallel_ones = [*translator.translate_lines(lines)]
    for found, alone in zip(parallel_ones, load().translate_lines(lines), strict=True):
        assert (found.text, found.score, found.alignment) == (
            alone.text,
            alone.score,
            alone.alignment,
        )
