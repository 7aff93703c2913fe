"""`seq2seq score`: score given translations by their probability under a model."""

import json
from collections.abc import Iterable, Iterator
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seq2seq.cli.exit import reported_errors
from seq2seq.cli.options import (
    AnyFromOption,
    AnyToOption,
    CellOption,
    EnsembleOption,
    LengthPenaltyOption,
    QuietOption,
    SrcOption,
    ThreadsOption,
    combination_of,
)
from seq2seq.cli.streams import open_output
from seq2seq.errors import Seq2SeqError, UsageError

if TYPE_CHECKING:
    from seq2seq.evaluation.scoring import NBestEntry, Perplexity, ScoredTranslation


@reported_errors("seq2seq")
def score(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...",
            help="An exported model, or the directory of a run; several form an ensemble.",
        ),
    ],
    src: SrcOption = None,
    hyp: Annotated[
        Path | None, typer.Option("--hyp", help="Their translations to score, line by line.")
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus",
            help="Sources and translations in place of --src and --hyp: a prefix or a file.",
        ),
    ] = None,
    n_best: Annotated[
        Path | None,
        typer.Option(
            "--n-best",
            metavar="FILE",
            help="Instead of --hyp: an n-best list, N ||| TEXT ||| FEATURES ||| SCORE; the "
            "list is written again with the log-probability as another feature.",
        ),
    ] = None,
    feature: Annotated[
        str, typer.Option("--feature", help="With --n-best: the name of the added feature.")
    ] = "LogProb",
    rerank: Annotated[
        bool,
        typer.Option("--rerank", help="Sort an n-best list by the model's score, best first."),
    ] = False,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Add each token and its log-probability.")
    ] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Write only the perplexity of the whole text.")
    ] = False,
    source_language: AnyFromOption = None,
    target_language: AnyToOption = None,
    ensemble: EnsembleOption = None,
    length_penalty: LengthPenaltyOption = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write here, not to stdout."),
    ] = None,
    threads: ThreadsOption = 0,
    cell: CellOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write JSON, one object per line, with scores.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Score given translations by their log-probability.

    Writes one number per line. Logarithms are natural, and the end of a sentence is a token. A
    score is the log-probability over the length penalty, as `translate` prints it.
    """
    from seq2seq.config.model_config import choose_direction
    from seq2seq.evaluation.scoring import Perplexity, score_translations, with_scores
    from seq2seq.evaluation.test_sets import open_ensemble

    if [hyp, corpus, n_best].count(None) != 2 or (src is None) != (corpus is not None):
        raise UsageError("give one of the three: --src and --hyp, --src and --n-best, or --corpus.")
    if rerank and n_best is None:
        raise UsageError("--rerank sorts an n-best list: give --n-best.")
    if n_best is not None and (tokens or as_json):
        raise UsageError("--n-best writes an n-best list: leave out --tokens and --json.")
    translator = open_ensemble(models, threads, combination_of(models, ensemble), cell)
    direction = choose_direction(translator.directions, source_language, target_language)
    total = Perplexity()
    with open_output(output) as sink:
        entries: Iterator[NBestEntry] = iter(())
        if corpus is not None:
            pairs = _corpus(corpus, direction.source, direction.target)
        elif hyp is not None:
            pairs = _line_by_line(src, hyp)
        else:
            pairs, entries = _n_best(src, n_best)
        scored = _counted(score_translations(translator, pairs, direction, length_penalty), total)
        if summary:
            for _ in scored:
                pass
            lines: Iterable[str] = [_summary(total, as_json)]
        elif n_best is not None:
            lines = with_scores(zip(entries, scored, strict=True), feature, rerank)
        else:
            lines = (_line(translation, tokens, as_json) for translation in scored)
        sink.writelines(f"{line}\n".encode() for line in lines)
    if not (quiet or summary):
        typer.echo(_summary(total, as_json=False), err=True)


def _counted(
    scored: "Iterable[ScoredTranslation]", total: "Perplexity"
) -> "Iterator[ScoredTranslation]":
    for translation in scored:
        total.add(translation)
        yield translation


def _corpus(corpus: str, source: str, target: str) -> Iterator[tuple[str, str]]:
    from seq2seq.corpus import read_parallel

    text = read_parallel(corpus, source, target)
    return zip(text.source, text.target, strict=True)


def _line_by_line(src: Path | None, hyp: Path) -> Iterator[tuple[str, str]]:
    from seq2seq.corpus import read_lines

    assert src is not None
    sources, translations = read_lines(src), read_lines(hyp)
    if len(sources) != len(translations):
        raise Seq2SeqError(
            f"{src} has {len(sources):,} lines and {hyp} has {len(translations):,}: both need the "
            "same number; for several translations of a line give --n-best."
        )
    return zip(sources, translations, strict=True)


def _n_best(
    src: Path | None, file: Path | None
) -> "tuple[Iterator[tuple[str, str]], Iterator[NBestEntry]]":
    """Return the pairs of source and translation of an n-best list, and its entries in parallel."""
    from seq2seq.corpus import read_lines
    from seq2seq.evaluation.scoring import NBestEntry

    assert src is not None
    assert file is not None
    sources = read_lines(src)
    first, second = tee(
        NBestEntry.parse(line, f"{file}, line {number}", len(sources))
        for number, line in enumerate(read_lines(file), 1)
    )
    return ((sources[entry.number], entry.text) for entry in first), second


def _line(scored: "ScoredTranslation", tokens: bool, as_json: bool) -> str:
    pairs = [*zip(scored.pieces, (round(value, 6) for value in scored.log_probs), strict=True)]
    if as_json:
        row = {"log_prob": round(scored.log_prob, 6), "score": round(scored.score, 6)}
        return json.dumps({**row, "tokens": pairs if tokens else len(pairs)}, ensure_ascii=False)
    line = f"{scored.log_prob:.6f}"
    if tokens:
        line += "\t" + " ".join(f"{piece} {value:.6f}" for piece, value in pairs)
    return line


def _summary(total: "Perplexity", as_json: bool) -> str:
    if as_json:
        row = {"sentences": total.sentences, "tokens": total.tokens}
        return json.dumps(row | {"log_prob": total.log_prob, "perplexity": total.perplexity})
    return (
        f"{total.sentences:,} sentences, {total.tokens:,} tokens: log-probability "
        f"{total.log_prob:,.4f}, perplexity {total.perplexity:.4f}"
    )
