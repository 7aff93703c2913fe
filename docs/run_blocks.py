"""Writes under the marked commands of README and docs/ what they print.

    python docs/run_blocks.py                 # all pages
    python docs/run_blocks.py translate serve
    python docs/run_blocks.py --check         # changes nothing, says which pages differ

A block after the line `<!-- run -->` is run. Where a block ```text follows, that is its output,
errors and notes included. The blocks of a page run one after the other in a folder of their own,
where `data`, `docs`, `scripts` and `seq2seq` lie as they do here, with 80 columns and this Python.
"""

import os
import re
import subprocess
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import write_file

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README": ROOT / "README.md",
    **{file.stem: file for file in sorted((ROOT / "docs").glob("*.md"))},
    "course": ROOT / "docs" / "course" / "README.md",
}

_BLOCK = re.compile(
    r"^<!-- run -->\n```(?P<language>sh|python)\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<output>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)
_RUN = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": ["python", "-W", "error", "-c"]}
_SECONDS = 120  # more than any block takes


def with_output(text: str, folder: Path) -> str:
    """Run the marked blocks of a page in `folder`, and give the page with what they print now.

    Raises `Seq2SeqError` with the output of a block that fails.
    """
    for name in ("data", "docs", "scripts", "seq2seq"):
        (folder / name).symlink_to(ROOT / name)

    def run(block: re.Match[str]) -> str:
        printed = _output(block["language"], block["code"], folder)
        if block["output"] is None:
            return block[0]
        begin, end = (place - block.start() for place in block.span("output"))
        return block[0][:begin] + printed + block[0][end:]

    return _BLOCK.sub(run, text)


def _output(language: str, code: str, folder: Path) -> str:
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    paths = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    surroundings = {"PATH": path, "PYTHONPATH": paths, "COLUMNS": "80", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [*_RUN[language], code],
        cwd=folder,
        env=os.environ | surroundings | {"SEQ2SEQ_CACHE": str(folder / "cache")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        raise Seq2SeqError(f"exit code {done.returncode} of\n{code}{done.stdout}")
    return "".join(line.rstrip() + "\n" for line in done.stdout.splitlines())


def main(
    pages: Annotated[
        list[str] | None, typer.Argument(help="README, or pages of docs/; all by default.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; say what differs.")
    ] = False,
) -> None:
    """Write under the marked commands of README and docs/ what they print."""
    differ = []
    for name in pages or PAGES:
        if name not in PAGES:
            raise UsageError(f"there is no page {name!r}; there are {', '.join(PAGES)}.")
        file = PAGES[name]
        text = file.read_text(encoding="utf-8")
        with TemporaryDirectory() as folder:
            now = with_output(text, Path(folder))
        if now != text:
            differ.append(file.name)
            if not check:
                write_file(file, now.encode())
    if check and differ:
        raise Seq2SeqError(f"{', '.join(differ)}: the commands print something else now.")


if __name__ == "__main__":
    with reported_errors("run_blocks.py"):
        typer.run(main)
