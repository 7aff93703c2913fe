"""How good translations are: BLEU and chrF as sacreBLEU computes them, signed, with an interval."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from seq2seq.corpus import ParallelText, read_lines, read_parallel
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.translator import Translation, Translator

BOOTSTRAP_SAMPLES = 1000
SMALL = 200
"""Below this many sentences a difference of a few points says little."""


@dataclass(frozen=True)
class MetricScore:
    """One figure, from 0 to 100, and how to get it again."""

    name: str
    score: float
    interval: float  # half the width of the 95% interval, by bootstrap resampling (Koehn 2004)
    signature: str


@dataclass(frozen=True)
class Evaluation:
    """The scores of one model on one test set."""

    model: str
    sentences: int
    scores: tuple[MetricScore, ...]
    seconds: float  # of translation
    beam_size: int

    @property
    def sentences_per_second(self) -> float:
        """The speed of the translation that was scored."""
        return self.sentences / self.seconds

    def to_json(self) -> str:
        """Everything, as one JSON object."""
        table = asdict(self) | {"sentences_per_second": self.sentences_per_second}
        return json.dumps(table, ensure_ascii=False, indent=1)

    def __str__(self) -> str:
        lines = [
            f"{self.model}: {self.sentences:,} sentences, beam {self.beam_size}, "
            f"{self.sentences_per_second:,.1f} sentences/s",
            "",
        ]
        for score in self.scores:
            lines.append(f"{score.name:<18} {score.score:6.2f} ± {score.interval:.2f}")
            lines.append(f"  {score.signature}")
        if self.sentences < SMALL:
            lines += ["", f"{self.sentences} sentences are few: trust the interval, not the score."]
        return "\n".join(lines)


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Cased BLEU of detokenised text, sacreBLEU's default (13a, exponential smoothing)."""
    from sacrebleu.metrics import BLEU

    return float(BLEU().corpus_score(list(hypotheses), [list(references)]).score)


def score(hypotheses: Sequence[str], references: Sequence[str]) -> tuple[MetricScore, ...]:
    """BLEU, chrF, and the lower-cased BLEU of published comparisons, over detokenised text."""
    from sacrebleu.metrics import BLEU, CHRF

    if len(hypotheses) != len(references):
        raise Seq2SeqError(
            f"{len(hypotheses):,} translations do not fit {len(references):,} references: "
            "both need the same number of lines."
        )
    metrics = (
        ("BLEU", BLEU()),
        ("chrF", CHRF()),
        ("BLEU, lower-cased", BLEU(lowercase=True)),
    )
    return tuple(_score(name, metric, hypotheses, references) for name, metric in metrics)


def evaluate_model(
    model: Path,
    test: tuple[Path, Path] | str | None = None,
    *,
    beam_size: int | None = None,
    length_penalty: float | None = None,
    threads: int = 0,
    output: Path | None = None,
    show_progress: bool = False,
) -> Evaluation:
    """Translate a test set with an exported model, or with the best model of a run, and score it.

    `test` is a pair of files (source, reference), a corpus as `read_parallel` takes it, or `None`
    for the test corpus of the run's recipe. The translations go to `output`, one a line.
    """
    translator = open_translator(model, threads)
    text = _read_test(test, model, translator)
    if beam_size is not None:
        translator.search = replace(translator.search, beam_size=beam_size)
    if length_penalty is not None:
        translator.search = replace(translator.search, length_penalty=length_penalty)
    started = time.perf_counter()
    lines: Iterable[Translation] = translator.translate_lines(text.source)
    if show_progress:
        from rich.console import Console
        from rich.progress import track

        console = Console(stderr=True)
        hidden = not console.is_terminal
        lines = track(
            lines, "translating", len(text), console=console, disable=hidden, transient=True
        )
    hypotheses = [translation.text for translation in lines]
    seconds = time.perf_counter() - started
    if output is not None:
        try:
            output.write_text("".join(f"{line}\n" for line in hypotheses), encoding="utf-8")
        except OSError as error:
            raise Seq2SeqError(f"{output}: cannot be written: {error.strerror}.") from None
    scores = score(hypotheses, text.target)
    return Evaluation(str(model), len(text), scores, seconds, translator.search.beam_size)


def open_translator(model: Path, threads: int = 0) -> Translator:
    """A translator over an exported model, or over the best model of a training run (by torch)."""
    if not (model / "recipe.json").exists():
        return Translator(model, threads)
    try:
        import torch
    except ModuleNotFoundError:
        raise Seq2SeqError(
            f"{model} is a training run, which needs torch: pip install 'seq2seq[train]'"
        ) from None
    from seq2seq.decoding.torch_engine import TorchEngine
    from seq2seq.training.run import RunFolder

    if threads:
        torch.set_num_threads(threads)
    network, tokenizer, recipe = RunFolder.open(model).best_model()
    corpus = recipe.corpus
    return Translator.over(
        TorchEngine(network),
        tokenizer,
        corpus.target_language,
        recipe.search,
        corpus.source_language,
    )


def _read_test(
    test: tuple[Path, Path] | str | None, model: Path, translator: Translator
) -> ParallelText:
    if isinstance(test, tuple):
        source, target = read_lines(test[0]), read_lines(test[1])
        if len(source) != len(target):
            raise Seq2SeqError(
                f"{test[0]} has {len(source):,} lines and {test[1]} has {len(target):,}: "
                "both need the same number."
            )
        if not source:
            raise Seq2SeqError(f"{test[0]}: no sentences in it.")
        return ParallelText(str(test[0]), source, target)
    if test is not None:
        return read_parallel(test, translator.source_language, translator.target_language)
    if (model / "recipe.json").exists():
        from seq2seq.training.run import RunFolder

        corpus = RunFolder.open(model).recipe().corpus
        if corpus.test is not None:
            return read_parallel(corpus.test, corpus.source_language, corpus.target_language)
    raise UsageError("nothing to translate: give --src and --ref, or --corpus.")


def _score(
    name: str, metric: Any, hypotheses: Sequence[str], references: Sequence[str]
) -> MetricScore:
    result = metric.corpus_score(
        list(hypotheses), [list(references)], n_bootstrap=BOOTSTRAP_SAMPLES
    )
    signature = str(metric.get_signature())
    return MetricScore(name, float(result.score), float(result._ci), signature)
