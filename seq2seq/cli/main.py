"""The command `seq2seq`; each subcommand is in the module of the same name."""

import typer

from seq2seq.cli.average import average
from seq2seq.cli.bulk import bulk
from seq2seq.cli.calibrate import calibrate
from seq2seq.cli.check import check
from seq2seq.cli.compare import compare
from seq2seq.cli.distill import distill
from seq2seq.cli.evaluate import evaluate
from seq2seq.cli.exit import reported_errors
from seq2seq.cli.export import export
from seq2seq.cli.inspect import app as inspect_app
from seq2seq.cli.inspect_confidence import confidence
from seq2seq.cli.learn import app as learn_app
from seq2seq.cli.options import VersionOption
from seq2seq.cli.qa import qa
from seq2seq.cli.score import score
from seq2seq.cli.serve import serve
from seq2seq.cli.sweep import sweep
from seq2seq.cli.train import train
from seq2seq.cli.train_identifier import train_identifier

app = typer.Typer(
    name="seq2seq",
    help="Train, evaluate and export recurrent translation models.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _options(version: VersionOption = False) -> None:
    pass


# Each command imports what it needs when it is called.
for command in (
    check,
    qa,
    train,
    sweep,
    average,
    evaluate,
    compare,
    score,
    calibrate,
    distill,
    bulk,
    export,
    serve,
):
    app.command()(command)
app.command("train-identifier")(train_identifier)
inspect_app.command()(confidence)
app.add_typer(inspect_app)
app.add_typer(learn_app)


def main() -> None:
    """Run the console script."""
    with reported_errors("seq2seq"):
        app(prog_name="seq2seq")


if __name__ == "__main__":
    main()
