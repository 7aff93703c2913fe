"""`seq2seq qa`: findings as lines or JSON, and the exit code for CI."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seq2seq.cli.main import app

_TABLE = "key,source,target\na,The %s file.,Die Datei\nb,one cat,eine Katze\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    path.write_text(_TABLE)
    return path


def qa(*arguments: str | Path) -> tuple[int, str, str]:
    """Return the exit code and what was printed."""
    result = CliRunner().invoke(app, ["qa", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_findings_are_lines_with_file_place_and_check_and_fail(table: Path) -> None:
    code, output, counted = qa(table, "-f", "en", "-t", "de")
    assert code == 1
    assert output.splitlines() == [
        f"{table}: row 2 a: placeholders: %s is missing.",
        f'{table}: row 2 a: punctuation: the source ends with ".", the translation without a mark.',
    ]
    assert counted == "seq2seq: 2 findings in 2 texts.\n"


def test_json_is_a_list(table: Path) -> None:
    code, output, _ = qa(table, table, "--json", "--skip", "punctuation")
    findings = json.loads(output)
    assert code == 1
    assert [finding["check"] for finding in findings] == ["placeholders"] * 2
    assert findings[0]["source"] == "The %s file."


def test_without_findings_it_succeeds(table: Path) -> None:
    assert qa(table, "--skip", "punctuation", "--skip", "placeholders")[:2] == (0, "")


def test_a_translation_alone_is_checked_against_its_source(tmp_path: Path) -> None:
    for name, text in (("en", "It has {n} cats"), ("de", "Es hat Katzen")):
        (tmp_path / f"{name}.json").write_text(json.dumps({"a": text, "b": "x"}))
    code, output, _ = qa(tmp_path / "de.json", "--src", tmp_path / "en.json")
    assert (code, output) == (1, f"{tmp_path / 'de.json'}: a: placeholders: {{n}} is missing.\n")


def test_terms_of_a_glossary_are_checked(table: Path, tmp_path: Path) -> None:
    (tmp_path / "terms").write_text("cat\tHund\n")
    _, output, _ = qa(table, "--glossary", tmp_path / "terms")
    assert 'row 3 b: terms: "cat" should be "Hund".' in output


def test_a_glossary_may_be_a_table_of_both_languages(table: Path, tmp_path: Path) -> None:
    (tmp_path / "terms.csv").write_text("fr,de,en\nchat,Hund,cat\n")
    _, output, _ = qa(table, "-f", "en", "-t", "de", "--glossary", tmp_path / "terms.csv")
    assert 'row 3 b: terms: "cat" should be "Hund".' in output
    code, _, error = qa(table, "-t", "de", "--glossary", tmp_path / "terms.csv")
    assert code == 2
    assert error.endswith("terms.csv: give both languages of its terms, with -f and -t.\n")


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["a.json"], 2, "give them with --src"),
        (["a.xyz"], 2, "no format"),
        (["a.csv", "--skip", "x"], 2, "there are untranslated"),
        (["a.csv", "a.csv", "--src", "a.csv"], 2, "one FILE"),
        (["b.csv"], 1, "b.csv: "),
    ],
)
def test_wrong_usage_is_named(
    table: Path, arguments: list[str], code: int, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(table.parent)
    (table.parent / "b.csv").write_text("x,y\n")
    result = CliRunner().invoke(app, ["qa", *arguments])
    assert (result.exit_code, result.stdout) == (code, "")
    assert named in result.stderr
    assert result.stderr.startswith("seq2seq: ")
    assert result.stderr.count("\n") == 1
