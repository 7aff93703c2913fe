"""Scores are sacreBLEU's own, signed, with an interval that can be computed again."""

import json

import pytest
import sacrebleu

from seq2seq import bleu_chrf
from seq2seq.bleu_chrf import (
    bleu_tokenizer,
    corpus_bleu,
    recommended_tokenizer,
    score,
    tokenizer_advice,
    validation_rank,
    words,
)
from seq2seq.config.model_config import Direction
from seq2seq.errors import Seq2SeqError
from seq2seq.evaluation.test_sets import SMALL, Evaluation, table

HYPOTHESES = ["Das ist ein Test.", "Guten Tag, alle zusammen.", "Der Hund schläft auf dem Sofa."]
REFERENCES = [
    "das ist ein Test!",
    "Guten Morgen, alle zusammen.",
    "Der Hund schläft auf der Couch.",
]


def test_scores_are_those_of_sacrebleu() -> None:
    bleu, chrf, lower = score(HYPOTHESES, REFERENCES, "de")
    assert bleu.score == sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score
    assert bleu.score == corpus_bleu(HYPOTHESES, REFERENCES, "de")
    assert chrf.score == sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score
    expected = sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES], lowercase=True).score
    assert lower.score == expected > bleu.score


def test_several_references_are_those_of_sacrebleu() -> None:
    further = [[*reversed(REFERENCES)], HYPOTHESES[:1] + REFERENCES[1:]]
    bleu, chrf, lower = score(HYPOTHESES, REFERENCES, "de", further=further)
    texts = [REFERENCES, *further]
    assert bleu.score == sacrebleu.corpus_bleu(HYPOTHESES, texts).score
    assert chrf.score == sacrebleu.corpus_chrf(HYPOTHESES, texts).score
    assert lower.score == sacrebleu.corpus_bleu(HYPOTHESES, texts, lowercase=True).score
    assert bleu.signature.startswith("nrefs:3|")


def test_a_score_tells_how_to_get_it_again() -> None:
    bleu, chrf, lower = score(HYPOTHESES, REFERENCES, "de")
    assert "case:mixed" in bleu.signature
    assert "tok:13a" in bleu.signature
    assert "case:lc" in lower.signature
    assert "nc:6" in chrf.signature
    assert "seed:12345" in bleu.signature
    assert bleu.interval > 0
    assert score(HYPOTHESES, REFERENCES, "de") == (bleu, chrf, lower)


def test_a_perfect_translation() -> None:
    assert [round(one.score, 6) for one in score(REFERENCES, REFERENCES, "de")] == [100, 100, 100]


NO_SPACES = {
    "zh": "火车站在哪儿？",
    "ZH_Hant": "我每天早上都在公園裡散步。",
    "yue": "佢今日冇返工。",
    "ja": "わたしは毎朝公園を散歩しています。",
    "ko": "저는 매일 아침 공원에서 산책합니다.",
    "tha": "ฉันเดินเล่นในสวนทุกเช้า",
    "lo": "ຂ້ອຍຍ່າງຫຼິ້ນຢູ່ສວນທຸກເຊົ້າ",
    "km": "ខ្ញុំដើរលេងនៅក្នុងសួន",
    "my-MM": "ကျွန်တော်မနက်တိုင်းပန်းခြံမှာလမ်းလျှောက်တယ်",
}


@pytest.mark.parametrize(("language", "text"), NO_SPACES.items())
def test_without_spaces_bleu_knows_a_good_translation_from_a_poor_one(
    language: str, text: str
) -> None:
    perfect, near, far = (
        corpus_bleu([line] * 3, [text] * 3, language) for line in (text, text[:-2], "Nein.")
    )
    assert perfect == pytest.approx(100)
    assert 30 < near < 100
    assert far < 5


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [
        ("de", "13a"),
        ("xx", "13a"),
        ("zhx", "13a"),
        ("zh", "zh"),
        ("zh-Hans-CN", "zh"),
        ("cmn_Hans", "zh"),
        ("ja", "ja-mecab"),
        ("jpn_Jpan", "ja-mecab"),
        ("ko-KR", "ko-mecab"),
        ("th", "flores200"),
        ("mya_Mymr", "flores200"),
    ],
)
def test_bleu_counts_the_words_that_sacrebleu_recommends(language: str, tokenizer: str) -> None:
    assert recommended_tokenizer(language) == tokenizer
    used = bleu_tokenizer(language)
    assert used in (tokenizer, "char")
    bleu, chrf, lower = score(["a"], ["a"], language)
    assert f"tok:{used}" in bleu.signature
    assert f"tok:{used}" in lower.signature
    assert "tok" not in chrf.signature


def test_what_is_not_installed_is_told_and_characters_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bleu_chrf, "_is_installed", lambda name: name in ("13a", "zh"))
    assert [bleu_tokenizer(one) for one in ("ja", "ko", "th", "zh", "de")] == [
        *("char", "char", "char", "zh", "13a")
    ]
    japanese, thai = tokenizer_advice(["de", "ja", "zh", "th", "ja"])
    assert "'ja'" in japanese
    assert "pip install 'sacrebleu[ja]'" in japanese
    assert "'th'" in thai
    assert "--tokenize flores200" in thai
    text = str(evaluation("mine.s2s", 3, Direction("en", "ja")))
    assert "tok:char" in text
    assert japanese in text


def test_a_table_of_directions_has_each_signature_once() -> None:
    directions = [Direction("en", "de"), Direction("en", "zh"), Direction("zh", "en")]
    lines = table([evaluation("mine.s2s", 2000, direction) for direction in directions])
    assert lines.count("tok:13a") == lines.count("tok:zh") == 2
    assert lines.count("  en-de, zh-en:\n") == lines.count("  en-zh:\n") == 2
    assert lines.count("nc:6") == 1


def test_words_are_what_white_space_parts_or_the_tokenizer_of_the_language() -> None:
    assert words("Guten\xa0Tag, alle.", "de") == ["Guten", "Tag,", "alle."]
    assert words("저는 산책합니다.", "ko") == ["저는", "산책합니다."]
    assert words("我在看书 ABC。", "zh") == ["我", "在", "看", "书", "ABC", "。"]


def test_lines_have_to_fit() -> None:
    with pytest.raises(Seq2SeqError, match="3 translations do not fit 2 references"):
        score(HYPOTHESES, REFERENCES[:2], "de")


EN_DE = Direction("en", "de")


def evaluation(model: str, sentences: int, direction: Direction = EN_DE) -> Evaluation:
    scores = score(HYPOTHESES, REFERENCES, direction.target)
    return Evaluation(model, direction, "data/test", sentences, scores, 0.5, 5)


def test_a_small_test_set_is_called_small() -> None:
    assert "few" in str(evaluation("mine.s2s", 3))
    assert "few" not in str(evaluation("mine.s2s", SMALL))
    assert all(len(line) <= 80 for line in str(evaluation("m", 3)).splitlines())


def test_several_directions_are_a_table() -> None:
    directions = [Direction("en", "de"), Direction("pt-BR", "en")]
    text = table([evaluation("mine.s2s", 2000, direction) for direction in directions])
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[3].split()[:3] == ["en-de", "2,000", f"{evaluation('m', 3).scores[0].score:.2f}"]
    assert lines[4].startswith("pt-BR-en")
    assert sum("version:" in line for line in lines) == 3


def test_json_is_one_line_a_direction() -> None:
    line = evaluation("mine.s2s", 3).to_json()
    assert "\n" not in line
    assert json.loads(line)["direction"] == "en-de"
    assert json.loads(line)["scores"][0]["name"] == "BLEU"


def test_the_best_validation_has_the_highest_bleu_then_chrf_then_likelihood() -> None:
    ascending = [(0, 5, 1.0), (0, 5.01, 2.0), (0, 5.01, 1.5), (0.01, 1, 3.0), (0.014, 2, 3.0)]
    ranks = [validation_rank(*one) for one in ascending]
    assert ranks == sorted(ranks)
    assert len({*ranks}) == len(ranks)


def test_moses_tokens_are_counted_in_lower_case() -> None:
    references = [
        "Un homme s'assoit dans l'herbe.",
        "Il dit « oui ».",
        "L'arbre est vert.",
        "Une fille court.",
    ]
    hypotheses = [references[0].upper(), 'Il dit " oui ".', references[2], "Une fille saute."]
    *_, moses = score(hypotheses, references, "fr", "moses")
    assert moses.name == "BLEU, Moses tokens"
    assert "tok:none" in moses.signature
    tokens = [
        "un homme s' assoit dans l' herbe .",
        'il dit " oui " .',
        "l' arbre est vert .",
        "une fille court .",
    ]
    metric = sacrebleu.BLEU(tokenize="none", force=True)
    expected = metric.corpus_score([*tokens[:3], "une fille saute ."], [tokens]).score
    assert moses.score == pytest.approx(expected)
