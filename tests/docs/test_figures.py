"""`scripts/benchmarks/figures.py`: figures of the pages are found, measured and compared."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmarks" / "figures.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("figures", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["figures"] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


figures = _load()


@pytest.mark.parametrize(
    ("text", "around", "number"),
    [
        ("| test | 40.1 ± 1.6 | 59.7 |", "| test | #", 40.1),
        ("| test | 40.1 ± 1.6 | 59.7 |", "| test | … | #", 59.7),
        ("takes 1,802\nms from start", "takes # ms from", 1802),
        ("| test | none |\n| other | 3 |", "| test | … | #", None),
        ("nothing", "takes # ms", None),
    ],
)
def test_a_number_is_found_by_the_text_around_it(
    text: str, around: str, number: float | None
) -> None:
    assert figures.number_in(text, around) == number


@pytest.mark.parametrize(
    "figure", figures.read_figures(figures.TABLES.read_text("utf-8")), ids=lambda f: f.name
)
def test_every_figure_of_the_table_stands_on_its_page(figure: Any) -> None:
    page = (figures.ROOT / figure.page).read_text(encoding="utf-8")
    assert figures.number_in(page, figure.stated) is not None


def _figure(stated: str, measured: str, tolerance: float = 0.05) -> Any:
    return figures.Figure(
        name="BLEU",
        page="docs/results.md",
        stated=stated,
        command="echo BLEU 94.2",
        measured=measured,
        kind=figures.Kind.SCORE,
        tolerance=tolerance,
    )


def test_a_figure_that_moved_one_that_did_not_and_one_that_is_lost_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "results.md").write_text("sample 94.2, other 90", encoding="utf-8")
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    rows = figures.measure(
        [
            _figure("sample #", "BLEU #"),
            _figure("other #", "BLEU #"),
            _figure("third #", "BLEU #"),
            _figure("other #", "chrF #"),
        ]
    )
    assert [row[2:] for row in rows] == [
        ("94.2", "94.2", ""),
        ("90", "94.2", "moved"),
        ("", "94.2", "not on the page: third #"),
        ("90", "", "not measured: chrF #"),
    ]
