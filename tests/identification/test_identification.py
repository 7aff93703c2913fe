"""Which language a text is in: the model that ships, its equations, its training, bad files."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load, save

from seq2seq.config.recipe import CorpusConfig
from seq2seq.corpus import Corpus, prepare
from seq2seq.errors import Seq2SeqError
from seq2seq.identification import SURE, LanguageIdentifier, source_of
from seq2seq.identification.alphabet import LONGEST, Alphabet, clean, without_accents
from seq2seq.identification.evaluation import WRITTEN, evaluate, table
from seq2seq.identification.examples import (
    Examples,
    bare,
    fragment,
    names_of,
    sentences_of,
)
from seq2seq.identification.identifier import BUNDLED
from seq2seq.identification.training import IdentifierConfig, ManyToOne, characters_of, train
from seq2seq.identification.word_table import BYTES, familiarity, table_of
from seq2seq.nn.cells import Weights, lstm_step

ROOT = Path(__file__).resolve().parents[2]
SMALL = IdentifierConfig(
    embedding_size=16, hidden_size=24, steps=120, batch_size=32, learning_rate=1e-2
)
EASY = {
    "de": ["Wo ist der nächste Bahnhof?", "Ich habe meinen Schlüssel verloren.", "Danke schön!"],
    "en": ["Where is the next station?", "I have lost my key.", "Thank you very much!"],
    "es": ["¿Dónde está la estación?", "He perdido mi llave.", "¡Muchas gracias!"],
    "fr": ["Où est la prochaine gare ?", "J’ai perdu ma clé.", "Merci beaucoup !"],
}


@pytest.fixture(scope="module")
def shipped() -> LanguageIdentifier:
    return LanguageIdentifier.load()


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    prefix = ROOT / "data" / "sample"
    train, valid, test = (str(prefix / name) for name in ("train", "valid", "test"))
    return prepare([CorpusConfig("en", "de", train=train, valid=valid, test=test)])


@pytest.fixture(scope="module")
def small(corpus: Corpus) -> bytes:
    sentences, valid = sentences_of(corpus.train), sentences_of(corpus.valid)
    return train(sentences, valid, names_of(corpus.train), SMALL)


class TestShipped:
    def test_it_is_small_and_has_a_card(self) -> None:
        assert BUNDLED.stat().st_size < 1_000_000
        assert "CC BY 2.0 FR" in BUNDLED.with_suffix(".md").read_text(encoding="utf-8")

    def test_its_languages(self, shipped: LanguageIdentifier) -> None:
        assert shipped.languages == ("de", "en", "es", "fr")

    @pytest.mark.parametrize("name", ["as they are", "lower case", "ALL CAPS", "no accents"])
    def test_plain_sentences_however_they_are_written(
        self, shipped: LanguageIdentifier, name: str
    ) -> None:
        for language, texts in EASY.items():
            for text in texts:
                found, sure = shipped.identify(WRITTEN[name](text, Random(1)))[0]
                assert (found, sure > 0.5) == (language, True), text

    @pytest.mark.parametrize(
        ("word", "language"),
        [
            *(("Danke", "de"), ("JA", "de"), ("yes", "en"), ("Hello", "en"), ("HOLA", "es")),
            *(("sí", "es"), ("no", "es"), ("merci", "fr"), ("OUI", "fr"), ("non", "fr")),
        ],
    )
    def test_words(self, shipped: LanguageIdentifier, word: str, language: str) -> None:
        assert shipped.identify(word)[0][0] == language

    def test_a_word_of_several_languages_is_doubtful(self, shipped: LanguageIdentifier) -> None:
        assert {language for language, _ in shipped.identify("no")[:2]} == {"en", "es"}
        for word in ("no", "hotel", "Tom"):
            assert shipped.identify(word)[0][1] < 0.95

    @pytest.mark.parametrize("text", ["", " \n\t", "12.50 €", "?!", "😀", "Привет, мир", "日本語"])
    def test_where_there_is_nothing_to_tell_by(
        self, shipped: LanguageIdentifier, text: str
    ) -> None:
        assert shipped.identify(text) == [(language, 0) for language in shipped.languages]

    @pytest.mark.parametrize(
        "text",
        [
            *("Non ho tempo oggi, torno domani.", "Dove si trova la stazione più vicina?"),
            *("Ik heb geen tijd vandaag.", "Mijn broer woont in een klein huis aan zee."),
            *("Olá, como você está?", "Não tenho tempo hoje.", "Jag älskar dig väldigt mycket."),
            *("Nie mam dzisiaj czasu.", "Gdzie jest dworzec?", "Nemám dnes čas."),
            *("Bugün hiç vaktim yok.", "Minulla ei ole aikaa tänään.", "Nu am timp astăzi."),
            *("NON HO TEMPO OGGI, TORNO DOMANI.", "ik heb geen tijd vandaag"),
        ],
    )
    def test_a_language_that_it_has_not_learnt_is_none_of_its_own(
        self, shipped: LanguageIdentifier, text: str
    ) -> None:
        guesses = shipped.identify(text)
        assert sum(share for _, share in guesses) <= 0.5
        assert source_of(guesses, shipped.languages) is None

    @pytest.mark.parametrize(
        "text",
        [
            "Rumpelstilzchen",
            "Ask Grzegorz Brzęczyszczykiewicz and Szczepan Wąchock.",
            "Die Datenschutzgrundverordnung und das Fernmeldegeheimnis gelten.",
            "sont ou etes: ou est la derniere lettre de ma mere ?",
            "Ich sagte: »Bonjour, mon ami!«",
            "THE KEYBOARD AND THE MOUSE ARE ON THE DESK.",
        ],
    )
    def test_names_terms_and_missing_accents_make_no_other_language(
        self, shipped: LanguageIdentifier, text: str
    ) -> None:
        assert source_of(shipped.identify(text), shipped.languages)

    def test_what_has_no_language_does_not_matter(self, shipped: LanguageIdentifier) -> None:
        plain = shipped.identify("Das ist gut.")
        assert shipped.identify("<b>Das</b> ist https://example.org/the/page gut.") == plain
        assert shipped.identify("   Das\nist {{whatever}} gut.  ") == plain

    def test_only_the_beginning_of_a_long_text_is_read(self, shipped: LanguageIdentifier) -> None:
        start = "Das ist ein sehr langer Text über nichts. " * 20
        assert shipped.identify(start + "The rest is English. " * 100_000) == shipped.identify(
            start
        )
        behind = shipped.identify("=" * 500_000 + start)
        assert behind[0][0] == "de"

    def test_importing_it_brings_no_torch(self) -> None:
        script = (
            "import sys; from seq2seq.identification import LanguageIdentifier; "
            "found = LanguageIdentifier.load().identify('Guten Morgen')[0][0]; "
            "print(found, {'torch', 'onnxruntime'} & {*sys.modules})"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "de set()\n", "")


@settings(deadline=None, max_examples=100)
@given(texts=st.lists(st.text(st.characters(codec=None), max_size=40), max_size=5))
def test_any_text_has_an_answer_of_its_own(texts: list[str]) -> None:
    identifier = LanguageIdentifier.load()
    together = identifier.identify_batch(texts)
    assert len(together) == len(texts)
    for text, answer in zip(texts, together, strict=True):
        assert {language for language, _ in answer} == set(identifier.languages)
        assert 0 <= sum(sure for _, sure in answer) <= 1 + 1e-5
        assert [sure for _, sure in answer] == sorted((sure for _, sure in answer), reverse=True)
        assert dict(answer) == pytest.approx(dict(identifier.identify(text)), abs=1e-5)


def test_a_batch_changes_nothing(shipped: LanguageIdentifier) -> None:
    texts = [text[:length] for part in EASY.values() for text in part for length in (2, 9, 40)]
    texts += ["", "x" * 1000, *texts]
    for text, answer in zip(texts, shipped.identify_batch(texts), strict=True):
        assert dict(answer) == pytest.approx(dict(shipped.identify(text)), abs=1e-5)
    assert shipped.identify_batch([]) == []


@pytest.fixture
def model() -> ManyToOne:
    """Random weights, of 12 characters and 3 languages."""
    torch.manual_seed(3)
    model = ManyToOne(12, 3, IdentifierConfig(embedding_size=8, hidden_size=10)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


class TestWords:
    def test_a_table_has_the_words_of_its_sentences_with_and_without_accents(self) -> None:
        table = table_of(["Où est la Mère?", "Il dort."])
        assert table.shape == (BYTES,)
        assert np.unpackbits(table).sum() == 8  # and "ou", "mere"
        assert familiarity("où mere la zut", table) == 1
        assert familiarity("où zut alors", table) == pytest.approx(1 / 3)

    def test_half_of_the_words_and_two_at_least_must_be_unknown(self) -> None:
        table = table_of(["one two three"])
        assert familiarity("xxx", table) == 1
        assert familiarity("xxx yyy", table) == 0
        assert familiarity("one two xxx yyy", table) == 0.5
        assert familiarity("one two three xxx yyy", table) == 1

    def test_an_unknown_name_does_not_count(self) -> None:
        table = table_of(["one two three"])
        assert familiarity("one Xxx Yyy Zzz", table) == 1
        assert familiarity("Xxx Yyy yyy", table) == 0
        assert familiarity("XXX YYY ZZZ", table) == 0


class TestSource:
    def test_the_likeliest_that_is_known(self) -> None:
        guesses = [("de", 0.5), ("en", 0.4), ("fr", 0.1)]
        assert source_of(guesses, {"en", "fr"}) == "en"
        assert source_of(guesses, {"xx"}) == "de"

    def test_another_that_it_surely_is(self) -> None:
        assert source_of([("de", SURE + 0.01), ("en", 0.04)], {"en"}) == "de"
        assert source_of([("de", SURE), ("en", 0.1)], {"en"}) == "en"

    def test_none_where_that_is_as_likely(self) -> None:
        assert source_of([("de", 0.3), ("en", 0.2)], {"de", "en"}) is None
        assert source_of([("de", 0.31), ("en", 0.2)], {"de", "en"}) == "de"
        assert source_of([("de", 0.0), ("en", 0.0)], {"de", "en"}) is None


class TestEquations:
    """`Network` is what torch trains, and its cell the one of `seq2seq.nn.cells`."""

    def test_numpy_computes_what_torch_computes(self, model: ManyToOne) -> None:
        rng = np.random.default_rng(1)
        ids, lengths = rng.integers(0, 26, (7, 20)), np.array([20, 1, 3, 20, 11, 2, 19])
        with torch.no_grad():
            expected = model(torch.from_numpy(ids), torch.from_numpy(lengths)).softmax(-1).numpy()
        assert model.network()(ids, lengths) == pytest.approx(expected, abs=1e-5)
        doubled = (np.log(expected) / 2).astype(np.float64)
        flat = np.exp(doubled) / np.exp(doubled).sum(-1, keepdims=True)
        assert model.network(temperature=2)(ids, lengths) == pytest.approx(flat, abs=1e-5)

    def test_padding_does_not_matter(self, model: ManyToOne) -> None:
        ids = np.arange(24).reshape(2, 12)
        long = model.network()(ids, np.array([12, 5]))
        assert model.network()(ids[1:, :5], np.array([5]))[0] == pytest.approx(long[1], abs=1e-6)

    def test_the_cell(self, model: ManyToOne) -> None:
        network = model.network()
        x = network.embed(np.arange(10).reshape(2, 1, 5))  # (2, B, T, X)
        states = network.states(x)
        for direction in (0, 1):
            none = np.zeros_like(network.bias[direction])
            weights = Weights(
                network.input[direction], network.hidden[direction], network.bias[direction], none
            )
            hidden = cell = np.zeros((1, 10), np.float32)
            for t in range(5):
                step = lstm_step(x[direction, :, t], hidden, cell, weights)
                hidden, cell = step.hidden, step.cell
                assert states[t, direction] == pytest.approx(hidden, abs=1e-6)


class TestText:
    def test_clean(self) -> None:
        assert clean("  It’s  “me”,\n at 12:45! ") == 'It\'s "me", at 00:00!'
        assert clean("12 %\n\t…") == ""
        assert clean("<br> {{x}} a@b.org") == ""
        assert clean("--- ¿Qué? ---") == "- ¿Qué? ---"
        assert clean("Cafe\u0301") == "Café"
        assert len(clean("ab " * 1000)) == LONGEST

    def test_a_capital_is_its_letter_and_one_thing_more(self) -> None:
        alphabet = Alphabet(" aé")
        assert alphabet.encode("aÉxX").tolist() == [1, 2, 3 + 4, 0, 0 + 4, 1]
        ids, lengths = alphabet.encode_batch(["", "aa"])
        assert ids.tolist() == [[1, 1, 0, 0], [1, 2, 2, 1]]
        assert lengths.tolist() == [2, 4]

    def test_a_character_that_is_rarer_than_two_in_a_million_is_not_learnt(self) -> None:
        """All 600,000 characters are read, so that ж is seen once or twice."""
        sentences = ["Aba" * 100] * 2_000
        assert characters_of([[*sentences, "ж"], ["cc c"]]) == ["a", "b", "c", " "]
        assert "ж" in characters_of([[*sentences, "ж", "ж"], ["cc c"]])

    def test_of_many_sentences_some_are_read(self) -> None:
        assert characters_of([["Aba"] * 99_999 + ["ж" * 99], ["cc c"]]) == ["a", "b", "c", " "]


class TestExamples:
    def test_changes(self) -> None:
        assert bare("¿Qué tal?") == "Qué tal"
        assert bare("Quoi ?!") == "Quoi"
        assert without_accents("Größe, cœur, ¿señor?") == "Grosse, coeur, ¿senor?"
        for seed in range(20):
            part = fragment("«Ich bin hier», sagte er.", 2, Random(seed))
            assert part in {"Ich bin", "bin hier", "hier», sagte", "sagte er"}
        assert fragment("Ja!", 3, Random(1)) == "Ja"
        assert fragment("...", 1, Random(1)) == "..."

    def test_names_stand_in_both_languages_and_not_first(self, corpus: Corpus) -> None:
        sentences = {"en": ["Did Anna see Tom?"], "de": ["Hat Anna Tom gesehen?"]}
        examples = Examples(sentences, ["Anna", "Zoé"])
        drawn = {examples.draw(Random(seed)).text for seed in range(400)}
        assert "Hat Zoé Tom gesehen?" in drawn
        assert "HAT ANNA TOM GESEHEN?" in drawn
        assert "did anna see tom?" in drawn
        assert "gesehen" in drawn
        assert all(name.istitle() for name in names_of(corpus.train))

    def test_each_language_is_drawn_as_often(self) -> None:
        examples = Examples({"a": ["x"] * 1000, "b": ["y"]})
        random = Random(1)
        drawn = [examples.draw(random).language for _ in range(2000)]
        assert 900 < sum(drawn) < 1100


@pytest.mark.slow
class TestTraining:
    def test_it_learns(self, small: bytes, corpus: Corpus, tmp_path: Path) -> None:
        (tmp_path / "small.safetensors").write_bytes(small)
        identifier = LanguageIdentifier.load(tmp_path / "small.safetensors")
        assert identifier.languages == ("de", "en")
        test = sentences_of(corpus.test)
        scores = {name: evaluate(identifier, test, change) for name, change in WRITTEN.items()}
        assert scores["as they are"].total.right > 0.95 * scores["as they are"].total.number
        assert scores["ALL CAPS"].total.right > 0.9 * scores["ALL CAPS"].total.number
        assert scores["as they are"].calibration_error < 0.1
        assert table(scores).count("\n") == 1 + len(WRITTEN)

    def test_the_same_seed_gives_the_same_file(self, corpus: Corpus) -> None:
        sentences, valid = sentences_of(corpus.test), sentences_of(corpus.valid)
        brief = IdentifierConfig(8, 8, steps=5, batch_size=8)
        models = [train(sentences, valid, ["Tom"], brief) for _ in range(2)]
        assert models[0] == models[1]
        other = IdentifierConfig(8, 8, steps=5, batch_size=8, seed=2)
        assert train(sentences, valid, ["Tom"], other) != models[0]

    def test_one_language_is_refused(self) -> None:
        with pytest.raises(Seq2SeqError, match="at least two languages"):
            train({"en": ["a"]}, {"en": ["a"]}, [], SMALL)

    def test_the_command_trains_tests_and_writes_a_card(self, tmp_path: Path) -> None:
        recipe = ROOT / "data" / "recipes" / "sample.toml"
        model = tmp_path / "m.safetensors"
        command: list[str | Path] = [sys.executable, "-m", "seq2seq", "train-identifier"]
        command += [recipe, "-o", model]
        settings = ["--steps", "3", "--hidden-size", "8"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}

        def run(*options: str) -> str:
            done = subprocess.run(
                [*command, *options], cwd=ROOT, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            return str(done.stdout)

        assert "| as they are |" in run(*settings)
        card = model.with_suffix(".md")
        assert "say here what they allow" in card.read_text(encoding="utf-8")
        card.write_text(
            "# Mine\n\n## How good it is\n\nVery.\n\n## Licence\n\nCC0\n", encoding="utf-8"
        )
        run("--evaluate-only")
        text = card.read_text(encoding="utf-8")
        assert text.startswith("# Mine\n\n## How good it is\n\n")
        assert text.endswith("\n\n## Licence\n\nCC0\n")
        assert "Very." not in text
        assert "| as they are |" in text


Tensors = dict[str, NDArray[Any]]


def _changed(name: str, value: Any) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: value}


def _text(words: str) -> NDArray[np.uint8]:
    return np.frombuffer(words.encode(), np.uint8)


class TestBadFiles:
    """Each is told in one sentence that names the file."""

    def refusal(self, data: bytes, folder: Path) -> str:
        (folder / "bad.safetensors").write_bytes(data)
        with pytest.raises(Seq2SeqError) as caught:
            LanguageIdentifier.load(folder / "bad.safetensors")
        message = str(caught.value)
        assert message.startswith(f"{folder / 'bad.safetensors'}: not a language identifier: ")
        assert message.endswith(".")
        return message

    def test_whole_files_are_read(self, small: bytes, tmp_path: Path) -> None:
        (tmp_path / "good").write_bytes(small)
        assert LanguageIdentifier.load(str(tmp_path / "good")).languages == ("de", "en")

    def test_cut_short_and_other_files(self, small: bytes, tmp_path: Path) -> None:
        for size in (0, 7, 100, len(small) - 1):
            assert "not a whole safetensors file" in self.refusal(small[:size], tmp_path)
        assert "not a whole" in self.refusal(b"#" * 500, tmp_path)
        assert "'languages' is missing" in self.refusal(
            save({"weights": np.zeros(3, np.float16)}), tmp_path
        )

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (_changed("languages", _text("de")), "2 to 1,024 different"),
            (_changed("languages", _text("de de")), "2 to 1,024 different"),
            (_changed("languages", _text("de ../x")), "is not a language code"),
            (_changed("languages", _text("de \x1b[31m")), "is not a language code"),
            (_changed("languages", np.zeros((2, 2), np.uint8)), "'languages' is not text"),
            (_changed("languages", _text("de en fr")), r"'output' has the shape \(2, 48\)"),
            (_changed("characters", np.array([97, 97], np.uint32)), "each once"),
            (_changed("characters", np.array([1 << 31], np.uint32)), "not a code point"),
            (_changed("characters", np.array([97], np.uint32)), "'embedding' has the shape"),
            (_changed("capital", np.zeros((), np.float16)), "dimensions"),
            (_changed("capital", np.zeros(0, np.float16)), "1 to 512 units"),
            (_changed("hidden", np.zeros((2, 2, 600), np.float16)), "1 to 512 units"),
            (_changed("hidden", np.zeros((2, 4, 1), np.float16)), "'input' has the shape"),
            (_changed("words", np.zeros(9, np.uint8)), "'words' has the shape"),
            (_changed("words", np.zeros((2, BYTES), np.int8)), "'words' has"),
            (_changed("output_bias", np.zeros(2, np.float32)), "holds float32"),
            (_changed("output_bias", np.full(2, np.nan, np.float16)), "not finite"),
        ],
    )
    def test_contents(
        self, small: bytes, tmp_path: Path, change: Callable[[Tensors], Tensors], reason: str
    ) -> None:
        assert re.search(reason, self.refusal(save(change(load(small))), tmp_path))

    def test_a_file_without_words_takes_all_for_its_languages(
        self, small: bytes, tmp_path: Path
    ) -> None:
        tensors = load(small)
        del tensors["words"]
        (tmp_path / "older").write_bytes(save(tensors))
        answer = LanguageIdentifier.load(tmp_path / "older").identify("qwx zzq kxw")
        assert sum(share for _, share in answer) == pytest.approx(1)

    def test_extreme_weights_overflow_nowhere(self, small: bytes, tmp_path: Path) -> None:
        tensors = {
            name: np.full_like(part, 65504) if part.dtype == np.float16 else part
            for name, part in load(small).items()
        }
        (tmp_path / "extreme").write_bytes(save(tensors))
        answer = LanguageIdentifier.load(tmp_path / "extreme").identify("Guten Morgen, THE END")
        assert sum(sure for _, sure in answer) == pytest.approx(1)

    def test_what_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(Seq2SeqError, match="there is no such file"):
            LanguageIdentifier.load(tmp_path / "none")
        with pytest.raises(Seq2SeqError, match="not a file"):
            LanguageIdentifier.load(tmp_path)
        with (tmp_path / "large").open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(Seq2SeqError, match="too large"):
            LanguageIdentifier.load(tmp_path / "large")
