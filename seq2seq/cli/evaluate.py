"""`seq2seq evaluate`: BLEU and chrF of a model."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

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
from seq2seq.errors import require_extra
from seq2seq.metrics import Tokenize


@reported_errors("seq2seq")
def evaluate(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...",
            help="The directory of a run, or an exported model; several are an ensemble.",
        ),
    ],
    src: SrcOption = None,
    refs: RefsOption = None,
    corpus: TestCorpusOption = None,
    recipe: TestRecipeOption = None,
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    ensemble: EnsembleOption = None,
    beam_size: BeamSizeOption = None,
    length_penalty: LengthPenaltyOption = None,
    prune: PruneOption = None,
    tokenize: Annotated[
        Tokenize | None,
        typer.Option(
            "--tokenize", help="Report BLEU over these tokens too, lower-cased, as publications do."
        ),
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
    from seq2seq.evaluation.test_sets import evaluate_model, table
    from seq2seq.translation.base import TranslateOptions

    test_set = evaluation_set(src, refs or [], corpus, recipe, source_language, target_language)
    options = TranslateOptions(beam_size=beam_size, length_penalty=length_penalty, prune=prune)
    with open_output(output) if output is not None else nullcontext() as sink:
        evaluations = evaluate_model(
            models,
            test_set,
            options,
            tokenize=tokenize,
            combination=combination_of(models, ensemble),
            threads=threads,
            cell=cell,
            sink=sink,
            show_progress=not quiet,
        )
    if as_json:
        typer.echo("\n".join(evaluation.to_json() for evaluation in evaluations))
    else:
        typer.echo(str(evaluations[0]) if len(evaluations) == 1 else table(evaluations))
