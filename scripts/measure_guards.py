"""Measures what `translate` promises about text that is not plain.

Spans that must survive, glossary terms, the cost of protection on plain text, the layout of a long
document, and whether the alignment finds copied words. The corpus is read, and nothing is kept.
"""

import json
import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from seq2seq.config import choose_direction
from seq2seq.corpus import ParallelText, read_parallel
from seq2seq.corpus.augmenting import copied_words
from seq2seq.metrics import corpus_bleu
from seq2seq.text.glossary import Glossary, Term
from seq2seq.translator import SHIPPED_MODEL, Translator

_KINDS = {
    "{{double}}": lambda n: f"{{{{item_{n}}}}}",
    "{single}": lambda n: f"{{name{n}}}",
    "%s": lambda n: ("%s", "%d", f"%{n % 9 + 1}$s", "%.2f")[n % 4],
    "URL": lambda n: f"https://example.org/a/{n}?b={n}&c=d",
    "e-mail": lambda n: f"user.{n}@mail.example.org",
    "<tag>": lambda n: (f'<a href="/p/{n}">', "<br/>", f"<x id={n}>")[n % 3],
    "`code`": lambda n: f"`f({n}, x)`",
    "${variable}": lambda n: f"${{VAR_{n}}}",
}
_CONTENT = re.compile(r"[^\W\d_]{4,}")


@dataclass
class _Damage:
    """How many spans were in the sources, and what became of them."""

    spans: int = 0
    lost: int = 0
    doubled: int = 0


def main(
    model: Annotated[Path, typer.Option("-m", "--model")] = SHIPPED_MODEL,
    corpus: Annotated[str, typer.Option(help="A prefix or TSV file.")] = "data/sample/test",
    source: Annotated[str | None, typer.Option("-f", "--from")] = None,
    target: Annotated[str | None, typer.Option("-t", "--to")] = None,
    sentences: Annotated[int, typer.Option(help="With spans in them.")] = 10_000,
    terms: Annotated[int, typer.Option(help="Sentences with a glossary term.")] = 500,
    pages: Annotated[int, typer.Option(help="Of the document.")] = 50,
    seed: int = 1,
) -> None:
    """Print one JSON object a measurement."""
    translator = Translator(model, threads=1).between(source, target)
    way = choose_direction(translator.directions, source, target)
    text = read_parallel(corpus, way.source, way.target)
    draw = random.Random(seed)
    for name, found in (
        ("plain text", _plain(translator, text)),
        ("alignment", _alignment(translator, text)),
        ("glossary", _glossary(translator, text, terms, draw)),
        ("document", _document(translator, text, pages, draw)),
        ("spans", _spans(translator, text, sentences, draw)),
    ):
        typer.echo(json.dumps({"measured": name, "direction": str(way), **found}))


def _plain(translator: Translator, text: ParallelText) -> dict[str, object]:
    """BLEU with and without protection."""
    found: dict[str, object] = {"sentences": len(text)}
    for protect in (True, False):
        translator.protect = protect
        started = time.perf_counter()
        lines = [one.text for one in translator.translate_lines(text.source, keep_parts=False)]
        seconds = time.perf_counter() - started
        name = "protected" if protect else "unprotected"
        found[f"BLEU {name}"] = round(corpus_bleu(lines, [*text.target]), 2)
        found[f"sentences/s {name}"] = round(len(text) / seconds, 1)
    translator.protect = True
    return found


def _alignment(translator: Translator, text: ParallelText) -> dict[str, object]:
    """Names and numbers that come out as they went in are to be linked to themselves."""
    right = words = 0
    for one in translator.translate_lines(text.source):
        ours, theirs = one.source.split(), one.text.split()
        links = {other: mine for mine, other in one.alignment}
        for word in copied_words(one.source, one.text):
            [here] = [i for i, token in enumerate(ours) if word in re.findall(r"\w+", token)] or [
                -1
            ]
            [there] = [
                i for i, token in enumerate(theirs) if word in re.findall(r"\w+", token)
            ] or [-1]
            if min(here, there) >= 0:
                words += 1
                right += links.get(there) == here
    return {"copied words": words, "linked to themselves": right, "share": _share(right, words)}


def _glossary(
    translator: Translator, text: ParallelText, number: int, draw: random.Random
) -> dict[str, object]:
    """Terms that nobody would say: each must be there whenever its source is."""
    counts = Counter(word for line in text.source for word in _CONTENT.findall(line.lower()))
    common = [word for word, _ in counts.most_common(200)[20:]]
    glossary = Glossary(
        Term(word, draw.choice(("Zwirbelwerk", "blaue Ampel", "Quixotherm 3", "Ölström")))
        for word in common
    )
    lines = [line for line in text.source if glossary.find(line)][:number]
    translator.glossary = glossary
    present = asked = 0
    for one in translator.translate_lines(lines, keep_parts=False):
        wanted = Counter(found.term.target for found in glossary.find(one.source))
        asked += wanted.total()
        present += sum(min(count, one.text.count(term)) for term, count in wanted.items())
    translator.glossary = None
    return {"sentences": len(lines), "terms": asked, "present": present}


def _document(
    translator: Translator, text: ParallelText, pages: int, draw: random.Random
) -> dict[str, object]:
    """Everything outside the sentences is the same, byte for byte."""
    number, lines = 0, []
    for _ in range(pages * 40):
        kind = draw.randrange(8)
        some = [text.source[(number + i) % len(text)].strip() for i in range(draw.randint(1, 4))]
        number += len(some)
        match kind:
            case 0:
                lines.append("")
            case 1:
                lines.append(f"{'#' * draw.randint(1, 4)} {some[0]}")
            case 2 | 3:
                lines.append(f"{' ' * draw.choice((0, 2, 4))}- {'  '.join(some)}")
            case 4:
                lines.append(f"{draw.randint(1, 20)}. {some[0]}")
            case 5:
                lines.append(f"\t> {' '.join(some)}  ")
            case _:
                lines.append(" ".join(some))
    document = "\n".join(lines)
    [translation] = translator.translate([document], unit="sentence")
    frames = [
        "".join("@" if part.hypothesis else side for part, side in pairs)
        for pairs in (
            [(part, part.source) for part in translation.parts],
            [(part, part.text) for part in translation.parts],
        )
    ]
    whole = "".join(part.source + part.separator for part in translation.parts) == document
    put = "".join(part.text + part.separator for part in translation.parts) == translation.text
    lines_kept = document.count("\n") == translation.text.count("\n")
    return {
        "characters": len(document),
        "sentences": sum(part.hypothesis is not None for part in translation.parts),
        "same outside sentences": whole and put and lines_kept and frames[0] == frames[1],
    }


def _spans(
    translator: Translator, text: ParallelText, number: int, draw: random.Random
) -> dict[str, object]:
    damage = {kind: _Damage() for kind in _KINDS}
    held: dict[str, list[tuple[str, str]]] = {}
    lines: list[str] = []
    for i in range(number):
        words = text.source[i % len(text)].split()
        spans: list[tuple[str, str]] = []
        for kind in draw.sample(sorted(_KINDS), draw.randint(1, 3)):
            span = _KINDS[kind](i * 10 + len(spans))
            words.insert(draw.randint(0, len(words)), span)
            spans.append((kind, span))
        line = f"{' '.join(words)} ({i})"  # each line once
        held[line] = spans
        lines.append(line)
    started = time.perf_counter()
    for one in translator.translate_lines(lines, keep_parts=False):
        for kind, span in held[one.source]:
            seen = damage[kind]
            seen.spans += 1
            seen.lost += one.text.count(span) < one.source.count(span)
            seen.doubled += one.text.count(span) > one.source.count(span)
    return {
        "sentences": len(lines),
        "sentences/s": round(len(lines) / (time.perf_counter() - started), 1),
        "lost": sum(one.lost for one in damage.values()),
        "doubled": sum(one.doubled for one in damage.values()),
        "by kind": {kind: vars(one) for kind, one in damage.items()},
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


if __name__ == "__main__":
    typer.run(main)
