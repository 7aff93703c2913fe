"""`seq2seq`: check a corpus, train, evaluate, export."""

import importlib.util
import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from seq2seq.cli.calibrate import calibrate
from seq2seq.cli.compare import compare
from seq2seq.cli.distill import distill
from seq2seq.cli.exit import reported_errors
from seq2seq.cli.inspect import app as inspect_app
from seq2seq.cli.options import (
    AnyFromOption,
    AnyToOption,
    BeamSizeOption,
    LengthPenaltyOption,
    PruneOption,
    QuietOption,
    RefOption,
    SrcOption,
    TestCorpusOption,
    TestRecipeOption,
    ThreadsOption,
    VersionOption,
    evaluation_set,
)
from seq2seq.cli.serve import serve
from seq2seq.cli.streams import open_output
from seq2seq.config.model_config import WeightPrecision
from seq2seq.errors import Seq2SeqError, UsageError

app = typer.Typer(
    name="seq2seq",
    help="Train a recurrent translator on your own parallel corpus, know its BLEU, and ship it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

FromOption = Annotated[str, typer.Option("-f", "--from", help="Language of the source side.")]
ToOption = Annotated[str, typer.Option("-t", "--to", help="Language of the target side.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.callback()
def _options(version: VersionOption = False) -> None:
    pass


@app.command()
@reported_errors("seq2seq")
def check(
    corpora: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS...",
            help="A prefix (dir/train for dir/train.en + dir/train.de) or a TSV file. "
            "The first is the training corpus; the others must not share sentences with it. "
            "Or a recipe (.toml) alone: its languages and its train, valid and test.",
        ),
    ],
    source_language: FromOption = "en",
    target_language: ToOption = "de",
    as_json: JsonOption = False,
) -> None:
    """Show what is in a corpus, and what is wrong with it."""
    import json

    from seq2seq.config.recipe import Recipe
    from seq2seq.corpus import check_corpora, check_sources

    recipes = [name for name in corpora if name.endswith(".toml")]
    if recipes and len(corpora) > 1:
        raise UsageError(f"{recipes[0]}: a recipe names all of its texts; give it alone.")
    if recipes:
        report = check_corpora(Recipe.load(Path(recipes[0])).corpus)
    else:
        report = check_sources(corpora, source_language, target_language)
    typer.echo(json.dumps(report.to_json(), indent=1) if as_json else str(report))


@app.command()
@reported_errors("seq2seq")
def train(
    recipe: Annotated[
        Path, typer.Argument(help="A TOML recipe, such as data/recipes/sample.toml.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of the run.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change a setting of the recipe."),
    ] = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            "--init-from",
            metavar="MODEL",
            help="Start from the weights and the tokenizer of this model, to fine-tune it: the "
            "folder of a run, an exported model, or 'shipped', which comes with the package.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the run's last checkpoint.")
    ] = False,
    keep: Annotated[
        int | None,
        typer.Option("--keep", metavar="N", help="Keep the newest N checkpoints.", min=1),
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write events for TensorBoard, into the run's folder."),
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Train a model. Ctrl-C and SIGTERM save it; --resume continues."""
    _require_extra("torch", "train")
    from seq2seq.training.finetune import load_recipe
    from seq2seq.training.reporter import open_reporter
    from seq2seq.training.trainer import train as run_training

    changes = [*(overrides or []), *([f"training.keep_checkpoints={keep}"] if keep else [])]
    resumed = output if resume else None
    settings, init = load_recipe(recipe, changes, where=init_from, resumed=resumed)
    with open_reporter(quiet) as reporter:
        outcome = run_training(
            settings, output, reporter, resume=resume, init=init, tensorboard=tensorboard
        )
    if outcome.interrupted:
        what = "stopped; everything is saved. To continue:"
        settings_again = [word for change in changes for word in ("--set", change)]
        options = [*settings_again, *(["--tensorboard"] if tensorboard else []), "--resume"]
        commands = [["train", str(recipe), "-o", str(output), *options]]
    else:
        _draw_curve(output)
        what = (
            f"done: best validation BLEU {outcome.best_bleu:.2f}, chrF {outcome.best_chrf:.2f} "
            "(greedy). Next:"
        )
        commands = [
            ["evaluate", str(output)],
            ["export", str(output), "-o", f"{output.name}.s2s"],
        ]
    if not quiet:
        for line in (what, *(f"  {shlex.join(['seq2seq', *words])}" for words in commands)):
            typer.echo(line, err=True)
    if outcome.interrupted:
        raise typer.Exit(128 + outcome.stopped_by)  # as a shell counts


def _draw_curve(run: Path) -> None:
    """How the training went, as `curve.png` in the folder of the run, where it can be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        return
    from seq2seq.files import write_file
    from seq2seq.inspection.history import read_history
    from seq2seq.inspection.plots import training_picture
    from seq2seq.training.run_dir import RunDir

    file = RunDir(run).curve_file
    try:
        write_file(file, training_picture(read_history(run)).render("png"))
    except Exception as error:  # the run is done, and none the worse without a picture
        typer.echo(f"{file}: not drawn: {str(error) or type(error).__name__}", err=True)


@app.command()
@reported_errors("seq2seq")
def evaluate(
    model: Annotated[Path, typer.Argument(help="The folder of a run, or an exported model.")],
    src: SrcOption = None,
    ref: RefOption = None,
    corpus: TestCorpusOption = None,
    recipe: TestRecipeOption = None,
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    beam_size: BeamSizeOption = None,
    length_penalty: LengthPenaltyOption = None,
    prune: PruneOption = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the translations here.")
    ] = None,
    threads: ThreadsOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Report BLEU and chrF with signatures and confidence intervals.

    Without --src, --ref, --corpus and --recipe a run is evaluated on the test sets of its own
    recipe.
    """
    _require_extra("sacrebleu", "evaluate")
    from seq2seq.evaluation.test_sets import evaluate_model, table

    test = evaluation_set(src, ref, corpus, recipe, source_language, target_language)
    with open_output(output) if output is not None else nullcontext() as sink:
        evaluations = evaluate_model(
            model,
            test,
            beam_size=beam_size,
            length_penalty=length_penalty,
            prune=prune,
            threads=threads,
            sink=sink,
            show_progress=not quiet,
        )
    if as_json:
        typer.echo("\n".join(one.to_json() for one in evaluations))
    else:
        typer.echo(str(evaluations[0]) if len(evaluations) == 1 else table(evaluations))


app.command()(compare)
app.command()(calibrate)
app.command()(distill)


@app.command()
@reported_errors("seq2seq")
def export(
    run: Annotated[Path, typer.Argument(help="The folder of a training run.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The model folder to write, such as mine.s2s.")
    ],
    card: Annotated[
        Path | None,
        typer.Option("--card", help="A model card (Markdown) to ship instead of the default one."),
    ] = None,
    precision: Annotated[
        WeightPrecision,
        typer.Option(
            "--precision", help="int8: small and fast; fp32: as trained, stored in 16 bits."
        ),
    ] = "int8",
    shortlist: Annotated[
        bool,
        typer.Option(help="With int8: consider only likely words for each sentence, faster still."),
    ] = True,
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus",
            help="For int8, in place of the training corpus: a prefix or TSV file of some "
            "thousand pairs.",
        ),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Write the model folder that `translate -m` runs: small, and without torch.

    int8 needs the training corpus, to see how large activations get and what translates what.
    """
    _require_extra("torch", "export")
    from rich.console import Console

    from seq2seq.training.exporter import export_run

    console = Console(stderr=True, quiet=quiet)
    with console.status("exporting"):
        made = export_run(run, output, card, precision, shortlist, corpus)
    readable = f"{made.size / 1e6:.1f} MB" if made.size >= 1e6 else f"{made.size / 1e3:.0f} kB"
    if quiet:
        return
    lacks = "" if made.calibrated else ", confidence not calibrated: see `seq2seq calibrate`"
    typer.echo(f"{output}: {readable}{lacks}", err=True)
    if precision == "int8" and shortlist and not made.shortlist:
        typer.echo(
            "without a shortlist: the pairs that the model was fine-tuned on are too few to learn "
            "one from; --corpus can name a large corpus.",
            err=True,
        )


app.command()(serve)
app.add_typer(inspect_app)


def _require_extra(module: str, command: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise Seq2SeqError(f"{command} needs {module}: pip install 'seq2seq[train]'")


def main() -> None:
    """The console script `seq2seq`."""
    with reported_errors("seq2seq"):
        app(prog_name="seq2seq")


if __name__ == "__main__":
    main()
