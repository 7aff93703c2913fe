"""`seq2seq distill`: translate a corpus with a teacher model, to train a student on."""

from pathlib import Path
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.options import (
    AnyFromOption,
    AnyToOption,
    CellOption,
    EnsembleOption,
    QuietOption,
    SampleOption,
    SeedOption,
    TemperatureOption,
    ThreadsOption,
    TopKOption,
    combination_of,
    sampling_of,
)


@reported_errors("seq2seq")
def distill(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...",
            help="The teacher: an exported model, or a run; several form an ensemble.",
        ),
    ],
    corpus: Annotated[
        str,
        typer.Option("--corpus", help="Pairs whose sources are translated: a prefix or a file."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The TSV file to write.")
    ],
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    ensemble: EnsembleOption = None,
    beam_size: Annotated[
        int | None,
        typer.Option(
            "-b",
            "--beam-size",
            min=1,
            help="Translations to choose from. Default: 8, with --sample 1.",
        ),
    ] = None,
    is_sampled: SampleOption = False,
    temperature: TemperatureOption = None,
    top_k: TopKOption = None,
    seed: SeedOption = None,
    min_chrf: Annotated[
        float,
        typer.Option("--min-chrf", min=0, max=100, help="Leave out pairs with a lower chrF."),
    ] = 0.0,
    threads: ThreadsOption = 0,
    cell: CellOption = None,
    quiet: QuietOption = False,
) -> None:
    """Translate a training corpus with a teacher model.

    A smaller or faster model can then be trained on its translations.

    Each source is written with the translation of the beam that is nearest to its reference (chrF);
    with --sample, with the nearest of those that are drawn.
    To continue after an interruption, give the same command again.
    """
    from rich.console import Console
    from rich.progress import track

    from seq2seq.config.model_config import choose_direction
    from seq2seq.corpus import read_parallel
    from seq2seq.evaluation.test_sets import open_ensemble
    from seq2seq.training.distillation import distilled_pairs, recover

    translator = open_ensemble(models, threads, combination_of(models, ensemble), cell)
    direction = choose_direction(translator.directions, source_language, target_language)
    text = read_parallel(corpus, direction.source, direction.target)
    sampling = sampling_of(is_sampled, temperature, top_k, seed)
    done = recover(output)
    console = Console(stderr=True, quiet=quiet)
    pairs = track(
        distilled_pairs(
            translator,
            text,
            done + 1,
            direction=direction,
            beam_size=beam_size or (1 if sampling else 8),
            sampling=sampling,
        ),
        f"{direction}",
        total=len(text) - done,
        console=console,
        disable=quiet or not console.is_terminal,
        transient=True,
    )
    kept = 0
    with output.open("ab") as file:
        for pair in pairs:
            if pair.chrf >= min_chrf:
                file.write(pair.row)
                kept += 1
    if not quiet:
        typer.echo(f"{output}: {kept:,} of {len(text) - done:,} pairs", err=True)
