"""Pivot translation: two translators in a row do what one does; which of them a text is for.

`TestBundled` runs the command, with the bundled models.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import count, islice
from pathlib import Path

import pytest
from helpers.commands import only_error, show_stderr
from helpers.commands import run as translate
from helpers.corpora import make_sentences
from helpers.engines import CopyEngine
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.bundled import DEFAULT_MODEL, bundled_models
from seq2seq.cli import progress
from seq2seq.config.model_config import Direction, SearchConfig
from seq2seq.config.recipe import TokenizerConfig
from seq2seq.errors import UsageError
from seq2seq.text.alignment import WordAlignment
from seq2seq.text.blocks import Unit
from seq2seq.text.glossary import Glossary
from seq2seq.tokenizer import Tokenizer
from seq2seq.translation.base import BaseTranslator, TranslateOptions
from seq2seq.translation.pivot import (
    DirectedTranslator,
    PivotTranslator,
    composed_links,
    two_steps,
)
from seq2seq.translation.result import Candidate, SegmentTranslation, Translation
from seq2seq.translation.router import Router
from seq2seq.translation.translator import Translator

UNITS: tuple[Unit, ...] = ("line", "sentence", "paragraph")
LINES = ["Kalo miren. Wog elbo!", "", "  ", "17", "- kalo wog.\n- el bo", "{x} kalo\nsta ren."]
BY_PARTS = "Kalo miren.  Wog elbo! Stafi."


def ways(directions: str) -> list[Direction]:
    return [Direction(*one.split("-")) for one in directions.split()]


@cache
def tokenizer() -> Tokenizer:
    languages = ["de", "en", "es", "fr"]
    return Tokenizer.train(make_sentences(400, 1), TokenizerConfig(vocabulary_size=480), languages)


def model(directions: str) -> Translator:
    """Says its source again."""
    engine = CopyEngine(len(tokenizer()))
    return Translator.over(engine, tokenizer(), ways(directions), SearchConfig(beam_size=3))


@cache
def copying() -> PivotTranslator:
    """From German through English into French."""
    return PivotTranslator(model("de-en"), model("en-fr"))


class Script(BaseTranslator):
    """Translates each text as `say` does: text and links of each candidate."""

    def __init__(
        self, way: str, say: Callable[[str], Sequence[tuple[str, WordAlignment]]], *notes: str
    ) -> None:
        self._direction = Direction(*way.split("-"))
        self._say, self._notes = say, notes
        self.calls: list[tuple[int, Unit, bool]] = []

    @property
    def directions(self) -> tuple[Direction, ...]:
        return (self._direction,)

    @property
    def direction(self) -> Direction:
        return self._direction

    @property
    def search(self) -> SearchConfig:
        return SearchConfig(beam_size=3)

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        self.calls.append((options.n_best, options.unit, options.keep_parts))
        return (Translation(text, tuple(self._candidates(text, options.n_best))) for text in lines)

    def _candidates(self, source: str, n_best: int) -> Iterator[Candidate]:
        for rank, (text, links) in enumerate(self._say(source)[:n_best]):
            part = SegmentTranslation(source, (), text, None, "", links)
            yield Candidate(text, -1.0 - rank, 0.5, (*self._notes, f"read {source}"), (part,))


def scripted() -> tuple[Script, Script]:
    """Words in reverse, then two ways to say them."""

    def backwards(text: str) -> list[tuple[str, WordAlignment]]:
        words = text.split()
        last = len(words) - 1
        return [(" ".join(reversed(words)), tuple((last - n, n) for n, _ in enumerate(words)))]

    def forwards(text: str) -> list[tuple[str, WordAlignment]]:
        links = tuple((n, n) for n, _ in enumerate(text.split()))
        return [(text.upper(), links), (f"{text}!", ())]

    return Script("de-en", backwards, "careful"), Script("en-fr", forwards, "careful")


# Two steps


def test_the_second_reads_what_the_first_wrote() -> None:
    first, second = scripted()
    translator = PivotTranslator(first, second)
    assert (str(translator.direction), translator.pivot) == ("de-fr", "en")
    [translation] = translator.translate(["a b"], n_best=2)
    assert translation.source == "a b"
    assert [one.text for one in translation.candidates] == ["B A", "b a!"]
    assert [one.score for one in translation.candidates] == [-2.0, -3.0]  # the sum of both
    assert [one.confidence for one in translation.candidates] == [None, None]
    assert translation.notes == (
        "into 'en': careful",
        "into 'en': read a b",
        "from 'en': careful",
        "from 'en': read b a",
    )
    assert first.calls == [(1, "line", True)]
    assert second.calls == [(2, "line", True)]


@pytest.mark.parametrize(
    "options", [TranslateOptions(glossary=Glossary([])), TranslateOptions(min_confidence=0.5)]
)
def test_what_holds_for_one_step_alone_is_refused(options: TranslateOptions) -> None:
    with pytest.raises(UsageError, match=r"pivot translation \(de-fr goes through en\)"):
        PivotTranslator(*scripted()).stream(["a"], options)


def test_words_are_linked_through_those_in_between() -> None:
    [translation] = PivotTranslator(*scripted()).translate(["a b c"], n_best=2)
    assert translation.alignment == ((2, 0), (1, 1), (0, 2))
    assert translation.candidates[1].alignment == ()
    [part] = translation.parts
    assert (part.source, part.text) == ("a b c", "C B A")
    [bare] = PivotTranslator(*scripted()).translate_lines(["a b c"], keep_parts=False)
    assert (bare.text, bare.parts, bare.alignment) == ("C B A", (), ())


@pytest.mark.parametrize(
    ("unit", "then"), [("line", "line"), ("sentence", "sentence"), ("paragraph", "sentence")]
)
def test_lines_that_were_joined_stay_so(unit: Unit, then: Unit) -> None:
    first, second = scripted()
    PivotTranslator(first, second).translate(["a"], unit=unit)
    assert (first.calls[0][1], second.calls[0][1]) == (unit, then)


links = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5))).map(tuple)


@given(links, links)
def test_every_link_has_a_word_in_between(first: WordAlignment, second: WordAlignment) -> None:
    expected = {(i, k) for i, j in first for between, k in second if between == j}
    found = composed_links(first, second)
    assert {*found} == expected
    assert len(found) == len(expected)
    assert [*found] == sorted(found, key=lambda link: (link[1], link[0]))


@pytest.mark.parametrize("unit", UNITS)
def test_layout_stays(unit: Unit) -> None:
    """Both copy what they read, so that two steps come to what one does."""
    once = copying().first.stream(LINES, TranslateOptions(unit=unit))
    assert [one.text for one in copying().translate(LINES, unit=unit)] == [one.text for one in once]


@settings(max_examples=50)
@given(st.lists(st.sampled_from(LINES), max_size=12), st.sampled_from(UNITS))
def test_order_is_kept_and_words_are_linked(lines: list[str], unit: Unit) -> None:
    found = [*copying().translate_lines(iter(lines), unit=unit)]
    assert [one.source for one in found] == lines
    for one in found:
        here, there = len(one.source.split()), len(one.text.split())
        assert all(i < here and k < there for i, k in one.alignment)
        assert bool(one.text.strip()) == bool(one.source.strip())


@pytest.mark.slow
def test_lines_without_end() -> None:
    taken: list[int] = []

    def lines() -> Iterator[str]:
        for number in count():
            taken.append(number)
            yield f"kalo {number}"

    found = [one.source for one in islice(copying().translate_lines(lines()), 600)]
    assert found == [f"kalo {number}" for number in range(600)]
    assert len(taken) < 10_000


def test_where_lines_fail_those_before_come_first() -> None:
    def lines() -> Iterator[str]:
        yield from (f"kalo {number}" for number in range(700))
        raise ValueError("no more")

    found: list[str] = []
    with pytest.raises(ValueError, match="no more"):
        found.extend(one.source for one in copying().translate_lines(lines()))
    assert found == [f"kalo {number}" for number in range(700)]


def test_what_is_done_of_a_text_is_told_once() -> None:
    told: list[str] = []
    [translation] = copying().translate_lines([BY_PARTS], unit="sentence", on_part=told.append)
    assert translation.text == BY_PARTS
    assert [part for part in told if part] == ["Kalo miren.  ", "Wog elbo! "]


def test_a_bar_moves_with_the_second_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """And waits for it, however long the first one takes."""
    screen, seconds = show_stderr(monkeypatch), count(100.0, 10.0)
    monkeypatch.setattr(progress, "monotonic", lambda: next(seconds))
    with progress.ProgressBar(size=4 * len(BY_PARTS)) as bar:
        options = TranslateOptions(unit="sentence", on_part=bar.advance_within)
        assert len([*copying().stream([BY_PARTS], options)]) == 1
    # 13 of 116 characters after 10 seconds, and 23 after 20.
    assert re.findall(r"0:\d\d:\d\d left", screen.getvalue())[-1:] == ["0:01:21 left"]


@pytest.mark.parametrize("calls", [0, 2])
def test_either_step_may_be_ended(calls: int) -> None:
    called: list[str] = []

    def end(part: str) -> None:
        called.append(part)
        if len(called) > calls:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(copying().translate_lines([BY_PARTS], unit="sentence", on_part=end))
    assert len(called) == calls + 1


def test_a_text_is_not_a_list_of_texts() -> None:
    with pytest.raises(TypeError):
        copying().translate("kalo")
    with pytest.raises(TypeError):
        copying().translate_lines("kalo")


def test_n_best_must_fit_the_beam() -> None:
    assert copying().search.beam_size == 3
    with pytest.raises(UsageError):
        copying().translate(["kalo"], n_best=4)


def test_one_begins_where_the_other_ends() -> None:
    with pytest.raises(ValueError, match="en-fr does not begin where en-de ends"):
        PivotTranslator(model("en-de"), model("en-fr"))


# Which way


def test_two_steps() -> None:
    known = ways("de-en fr-en de-es en-fr es-fr en-de")
    found = {str(way): [*map(str, steps)] for way, steps in two_steps(known).items()}
    assert found == {
        "de-fr": ["de-en", "en-fr"],  # and not by Spanish, which comes later
        "fr-de": ["fr-en", "en-de"],
        "es-en": ["es-fr", "fr-en"],
        "en-es": ["en-de", "de-es"],
    }
    assert two_steps(ways("en-de de-en")) == {}


MODELS = ["en-de", "de-en en-de en-fr fr-en"]


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (None, None, "en-de"),
        ("en", "de", "en-de"),
        ("de", None, "de-en"),
        (None, "fr", "en-fr"),
        ("de", "fr", "de-en en-fr"),
        ("fr", "de", "fr-en en-de"),
    ],
)
def test_the_way_is_chosen(source: str | None, target: str | None, expected: str) -> None:
    route = Router(map(model, MODELS)).route(source, target)
    steps = [route.first, route.second] if isinstance(route, PivotTranslator) else [route]
    assert " ".join(str(step.direction) for step in steps) == expected


def engine_of(step: BaseTranslator) -> object:
    assert isinstance(step, DirectedTranslator)
    assert isinstance(step.translator, Translator)
    return step.translator.engine


def test_pivot_translation_may_cross_models(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "seq2seq")
    models = [*map(model, MODELS)]
    router = Router(models, source="fr", target="de")
    assert [translation.text for translation in router.translate(["Kalo miren."])] == [
        "Kalo miren."
    ]
    route = router.route("fr", "de")
    assert isinstance(route, PivotTranslator)
    assert engine_of(route.first) is models[1].engine
    assert engine_of(route.second) is models[0].engine
    assert caplog.messages == ["fr-de goes through en, since no model was trained for it."]


def test_where_no_language_leads_a_model_that_knows_both_tries(
    caplog: pytest.LogCaptureFixture,
) -> None:
    models = [model("en-de"), model("de-en fr-es")]
    route = Router(models).route("de", "es")
    assert str(route.direction) == "de-es"
    assert engine_of(route) is models[1].engine
    assert caplog.messages == [
        "the model was not trained for de-es, and may answer in another language."
    ]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("xx", "de", "the model does not translate from 'xx' into 'de'; it knows en-de, fr-es."),
        (None, "xx", "the model does not translate into 'xx'; it knows en-de, fr-es."),
        ("en", "en", "the model does not translate from 'en' into 'en'; it knows en-de, fr-es."),
        (
            "en",
            "es",
            "no model knows both 'en' and 'es', and no third language leads from one to the other; "
            "the models know en-de, fr-es.",
        ),
    ],
)
def test_no_way(source: str | None, target: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Router([model("en-de"), model("fr-es")]).route(source, target)
    assert str(caught.value) == message


# The command


def note(source: str, target: str) -> str:
    return f"translate: {source}-{target} goes through en, since no model was trained for it.\n"


GERMAN, FRENCH, SPANISH = "Wo ist der Bahnhof?", "Où est la gare ?", "¿Dónde está la estación?"


@pytest.mark.slow
class TestBundled:
    """`translate` as a process."""

    @pytest.mark.parametrize(
        ("source", "target", "text"),
        [
            ("de", "fr", GERMAN),
            ("fr", "es", FRENCH),
            ("es", "de", SPANISH),
        ],
    )
    def test_it_is_what_two_commands_say(self, source: str, target: str, text: str) -> None:
        english = translate("-f", source, "-t", "en", text).stdout.removesuffix("\n")
        done = translate("-f", source, "-t", target, text)
        assert done.stdout == translate("-f", "en", "-t", target, english).stdout
        assert done.stdout not in ("\n", f"{text}\n", f"{english}\n")
        assert (done.returncode, done.stderr) == (0, note(source, target))
        quiet = translate("--quiet", "-f", source, "-t", target, text)
        assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, done.stdout, "")

    def test_a_file(self, tmp_path: Path) -> None:
        path, output = tmp_path / "in.txt", tmp_path / "out.txt"
        path.write_bytes(f"{GERMAN}\r\n\r\n17\n  \n{GERMAN}".encode())
        done = translate("-b", "1", "-f", "de", "-t", "fr", "-i", path, "-o", output)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", note("de", "fr"))
        first, *blanks, last = output.read_bytes().split(b"\n")
        assert blanks == [b"\r", b"17", b""]
        assert first == last + b"\r"

    def test_formats(self, tmp_path: Path) -> None:
        options = ("--quiet", "-f", "de", "-t", "fr")
        plain = translate(*options, GERMAN).stdout.removesuffix("\n")
        found = json.loads(translate(*options, "--json", "--alignment", GERMAN).stdout)
        assert found["source"] == GERMAN
        assert found["translation"] == plain
        assert found["score"] < 0
        assert found["confidence"] is None
        words, others = len(GERMAN.split()), len(plain.split())
        assert found["alignment"]
        assert all(i < words and k < others for i, k in found["alignment"])
        links = " ".join(f"{i}-{k}" for i, k in found["alignment"])
        aligned = translate(*options, "--alignment", GERMAN).stdout
        assert aligned == f"{plain} ||| {links}\n"
        assert translate(*options, "--tee", GERMAN).stdout == f"{GERMAN}\t{plain}\n"
        best = translate(*options, "--n-best", "2", GERMAN, "17").stdout.splitlines()
        assert [line.split(" ||| ")[0] for line in best] == ["0", "0", "1"]
        assert best[0].split(" ||| ")[1] == plain
        column = translate(*options, "--column", "2", stdin=f"a\t{GERMAN}\n").stdout
        assert column.split("\t")[0] == "a"
        assert column.count("\t") == 2

    def test_a_text_keeps_its_layout_and_its_spans(self) -> None:
        text = f"# {GERMAN}\n\n- {GERMAN} Er\n  liest {{name}}.\n"
        done = translate("-f", "de", "-t", "fr", "--unit", "paragraph", stdin=text)
        lines = done.stdout.split("\n")
        assert [line[:2] for line in lines] == ["# ", "", "- ", ""]
        assert lines[2].count("{name}") == 1

    @pytest.mark.parametrize("option", ["--glossary", "--min-confidence"])
    def test_what_pivot_translation_cannot_keep_is_refused(
        self, tmp_path: Path, option: str
    ) -> None:
        terms, output = tmp_path / "terms.tsv", tmp_path / "out.txt"
        terms.write_text("Bahnhof\tgare\n")
        value = str(terms) if option == "--glossary" else "0.3"
        message = only_error(translate("-f", "de", "-t", "fr", option, value, GERMAN), 2)
        name = "a glossary" if option == "--glossary" else "a minimum confidence"
        refused = f"{name} cannot be used with pivot translation"
        assert message.startswith(f"translate: {refused} (de-fr goes through en)")
        translate("-f", "de", "-t", "fr", option, value, "-o", output, GERMAN)
        assert [*tmp_path.iterdir()] == [terms]
        # Of lines whose language is found out, those that take one step are translated.
        done = translate("-f", "auto", "-t", "de", option, value, stdin=f"{FRENCH}\nI am tired.\n")
        first, second, _ = done.stdout.split("\n")
        assert first == FRENCH
        assert second != "I am tired."
        assert done.stderr == (
            f"translate: stdin, line 1: left as it is: it is in 'fr', and {refused}.\n"
        )

    def test_each_line_goes_its_way(self) -> None:
        lines = ["Où est la gare, mon ami ?", "I am tired.", "", "17", "Ich bin müde, mein Freund."]
        text = "".join(f"{line}\n" for line in [*lines, lines[0]])
        done = translate("-b", "1", "-f", "auto", "-t", "de", stdin=text)
        assert done.stderr == note("fr", "de")
        french, english, *same, again, _ = done.stdout.split("\n")
        assert french == again != lines[0]
        assert english == translate("-b", "1", lines[1]).stdout.removesuffix("\n")
        assert same == lines[2:5]
        assert translate("-b", "1", "-f", "auto", stdin=text).stdout == done.stdout  # German too

    def test_text_in_an_unknown_script_or_language_stays_with_a_note(self) -> None:
        text = "გამარჯობა მეგობარო\n我爱你。\n17\nIk heb geen tijd vandaag.\n"
        done = translate("-f", "auto", "-t", "en", stdin=text)
        assert done.stdout == text
        assert done.stderr.count("left as it is: it is in no language that is known") == 3

    def test_nothing_to_go_by_takes_one_step(self) -> None:
        done = translate("-f", "auto", "-t", "fr", stdin="\n17\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, "\n17\n", "")

    def test_lines_before_one_that_is_not_utf8(self) -> None:
        text = b"\n".join([GERMAN.encode(), b"", b"17"] * 400 + [b"b\xe4d", b"18\n"])
        done = translate("-b", "1", "-f", "de", "-t", "fr", stdin=text)
        assert done.returncode == 1
        assert done.stdout.count("\n") == 1200
        assert "line 1201: byte 2" in done.stderr

    def test_unknown_languages_list_all_directions(self) -> None:
        message = only_error(translate("-f", "de", "-t", "zz", "17"), 2)
        assert "from 'de' into 'zz'; it knows en-de, " in message
        assert "en-fr" in message

    def test_one_model_goes_by_its_own_languages(self) -> None:
        several = next(folder for folder in bundled_models() if folder != DEFAULT_MODEL)
        done = translate("-m", several, "-f", "de", "-t", "fr", GERMAN)
        assert (done.returncode, done.stderr) == (0, note("de", "fr"))
        assert done.stdout == translate("--quiet", "-f", "de", "-t", "fr", GERMAN).stdout
        message = only_error(translate("-m", DEFAULT_MODEL, "-f", "de", "-t", "fr", GERMAN), 2)
        assert "it knows en-de." in message
