"""Measures what becomes of everyday text: no capitals or full stop, unknown names, placeholders."""

import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.corpus import ParallelText, read_parallel
from seq2seq.corpus.augmentation import copied_words
from seq2seq.translation.translator import Translator

_CURLY = {"'": "\u2019", '"': "\u201d", "...": "\u2026"}


def main(
    models: Annotated[list[Path] | None, typer.Argument(help="Model directories.")] = None,
    corpus: Annotated[str, typer.Option(help="A prefix or TSV file.")] = "data/sample/test",
    source: Annotated[str | None, typer.Option("-f", "--from")] = None,
    target: Annotated[str | None, typer.Option("-t", "--to")] = None,
) -> None:
    """Print one JSON object a model: lower-cased BLEU of each kind of text, and what was copied."""
    for model in models or [DEFAULT_MODEL]:
        translator = Translator(model, threads=1, source=source, target=target)
        way = translator.direction
        text = read_parallel(corpus, way.source, way.target)
        found: dict[str, object] = {"model": str(model), "direction": str(way)}
        for kind, change in _CHANGES.items():
            lines = [change(line) for line in text.source]
            found[kind] = _bleu(translator, lines, text.target)
        found |= _copied(translator, text)
        found |= _placeholders(translator, text)
        typer.echo(json.dumps(found))


def _curly(line: str) -> str:
    for straight, curly in _CURLY.items():
        line = line.replace(straight, curly)
    return line


_CHANGES: dict[str, Callable[[str], str]] = {
    "as it is": lambda line: line,
    "no final punctuation": lambda line: line.rstrip(".!?"),
    "lower case": str.lower,
    "both": lambda line: line.rstrip(".!?").lower(),
    "capitals": str.upper,
    "typographic quotes": _curly,
}


def _bleu(translator: Translator, lines: Sequence[str], references: Sequence[str]) -> float:
    """Lower-cased, and without the final punctuation of either side, to be the same for all."""
    from sacrebleu.metrics import BLEU

    found = [line.text for line in translator.translate_lines(lines, keep_parts=False)]
    bare = [[line.rstrip(".!? ") for line in side] for side in (found, references)]
    return round(float(BLEU(lowercase=True).corpus_score(bare[0], [bare[1]]).score), 2)


def _copied(translator: Translator, text: ParallelText) -> dict[str, object]:
    """Other names and numbers in place of those that are copied in the reference."""
    draw = random.Random(1)
    lines: list[str] = []
    wanted: list[str] = []
    for line, reference in zip(text.source, text.target, strict=True):
        words = copied_words(line, reference)
        if words:
            word = draw.choice(words)
            other = (
                str(draw.randint(13, 9999))
                if word.isdecimal()
                else "".join(draw.choice(_SYLLABLES) for _ in range(3)).capitalize()
            )
            lines.append(re.sub(rf"\b{re.escape(word)}\b", other, line))
            wanted.append(other)
    found = [line.text for line in translator.translate_lines(lines, keep_parts=False)]
    kinds = {"names": str.isalpha, "numbers": str.isdecimal}
    shares: dict[str, object] = {}
    for kind, is_one in kinds.items():
        own = [word in line for word, line in zip(wanted, found, strict=True) if is_one(word)]
        shares[f"{kind} copied"] = f"{sum(own)} of {len(own)}"
    return shares


def _placeholders(translator: Translator, text: ParallelText) -> dict[str, object]:
    """BLEU where names and numbers are copied, and with `{name}` for one of them on both sides."""
    draw = random.Random(1)
    pairs = [*zip(text.source, text.target, strict=True)]
    copied = [(pair, words) for pair in pairs if (words := copied_words(*pair))]
    hidden: list[tuple[str, str]] = []
    for (line, reference), words in copied:
        word = re.compile(rf"\b{re.escape(draw.choice(words))}\b")
        hidden.append((word.sub("{name}", line), word.sub("{name}", reference)))
    kinds = {"with a name": [pair for pair, _ in copied], "with {name}": hidden}
    return {
        kind: _bleu(translator, [line for line, _ in own], [reference for _, reference in own])
        for kind, own in kinds.items()
    }


_SYLLABLES = ["ka", "lo", "ri", "ben", "tu", "mar", "vis", "o", "del", "zan", "fi", "gor"]


if __name__ == "__main__":
    typer.run(main)
