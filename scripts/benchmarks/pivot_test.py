"""Makes a test set of two languages that no corpus pairs: both translations of one sentence."""

from pathlib import Path
from typing import Annotated

import typer

from seq2seq.corpus import read_parallel
from seq2seq.files import write_file


def main(
    first: Annotated[str, typer.Argument(help="A corpus from a language into another: en, de.")],
    second: Annotated[str, typer.Argument(help="A corpus from the same one: en, fr.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A TSV file: de, tab, fr.")],
) -> None:
    """Write the pairs of what has the same source in both."""
    texts = [read_parallel(corpus, "pivot", "other") for corpus in (first, second)]
    one, other = (dict(zip(text.source, text.target, strict=True)) for text in texts)
    common = [source for source in one if source in other]
    write_file(output, "".join(f"{one[s]}\t{other[s]}\n" for s in common).encode())
    typer.echo(f"{output}: {len(common):,} pairs", err=True)


if __name__ == "__main__":
    typer.run(main)
