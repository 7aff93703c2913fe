"""README and docs: links lead somewhere, and marked commands print what stands under them."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from docx import Document

from seq2seq.config.model_config import ModelConfig, SearchConfig
from seq2seq.config.recipe import (
    AugmentationConfig,
    CorpusConfig,
    Recipe,
    TokenizerConfig,
    TrainingConfig,
)

ROOT = Path(__file__).parents[2]
COURSE = ROOT / "docs" / "course" / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "data/README.md")),
    ROOT / "docs" / "guide" / "README.md",
    COURSE,
    ROOT / "docs" / "notebooks" / "README.md",
    *PAGES,
    *sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")),
]

_CODE = re.compile(r"^```.*?^```$|``.+?``|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(\s*([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?)#*$", re.MULTILINE)


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    """docs/run_blocks.py as a module."""
    path = ROOT / "docs" / "run_blocks.py"
    spec = importlib.util.spec_from_file_location("build_docs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def text_of(page: Path) -> str:
    """The Markdown of a page or of a notebook."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def links(text: str) -> list[str]:
    """Where the links and pictures of a page lead, other than those in code."""
    return _LINK.findall(_CODE.sub("code", text))


@cache
def anchors(file: Path) -> frozenset[str]:
    """What `#...` may name in a page: its headings, as GitHub writes them."""
    text = re.sub(r"^```.*?^```$", "", file.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    names: list[str] = []
    for heading in _HEADING.findall(text):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        again = sum(
            re.fullmatch(rf"{re.escape(name)}(-\d+)?", other) is not None for other in names
        )
        names.append(f"{name}-{again}" if again else name)
    return frozenset(names)


def is_dead(link: str, page: Path) -> bool:
    """Whether a relative link of `page` leads nowhere: to no file, no heading or no line."""
    if re.match(r"[a-z]+:", link):
        return False  # the internet is not tried
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    if not target.exists():
        return True
    if not anchor:
        return False
    if target.suffix == ".md":
        return anchor not in anchors(target)
    lines = len(target.read_text(encoding="utf-8").splitlines())
    return not re.fullmatch(r"L\d+", anchor) or not 0 < int(anchor[1:]) <= lines


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_relative_link_of_a_page_is_dead(page: Path) -> None:
    found = links(text_of(page))
    assert [link for link in found if is_dead(link, page)] == []


def test_a_link_is_dead_without_its_file_its_heading_or_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "# One, *two*: `three`\n\n# Twice\n\n# Twice\n\n```\n# no\n```\n"
    )
    (tmp_path / "b.py").write_text("x = 1\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[x](a.md) `[code](c.md)`\n```\n[code](c.md)\n```\n[![y](b.py)](a.md#twice-1)\n"
    )
    assert links(page.read_text()) == ["a.md", "b.py", "a.md#twice-1"]
    alive = ["a.md", "a.md#one-two-three", "a.md#twice", "a.md#twice-1", "b.py#L1", "https://x.org"]
    dead = ["c.md", "a.md#one", "a.md#no", "a.md#twice-2", "b.py#L2", "#here"]
    assert [is_dead(link, page) for link in alive + dead] == [False] * 6 + [True] * 6


def test_every_page_is_reached_from_readme() -> None:
    found = links((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {f"docs/{page.name}" for page in PAGES} <= {link.partition("#")[0] for link in found}


@pytest.mark.stress
@pytest.mark.parametrize(
    "page", [ROOT / "README.md", COURSE, *PAGES], ids=lambda page: str(page.relative_to(ROOT))
)
def test_marked_commands_print_what_the_page_shows(
    page: Path, builder: ModuleType, tmp_path: Path
) -> None:
    text = page.read_text(encoding="utf-8")
    assert builder.with_output(text, tmp_path) == text


def test_the_page_on_training_has_every_setting_of_a_recipe_with_its_default() -> None:
    text = (ROOT / "docs" / "train.md").read_text(encoding="utf-8").partition("## All settings")[2]
    sections = dict(re.findall(r"^`\[(\w+)\]`(.*?)(?=^`\[|\Z)", text, re.DOTALL | re.M))
    tables = [CorpusConfig, TokenizerConfig, ModelConfig, AugmentationConfig, TrainingConfig]
    assert list(sections) == ["corpus", "tokenizer", "model", "augmentation", "training", "search"]
    assert sections.keys() == {table.name for table in fields(Recipe)}
    for section, table in zip(sections.values(), [*tables, SearchConfig], strict=True):
        rows = re.findall(r"^\| (`.+?) \| (.*?) \|", section, re.M)
        shown = {key: value for keys, value in rows for key in re.findall(r"`(\w+)`", keys)}
        assert shown.keys() == {setting.name for setting in fields(table)}
        for setting in fields(table):
            if shown[setting.name].startswith("`"):
                assert json.loads(shown[setting.name].strip("`")) == setting.default


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_server_answers_as_its_page_shows(tmp_path: Path) -> None:
    """But for the port, and the name that a translated file is given."""
    report = Document()
    report.add_paragraph("Where is the station?")
    report.save(str(tmp_path / "report.docx"))
    given = re.compile(r"(?<=download_file/)[\w-]+")
    text = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(curl .*?)^```\n\n```text\n(.*?)^```\n", text, re.DOTALL | re.M)
    command = [sys.executable, "-m", "seq2seq.cli.main", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as server:
        assert server.stderr
        try:
            port = next(re.findall(r":(\d+) is ready", line)[0] for line in server.stderr)
            for commands, shown in blocks:
                script = commands.replace(":5000", f":{port}").replace("curl ", "curl -s ")
                printed = subprocess.run(
                    ["bash", "-c", script],
                    capture_output=True,
                    encoding="utf-8",
                    check=True,
                    cwd=tmp_path,
                ).stdout.replace(f":{port}", ":5000")
                assert given.sub("NAME", printed.replace("\n", "")) == given.sub(
                    "NAME", shown.replace("\n", "")
                )
        finally:
            server.terminate()
    assert len(blocks) == 7


def test_a_block_that_prints_something_else_is_seen(builder: ModuleType, tmp_path: Path) -> None:
    text = "<!-- run -->\n```sh\necho new; echo note >&2\n```\n\n```text\nold\n```\n"
    assert builder.with_output(text, tmp_path) == text.replace("old", "new\nnote")


def test_imports_go_the_way_that_the_architecture_shows() -> None:
    table = re.findall(r"^\| (`.+?) \|", (ROOT / "docs" / "architecture.md").read_text(), re.M)
    parts = [[name.strip("/") for name in re.findall(r"`(.+?)`", row)] for row in table]
    rows = {name: number for number, names in enumerate(parts) for name in names}
    package = ROOT / "seq2seq"
    upward = []
    own_rows = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert own_rows - {"__init__", "__pycache__", "models"} == rows.keys()
    for file in package.rglob("*.py"):
        if file != package / "__init__.py":
            own = rows[file.relative_to(package).with_suffix("").parts[0]]
            imports = re.findall(r"^\s*from seq2seq\.(\w+)", file.read_text(encoding="utf-8"), re.M)
            upward += [(str(file), name) for name in imports if rows[name] > own]
    assert upward == []
