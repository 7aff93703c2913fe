"""Runs the notebooks of docs/notebooks from a clean kernel, and keeps what comes of them.

    python docs/run_notebooks.py                 # all of them
    python docs/run_notebooks.py 3-gates
    python docs/run_notebooks.py --check         # changes nothing, says what differs

A notebook is its own source: edit it in Jupyter, or as the JSON that it is, and run this. Kept are
texts and, as SVG, pictures up to 50 kB. Not kept are messages, progress bars and HTML. When outputs
are compared, numbers may differ by a hundredth, and the output of a cell with the tag `trained`
altogether: what a training comes to depends on the processor.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import nbformat
import typer
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from seq2seq.cli.exit import reported_errors
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import write_file

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOKS = {file.stem: file for file in sorted(FOLDER.glob("*.ipynb"))}

_SECONDS = 600  # for one cell; on one core all of a notebook takes less than 120
_MOST_BYTES = 50_000  # of a picture
_TOLERANCE = 0.01
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_SVG = "image/svg+xml"
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def read(file: Path) -> NotebookNode:
    """Read a notebook."""
    return nbformat.read(file, as_version=4)


def executed(notebook: NotebookNode) -> NotebookNode:
    """Run a copy of a notebook from a clean kernel, in its folder and on one thread.

    Its outputs are those that are kept. Raises `Seq2SeqError` with the error of a cell.
    """
    copy = nbformat.from_dict(notebook)
    for cell in _code_cells(copy):
        cell.outputs, cell.execution_count = [], None
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    surroundings = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    client = NotebookClient(
        copy,
        timeout=_SECONDS,
        resources={"metadata": {"path": str(FOLDER)}},
        extra_arguments=["--log-level=ERROR"],  # it warns that it talks to this machine in plain
    )
    try:
        client.execute(env=os.environ | surroundings)
    except CellExecutionError as error:
        raise Seq2SeqError(f"a cell fails: {error}") from None
    for cell in copy.cells:
        cell.metadata = {key: cell.metadata[key] for key in ("tags",) if key in cell.metadata}
    for cell in _code_cells(copy):
        cell.outputs = [*_kept(cell.outputs)]
    copy.metadata = nbformat.from_dict(_METADATA)
    return copy


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _kept(outputs: Sequence[NotebookNode]) -> Iterator[NotebookNode]:
    """Yield the outputs that are the same in each run: texts, and pictures that are small."""
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    if printed:
        yield nbformat.v4.new_output("stream", name="stdout", text=printed)
    for output in outputs:
        if output.output_type != "execute_result":
            continue  # messages and progress bars of rich are displayed
        data = {kind: output.data[kind] for kind in (_SVG, "text/plain") if kind in output.data}
        if _SVG in data:
            picture = data.pop(_SVG)
            data["text/plain"] = "a picture: run this cell to see it"
            if len(picture.encode()) <= _MOST_BYTES:
                data = {_SVG: picture, "text/plain": "a picture"}
        yield nbformat.v4.new_output("execute_result", data, execution_count=output.execution_count)


def differences(kept: NotebookNode, now: NotebookNode) -> Iterator[str]:
    """Say which cells of a notebook come to something else now."""
    pairs = zip(_code_cells(kept), _code_cells(now), strict=True)
    for number, (before, after) in enumerate(pairs, start=1):
        if "trained" in before.metadata.get("tags", ()):
            same = len(before.outputs) == len(after.outputs)
        else:
            same = _same(_texts(before), _texts(after))
        if not same:
            yield f"code cell {number} was {_texts(before)!r}, is {_texts(after)!r}"


def _texts(cell: NotebookNode) -> str:
    """Join the outputs of a cell as text; of a picture it is only that there is one."""
    texts: list[Any] = [
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    ]
    return "\n".join(texts)


def _same(before: str, after: str) -> bool:
    """Say whether two texts have the same words, and numbers that are nearly the same."""
    if _NUMBER.sub("0", before).split() != _NUMBER.sub("0", after).split():
        return False
    pairs = zip(_NUMBER.findall(before), _NUMBER.findall(after), strict=True)
    return all(
        abs(float(old) - float(new)) <= _TOLERANCE * max(1.0, abs(float(old))) for old, new in pairs
    )


def main(
    notebooks: Annotated[
        list[str] | None, typer.Argument(help="Such as 3-gates; all by default.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; say what differs.")
    ] = False,
) -> None:
    """Run notebooks from a clean kernel, and keep what comes of them."""
    differ = []
    for name in notebooks or NOTEBOOKS:
        if name not in NOTEBOOKS:
            raise UsageError(f"there is no notebook {name!r}; there are {', '.join(NOTEBOOKS)}.")
        kept = read(NOTEBOOKS[name])
        now = executed(kept)
        if check:
            changes = [f"{name}: {line}" for line in differences(kept, now)]
            typer.echo("\n".join(changes) or f"{name}: the same")
            differ += changes
        else:
            write_file(NOTEBOOKS[name], nbformat.writes(now).encode() + b"\n")
    if differ:
        raise Seq2SeqError(f"{len(differ)} cells come to something else now.")


if __name__ == "__main__":
    with reported_errors("run_notebooks.py"):
        typer.run(main)
