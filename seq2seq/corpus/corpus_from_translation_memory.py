"""Make a corpus and a recipe from a translation memory alone, to fine-tune a model on it."""

import random
from collections.abc import Sequence
from pathlib import Path

from seq2seq.config.model_config import Direction
from seq2seq.corpus.readers import ParallelText, read_parallel
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import write_file

_HELD_OUT = 0.05  # share of the segments for validation, and the same for the test
_MOST_HELD_OUT = 500
_LEAST_HELD_OUT = 20
_PAIRS = 40_000  # to train on, over all epochs: some ten minutes on one core
_MOST_EPOCHS = 16
_SEED = 1
_RECIPE = """\
# Made from {memory}: its segments in random order, each source in one of the three files.
[corpus]
source_language = "{source}"
target_language = "{target}"
train = "{folder}/train.tsv"
valid = "{folder}/valid.tsv"
test = "{folder}/test.tsv"
leakage = "drop"

[training]
epochs = {epochs}
batch_tokens = 2000
learning_rate = 1e-3
warmup_steps = 10
dropout = 0.2
ema_decay = 0.995

[search]
max_source_length = 50
"""


def write_memory_recipe(memory: Path, folder: Path, direction: Direction) -> Path:
    """Write a recipe and its corpus into a folder, and return the path of the recipe.

    Raises `Seq2SeqError` if the memory has too few segments to hold some out, and `UsageError` if
    the folder already has a recipe, which may belong to another run.
    """
    recipe = folder / "recipe.toml"
    if recipe.exists():
        raise UsageError(
            f"{recipe} exists already; train with this recipe, or give another --output."
        )
    if set('"\\\n') & {*str(folder)}:
        raise UsageError(
            f"{folder}: a path with quotation marks, backslashes or line breaks is not possible."
        )
    parts = split_memory(read_parallel(str(memory), direction.source, direction.target))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, pairs in zip(("train", "valid", "test"), parts, strict=True):
            lines = "".join(f"{source}\t{target}\n" for source, target in pairs)
            write_file(folder / f"{name}.tsv", lines.encode())
        epochs = min(_MOST_EPOCHS, max(2, _PAIRS // len(parts[0])))
        text = _RECIPE.format(
            memory=" ".join(str(memory).split()),
            folder=folder,
            source=direction.source,
            target=direction.target,
            epochs=epochs,
        )
        write_file(recipe, text.encode())
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}.") from None
    return recipe


Pairs = Sequence[tuple[str, str]]


def split_memory(text: ParallelText, seed: int = _SEED) -> tuple[Pairs, Pairs, Pairs]:
    """Split segments for training, validation and test; each source is in only one of them."""
    plain = (
        (source.replace("\t", " "), target.replace("\t", " "))
        for source, target in zip(text.source, text.target, strict=True)
    )
    pairs = [pair for pair in dict.fromkeys(plain) if all(side.strip() for side in pair)]
    first = {source: pair for pair in reversed(pairs) for source in pair[:1]}
    sources = sorted(first)
    random.Random(seed).shuffle(sources)
    number = min(_MOST_HELD_OUT, round(_HELD_OUT * len(sources)))
    if number < _LEAST_HELD_OUT:
        raise Seq2SeqError(
            f"{text.name}: {len(sources)} different segments are too few to train on; "
            f"{round(_LEAST_HELD_OUT / _HELD_OUT)} are needed."
        )
    valid, test = sources[:number], sources[number : 2 * number]
    held_out = {*valid, *test}
    return (
        [pair for pair in pairs if pair[0] not in held_out],
        [first[source] for source in valid],
        [first[source] for source in test],
    )
