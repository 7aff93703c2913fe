"""Any text at all, through a model directory of random weights: one line in, one line out."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
from helpers import tiny
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seq2seq.config.model_config import ModelConfig
from seq2seq.text.masking import without_invisible
from seq2seq.translation.result import Translation
from seq2seq.translation.translator import Translator

pytestmark = pytest.mark.slow

HOSTILE = [
    *("\0", "\ud800", "\udfff", "\udce4", "\ufffe", "\U0010ffff", "\ue000", "\ufeff", "\u2581"),
    *("\r", "\n", "\r\n", "\u2028", "\u2029", "\x85", "\v", "\f", "\x1c", "\x1e", "\t", "\u00a0"),
    *("\u202e", "\u2066", "\u200d", "👨\u200d👩", "🇩🇪", "a\u0301\u0323" * 30, "\u0301" * 40, "ﷺ"),
    *("<ph0>", "<2de>", "<s>", "</s>", "<unk>", "<0x0A>", "|||", "\x1b[31m", "\u3164", "\u00ad"),
    *("x" * 300, "駅" * 80, " " * 300, "." * 300, "12.50", "hello", "Dr. Who?", "“So!” "),
]
TEXTS = st.one_of(
    st.text(st.characters(codec=None), max_size=60),
    st.lists(st.sampled_from(HOSTILE), max_size=12).map("".join),
    st.lists(st.sampled_from(HOSTILE), max_size=12).map(" ".join),
)
FEW = settings(deadline=None, max_examples=60)


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    network = tiny.network(ModelConfig(hidden_size=16, encoder_layers=1, decoder_layers=1, heads=2))
    folder = tiny.export(network, tmp_path_factory.mktemp("models") / "tiny.s2s")
    translator = Translator(folder, threads=1)
    translator.search = replace(
        translator.search, beam_size=2, max_source_length=20, max_length_ratio=1.0
    )
    return translator


def said(translations: list[Translation]) -> list[list[tuple[str, float]]]:
    return [[(one.text, one.score) for one in each.candidates] for each in translations]


@FEW
@given(text=TEXTS)
def test_one_line_of_utf8(translator: Translator, text: str) -> None:
    [translation] = translator.translate([text], n_best=2)
    for candidate in translation.candidates:
        assert "\n" not in candidate.text
        assert "\r" not in candidate.text
        assert candidate.text.encode().decode() == candidate.text
        assert bool(candidate.text.strip()) == bool(text.strip())
        assert candidate.score <= 0


@FEW
@given(texts=st.lists(TEXTS, max_size=6))
def test_each_text_has_its_own_translation(translator: Translator, texts: list[str]) -> None:
    together = translator.translate(texts, n_best=2)
    assert [translation.source for translation in together] == texts
    alone = [translator.translate([text], n_best=2)[0] for text in texts]
    assert said(together) == said(alone)


@FEW
@given(texts=st.lists(TEXTS, max_size=4))
def test_nothing_but_the_parts_is_lost_without_them(
    translator: Translator, texts: list[str]
) -> None:
    without = list(translator.translate_lines(texts, n_best=2, keep_parts=False))
    assert said(without) == said(translator.translate(texts, n_best=2))
    assert not any(candidate.parts for each in without for candidate in each.candidates)


@FEW
@given(text=TEXTS)
def test_the_parts_give_the_text_back(translator: Translator, text: str) -> None:
    [translation] = translator.translate([text])
    whole = "".join(part.source + part.separator for part in translation.parts)
    valid = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert without_invisible(whole).strip() == without_invisible(valid).strip()


@FEW
@example(text="|A|")
@example(text="A |")
@example(text="0:A")
@example(text="A\t \t0")
@given(text=TEXTS)
def test_the_parts_are_told_as_they_are_done(translator: Translator, text: str) -> None:
    told: list[str] = []
    [translation] = translator.translate_lines([text], on_part=told.append)
    sources = [part.source + part.separator for part in translation.parts]
    assert told == sources[:-1]


def test_a_long_line_moves_on_steadily(translator: Translator) -> None:
    told: list[str] = []
    texts = ["Hello there. " * 3000, "bye"]
    assert len([*translator.translate_lines(texts, keep_parts=False, on_part=told.append)]) == 2
    assert told == ["Hello there. "] * 2999


def test_a_long_line_is_not_cut_up_all_at_once(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = 0
    encode = translator.tokenizer.encode

    def counting(texts: list[str]) -> list[list[int]]:
        nonlocal encoded
        encoded += sum(map(len, texts))
        return encode(texts)

    monkeypatch.setattr(translator.tokenizer, "encode", counting)
    text = "hello there. " * 100_000

    def stop(_: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):  # at the first part
        next(translator.translate_lines([text], on_part=stop))
    assert 0 < encoded < len(text) / 10


def test_what_was_read_before_a_failure_comes_first(translator: Translator) -> None:
    def lines() -> Iterator[str]:
        yield from ["one", "", "17", "two. " * 50]
        raise OSError("the disk is gone")

    translations = translator.translate_lines(lines())
    assert [one.source for one in islice(translations, 4)] == ["one", "", "17", "two. " * 50]
    with pytest.raises(OSError, match="the disk is gone"):
        next(translations)


@pytest.mark.parametrize("text", ["\u0301\u0323" * 100_000, "a" + " " * 500_000 + "b", "\r" * 9999])
def test_a_great_deal_of_nearly_nothing(translator: Translator, text: str) -> None:
    [translation] = translator.translate([text])
    assert bool(translation.text.strip()) == bool(text.strip())
