"""Recipes: what a model is trained on and how, as checked, immutable settings loaded from TOML.

A recipe has one table for each dataclass::

    [corpus]
    source_language = "en"
    target_language = "de"
    train = "data/sample/train"

    [model]
    cell = "lstm"

For several corpora, in several languages, write a table `[[corpus]]` for each. A key that the
dataclass does not have is an error, which names the nearest key.
"""

import dataclasses
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from seq2seq.config.model_config import (
    SMALLEST_VOCABULARY,
    Direction,
    ModelConfig,
    SearchConfig,
    require,
)
from seq2seq.config.parse import from_table, shown
from seq2seq.errors import UsageError
from seq2seq.files import read_bounded

Algorithm = Literal["unigram", "bpe"]
OnProblem = Literal["keep", "drop", "stop"]
Precision = Literal["auto", "float32", "bfloat16"]
Optimizer = Literal["adamw", "adam", "sgd"]
Schedule = Literal["cosine", "linear", "inverse_square_root", "constant", "plateau"]
ValidationMetric = Literal["bleu", "chrf", "perplexity"]

_LARGEST_WEIGHT = 1000
_TAG = re.compile(r"[A-Za-z0-9_-]{1,32}")
_MOST_PIECES = 1_000_000
_MOST_BYTES = 1 << 20  # size of a recipe file
_MOST = (1 << 31) - 1  # for the whole numbers in [training], except the seed


@dataclass(frozen=True)
class HubSource:
    """A Hugging Face `datasets` source: a name on the hub, or a file type together with files.

    The file types are `parquet`, `json`, `csv` and `arrow`. `columns` are the source and the target
    column, possibly nested: `translation.en`. With `streaming`, rows are read directly; otherwise
    `datasets` first copies all columns to disk.
    """

    dataset: str
    columns: tuple[str, str]
    config: str | None = None
    split: str = "train"
    data_files: str | None = None
    streaming: bool = False


Source = str | HubSource
"""A prefix (`dir/train` for `dir/train.en` and `dir/train.de`), a TSV, Parquet or Arrow file, or a
pattern for such files; a TMX, PO or XLIFF file, or a folder of these; or a `HubSource`."""


@dataclass(frozen=True)
class CorpusConfig:
    """Where the sentence pairs come from, and what happens to doubtful pairs.

    Each setting of type `OnProblem` says what to do with a training pair that has the problem:
    `keep` it, `drop` it, or `stop` before the first step. All such pairs are counted and reported.
    With `both_directions`, the model learns each pair in both directions.

    `train` may be a list, such as a large corpus and a small one that is closer to the purpose.
    Then `weights` says how often the pairs of each are used: at 0.5, half as often as at 1, the
    default. `tags` names each, for example by its domain ("" for no tag), so that a translation can
    ask for it: a side constraint (Sennrich et al. 2016).
    """

    source_language: str
    target_language: str
    train: Source | tuple[Source, ...]
    valid: Source
    test: Source | None = None
    both_directions: bool = False
    empty: OnProblem = "drop"
    identical: OnProblem = "keep"
    duplicate: OnProblem = "keep"
    length_ratio: OnProblem = "drop"
    leakage: OnProblem = "stop"
    max_length_ratio: float = 9.0
    weights: tuple[float, ...] = ()
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("source_language", "target_language"):
            code = getattr(self, name)
            require(
                code.replace("-", "").replace("_", "").isalnum(),
                f"corpus.{name}: {code!r} is not a language code such as 'en' or 'pt-BR'.",
            )
        require(
            self.source_language != self.target_language,
            f"corpus.target_language: {self.target_language!r} is the source language too.",
        )
        require(self.max_length_ratio > 1, "corpus.max_length_ratio must be above 1.")
        files = len(self.training_sources)
        require(files > 0, "corpus.train names no file.")
        require(
            not self.weights or len(self.weights) == files,
            f"corpus.weights has {len(self.weights)} numbers, but corpus.train {files} files.",
        )
        require(
            all(0 < weight <= _LARGEST_WEIGHT for weight in self.weights),
            f"corpus.weights must be above 0 and at most {_LARGEST_WEIGHT}.",
        )
        require(
            not self.tags or len(self.tags) == files,
            f"corpus.tags has {len(self.tags)} names, but corpus.train {files} files.",
        )
        for tag in self.tags:
            require(
                not tag or _TAG.fullmatch(tag) is not None,
                f"corpus.tags: {tag!r} is not a name of up to 32 letters, digits, - and _.",
            )

    @property
    def training_sources(self) -> tuple[Source, ...]:
        """The training texts, as a tuple even if there is only one."""
        return self.train if isinstance(self.train, tuple) else (self.train,)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions to train on this corpus."""
        direction = Direction(self.source_language, self.target_language)
        return (direction, direction.reverse) if self.both_directions else (direction,)


@dataclass(frozen=True)
class TokenizerConfig:
    """The joint SentencePiece model.

    `sampling` is the smoothing alpha of subword regularisation (Kudo 2018) for `unigram` and the
    dropout rate for `bpe` (Provilkov et al. 2020); 0 turns it off.

    The pieces can spell the most frequent characters, those that make up `character_coverage` of
    the text; also printable ASCII, and the thousand most frequent characters except very rare ones.
    Lower the coverage for languages written with thousands of characters. With `split_digits`, each
    digit is a separate piece, so that numbers are copied digit by digit.

    With `plain_spaces`, special spaces in the target, such as no-break spaces, are learned as
    ordinary spaces, since corpora mix the two at random.

    `path` is the `tokenizer.model` of an earlier run. It replaces `algorithm`, `vocabulary_size`,
    `character_coverage` and `split_digits`.
    """

    algorithm: Algorithm = "unigram"
    vocabulary_size: int = 6000
    character_coverage: float = 0.9995
    split_digits: bool = True
    sampling: float = 0.0
    plain_spaces: bool = True
    path: str | None = None

    def __post_init__(self) -> None:
        require(
            self.vocabulary_size >= SMALLEST_VOCABULARY,
            f"tokenizer.vocabulary_size must be at least {SMALLEST_VOCABULARY}.",
        )
        require(
            self.vocabulary_size <= _MOST_PIECES,
            f"tokenizer.vocabulary_size must be at most {_MOST_PIECES:,}.",
        )
        require(
            0.98 <= self.character_coverage <= 1,
            "tokenizer.character_coverage must lie in [0.98, 1].",
        )
        require(0 <= self.sampling <= 1, "tokenizer.sampling must lie in [0, 1].")


@dataclass(frozen=True)
class AugmentationConfig:
    """How often training pairs are changed the way people vary text, drawn anew in each epoch.

    Each setting is a probability; `seq2seq.corpus.augmentation` describes the changes.
    """

    lower_case: float = 0.0  # in the source only: the translation keeps its capitals
    unpunctuated: float = 0.0  # final punctuation stripped, on both sides
    names: float = 0.0  # other names and numbers, if both sides have the same
    placeholders: float = 0.0  # `<ph0>` ... `<ph15>` for names and numbers, or around the text
    formality: float = 0.0  # a tag for du or Sie (tu or vous, tú or usted), from the target
    joined: float = 0.0  # two to four pairs of the same text, one after another

    def __post_init__(self) -> None:
        for rate in dataclasses.fields(self):
            value = getattr(self, rate.name)
            require(0 <= value <= 1, f"augmentation.{rate.name} must lie in [0, 1].")

    @property
    def is_on(self) -> bool:
        """Whether any probability is above 0."""
        return any(dataclasses.astuple(self))


@dataclass(frozen=True)
class TrainingConfig:
    """How the model is trained.

    `batch_tokens` limits the size of a batch: the number of its pairs times its longest side. With
    several directions, the share of each in an epoch is proportional to its number of pairs to the
    power of 1 / `temperature`; the higher the temperature, the more equal the shares.
    """

    epochs: int = 20
    batch_tokens: int = 2000
    max_length: int = 120  # ids per side; longer pairs are left out
    temperature: float = 1.0
    optimizer: Optimizer = "adamw"
    learning_rate: float = 3e-3  # the peak, reached at the end of the warm-up
    schedule: Schedule = "cosine"  # of the learning rate after the warm-up
    plateau_patience: int = 3  # validations without a new best before "plateau" lowers the rate
    plateau_factor: float = 0.5  # by which "plateau" multiplies the rate
    warmup_steps: int = 400
    weight_decay: float = 0.01  # of matrices only
    clip_norm: float = 1.0  # a longer gradient is scaled down to this norm
    label_smoothing: float = 0.1
    sampled_words: int = 0  # in the softmax (the batch's included) until the last 10%; 0: all
    dropout: float = 0.3
    variational_dropout: bool = False  # the same `dropout` mask at all positions of a sentence
    weight_drop: float = 0.0  # rate at which recurrent weights are dropped, per batch
    r_drop: float = 0.0  # alpha: weight of the agreement of two passes with different dropout
    word_dropout: float = 0.1  # embedding dropout: rate at which ids lose their embedding
    ema_decay: float = 0.998  # of the moving average of the weights, which is exported; 0: none
    validate_every: int = 0  # steps; 0: at the end of each epoch
    metric: ValidationMetric = "bleu"  # for choosing the best weights and for stopping
    patience: int = 0  # validations without a new best before the run stops; 0: never
    checkpoint_every: int = 1000  # steps, in addition to validations; 0: only at validations
    keep_checkpoints: int = 2  # number of the newest checkpoints that are kept
    precision: Precision = "auto"  # auto: bfloat16 if the processor multiplies it natively
    threads: int = 0  # of the CPU; 0: torch's default
    seed: int = 1

    def __post_init__(self) -> None:
        for name in (
            "epochs",
            "batch_tokens",
            "max_length",
            "keep_checkpoints",
            "plateau_patience",
        ):
            require(getattr(self, name) >= 1, f"training.{name} must be at least 1.")
        for name in (
            "warmup_steps",
            "sampled_words",
            "validate_every",
            "patience",
            "checkpoint_every",
            "threads",
            "seed",
        ):
            require(getattr(self, name) >= 0, f"training.{name} must not be negative.")
        for name, value in vars(self).items():
            if isinstance(value, int) and name != "seed":
                require(value <= _MOST, f"training.{name} must be at most {_MOST:,}.")
        for name in ("label_smoothing", "dropout", "weight_drop", "word_dropout", "ema_decay"):
            require(0 <= getattr(self, name) < 1, f"training.{name} must lie in [0, 1).")
        for name in ("learning_rate", "clip_norm"):
            require(getattr(self, name) > 0, f"training.{name} must be above 0.")
        require(0 < self.plateau_factor < 1, "training.plateau_factor must lie in (0, 1).")
        require(self.threads <= 1024, "training.threads must be at most 1024.")
        require(self.seed < 1 << 63, "training.seed must be below 2 ** 63.")
        require(self.temperature >= 1, "training.temperature must be at least 1.")
        require(self.r_drop >= 0, "training.r_drop must not be negative.")
        require(
            not (self.r_drop and self.sampled_words),
            "training.r_drop compares whole softmaxes; leave training.sampled_words out.",
        )
        require(self.weight_decay >= 0, "training.weight_decay must not be negative.")


@dataclass(frozen=True)
class Recipe:
    """Everything that defines a training run."""

    corpus: tuple[CorpusConfig, ...]
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        require(bool(self.corpus), "'corpus' names no corpus.")
        twice = [direction for direction, n in Counter(self.directions).items() if n > 1]
        for name in ("variational_dropout", "weight_drop"):
            require(
                not (self.model.input_feeding and getattr(self.training, name)),
                f"training.{name} has one mask for all positions, and model.input_feeding computes "
                "them one by one; leave one of them out.",
            )
        require(not twice, f"two corpora are {', '.join(map(str, twice))}; join their files.")

    @property
    def directions(self) -> tuple[Direction, ...]:
        """All directions that the model learns, in the order of the corpora."""
        return tuple(direction for corpus in self.corpus for direction in corpus.directions)

    @property
    def languages(self) -> tuple[str, ...]:
        """All languages, without duplicates."""
        pairs = [(direction.source, direction.target) for direction in self.directions]
        return tuple(dict.fromkeys(language for pair in pairs for language in pair))

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags of the corpora, without duplicates."""
        return tuple(dict.fromkeys(tag for corpus in self.corpus for tag in corpus.tags if tag))

    @classmethod
    def load(cls, path: Path, overrides: Sequence[str] = ()) -> Self:
        """Read a TOML recipe; raise `UsageError` if it or an override is wrong.

        `overrides` are written as `table.key=value`, where the value is TOML or plain text.
        """
        table = read_table(path)
        for override in overrides:
            _set(table, override)
        try:
            return from_table(cls, table)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None


def read_table(path: Path) -> dict[str, Any]:
    """Read a TOML file; raise `UsageError` for anything wrong with it."""
    try:
        return tomllib.loads(read_bounded(path, _MOST_BYTES).decode())
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such recipe.") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from None
    except RecursionError:
        raise UsageError(f"{path}: not a recipe: brackets are nested too deeply.") from None
    except ValueError as error:
        raise UsageError(f"{path}: not a TOML file: {error}.") from None


def _set(table: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    *sections, key = path.strip().split(".")
    if not (equals and sections and all(sections) and key):
        raise UsageError(
            f"--set {shown(override)}: write table.key=value, as in training.epochs=3."
        )
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        parsed = {"value": text.strip()}
    if parsed.keys() != {"value"}:
        raise UsageError(f"--set {shown(override)}: give a single value; there is more after it.")
    value = parsed["value"]
    place: Any = table
    for depth, section in enumerate(sections, start=1):
        if isinstance(place, list):
            place = dict(zip(map(str, range(len(place))), place, strict=True)).get(section)
        else:
            place = place.setdefault(section, {})
        if not isinstance(place, dict | list):
            name = ".".join(sections[:depth])
            raise UsageError(f"--set {shown(override)}: '{name}' is not a table of the recipe.")
    if isinstance(place, list):
        name = ".".join(sections)
        raise UsageError(
            f"--set {shown(override)}: the recipe has {len(place)} tables '{name}'; say which, as "
            f"in {name}.0.{key}."
        )
    place[key] = value
