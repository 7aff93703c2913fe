"""CSV and TSV: which columns are translated, and how cells are quoted."""

import csv
import io

import pytest
from helpers.catalogues import TRANSLATORS, Translate, shout, texts_of
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.csv_document import read
from seq2seq.documents.document import State, UnitTranslation
from seq2seq.errors import Seq2SeqError


def translated(
    source: str,
    translate: Translate = shout,
    languages: tuple[str | None, str] = ("en", "de"),
    columns: tuple[str, ...] = (),
) -> str:
    data = source.encode()
    document = read(data, *languages, columns)
    assert document.render([None] * len(document.units)) == data
    return document.render(
        [UnitTranslation(translate(unit.text)) for unit in document.units]
    ).decode()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("source,target\none,\ntwo,zwei\n", "source,target\none,ONE\ntwo,TWO\n"),
        ("Key;EN;de-DE\r\na;one;\r\n\r\nb;;\r\n", "Key;EN;de-DE\r\na;one;ONE\r\n\r\nb;;\r\n"),
        ("\ufeffid\tEnglish\tGerman\n1\tone", "\ufeffid\tEnglish\tGerman\n1\tone\tONE"),
        ("en,fr\none,un\n,\ntwo,deux", "en,fr,de\none,un,ONE\n,,\ntwo,deux,TWO"),
        ("source\none\n", "source,target\none,ONE\n"),
        ("id,text\n1,one\n", "id,text\n1,ONE\n"),
        ('text,x\n"one, ""two""\nthree",y\n', 'text,x\n"ONE, ""TWO""\nTHREE",y\n'),
        ('text\n" one "\n 12\n', 'text\n" ONE "\n 12\n'),
        ('text\tx\n"one\ty\n', 'text\tx\n"""ONE"\ty\n'),
        ("source|target|n\none\n", "source|target|n\none|ONE\n"),
    ],
)
def test_columns_are_known_by_their_names(source: str, expected: str) -> None:
    assert translated(source) == expected


def test_the_user_may_name_the_columns() -> None:
    source = "title,body,en\nA cat,it is,no\n"
    assert translated(source, columns=("title", "body")) == "title,body,en\nA CAT,IT IS,no\n"
    with pytest.raises(Seq2SeqError, match="no column 'x'; there are title, body, en"):
        read(source.encode(), "en", "de", ("x",))


def test_a_table_whose_columns_are_not_known_names_the_option_that_chooses_one() -> None:
    with pytest.raises(Seq2SeqError, match="there are 13:34, Tom, Hello; say which with --column"):
        read(b"13:34\tTom\tHello\n13:35\tMary\tHi\n", "en", "de", ())


def test_without_a_source_language_another_code_than_the_target_is_the_source() -> None:
    assert translated("de,fr\n,un\n", languages=(None, "de")) == "de,fr\nUN,un\n"


def test_translations_that_are_there_are_known() -> None:
    units = read(b"key,source,target\na,one,eins\nb,two,\n", "en", "de").units
    assert [(unit.translation, unit.state, unit.context) for unit in units] == [
        ("eins", State.TRANSLATED, "row 2 a"),
        ("", State.UNTRANSLATED, "row 3 b"),
    ]


def test_a_translation_that_equals_its_source_is_filled_in() -> None:
    assert translated("source,target\nOK,\n", str) == "source,target\nOK,OK\n"


@pytest.mark.parametrize(
    ("translation", "cell"),
    [("a,b", '"a,b"'), ('a "b"', '"a ""b"""'), ("a\nb", '"a\nb"'), ("a;b", "a;b")],
)
def test_a_cell_is_quoted_where_it_must_be(translation: str, cell: str) -> None:
    assert translated("id,text\n1,one\n", lambda _: translation) == f"id,text\n1,{cell}\n"


@pytest.mark.parametrize("data", [b"", b"\n", b"a,b\nc,d\n", b"\xff,x", b"\0\0"])
def test_what_is_no_such_file_is_told_in_one_sentence(data: bytes) -> None:
    with pytest.raises(Seq2SeqError, match=r"^[^\n]{10,200}\.$"):
        read(data, "en", "de")


def test_many_quotes_are_read_in_no_time() -> None:
    assert texts_of(read, 'text,x\none,"' + '""",' * 200_000)[0] == "one"


_CELLS = st.text(st.sampled_from("ab c,;\t\"'\r\né"), max_size=8)


@given(
    st.lists(st.lists(_CELLS, min_size=3, max_size=3), max_size=5),
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(TRANSLATORS),
)
def test_another_reader_finds_the_other_cells_as_they_were(
    rows: list[list[str]], delimiter: str, quoting: int, translate: Translate
) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([["key", "source", "target"], *rows])
    result = translated(file.getvalue(), translate)
    read_ = [*csv.reader(io.StringIO(result, newline=""), delimiter=delimiter)]
    assert [row[:2] for row in read_[1:]] == [row[:2] for row in rows]
    assert all(len(row) == 3 for row in read_)
