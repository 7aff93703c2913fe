"""Glossaries in TBX and CSV."""

from pathlib import Path

import pytest

from seq2seq.documents.glossary_file import load_glossary
from seq2seq.errors import Seq2SeqError, UsageError

TBX2 = """<martif type="TBX"><text><body><termEntry>
<langSet xml:lang="en"><tig><term>key</term></tig><tig><term>door key</term></tig></langSet>
<langSet xml:lang="de-AT"><ntig><termGrp><term>Türöffner</term></termGrp></ntig></langSet>
</termEntry><termEntry><langSet xml:lang="en"><tig><term>alone</term></tig></langSet></termEntry>
</body></text></martif>"""
TBX3 = """<tbx xmlns="urn:iso:std:iso:30042:ed-2"><text><body><conceptEntry>
<langSec xml:lang="en"><termSec><term>key</term></termSec></langSec>
<langSec xml:lang="de"><termSec><term>Taste</term></termSec><termSec><term>Knopf</term></termSec>
</langSec></conceptEntry></body></text></tbx>"""


def terms(path: Path, text: str, find: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    return [found.term.target for found in load_glossary(path, "en", "de").find(find)]


def test_tbx_of_both_versions_is_read(tmp_path: Path) -> None:
    assert terms(tmp_path / "a.tbx", TBX2, "key alone, door key") == ["Türöffner", "Türöffner"]
    assert terms(tmp_path / "a.TBX", TBX3, "a key") == ["Taste"]


def test_csv_and_lines_with_tabs_are_read(tmp_path: Path) -> None:
    assert terms(tmp_path / "a.csv", 'en,de\nkey,"Taste, die"\n', "a key") == ["Taste, die"]
    assert terms(tmp_path / "a.tsv", "key\tTaste\n", "a key") == ["Taste"]


def test_several_terms_of_a_language_and_several_rows_are_forms_the_preferred_first(
    tmp_path: Path,
) -> None:
    def forms(name: str, text: str) -> tuple[str, ...]:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        [found] = load_glossary(path, "en", "de").find("a key")
        return found.term.forms

    assert forms("a.tbx", TBX3) == ("Taste", "Knopf")
    status = '<termNote type="administrativeStatus">{}-admn-sts</termNote>'
    preferred = TBX3.replace("Knopf</term>", "Knopf</term>" + status.format("preferredTerm"))
    assert forms("b.tbx", preferred) == ("Knopf", "Taste")
    deprecated = TBX3.replace("Taste</term>", "Taste</term>" + status.format("deprecatedTerm"))
    assert forms("c.tbx", deprecated) == ("Knopf",)
    assert forms("d.csv", "en,de\nkey,Taste|Tasten\nkey,Knopf\n") == ("Taste", "Tasten", "Knopf")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<a/>", "is not TBX"),
        ("<martif>", "is not well-formed XML"),
        ('<!DOCTYPE martif [<!ENTITY a "b">]><martif>&a;</martif>', "a.tbx: "),
        ("<martif/>", "has no terms in both en and de"),
    ],
)
def test_what_is_no_tbx_is_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(Seq2SeqError, match=message):
        terms(tmp_path / "a.tbx", text, "")
    with pytest.raises(UsageError, match="No such file"):
        load_glossary(tmp_path / "b.tbx", "en", "de")
