"""Text to ids and back: nothing is lost, nothing is unknown, and every draw can be repeated."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest
import sentencepiece
from helpers.corpora import make_sentences
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config.recipe import Algorithm, TokenizerConfig
from seq2seq.errors import Seq2SeqError
from seq2seq.tokenizer import (
    BOS_ID,
    EOS_ID,
    PAD_ID,
    PLACEHOLDERS,
    UNK_ID,
    Tokenizer,
    language_tag,
    normalise_source,
    plain_spaces,
)

ODD = [
    *("\u2581", "\0", "\n", "\r\n", "\t", " ", "  ", "\u00a0", "\u202f", "\u2028", "\u0085"),
    *(
        "…",
        "½",
        "ﬁ",
        "e\u0301",
        "\ufeff",
        "\ufffd",
        "\u2047",
        "\u2585",
        "東京",
        "\U0001d518",
        "👩\u200d🚀",
    ),
    *("<ph0>", "<ph1>", "<ph15>", "<ph16>", "<ph", "<2de>", "<2en>", "<0x41>", "<0xE2>"),
    *("<s>", "</s>", "<pad>", "<unk>", "ka", "loka", "Schusta."),
]
TEXTS = st.text(max_size=30) | st.lists(st.sampled_from(ODD) | st.text(max_size=3)).map("".join)

SENTENCES = make_sentences(50, seed=3)


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def any_tokenizer(request: pytest.FixtureRequest, tokenizer: Tokenizer) -> Tokenizer:
    if request.param == "unigram":
        return tokenizer
    config = TokenizerConfig(algorithm="bpe", vocabulary_size=480)
    return Tokenizer.train(make_sentences(400, seed=1), config, ["en", "de"])


def draw(tokenizer: Tokenizer, texts: Sequence[str], alpha: float, seed: int) -> list[list[int]]:
    """Ids of each text, one after the other out of one generator."""
    sampler, random = tokenizer.sampler(alpha), Random(seed)
    return [sampler.draw(text, random) for text in texts]


@given(text=TEXTS)
def test_the_ids_give_the_text_back(any_tokenizer: Tokenizer, text: str) -> None:
    [ids] = any_tokenizer.encode([text])
    assert any_tokenizer.decode(ids) == text
    assert (ids == []) == (text == "")
    check_ids(any_tokenizer, ids)


@given(
    text=TEXTS,
    alpha=st.sampled_from([0.01, 0.1, 0.5, 1.0]),
    seed=st.integers(0, (1 << 32) - 1),
)
def test_sampled_ids_give_the_text_back(
    any_tokenizer: Tokenizer, text: str, alpha: float, seed: int
) -> None:
    [ids] = draw(any_tokenizer, [text], alpha, seed)
    assert any_tokenizer.decode(ids) == text
    check_ids(any_tokenizer, ids)
    assert count_placeholders(any_tokenizer, ids) == sum(map(text.count, PLACEHOLDERS))


def check_ids(tokenizer: Tokenizer, ids: list[int]) -> None:
    """Nothing of a text is unknown or a control symbol, whatever it spells."""
    tags = {tokenizer.language_id("en"), tokenizer.language_id("de")}
    assert not {PAD_ID, BOS_ID, EOS_ID, UNK_ID} & set(ids)
    assert not tags & set(ids)
    assert all(0 <= i < len(tokenizer) for i in ids)


def count_placeholders(tokenizer: Tokenizer, ids: list[int]) -> int:
    return sum(piece in PLACEHOLDERS for piece in tokenizer.pieces(ids))


@given(texts=st.lists(TEXTS, max_size=5))
def test_texts_do_not_depend_on_their_neighbours(
    any_tokenizer: Tokenizer, texts: list[str]
) -> None:
    alone = [any_tokenizer.encode([text])[0] for text in texts]
    assert any_tokenizer.encode(texts) == alone


@pytest.mark.parametrize(
    "text", ["…", "½", "10\u202fkm", "„Ja“", " a", "a ", "a  b", "\u2581x", "\0", "a\nb", ""]
)
def test_a_target_keeps_what_a_reader_sees(any_tokenizer: Tokenizer, text: str) -> None:
    assert any_tokenizer.decode(any_tokenizer.encode([text])[0]) == text


def test_the_first_word_is_written_as_within_a_sentence(any_tokenizer: Tokenizer) -> None:
    first, twice = any_tokenizer.encode(["schusta", "schusta schusta"])
    assert twice == first + first
    assert any_tokenizer.pieces(first)[0].startswith("\u2581")


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_placeholder_is_one_id_wherever_it_stands(
    any_tokenizer: Tokenizer, placeholder: str
) -> None:
    [alone] = any_tokenizer.encode([placeholder])
    inside = [i for i in alone if any_tokenizer.pieces([i]) == [placeholder]]
    assert len(inside) == 1
    for text in (f"ka{placeholder}lo", f"{placeholder}{placeholder}", f"ka {placeholder}."):
        for ids in any_tokenizer.encode([text]) + draw(any_tokenizer, [text], 0.01, seed=1):
            assert ids.count(inside[0]) == text.count(placeholder)


def test_control_symbols_are_silent(any_tokenizer: Tokenizer) -> None:
    [ids] = any_tokenizer.encode(["ka lo"])
    tag = any_tokenizer.language_id("de")
    assert any_tokenizer.decode([tag, BOS_ID, *ids, EOS_ID, PAD_ID, PAD_ID]) == "ka lo"


def test_sources_start_with_the_tag_of_the_target(tokenizer: Tokenizer) -> None:
    texts = ["ka  lo", "", "\u201eka\u201c"]
    tag, *_ = german = tokenizer.encode_sources(texts, "de")[0]
    assert tag == tokenizer.language_id("de") != tokenizer.language_id("en")
    assert tokenizer.pieces([tag]) == [language_tag("de")]
    assert german[1:] == tokenizer.encode(["ka lo"])[0]
    assert tokenizer.encode_sources(texts, "de")[1] == [tag]
    assert tokenizer.encode_sources(texts, "de")[2][1:] == tokenizer.encode(['"ka"'])[0]


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("  a \u00a0 b\n", "a b"),
        ("ﬁn ½ \uff12", "fin 1\u20442 2"),
        ("\u2018a\u2019 “b” „c“ «d»", '\'a\' "b" "c" "d"'),
        ("co\u00adop\u200b \ufeffa\u2011b", "coop a-b"),
        ("", ""),
    ],
)
def test_the_source_is_normalised(text: str, normalised: str) -> None:
    assert normalise_source(text) == normalised


def test_unusual_spaces_become_plain() -> None:
    text = "Ça\u00a0va\u202f? co\u00adop\u200b a\u2009b \u3000 «c»"
    assert plain_spaces(text) == "Ça va ? coop a b \u3000 «c»"
    assert plain_spaces("a  b ?") == "a  b ?"


@given(TEXTS)
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise_source(normalise_source(text)) == normalise_source(text)


def test_a_seed_repeats_its_draw(any_tokenizer: Tokenizer) -> None:
    drawn = draw(any_tokenizer, SENTENCES, 0.1, seed=1)
    other = draw(any_tokenizer, SENTENCES, 0.1, seed=2)
    draw(any_tokenizer, SENTENCES[:3], 0.7, seed=1)
    any_tokenizer.encode(SENTENCES)
    assert draw(any_tokenizer, SENTENCES, 0.1, seed=1) == drawn
    assert draw(any_tokenizer, SENTENCES, 0.1, seed=2) == other
    assert drawn != other
    assert drawn != any_tokenizer.encode(SENTENCES)
    assert [any_tokenizer.decode(ids) for ids in drawn] == SENTENCES


def test_a_word_is_not_cut_the_same_way_each_time(any_tokenizer: Tokenizer) -> None:
    drawn = draw(any_tokenizer, ["schusta loka"] * 50, 0.1, seed=1)
    assert len(set(map(tuple, drawn))) > 5


def test_a_seed_repeats_its_draw_in_another_process(
    any_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer.model").write_bytes(any_tokenizer.model)
    script = (
        "import json, sys; from pathlib import Path; from random import Random\n"
        "from seq2seq.tokenizer import Tokenizer\n"
        "tokenizer = Tokenizer.load(Path(sys.argv[1]))\n"
        "random, sampler = Random(1), tokenizer.sampler(0.1)\n"
        "print(json.dumps([sampler.draw(text, random) for text in json.loads(sys.argv[2])]))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "tokenizer.model", json.dumps(SENTENCES)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert json.loads(finished.stdout) == draw(any_tokenizer, SENTENCES, 0.1, seed=1)


def test_sharp_sampling_finds_the_most_likely_ids(tokenizer: Tokenizer) -> None:
    assert draw(tokenizer, SENTENCES, alpha=1000, seed=1) == tokenizer.encode(SENTENCES)


def test_no_dropout_merges_as_sentencepiece_does() -> None:
    config = TokenizerConfig(algorithm="bpe", vocabulary_size=480)
    tokenizer = Tokenizer.train(make_sentences(400, seed=1), config, ["en", "de"])
    texts = [*SENTENCES, *ODD, "kakaka lolo Ödland"]
    assert draw(tokenizer, texts, alpha=0, seed=1) == tokenizer.encode(texts)


def test_full_dropout_leaves_characters() -> None:
    config = TokenizerConfig(algorithm="bpe", vocabulary_size=480)
    tokenizer = Tokenizer.train(make_sentences(400, seed=1), config, ["en", "de"])
    [ids] = draw(tokenizer, ["ka lo."], alpha=1, seed=1)
    assert tokenizer.pieces(ids) == list("\u2581ka\u2581lo.")


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_training_repeats(algorithm: Algorithm) -> None:
    config = TokenizerConfig(algorithm=algorithm, vocabulary_size=420)
    models = [
        Tokenizer.train(make_sentences(200, seed=1), config, ["en", "de"]).model for _ in "ab"
    ]
    assert models[0] == models[1]
    assert len(Tokenizer(models[0])) == 420


def test_reserved_symbols_have_fixed_ids(tokenizer: Tokenizer) -> None:
    assert tokenizer.pieces([PAD_ID, BOS_ID, EOS_ID, UNK_ID]) == ["<pad>", "<s>", "</s>", "<unk>"]
    assert tokenizer.pieces(list(range(4, 22))) == ["<2en>", "<2de>", *PLACEHOLDERS]


def test_a_language_without_a_tag(tokenizer: Tokenizer) -> None:
    message = (
        "the tokenizer has no tag for the language 'fr'; train a tokenizer with this pair of "
        "languages (leave tokenizer.path out)."
    )
    assert_complains(lambda: tokenizer.language_id("fr"), message)
    assert_complains(lambda: tokenizer.encode_sources(["a"], "fr"), message)


def assert_complains(attempt: Callable[[], object], message: str) -> None:
    with pytest.raises(Seq2SeqError) as caught:
        attempt()
    assert str(caught.value) == message


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_a_vocabulary_that_does_not_fit(algorithm: Algorithm) -> None:
    def train(size: int, sentences: list[str]) -> Tokenizer:
        config = TokenizerConfig(algorithm=algorithm, vocabulary_size=size)
        return Tokenizer.train(sentences, config, ["en", "de"])

    with pytest.raises(Seq2SeqError) as caught:
        train(5000, SENTENCES)
    message, most = str(caught.value).removesuffix(".").rsplit(" ", 1)
    assert message == (
        "tokenizer.vocabulary_size = 5000 does not fit this corpus: it can be at most"
    )
    assert len(train(int(most), SENTENCES)) == int(most)

    letters = ["".join(map(chr, range(0x3041, 0x3091)))]
    with pytest.raises(Seq2SeqError) as caught:
        train(400, letters)
    message, least = str(caught.value).removesuffix(".").rsplit(" ", 1)
    assert message == (
        "tokenizer.vocabulary_size = 400 does not fit this corpus: it must be at least"
    )
    assert len(train(int(least), letters)) == int(least)


def test_nothing_to_learn_from() -> None:
    assert_complains(
        lambda: Tokenizer.train([], TokenizerConfig(), ["en", "de"]),
        "tokenizer.vocabulary_size = 6000 does not fit this corpus: "
        "it has no sentence to learn from.",
    )


@pytest.mark.parametrize("damage", [b"", b"no model", "half"])
def test_a_file_that_is_no_model(tokenizer: Tokenizer, tmp_path: Path, damage: str | bytes) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(damage if isinstance(damage, bytes) else tokenizer.model[:1000])
    assert_complains(lambda: Tokenizer.load(path), f"{path}: not a SentencePiece model.")


def test_a_corpus_too_small_for_any_tokenizer_is_told_so() -> None:
    for size in (380, 6000):
        assert_complains(
            lambda size=size: Tokenizer.train(  # type: ignore[misc]
                ["Hello there.", "Hallo du."], TokenizerConfig(vocabulary_size=size), ["en", "de"]
            ),
            "the corpus is too small to learn a tokenizer from: a few hundred sentences are "
            "needed, or a tokenizer that has been trained already (tokenizer.path).",
        )


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no such device")
def test_a_file_without_end_is_not_read() -> None:
    assert_complains(
        lambda: Tokenizer.load(Path("/dev/zero")),
        "/dev/zero: more than 67,108,864 bytes, too large for a file of its kind.",
    )


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    assert_complains(
        lambda: Tokenizer.load(path), f"{path}: cannot be read: No such file or directory."
    )


@pytest.mark.parametrize(
    ("ids", "byte_fallback", "reason"),
    [
        ((-1, 1, 2, 0), False, "pad, bos, eos, unk are (-1, 1, 2, 0), not (0, 1, 2, 3)"),
        ((PAD_ID, BOS_ID, EOS_ID, UNK_ID), False, "it has no <0x00>"),
        ((PAD_ID, BOS_ID, EOS_ID, UNK_ID), True, "it has no <ph0>"),
    ],
)
def test_a_model_of_another_make(
    tmp_path: Path, ids: tuple[int, int, int, int], byte_fallback: bool, reason: str
) -> None:
    path = tmp_path / "foreign.model"
    pad_id, bos_id, eos_id, unk_id = ids
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(make_sentences(400, seed=1)),
            model_writer=file,
            vocab_size=320 if byte_fallback else 60,
            byte_fallback=byte_fallback,
            pad_id=pad_id,
            bos_id=bos_id,
            eos_id=eos_id,
            unk_id=unk_id,
            minloglevel=2,
        )
    assert_complains(
        lambda: Tokenizer.load(path),
        f"{path}: a SentencePiece model of another kind ({reason}); let `seq2seq train` make one.",
    )


def test_a_form_of_address_is_asked_for_by_a_tag_behind_the_language() -> None:
    tokenizer = Tokenizer.train(
        make_sentences(300, seed=1),
        TokenizerConfig(vocabulary_size=480),
        ["en", "de"],
        formality=True,
    )
    german, formal = tokenizer.language_id("de"), tokenizer.formality_id("formal")
    [plain] = tokenizer.encode_sources(["ka lo"], "de")
    asked = [*tokenizer.source_tags("de", "formal"), *plain[1:]]
    assert asked[:2] == [german, formal]
    assert {german, formal, tokenizer.formality_id("informal")} < set(tokenizer.tag_ids())
    assert tokenizer.encode(["<formal>"])[0].count(formal) == 0  # text never encodes to a tag
    assert tokenizer.decode(asked) == "ka lo"


def test_a_tokenizer_without_forms_of_address_says_so(tokenizer: Tokenizer) -> None:
    assert_complains(
        lambda: tokenizer.source_tags("de", "informal"),
        "this model was not trained to choose between formal and informal address; train one with "
        "augmentation.formality.",
    )


def test_a_tag_of_a_recipe_stands_behind_the_language_and_the_form_of_address() -> None:
    tokenizer = Tokenizer.train(
        make_sentences(300, seed=1),
        TokenizerConfig(vocabulary_size=480),
        ["en", "de"],
        formality=True,
        tags=["legal", "mail"],
    )
    german, formal = tokenizer.language_id("de"), tokenizer.formality_id("formal")
    legal = tokenizer.constraint_id("legal")
    assert tokenizer.source_tags("de", "formal", "legal") == [german, formal, legal]
    assert tokenizer.source_tags("de", tag="legal") == [german, legal]
    assert tokenizer.constraint_tags == ["legal", "mail"]
    assert {legal, tokenizer.constraint_id("mail")} < set(tokenizer.tag_ids())
    assert legal not in tokenizer.encode(["<tag:legal>"])[0]  # text never encodes to a tag
    assert_complains(
        lambda: tokenizer.constraint_id("medical"),
        "the model has no tag 'medical'; it has legal, mail.",
    )


def test_a_model_without_tags_says_how_one_gets_them(tokenizer: Tokenizer) -> None:
    assert_complains(
        lambda: tokenizer.source_tags("de", tag="legal"),
        "the model has no tag 'legal', and no other; corpus.tags gives a model tags when it is "
        "trained with a tokenizer of its own.",
    )


def test_printable_ascii_is_spelled_without_bytes_though_the_corpus_has_none_of_it() -> None:
    tokenizer = Tokenizer.train(
        [re.sub(r"[^a-z ]", "", sentence.lower()) for sentence in SENTENCES],
        TokenizerConfig(vocabulary_size=420),
        ["en", "de"],
    )
    assert spelled_in_bytes(tokenizer, "".join(map(chr, range(0x21, 0x7F)))) == ""


def test_a_character_seen_once_in_a_small_corpus_is_spelled_without_bytes() -> None:
    config = TokenizerConfig(vocabulary_size=390, character_coverage=0.98)
    tokenizer = Tokenizer.train([*SENTENCES, "Øß€"], config, ["en", "de"])
    assert spelled_in_bytes(tokenizer, "Øß€ð") == "ð"


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_each_digit_is_a_piece_of_its_own_unless_split_digits_is_off(algorithm: Algorithm) -> None:
    def longest_number(split_digits: bool) -> int:
        config = TokenizerConfig(algorithm, vocabulary_size=421, split_digits=split_digits)
        sentences = [*SENTENCES, *(f"in 2024 there were {n}" for n in range(300))]
        tokenizer = Tokenizer.train(sentences, config, ["en", "de"])
        pieces = tokenizer.pieces(range(len(tokenizer)))
        return max(len(word) for piece in pieces if (word := piece.strip("\u2581")).isdecimal())

    assert longest_number(split_digits=True) == 1
    assert longest_number(split_digits=False) > 1


def spelled_in_bytes(tokenizer: Tokenizer, text: str) -> str:
    """The characters of `text` that have no piece of their own."""
    return "".join(
        character
        for character in text
        if tokenizer.pieces(tokenizer.encode([character])[0])[-1].startswith("<0x")
    )
