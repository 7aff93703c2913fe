"""Files that hold texts beside their translations."""

from pathlib import Path

import pytest

from seq2seq.documents.bilingual import read_pairs
from seq2seq.errors import Seq2SeqError, UsageError

TMX = (
    '<tmx version="1.4"><header srclang="en"/><body><tu><tuv xml:lang="en"><seg>Open</seg></tuv>'
    '<tuv xml:lang="de"><seg>Öffnen</seg></tuv></tu><tu><tuv xml:lang="en"><seg>Save</seg></tuv>'
    "</tu></body></tmx>"
)
PO = """msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\nLanguage: de\\n"

msgid "Close"
msgstr "Schließen"

#, fuzzy
msgid "Copy"
msgstr "Schließen"

msgid "Paste"
msgstr ""
"""


def pairs(path: Path, text: str = "") -> list[tuple[str, str]]:
    if text:
        path.write_text(text, encoding="utf-8")
    return [*read_pairs(path, "en", "de")]


def test_units_that_are_translated_are_read(tmp_path: Path) -> None:
    assert pairs(tmp_path / "a.tmx", TMX) == [("Open", "Öffnen")]
    assert pairs(tmp_path / "a.po", PO) == [("Close", "Schließen")]


def test_a_table_may_lack_a_header(tmp_path: Path) -> None:
    assert pairs(tmp_path / "a.tsv", "en\tde\nOpen\tÖffnen\nSave\t\n") == [("Open", "Öffnen")]
    bare = "Close\tSchließen\tmine\nSave\t\n\nOpen\tÖffnen\n"
    assert pairs(tmp_path / "b.tsv", bare) == [("Close", "Schließen"), ("Open", "Öffnen")]


def test_the_bilingual_files_of_a_folder_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "README.md").write_text("# Hello")
    (tmp_path / "LICENSE").write_text("Free")
    pairs(tmp_path / "b.tmx", TMX)
    pairs(tmp_path / "more" / "a.po", PO)
    assert pairs(tmp_path) == [("Open", "Öffnen"), ("Close", "Schließen")]


def test_what_has_no_translations_or_is_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.md: Markdown has no translations beside"):
        pairs(tmp_path / "a.md", "# Hello")
    with pytest.raises(Seq2SeqError, match=r"b\.tmx: is not well-formed XML"):
        pairs(tmp_path / "b.tmx", "<tmx")
    with pytest.raises(Seq2SeqError, match=r"c\.csv: has no column"):
        pairs(tmp_path / "c.csv", "a,b\n1,2\n")
    with pytest.raises(UsageError, match=r"d\.tmx: cannot be read: No such file"):
        pairs(tmp_path / "d.tmx")
