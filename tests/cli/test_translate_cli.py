"""The command `translate`, as a process.

`TestShipped` runs the model that comes with the package; without that model it fails.
"""

import io
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from helpers.commands import COMMAND, TIMEOUT, only_error, run, show_stderr

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.cli import progress
from seq2seq.cli.exit import reported_errors
from seq2seq.cli.streams import open_output, read_chunks
from seq2seq.cli.translate_lines import _progress
from seq2seq.errors import Seq2SeqError

CAN_CUT_THE_NETWORK = (
    shutil.which("unshare") is not None
    and subprocess.run(
        ["unshare", "--map-root-user", "--net", "true"], capture_output=True
    ).returncode
    == 0
)


# Wrong usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bem-size", "3"],
        ["--beam-size", "0"],
        ["-b", "many"],
        ["--threads", "-1"],
        ["--threads", "1025"],
        ["--length-penalty", "1000"],
    ],
)
def test_a_wrong_option_is_named(arguments: list[str]) -> None:
    done = run(*arguments, "hello")
    assert (done.returncode, done.stdout) == (2, "")
    assert arguments[0] in done.stderr


def test_the_option_that_was_meant_is_named() -> None:
    assert "--beam-size" in run("--bem-size", "3", "hello").stderr


def test_sentences_and_input_exclude_each_other(tmp_path: Path) -> None:
    assert "--input" in only_error(run("hello", "-i", tmp_path / "in.txt"), 2)


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    assert f"{path}: cannot be read: No such file" in only_error(run("-i", path), 2)


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "out.txt"
    assert f"{path}: cannot be written" in only_error(run("hello", "-o", path), 2)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.s2s"
    assert str(path) in only_error(run("-m", path, "hello"), 1)


def test_a_folder_that_is_no_model_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    model, output = tmp_path / "model", tmp_path / "out.txt"
    model.mkdir()
    output.write_text("old")
    assert str(model) in only_error(run("-m", model, "hello", "-o", output), 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out.txt"]
    assert output.read_text() == "old"


def test_a_training_run_must_be_exported_first(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text("{}")
    assert f"seq2seq export {tmp_path}" in only_error(run("-m", tmp_path, "hello"), 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_input_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.touch(mode=0)
    assert f"{path}: cannot be read: Permission denied" in only_error(run("-i", path), 2)


def test_help_names_the_options() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for option in ("--input", "--output", "--model", "--beam-size", "--n-best", "--threads"):
        assert option in done.stdout


# Streams


@pytest.mark.parametrize(
    ("closing", "message"),
    [
        ("<&-", "translate: stdin is closed; give sentences or --input.\n"),
        (">&-", "translate: stdout is closed; give --output.\n"),
    ],
)
def test_a_closed_stream_is_named(closing: str, message: str) -> None:
    command = ["sh", "-c", f'exec "$@" {closing}', "sh", *COMMAND]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", message)


def test_given_sentences_need_no_stdin(tmp_path: Path) -> None:
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "hello", "-m", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT)
    assert done.returncode == 1
    assert b"none" in done.stderr  # only the model is missing


@pytest.mark.parametrize("arguments", [["--bem-size", "3"], ["-m", "none", "hello"]])
def test_what_a_closed_stderr_is_told_does_not_go_elsewhere(arguments: list[str]) -> None:
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=TIMEOUT)
    assert (done.returncode != 0, done.stdout) == (True, b"")


@pytest.mark.parametrize("redirection", ['<"$0" >>"$0"', '<"$0" 1<>"$0"', '-i "$0" >>"$0"'])
def test_a_file_is_not_written_over_while_it_is_read(tmp_path: Path, redirection: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text("hello\n")
    command = ["sh", "-c", f'exec "$@" {redirection}', str(path), *COMMAND]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"--output" in done.stderr
    assert path.read_text() == "hello\n"


def test_ctrl_c_while_it_starts_is_quiet() -> None:
    program = "import seq2seq.cli; raise KeyboardInterrupt"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ImportError("initialization failed")])
def test_ctrl_c_while_libraries_are_loaded(error: BaseException) -> None:
    """A compiled module makes an `ImportError` of it."""
    with pytest.raises(SystemExit) as end, reported_errors("translate"):
        raise error from KeyboardInterrupt()
    assert end.value.code == 130


def test_an_import_that_fails_is_a_fault() -> None:
    with pytest.raises(ImportError), reported_errors("translate"):
        raise ImportError("no such module")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [["17"], ["--help"], ["17", "-o", "/dev/full"]])
def test_a_full_disk_is_named_once(arguments: list[str]) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
            env=environment,
        )
    assert done.returncode == 1
    assert done.stderr == b"translate: No space left on device.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_help_on_a_full_disk() -> None:
    command = [sys.executable, "-m", "seq2seq.cli.main", "--help"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=TIMEOUT)
    assert done.returncode == 1
    assert done.stderr == b"seq2seq: No space left on device.\n"


# The bar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds."""
    now = [100.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    return now


def test_the_bar_shows_sentences_speed_and_time_left(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = show_stderr(monkeypatch)
    with progress.ProgressBar(size=4000) as bar:
        for _ in range(50):
            clock[0] += 0.1
            bar.advance("äöüÄÖÜß 1234\n")  # twenty bytes
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", screen.getvalue())
    assert "50 sentences, 10/s, 0:00:15 left" in shown
    assert all(len(line) <= 80 for line in re.split("[\r\n]", shown))


def test_little_work_has_no_bar(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    screen = show_stderr(monkeypatch)
    with progress.ProgressBar(size=200) as bar:
        for _ in range(10):
            clock[0] += 0.1
            bar.advance("äöüÄÖÜß 1234\n")
    assert screen.getvalue() == ""


def test_the_bar_moves_within_a_line(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    screen = show_stderr(monkeypatch)
    with progress.ProgressBar(size=4000) as bar:
        for _ in range(50):
            clock[0] += 0.1
            bar.advance_within("äöüÄÖÜß 1234")  # nineteen bytes
    assert "0 sentences, 0/s, 0:00:16 left" in screen.getvalue()


def test_a_line_counts_once(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    screen = show_stderr(monkeypatch)
    line = "a" * 999
    with progress.ProgressBar(size=4000) as bar:
        clock[0] += 10
        bar.advance_within(line[:900])
        bar.advance(f"{line}\n")
        bar.advance_within(line)
        bar.advance(f"{line}\n")
    assert "2 sentences, 0/s, 0:00:10 left" in screen.getvalue()


def test_a_bar_does_not_cross_the_translations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = show_stderr(monkeypatch)
    path = tmp_path / "in.txt"
    path.write_bytes(b"17\n")
    elsewhere, here = io.BytesIO(), cast(BinaryIO, screen)
    with path.open("rb") as source:
        with _progress(source, elsewhere) as bar:
            assert bar is not None
        with _progress(source, here) as bar:
            assert bar is None
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        with _progress(source, elsewhere) as bar:
            assert bar is None


def test_what_has_no_size_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    show_stderr(monkeypatch)
    read_end, write_end = os.pipe()
    os.close(write_end)
    with open(read_end, "rb") as pipe, _progress(pipe, io.BytesIO()) as bar:
        assert bar is None


# Reading and writing


@contextmanager
def reading_from(*parts: bytes) -> Iterator[Iterator[list[str]]]:
    """The chunks of a pipe that `parts` are written to one by one, each when it is waited for."""
    read_end, write_end = os.pipe()
    waiting = list(parts)

    class Pipe:
        def read1(self, size: int) -> bytes:
            if not waiting:
                return b""
            os.write(write_end, waiting.pop(0))
            return os.read(read_end, size)

        def fileno(self) -> int:
            return read_end

    try:
        yield map(list, read_chunks(Pipe(), "stdin"))  # type: ignore[arg-type]
    finally:
        os.close(read_end)
        os.close(write_end)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], []),
        ([b"\n"], [["\n"]]),
        ([b"a\n", b"b\n"], [["a\n"], ["b\n"]]),
        ([b"a\nb\n\nc"], [["a\n", "b\n", "\n"], ["c\n"]]),
        ([b"a", b"b", b"c\nd"], [["abc\n"], ["d\n"]]),
        ([b"a\r\nb\rc\r\n"], [["a\r\n", "b\rc\r\n"]]),
        (["ä\u2028\u0085\x0b\x0cä\n".encode()], [["ä\u2028\u0085\x0b\x0cä\n"]]),
        (["ä\n".encode()[:1], "ä\n".encode()[1:]], [["ä\n"]]),
    ],
)
def test_lines_are_read_as_they_arrive(parts: list[bytes], expected: list[list[str]]) -> None:
    with reading_from(*parts) as chunks:
        assert list(chunks) == expected


def test_a_file_is_one_chunk_that_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    lines = ["a" * (7919 * i % 300) + "\n" for i in range(10_000)]
    lines[-1] = "b"
    path.write_text("".join(lines))
    with path.open("rb") as file:
        [chunk] = read_chunks(file, "in.txt")
        remaining = iter(chunk)
        assert file.tell() == 0
        assert [next(remaining) for _ in range(10)] == lines[:10]
        assert file.tell() < path.stat().st_size / 2
        assert list(remaining) == lines[10:]


def test_a_line_of_a_megabyte_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    lines = ["a\n", "b" * 1_000_000 + "\n", "\n", "c" * 100_000 + "\n"]
    path.write_text("".join(lines))
    with path.open("rb") as file:
        assert [list(chunk) for chunk in read_chunks(file, "in.txt")] == [lines]


def test_bad_utf8_is_named_by_line_and_byte() -> None:
    with (
        reading_from(b"a\nb\n", b"good\nb\xe4d\n") as chunks,
        pytest.raises(Seq2SeqError, match="stdin, line 4: byte 2"),
    ):
        list(chunks)


def test_the_lines_before_bad_utf8_are_read(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(b"good\nb\xe4d\nmore\n")
    with path.open("rb") as file:
        lines = chain.from_iterable(read_chunks(file, "in.txt"))
        assert next(lines) == "good\n"
        with pytest.raises(Seq2SeqError, match="line 2"):
            next(lines)


def test_a_document_is_told_from_bad_utf8(tmp_path: Path) -> None:
    path = tmp_path / "letter.docx"
    path.write_bytes(b"PK\x03\x04\x14\x00\nxml\n\xb5\xff")
    with path.open("rb") as file:
        lines = chain.from_iterable(read_chunks(file, "letter.docx"))
        with pytest.raises(Seq2SeqError, match=r"^letter\.docx: a document of Word, "):
            list(lines)


def test_an_output_may_have_a_long_name(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 120)
    with open_output(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"


def test_an_output_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"

    def write_half() -> None:
        with open_output(path) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert list(tmp_path.iterdir()) == []
    with open_output(path) as file:
        file.write(b"whole")
        file.flush()
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"whole"


def test_what_is_not_a_file_is_not_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    with open_output(link) as file:
        file.write(b"x")
    assert link.is_symlink()
    assert target.read_bytes() == b"x"
    with open_output(Path(os.devnull)) as file:
        file.write(b"x")
    assert not Path(os.devnull).is_file()


# The model of the package


@pytest.fixture
def shipped() -> None:
    if not DEFAULT_MODEL.is_dir():
        pytest.fail(f"{DEFAULT_MODEL} is missing: the package has to ship its model")


class Child:
    """A process under way, to talk to through its pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr
        self.process = process

    def say(self, line: bytes) -> bytes:
        """Send a line and wait for one."""
        self.stdin.write(line)
        self.stdin.flush()
        return self.stdout.readline()

    def wait(self) -> int:
        return self.process.wait(TIMEOUT)


@contextmanager
def started(*arguments: str | Path) -> Iterator[Child]:
    pipe = subprocess.PIPE
    command = [*COMMAND, *map(str, arguments)]
    # A shell starts background jobs, and so their children, with Ctrl-C ignored.
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, preexec_fn=listen
    ) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.usefixtures("shipped")
class TestShipped:
    def test_sentences(self) -> None:
        done = run("Where is the station?", "I am tired.")
        assert (done.returncode, done.stderr) == (0, "")
        first, second, rest = done.stdout.split("\n")
        assert first
        assert second
        assert first != second
        assert rest == ""

    def test_every_process_says_the_same(self) -> None:
        sentences = [f"Tom has {n} big houses in the old town." for n in range(12)]
        one = run("--n-best", "3", "--threads", "1", *sentences)
        two = run("--n-best", "3", "--threads", "2", *sentences)
        alone = [run("--n-best", "3", sentence).stdout for sentence in sentences[:3]]
        assert one.stdout == two.stdout
        assert one.stdout.startswith(alone[0])
        for number, lines in enumerate(alone):
            assert lines.replace("0 |||", f"{number} |||") in one.stdout

    @pytest.mark.skipif(not CAN_CUT_THE_NETWORK, reason="unshare may not make network namespaces")
    def test_no_network_is_needed(self) -> None:
        sentence = "Where is the station?"
        command = ["unshare", "--map-root-user", "--net", *COMMAND, sentence]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == run(sentence).stdout

    def test_the_empty_sentence_does_not_wait_for_stdin(self) -> None:
        with started("") as child:
            assert child.wait() == 0  # while its stdin is open
            assert child.stdout.read() == b"\n"

    def test_one_line_out_for_each_line_in(self) -> None:
        lines = ["I am tired.", "", "  ", "17", "I am\u2028tired.", "I am tired.\r", "駅", "-", "a"]
        done = run(stdin="\n".join(lines))
        assert done.returncode == 0
        translated = done.stdout.removesuffix("\n").split("\n")
        assert len(translated) == len(lines)
        assert [bool(line) for line in translated] == [bool(line.strip()) for line in lines]
        assert translated[5] == f"{translated[0]}\r"
        assert (translated[3], translated[7]) == ("17", "-")

    def test_order_is_kept(self) -> None:
        lines = ["I am tired.", "Where is the station?", "17", "Tom has a big house."]
        done = run(stdin="\n".join(lines * 200) + "\n")
        translated = done.stdout.removesuffix("\n").split("\n")
        assert translated == translated[:4] * 200
        assert len(set(translated)) == 4

    def test_a_long_file_keeps_its_order(self, tmp_path: Path) -> None:
        kinds = ["I am tired.", "", "Where is the station?", "17", "Tom has a big house. " * 5]
        path = tmp_path / "in.txt"
        numbers = [7 * i % 5 for i in range(4000)]
        path.write_text("".join(f"{kinds[number]}\n" for number in numbers))
        alone = run("-b", "1", "--unit", "line", *kinds).stdout.removesuffix("\n").split("\n")
        with path.open("rb") as file:
            done = subprocess.run(
                [*COMMAND, "-b", "1"], stdin=file, capture_output=True, timeout=TIMEOUT
            )
        assert (done.returncode, done.stderr) == (0, b"")
        translated = done.stdout.decode().removesuffix("\n").split("\n")
        assert translated == [alone[number] for number in numbers]

    def test_file_to_file(self, tmp_path: Path) -> None:
        source, target = tmp_path / "in.txt", tmp_path / "out.txt"
        source.write_text("I am tired.\n\nI am tired.\n", encoding="utf-8")
        done = run("-i", source, "-o", target)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        first, second, third, rest = target.read_text(encoding="utf-8").split("\n")
        assert (first, second, rest) == (third, "", "")
        assert sorted(tmp_path.iterdir()) == [source, target]

    def test_a_file_may_be_translated_in_place(self, tmp_path: Path) -> None:
        path = tmp_path / "text.txt"
        path.write_text("I am tired.\n", encoding="utf-8")
        assert run("-i", path, "-o", path).returncode == 0
        assert path.read_text(encoding="utf-8") == run("I am tired.").stdout

    def test_lines_of_a_file_that_may_be_no_plain_text_are_not_replaced(
        self, tmp_path: Path
    ) -> None:
        path, link = tmp_path / "a.en", tmp_path / "link"
        path.write_text("I am tired.\n", encoding="utf-8")
        link.symlink_to(path)
        for output in (path, link):
            done = run("-i", path, "-o", output)
            assert (done.returncode, done.stdout) == (2, "")
            assert "is not replaced" in done.stderr
            assert done.stderr.count("\n") == 1
        assert path.read_text(encoding="utf-8") == "I am tired.\n"
        assert sorted(tmp_path.iterdir()) == [path, link]

    def test_an_argument_that_is_not_utf_8_is_refused(self) -> None:
        done = subprocess.run(
            [*COMMAND, "fine", b"caf\xc3\xa9 caf\xe9"], capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("translate: text 2: byte 10 is not UTF-8; ")

    @pytest.mark.parametrize("languages", [("EN", "DE"), ("en-GB", "de_AT"), ("Auto", "De")])
    def test_languages_in_any_case_and_with_a_region(self, languages: tuple[str, str]) -> None:
        source, target = languages
        done = run("-f", source, "-t", target, "I am tired.")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == run("I am tired.").stdout

    @pytest.mark.parametrize("through", ["file", "pipe"])
    def test_all_lines_before_bad_utf8_are_translated(self, tmp_path: Path, through: str) -> None:
        lines = [b"I am tired.", b"", b"17", b"Tom has a big house."] * 500
        text = b"\n".join([*lines, b"b\xe4d", b"18\n"])
        path = tmp_path / "in.txt"
        path.write_bytes(text)
        done = run("-b", "1", "-i", path) if through == "file" else run("-b", "1", stdin=text)
        assert done.returncode == 1
        assert re.fullmatch(r"translate: .*, line 2001: byte 2 .*\n", done.stderr)
        translated = done.stdout.splitlines()
        assert translated == translated[:4] * 500
        assert translated[1:3] == ["", "17"]

    @pytest.mark.parametrize("character", [" ", "7", ".", "\t", "\u0301"])
    def test_a_megabyte_without_letters(self, character: str) -> None:
        text = character * 1_000_000
        done = run(stdin=text + "\n")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == ("" if text.isspace() else text) + "\n"

    def test_a_line_feed_in_a_sentence_does_not_end_the_line(self) -> None:
        done = run("--unit", "line", "I am\ntired.", "17\r\n18\n", "\n")
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.removesuffix("\n").split("\n")) == 3
        assert done.stdout.endswith("\n17 18 \n\n")

    def test_bad_utf8_leaves_nothing_half_written(self, tmp_path: Path) -> None:
        source, target = tmp_path / "in.txt", tmp_path / "out.txt"
        source.write_bytes(b"17\n" * 20_000 + b"b\xe4d\n")
        message = only_error(run("-i", source, "-o", target), 1)
        assert f"{source}, line 20001: byte 2" in message
        assert list(tmp_path.iterdir()) == [source]

    def test_n_best(self) -> None:
        done = run("--n-best", "3", "I am tired.", "", "17")
        assert done.returncode == 0
        rows = [line.split(" ||| ") for line in done.stdout.removesuffix("\n").split("\n")]
        assert [number for number, *_ in rows] == ["0", "0", "0", "1", "2"]
        scores = [float(row[3]) for row in rows]
        assert 0 > scores[0] >= scores[1] >= scores[2]
        assert rows[0][1] + "\n" == run("I am tired.").stdout
        assert rows[3:] == [
            ["1", "", "Score= 0.0000", "0.0000"],
            ["2", "17", "Score= 0.0000", "0.0000"],
        ]

    def test_n_best_must_fit_the_beam(self) -> None:
        assert "set the beam size to 7" in only_error(run("-b", "2", "--n-best", "7", "hello"), 2)

    def test_settings(self) -> None:
        text = "I am tired, and you are tired. " * 3
        done = run(
            "-b", "1", "--length-penalty", "0.5", "--max-length", "9", "--threads", "1", text
        )
        assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")

    def test_ten_thousand_words_are_one_line(self) -> None:
        [one] = run("-b", "1", "I see a house.").stdout.splitlines()
        done = run("-b", "1", stdin="I see a house. " * 2500)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == " ".join([one] * 2500) + "\n"

    def test_what_is_a_sentence_and_what_is_an_option(self) -> None:
        done = run("17", "--beam-size", "1", "18", "--", "-5", "- 3", "--")
        assert (done.returncode, done.stdout) == (0, "17\n18\n-5\n- 3\n--\n")

    def test_a_conversation_over_pipes(self) -> None:
        """Each line is answered before the next one is sent."""
        with started() as child:
            assert [child.say(b"%d\n" % i) for i in range(3)] == [b"0\n", b"1\n", b"2\n"]
            child.stdin.close()
            assert child.wait() == 0

    def test_a_reader_that_leaves_early(self, tmp_path: Path) -> None:
        """And has what is ready before the rest is: all of it would take an hour."""
        path = tmp_path / "in.txt"
        path.write_text("17\n" + "Tom has a big house.\n" * 500_000)
        with started("-i", path) as child:
            assert child.stdout.readline() == b"17\n"
            assert child.stdout.readline() == child.stdout.readline() != b""
            child.stdout.close()
            assert child.wait() == 141
            assert child.stderr.read() == b""

    def test_ctrl_c(self) -> None:
        with started() as child:
            assert child.say(b"17\n") == b"17\n"
            child.process.send_signal(signal.SIGINT)
            assert child.wait() == 130
            assert child.stderr.read() == b""

    def test_ctrl_c_keeps_what_is_done(self, tmp_path: Path) -> None:
        path = tmp_path / "in.txt"
        path.write_text("Tom has a big house.\n" * 500_000)
        with started("-i", path) as child:
            first = child.stdout.readline()
            child.process.send_signal(signal.SIGINT)
            rest = child.stdout.read()
            assert child.wait() == 130
            assert set(rest.splitlines(keepends=True)) <= {first}
            assert child.stderr.read() == b""

    def test_a_terminal_is_told_what_to_do(self) -> None:
        keyboard, terminal = pty.openpty()
        os.write(keyboard, b"17\n\x04")  # Ctrl-D
        done = subprocess.run(COMMAND, stdin=terminal, capture_output=True, timeout=TIMEOUT)
        os.close(terminal)
        os.close(keyboard)
        assert (done.returncode, done.stdout) == (0, b"17\n")
        assert re.fullmatch(rb"Type a sentence .*\n", done.stderr)

    def test_heavy_libraries_stay_out(self) -> None:
        heavy = ("torch", "datasets", "matplotlib", "sacrebleu", "onnx", "rich", "pydantic")
        program = (
            "import sys\n"
            "from seq2seq.cli import translate\n"
            "translate.leave = lambda: None\n"
            "sys.argv = ['translate', 'I am tired.']\n"
            "translate.main()\n"
            f"assert not {set(heavy)} & set(sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=TIMEOUT)
        assert (done.returncode, done.stderr) == (0, b"")
