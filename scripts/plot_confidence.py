"""Draws how far a model's confidence can be trusted: the reliability plot of a test set."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.confidence import calibration_error
from seq2seq.corpus import read_parallel
from seq2seq.metrics import sentence_chrf
from seq2seq.translation.translator import Translator

_BINS = 10


def main(
    output: Annotated[Path, typer.Option("-o", "--output", help="A .png or .svg file.")],
    model: Annotated[Path, typer.Option("-m", "--model")] = DEFAULT_MODEL,
    corpus: Annotated[str, typer.Option(help="A prefix or TSV file.")] = "data/sample/test",
    source: Annotated[str | None, typer.Option("-f", "--from")] = None,
    target: Annotated[str | None, typer.Option("-t", "--to")] = None,
) -> None:
    """Mean chrF against mean confidence, in bins of equal width."""
    from matplotlib.figure import Figure

    translator = Translator(model, source=source, target=target)
    way = translator.direction
    text = read_parallel(corpus, way.source, way.target)
    found = [*translator.translate_lines(text.source, keep_parts=False)]
    if any(one.confidence is None for one in found):
        typer.echo("some translations have no confidence and are left out.", err=True)
    pairs = np.array(
        [
            (one.confidence, sentence_chrf(one.text, reference) / 100)
            for one, reference in zip(found, text.target, strict=True)
            if one.confidence is not None
        ]
    )
    confidence, quality = pairs.T
    place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    bins = sorted({*place.tolist()})
    rows = [(place == b, b) for b in bins]
    figure = Figure(figsize=(5, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], "k:", label="as confident as good")
    above.errorbar(
        [confidence[inside].mean() for inside, _ in rows],
        [quality[inside].mean() for inside, _ in rows],
        [quality[inside].std() / np.sqrt(inside.sum()) for inside, _ in rows],
        fmt="ko-",
        capsize=3,
        label="mean of a bin ± standard error",
    )
    error = calibration_error(confidence.tolist(), quality.tolist())
    above.set(
        ylabel="sentence chrF / 100",
        ylim=(0, 1),
        title=f"{way}, {len(pairs):,} sentences: expected error {error:.3f}",
    )
    above.legend()
    below.bar([(b + 0.5) / _BINS for b in bins], [i.sum() for i, _ in rows], 0.08, color="0.5")
    below.set(xlabel="confidence", ylabel="sentences", xlim=(0, 1))
    figure.savefig(output, dpi=150)
    typer.echo(f"expected calibration error {error:.4f}", err=True)


if __name__ == "__main__":
    typer.run(main)
