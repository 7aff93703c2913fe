"""Rebuilds the guide: runs the commands that stand in it, and writes down what comes of them.

    python docs/guide/build.py               # figures, numbers, and the output in the text
    python docs/guide/build.py --check       # in a temporary folder: are the numbers the same?

README.md has a mark before each block of commands whose result it shows:

    <!-- build: NAME -->                        then a block ```sh, then perhaps one ```text
    <!-- build: NAME slow from "WORDS" lines 7 -->

Pictures go where the command's `-o` says. A block ```text that follows holds the output: all of it,
or so many lines from the first one with the WORDS on. The output goes into numbers.json, too; of a
picture without such a block, the data behind it (the same command with `--json`). `slow` commands
train something. Links to a line of code are led to where that line is now.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import write_file

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
README = HERE / "README.md"
FIGURES = HERE / "figures"
NUMBERS = FIGURES / "numbers.json"

PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "python": (),
    "sacrebleu": ("-m", "sacrebleu"),
    "seq2seq": ("-m", "seq2seq.cli.main"),
    "translate": ("-m", "seq2seq.cli.translate"),
}
"""What a command of the guide may begin with, and how this very Python runs it."""

_DIGITS = 4  # significant ones that are kept
_BLOCK = re.compile(
    r"<!-- build: (?P<name>[\w-]+)(?P<slow> slow)?(?: from \"(?P<first>[^\"]+)\")?"
    r"(?: lines (?P<lines>\d+))? -->\n```sh\n(?P<commands>.*?)```\n"
    r"(?P<output>\n```text\n.*?```\n)?",
    re.DOTALL,
)
_CODE_LINK = re.compile(r"\[`(?P<code>[^`\n]+)`\]\((?P<file>[^)#\s]+\.py)#L(?P<line>\d+)\)")


@dataclass(frozen=True)
class Block:
    """Commands of the guide, and what is shown of their output."""

    name: str
    slow: bool
    commands: tuple[tuple[str, ...], ...]
    first: str | None
    lines: int | None
    shows_output: bool

    @property
    def draws(self) -> bool:
        """Whether it is a single command that makes a picture."""
        return any(argument.endswith(".svg") for argument in self.commands[0])

    def excerpt(self, output: str) -> list[str]:
        """The lines of the output that the guide shows."""
        found = [line.rstrip() for line in output.strip("\n").splitlines()]
        if self.first is not None:
            begins = [number for number, line in enumerate(found) if self.first in line]
            if not begins:
                raise Seq2SeqError(f"{self.name}: no line of the output has {self.first!r}.")
            found = found[begins[0] :]
        return found[: self.lines]


def commands_of(block: str) -> tuple[tuple[str, ...], ...]:
    """The commands of a block, as words; one is a line, or more that end in a backslash."""
    lines = block.replace("\\\n", " ").splitlines()
    commands = (tuple(shlex.split(line, comments=True)) for line in lines)
    return tuple(command for command in commands if command)


def blocks_of(text: str) -> list[Block]:
    """The marked blocks of the guide; raises where a mark is not what it should be."""
    blocks = [
        Block(
            found["name"],
            found["slow"] is not None,
            commands_of(found["commands"]),
            found["first"],
            int(found["lines"]) if found["lines"] else None,
            found["output"] is not None,
        )
        for found in _BLOCK.finditer(text)
    ]
    names = [block.name for block in blocks]
    if len(names) != text.count("<!-- build:") or len({*names}) != len(names):
        raise Seq2SeqError(f"{README.name}: a mark is not as it should be, or a name comes twice.")
    return blocks


def build(block: Block, figures: Path, scratch: Path) -> dict[str, Any]:
    """Run the commands; pictures go to `figures`, other files to `scratch`. Gives the numbers."""
    for folder in (figures, scratch):
        folder.mkdir(parents=True, exist_ok=True)
    folders = {"docs/guide/figures": figures, "runs": scratch}
    outputs = []
    for command in block.commands:
        words = [_moved(word, folders) for word in command]
        if words[0] == "mkdir":
            Path(words[-1]).mkdir(parents=True, exist_ok=True)
        elif block.draws and not block.shows_output:
            outputs.append(_run([*words, "--json"]))
        else:
            outputs.append(_run(words))
    found: dict[str, Any] = {}
    if block.draws and not block.shows_output:
        found = brief(json.loads(outputs[0]))
    if block.shows_output:
        output = "".join(outputs)
        for name, folder in folders.items():
            output = output.replace(str(folder), name)
        found["output"] = block.excerpt(output)
    return found


def brief(data: Any) -> Any:
    """The same with fewer digits, and of the maps of gates what is small."""
    if isinstance(data, float):
        return float(f"{data:.{_DIGITS}g}")
    if isinstance(data, list):
        return [brief(one) for one in data]
    if isinstance(data, dict):
        rows = _without_maps(data) if "panels" in data else data
        return {key: brief(one) for key, one in rows.items()}
    return data


def _without_maps(data: Mapping[str, Any]) -> dict[str, Any]:
    """What `inspect gates` found: the mean of each map at each token, and the units it names."""
    panels, units = [], []
    maps: dict[tuple[str, ...], list[list[float]]] = {}
    for panel in data["panels"]:
        place = {name: panel[name] for name in ("part", "layer", "direction", "gate")}
        values = maps[tuple(place.values())] = panel["values"]
        panels.append(place | {"mean": [sum(row) / len(row) for row in values]})
    for unit in data["units"]:
        values = maps[tuple(unit["place"].values())]
        units.append(unit | {"values": [row[unit["unit"]] for row in values]})
    return {**data, "panels": panels, "units": units}


def differences(kept: Any, found: Any, tolerance: float = 0.0, place: str = "") -> Iterator[str]:
    """Where two numbers.json differ; numbers do by more than `tolerance`, or that share of them."""
    if isinstance(kept, Mapping) and isinstance(found, Mapping):
        for key in sorted({*kept, *found}):
            if key in kept and key in found:
                yield from differences(kept[key], found[key], tolerance, f"{place}/{key}")
            else:
                yield f"{place}/{key} is in one of the two only"
    elif isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        for number, (one, other) in enumerate(zip(kept, found, strict=True)):
            yield from differences(one, other, tolerance, f"{place}/{number}")
    elif isinstance(kept, float) and isinstance(found, float):
        if abs(kept - found) > tolerance * max(1.0, abs(kept), abs(found)):
            yield f"{place} was {kept}, is {found}"
    elif kept != found:
        yield f"{place} was {kept!r}, is {found!r}"


def with_output(text: str, numbers: Mapping[str, Any]) -> str:
    """The guide with the outputs that `numbers` holds."""

    def replaced(found: re.Match[str]) -> str:
        if found["output"] is None or "output" not in numbers.get(found["name"], {}):
            return found[0]
        lines = "".join(f"{line}\n" for line in numbers[found["name"]]["output"])
        return found[0].removesuffix(found["output"]) + f"\n```text\n{lines}```\n"

    return _BLOCK.sub(replaced, text)


def relinked(text: str) -> str:
    """The guide with each quoted line of code linked where it is; raises where it is no more."""

    def replaced(found: re.Match[str]) -> str:
        source = (HERE / found["file"]).read_text(encoding="utf-8").splitlines()
        places = [n for n, line in enumerate(source, start=1) if line.strip() == found["code"]]
        if len(places) != 1:
            raise Seq2SeqError(f"{found['file']}: {len(places)} lines are `{found['code']}`.")
        return f"[`{found['code']}`]({found['file']}#L{places[0]})"

    return _CODE_LINK.sub(replaced, text)


def load(file: Path = NUMBERS) -> dict[str, Any]:
    """The numbers that were found before."""
    numbers: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return numbers


def _save(numbers: Mapping[str, Any]) -> None:
    """A line for each block, so that a change shows what changed."""
    rows = (
        f"{json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}"
        for name, one in numbers.items()
    )
    write_file(NUMBERS, ("{\n" + ",\n".join(rows) + "\n}\n").encode())


@reported_errors("build")
def main(
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Only this; again for more.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only what trains nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; say whether the numbers are the same.")
    ] = False,
) -> None:
    """Make every figure and number of the guide again, by the commands in it."""
    text = README.read_text(encoding="utf-8")
    every = blocks_of(text)
    if unknown := {*(only or ())} - {block.name for block in every}:
        has = ", ".join(block.name for block in every)
        raise UsageError(f"the guide has no {unknown.pop()!r}; it has {has}.")
    blocks = [one for one in every if (not only or one.name in only) and not (quick and one.slow)]
    kept = load() if NUMBERS.exists() else {}
    numbers = dict(kept)
    with TemporaryDirectory() as folder:
        figures = Path(folder) / "figures" if check else FIGURES
        for block in _told(blocks):
            numbers[block.name] = build(block, figures, Path(folder) / "scratch")
            if not check:  # each as it comes: all of it takes minutes
                _save({one.name: numbers[one.name] for one in every if one.name in numbers})
        if check:
            names = [block.name for block in blocks]
            old, new = ({one: those.get(one) for one in names} for those in (kept, numbers))
            _compare(old, new, text, figures)
        else:
            text = README.read_text(encoding="utf-8")  # somebody may have written on
            write_file(README, relinked(with_output(text, numbers)).encode())


def _told(blocks: list[Block]) -> Iterator[Block]:
    """The blocks, and on stderr which one it is and how long it took."""
    for number, block in enumerate(blocks, start=1):
        typer.echo(f"{number}/{len(blocks)} {block.name}", err=True)
        for command in block.commands:
            typer.echo(f"    {shlex.join(command)}", err=True)
        began = time.monotonic()
        yield block
        typer.echo(f"    {time.monotonic() - began:.0f} s", err=True)


def _compare(kept: Mapping[str, Any], found: Mapping[str, Any], text: str, figures: Path) -> None:
    differ = [*differences(kept, found)]
    if relinked(with_output(text, kept)) != text:
        differ.append(f"{README.name} does not say what {NUMBERS.name} does")
    drawn = sorted(figures.glob("*.svg"))
    same = sum(_same(file, FIGURES / file.name) for file in drawn)
    typer.echo(f"{same} of {len(drawn)} pictures are the same, byte for byte.")
    if not differ:
        typer.echo(f"All numbers of {len(found)} parts are the same.")
        return
    for line in differ[:20]:
        typer.echo(line)
    raise Seq2SeqError(
        f"{len(differ)} numbers differ: the model, the commands or the code changed, or this is "
        "another kind of processor, whose sums end in other digits; run build.py without --check."
    )


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.read_bytes() == other.read_bytes()


def _moved(word: str, folders: Mapping[str, Path]) -> str:
    """A word of a command with its files in other folders."""
    for begin, folder in folders.items():
        if word == begin or word.startswith(f"{begin}/"):
            return str(folder) + word.removeprefix(begin)
    return word


def _run(words: Iterable[str]) -> str:
    """What a command prints, run in the repository by this Python, on one thread."""
    program, *arguments = words
    if program not in PROGRAMS:
        raise Seq2SeqError(f"the guide runs {', '.join(PROGRAMS)}, and not {program!r}.")
    done = subprocess.run(
        [sys.executable, *PROGRAMS[program], *arguments],
        cwd=ROOT,
        env=os.environ
        | {
            "COLUMNS": "80",
            "OMP_NUM_THREADS": "1",  # so that sums have one order
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")])),
            "PYTHONUTF8": "1",
        },
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise Seq2SeqError(f"{shlex.join([program, *arguments])} fails: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    typer.run(main)
