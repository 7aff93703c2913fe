"""`seq2seq evaluate`: BLEU and chrF of a model."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from seq2seq.bleu_chrf import FurtherMetric, Tokenize
from seq2seq.cli.exit import reported_errors
from seq2seq.cli.options import (
    AnyFromOption,
    AnyToOption,
    BeamSizeOption,
    CellOption,
    EnsembleOption,
    JsonOption,
    LengthPenaltyOption,
    PruneOption,
    QuietOption,
    RefsOption,
    SrcOption,
    TestCorpusOption,
    TestRecipeOption,
    ThreadsOption,
    combination_of,
    evaluation_set,
)
from seq2seq.cli.streams import open_output
from seq2seq.errors import UsageError, require_extra


@reported_errors("seq2seq")
def evaluate(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...",
            help="The directory of a run, or an exported model; several form an ensemble, or with "
            "--seeds each is evaluated.",
        ),
    ],
    src: SrcOption = None,
    refs: RefsOption = None,
    corpus: TestCorpusOption = None,
    recipe: TestRecipeOption = None,
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    ensemble: EnsembleOption = None,
    seeds: Annotated[
        bool,
        typer.Option(
            "--seeds",
            help="Evaluate each run by itself, as runs of one recipe with several seeds, and "
            "report the mean and standard deviation.",
        ),
    ] = False,
    beam_size: BeamSizeOption = None,
    length_penalty: LengthPenaltyOption = None,
    prune: PruneOption = None,
    tag: Annotated[
        str | None,
        typer.Option("--tag", metavar="NAME", help="Translate with this tag of the model."),
    ] = None,
    tokenize: Annotated[
        Tokenize | None,
        typer.Option(
            "--tokenize", help="Report BLEU over these tokens too, lower-cased, as publications do."
        ),
    ] = None,
    metric: Annotated[
        FurtherMetric | None,
        typer.Option("--metric", help="Add COMET, where unbabel-comet is installed."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the translations here.")
    ] = None,
    threads: ThreadsOption = 0,
    cell: CellOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Report BLEU and chrF on test sets.

    Each score has its signature and a confidence interval. Without --src, --ref, --corpus and
    --recipe a run is evaluated on the test sets of its own recipe.
    """
    require_extra("sacrebleu", "evaluate", "train")
    from seq2seq.evaluation.seeds import SeedEvaluation
    from seq2seq.evaluation.test_sets import evaluate_model, table
    from seq2seq.translation.base import TranslateOptions

    if seeds and (len(models) < 2 or ensemble is not None or output is not None):
        raise UsageError("--seeds takes two models or more, and neither --ensemble nor -o.")
    test_set = evaluation_set(src, refs or [], corpus, recipe, source_language, target_language)
    options = TranslateOptions(
        beam_size=beam_size, length_penalty=length_penalty, prune=prune, tag=tag
    )
    with open_output(output) if output is not None else nullcontext() as sink:
        systems = [[model] for model in models] if seeds else [models]
        evaluations = [
            evaluate_model(
                system,
                test_set,
                options,
                tokenize=tokenize,
                metric=metric,
                combination=combination_of(system, ensemble),
                threads=threads,
                cell=cell,
                sink=sink,
                show_progress=not quiet,
            )
            for system in systems
        ]
    if seeds:
        by_test = [SeedEvaluation.of(of_test) for of_test in zip(*evaluations, strict=True)]
        separator = "\n" if as_json else "\n\n"
        typer.echo(separator.join(each.to_json() if as_json else str(each) for each in by_test))
    elif as_json:
        typer.echo("\n".join(evaluation.to_json() for evaluation in evaluations[0]))
    else:
        [tests] = evaluations
        typer.echo(str(tests[0]) if len(tests) == 1 else table(tests))
