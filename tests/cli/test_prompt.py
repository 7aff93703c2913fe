"""`translate` on a terminal, without text."""

import os
import pty
import re
import subprocess
import sys
from select import select
from typing import Self

import pytest
from helpers.commands import COMMAND, TIMEOUT

from seq2seq.cli.streams import is_conversation


class Terminal:
    """A process on a terminal, and what is seen there."""

    def __init__(self, *arguments: str) -> None:
        self._keyboard, terminal = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "FORCE_COLOR": "1"}
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment,
        )
        os.close(terminal)
        self.shown = self.wait_for("> ")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._keyboard)

    def type(self, text: str) -> str:
        """What is answered, up to the next prompt or the end."""
        os.write(self._keyboard, text.encode())
        return self.wait_for("> ")

    def wait_for(self, end: str) -> str:
        shown = b""
        while not shown.endswith(end.encode()):
            assert select([self._keyboard], [], [], TIMEOUT)[0], shown
            try:
                data = os.read(self._keyboard, 4096)
            except OSError:  # how Linux tells that the process has ended
                break
            if not data:
                break
            shown += data
        assert b"Traceback" not in shown
        return shown.decode().replace("\r\n", "\n")


def test_a_conversation() -> None:
    with Terminal("-b", "3") as terminal:
        assert re.search(r"en-de\. Type a sentence", terminal.shown)
        assert not re.search(r"\d", terminal.type(":n\n"))  # of nothing
        terminal.type(":a\n")
        said = terminal.type("I am tired.\n")
        assert len(said.strip().split("\n")) >= 2
        alternatives = re.findall(r"^ +-\d\.\d{3}.*  (\S.*)", terminal.type(":n\n"), re.MULTILINE)
        assert len(alternatives) == 3
        assert alternatives[0] in said
        coloured = re.findall(r"\x1b\[3(\d)m([^\x1b]+)\x1b\[0m", terminal.type(":a\n"))
        assert {"I", "am", "tired."} > {word for _, word in coloured[:2]}
        assert " ".join(word for _, word in coloured).endswith(alternatives[0])
        assert ":t LANG" in terminal.type(":h\n")
        assert "en-de" in terminal.type(":t\n")
        assert "into 'xx'; it knows en-de" in terminal.type(":t xx\n")
        assert "en-de\n" in terminal.type(":t de\n")
        assert terminal.type("17 {x}\n").count("17 {x}") >= 2  # as typed, and as said
        terminal.type(":q\n")
        assert terminal.process.wait(TIMEOUT) == 0


def test_a_conversation_through_a_third_language() -> None:
    with Terminal("-b", "3", "-f", "de", "-t", "fr") as terminal:
        assert re.search(r"de-fr goes through en, .*\nde-fr\. Type", terminal.shown)
        said = terminal.type("Ich bin sehr müde.\n")
        alternatives = re.findall(r"^ +-\d\.\d{3}  (\S.*)", terminal.type(":n\n"), re.MULTILINE)
        assert len(alternatives) == 3
        assert alternatives[0] in said
        assert re.search(r"\x1b\[34mmüde\.\x1b.*\n.*\x1b\[34mfatigué\.", terminal.type(":a\n"))
        assert "en-de, de-en, " in terminal.type(":t\n")
        assert "into 'xx'; it knows en-de, de-en" in terminal.type(":t xx\n")
        said = terminal.type(":t es\n")
        assert "de-es goes through en" in said
        assert "de-es\n" in said
        assert "cansad" in terminal.type("Ich bin sehr müde.\n")
        assert "en-de\n" in terminal.type(":t de\n")
        terminal.type(":q\n")
        assert terminal.process.wait(TIMEOUT) == 0


def test_ctrl_d_ends_it() -> None:
    with Terminal() as terminal:
        terminal.type("\x04")
        assert terminal.process.wait(TIMEOUT) == 0


def test_it_is_for_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_conversation()
    monkeypatch.setattr(sys, "stdin", None)
    assert not is_conversation()
