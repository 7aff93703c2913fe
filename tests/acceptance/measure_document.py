"""Measures what `translate` leaves of a long document: all but its sentences, byte for byte.

The document is made here, so it is known what is prose and what is not. The command translates it
as a process, and its output is compared with the document by patterns that know nothing of the
product. Nothing is kept.
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from markdown_document import Document, Line, Piece

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.config.model_config import Direction, choose_direction
from seq2seq.corpus import read_parallel
from seq2seq.model_dir.read import read_config

_MOST_MEMORY = 1.5  # of the whole document, as a multiple of what a tenth of it takes
_MOST_UNCHANGED = 0.01  # of the prose: what copies a document translates nothing
_BLANKS = re.compile(r"(\n(?:[ \t]*\n)+)")
_ONE_LINE = r"(\S(?:[^\n]*?\S)?)"
_MORE_LINES = r"(\S(?:.*?\S)?)"


class Form(NamedTuple):
    """How a file is written and translated."""

    unit: str
    line_end: str
    mark: bool  # a byte order mark comes first
    ended: bool  # the last line has an end


_FORMS = (
    Form("sentence", "\n", mark=False, ended=False),
    Form("sentence", "\r\n", mark=True, ended=True),
    Form("paragraph", "\n", mark=True, ended=True),
    Form("paragraph", "\r\n", mark=False, ended=False),
)


def main(
    model: Annotated[Path, typer.Option("-m", "--model")] = DEFAULT_MODEL,
    corpus: Annotated[str, typer.Option(help="A prefix or TSV file.")] = "data/sample/test",
    source: Annotated[str | None, typer.Option("-f", "--from")] = None,
    target: Annotated[str | None, typer.Option("-t", "--to")] = None,
    pages: int = 50,
    seed: int = 1,
) -> None:
    """Print one JSON object a document; exit code 1 if one is not as it was."""
    way = choose_direction(read_config(model).directions, source, target)
    lines = read_parallel(corpus, way.source, way.target).source
    bad = 0
    for found in measure_document(model, way, lines, pages, seed):
        typer.echo(json.dumps(found, ensure_ascii=False))
        bad += bool(found["faults"])
    raise typer.Exit(bool(bad))


def measure_document(
    model: Path, way: Direction, sentences: Sequence[str], pages: int, seed: int
) -> Iterator[dict[str, object]]:
    """What became of the document in each form; `faults` is 0 where all is as it should be."""
    for form in _FORMS:
        small = Document(sentences, random.Random(seed)).lines(max(1, pages // 10))
        _, memory = _translated(model, way, _written(small, form), form)
        lines = Document(sentences, random.Random(seed)).lines(pages)
        output, peak = _translated(model, way, _written(lines, form), form)
        found = compare(lines, output, form)
        growth = round(peak / memory, 2)
        faults = int(str(found.pop("faults"))) + (growth > _MOST_MEMORY)
        yield {
            "measured": "document",
            "direction": str(way),
            "pages": pages,
            **form._asdict(),
            **found,
            "peak MB": round(peak / 1e6),
            "times the peak of a tenth": growth,
            "faults": faults,
        }


def compare(lines: Sequence[Line], output: str, form: Form) -> dict[str, object]:
    """Where `output` is more than a document of `lines` with other prose in it."""
    broken = Counter[str]()
    examples: dict[str, tuple[str, str]] = {}

    def tell(kind: str, ours: str, theirs: str) -> None:
        broken[kind] += 1
        examples.setdefault(kind, (ours[:600], theirs[:600]))

    if output.startswith("\ufeff") != form.mark:
        tell("byte order mark", "\ufeff" * form.mark, output[:10])
    if output.endswith("\n") != form.ended:
        tell("last line end", lines[-1].text[-40:] + form.line_end * form.ended, output[-40:])
    if set("\r\n") & {*output.replace(form.line_end, "")}:
        tell("line ends", form.line_end, output[:200])
    output = output.removeprefix("\ufeff").replace("\r\n", "\n").removesuffix("\n")
    theirs = _BLANKS.split(output)
    ours = [[*some] for _, some in groupby(lines, lambda line: bool(line.text.strip()))]
    prose = unchanged = 0
    if len(ours) != len(theirs):
        tell("number of blocks", str(len(ours)), str(len(theirs)))
    for block, text in zip(ours, theirs, strict=False):
        if not block[0].text.strip():
            wanted = "\n" + "".join(f"{line.text}\n" for line in block)
            if text != wanted:
                tell("blank lines", wanted, text)
            continue
        whole = "\n".join(line.text for line in block)
        match = re.fullmatch(_pattern(block, form), text, re.DOTALL)
        if not match:
            tell(block[0].kind, whole, text)
            continue
        if not _same_inside(block, text, form):
            tell(f"inside {block[0].kind}", whole, text)
        own = [piece for piece in _joined(block, form) if piece.prose]
        prose += len(own)
        pairs = zip(own, match.groups(), strict=True)
        unchanged += sum(piece.text.split() == found.split() for piece, found in pairs)
    return {
        "passages of prose": prose,
        "left as they were": unchanged,
        "broken": dict(broken),
        "examples": examples,
        "faults": broken.total() + (unchanged > _MOST_UNCHANGED * max(prose, 100)),
    }


def _pattern(block: Sequence[Line], form: Form) -> str:
    """What a translation of `block` looks like."""
    pattern = ""
    for piece in _joined(block, form):
        hole = _MORE_LINES if "\n" in piece.text else _ONE_LINE
        pattern += hole if piece.prose else re.escape(piece.text)
    return pattern


def _joined(block: Sequence[Line], form: Form) -> list[Piece]:
    """The pieces of `block`; lines of a paragraph are one where it is translated as one."""
    pieces: list[Piece] = []
    for line in block:
        end = "\n" if pieces else ""
        if line.goes_on and form.unit == "paragraph":
            pieces[-1] = Piece(pieces[-1].text + end + line.text, True)
        else:
            pieces += (Piece(end), *line.pieces)
    return pieces


_INSIDE = re.compile(  # what stands in prose and has to be there afterwards
    r"`[^`]+`|\]\([^()\s]*(?:\s\"[^\"]*\")?\)|<[^<>]*>|https?://[\w./?=&-]*\w|\{\{\w+\}\}|!?\[|\*\*"
    r"|\[\^\d+\]|&\w+;",
)


def _same_inside(block: Sequence[Line], text: str, form: Form) -> bool:
    """Whether code, links and tags of prose are there, each as often; they may be in new lines."""
    if form.unit == "paragraph":
        ours, theirs = ["\n".join(line.text for line in block)], [text]
    else:
        ours, theirs = [line.text for line in block], text.split("\n")
    for mine, other in zip(ours, theirs, strict=True):
        counts = [Counter(" ".join(s.split()) for s in _INSIDE.findall(t)) for t in (mine, other)]
        if counts[0] != counts[1]:
            return False
    return True


def _written(lines: Sequence[Line], form: Form) -> bytes:
    text = form.line_end.join(line.text for line in lines) + form.line_end * form.ended
    return ("\ufeff" * form.mark + text).encode()


def _translated(model: Path, way: Direction, document: bytes, form: Form) -> tuple[str, int]:
    """What the command makes of `document`, and the most memory that it took, in bytes."""
    with tempfile.TemporaryDirectory(prefix="document-") as folder:
        before, after, log = (Path(folder, name) for name in ("in.md", "out.md", "log"))
        before.write_bytes(document)
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "seq2seq.cli.translate",
            "--threads",
            "1",
            "-m",
            model,
        ]
        command += ["-f", way.source, "-t", way.target, "--unit", form.unit]
        with log.open("wb") as told:
            process = subprocess.Popen([*command, "-i", before, "-o", after], stderr=told)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"translate failed:\n{log.read_text(encoding='utf-8')}")
        unit = 1 if sys.platform == "darwin" else 1024
        return after.read_bytes().decode(), usage.ru_maxrss * unit


if __name__ == "__main__":
    typer.run(main)
