"""Messages of ICU in PO and XLIFF: each branch is translated, and put back where it was."""

import pytest

from seq2seq.documents import po, xliff
from seq2seq.documents.document import Document, State, UnitTranslation

PLURAL = "{n, plural, one {# file} other {# files}}"


def catalogue(text: str, translation: str = "") -> Document:
    entry = f'msgid ""\nmsgstr "Language: de\\n"\n\nmsgid "{text}"\nmsgstr "{translation}"\n'
    return po.read(entry.encode(), None, "de")


def units_of_xliff(*units: str) -> bytes:
    body = "".join(f'<trans-unit id="{n}">{unit}</trans-unit>' for n, unit in enumerate(units))
    return (
        f'<xliff version="1.2"><file target-language="de"><body>{body}</body></file></xliff>'
    ).encode()


def shouted(document: Document) -> str:
    """Upper case, but for arguments and tags."""
    new = [
        UnitTranslation(unit.text.replace("file", "DATEI").replace("minute", "MINUTE"))
        for unit in document.units
    ]
    return document.render(new).decode()


def test_the_branches_of_a_plural_in_po_are_units_with_the_words_around() -> None:
    document = catalogue(f"You have {PLURAL}.")
    assert [unit.text for unit in document.units] == ["You have {#} file.", "You have {#} files."]
    assert [unit.context for unit in document.units] == ["line 4 n=one", "line 4 n=other"]
    assert 'msgstr "{n, plural, one {You have # DATEI.} other {You have # DATEIs.}}"' in shouted(
        document
    )


def test_a_catalogue_without_plurals_has_no_messages() -> None:
    document = catalogue("It's {n} file")
    assert [unit.text for unit in document.units] == ["It's {n} file"]
    assert "It's {n} DATEI" in shouted(document)


@pytest.mark.parametrize("version", ["1.2", "2.0"])
def test_inline_elements_of_a_branch_stay_in_it(version: str) -> None:
    x = '<x id="INTERPOLATION" equiv-text="{{minutes}}"/>'
    text = f"{{VAR_PLURAL, plural, =0 {{now}} other {{{x} minutes ago}}}}"
    data = units_of_xliff(f"<source>{text}</source>", "<source>a file</source>")
    if version == "2.0":
        text = text.replace(x, '<ph id="0" disp="{{minutes}}"/>')
        data = (
            f'<xliff version="2.0" trgLang="de"><file><unit id="0"><segment><source>{text}'
            "</source></segment></unit></file></xliff>"
        ).encode()
    document = xliff.read(data, None, "de")
    assert [unit.text for unit in document.units][:2] == ["now", "{g1} minutes ago"]
    assert f">{text.replace('minutes ago', 'MINUTEs ago')}</target>" in shouted(document)


def test_words_stay_outside_of_a_plural_where_an_inline_element_would_be_doubled() -> None:
    text = f"<g id='1'>New</g>: {PLURAL}"
    document = xliff.read(units_of_xliff(f"<source>{text}</source>"), None, "de")
    assert [unit.text for unit in document.units] == ["<g1>New</g1>:", "{#} file", "{#} files"]
    assert text.replace("file", "DATEI") in shouted(document)


def test_the_translation_of_each_branch_is_known_and_may_stay() -> None:
    german = "{n, plural, one {# Datei} other {# Dateien}}"
    document = catalogue(PLURAL, german)
    assert [(unit.translation, unit.state) for unit in document.units] == [
        ("{#} Datei", State.TRANSLATED),
        ("{#} Dateien", State.TRANSLATED),
    ]
    assert german in document.render([None, None]).decode()


def test_a_message_is_as_sure_as_its_least_sure_branch_and_has_the_notes_of_all() -> None:
    document = catalogue(PLURAL)
    new = [
        UnitTranslation("{#} Datei", 0.9, State.TRANSLATED, ("a",)),
        UnitTranslation("{#} Dateien", 0.5, State.NEEDS_REVIEW, ("b", "a")),
    ]
    text = document.render(new).decode()
    assert "# Machine translation, confidence 0.50; a; b.\n#, fuzzy\n" in text
    assert 'msgstr "{n, plural, one {# Datei} other {# Dateien}}"' in text
