"""Find units whose gate or state distinguishes one kind of token from all others.

Each unit is scored for each property of tokens, over a corpus. The score lies in [-1, 1] and
depends only on ranks, so units that are hardly ever open can be compared with units that are hardly
ever shut:

- a property that holds or not (negation, full stop): 2 AUC - 1, where AUC is the probability that
  the gate is more open at a token with the property than at one without (the rank-biserial
  correlation; Mann & Whitney 1947);
- a property that counts (tokens so far, tokens to come): Spearman's rank correlation.

Among thousands of units, some look selective by chance. So units are selected on one half of the
sentences, and scored on the other half. A unit whose score is small there, or of the opposite sign,
is not named.
"""

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq.config.model_config import Direction
from seq2seq.corpus import read_lines, read_parallel
from seq2seq.corpus.readers import is_parallel
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.inspection.activations import Place, values_at
from seq2seq.inspection.loading import InspectedModel

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

NEGATIONS: Mapping[str, str] = {
    "en": r"no|not|never|none|nobody|nothing|nowhere|neither|nor|cannot|without|.*n['’]t",
    "de": r"nicht|nichts|nie|niemals|niemand\w*|nirgend\w*|kein\w*|weder|ohne",
    "fr": r"ne|n['’].*|pas|jamais|rien|personne|aucun\w*|sans",
    "es": r"no|nunca|jamás|nada|nadie|ningun\w*|ningún|sin|tampoco",
}
"""A regular expression for words of negation, for the languages that have one here."""

COUNTS = ("tokens so far", "tokens to come")

LEAST = 0.5
"""The lowest score of a unit that is named: AUC 0.75, for a property that holds or not."""

_BYTE = re.compile("<0x([0-9A-F]{2})>")  # as SentencePiece writes it
_FEWEST = 20  # tokens with a property, and without it, that each half needs for a score
_CONTEXT = 3  # tokens on each side of an example
_EXAMPLES = 5
_COUNTEREXAMPLES = 2
_AT_ONCE = 64  # sentences translated in one batch


class Pair(NamedTuple):
    """The ids of a sentence, the language tag first, and the ids of its translation."""

    source: tuple[int, ...]
    target: tuple[int, ...]


@dataclass(frozen=True)
class ExampleSentence:
    """A token with its neighbours, and the value of the unit there."""

    text: str  # the token in brackets
    value: float


@dataclass(frozen=True)
class SelectiveUnit:
    """A unit, what it is selective for, and the evidence."""

    place: Place
    unit: int
    property: str
    score: float  # in [-1, 1], on the half of the sentences not used for the selection
    found_score: float  # on the half used for the selection
    mean_with: float  # over tokens with the property, or the quarter with the highest counts
    mean_without: float  # over tokens without it, or the quarter with the lowest counts
    tokens_with: int
    tokens_without: int
    examples: tuple[ExampleSentence, ...]  # of tokens with the property, the strongest first
    counterexamples: tuple[ExampleSentence, ...]  # of tokens without it, the strongest first

    def __str__(self) -> str:
        kind = "counts" if self.property in COUNTS else "tells"
        if self.place.is_gate and kind == "tells":
            what = f"{'opens' if self.score > 0 else 'closes'} at a {self.property}"
        elif kind == "tells":
            what = f"{'rises' if self.score > 0 else 'falls'} at a {self.property}"
        else:
            what = f"{'grows' if self.score > 0 else 'shrinks'} with the {self.property}"
        return f"{self.place}, unit {self.unit}: {what}"

    def to_json(self) -> dict[str, Any]:
        """Return plain types; `says` is the unit in words."""
        return {**asdict(self), "place": self.place.to_json(), "says": str(self)}


class NamedUnits(NamedTuple):
    """The units that are selective for a property, and the properties without such a unit."""

    units: tuple[SelectiveUnit, ...] = ()  # the best score first
    unnamed: Mapping[str, str] = MappingProxyType({})  # property -> why no unit is named for it

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        return {"units": [unit.to_json() for unit in self.units], "unnamed": dict(self.unnamed)}


def read_pairs(
    model: InspectedModel,
    corpus: str,
    direction: Direction,
    most: int,
    *,
    with_targets: bool = True,
) -> list[Pair]:
    """Read up to `most` pairs, spread evenly over `corpus`, a parallel corpus or a text file.

    A text file has only sources; the model translates them if `with_targets` is true. Sentences
    that are too long for the model are left out. Raises `Seq2SeqError` if there is no such corpus,
    and `UsageError` if fewer than two pairs are left.
    """
    longest = model.search.max_source_length
    path = Path(corpus)
    if path.is_file() and not is_parallel(corpus):
        lines = read_lines(path)
        chosen = [lines[i] for i in _spread(len(lines), most)]
        sources = model.tokenizer.encode_sources(chosen, direction.target)
        kept = [ids for ids in sources if 1 < len(ids) <= longest + 1]
        batches = (kept[begin : begin + _AT_ONCE] for begin in range(0, len(kept), _AT_ONCE))
        written: list[tuple[int, ...]] = [()] * len(kept)
        if with_targets:
            written = [best.ids for batch in batches for best in model.translate(batch)]
        found = [Pair(tuple(ids), target) for ids, target in zip(kept, written, strict=True)]
    else:
        try:
            text = read_parallel(corpus, direction.source, direction.target).sample(most)
        except Seq2SeqError as error:
            if path.exists() or is_parallel(corpus):
                raise
            raise Seq2SeqError(
                f"{error} A plain text file of source sentences will do, too, but there is no "
                f"{corpus}."
            ) from None
        sources = model.tokenizer.encode_sources(list(text.source), direction.target)
        targets = model.tokenizer.encode(list(text.target))
        found = [
            Pair(tuple(source), tuple(target))
            for source, target in zip(sources, targets, strict=True)
            if 1 < len(source) <= longest + 1 and 0 < len(target) <= 2 * longest
        ]
    if len(found) < 2:
        raise UsageError(f"{corpus}: fewer than two sentences that the model can read.")
    return found


def selective_units(
    model: InspectedModel,
    pairs: Sequence[Pair],
    direction: Direction,
    wanted: Sequence[Place],
    per_property: int = 1,
    least: float = LEAST,
) -> NamedUnits:
    """Return, for each property, the most selective units at the `wanted` places.

    There are at most `per_property` for each, whose score is `least` or more, ignoring its sign.
    """
    first, second = (_observe(model, pairs[half::2], direction, wanted) for half in (0, 1))
    best: dict[str, list[_Find]] = {}
    for place in wanted:
        seen, unseen = first[place.part], second[place.part]
        ranks = _ranks(seen.values[place])  # (N, H)
        for name, held in seen.properties.items():
            finds = best.setdefault(name, [])
            if _enough(held, name) and _enough(unseen.properties[name], name):
                scores = _scores(ranks, held, name)  # (H,)
                finds += [_Find(float(score), place, unit) for unit, score in enumerate(scores)]
                finds.sort(key=lambda find: -abs(find.score))
                del finds[per_property:]
    units: list[SelectiveUnit] = []
    unnamed: dict[str, str] = {}
    for name, finds in best.items():
        found = [_evidence(second[find.place.part], find, name) for find in finds]
        named = [unit for unit in found if unit.score * np.sign(unit.found_score) >= least]
        units += named
        if not found:
            unnamed[name] = "too few tokens"
        elif not named:
            highest = max(abs(unit.score) for unit in found)
            unnamed[name] = f"no unit has a score of {least:g}, the best one {highest:.2f}"
    return NamedUnits(tuple(sorted(units, key=lambda unit: -abs(unit.score))), unnamed)


class _Find(NamedTuple):
    score: float
    place: Place
    unit: int


@dataclass(frozen=True, eq=False)
class _Observed:
    """N tokens that one part of the network read, with their properties and values."""

    tokens: list[tuple[str, ...]]  # sentence by sentence
    properties: dict[str, Floats]  # each (N,), 0 and 1 or a count
    values: dict[Place, Floats]  # each (N, H)


def _observe(
    model: InspectedModel, pairs: Iterable[Pair], direction: Direction, wanted: Sequence[Place]
) -> dict[str, _Observed]:
    """Observe encoder and decoder at all tokens except the language tag and BOS.

    These begin every sentence, and the gates there differ so much from those at other tokens that
    they would hide everything else.
    """
    tokens: dict[str, list[tuple[str, ...]]] = {"encoder": [], "decoder": []}
    values: dict[Place, list[Floats]] = {place: [] for place in wanted}
    languages = {"encoder": direction.source, "decoder": direction.target}
    asks_decoder = any(place.part == "decoder" for place in wanted)
    for pair in pairs:
        encoded = model.network.encode(pair.source)
        decoded = model.network.decode(encoded, pair.target) if asks_decoder else None
        tokens["encoder"].append(tuple(model.tokenizer.pieces(pair.source[1:])))
        tokens["decoder"].append(tuple(model.tokenizer.pieces(pair.target)))
        for place, seen in zip(wanted, values_at(wanted, encoded, decoded), strict=True):
            values[place].append(seen[1:].astype(np.float32))
    parts = {place.part for place in wanted}
    return {
        part: _Observed(
            sentences,
            _joined([properties(sentence, languages[part]) for sentence in sentences]),
            {place: np.concatenate(rows) for place, rows in values.items() if place.part == part},
        )
        for part, sentences in tokens.items()
        if part in parts
    }


def properties(tokens: Sequence[str], language: str) -> dict[str, Floats]:
    """Return the properties of T tokens by name, each (T,): 0 and 1, or a count."""
    tokens = _spelled(tokens)
    words = _words(tokens)
    size = len(tokens)
    found = {
        "full stop": [token in (".", "▁.") for token in tokens],
        "question mark": [token in ("?", "▁?") for token in tokens],
        "comma": [token in (",", "▁,") for token in tokens],
        "number": [any(map(str.isdigit, word)) for word in words],
        "capital letter": [word[:1].isupper() for word in words],
        "token inside a word": [token[:1].isalpha() for token in tokens],
        COUNTS[0]: range(size),
        COUNTS[1]: range(size - 1, -1, -1),
    }
    if pattern := NEGATIONS.get(language):
        found["negation"] = [re.fullmatch(pattern, word.lower()) is not None for word in words]
    return {name: np.array(values, np.float64) for name, values in found.items()}


def _spelled(tokens: Sequence[str]) -> list[str]:
    """Replace byte tokens by the characters they spell: `<0x27>` is an apostrophe, not a number.

    A multi-byte character takes the place of its last byte; its other bytes become empty.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    texts = []
    for token in tokens:
        if byte := _BYTE.fullmatch(token):
            texts.append(decoder.decode(bytes.fromhex(byte[1])))
        else:
            decoder.reset()
            texts.append(token)
    return texts


def _words(tokens: Sequence[str]) -> list[str]:
    """Return each token's word, without punctuation around it; "" for tokens of punctuation."""
    numbers = np.cumsum([token.startswith("▁") for token in tokens])
    texts: dict[int, str] = {}
    for number, token in zip(numbers, tokens, strict=True):
        texts[number] = texts.get(number, "") + token.removeprefix("▁")
    words = {number: _bare(text) for number, text in texts.items()}
    return [
        words[number] if re.search(r"\w", token.removeprefix("▁")) else ""
        for number, token in zip(numbers, tokens, strict=True)
    ]


def _bare(word: str) -> str:
    """Strip the punctuation around a word."""
    letters = [match.start() for match in re.finditer(r"\w", word)]
    return word[letters[0] : letters[-1] + 1] if letters else ""


def _scores(ranks: Floats, held: Floats, name: str) -> Floats:
    """Score H units by their ranks (N, H) and a property (N,) -> (H,) in [-1, 1]."""
    centred = ranks - ranks.mean(axis=0)
    if name in COUNTS:
        counts = _ranks(held[:, None])[:, 0]
        contrast = counts - counts.mean()  # (N,)
        lengths = np.linalg.norm(centred, axis=0) * np.linalg.norm(contrast)
        scale = 1 / np.maximum(lengths, 1e-12)
    else:
        contrast = held / held.sum() - (1 - held) / (1 - held).sum()
        scale = np.float64(2 / len(held))
    scores: Floats = centred.T @ contrast * scale
    return scores


def _ranks(values: Floats) -> Floats:
    """Rank the values (N, H) within each column -> (N, H); ties share their mean rank."""
    order = values.argsort(axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    rows = np.arange(len(values))[:, None]
    edge = np.ones((1, values.shape[1]), np.bool_)
    changes = ordered[1:] != ordered[:-1]
    firsts = np.where(np.concatenate([edge, changes]), rows, 0)
    lasts = np.where(np.concatenate([changes, edge]), rows, len(values))
    firsts = np.maximum.accumulate(firsts, axis=0)
    lasts = np.minimum.accumulate(lasts[::-1], axis=0)[::-1]
    ranks = np.empty(values.shape, np.float64)
    np.put_along_axis(ranks, order, (firsts + lasts) / 2, axis=0)
    return ranks


def _sides(held: Floats, name: str) -> tuple[Mask, Mask]:
    """Return two masks (N,): tokens with the property, and tokens without it.

    For a count, they are the quarter with the highest counts and the quarter with the lowest.
    """
    if name in COUNTS:
        return held >= np.quantile(held, 0.75), held <= np.quantile(held, 0.25)
    return held == 1, held == 0


def _enough(held: Floats, name: str) -> bool:
    return all(side.sum() >= _FEWEST for side in _sides(held, name))


def _evidence(observed: _Observed, find: _Find, name: str) -> SelectiveUnit:
    """Measure a unit on `observed`, the half of the sentences not used for the selection."""
    values = observed.values[find.place][:, find.unit]  # (N,)
    held = observed.properties[name]
    high, low = _sides(held, name)
    [score] = _scores(_ranks(values[:, None]), held, name)
    strongest = np.argsort(-values if score > 0 else values, kind="stable")
    with_it, without = strongest[high[strongest]], strongest[low[strongest]]
    return SelectiveUnit(
        find.place,
        find.unit,
        name,
        float(score),
        find.score,
        float(values[high].mean()),
        float(values[low].mean()),
        int(high.sum()),
        int(low.sum()),
        tuple(islice(_examples(observed.tokens, values, with_it), _EXAMPLES)),
        tuple(islice(_examples(observed.tokens, values, without), _COUNTEREXAMPLES)),
    )


def _examples(
    sentences: Sequence[Sequence[str]], values: Floats, rows: NDArray[np.int64]
) -> Iterator[ExampleSentence]:
    """Yield the tokens at `rows` with their neighbours, leaving out repeated texts."""
    ends = np.cumsum([len(sentence) for sentence in sentences])
    texts: set[str] = set()
    for row in rows:
        number = int(np.searchsorted(ends, row, side="right"))
        sentence = sentences[number]
        at = int(row) - int(ends[number]) + len(sentence)
        before, after = sentence[max(0, at - _CONTEXT) : at], sentence[at + 1 : at + _CONTEXT + 1]
        marked = re.sub("(▁?)(.*)", r"\1[\2]", sentence[at], count=1).replace("[]", "[space]")
        text = "".join([*before, marked, *after]).replace("▁", " ").strip()
        if text not in texts:
            texts.add(text)
            yield ExampleSentence(text, float(values[row]))


def _joined(rows: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _spread(size: int, most: int) -> Iterable[int]:
    """Return at most `most` numbers below `size`, evenly spread."""
    return range(size) if size <= most else (i * size // most for i in range(most))
