"""Catalogues of gettext: what is translated, what is marked, and that nothing else changes."""

import random
import re
import shutil
import subprocess
from pathlib import Path

import polib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.document import Document, State, UnitTranslation
from seq2seq.documents.gettext_plurals import numbers_of_forms, plural_forms
from seq2seq.documents.po import read
from seq2seq.errors import Seq2SeqError

HEADER = r"""# A header
msgid ""
msgstr ""
"Project-Id-Version: Kalo 1\n"
"Report-Msgid-Bugs-To: \n"
"PO-Revision-Date: 2024-01-01 00:00+0000\n"
"Last-Translator: Ann <ann@example.org>\n"
"Language-Team: German\n"
"Language: de\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"
"X-Generator: Weblate 5\n"
"""
TEMPLATE = (
    HEADER.replace("# A header\n", "#, fuzzy\n")
    .replace("Language: de", "Language: ")
    .replace("=UTF-8", "=CHARSET")
    .replace("nplurals=2; plural=(n != 1);", "nplurals=INTEGER; plural=EXPRESSION;")
)
CATALOGUE = (
    HEADER
    + r"""
# Ann says hello
#. to the user
#: a.c:1 b.c:2
msgctxt "menu"
msgid "Hello"
msgstr "Hallo"

#: c.c:3
#, fuzzy, c-format
#| msgid "Bye"
msgid "Bye %s"
msgstr "Ade"

#, python-format
msgid ""
"A \"long\" text\t\\ with lines.\n"
"And %(name)s.\n"
msgstr ""

msgid "%d file"
msgid_plural "%d files"
msgstr[0] ""
msgstr[1] ""

msgid "---"
msgstr ""

#~ msgid "Old"
#~ msgstr "Alt"
"""
)


def shouted(document: Document, state: State = State.TRANSLATED) -> str:
    """The document in upper case, but for what a translator leaves alone."""
    kept = re.compile(r"(%(?:\(\w+\)|\d\$)?[a-z])")
    translations = [
        UnitTranslation(
            "".join(
                part if n % 2 else part.upper() for n, part in enumerate(kept.split(unit.text))
            ),
            0.5,
            state,
        )
        for unit in document.units
    ]
    return document.render(translations).decode()


def entry(text: str, header: str = HEADER) -> Document:
    return read(f"{header}\n{text}\n".encode(), "en", "de")


def rendered(text: str, *translations: str | UnitTranslation, header: str = HEADER) -> str:
    """The entry, translated."""
    document = entry(text, header)
    given_ = [UnitTranslation(new) if isinstance(new, str) else new for new in translations]
    return document.render(given_).decode().removeprefix(f"{header}\n").removesuffix("\n")


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


def test_units_have_text_translation_state_and_context() -> None:
    units = read(CATALOGUE.encode(), "en", "de").units
    assert [(unit.text, unit.translation, unit.state) for unit in units] == [
        ("Hello", "Hallo", State.TRANSLATED),
        ("Bye %s", "Ade", State.NEEDS_REVIEW),
        ('A "long" text\t\\ with lines.\nAnd %(name)s.', "", State.UNTRANSLATED),
        ("%d file", "", State.UNTRANSLATED),
        ("%d files", "", State.UNTRANSLATED),
    ]
    assert units[0].context == "line 19, 'menu'"


def test_a_diff_shows_translations_alone() -> None:
    after = shouted(read(CATALOGUE.encode(), "en", "de"))
    removed, added = changed_lines(CATALOGUE, after)
    assert removed == [
        'msgstr "Hallo"',
        "#, fuzzy, c-format",
        '#| msgid "Bye"',
        'msgstr "Ade"',
        'msgstr[0] ""',
        'msgstr[1] ""',
    ]
    assert added == [
        'msgstr "HELLO"',
        "#, c-format",
        'msgstr "BYE %s"',
        r'"A \"LONG\" TEXT\t\\ WITH LINES.\n"',
        r'"AND %(name)s.\n"',
        'msgstr[0] "%d FILE"',
        'msgstr[1] "%d FILES"',
    ]


def test_what_needs_a_review_is_fuzzy_with_confidence_and_notes() -> None:
    text = '# by Ann\n#. for all\n#, c-format\n#| msgid "b"\nmsgid "a"\nmsgstr ""'
    new = UnitTranslation("x", 0.5, State.NEEDS_REVIEW, ("two words", "no\nverb"))
    assert rendered(text, new) == (
        "# by Ann\n# Machine translation, confidence 0.50; two words; no verb.\n#. for all\n"
        '#, fuzzy, c-format\n#| msgid "b"\nmsgid "a"\nmsgstr "x"'
    )
    again = rendered(rendered(text, new), UnitTranslation("y", None, State.NEEDS_REVIEW))
    assert again.startswith("# by Ann\n# Machine translation.\n#. for all\n#, fuzzy, c-format\n")
    without = '#: a.c:1\n#| msgid "b"\nmsgctxt "c"\nmsgid "a"\nmsgstr ""'
    assert rendered(without, new).splitlines()[1:4] == ["#: a.c:1", "#, fuzzy", '#| msgid "b"']


def test_a_fuzzy_match_of_a_memory_is_fuzzy_and_its_comment_says_where_it_is_from() -> None:
    note = 'from the memory, 92% match of "b"'
    match = UnitTranslation("x", None, State.NEEDS_REVIEW, (note,), 0.92)
    once = rendered('msgid "a"\nmsgstr ""', match)
    assert once == ('# From the memory, 92% match of "b".\n#, fuzzy\nmsgid "a"\nmsgstr "x"')
    assert rendered(once, "new") == 'msgid "a"\nmsgstr "new"'


def test_marks_of_the_first_entry_come_behind_a_header_that_was_missing() -> None:
    new = [UnitTranslation("x", 0.5, State.NEEDS_REVIEW)]
    text = read(b'msgid "a"\nmsgstr ""\n', None, "de").render(new).decode()
    header, entry = text.split("\n\n")
    assert header.startswith('msgid ""\nmsgstr ""\n')
    assert entry.startswith("# Machine translation, confidence 0.50.\n#, fuzzy\nmsgid")


def test_a_translation_that_is_trusted_is_no_longer_fuzzy() -> None:
    text = '# Machine translation.\n#, fuzzy\n#| msgid "b"\nmsgid "a"\nmsgstr "old"'
    assert rendered(text, "new") == 'msgid "a"\nmsgstr "new"'


@pytest.mark.parametrize(
    "text", [HEADER, TEMPLATE, CATALOGUE, "", "# nothing\n", "\ufeff" + HEADER]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_without_translations_the_bytes_are_the_same(text: str, end: str) -> None:
    data = text.replace("\n", end).encode()
    document = read(data, "en", "de")
    assert document.render([None] * len(document.units)) == data
    assert document.render([UnitTranslation(unit.text) for unit in document.units]) == data


def test_line_ends_are_kept_in_what_is_new() -> None:
    after = shouted(read(CATALOGUE.replace("\n", "\r\n").encode(), "en", "de"))
    assert after.replace("\r\n", "\n") == shouted(read(CATALOGUE.encode(), "en", "de"))
    assert "\n" not in after.replace("\r\n", "")


def test_long_translations_are_wrapped_as_gettext_does_unless_the_file_does_not() -> None:
    text = 'msgid "a"\nmsgstr ""'
    new = "word " * 20 + "end"
    lines = rendered(text, new).splitlines()
    assert lines[1] == 'msgstr ""'
    assert max(map(len, lines)) <= 79
    assert polib.pofile(rendered(text, new))[0].msgstr == new
    long = f'msgid "{"b b" * 50}"\nmsgstr ""'
    assert rendered(long, new).splitlines()[1] == f'msgstr "{new}"'


def test_white_space_around_a_message_stays_around_its_translation() -> None:
    document = entry(r'msgid "\n  Hello.\n"' + '\nmsgstr ""')
    assert document.units[0].text == "Hello."
    assert r'"  Hallo.\n"' in document.render([UnitTranslation(" Hallo. ")]).decode()


def test_lines_broken_by_hand_are_a_sentence_and_broken_again() -> None:
    source = (
        "This sentence is so long that its author has broken\\nit by hand.\\n  -x  An option.\\n"
    )
    document = entry(f'msgid "{source}"\nmsgstr ""')
    [unit] = document.units
    assert unit.text == (
        "This sentence is so long that its author has broken it by hand.\n  -x  An option."
    )
    translation = "word " * 15 + "end.\n  -x  Eine Option."
    after = polib.pofile(document.render([UnitTranslation(translation)]).decode())[0].msgstr
    assert after.replace("\n", " ").split() == translation.split()
    assert max(map(len, after.splitlines())) <= 52
    assert after.endswith("\n  -x  Eine Option.\n")


# Plurals


@pytest.mark.parametrize(
    ("language", "number"), [("de", 2), ("fr", 2), ("ja", 1), ("ru", 3), ("pt-BR", 2), ("ar", 6)]
)
def test_a_template_gets_the_plural_forms_of_the_language(language: str, number: int) -> None:
    text = 'msgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] ""\nmsgstr[1] ""\n'
    data = f'{TEMPLATE}\n{text}\nmsgid "a"\nmsgstr ""\n\n{text.replace("file", "dog")}'.encode()
    document = read(data, "en", language)
    translations = [UnitTranslation(text) for text in ("%d X", "%d XS", "b")]
    catalogue = polib.pofile(document.render([*translations, None, None]).decode())
    assert catalogue.metadata["Language"] == language.replace("-", "_")
    assert catalogue.metadata["Plural-Forms"] == plural_forms(language)
    assert "charset=UTF-8" in catalogue.metadata["Content-Type"]
    assert not catalogue.metadata_is_fuzzy
    forms = [*catalogue[0].msgstr_plural.values()]
    assert forms.count("%d X") == (0 if number == 1 else 1)
    assert forms.count("%d XS") == number - forms.count("%d X")
    assert [*catalogue[2].msgstr_plural.values()] == [""] * number  # not translated yet


def test_the_plural_forms_of_a_header_count() -> None:
    header = HEADER.replace("nplurals=2; plural=(n != 1)", "nplurals=3; plural=n==1?2:n==0?0:1")
    text = 'msgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] ""\nmsgstr[1] ""\nmsgstr[2] ""'
    assert rendered(text, "%d x", "%d xs", header=header).splitlines()[2:] == [
        'msgstr[0] "%d xs"',
        'msgstr[1] "%d xs"',
        'msgstr[2] "%d x"',
    ]


def test_a_singular_without_its_number_is_not_used_for_other_numbers() -> None:
    text = 'msgid "one file"\nmsgid_plural "%d files"\nmsgstr[0] ""\nmsgstr[1] ""'
    assert rendered(text, "ein X", "%d X").splitlines()[2:] == [
        'msgstr[0] "ein X"',
        'msgstr[1] "%d X"',
    ]
    french = HEADER.replace("n != 1", "n > 1")
    assert rendered(text, "un X", "%d X", header=french).splitlines()[2:] == [
        'msgstr[0] "%d X"',
        'msgstr[1] "%d X"',
    ]


def test_each_rule_gives_a_form_to_every_number() -> None:
    for language in ("de", "fr", "ja", "ru", "pl", "cs", "lt", "lv", "ro", "sl", "gd", "ga", "mt"):
        forms = numbers_of_forms(plural_forms(language))
        assert forms
        assert sum(map(len, forms)) == 1000
        assert all(forms)
    assert numbers_of_forms("nplurals=2; plural=n-9;") is None
    assert numbers_of_forms("nplurals=2; plural=__import__('os');") is None
    assert numbers_of_forms("") is None


# Headers


def test_another_language_is_named_where_all_is_translated_anew() -> None:
    text = 'msgid "a"\nmsgstr "x"\n\nmsgid "b"\nmsgstr "y"\n'
    document = read(f"{HEADER}\n{text}".encode(), "en", "fr")
    all_new = document.render([UnitTranslation("u"), UnitTranslation("v")]).decode()
    assert '"Language: fr\\n"' in all_new
    assert '"Language: de\\n"' in document.render([UnitTranslation("u"), None]).decode()
    assert "X-Generator: Weblate 5" in all_new


def test_a_catalogue_without_a_header_gets_one() -> None:
    document = read(b'msgid "a"\nmsgstr ""\n', "en", "de")
    catalogue = polib.pofile(document.render([UnitTranslation("ü")]).decode())
    assert catalogue.metadata == {"Language": "de", "Content-Type": "text/plain; charset=UTF-8"}
    assert catalogue[0].msgstr == "ü"


def test_the_encoding_of_the_header_is_kept_where_it_has_the_letters() -> None:
    data = (HEADER.replace("UTF-8", "ISO-8859-1") + '\nmsgid "é"\nmsgstr ""\n').encode("latin-1")
    document = read(data, "en", "de")
    assert document.units[0].text == "é"
    assert 'msgstr "ü"'.encode("latin-1") in document.render([UnitTranslation("ü")])
    after = document.render([UnitTranslation("я")]).decode()
    assert "charset=UTF-8" in after
    assert 'msgid "é"\nmsgstr "я"' in after


# Format strings, mnemonics, limits


@pytest.mark.parametrize(
    ("kind", "source", "shown", "translation", "expected", "is_fuzzy"),
    [
        ("c", "%s of %d", "%1$s of %2$s", "%1$s von %2$s", "%s von %d", False),
        ("c", "%s of %d", "%1$s of %2$s", "%2$s: %1$s", "%2$d: %1$s", False),
        ("c", "%2$s of %1$lu", "%1$s of %2$s", "%2$s: %1$s", "%1$lu: %2$s", False),
        ("c", "a %<PRIu64> b", "a %1$s b", "x %1$s", "x %<PRIu64>", False),
        ("c", "a %*d b %s", "a %1$s b %2$s", "%2$s x %1$s", "%*d x %s", True),
        ("python", "%s of %d", "%1$s of %2$s", "%2$s: %1$s", "%s: %d", True),
        ("python", "%(a)s of %(b)d", "%(a)s of %(b)d", "%(b)d: %(a)s", "%(b)d: %(a)s", False),
        ("python", "%(a)s of", "%(a)s of", "von", "von", True),
        ("c", "%d%% of", "%d%% of", "%d%% von", "%d%% von", False),
        ("c", "all %s", "all %s", "100 %: %s", "100 %: %s", True),
        ("no-c", "%s of %d", "%s of %d", "%d: %s", "%d: %s", False),
        ("python-brace", "{a} of", "{a} of", "{a} von", "{a} von", False),
    ],
)
def test_values_of_format_strings_are_such_that_a_program_may_use_them(
    kind: str, source: str, shown: str, translation: str, expected: str, is_fuzzy: bool
) -> None:
    document = entry(f'#, {kind}-format\nmsgid "{source}"\nmsgstr ""')
    assert document.units[0].text == shown
    after = polib.pofile(document.render([UnitTranslation(translation)]).decode())[0]
    assert (after.msgstr, "fuzzy" in after.flags) == (expected, is_fuzzy)


@pytest.mark.parametrize(
    ("source", "shown", "translation", "expected"),
    [
        ("_Open", "Open", "Öffnen", "Ö_ffnen"),
        ("Save _As...", "Save As...", "Speichern als...", "Speichern _als..."),
        ("E&xit", "Exit", "Beenden", "&Beenden"),
        ("_Sort %s", "Sort %s", "%s ist", "%s i_st"),
        ("_Kill %s", "Kill %s", "%s ändern", "%s _ändern"),
        ("user_name is", "user_name is", "user_name ist", "user_name ist"),
        ("Q&A", "Q&A", "F&A", "F&A"),
        ("&amp; so", "&amp; so", "&amp; x", "&amp; x"),
    ],
)
def test_the_mark_of_a_key_is_put_before_a_letter_of_the_translation(
    source: str, shown: str, translation: str, expected: str
) -> None:
    document = entry(f'msgid "{source}"\nmsgstr ""')
    assert document.units[0].text == shown
    after = polib.pofile(document.render([UnitTranslation(translation)]).decode())
    assert after[0].msgstr.lower() == expected.lower().replace("ö_ffnen", "_öffnen")


def test_a_flag_limits_the_length() -> None:
    [unit] = entry('#, max-length:12\nmsgid "a"\nmsgstr ""').units
    assert unit.max_length == 12


# What is written


@given(st.integers(0, 2**32), st.sampled_from([HEADER, TEMPLATE]))
def test_any_catalogue_keeps_its_entries_and_reads_as_it_was_translated(
    seed: int, header: str
) -> None:
    rng = random.Random(seed)
    catalogue = polib.POFile(wrapwidth=rng.choice([0, 30, 78]))
    for number in range(rng.randint(1, 5)):
        letters = "".join(rng.choices('ab \\"\n\té{}', k=rng.randint(1, 60)))
        found = polib.POEntry(msgid=f"x{letters}", msgctxt=rng.choice([None, str(number)]))
        found.flags = rng.choice([[], ["fuzzy"], ["c-format"]])
        found.comment, found.tcomment = rng.choice(["", "for you"]), rng.choice(["", "by me"])
        if rng.random() < 0.3:
            found.msgid_plural, found.msgstr_plural = "ys", {0: "", 1: ""}
        catalogue.append(found)
    text = f"{header}\n{str(catalogue).partition(chr(10) * 2)[2]}"
    document = read(text.encode(), "en", "de")
    assert document.render([UnitTranslation(unit.text) for unit in document.units]) == text.encode()
    new = [
        f"{rng.randint(0, 99)} neu {''.join(rng.choices(letters, k=30))} z" for _ in document.units
    ]
    after = polib.pofile(document.render([*map(UnitTranslation, new)]).decode())
    before = polib.pofile(text)
    assert [(e.msgid, e.msgctxt, e.comment, e.tcomment) for e in after] == [
        (e.msgid, e.msgctxt, e.comment, e.tcomment) for e in before
    ]


@pytest.mark.skipif(shutil.which("msgfmt") is None, reason="needs gettext")
@pytest.mark.parametrize("target", ["de", "fr", "ja", "ru"])
def test_msgfmt_accepts_what_is_written(tmp_path: Path, target: str) -> None:
    entries = CATALOGUE.removeprefix(HEADER)
    for text in (TEMPLATE + entries, CATALOGUE, entries.lstrip()):
        after = shouted(read(text.encode(), "en", target))
        path = tmp_path / "a.po"
        path.write_text(after, encoding="utf-8")
        done = subprocess.run(
            ["msgfmt", "-c", "-o", tmp_path / "a.mo", path], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


# What is no catalogue


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Hello", "line 1 is not PO"),
        ('\nmsgid "a\nmsgstr ""', "line 2 is not PO"),
        ('"a"', "line 1 is not PO: a string has no keyword"),
        ('msgstr "a"', "no msgid before it"),
        ('msgid "a"', "line 1 is not PO: the entry has no msgstr"),
        ('msgid "a"\nmsgid_plural "b"\nmsgstr "c"', r"no msgstr\[0\]"),
        ('msgid "a"\nmsgstr', "has no msgstr"),
        ('\nmsgctxt "a"\nmsgstr "b"', "line 2 is not PO: the entry has no msgid"),
        ('domain "a"', "has no msgid"),
        ("msgid" * 100_000, "line 1 is not PO"),
    ],
)
def test_what_is_no_catalogue_is_told_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(Seq2SeqError, match=message) as error:
        read(text.encode(), "en", "de")
    assert str(error.value).count(".") == 1
