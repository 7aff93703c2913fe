"""Write the two small models in `tests/golden`, and what they translate to.

    python tests/golden/make_golden.py

trains a model of a few thousand weights on a made-up corpus, word for word, and exports it in 8
bits with a shortlist (`int8`) and in float32 (`fp32`). `expected.json` has their translations. They
are the format that is released: later versions have to read them, and translate the same. So they
are made anew only where a new format version takes the place of theirs.
"""

import json
import random
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer
from safetensors.numpy import load_file, save

from seq2seq.cli.exit import reported_errors
from seq2seq.errors import Seq2SeqError
from seq2seq.model_dir.read import CONFIG, SHORTLIST
from seq2seq.translation.translator import Translator

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
FORMS = {"int8": (), "fp32": ("--precision", "fp32")}

_DICTIONARY = """
the die, a eine, old alte, young junge, small kleine, red rote, cat Katze, cow Kuh, duck Ente,
snake Schlange, mouse Maus, sees sieht, hears hört, likes mag, knows kennt
"""
_GERMAN = dict(pair.split() for pair in _DICTIONARY.split(","))
_ARTICLES, _ADJECTIVES = ("the", "a"), ("old", "young", "small", "red")
_NOUNS, _VERBS = ("cat", "cow", "duck", "snake", "mouse"), ("sees", "hears", "likes", "knows")
_SIZES = {"train": 1500, "valid": 50}
_SENTENCES = 12  # in `expected.json`
_TRANSLATIONS = 8  # of each piece in the shortlist: the usual 100 would be most of the folder

_RECIPE = """
[corpus]
source_language = "en"
target_language = "de"
train = "{folder}/train"
valid = "{folder}/valid"
leakage = "keep"

[tokenizer]
vocabulary_size = 385

[model]
hidden_size = 16
encoder_layers = 1
decoder_layers = 1
heads = 2

[training]
epochs = 40
batch_tokens = 400
learning_rate = 1e-2
warmup_steps = 50
label_smoothing = 0.0
dropout = 0.0
word_dropout = 0.0
ema_decay = 0.99
threads = 1
"""


@reported_errors("make_golden_model")
def main(
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the models go.")] = GOLDEN,
) -> None:
    """Train, export, translate."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = random.Random(1)
        for split, size in _SIZES.items():
            write_corpus(folder / split, [sentence(rng) for _ in range(size)])
        (folder / "recipe.toml").write_text(_RECIPE.format(folder=folder), encoding="utf-8")
        seq2seq("train", folder / "recipe.toml", "-o", folder / "run")
        card = folder / "card.md"
        card.write_text("# A model for tests\n\nMade by `tests/golden/make_golden.py`.\n")
        for form, options in FORMS.items():
            seq2seq("export", folder / "run", "-o", output / form, "--card", card, *options)
    shorten(output / "int8")
    sources = [sentence(rng) for _ in range(_SENTENCES)]
    sources += ["The mouse, 2 cats and Übermut: <ph0>!", "12.5", ""]
    expected = {form: translations(output / form, sources) for form in FORMS}
    text = json.dumps(expected, indent=1, ensure_ascii=False) + "\n"
    (output / "expected.json").write_text(text, encoding="utf-8")


def sentence(rng: random.Random) -> str:
    """English words; its translation has the German ones in their places."""

    def phrase() -> list[str]:
        adjective = [rng.choice(_ADJECTIVES)] * rng.randint(0, 1)
        return [rng.choice(_ARTICLES), *adjective, rng.choice(_NOUNS)]

    return " ".join([*phrase(), rng.choice(_VERBS), *phrase()])


def write_corpus(prefix: Path, sources: list[str]) -> None:
    """`prefix`.en and `prefix`.de"""
    targets = [" ".join(map(_GERMAN.__getitem__, source.split())) for source in sources]
    for ending, lines in (("en", sources), ("de", targets)):
        Path(f"{prefix}.{ending}").write_text("\n".join(lines) + "\n", encoding="utf-8")


def seq2seq(*words: str | Path) -> None:
    """Run a command of the program."""
    done = subprocess.run([sys.executable, "-m", "seq2seq.cli.main", *map(str, words)])
    if done.returncode:
        raise Seq2SeqError(f"seq2seq {words[0]} failed.")


def shorten(folder: Path) -> None:
    """Leave only the likeliest translations in the shortlist."""
    tensors = load_file(folder / SHORTLIST)
    likeliest = tensors["translations"][:, :_TRANSLATIONS].copy()
    data = save({"translations": likeliest, "frequent": tensors["frequent"]})
    (folder / SHORTLIST).write_bytes(data)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    config["checksums"][SHORTLIST] = sha256(data).hexdigest()
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def translations(folder: Path, sources: list[str]) -> list[dict[str, str | float]]:
    """What a model makes of the sources, and how sure it is."""
    return [
        {"source": one.source, "text": one.text, "score": round(one.score, 4)}
        for one in Translator(folder, threads=1).translate(sources)
    ]


if __name__ == "__main__":
    typer.run(main)
