"""A text is mapped over in parts, in order, by processes that end when they should."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from seq2seq.corpus import lines as lines_module
from seq2seq.corpus.lines import map_parts
from seq2seq.errors import Seq2SeqError
from seq2seq.process_pool import ProcessPool

LINES = [str(number) for number in range(50)]


@pytest.fixture(autouse=True)
def small_parts_on_two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "_PART", 2)
    monkeypatch.setattr(lines_module, "MANY", 5)
    monkeypatch.setattr(lines_module, "cores", lambda: 2)


def joined(lines: Sequence[str]) -> tuple[int, str]:
    return os.getpid(), " ".join(lines)


def double(number: int) -> int:
    return 2 * number


def test_the_results_before_a_part_that_cannot_be_read_come_first() -> None:
    def parts() -> Iterator[tuple[int]]:
        yield from ((number,) for number in range(3))
        raise ValueError

    pool, results = ProcessPool(2), list[int]()
    with pytest.raises(ValueError):  # noqa: PT011
        results.extend(pool.map(double, parts()))
    pool.close()
    assert results == [0, 2, 4]


def fail(lines: Sequence[str]) -> None:
    raise ZeroDivisionError(lines[0])


def die(lines: Sequence[str]) -> None:
    os._exit(1)


def test_results_come_in_order_from_other_processes() -> None:
    results = list(map_parts(joined, LINES))
    assert " ".join(text for _, text in results) == " ".join(LINES)
    assert os.getpid() not in {process for process, _ in results}


def test_few_lines_need_no_process() -> None:
    assert {process for process, _ in map_parts(joined, LINES[:4])} == {os.getpid()}


def test_an_error_in_a_worker_is_raised_in_the_caller() -> None:
    with pytest.raises(ZeroDivisionError, match="0"):
        list(map_parts(fail, LINES))


def test_a_worker_that_dies_is_reported() -> None:
    with pytest.raises(Seq2SeqError, match="enough memory"):
        list(map_parts(die, LINES))


def test_parts_are_read_only_a_window_ahead_of_the_results() -> None:
    read = []

    class Watched(Sequence[str]):
        def __len__(self) -> int:
            return len(LINES)

        def __getitem__(self, index: int | slice) -> str | list[str]:  # type: ignore[override]
            read.append(index)
            return LINES[index]

    results = map_parts(joined, Watched())
    next(results)
    assert len(read) == 5
    results.close()  # type: ignore[attr-defined]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_end_with_a_caller_that_is_killed() -> None:
    program = (
        "from seq2seq.corpus import lines as p\n"
        "if __name__ == '__main__':\n"
        "    p._PART, p.MANY, p.cores = 2, 5, lambda: 2\n"
        "    results = p.map_parts(len, [str(n) for n in range(50)])\n"
        "    next(results); pool = results.gi_frame.f_locals['pool']\n"
        "    print(*pool._executor._processes, flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdout is not None
        workers = caller.stdout.readline().split()
        assert len(workers) == 2
        caller.send_signal(signal.SIGKILL)
    end = time.monotonic() + 20
    while (
        alive := [worker for worker in workers if is_running(worker)]
    ) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive


def is_running(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
