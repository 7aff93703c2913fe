"""Measures what `translate` promises about text that is not plain.

The cost of protection on plain text, whether the alignment finds copied words, glossary terms, a
long document (see `measure_document`), and spans that must survive: what became of those is found
by patterns of this script's own. The corpus is read, and nothing is kept.
"""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from measure_document import measure_document
from measure_spans import measure_spans

from seq2seq.bleu_chrf import corpus_bleu
from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.config.model_config import choose_direction
from seq2seq.corpus import ParallelText, read_parallel
from seq2seq.corpus.augmentation import copied_words
from seq2seq.model_dir.read import read_config
from seq2seq.text.glossary import Glossary, Term
from seq2seq.translation.translator import Translator

_EXAMPLES = 5
_CONTENT = re.compile(r"[^\W\d_]{4,}")


def main(
    model: Annotated[Path, typer.Option("-m", "--model")] = DEFAULT_MODEL,
    corpus: Annotated[str, typer.Option(help="A prefix or TSV file.")] = "data/sample/test",
    source: Annotated[str | None, typer.Option("-f", "--from")] = None,
    target: Annotated[str | None, typer.Option("-t", "--to")] = None,
    sentences: Annotated[int, typer.Option(help="With spans in them.")] = 10_000,
    terms: Annotated[int, typer.Option(help="Sentences with a glossary term.")] = 500,
    pages: Annotated[int, typer.Option(help="Of the document.")] = 50,
    seed: int = 1,
) -> None:
    """Print one JSON object a measurement; exit code 1 if one of them has faults."""
    way = choose_direction(read_config(model).directions, source, target)
    text = read_parallel(corpus, way.source, way.target)
    bad = 0

    def show(found: dict[str, object]) -> None:
        nonlocal bad
        bad += bool(found.get("faults"))
        typer.echo(json.dumps(found, ensure_ascii=False))

    # First: the memory of a process is never told to be less than that of the one that started it.
    for found in measure_document(model, way, text.source, pages, seed):
        show(found)
    translator = Translator(model, threads=1, source=way.source, target=way.target)
    draw = random.Random(seed)
    rest: tuple[tuple[str, Callable[[], dict[str, object]]], ...] = (
        ("plain text", lambda: _plain(translator, text)),
        ("alignment", lambda: _alignment(translator, text)),
        ("glossary", lambda: _glossary(translator, text, terms, draw)),
        ("spans", lambda: measure_spans(translator, text.source, sentences, draw)),
    )
    for name, measured in rest:
        show({"measured": name, "direction": str(way), **measured()})
    raise typer.Exit(bool(bad))


def _plain(translator: Translator, text: ParallelText) -> dict[str, object]:
    """BLEU with and without protection."""
    found: dict[str, object] = {"sentences": len(text)}
    scores: dict[str, float] = {}
    for name, protect in (("protected", True), ("unprotected", False)):
        started = time.perf_counter()
        translations = translator.translate_lines(text.source, protect=protect, keep_parts=False)
        lines = [translation.text for translation in translations]
        seconds = time.perf_counter() - started
        found[f"BLEU {name}"] = scores[name] = round(
            corpus_bleu(lines, [*text.target], translator.direction.target), 2
        )
        found[f"sentences/s {name}"] = round(len(text) / seconds, 1)
    return found | {"faults": int(scores["protected"] < scores["unprotected"])}


def _alignment(translator: Translator, text: ParallelText) -> dict[str, object]:
    """Names and numbers that come out as they went in are to be linked to themselves."""
    right = words = 0
    for one in translator.translate_lines(text.source):
        links = {other: mine for mine, other in one.alignment}
        for word in copied_words(one.source, one.text):
            here, there = (
                [i for i, token in enumerate(side.split()) if word in re.findall(r"\w+", token)]
                for side in (one.source, one.text)
            )
            if len(here) == len(there) == 1:
                words += 1
                right += links.get(there[0]) == here[0]
    share = round(right / words, 4) if words else None
    return {"copied words": words, "linked to themselves": right, "share": share}


def _glossary(
    translator: Translator, text: ParallelText, number: int, draw: random.Random
) -> dict[str, object]:
    """Terms that nobody would say: each must be there, as a word, whenever its source is."""
    words = Counter(word for line in text.source for word in _CONTENT.findall(line.lower()))
    pairs = Counter(
        pair[1]
        for line in text.source
        for pair in re.finditer(r"(?=\b([a-zà-ÿ]{3,} [a-zà-ÿ]{3,})\b)", line.lower())
    )
    common = [term for term, _ in words.most_common(200)[20:] + pairs.most_common(40)]
    sentences = asked = present = doubled = 0
    examples: list[tuple[str, str]] = []
    while sentences < number:
        said = ("Zwirbelwerk", "blaue Ampel", "Quixotherm 3", "Ölström", "AT&T-Gerät")
        terms = {term: draw.choice(said) for term in draw.sample(common, min(60, len(common)))}
        longest_first = sorted(map(re.escape, terms), key=len, reverse=True)
        finder = re.compile(rf"\b(?:{'|'.join(longest_first)})\b", re.IGNORECASE)
        lines = [line for line in text.source if finder.search(line)][: number - sentences]
        if not lines:
            break
        sentences += len(lines)
        glossary = Glossary(Term(*pair) for pair in terms.items())
        for one in translator.translate_lines(lines, glossary=glossary, keep_parts=False):
            wanted = Counter(terms[found.lower()] for found in finder.findall(one.source))
            there = Counter(
                {term: len(re.findall(rf"(?<!\w){term}(?!\w)", one.text)) for term in wanted}
            )
            asked += wanted.total()
            present += (wanted & there).total()
            doubled += (there - wanted).total()
            if wanted - there and len(examples) < _EXAMPLES:
                examples.append((f"{one.source} {dict(wanted)}", one.text))
    return {
        "sentences": sentences,
        "terms": asked,
        "present": present,
        "doubled": doubled,
        "examples": examples,
        "faults": asked - present,
    }


if __name__ == "__main__":
    typer.run(main)
