"""The commands: as processes, and `seq2seq inspect` in this one."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seq2seq.cli.inspect import app as inspect_app

COMMAND = [sys.executable, "-m", "seq2seq.cli.translate"]
SEQ2SEQ = [sys.executable, "-m", "seq2seq.cli.main"]
TIMEOUT = 120  # seconds: only so that a process that waits for ever is a failure


def run(*arguments: str | Path, stdin: str | bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run `translate`."""
    return _run([*COMMAND, *map(str, arguments)], stdin)


def run_seq2seq(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `seq2seq`."""
    return _run([*SEQ2SEQ, *map(str, arguments)])


def _run(words: list[str], stdin: str | bytes = b"") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        words,
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        timeout=TIMEOUT,
    )
    assert b"Traceback" not in done.stderr
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def only_error(
    done: subprocess.CompletedProcess[str], code: int, command: str = "translate"
) -> str:
    """The one sentence of a process that failed with `code` and printed nothing else."""
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{command}: ")
    return done.stderr


def run_inspect(*arguments: str, code: int = 0) -> str:
    """What `seq2seq inspect` prints, in this process; an error is one line."""
    result = CliRunner().invoke(inspect_app, arguments)
    assert result.exit_code == code, result.output
    if code:
        assert result.output.startswith("seq2seq inspect: ")
        assert result.output.count("\n") == 1
    return result.output


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
