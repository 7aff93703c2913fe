"""Subtitles: sentences over several cues, what stays, and where translations are cut."""

import random
import re

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.document import UnitTranslation
from seq2seq.documents.subtitles import read
from seq2seq.errors import Seq2SeqError

SRT = r"""1
00:00:01,000 --> 00:00:02,500
When I was a child, my father
told me that

2
00:00:02,600 --> 00:00:05,000 X1:10
the house was <i>very</i> old.

3
00:00:06,000 --> 00:00:08,000
- Where are you?
- At the station.

4
00:00:09,000 --> 00:00:10,000
{\an8}<i>Good morning!</i>

5
00:00:11,000 --> 00:00:12,000
♪ ♪
"""
VTT = """WEBVTT - A film
Kind: captions

STYLE
::cue { color: red }

NOTE I lost my key.

intro
00:01.000 --> 00:02.500 align:start line:0
<v Tom>I lost my &amp; your key because

01:00:02.500 --> 01:00:04.500
<v Mary>the house &lt;3 is <c.loud>not</c> mine.
"""


def cues(*texts: str) -> str:
    """Cues one after the other."""
    return "\n".join(
        f"{n + 1}\n00:00:{n:02},000 --> 00:00:{n:02},900\n{text}\n" for n, text in enumerate(texts)
    )


def texts_of(subtitles: str) -> list[str]:
    """The units."""
    return [unit.text for unit in read(subtitles.encode(), "en", "de").units]


def cue_texts(subtitles: str, *translations: str) -> list[str]:
    """The text of each cue, translated."""
    document = read(subtitles.encode(), "en", "de")
    after = document.render([*map(UnitTranslation, translations)]).decode()
    return [block.split("\n", 2)[2] for block in after.rstrip().split("\n\n")]


def test_units_are_sentences_and_turns_with_their_time() -> None:
    units = read(SRT.encode(), "en", "de").units
    assert [(unit.context, unit.text) for unit in units] == [
        (
            "00:00:01,000",
            "When I was a child, my father told me that the house was <g1>very</g1> old.",
        ),
        ("00:00:06,000", "- Where are you?\n- At the station."),
        ("00:00:09,000", "Good morning!"),
    ]


def test_head_comments_styles_settings_and_speakers_of_webvtt_stay() -> None:
    document = read(VTT.encode(), "en", "de")
    assert [unit.text for unit in document.units] == [
        "I lost my & your key because",
        "the house <3 is <g1>not</g1> mine.",
    ]
    after = document.render([UnitTranslation("a > b & c"), UnitTranslation("<g1>x</g1> y")])
    assert after.decode() == VTT.replace(
        "I lost my &amp; your key because", "a &gt; b &amp; c"
    ).replace("the house &lt;3 is <c.loud>not</c> mine.", "<c.loud>x</c> y")


@pytest.mark.parametrize("text", [SRT, VTT, "", "\ufeff" + VTT, SRT * 2, SRT.rstrip(), "WEBVTT"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_without_translations_the_bytes_are_the_same(text: str, end: str) -> None:
    data = text.replace("\n", end).encode()
    document = read(data, "en", "de")
    assert document.render([None] * len(document.units)) == data
    assert document.render([UnitTranslation(unit.text) for unit in document.units]) == data


def test_a_sentence_is_cut_at_the_end_of_a_clause_near_the_source_s_cut() -> None:
    subtitles = cues("I did not go to the station", "because I had lost my key.")
    [unit] = texts_of(subtitles)
    assert unit == "I did not go to the station because I had lost my key."
    assert cue_texts(subtitles, "Ich ging nicht zum Bahnhof, weil mein Schlüssel weg war.") == [
        "Ich ging nicht zum Bahnhof,",
        "weil mein Schlüssel weg war.",
    ]


def test_sentences_that_end_inside_a_cue_stay_where_they_are() -> None:
    subtitles = cues("Yes. I think that", "it is the big house over there. No", "it is not.")
    assert cue_texts(subtitles, "Ja. Ich glaube, es ist es. Nein, ist es nicht.") == [
        "Ja. Ich glaube,",
        "es ist es. Nein,",
        "ist es nicht.",
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("It is late.", "and so on."),
        ("Is it late?", "we go."),
        ("I see", "- You see?"),
        ("I see", "[door closes]"),
        ("I see", "♪ a song ♪"),
        ("CHAPTER ONE", "It was late."),
        ("<i>I see</i>", "the sea."),
        ("- I see\n- You see", "the sea."),
        ("He said:", "Go away."),
    ],
)
def test_what_is_said_apart_is_translated_apart(first: str, second: str) -> None:
    assert len(texts_of(cues(first, second, "End.", "End."))) == 4


def test_cues_far_apart_and_files_without_punctuation_are_not_joined() -> None:
    apart = cues("I see", "the sea.").replace("00:00:01,", "00:00:09,")
    assert texts_of(apart) == ["I see", "the sea."]
    assert len(texts_of(cues("so we went", "to the sea", "and then", "we came back."))) == 4


def test_an_element_that_is_cut_is_closed_and_opened_again() -> None:
    subtitles = cues("one <i>two three", "four</i> five.").replace("three\n", "three</i>\n")
    subtitles = subtitles.replace("four</i>", "<i>four</i>")
    assert texts_of(subtitles) == ["one <g1>two three</g1> <g2>four</g2> five."]
    assert cue_texts(subtitles, "<g1>eins zwei drei vier fünf</g1> <g2>sechs</g2>.") == [
        "<i>eins zwei drei vier</i>",
        "<i>fünf</i> <i>sechs</i>.",
    ]


def test_a_long_translation_is_broken_into_lines_of_one_length() -> None:
    [text] = cue_texts(cues("Hello."), "word " * 12 + "end.")
    first, second = text.split("\n")
    assert abs(len(first) - len(second)) < 6
    [unbroken] = cue_texts(cues("Hello,\nyou."), "Hallo, du.")
    assert unbroken == "Hallo, du."


def test_a_translation_without_spaces_is_cut_between_its_letters() -> None:
    subtitles = cues("I see", "the sea.")
    assert cue_texts(subtitles, "私は海が見えます。") == ["私は海が", "見えます。"]


def test_a_translation_of_one_word_is_shown_in_all_its_cues() -> None:
    assert cue_texts(cues("I", "see."), "Aha.") == ["Aha.", "Aha."]


def test_a_translation_does_not_end_its_cue() -> None:
    assert cue_texts(cues("Hello."), "a\n\n \nb --> c") == ["a\nb -> c"]


def test_text_behind_a_blank_line_of_srt_is_translated_too() -> None:
    assert texts_of("1\n00:00:01,000 --> 00:00:02,000\n\nHello.\n\nYou.\n") == ["Hello.", "You."]


@given(st.integers(0, 2**32), st.booleans())
def test_any_subtitles_keep_their_cues_and_marks(seed: int, is_webvtt: bool) -> None:
    rng = random.Random(seed)
    pieces = ["a", "B.", "see", ",", "<i>", "</i>", "\n", "- ", "{\\an8}", "é", "it", "<b>", "</b>"]
    blocks = [
        f"00:00:{n:02}.000 --> 00:00:{n:02}.900\nx{' '.join(rng.choices(pieces, k=6))}\n"
        for n in range(rng.randint(1, 6))
    ]
    text = ("WEBVTT\n\n" if is_webvtt else "") + "\n".join(blocks)
    document = read(text.encode(), "en", "de")
    texts = [unit.text for unit in document.units]
    assert document.render([*map(UnitTranslation, texts)]) == text.encode()
    words = [" ".join(rng.sample(text.split(), len(text.split()))) + " neu" for text in texts]
    after = document.render([*map(UnitTranslation, words)]).decode()
    assert re.findall(".*-->.*", after) == re.findall(".*-->.*", text)
    for tag in ("<i>", "</i>", "<b>", "</b>", "{\\an8}"):
        assert after.count(tag) >= text.count(tag)


def test_another_reader_finds_the_same_cues() -> None:
    for text, kind in ((SRT, "srt"), (VTT, "vtt")):
        document = read(text.encode(), "en", "de")
        after = document.render([UnitTranslation(f"x {unit.text}") for unit in document.units])
        before_, after_ = (
            pysubs2.SSAFile.from_string(found, format_=kind) for found in (text, after.decode())
        )
        assert [(cue.start, cue.end) for cue in before_] == [(cue.start, cue.end) for cue in after_]
        assert all(cue.plaintext for cue in after_)


@pytest.mark.parametrize("text", ["Hello.", "1\n2\n", "00:01 Hello", "--> " * 10_000])
def test_what_has_no_times_is_told(text: str) -> None:
    with pytest.raises(Seq2SeqError, match=r"^has no subtitle times\.$"):
        read(text.encode(), "en", "de")


def test_a_file_whose_only_time_is_damaged_is_refused() -> None:
    with pytest.raises(Seq2SeqError, match="no subtitle times"):
        read(b"1\n00:99999999:01,000 --> 00:00:03,000\nThe dog", "en", "de")
