"""The notebooks of docs/: pictures and progress bars that a notebook shows."""

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow


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
