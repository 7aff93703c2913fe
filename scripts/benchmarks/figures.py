"""Measures the figures of README and docs again, and says which ones have moved.

    python scripts/benchmarks/figures.py                    # all that can be measured here
    python scripts/benchmarks/figures.py --page results
    python scripts/benchmarks/figures.py --kind score       # on a busy machine

`figures.toml` has a table for each figure: the page, the text around the figure there, the command
that measures it, and the text around it in what that prints. A command that several figures need is
run once. What the commands need and is not here (corpora, a trained run) is named and left out.
"""

import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from os import environ, pathsep
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from seq2seq.cli.exit import reported_errors
from seq2seq.errors import Seq2SeqError

ROOT = Path(__file__).resolve().parents[2]
TABLES = Path(__file__).with_name("figures.toml")

_NUMBER = r"(-?[\d,]*\.?\d+)"


class Kind(StrEnum):
    """What a figure depends on, beside the code."""

    SCORE = "score"  # nothing else: every machine gives the same, but for rounding
    SPEED = "speed"  # the machine, and what else it does
    SIZE = "size"  # the versions of libraries


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of a page, and how it is measured."""

    name: str
    page: str  # relative to the repository
    stated: str  # the text around it there, with # in its place
    command: str  # run in the repository
    measured: str  # the text around it in the output of the command, with # in its place
    kind: Kind
    tolerance: float  # a difference up to this is none
    needs: tuple[str, ...] = ()  # files

    def missing(self) -> list[str]:
        """Return the files that it needs and that are not here."""
        return [name for name in self.needs if not (ROOT / name).exists()]


def read_figures(text: str) -> list[Figure]:
    """Read the figures of a TOML file; a table of `command` lists those that it measures."""
    figures: list[Figure] = []
    for table in tomllib.loads(text)["command"]:
        shared = {"command": table["run"], "needs": tuple(table.get("needs", ()))}
        for row in table["figures"]:
            figures.append(Figure(**shared, **{**row, "kind": Kind(row["kind"])}))
    return figures


def number_in(text: str, around: str) -> float | None:
    """Return the number that stands at # of `around`, where … is the rest of a line, or some of it.

    White space is of any kind and length.
    """
    written = {" ": r"\s+", "#": _NUMBER, "…": r"[^\n]*?"}
    pattern = "".join(written.get(letter) or re.escape(letter) for letter in around)
    match = re.search(pattern, text)
    return float(match[1].replace(",", "")) if match else None


def _output(command: str) -> str:
    path = pathsep.join((sysconfig.get_path("scripts"), environ["PATH"]))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env=environ | {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        last = [*done.stderr.splitlines(), "it says nothing"][-2:][0]
        raise Seq2SeqError(f"exit code {done.returncode} of {command}: {last}")
    return done.stdout


def _row(figure: Figure, output: str) -> tuple[str, str, str, str, str]:
    """Return name, page, both figures and the verdict."""
    stated = number_in((ROOT / figure.page).read_text(encoding="utf-8"), figure.stated)
    measured = number_in(output, figure.measured)
    if stated is None:
        verdict = f"not on the page: {figure.stated}"
    elif measured is None:
        verdict = f"not measured: {figure.measured}"
    else:
        verdict = "" if abs(stated - measured) <= figure.tolerance else "moved"
    return figure.name, figure.page, _shown(stated), _shown(measured), verdict


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:,.10g}"


def measure(figures: Iterable[Figure]) -> list[tuple[str, str, str, str, str]]:
    """Run the commands of figures, each once, and return a row for each figure."""
    by_command: dict[str, list[Figure]] = {}
    for figure in figures:
        by_command.setdefault(figure.command, []).append(figure)
    console = Console(stderr=True)
    return [
        _row(figure, output)
        for command in track(by_command, "Measuring", console=console, transient=True)
        for output in [_output(command)]
        for figure in by_command[command]
    ]


def main(
    page: Annotated[str | None, typer.Option(help="Only the figures of this page.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only figures of this kind.")] = None,
) -> None:
    """Measure the figures of README and docs again, and say which ones have moved."""
    figures = [
        figure
        for figure in read_figures(TABLES.read_text(encoding="utf-8"))
        if (page is None or Path(figure.page).stem == page) and (kind in (None, figure.kind))
    ]
    missing: Mapping[str, list[str]] = {figure.name: figure.missing() for figure in figures}
    rows = measure(figure for figure in figures if not missing[figure.name])
    table = Table("figure", "page", "stated", "measured", "", box=None)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    for name, files in missing.items():
        if files:
            print(f"left out: {name}, which needs {', '.join(files)}", file=sys.stderr)
    moved = [row for row in rows if row[-1]]
    if moved:
        raise Seq2SeqError(f"{len(moved)} of {len(rows)} figures are not as stated.")


if __name__ == "__main__":
    with reported_errors("figures.py"):
        typer.run(main)
