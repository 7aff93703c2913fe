"""`seq2seq inspect`: show the inside of a model and its training, as pictures, text or JSON."""

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.options import AnyFromOption, AnyToOption, BeamSizeOption, CellOption, QuietOption
from seq2seq.cli.streams import open_output
from seq2seq.config.model_config import Direction
from seq2seq.errors import UsageError, require_extra

if TYPE_CHECKING:
    from seq2seq.inspection.loading import InspectedModel
    from seq2seq.inspection.plots import Picture

app = typer.Typer(
    name="inspect",
    help="Look inside a trained model: attention, gates, search, gradients, training.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ModelArgument = Annotated[
    Path, typer.Argument(help="An exported model, or the folder of a training run.")
]
SentenceArgument = Annotated[str, typer.Argument(help="What the model translates.")]
OutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Draw it: .html, .png or .svg."),
]
DroppedOption = Annotated[
    int,
    typer.Option(
        "--dropped", min=0, max=100, metavar="N", help="Show N dropped hypotheses at each step."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the data as JSON.")]


@app.command()
@reported_errors("seq2seq inspect")
def attention(
    model: ModelArgument,
    sentence: SentenceArgument,
    output: OutputOption = None,
    head: Annotated[
        list[int] | None,
        typer.Option("--head", metavar="N", help="Only this head, from 1; may be repeated."),
    ] = None,
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    cell: CellOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where the decoder looks for each token that it writes: all heads and their mean."""
    check_output(output)
    from seq2seq.inspection.activations import attention as look
    from seq2seq.inspection.loading import open_model
    from seq2seq.inspection.terminal import attention_lines

    opened = open_model(model, cell)
    way = opened.between(source_language, target_language)
    seen = look(opened, sentence, way)
    _note(opened, sentence, way)
    if head:
        seen = seen.of_heads(head)
    if output is not None:
        from seq2seq.inspection.plots import attention_picture

        draw(attention_picture(seen), output)
    tell(seen.to_json(), attention_lines(seen), output, as_json)


@app.command()
@reported_errors("seq2seq inspect")
def gates(
    model: ModelArgument,
    sentence: SentenceArgument,
    output: OutputOption = None,
    layer: Annotated[
        str | None,
        typer.Option("--layer", metavar="PART.N", help="Such as encoder.1 or decoder.2."),
    ] = None,
    direction: Annotated[
        str | None,
        typer.Option(
            "--direction", metavar="WAY", help="forwards or backwards; the decoder runs forwards."
        ),
    ] = None,
    gate: Annotated[
        str | None,
        typer.Option(
            "--gate",
            metavar="NAME",
            help="Of an LSTM forget, update (or input), output, cell, candidate, hidden; of a GRU "
            "reset, update, candidate, hidden; of a plain cell hidden.",
        ),
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus",
            metavar="FILE",
            help="Find the most selective units in this corpus, or in a file of source sentences.",
        ),
    ] = None,
    sentences: Annotated[
        int | None,
        typer.Option(
            "--sentences", metavar="N", min=2, help="Read at most N of the corpus. Default: 1000."
        ),
    ] = None,
    units: Annotated[
        int | None,
        typer.Option(
            "--units", metavar="N", min=1, help="Name N units for each property. Default: 1."
        ),
    ] = None,
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    cell: CellOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the gates of each layer do over the tokens, and which units do what."""
    check_output(output)
    if corpus is None and (sentences or units):
        raise UsageError("--sentences and --units are for --corpus; give one.")
    from seq2seq.inspection.activations import gates as look
    from seq2seq.inspection.activations import places
    from seq2seq.inspection.loading import open_model
    from seq2seq.inspection.neurons import NamedUnits, read_pairs, selective_units
    from seq2seq.inspection.terminal import gates_lines, units_lines

    opened = open_model(model, cell)
    way = opened.between(source_language, target_language)
    wanted = places(opened.network.config, layer, direction, gate, opened.network.cell)
    seen = look(opened, sentence, way, wanted)
    _note(opened, sentence, way)
    named = NamedUnits()
    if corpus is not None:
        asks_decoder = any(place.part == "decoder" for place in wanted)
        pairs = read_pairs(opened, corpus, way, sentences or 1000, with_targets=asks_decoder)
        named = selective_units(opened, pairs, way, wanted, units or 1)
    if output is not None:
        from seq2seq.inspection.plots import gates_picture

        draw(gates_picture(seen, named.units), output)
    table = seen.to_json() | named.to_json()
    tell(table, chain(gates_lines(seen), units_lines(named)), output, as_json)


@app.command()
@reported_errors("seq2seq inspect")
def search(
    model: ModelArgument,
    sentence: SentenceArgument,
    output: OutputOption = None,
    dropped: DroppedOption = 3,
    beam_size: BeamSizeOption = None,
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    cell: CellOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the beam as a tree: what was kept, what was dropped, and with which scores."""
    check_output(output)
    from seq2seq.inspection.loading import open_model
    from seq2seq.inspection.search_tree import search_tree
    from seq2seq.inspection.terminal import search_lines

    opened = open_model(model, cell)
    opened = replace(opened, search=opened.search.changed(beam_size=beam_size))
    way = opened.between(source_language, target_language)
    tree = search_tree(opened, sentence, way, dropped=dropped)
    _note(opened, sentence, way)
    if output is not None:
        from seq2seq.inspection.plots import search_picture

        draw(search_picture(tree), output)
    tell(tree.to_json(), search_lines(tree), output, as_json)


@app.command()
@reported_errors("seq2seq inspect")
def sentence(
    model: ModelArgument,
    sentence: SentenceArgument,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the page: .html."),
    ] = None,
    dropped: DroppedOption = 3,
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    cell: CellOption = None,
    as_json: JsonOption = False,
) -> None:
    """Step through a sentence: gates, states, attention and beam at each token, as a page."""
    if output is not None and output.suffix.lower() != ".html":
        raise UsageError(f"{output}: a page is .html.")
    from seq2seq.inspection.loading import open_model
    from seq2seq.inspection.sentence_steps import sentence_lines, sentence_steps

    opened = open_model(model, cell)
    way = opened.between(source_language, target_language)
    steps = sentence_steps(opened, sentence, way, dropped=dropped)
    _note(opened, sentence, way)
    if output is not None:
        with open_output(output) as sink:
            sink.write(steps.page().encode())
    tell(steps.to_json(), sentence_lines(steps), output, as_json)


@app.command()
@reported_errors("seq2seq inspect")
def gradients(
    output: OutputOption = None,
    distractors: Annotated[
        bool,
        typer.Option(
            "--distractors", help="Show symbols to be ignored during the delay, not blanks."
        ),
    ] = False,
    longest: Annotated[
        int, typer.Option("--longest", min=5, max=5120, help="The longest delay that is tried.")
    ] = 160,
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Training steps for each delay, at most.")
    ] = 600,
    seed: Annotated[int, typer.Option("--seed", help="Seed of all random numbers.")] = 1,
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds", metavar="N", min=1, help="Measure with N seeds, counted from --seed."
        ),
    ] = 1,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure the vanishing gradient of RNN, GRU and LSTM, and how long each remembers.

    It takes some minutes for each seed, and gives the same numbers every time. Of several seeds it
    shows each one.
    """
    check_output(output)
    require_extra("torch", "inspect gradients", "train")
    from itertools import count, takewhile

    from rich.console import Console

    from seq2seq.inspection.gradients import GradientSettings, MemoryResult, measure
    from seq2seq.inspection.terminal import gradients_lines

    delays = tuple(takewhile(lambda delay: delay <= longest, (5 * 2**n for n in count())))
    settings = GradientSettings(
        delays=delays, distractors=distractors, steps=steps, seeds=tuple(range(seed, seed + seeds))
    )
    with Console(stderr=True, quiet=quiet).status("measuring") as status:

        def show(result: MemoryResult) -> None:
            status.update(
                f"seed {result.seed}, {result.variant}, delay {result.delay}: "
                f"{result.accuracy:.0%} right"
            )

        report = measure(settings, on_result=show)
    if output is not None:
        from seq2seq.inspection.plots import gradients_picture

        draw(gradients_picture(report), output)
    drawn_alone = output if quiet else None  # print the numbers too, as they took minutes
    tell(report.to_json(), gradients_lines(report), drawn_alone, as_json)


@app.command()
@reported_errors("seq2seq inspect")
def training(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="The folder of a training run, or its metrics.jsonl; several are compared.",
        ),
    ],
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how a run goes: loss, BLEU, learning rate and gates over the steps.

    Several runs are drawn into the same plots of validation BLEU and loss.
    """
    check_output(output)
    from seq2seq.inspection.training_history import history_lines, read_history, runs_lines

    history, *others = histories = [read_history(run) for run in runs]
    if others:
        if output is not None:
            from seq2seq.inspection.plots import runs_picture

            draw(runs_picture(histories), output)
        table = {"runs": [history.to_json() for history in histories]}
        tell(table, runs_lines(histories), output, as_json)
        return
    if output is not None:
        from seq2seq.inspection.plots import training_picture

        draw(training_picture(history), output)
    tell(history.to_json(), history_lines(history), output, as_json)


@app.command()
@reported_errors("seq2seq inspect")
def model(
    model: ModelArgument,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Draw it: .svg.")
    ] = None,
    show: Annotated[
        str,
        typer.Option(
            "--show",
            metavar="NAME",
            help="model, or an idea: shapes, unit, lstm, gru, encoder-decoder, decoding, beam.",
        ),
    ] = "model",
    cell: CellOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the parts of a model with their shapes and parameters."""
    if output is not None and output.suffix.lower() != ".svg":
        raise UsageError(f"{output}: a diagram is .svg.")
    from seq2seq.inspection.diagrams import diagram, model_lines, parts_of
    from seq2seq.inspection.loading import open_model

    network = open_model(model, cell).network
    drawn = diagram(network, show)
    if output is not None:
        with open_output(output) as sink:
            sink.write(drawn.svg().encode())
    table: dict[str, Any] = {"title": drawn.title, "description": drawn.description}
    if show == "model":
        table["parts"] = [part._asdict() for part in parts_of(network)]
    tell(table, model_lines(network), output, as_json)


def _note(model: "InspectedModel", sentence: str, direction: Direction) -> None:
    """Print on stderr what `translate` would do differently."""
    for difference in model.differences(sentence, direction):
        typer.echo(f"seq2seq inspect: note: translate would {difference}.", err=True)


def check_output(output: Path | None) -> None:
    """Raise `Seq2SeqError` if the picture could not be drawn, before any work is done.

    That is, if its format is unknown or Matplotlib is not installed.
    """
    if output is None:
        return
    if output.suffix.lower() not in (".html", ".png", ".svg"):
        raise UsageError(f"{output}: a picture is .html, .png or .svg.")
    require_extra("matplotlib", "a picture", "inspect")


def draw(picture: "Picture", output: Path) -> None:
    data = picture.render(output.suffix[1:].lower())
    with open_output(output) as sink:
        sink.write(data)


def tell(table: dict[str, Any], lines: Iterable[str], output: Path | None, as_json: bool) -> None:
    """Print `table` as JSON if `as_json`, else `lines` unless there is a picture in `output`.

    The output is UTF-8, whatever the locale.
    """
    if as_json:
        lines = [json.dumps(table, ensure_ascii=False)]
    elif output is not None:
        return
    with open_output(None) as sink:
        sink.write("".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    app()
