"""The notebooks of docs/: what they come to, and the pictures and bars that a notebook shows."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    """docs/run_notebooks.py as a module."""
    spec = importlib.util.spec_from_file_location(
        "run_notebooks", ROOT / "docs" / "run_notebooks.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_run_from_a_clean_kernel_comes_to_what_it_shows(
    file: Path, runner: ModuleType
) -> None:
    kept = runner.read(file)
    assert [*runner.differences(kept, runner.executed(kept))] == []


def test_notebooks_are_small_and_were_run_from_top_to_bottom(runner: ModuleType) -> None:
    assert len(NOTEBOOKS) == 6
    assert sum(file.stat().st_size for file in NOTEBOOKS) < 400_000
    for file in NOTEBOOKS:
        cells = [cell for cell in runner.read(file).cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
        for output in (output for cell in cells for output in cell.outputs):
            assert output.output_type in ("stream", "execute_result")
            assert output.get("name", "stdout") == "stdout"
            assert "text/html" not in output.get("data", {})


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("BLEU 60.71", "BLEU 60.72", True),
        ("BLEU 60.7", "BLEU 62.7", False),
        ("BLEU 60.7", "chrF 60.7", False),
        ("1e-15  a", "2e-15 a", True),
        ("BLEU 60.7", "BLEU 60.7 1", False),
    ],
)
def test_outputs_are_the_same_with_the_same_words_and_nearly_the_same_numbers(
    before: str, after: str, same: bool, runner: ModuleType
) -> None:
    def notebook(text: str, tags: list[str]) -> nbformat.NotebookNode:
        output = nbformat.v4.new_output("stream", name="stdout", text=text)
        cell = nbformat.v4.new_code_cell("", outputs=[output], metadata={"tags": tags})
        return nbformat.v4.new_notebook(cells=[cell])

    found = [*runner.differences(notebook(before, []), notebook(after, []))]
    assert (found == []) == same
    trained = [*runner.differences(notebook(before, ["trained"]), notebook(after, []))]
    assert trained == []


@pytest.mark.slow
@pytest.mark.parametrize("has_widgets", [True, False])
def test_a_notebook_has_a_bar_where_it_can_draw_one_and_else_plain_lines(has_widgets: bool) -> None:
    without = "" if has_widgets else "import sys; sys.modules['ipywidgets'] = None\n"
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        f"{without}"
        "from seq2seq.training.reporter import open_reporter\n"
        "with open_reporter() as reporter:\n"
        "    reporter.start()\n"
        "    reporter.advance(0.5, 1.25, 1000)\n"
        "    reporter.say('validated')\n"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=60).execute()
    outputs = notebook.cells[0].outputs
    shown = " ".join(output.get("data", {}).get("text/plain", "") for output in outputs)
    assert "validated" in shown
    widgets = [
        output
        for output in outputs
        if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    ]
    assert bool(widgets) == has_widgets
