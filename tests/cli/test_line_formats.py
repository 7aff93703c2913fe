"""What `translate` reads and writes besides plain lines: TSV, JSON, n-best lists, alignments."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import only_error, run
from helpers.engines import copying
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.cli.line_formats import Json, LineFormat, Plain, Tsv, line_format
from seq2seq.errors import Seq2SeqError, UsageError


def written(form: LineFormat, line: str, number: int = 1, n_best: int = 1) -> list[str]:
    text = form.text(line, number) or ""
    [translation] = copying().translate([text], n_best=n_best, unit="sentence")
    return form.lines(line, number, translation)


def test_plain_lines() -> None:
    assert written(Plain(), "kalo") == ["kalo"]
    assert written(Plain(), "kalo\nmiren") == ["kalo\nmiren"]  # as an argument may be
    assert written(Plain(alignment=True), "kalo\nmiren wog") == ["kalo miren wog ||| 0-0 1-1 2-2"]
    assert written(Plain(alignment=True), "") == [" ||| "]
    assert written(Plain(tee=True), "kalo\twog\nlo") == ["kalo wog lo\tkalo wog lo"]
    assert written(Plain(tee=True, alignment=True), "kalo") == ["kalo\tkalo ||| 0-0"]


def test_n_best_lists_are_as_moses_writes_them() -> None:
    rows = [row.split(" ||| ") for row in written(Plain(n_best=True), "kalo", 7, n_best=2)]
    assert len(rows) == 2
    assert all(number == "6" for number, *_ in rows)
    assert rows[0][1] == "kalo"
    assert all(re.fullmatch(r"-\d\.\d{4}", row[3]) for row in rows)
    assert all(row[2] == f"Score= {row[3]}" for row in rows)
    both = written(Plain(n_best=True, alignment=True), "kalo", 1, n_best=2)
    assert [row.count(" ||| ") for row in both] == [4, 4]


def test_a_column_is_translated_and_the_others_kept() -> None:
    form = Tsv("in.tsv", 2)
    assert form.text("a\tkalo\tc", 1) == "kalo"
    assert written(form, "a\tkalo\tc") == ["a\tkalo\tc\tkalo"]
    assert written(form, "\t") == ["\t\t"]
    assert written(Tsv("in.tsv", 1, alignment=True), "kalo wog\tb") == [
        "kalo wog\tb\tkalo wog\t0-0 1-1"
    ]
    assert form.text("kalo", 7) is None
    assert form.lack == "there is no text to translate: needs at least 2 columns"


def test_lines_become_objects() -> None:
    [line] = written(Json("x", alignment=True), "kalo {x}\nwog")
    found = json.loads(line)
    assert "\n" not in line
    assert found.pop("score") < 0
    assert found == {
        "source": "kalo {x}\nwog",
        "translation": "kalo {x}\nwog",
        "confidence": None,
        "notes": [],
        "alignment": [[0, 0], [1, 1], [2, 2]],
    }
    [line] = written(Json("x", n_best=True), "kalo", n_best=2)
    assert len(json.loads(line)["alternatives"]) == 1
    [line] = written(Json("x"), "kalo, " * 100)
    assert "was split into clauses" in json.loads(line)["notes"][0]


def test_a_field_is_translated_and_the_others_kept() -> None:
    form = Json("in.jsonl", "text")
    [line] = written(form, '{"id": 7, "text": "käлo\\u2028\\n駅", "more": {"a": [null, 1.5]}}')
    assert "\n" not in line
    found = json.loads(line)
    assert (found["id"], found["text"], found["more"]) == (7, "käлo\u2028\n駅", {"a": [None, 1.5]})
    assert "駅" in line


def test_numbers_of_other_fields_stay_as_they_are() -> None:
    """To the last digit, of which there may be thousands."""
    for number in ("9" * 5000, "-1" + 400 * "0", "1e999", "0.1000", "-0.0", "NaN", "Infinity"):
        line = f'{{"id": {number}, "text": "kalo"}}'
        assert written(Json("in.jsonl", "text"), line)[0].startswith(line.removesuffix("}"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("kalo", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("9" * 5000, "not a JSON object"),
        ('["kalo"]', "not a JSON object"),
        ('{"text": "kalo", "score": 1}', "has a 'score' already; rename that field first"),
    ],
)
def test_what_is_no_such_object_is_named_by_line(line: str, message: str) -> None:
    with pytest.raises(Seq2SeqError) as caught:
        Json("in.jsonl", "text").text(line, 7)
    assert str(caught.value).startswith("in.jsonl, line 7: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "row", [{"a": "kalo"}, {"text": None}, {"text": 7}, {"text": ["kalo"]}, {"text": {}}, {}]
)
def test_a_row_without_a_text_has_none(row: dict[str, Any]) -> None:
    form = Json("in.jsonl", "text")
    assert form.text(json.dumps(row), 7) is None
    assert form.lack == "there is no text to translate: needs a text 'text'"


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"translation": {"en": "kalo", "de": "x"}}, "kalo"),
        ({"translation.en": "kalo", "translation": {"en": "wog"}}, "kalo"),
        ({"translation": {"en": None}}, None),
        ({"translation": "kalo"}, None),
        ({"translation": None}, None),
    ],
)
def test_a_field_may_lie_in_another(row: dict[str, Any], text: str | None) -> None:
    assert Json("in.jsonl", "translation.en").text(json.dumps(row), 1) == text


def test_a_translation_does_not_take_the_place_of_the_field_that_it_is_of() -> None:
    [line] = written(Json("x", "translation.en"), '{"translation": {"en": "kalo", "de": "x"}}')
    found = json.loads(line)
    assert found["translation"] == {"en": "kalo", "de": "x"}
    assert found["translated"] == "kalo"


def test_every_row_has_the_same_fields() -> None:
    """Also one that passes through, or has nothing to translate."""
    form = Json("in.jsonl", "text")
    rows = [json.loads(written(form, json.dumps({"text": text}))[0]) for text in ("kalo", "17", "")]
    assert len({tuple(row) for row in rows}) == 1


@given(st.text(st.characters(codec=None), max_size=20))
def test_any_text_becomes_json_in_utf8(text: str) -> None:
    """Half surrogate pairs too, which JSON may spell and UTF-8 may not."""
    [line] = written(Json("x", "text"), json.dumps({"text": text}))
    assert "\n" not in line
    assert json.loads(line.encode())["text"] == text


@pytest.mark.parametrize(
    ("options", "form"),
    [
        ((None, False, False, False, False), Plain()),
        ((None, False, True, True, False), Plain(n_best=True, alignment=True)),
        ((None, False, False, False, True), Plain(tee=True)),
        (("2", False, False, True, False), Tsv("x", 2, alignment=True)),
        (("text", False, True, False, False), Json("x", "text", n_best=True)),
        ((None, True, False, True, False), Json("x", alignment=True)),
        (("²", True, False, False, False), Json("x", "²")),
    ],
)
def test_options_choose_aline_format(
    options: tuple[str | None, bool, bool, bool, bool], form: Plain | Tsv | Json
) -> None:
    assert line_format("x", *options) == form


@pytest.mark.parametrize(
    "options",
    [
        (None, True, False, False, True),
        ("2", False, False, False, True),
        (None, False, True, False, True),
        ("2", True, False, False, False),
        ("2", False, True, False, False),
        ("0", False, False, False, False),
    ],
)
def test_options_that_do_not_go_together(
    options: tuple[str | None, bool, bool, bool, bool],
) -> None:
    with pytest.raises(UsageError, match=r"^[^.\n]+\.$"):
        line_format("x", *options)


# As processes, with the model of the package


def test_a_file_of_paragraphs(tmp_path: Path) -> None:
    source, target = tmp_path / "in.md", tmp_path / "out.md"
    text = "# The house\n\nThe house is\nvery old. I am tired.\n\n```\nx = 1\n\n```\n- {name}\n"
    source.write_text(text)
    done = run("-b", "1", "--unit", "paragraph", "-i", source, "-o", target)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines = target.read_text().split("\n")
    assert lines[0].startswith("# ")
    assert (lines[1], lines[3:]) == ("", ["", "```", "x = 1", "", "```", "- {name}", ""])
    assert len(re.findall(r"[.!?]", lines[2])) == 2


@pytest.mark.parametrize("unit", ["line", "sentence", "paragraph"])
def test_a_file_keeps_its_ends(tmp_path: Path, unit: str) -> None:
    source = tmp_path / "in.txt"
    source.write_bytes("\ufeffI am tired.\r\n\r\nI am tired.\nI am tired.".encode())
    done = run("-b", "1", "--unit", unit, "-i", source)
    tired = "Ich bin müde."
    assert done.stdout == f"\ufeff{tired}\r\n\r\n{tired}\n{tired}"
    piped = run("-b", "1", "--unit", unit, stdin="I am tired.")
    assert piped.stdout == f"{tired}\n"


def test_code_in_a_file_is_whole_in_sentences_too(tmp_path: Path) -> None:
    source = tmp_path / "in.md"
    lines = ["---", "title: house", "---", "", "```", "the house", "", "```", "<!-- the", "dog -->"]
    source.write_text("\n".join(lines))
    done = run("-b", "1", "--unit", "sentence", "-i", source)
    assert done.stdout.split("\n") == lines


def test_what_is_in_a_third_language_is_left_and_told() -> None:
    french, german = "Où est la gare, mon ami ?", "Wo ist der Bahnhof, mein Freund?"
    text = f"{french}\nI am tired.\n{german}\n"
    done = run("-b", "1", "-m", DEFAULT_MODEL, "-f", "auto", stdin=text)
    assert done.stdout.split("\n") == [french, "Ich bin müde.", german, ""]
    assert done.stderr == "translate: stdin, line 1: left as it is: it is in 'fr'.\n"


def test_notes_say_where_they_belong() -> None:
    long = "the house, " * 100
    done = run("-b", "1", "--unit", "paragraph", stdin=f"{long}\n{long}\n\n{long}\n")
    assert done.returncode == 0
    told = r"a sentence of more than \d+ subwords was split into clauses\.\n"
    lines = [rf"translate: stdin, line {n}: {told}" for n in (1, 4)]
    assert re.fullmatch("".join(lines), notes_of_cuts(done.stderr))
    done = run("-b", "1", "17", long)
    assert re.fullmatch(f"translate: text 2: {told}", notes_of_cuts(done.stderr))
    done = run("-b", "1", "--quiet", long)
    assert done.stderr == ""


def notes_of_cuts(notes: str) -> str:
    """The notes that tell of a sentence that was split, and not of repetition."""
    return "".join(line for line in notes.splitlines(keepends=True) if "was split" in line)


def test_json_alignment_and_glossary(tmp_path: Path) -> None:
    terms = tmp_path / "terms.tsv"
    terms.write_text("house\tBruchbude\n")
    lines = ['{"id": 1, "text": "My house is old. {x}"}', '{"id": 2, "text": ""}']
    done = run(
        "--column", "text", "--alignment", "--glossary", terms, stdin="\n".join(lines) + "\n{\n"
    )
    assert done.returncode == 1
    assert re.fullmatch(r"translate: stdin, line 3: not JSON: .*\.\n", done.stderr)
    one, two = map(json.loads, done.stdout.splitlines())
    assert (one["id"], two["id"], two["translation"]) == (1, 2, "")
    assert one["translation"].count("Bruchbude") == one["translation"].count("{x}") == 1
    words = len(one["translation"].split())
    assert {theirs for _, theirs in one["alignment"]} <= {*range(words)}
    assert {ours for ours, _ in one["alignment"]} <= {*range(5)}


def test_tsv_and_tee() -> None:
    done = run("-b", "1", "--column", "2", stdin="a\tI am tired.\r\nb\n")
    assert done.returncode == 0
    told = "translate: stdin, line 2: there is no text to translate: needs at least 2 columns.\n"
    assert done.stderr == told
    line, hole = done.stdout.splitlines()
    assert hole == "b\t"
    assert line.startswith("a\tI am tired.\t")
    done = run("-b", "1", "--tee", "--alignment", stdin="I am tired.\n\n")
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r"I am tired\.\t[^|\t]+ \|\|\| \d-\d( \d-\d)*", first)
    assert second == "\t ||| "


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--min-score", "0.5", "a"], 2, "--min-score is now called --min-confidence"),
        (["--min-confidence", "0.5", "--glossary", "none.tsv", "a"], 2, "none.tsv: cannot be read"),
        (["--tee", "--json", "a"], 2, "--tee is for plain text"),
        (["--list", "-m", "none.s2s"], 1, "none.s2s"),
    ],
)
def test_errors_are_one_sentence(arguments: list[str], code: int, message: str) -> None:
    assert message in only_error(run(*arguments), code)


def test_the_models_are_listed() -> None:
    done = run("--list")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^en-de\.s2s \(default\): en-de(, \S+)*$", done.stdout, re.MULTILINE)
    assert re.search(r"^pivot translation: (.*, )?de-fr\b", done.stdout, re.MULTILINE)


def test_blank_lines_are_no_trouble_and_fields_stay_as_they_are() -> None:
    [translation] = copying().translate(["kalo"])
    [written] = Json("x", "text").lines(
        '{"text": "kalo", "price": 1.10, "big": 1e400} ', 1, translation
    )
    assert written.startswith('{"text": "kalo", "price": 1.10, "big": 1e400, "translation": "kalo"')
    assert Json("x", "text").text("", 1) == ""
    assert Json("x", "text").lines("", 1, translation) == [""]
    assert Tsv("x", 2).lines("", 1, translation) == [""]
    with pytest.raises(Seq2SeqError, match="line 3: has a 'score' already"):
        Json("x", "text").text('{"text": "kalo", "score": 1}', 3)


@pytest.mark.parametrize(
    ("text", "told"), [(None, "None"), (float("nan"), "nan"), (7, "7"), (b"kalo", "b'kalo'")]
)
def test_what_is_no_text_in_a_list_is_told_by_its_place(text: Any, told: str) -> None:
    with pytest.raises(TypeError, match=f"^text 2 of the list is {told}, not a str; "):
        copying().translate(["kalo", "wog", text, "lo"])
