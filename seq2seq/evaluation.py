"""A test set translated and scored: by an exported model, or by the best model of a run."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from seq2seq.corpus import ParallelText, read_lines, read_parallel
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.metrics import MetricScore, score
from seq2seq.translator import Translation, Translator

SMALL = 200
"""Below this many sentences a difference of a few points says little."""


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
        for metric in self.scores:
            lines.append(f"{metric.name:<18} {metric.score:6.2f} ± {metric.interval:.2f}")
            lines.append(f"  {metric.signature}")
        if self.sentences < SMALL:
            lines += ["", f"{self.sentences} sentences are few: trust the interval, not the score."]
        return "\n".join(lines)


def evaluate_model(
    model: Path,
    test: tuple[Path, Path] | str | None = None,
    *,
    beam_size: int | None = None,
    length_penalty: float | None = None,
    prune: float | None = None,
    threads: int = 0,
    sink: BinaryIO | None = None,
    show_progress: bool = False,
) -> Evaluation:
    """Translate a test set with an exported model, or with the best model of a run, and score it.

    `test` is a pair of files (source, reference), a corpus as `read_parallel` takes it, or `None`
    for the test corpus of the run's recipe. The translations go to `sink`, one a line.
    """
    translator = open_translator(model, threads)
    text = _read_test(test, model, translator)
    translator.search = translator.search.changed(
        beam_size=beam_size, length_penalty=length_penalty, prune=prune
    )
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
    if sink is not None:
        sink.writelines(f"{line}\n".encode() for line in hypotheses)
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
