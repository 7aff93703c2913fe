"""Options that several commands share."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seq2seq.config.model_config import Combination
from seq2seq.errors import UsageError

if TYPE_CHECKING:
    from seq2seq.evaluation.test_sets import EvaluationSet
    from seq2seq.search.sampling import Sampling


def _print_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"{context.info_name} {version('seq2seq')}")
        raise typer.Exit


AnyFromOption = Annotated[
    str | None, typer.Option("-f", "--from", metavar="LANGUAGE", help="Language of the text.")
]
AnyToOption = Annotated[
    str | None, typer.Option("-t", "--to", metavar="LANGUAGE", help="Translate into this language.")
]
SrcOption = Annotated[
    Path | None, typer.Option("--src", help="Source sentences, one per line (plain or .gz).")
]
RefOption = Annotated[
    Path | None, typer.Option("--ref", help="Their reference translations, line by line.")
]
RefsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--ref", help="Their reference translations, line by line; repeat it for more references."
    ),
]
TestCorpusOption = Annotated[
    str | None,
    typer.Option(
        "--corpus",
        help="A test set in place of --src and --ref: a prefix or a file (TSV, Parquet, TMX ...).",
    ),
]
TestRecipeOption = Annotated[
    Path | None,
    typer.Option("--recipe", help="A recipe whose test sets are used, in all directions."),
]
EnsembleOption = Annotated[
    Combination | None,
    typer.Option(
        "--ensemble",
        help="How several models are combined: by the mean of their log-probabilities (log, the "
        "default) or of their probabilities (linear).",
    ),
]
BeamSizeOption = Annotated[
    int | None,
    typer.Option(
        "-b", "--beam-size", min=1, max=1000, help="Hypotheses kept; 1 is greedy, and fast."
    ),
]
LengthPenaltyOption = Annotated[
    float | None,
    typer.Option(
        "--length-penalty", min=0, max=10, help="0: none. The higher, the longer the translations."
    ),
]
SampleOption = Annotated[
    bool,
    typer.Option(
        "--sample", help="Draw translations at random instead of searching for the best one."
    ),
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(
        "--temperature", help="With --sample: below 1, likely tokens become likelier. Default: 1."
    ),
]
TopKOption = Annotated[
    int | None,
    typer.Option(
        "--top-k", metavar="K", help="With --sample: draw from the K likeliest tokens only."
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed", help="With --sample: another seed draws other translations. Default: 1."
    ),
]
ProtectPatternOption = Annotated[
    list[str] | None,
    typer.Option(
        "--protect-pattern",
        metavar="REGEX",
        help="Also keep text that this Python regular expression matches; may be repeated.",
    ),
]
ProtectPatternsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--protect-patterns",
        metavar="FILE",
        help="Also keep what the patterns in this file match, one per line; # begins a comment.",
    ),
]
PruneOption = Annotated[
    float | None,
    typer.Option(
        "--prune",
        min=0,
        metavar="NATS",
        help="Drop hypotheses that are this much less likely than the best one of their "
        "length: faster, but may change the result; 3 hardly ever does. 0: drop none.",
    ),
]
GlossaryOption = Annotated[
    Path | None,
    typer.Option(
        "--glossary", metavar="FILE", help="Terms: TERM, tab, TRANSLATION; or CSV or TBX."
    ),
]
IdentifiedFromOption = Annotated[
    str | None,
    typer.Option(
        "-f", "--from", metavar="LANGUAGE", help="Language of the text; auto: identify it."
    ),
]
MemoryOption = Annotated[
    Path | None,
    typer.Option(
        "--memory",
        metavar="FILE|FOLDER",
        help="Use the translation in this memory if it has the text: TMX, PO, XLIFF, CSV, TSV "
        "or JSON Lines.",
    ),
]
MemorySourceOption = Annotated[
    str | None,
    typer.Option("-f", "--from", metavar="LANGUAGE", help="Source language of the memory."),
]
MemoryTargetOption = Annotated[
    str | None,
    typer.Option("-t", "--to", metavar="LANGUAGE", help="Target language of the memory."),
]
MemoryFromOption = Annotated[
    int | None,
    typer.Option(
        "--memory-from",
        metavar="PERCENT",
        min=50,
        max=100,
        help="Also use fuzzy matches of the memory of at least this similarity, such as 75; they "
        "are marked for review. Default: exact matches only.",
    ),
]
ThreadsOption = Annotated[
    int, typer.Option("--threads", min=0, max=1024, help="CPU threads; 0: one per core.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
CellOption = Annotated[
    Path | None,
    typer.Option("--cell", metavar="FILE", help="The file of a run's own cell; this code is run."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print only errors.")]
VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
    ),
]


def combination_of(models: Sequence[Path], ensemble: Combination | None) -> Combination:
    """Return how an ensemble combines its models.

    Raises `UsageError` if --ensemble is given with only one model.
    """
    if ensemble is not None and len(models) < 2:
        raise UsageError("--ensemble is for several models, and only one is given.")
    return ensemble or "log"


def least_similarity_of(memory_from: int | None, memory: Path | None) -> float:
    """Return the least similarity of matches, from 0 to 1, for --memory-from in percent.

    Raises `UsageError` if --memory-from is given without a memory.
    """
    if memory_from is not None and memory is None:
        raise UsageError("--memory-from is for a translation memory: add --memory.")
    return 1.0 if memory_from is None else memory_from / 100


def sampling_of(
    is_wanted: bool, temperature: float | None, top_k: int | None, seed: int | None
) -> "Sampling | None":
    """Return the settings of sampling, or None without --sample.

    Raises `UsageError` if the other options are given without --sample.
    """
    if not is_wanted:
        if (temperature, top_k, seed) != (None, None, None):
            raise UsageError("--temperature, --top-k and --seed are for --sample: add that.")
        return None
    from seq2seq.search.sampling import Sampling

    return Sampling(
        1.0 if temperature is None else temperature, top_k or 0, 1 if seed is None else seed
    )


def protect_patterns_of(
    expressions: Sequence[str] | None, files: Sequence[Path] | None
) -> tuple[re.Pattern[str], ...]:
    """Compile the expressions of --protect-pattern and those in the files of --protect-patterns."""
    if not (expressions or files):
        return ()
    from seq2seq.text.protected_spans import compile_patterns

    return compile_patterns(expressions or (), files or ())


def evaluation_set(
    src: Path | None,
    refs: Sequence[Path],
    corpus: str | None,
    recipe: Path | None,
    source_language: str | None,
    target_language: str | None,
) -> "EvaluationSet":
    """Return the test set that the options name; raises `UsageError` if they conflict."""
    from seq2seq.evaluation.test_sets import EvaluationSet

    if (src is None) != (not refs):
        raise UsageError("--src and --ref go together.")
    if [src, corpus, recipe].count(None) < 2:
        raise UsageError("give one of the three: --src and --ref, --corpus, or --recipe.")
    files = None if src is None else (src, refs[0])
    further = tuple(refs[1:])
    return EvaluationSet(files, corpus, recipe, source_language, target_language, further)
