"""How a text is laid out survives, and so does every character of what is not translated."""

from collections.abc import Iterator
from itertools import chain

import pytest
from helpers.engines import copying
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.text.blocks import Unit, blocks, lines_of, segments
from seq2seq.text.sentences import sentences
from seq2seq.tokenizer import normalise_source

LINES = [
    "Kalo miren. Wog elbo!",
    "kalo",
    "",
    "   ",
    "# Kalo miren",
    "- kalo wog.",
    "  * [x] miren. Kalo?",
    "12. kalo",
    "(a) kalo",
    "> kalo",
    "> > - kalo",
    ">> kalo",
    "kalo wog\\",
    "kalo  ",
    "\tkalo  miren",
    "-",
    "–",
    "```",
    "~~~",
    "| a | b |",
    "17 + 4",
    "<p>",
    "{x}",
    r"{\an8}Kalo",
    r"kalo\nmiren.\tWog",
    "NOTE kalo",
    "“Kalo.” (Wog.)",
]
documents = st.one_of(
    st.lists(st.sampled_from(LINES), max_size=8).map("\n".join),
    st.lists(st.sampled_from(LINES), max_size=8).map("\r\n".join),
    st.text(
        st.sampled_from("aB.!?…-*>#1) \t\r\n\u00a0“”。」\U000f0000\U000f0001\U000f0002`~"),
        max_size=60,
    ),
    st.text(),
)


@pytest.mark.parametrize("unit", ["sentence", "paragraph"])
@settings(max_examples=200)
@given(text=documents)
def test_the_segments_give_the_text_back(unit: Unit, text: str) -> None:
    parts = [*segments(text, unit)]
    assert "".join(part.text + part.separator for part in parts) == text
    assert all(part.text == part.text.strip() for part in parts)


@given(documents)
def test_the_sentences_give_the_text_back(text: str) -> None:
    assert "".join(part.text + part.separator for part in sentences(text)) == text


@pytest.mark.parametrize("unit", ["sentence", "paragraph"])
@given(
    st.lists(
        st.lists(st.sampled_from([*LINES, "``` x ```", "  ```py", "~~~ a", "---", "<!--", "-->"]))
    ),
    st.sampled_from(["\n", "\r\n"]),
)
def test_the_blocks_give_the_lines_back(unit: Unit, chunks: list[list[str]], end: str) -> None:
    text = "".join(line + end for lines in chunks for line in lines)
    texts = [*chain.from_iterable(blocks([[x + end for x in lines] for lines in chunks], unit))]
    assert "".join(texts) == text
    assert all(one.endswith(end) for one in texts)


def test_what_is_a_block() -> None:
    text = "a\nb\n\n\n```\nx\n\n````\n```\nc\n<!-- d\ne\nf --> g\nh\n~~~\nz"
    code, comment = "```\nx\n\n````\n```\n", "<!-- d\ne\nf --> g\n"
    [whole, last] = map(list, blocks([lines_of(text)], "paragraph"))
    assert whole == ["a\nb\n", "\n\n", code, "c\n", comment, "h\n"]
    assert last == ["~~~\nz"]
    [whole, last] = map(list, blocks([lines_of(text)], "sentence"))
    assert whole == ["a\n", "b\n", "\n", "\n", code, "c\n", comment, "h\n"]
    lines = ["a\n", " \n", "b"]
    assert [*chain.from_iterable(blocks([lines], "paragraph"))] == lines


def test_a_block_comes_when_it_is_whole() -> None:
    arrived: list[str] = []

    def chunks() -> Iterator[list[str]]:
        for line, expected in [("a\n", []), ("\n", ["a\n"]), ("b\n", ["a\n", "\n"])]:
            yield [line]
            assert arrived == expected

    for texts in blocks(chunks(), "paragraph"):
        arrived += texts
    assert arrived == ["a\n", "\n", "b\n"]


FRONT = "---\ntitle: The house\ntags:\n  - kalo\n\n# x\n---\n"


@pytest.mark.parametrize("unit", ["sentence", "paragraph"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_front_matter_is_left_alone(unit: Unit, end: str) -> None:
    front, rest = (text.replace("\n", end) for text in (FRONT, "The dog.\n---\nkey: cat\n---\n"))
    [front_block, *_] = chain.from_iterable(blocks([lines_of(front + rest)], unit))
    assert front_block == front
    [translation] = copying().translate([front + rest], unit=unit)
    said = [part.source for part in translation.parts if part.hypothesis]
    assert said == ["The dog.", "key: cat"]
    assert translation.text == front + rest


DOCUMENT = """\
# The big house

The dog sees the cat.  It is old! Is it?

1. one dog. Two dogs.
2) two
   - [ ] three
\t* four

(a) five; 17 + 4 = 21

> so he said.
> > and so on ...

    indented code

```python
def f(x):   # not  translated

    return x
```
~~~
nor  this
~~~

<p>
Dr. Smith's {name} is   here.
</p>

| a | b |
|---|---|
end\
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_document_keeps_its_structure(end: str) -> None:
    text = DOCUMENT.replace("\n", end) + end * 2
    [translation] = copying().translate([text], unit="sentence")
    assert translation.text == text.replace("{name} is   here", "{name} is here")


def test_lines_of_a_paragraph_are_joined() -> None:
    text = "The dog\nsees. The\r\n  cat\n\n- one\ntwo\n- three\n# Four\nfive\n```\nx\n```\nsix\n"
    [translation] = copying().translate([text], unit="paragraph")
    expected = "The dog sees. The cat\n\n- one two\n- three\n# Four\nfive\n```\nx\n```\nsix\n"
    assert translation.text == expected


@settings(max_examples=30)
@given(st.lists(st.sampled_from(LINES), max_size=8).map("\n".join))
def test_every_line_is_itself(text: str) -> None:
    [translation] = copying().translate([text], unit="sentence")
    found, expected = translation.text.split("\n"), text.split("\n")
    assert [*map(normalise_source, found)] == [*map(normalise_source, expected)]
    assert [line[: -len(line.lstrip()) or None] for line in found if not line.strip()] == [
        line[: -len(line.lstrip()) or None] for line in expected if not line.strip()
    ]


def test_sentences_are_translated_apart() -> None:
    text = "The dog sees. The cat, too!\n- A bird?"
    [translation] = copying().translate([text], unit="sentence")
    said = [part.source for part in translation.parts if part.hypothesis]
    assert said == ["The dog sees.", "The cat, too!", "A bird?"]
    [line] = copying().translate([text], unit="line")
    assert [part.source for part in line.parts if part.hypothesis] == [*said[:2], "- A bird?"]
    assert line.text == text.replace("\n", " ")


@pytest.mark.parametrize("unit", ["line", "sentence", "paragraph"])
@pytest.mark.parametrize(
    ("around", "words"),
    [
        ("1. ", "An introduction"),
        ("- ", "Milk"),
        ("> ", "I am tired."),
        ("a) ", "Buy milk."),
        ("## ", "The end"),
        ("Sarah: ", "I am at home."),
        ("Dr. Ann Lee: ", "I am at home."),
        ("- Tom: ", "I am at home."),
        ("[00:00:02.000 --> 00:00:11.400]   ", "Where is he?"),
        ("00:01:00,000 --> 00:01:02,500 X1:100 X2:200", ""),
        ("WEBVTT", ""),
        ("\ufeffWEBVTT - Kalo", ""),
        ("", "WEBVTT is a format."),
        ("", "Warning: Do not drink this."),
        ("", "There is one thing: Tom is here."),
        ("", "Note: this is not all."),
    ],
)
def test_what_stands_before_the_words_is_not_translated(
    unit: Unit, around: str, words: str
) -> None:
    parts = [*segments(around + words, unit)]
    assert "".join(part.text + part.separator for part in parts) == around + words
    assert [part.text for part in parts if part.text.strip()] == [words] * bool(words)


@pytest.mark.parametrize("unit", ["line", "sentence"])
def test_a_tab_is_never_in_a_sentence(unit: Unit) -> None:
    row = "2022-03-19\t\tTom\tI am here. He is not."
    parts = [*segments(row, unit)]
    assert "".join(part.text + part.separator for part in parts) == row
    assert not any("\t" in part.text for part in parts)


def test_cells_of_a_table_are_apart_and_lines_without_words_stand_alone() -> None:
    text = "| kalo | lo mi |\n|---|---|\n| wog | ren |\n\nKalo\n====\nlo mi\nwog.\n---\n"
    parts = [part.text for part in segments(text, "paragraph") if part.text.strip("|-=\n ")]
    assert parts == ["kalo", "lo mi", "wog", "ren", "Kalo", "lo mi\nwog."]
    assert "".join(part.text + part.separator for part in segments(text, "paragraph")) == text


WEBVTT = """\
WEBVTT - a dog
Kind: captions

NOTE
the dog
sees

STYLE
::cue { color: red }

1
00:14.167 --> 00:16.083 align:start position:0%
The dog

NOTE the cat"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("unit", ["sentence", "paragraph"])
def test_of_a_webvtt_file_the_cues_alone_are_translated(unit: Unit, end: str) -> None:
    text = WEBVTT.replace("\n", end)
    texts = [*chain.from_iterable(blocks([lines_of(text)], unit))]
    assert "".join(texts) == text
    translations = [*copying().translate_lines(texts, unit=unit)]
    assert "".join(translation.text for translation in translations) == text
    said = [part.source for each in translations for part in each.parts if part.hypothesis]
    assert said == ["The dog"]


def test_note_begins_a_sentence_where_the_file_is_no_webvtt() -> None:
    texts = [*chain.from_iterable(blocks([["Kalo.\n", "\n", "NOTE kalo\n"]], "sentence"))]
    assert texts == ["Kalo.\n", "\n", "NOTE kalo\n"]


@pytest.mark.parametrize("unit", ["line", "sentence", "paragraph"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (r"The dog.\nThe cat", ["The dog.", "The cat"]),
        (r"The dog\tthe cat\r\n", ["The dog", "the cat"]),
        (r"{\an8}{\i1}The dog sees.", ["The dog sees."]),
        ("[00:00:02.000 --> 00:00:11.400]   The dog.", ["The dog."]),
        (r"The \"dog\" sees.", [r"The \"dog\" sees."]),
    ],
)
def test_what_divides_a_text_stays_between_its_parts(
    unit: Unit, text: str, said: list[str]
) -> None:
    [translation] = copying().translate([text], unit=unit)
    assert translation.text == text
    assert [part.source for part in translation.parts if part.hypothesis] == said
