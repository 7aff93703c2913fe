"""Format strings of gettext's flags: a value of each language, and what a program may use."""

import shutil
import subprocess
from pathlib import Path

import polib
import pytest

from seq2seq.documents.document import TextUnit, UnitTranslation
from seq2seq.documents.gettext_formats import FORMATS, formats_of
from seq2seq.documents.po import read

HEADER = 'msgid ""\nmsgstr ""\n"Language: de\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n\n'
FREE = [  # by flag: a message, what the translator gets, a translation with the values swapped
    ("awk", "%s of %d", "%1$s of %2$s", "%2$d, %1$s"),
    ("boost", "%1% of %2%", "%1$s of %2$s", "%2%, %1%"),
    ("c", "%s of %lu", "%1$s of %2$s", "%2$lu, %1$s"),
    ("c++", "{0} of {1:>{2}}", "%1$s of %2$s", "{1:>{2}}, {0}"),
    ("csharp", "{0} of {1:F2}", "{0} of {1:F2}", "{1:F2}, {0}"),
    ("elisp", "%s of %S", "%1$s of %2$s", "%2$S, %1$s"),
    ("gcc-internal", "%qE of %<%s=%d%>", "%1$s of %2$s", "%<%2$s=%3$d%>, %1$qE"),
    ("gfc-internal", "%qs of %d", "%1$s of %2$s", "%2$d, %1$qs"),
    ("go", "%[1]v of %[2]q", "%1$s of %2$s", "%[2]q, %[1]v"),
    ("java", "{0} of ''{1,number,#}''", "%1$s of '%2$s'", "''{1,number,#}'', {0}"),
    ("java-printf", "%s of %tY", "%1$s of %2$s", "%2$tY, %1$s"),
    ("javascript", "%s of %j", "%1$s of %2$s", "%2$j, %1$s"),
    ("kde", "%1 of %2", "%1$s of %2$s", "%2, %1"),
    ("kde-kuit", "%1 of %2", "%1$s of %2$s", "%2, %1"),
    ("librep", "%s of %d", "%1$s of %2$s", "%2$d, %1$s"),
    ("objc", "%@ of %d", "%1$s of %2$s", "%2$d, %1$@"),
    ("object-pascal", "%0:s of %1:d", "%1$s of %2$s", "%1:d, %0:s"),
    ("perl", "%s of %vd", "%1$s of %2$s", "%2$vd, %1$s"),
    ("perl-brace", "{name} of {count}", "{name} of {count}", "{count}, {name}"),
    ("php", "%s of %'*10d", "%1$s of %2$s", "%2$'*10d, %1$s"),
    ("python", "%(name)s of %(n)5.1f", "%1$s of %2$s", "%(n)5.1f, %(name)s"),
    ("python-brace", "{name!r} of {n: }", "%1$s of %2$s", "{n: }, {name!r}"),
    ("qt", "%1 of %L2", "%1$s of %2$s", "%L2, %1"),
    ("qt-plural", "%1 of %n", "%1$s of %2$s", "%n, %1"),
    ("ruby", "%{name} of %<n>d", "%1$s of %2$s", "%<n>d, %{name}"),
    ("rust", "{name} of {n:?}", "%1$s of %2$s", "{n:?}, {name}"),
    ("sh", "$name of ${count}", "%1$s of %2$s", "${count}, $name"),
    ("smalltalk", "%1 of %2", "%1$s of %2$s", "%2, %1"),
    ("tcl", "%s of %d", "%1$s of %2$s", "%2$d, %1$s"),
    ("ycp", "%1 of %2", "%1$s of %2$s", "%2, %1"),
]
FIXED = [  # a message, what the translator gets, a translation that swaps, what is written
    ("go", "%s of %d", "%1$s of %2$s", "%s, %d"),
    ("lisp", "~a of ~2,'0d", "%1$s of %2$s", "~a, ~2,'0d"),
    ("lua", "%s of %q", "%1$s of %2$s", "%s, %q"),
    ("object-pascal", "%s of %d", "%1$s of %2$s", "%s, %d"),
    ("python", "%s of %d", "%1$s of %2$s", "%s, %d"),
    ("python-brace", "{} of {}", "%1$s of %2$s", "{}, {}"),
    ("scheme", "~a of ~s", "%1$s of %2$s", "~a, ~s"),
]


def entry(flag: str, message: str, translation: str = "") -> bytes:
    return f'{HEADER}#, {flag}-format\nmsgid "{message}"\nmsgstr "{translation}"\n'.encode()


def unit(flag: str, message: str, translation: str = "") -> TextUnit:
    [only] = read(entry(flag, message, translation), "en", "de").units
    return only


def translated(flag: str, message: str, translation: str) -> bytes:
    return read(entry(flag, message), "en", "de").render([UnitTranslation(translation)])


def written(flag: str, message: str, translation: str) -> tuple[str, bool]:
    """The text of the program, and whether it is marked as fuzzy."""
    after = polib.pofile(translated(flag, message, translation).decode())[0]
    return after.msgstr, "fuzzy" in after.flags


def swapped(shown: str) -> str:
    """The translation "2, 1" of "1 of 2"."""
    first, second = shown.split(" of ")
    return f"{second}, {first}"


def test_each_flag_has_an_example() -> None:
    assert {flag for flag, *_ in [*FREE, *FIXED]} == {*FORMATS}


@pytest.mark.parametrize(("flag", "message", "shown", "expected"), FREE)
def test_values_that_change_places_are_numbered_or_have_names(
    flag: str, message: str, shown: str, expected: str
) -> None:
    assert unit(flag, message).text == shown
    assert written(flag, message, swapped(shown)) == (expected, False)


@pytest.mark.parametrize(("flag", "message", "shown", "expected"), FIXED)
def test_a_translation_is_fuzzy_if_it_changes_an_order_that_the_language_cannot_name(
    flag: str, message: str, shown: str, expected: str
) -> None:
    assert unit(flag, message).text == shown
    assert written(flag, message, swapped(shown)) == (expected, True)
    same_order = shown.replace("of", "von")
    assert written(flag, message, same_order) == (message.replace("of", "von"), False)


@pytest.mark.parametrize(("flag", "message", "shown", "expected"), [*FREE, *FIXED])
def test_a_value_that_is_lost_makes_a_translation_fuzzy(
    flag: str, message: str, shown: str, expected: str
) -> None:
    first, _ = shown.split(" of ")
    assert written(flag, message, first)[1]


@pytest.mark.parametrize(("flag", "message", "shown", "expected"), FREE)
def test_a_translation_of_a_catalogue_is_shown_as_its_source_is(
    flag: str, message: str, shown: str, expected: str
) -> None:
    assert unit(flag, message, expected).translation == swapped(shown)
    assert unit(flag, message, message).translation == shown


@pytest.mark.skipif(not shutil.which("msgfmt"), reason="needs gettext")
def test_msgfmt_finds_the_formats_of_translations_right(tmp_path: Path) -> None:
    catalogue = tmp_path / "de.po"
    for flag, message, shown, _ in FREE:
        catalogue.write_bytes(translated(flag, message, swapped(shown)))
        command = ["msgfmt", "--check-format", "-o", str(tmp_path / "de.mo"), str(catalogue)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), flag


@pytest.mark.parametrize(
    ("flag", "message", "shown", "translation", "expected"),
    [
        ("lisp", "Error.~%No ~a.", "Error.%1$sNo %2$s.", "%2$s: %1$sKein.", "~a: ~%Kein."),
        ("gcc-internal", "%qE isn%'t %d", "%1$s isn%2$st %3$s", "%3$s: %1$s%2$s", "%2$d: %1$qE%'"),
        ("gcc-internal", "%<-m%> of %E", "%1$s of %2$s", "%2$s: %1$s", "%E: %<-m%>"),
        ("c", "%s: %m of %d", "%1$s: %2$s of %3$s", "%2$s %3$s %1$s", "%m %2$d %1$s"),
        ("python-brace", "{{a}} of {b}", "%1$s of %2$s", "%2$s: %1$s", "{b}: {{a}}"),
        ("java", "It''s {0}", "It's %1$s", "L'art %1$s", "L''art {0}"),
        ("java", "'{x}' of {0}", "%1$s of %2$s", "%2$s: %1$s", "{0}: '{x}'"),
        ("java-printf", "%s%n of %d", "%1$s%2$s of %3$s", "%3$s%2$s%1$s", "%2$d%n%1$s"),
    ],
)
def test_what_stands_for_no_value_is_kept_and_not_counted(
    flag: str, message: str, shown: str, translation: str, expected: str
) -> None:
    assert unit(flag, message).text == shown
    assert written(flag, message, translation) == (expected, False)


@pytest.mark.parametrize(
    ("flag", "message", "translation", "expected"),
    [
        ("c", "%s of %*d", "%2$s, %1$s", "%s, %*d"),
        ("java-printf", "%s of %<s", "%2$s, %1$s", "%s, %<s"),
        ("lisp", "~a of~%~s", "%3$s%2$s, %1$s", "~a~%, ~s"),
        ("gcc-internal", "%qE of %<a*b%> %d", "%2$s: %3$s, %1$s", "%<a*b%>: %qE, %d"),
    ],
)
def test_values_that_cannot_be_numbered_stay_in_order(
    flag: str, message: str, translation: str, expected: str
) -> None:
    assert written(flag, message, translation) == (expected, True)


@pytest.mark.parametrize(("flag", "message", "shown", "expected"), [*FREE, *FIXED])
def test_a_value_alone_is_no_mark_of_a_shortcut_key(
    flag: str, message: str, shown: str, expected: str
) -> None:
    value = message.split(" of ")[0]
    alone = unit(flag, f"{value} words").text.removesuffix(" words")
    assert alone in (value, "%1$s")
    assert written(flag, f"{value} words", f"Wort {alone}") == (f"Wort {value}", False)
    assert written(flag, f"Word {value}", f"{alone} Wort") == (f"{value} Wort", False)


def test_an_entry_with_two_flags_has_the_values_of_both() -> None:
    assert unit("python-format, python-brace", "%s of {0!r}").text == "%1$s of %2$s"


@pytest.mark.parametrize("flag", ["no-c", "no-qt", "possible-c"])
def test_a_flag_that_denies_a_format_has_none(flag: str) -> None:
    assert formats_of([f"{flag}-format", "fuzzy", "no-wrap"]) == []
    assert unit(flag, "100 %1 of %2 %s").text == "100 %1 of %2 %s"


def test_an_unknown_language_has_the_values_of_c() -> None:
    assert formats_of(["kalo-format"]) == formats_of(["c-format"])
