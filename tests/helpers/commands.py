"""The command `translate` as a process."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "seq2seq.cli.translate"]


TIMEOUT = 120  # seconds: only so that a process that waits for ever is a failure


def run(*arguments: str | Path, stdin: str | bytes = b"") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        timeout=TIMEOUT,
    )
    assert b"Traceback" not in done.stderr
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def only_error(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence of a process that failed with `code` and printed nothing else."""
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("translate: ")
    return done.stderr


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def show_stderr(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A terminal that stderr goes to. Not a fixture: pytest replaces stderr after the fixtures."""
    screen = Screen()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stderr", screen)
    return screen
