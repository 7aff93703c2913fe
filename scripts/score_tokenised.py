"""BLEU over Moses' tokens, lower-cased, as publications on Multi30k report it.

Lower case, then Moses' normalised punctuation, then its tokens, as the files `*.lc.norm.tok.*` of
that corpus were made; n-grams are counted over those tokens. French comes out some points higher
than over sacreBLEU's own tokens, since `l'herbe` is two.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.corpus import read_lines
from seq2seq.errors import Seq2SeqError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@reported_errors("score_tokenised")
def main(
    hypotheses: Annotated[Path, typer.Argument(help="Translations, as `evaluate -o` writes them.")],
    references: Annotated[Path, typer.Argument(help="A reference for each; may be .gz.")],
    language: Annotated[str, typer.Option("-l", "--language", help="Of both: de, fr ...")],
) -> None:
    """Print the score, the sizes that it is from, and the signature."""
    from sacrebleu.metrics import BLEU

    try:
        split = moses_tokens(language)
    except ModuleNotFoundError:
        raise Seq2SeqError("this needs sacremoses: pip install '.[dev]'") from None
    sides = [[split(line) for line in read_lines(file)] for file in (hypotheses, references)]
    if len(sides[0]) != len(sides[1]):
        raise Seq2SeqError(
            f"{len(sides[0]):,} translations do not fit {len(sides[1]):,} references: "
            "both need the same number of lines."
        )
    if not sides[0]:
        raise Seq2SeqError(f"{hypotheses}: no lines in it.")
    metric = BLEU(tokenize="none", force=True)  # force: tokens are what is wanted here
    score = metric.corpus_score(sides[0], [sides[1]], n_bootstrap=1000)
    typer.echo(f"{score}\n{metric.get_signature()}, over Moses' tokens of lower-cased {language!r}")


def moses_tokens(language: str) -> Callable[[str], str]:
    """A function from text to its tokens in lower case, with spaces between."""
    from sacremoses import MosesPunctNormalizer, MosesTokenizer

    normalise = MosesPunctNormalizer(language).normalize
    tokenise = MosesTokenizer(language).tokenize
    return lambda text: str(tokenise(normalise(text.lower()), return_str=True))


if __name__ == "__main__":
    app()
