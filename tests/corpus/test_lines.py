"""Lines that are read when they are asked for are like any other sequence of lines."""

import pickle
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.corpus.lines import Chosen, Lines, LinesWriter, Text, digest_of, part_of

TEXTS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=5))


def in_memory(lines: Sequence[str]) -> Lines:
    return Lines.of(f"{line}\n".encode() for line in lines)


def in_a_file(lines: Sequence[str], folder: Path) -> Lines:
    """`lines` in blocks of two."""
    with LinesWriter(folder / "lines") as writer:
        for first in range(0, len(lines), 2):
            writer.write("".join(f"{line}\n" for line in lines[first : first + 2]).encode())
    return Lines.open(folder / "lines")


def check_like(text: Text, lines: list[str]) -> None:
    assert len(text) == len(lines)
    assert text == lines
    assert lines == text
    assert list(text) == lines
    assert [text[i] for i in range(-len(lines), len(lines))] == lines * 2
    for cut in (slice(None), slice(1, 3), slice(3, 1), slice(None, None, -1), slice(-2, None)):
        assert text[cut] == lines[cut]
    with pytest.raises(IndexError):
        text[len(lines)]
    assert pickle.loads(pickle.dumps(text)) == lines
    assert (
        list(pickle.loads(pickle.dumps(part_of(text, 0, len(lines) // 2))))
        == (lines[: len(lines) // 2])
    )


@given(TEXTS)
def test_lines_are_a_sequence(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        memory, file = in_memory(lines), in_a_file(lines, Path(folder))
        check_like(memory, lines)
        check_like(file, lines)
        assert memory.digest == digest_of(lines)


@given(TEXTS.filter(bool), st.lists(st.integers(0, 1000), max_size=20))
def test_chosen_lines_are_a_sequence(lines: list[str], numbers: list[int]) -> None:
    index = np.array([number % len(lines) for number in numbers], np.int32)
    expected = [lines[i] for i in index]
    check_like(Chosen(in_memory(lines), index), expected)
    check_like(Chosen(lines, index), expected)
    check_like(Chosen(Chosen(lines, range(len(lines))), index), expected)


def test_another_text_another_digest() -> None:
    lines = in_memory(["one", "two", "three"])
    texts = [
        lines,
        in_memory(["one", "two"]),
        in_memory(["one", "twothree"]),
        Chosen(lines, np.array([0, 1])),
        Chosen(lines, np.array([1, 0])),
        Chosen(in_memory(["one", "two"]), np.array([0, 1])),
    ]
    assert len({text.digest for text in texts}) == len(texts)
    assert Chosen(lines, np.array([0, 1], np.uint8)).digest == texts[3].digest


def test_a_digest_is_of_the_text_wherever_it_lies(tmp_path: Path) -> None:
    lines = ["one", "", "two"]

    in_a_file(lines, tmp_path)
    assert Lines.open(tmp_path / "lines").digest == in_memory(lines).digest == digest_of(lines)


def test_neither_a_string_nor_a_number_is_equal() -> None:
    lines = in_memory(["a", "b"])
    assert lines != "ab"
    assert lines != 2
    assert lines != ["a", "c"]
    assert lines != ["a"]
    assert repr(lines) == "Lines of 2 lines"


def test_a_text_in_memory_travels_by_value_and_one_in_a_file_by_name(tmp_path: Path) -> None:
    lines = ["a long line " * 100] * 100
    assert len(pickle.dumps(part_of(in_a_file(lines, tmp_path), 0, 100))) < 1000
    assert len(pickle.dumps(part_of(in_memory(lines), 0, 100))) > 1000
