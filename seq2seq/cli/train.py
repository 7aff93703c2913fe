"""`seq2seq train`: train a model from a recipe."""

import importlib.util
import os
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.options import MemorySourceOption, MemoryTargetOption, QuietOption
from seq2seq.errors import UsageError, require_extra


@reported_errors("seq2seq")
def train(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of the run.")],
    recipe: Annotated[
        Path | None, typer.Argument(help="A TOML recipe, such as data/recipes/sample.toml.")
    ] = None,
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
            "folder of a run, an exported model, or 'bundled', the package's own.",
        ),
    ] = None,
    memory: Annotated[
        Path | None,
        typer.Option(
            "--memory",
            metavar="FILE|FOLDER",
            help="In place of a recipe: fine-tune the model of --init-from on this translation "
            "memory (TMX, PO, XLIFF or TSV). A part of it is held out.",
        ),
    ] = None,
    source_language: MemorySourceOption = None,
    target_language: MemoryTargetOption = None,
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
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            metavar="N",
            help="Train on N processes of this machine; on several machines, use torchrun.",
            min=1,
        ),
    ] = 1,
    quiet: QuietOption = False,
) -> None:
    """Train a model. Ctrl-C and SIGTERM save it; --resume continues."""
    if source_language is not None and memory is None:
        raise UsageError(
            "train --from is called --init-from now; with --memory it is the language."
        )
    if init_from == "shipped":
        raise UsageError("--init-from shipped is called --init-from bundled now.")
    require_extra("torch", "train", "train")
    if memory is not None:
        if resume or "WORLD_SIZE" in os.environ:
            raise UsageError(
                "give the recipe that was made of the --memory, for --resume or torchrun."
            )
        recipe = _memory_recipe(memory, recipe, output, init_from, source_language, target_language)
    if recipe is None:
        raise UsageError("give a recipe; or --memory FILE with --init-from, which need none.")
    changes = [*(overrides or []), *([f"training.keep_checkpoints={keep}"] if keep else [])]
    run = partial(_train, recipe, output, changes, init_from, resume, tensorboard, processes, quiet)
    if processes == 1:
        run()
        return
    if "WORLD_SIZE" in os.environ:
        raise UsageError("under torchrun leave --processes out; it has --nproc-per-node.")
    from seq2seq.training.launcher import run_processes

    raise typer.Exit(run_processes(processes, partial(_run_rank, run)))


def _run_rank(run: Callable[[], None]) -> None:
    """Run a process of several, and end it with the exit code of the command."""
    try:
        reported_errors("seq2seq")(run)()
    except typer.Exit as end:
        sys.exit(end.exit_code)


def _train(
    recipe: Path,
    output: Path,
    changes: list[str],
    init_from: str | None,
    resume: bool,
    tensorboard: bool,
    processes: int,
    quiet: bool,
) -> None:
    """Train in this process, which may be one of several that train together."""
    from seq2seq.training.finetune import load_recipe, named_cell
    from seq2seq.training.process_group import process_group
    from seq2seq.training.reporter import open_reporter
    from seq2seq.training.trainer import train

    with process_group() as group:
        quiet = quiet or not group.is_first
        resumed = output if resume else None
        settings, init = load_recipe(recipe, changes, where=init_from, resumed=resumed)
        own_cell = named_cell(settings, recipe, changes)
        with open_reporter(quiet) as reporter:
            outcome = train(
                settings,
                output,
                reporter,
                resume=resume,
                init=init,
                own_cell=own_cell,
                tensorboard=tensorboard,
                group=group,
            )
    if outcome.interrupted:
        what = "stopped; everything is saved. To continue:"
        settings_again = [word for change in changes for word in ("--set", change)]
        options = [*settings_again, *(["--tensorboard"] if tensorboard else [])]
        options += [*(["--processes", str(processes)] if processes > 1 else []), "--resume"]
        commands = [["train", str(recipe), "-o", str(output), *options]]
    else:
        if group.is_first:
            _draw_curve(output)
        what = (
            f"done: best validation BLEU {outcome.best_bleu:.2f}, chrF {outcome.best_chrf:.2f} "
            f"(greedy){_before(output) if init_from else ''}. Next:"
        )
        commands = [
            ["evaluate", str(output)],
            ["export", str(output), "-o", f"{output.name}.s2s"],
        ]
        if own_cell:  # which cannot be exported
            commands = [["evaluate", str(output), "--cell", str(own_cell.path)]]
        elif settings.model.not_exported:
            commands = commands[:1]
    if not quiet:
        for line in (what, *(f"  {shlex.join(['seq2seq', *words])}" for words in commands)):
            typer.echo(line, err=True)
    if outcome.interrupted:
        raise typer.Exit(128 + outcome.stopped_by)  # the exit code that a shell reports


def _memory_recipe(
    memory: Path,
    recipe: Path | None,
    output: Path,
    init_from: str | None,
    source: str | None,
    target: str | None,
) -> Path:
    """Write the recipe of a run that trains on a translation memory, and return its path."""
    from seq2seq.config.model_config import Direction
    from seq2seq.corpus.corpus_from_translation_memory import write_memory_recipe
    from seq2seq.training.finetune import first_direction

    if recipe is not None or init_from is None:
        raise UsageError("--memory takes the place of a recipe, and needs --init-from.")
    usual = first_direction(init_from)
    direction = Direction(source or usual.source, target or usual.target)
    return write_memory_recipe(memory, output.with_name(f"{output.name}.corpus"), direction)


def _before(run: Path) -> str:
    """Return a phrase with the BLEU of the model that a run started from, if it was measured."""
    from seq2seq.inspection.training_history import read_history

    first = read_history(run).validations[0]
    return f", before {first['bleu']:.2f}" if first["step"] == 0 else ""


def _draw_curve(run: Path) -> None:
    """Draw `curve.png` into the folder of the run, if Matplotlib is installed."""
    if importlib.util.find_spec("matplotlib") is None:
        return
    from seq2seq.files import write_file
    from seq2seq.inspection.plots import training_picture
    from seq2seq.inspection.training_history import read_history
    from seq2seq.training.run_dir import RunDir

    file = RunDir(run).curve_file
    try:
        write_file(file, training_picture(read_history(run)).render("png"))
    except Exception as error:  # the run itself has succeeded
        typer.echo(f"{file}: not drawn: {str(error) or type(error).__name__}", err=True)
