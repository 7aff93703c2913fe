"""Settings: frozen dataclasses, checked when they are made, loaded from TOML recipes.

A recipe has one table a dataclass::

    [corpus]
    source_language = "en"
    target_language = "de"
    train = "data/sample/train"

    [model]
    cell = "lstm"

Several corpora, of several languages, are as many tables `[[corpus]]`. A key that no dataclass has
is an error that names the nearest one.
"""

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args, get_origin

from seq2seq.errors import UsageError

Cell = Literal["lstm", "gru", "rnn"]
Attention = Literal["multihead", "none"]
Algorithm = Literal["unigram", "bpe"]
OnProblem = Literal["keep", "drop", "stop"]
Precision = Literal["auto", "float32", "bfloat16"]
WeightPrecision = Literal["int8", "fp32"]

T = TypeVar("T")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)


@dataclass(frozen=True)
class Direction:
    """From which language into which."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"

    @property
    def reverse(self) -> "Direction":
        """The other way round."""
        return Direction(self.target, self.source)


def choose_direction(
    directions: Sequence[Direction], source: str | None, target: str | None
) -> Direction:
    """One of `directions`, or one between their languages; raises `UsageError` listing them.

    Where a language is not given, the first direction that fits is taken.
    """
    fitting = [
        one for one in directions if source in (None, one.source) and target in (None, one.target)
    ]
    if fitting:
        return fitting[0]
    read = {one.source for one in directions}
    written = {one.target for one in directions}
    if source in read and target in written and source != target:
        assert source is not None
        assert target is not None
        return Direction(source, target)
    ways = f" from {source!r}" if source else "", f" into {target!r}" if target else ""
    raise UsageError(
        f"the model does not translate{''.join(ways)}; it knows {', '.join(map(str, directions))}."
    )


@dataclass(frozen=True)
class HubSource:
    """A Hugging Face `datasets` source: a hub name, or a file type such as `parquet` with files.

    The file types are `parquet`, `json`, `csv` and `arrow`. `columns` are the source and the target
    column. A column may be nested: `translation.en`.
    """

    dataset: str
    columns: tuple[str, str]
    config: str | None = None
    split: str = "train"
    data_files: str | None = None


Source = str | HubSource
"""A prefix (`dir/train` for `dir/train.en` + `dir/train.de`), a TSV file, or a `HubSource`."""


@dataclass(frozen=True)
class CorpusConfig:
    """Where the sentence pairs come from, and what becomes of the doubtful ones.

    Each of the `OnProblem` settings says what happens to a training pair with that problem:
    `keep` it, `drop` it, or `stop` before the first step. All of them are counted and reported.
    With `both_directions` each pair is learnt both ways.
    """

    source_language: str
    target_language: str
    train: Source
    valid: Source
    test: Source | None = None
    both_directions: bool = False
    empty: OnProblem = "drop"
    identical: OnProblem = "keep"
    duplicate: OnProblem = "keep"
    length_ratio: OnProblem = "drop"
    leakage: OnProblem = "stop"
    max_length_ratio: float = 9.0

    def __post_init__(self) -> None:
        for name in ("source_language", "target_language"):
            code = getattr(self, name)
            _require(
                code.replace("-", "").replace("_", "").isalnum(),
                f"corpus.{name}: {code!r} is not a language code such as 'en' or 'pt-BR'.",
            )
        _require(
            self.source_language != self.target_language,
            f"corpus.target_language: {self.target_language!r} is the source language too.",
        )
        _require(self.max_length_ratio > 1, "corpus.max_length_ratio must be above 1.")

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions that are learnt from it."""
        direction = Direction(self.source_language, self.target_language)
        return (direction, direction.reverse) if self.both_directions else (direction,)


@dataclass(frozen=True)
class TokenizerConfig:
    """The joint SentencePiece model.

    `sampling` is the smoothing alpha of subword regularisation (Kudo 2018) for `unigram` and the
    dropout rate for `bpe` (Provilkov et al. 2020); 0 turns it off.

    With `plain_spaces` the target is learnt with ordinary spaces where it has others, such as those
    that do not break; corpora mix them at random.

    `path` is a model that an earlier run has trained, its `tokenizer.model`. It takes the place of
    `algorithm` and `vocabulary_size`, which are its own.
    """

    algorithm: Algorithm = "unigram"
    vocabulary_size: int = 6000
    sampling: float = 0.0
    plain_spaces: bool = True
    path: str | None = None

    def __post_init__(self) -> None:
        _require(self.vocabulary_size >= 300, "tokenizer.vocabulary_size must be at least 300.")
        _require(0 <= self.sampling <= 1, "tokenizer.sampling must lie in [0, 1].")


@dataclass(frozen=True)
class AugmentationConfig:
    """How often a training pair is changed, anew each epoch, into text as people also write it.

    Each is a probability; how is told in `seq2seq.corpus.augmenting`.
    """

    lower_case: float = 0.0  # of the source alone: the translation keeps its capitals
    unpunctuated: float = 0.0  # no full stop at the end, on either side
    names: float = 0.0  # other names and numbers, where both sides have the same
    placeholders: float = 0.0  # `<ph0>` ... `<ph15>` in place of those, or around the text

    def __post_init__(self) -> None:
        for rate in dataclasses.fields(self):
            value = getattr(self, rate.name)
            _require(0 <= value <= 1, f"augmentation.{rate.name} must lie in [0, 1].")

    @property
    def is_on(self) -> bool:
        """Whether anything is ever changed."""
        return any(dataclasses.astuple(self))


@dataclass(frozen=True)
class ModelConfig:
    """The shape of the network. H is `hidden_size`; embeddings have that size too."""

    cell: Cell = "lstm"
    attention: Attention = "multihead"
    hidden_size: int = 256
    encoder_layers: int = 2
    decoder_layers: int = 2
    heads: int = 4

    def __post_init__(self) -> None:
        for name in ("hidden_size", "encoder_layers", "decoder_layers", "heads"):
            _require(getattr(self, name) >= 1, f"model.{name} must be at least 1.")
        for name in ("encoder_layers", "decoder_layers"):
            _require(getattr(self, name) <= 64, f"'model.{name}' must be at most 64.")
        _require(
            self.hidden_size % 2 == 0,
            "model.hidden_size must be even: each encoder direction has half of it.",
        )
        _require(
            self.hidden_size % self.heads == 0,
            f"model.heads: {self.heads} does not divide model.hidden_size {self.hidden_size}.",
        )

    @property
    def embedding_scale(self) -> float:
        """What embeddings are multiplied by before a layer reads them.

        They begin with the deviation H ** -0.5, which suits the softmax that they are tied to. In
        between that and 1 the layers learn fastest.
        """
        return float(self.hidden_size**0.25)


@dataclass(frozen=True)
class TrainingConfig:
    """How the model is trained.

    `batch_tokens` is the most that the sentence pairs of a batch, times its longest side, come to.
    Of several directions each has a share of an epoch in proportion to its pairs to the power of
    1 / `temperature`: the higher, the more alike.
    """

    epochs: int = 20
    batch_tokens: int = 2000
    max_length: int = 120  # ids a side; longer pairs are left out
    temperature: float = 1.0
    learning_rate: float = 3e-3  # its peak, when the warm-up ends
    warmup_steps: int = 400
    weight_decay: float = 0.01  # of matrices alone
    clip_norm: float = 1.0  # a longer gradient is scaled down to this norm
    label_smoothing: float = 0.1
    dropout: float = 0.3
    word_dropout: float = 0.1  # the rate at which ids lose their whole embedding
    ema_decay: float = 0.998  # of the moving average of the weights, which is what ships; 0: none
    validate_every: int = 0  # steps; 0: at the end of each epoch
    patience: int = 0  # validations without a new best before the run stops; 0: never
    checkpoint_every: int = 1000  # steps, beside those at validations; 0: at these alone
    keep_checkpoints: int = 2  # the newest so many, to resume from
    precision: Precision = "auto"  # auto: bfloat16 where the processor multiplies it natively
    threads: int = 0  # of the CPU; 0: as many as torch takes
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_tokens", "max_length", "keep_checkpoints"):
            _require(getattr(self, name) >= 1, f"training.{name} must be at least 1.")
        for name in (
            "warmup_steps",
            "validate_every",
            "patience",
            "checkpoint_every",
            "threads",
            "seed",
        ):
            _require(getattr(self, name) >= 0, f"training.{name} must not be negative.")
        for name in ("label_smoothing", "dropout", "word_dropout", "ema_decay"):
            _require(0 <= getattr(self, name) < 1, f"training.{name} must lie in [0, 1).")
        for name in ("learning_rate", "clip_norm"):
            _require(getattr(self, name) > 0, f"training.{name} must be above 0.")
        _require(self.threads <= 1024, "training.threads must be at most 1024.")
        _require(self.seed < 1 << 63, "training.seed must be below 2 ** 63.")
        _require(self.temperature >= 1, "training.temperature must be at least 1.")
        _require(self.weight_decay >= 0, "training.weight_decay must not be negative.")


@dataclass(frozen=True)
class SearchConfig:
    """Beam search.

    A hypothesis of length t scores log p / ((5 + t) / 6) ** `length_penalty` (Wu et al. 2016,
    eq. 14). Its length is at most `max_length_ratio` * source + `max_length_extra`. With `prune`, a
    hypothesis is dropped that is less likely by so many nats than the best one of its length.
    """

    beam_size: int = 5
    length_penalty: float = 1.0
    max_length_ratio: float = 2.0
    max_length_extra: int = 10
    max_source_length: int = 120
    prune: float | None = None

    def __post_init__(self) -> None:
        _require(1 <= self.beam_size <= 1000, "search.beam_size must lie in [1, 1000].")
        _require(0 <= self.length_penalty <= 10, "search.length_penalty must lie in [0, 10].")
        _require(0 < self.max_length_ratio <= 100, "search.max_length_ratio must lie in (0, 100].")
        _require(self.max_length_extra >= 1, "search.max_length_extra must be at least 1.")
        _require(self.max_source_length >= 1, "search.max_source_length must be at least 1.")
        _require(self.prune is None or self.prune > 0, "search.prune must be above 0.")

    def changed(
        self,
        *,
        beam_size: int | None = None,
        length_penalty: float | None = None,
        prune: float | None = None,
        max_source_length: int | None = None,
    ) -> Self:
        """These settings but for what is given, as options of a command; `prune` 0 is none."""
        given = {
            "beam_size": beam_size,
            "length_penalty": length_penalty,
            "prune": prune,
            "max_source_length": max_source_length,
        }
        changes: dict[str, Any] = {name: one for name, one in given.items() if one is not None}
        if prune == 0:
            changes["prune"] = None
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True)
class Recipe:
    """Everything that a training run is made from."""

    corpus: tuple[CorpusConfig, ...]
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        _require(bool(self.corpus), "'corpus' names no corpus.")
        twice = [one for one, number in Counter(self.directions).items() if number > 1]
        _require(not twice, f"two corpora are {', '.join(map(str, twice))}; join their files.")

    @property
    def directions(self) -> tuple[Direction, ...]:
        """All that the model learns to translate, in the order of the corpora."""
        return tuple(direction for corpus in self.corpus for direction in corpus.directions)

    @property
    def languages(self) -> tuple[str, ...]:
        """All languages, each once."""
        pairs = [(one.source, one.target) for one in self.directions]
        return tuple(dict.fromkeys(language for pair in pairs for language in pair))

    @classmethod
    def load(cls, path: Path, overrides: Sequence[str] = ()) -> Self:
        """Read a TOML recipe.

        `overrides` are `table.key=value`, the value as TOML or plain text.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(f"{path}: there is no such recipe.") from None
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: not a TOML file: {error}.") from None
        for override in overrides:
            _set(table, override)
        try:
            return from_table(cls, table)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None


def from_table(cls: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """The dataclass `cls` from a TOML or JSON table; raises `UsageError` naming key and type."""
    if not isinstance(table, Mapping):
        raise UsageError(f"'{where.rstrip('.')}' must be a table." if where else "not a table.")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            nearest = difflib.get_close_matches(key, fields, n=1, cutoff=0)
            raise UsageError(f"unknown key '{where}{key}'; did you mean '{where}{nearest[0]}'?")
    for key, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and key not in table:
            raise UsageError(f"'{where}{key}' is missing.")
    values = {key: _convert(hints[key], value, where + key) for key, value in table.items()}
    return cls(**values)


def to_table(config: Any) -> dict[str, Any]:
    """The settings as plain dictionaries and lists, for JSON; `None` left out."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if item is not None}
        return [plain(item) for item in value] if isinstance(value, tuple) else value

    table = plain(dataclasses.asdict(config))
    assert isinstance(table, dict)
    return table


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            choices = ", ".join(map(repr, get_args(hint)))
            raise UsageError(f"'{where}' is {value!r}; it can be {choices}.")
        return value
    if origin in (types.UnionType, typing.Union):
        return _convert_union(get_args(hint), value, where)
    if origin is tuple and get_args(hint)[-1] is Ellipsis:
        return _convert_list(get_args(hint)[0], value, where)
    if origin is tuple:
        items = get_args(hint)
        if not isinstance(value, list) or len(value) != len(items):
            raise UsageError(f"'{where}' must be a list of {len(items)}.")
        return tuple(_convert(item, v, where) for item, v in zip(items, value, strict=True))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise UsageError(f"'{where}' must be a table.")
        item = get_args(hint)[1]
        return {key: _convert(item, v, f"{where}.{key}") for key, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return from_table(typing.cast(type[Any], hint), value, where + ".")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"'{where}' must be a finite number, not {value!r}.")
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        raise UsageError(f"'{where}' must be {names[hint]}, not {value!r}.")
    return value


def _convert_list(item: Any, value: Any, where: str) -> tuple[Any, ...]:
    """A list, or a single table in its place."""
    if isinstance(value, Mapping):
        return (_convert(item, value, where),)
    if not isinstance(value, list):
        raise UsageError(f"'{where}' must be a table, or several of them.")
    return tuple(_convert(item, one, f"{where}.{number}") for number, one in enumerate(value))


def _convert_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    table_like = isinstance(value, Mapping)
    for option in options:
        if option is not type(None) and dataclasses.is_dataclass(option) == table_like:
            return _convert(option, value, where)
    raise UsageError(f"'{where}' cannot be {value!r}.")


def _set(table: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    *sections, key = path.strip().split(".")
    if not (equals and sections and all(sections) and key):
        raise UsageError(f"--set {override!r}: write table.key=value, as in training.epochs=3.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    place: Any = table
    for depth, section in enumerate(sections, start=1):
        if isinstance(place, list):
            place = dict(zip(map(str, range(len(place))), place, strict=True)).get(section)
        else:
            place = place.setdefault(section, {})
        if not isinstance(place, dict | list):
            name = ".".join(sections[:depth])
            raise UsageError(f"--set {override!r}: '{name}' is not a table of the recipe.")
    if isinstance(place, list):
        name = ".".join(sections)
        raise UsageError(
            f"--set {override!r}: the recipe has {len(place)} tables '{name}'; say which, as in "
            f"{name}.0.{key}."
        )
    place[key] = value
