"""`seq2seq inspect confidence`: show how reliable a model's confidence is."""

from pathlib import Path
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.inspect import JsonOption, ModelArgument, OutputOption, check_output, draw, tell
from seq2seq.cli.options import AnyFromOption, AnyToOption, CellOption
from seq2seq.errors import require_extra


@reported_errors("seq2seq inspect")
def confidence(
    model: ModelArgument,
    corpus: Annotated[str, typer.Option("--corpus", help="Held-out pairs: a prefix or a file.")],
    output: OutputOption = None,
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    cell: CellOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how good translations of each confidence are, by chrF: a reliability diagram."""
    check_output(output)
    require_extra("sacrebleu", "inspect confidence", "train")
    from seq2seq.config.model_config import choose_direction
    from seq2seq.corpus import DirectedText, read_parallel
    from seq2seq.evaluation.test_sets import open_translator
    from seq2seq.inspection.reliability import reliability, reliability_lines

    translator = open_translator(Path(model), cell=cell)
    direction = choose_direction(translator.directions, source_language, target_language)
    text = read_parallel(corpus, direction.source, direction.target)
    measured = reliability(translator, DirectedText(direction, text))
    if output is not None:
        from seq2seq.inspection.plots import reliability_picture

        draw(reliability_picture(measured), output)
    tell(measured.to_json(), reliability_lines(measured), output, as_json)
