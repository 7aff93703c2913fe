"""`seq2seq compare`: compare two models, or two files of translations."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.options import (
    AnyFromOption,
    AnyToOption,
    BeamSizeOption,
    QuietOption,
    RefOption,
    SrcOption,
    TestCorpusOption,
    TestRecipeOption,
    ThreadsOption,
    evaluation_set,
)
from seq2seq.errors import require_extra

if TYPE_CHECKING:
    from seq2seq.evaluation.comparison import Comparison, LengthScore, PairedScore, SentenceScore
    from seq2seq.evaluation.lexical import Both, FrequencyScore, LexicalStatistics, MissingWord

_WIDTH = 80
_LOOPS = 10  # how many sentences are listed
_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], " ")  # which would control a terminal


@reported_errors("seq2seq")
def compare(
    a: Annotated[
        Path,
        typer.Argument(
            metavar="A",
            help="The first system: an exported model, a run's directory, or a file of "
            "translations, one per line.",
        ),
    ],
    b: Annotated[Path, typer.Argument(metavar="B", help="The second system.")],
    src: SrcOption = None,
    ref: RefOption = None,
    corpus: TestCorpusOption = None,
    recipe: TestRecipeOption = None,
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    train: Annotated[
        Path | None,
        typer.Option(
            "--train",
            metavar="FILE",
            help="Count how frequent words are in this text, such as the training corpus: plain "
            "text in the target language, or a file of both languages (TSV, Parquet, TMX ...). "
            "Default: the references.",
        ),
    ] = None,
    show: Annotated[
        int, typer.Option("--show", min=0, metavar="N", help="Show N sentences for each system.")
    ] = 5,
    beam_size: BeamSizeOption = None,
    threads: ThreadsOption = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one line per direction.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Compare two models or files of translations.

    BLEU and chrF with a test of significance, by length and by frequency of words, words that are
    missing or repeated, and the sentences that differ most. With several directions it prints a
    summary.
    """
    require_extra("sacrebleu", "compare", "train")
    from seq2seq.evaluation.comparison import compare_systems
    from seq2seq.evaluation.lexical import Both

    comparisons = compare_systems(
        Both(a, b),
        evaluation_set(src, [ref] if ref else [], corpus, recipe, source_language, target_language),
        train=train,
        show=show,
        beam_size=beam_size,
        threads=threads,
        show_progress=not quiet,
    )
    if as_json:
        lines: Iterator[str] = (comparison.to_json() for comparison in comparisons)
    else:
        lines = _report(comparisons[0]) if len(comparisons) == 1 else _summary(comparisons)
    typer.echo("\n".join(lines))


def _summary(comparisons: Sequence["Comparison"]) -> Iterator[str]:
    """Yield a summary with a line for each direction."""
    first = comparisons[0]
    yield from _names(first.systems)
    yield ""
    yield f"{'':19}" + "".join(f"{metric.name:>18}{'':12}" for metric in first.metrics).rstrip()
    columns = f"{'A':>7}{'B':>7}{'B - A':>7}{'p':>6}   "
    yield f"direction sentences{columns * len(first.metrics)}".rstrip()
    for comparison in comparisons:
        scores = "".join(map(_brief, comparison.metrics)).rstrip()
        yield f"{comparison.direction!s:<9}{comparison.sentences:>10,}{scores}"
    yield ""
    yield "After p: which one is significantly better; - is neither."
    yield "Choose a direction by --from and --to for the full report on it."
    yield from _about_the_test(comparisons)


def _brief(metric: "PairedScore") -> str:
    scores = f"{metric.scores.a:>7.2f}{metric.scores.b:>7.2f}{metric.difference:>+7.2f}"
    return f"{scores}{metric.p_value:>6.3f} {(metric.better or '-').upper():<2}"


def _report(comparison: "Comparison") -> Iterator[str]:
    """Yield the full report on a direction."""
    yield from _names(comparison.systems)
    yield f"{comparison.direction}, {comparison.sentences:,} sentences of {comparison.test}"
    yield from _metrics(comparison)
    yield from _lengths(comparison.by_length)
    yield from _frequencies(comparison.by_frequency, comparison.frequencies_of)
    yield from _wording(comparison.wording)
    yield from _missing(comparison.missing_words)
    yield from _sentences("A", comparison.most_different.a)
    yield from _sentences("B", comparison.most_different.b)


def _names(systems: "Both[str]") -> Iterator[str]:
    yield f"A  {systems.a}"
    yield f"B  {systems.b}"


def _metrics(comparison: "Comparison") -> Iterator[str]:
    yield ""
    yield f"{'':8}{'A':>7}{'B':>9}{'B - A':>9}{'p':>8}"
    for metric in comparison.metrics:
        yield (
            f"{metric.name:<8}{metric.scores.a:>7.2f}{metric.scores.b:>9.2f}"
            f"{metric.difference:>+9.2f}{metric.p_value:>8.3f}   "
            f"{_verdict(metric, comparison.sentences)}"
        )
    better = comparison.better_in
    yield ""
    identical = "all" if better.identical == better.neither else f"{better.identical:,}"
    ties = f", {identical} of them identical" if better.neither else ""
    yield from _wrapped(
        f"A is better in {_counted(better.a, 'sentence')}, B in {better.b:,}, by chrF; neither in "
        f"{better.neither:,}{ties}."
    )
    yield from _about_the_test([comparison])


def _verdict(metric: "PairedScore", sentences: int) -> str:
    from seq2seq.evaluation.comparison import TOO_FEW

    if metric.better is not None:
        return f"{metric.better.upper()} is better"
    if not metric.difference:
        return "the same score"
    if sentences < TOO_FEW:
        return f"too few sentences: take {TOO_FEW}, or many more"
    return "not significant"


def _about_the_test(comparisons: Sequence["Comparison"]) -> Iterator[str]:
    from seq2seq.bleu_chrf import signature_lines, tokenizer_advice
    from seq2seq.evaluation.comparison import SIGNIFICANT

    yield from _wrapped(
        f"p-values: paired bootstrap resampling (sacreBLEU). p < {SIGNIFICANT} is significant; "
        "expect one false positive in 20 comparisons of equal systems. The test does not cover "
        "training: two seeds of one recipe may differ as much, so train several before you call a "
        "recipe better."
    )
    for advice in tokenizer_advice(comparison.direction.target for comparison in comparisons):
        yield from _wrapped(advice)
    for number in range(len(comparisons[0].metrics)):
        yield from signature_lines(
            (comparison.direction, comparison.metrics[number].signature)
            for comparison in comparisons
        )


def _lengths(scores: Sequence["LengthScore"]) -> Iterator[str]:
    yield ""
    yield "By length of the source"
    yield f"{'':16}{'BLEU':>18}{'chrF':>27}"
    yield f"words  sentences{'A':>9}{'B':>9}{'B - A':>9}{'A':>9}{'B':>9}{'B - A':>9}"
    for score in scores:
        yield f"{score.words:<7}{score.sentences:>9,}{_pair(score.bleu)}{_pair(score.chrf)}"


def _pair(both: "Both[float]") -> str:
    return f"{both.a:>9.2f}{both.b:>9.2f}{both.b - both.a:>+9.2f}"


def _frequencies(scores: Sequence["FrequencyScore"], text: str) -> Iterator[str]:
    yield ""
    yield f"By frequency of words in {text}"
    yield f"{'':16}{'F-measure':>22}{'recall':>18}{'precision':>18}".rstrip()
    yield f"occurring  words{'A':>9}{'B':>9}{'B - A':>9}{'A':>9}{'B':>9}{'A':>9}{'B':>9}"
    for score in scores:
        a, b = score.accuracy.a, score.accuracy.b
        yield (
            f"{score.frequency:<8}{score.reference_words:>8,}"
            f"{a.f:>9.3f}{b.f:>9.3f}{b.f - a.f:>+9.3f}"
            f"{a.recall:>9.3f}{b.recall:>9.3f}{a.precision:>9.3f}{b.precision:>9.3f}"
        )


def _wording(wording: "Both[LexicalStatistics]") -> Iterator[str]:
    a, b = wording.a, wording.b
    rows = (
        ("Words", "A", "B"),
        ("said", f"{a.words:,}", f"{b.words:,}"),
        ("length, the references being 1", f"{a.length_ratio:.3f}", f"{b.length_ratio:.3f}"),
        ("missing: in the reference, but not said", f"{a.missing:,}", f"{b.missing:,}"),
        ("repeated, more often than in the reference", f"{a.repeated:,}", f"{b.repeated:,}"),
        ("sentences that say the same again and again", f"{len(a.loops):,}", f"{len(b.loops):,}"),
    )
    yield ""
    for name, of_a, of_b in rows:
        yield f"{name:<43}{of_a:>9}{of_b:>9}"
    for side, loops in (("A", a.loops), ("B", b.loops)):
        if loops:
            more = ", ..." if len(loops) > _LOOPS else ""
            yield f"  of {side}: {', '.join(map(str, loops[:_LOOPS]))}{more}"


def _missing(missing: "Both[tuple[MissingWord, ...]]") -> Iterator[str]:
    if not (missing.a or missing.b):
        return
    yield ""
    yield f"{'Missing from A more often than from B':<42}Missing from B more often than from A"
    yield "    ".join([f"{'':16}{'A only':>7}{'B only':>7}{'in all':>8}"] * 2)
    for pair in zip_longest(missing.a, missing.b):
        yield "    ".join(_missing_word(word) for word in pair).rstrip()


def _missing_word(missing: "MissingWord | None") -> str:
    from rich.cells import set_cell_size

    if missing is None:
        return " " * 38
    word = set_cell_size(_printable(missing.word), 16)
    counts = missing.missing
    return f"{word}{counts.a:>7,}{counts.b:>7,}{missing.in_references:>8,}"


def _sentences(better: str, sentences: Sequence["SentenceScore"]) -> Iterator[str]:
    if not sentences:
        return
    yield ""
    yield f"Sentences in which {better} is better by most"
    for sentence in sentences:
        yield ""
        yield f"{sentence.number:,}: chrF {sentence.chrf.a:.1f} of A, {sentence.chrf.b:.1f} of B"
        yield from _wrapped(sentence.source, "  source     ")
        yield from _wrapped(sentence.reference, "  reference  ")
        yield from _wrapped(sentence.translations.a, "  A          ")
        yield from _wrapped(sentence.translations.b, "  B          ")


def _wrapped(text: str, before: str = "") -> Iterator[str]:
    """Wrap text to the width of a terminal, with `before` on the first line and as indentation."""
    from rich.console import Console
    from rich.text import Text

    lines = Text(_printable(text)).wrap(Console(), _WIDTH - len(before))
    for line in lines or [Text()]:
        yield f"{before}{line.plain}".rstrip()
        before = " " * len(before)


def _printable(text: str) -> str:
    return text.translate(_CONTROLS)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
