"""The training corpus as batches: each pair is read, changed and cut when its batch is due.

So no text is held in memory, and subword sampling and augmentation differ in every epoch. What is
drawn for a pair follows from the seed, the epoch and its turn there alone, so a resumed run draws
it again.
"""

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from seq2seq.config.recipe import Recipe, TrainingConfig
from seq2seq.corpus import DirectedText, ParallelText
from seq2seq.corpus.augmentation import Augmenter, join
from seq2seq.corpus.batches import Batch, make_batch, plan_batches
from seq2seq.corpus.cache import count_from, scratch
from seq2seq.corpus.lines import digest_of, line_number
from seq2seq.errors import Seq2SeqError
from seq2seq.text.formality import formality_of
from seq2seq.tokenizer import Tokenizer, normalise_source, plain_spaces

_DESCRIBED = 10  # lines, in a message
_POOL = 20  # pairs for each token of a batch: some hundred batches


@dataclass(frozen=True)
class EncodedPairs:
    """Source ids (language tag first) and target ids (no BOS, no EOS), pair by pair."""

    sources: list[list[int]]
    targets: list[list[int]]


class Drawn(NamedTuple):
    """A pair as it is learnt this time; arrays, since a pool has many."""

    number: int  # of the pair in the corpus
    source: Sequence[int]
    target: Sequence[int]

    @property
    def longer(self) -> int:
        """The length of the longer side, the language tag and EOS counted."""
        return max(len(self.source), len(self.target) + 1)


def encode_pairs(text: ParallelText, tokenizer: Tokenizer, language: str) -> EncodedPairs:
    """The most likely ids of every pair; `language` is that of the target."""
    return EncodedPairs(
        tokenizer.encode_sources(text.source, language), tokenizer.encode(text.target)
    )


class Pool:
    """Some thousand pairs as batches, those of like length side by side."""

    def __init__(self, drawn: Sequence[Drawn], plan: Sequence[NDArray[np.int64]]) -> None:
        self._drawn = drawn
        self._plan = plan

    @classmethod
    def of(cls, drawn: Sequence[Drawn], settings: TrainingConfig, seed: tuple[int, ...]) -> Self:
        """What was drawn, but for the pairs that are longer than `max_length`, in batches."""
        kept = [one for one in drawn if one.longer <= settings.max_length]
        longer = np.array([one.longer for one in kept], np.int32)
        return cls(kept, plan_batches(longer, settings.batch_tokens, *seed))

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, number: int) -> Batch:
        chosen = [self._drawn[i] for i in self._plan[number]]
        return make_batch(
            [one.number for one in chosen],
            [one.source for one in chosen],
            [one.target for one in chosen],
        )


class TrainingPairs:
    """The pairs of all directions, numbered through.

    `weights` are those of the texts, see `CorpusConfig`: none are all alike.
    """

    def __init__(
        self,
        texts: Sequence[DirectedText],
        tokenizer: Tokenizer,
        recipe: Recipe,
        weights: Sequence[float] = (),
    ) -> None:
        self._weights = np.array(weights or len(texts) * [1.0])
        self._texts = texts
        self._tokenizer = tokenizer
        self._settings = recipe.training
        self._plain_spaces = recipe.tokenizer.plain_spaces
        alpha = recipe.tokenizer.sampling
        self._sampler = tokenizer.sampler(alpha) if alpha else None
        self._targets = [direction.target for direction, _ in texts]
        self._formality_rate = recipe.augmentation.formality
        self._augmenter = None
        if recipe.augmentation.is_on:
            self._augmenter = Augmenter(recipe.augmentation, [one.text for one in texts])
        self._sizes = np.array([len(one.text) for one in texts])
        self._ends = self._sizes.cumsum()
        self._shuffled: tuple[int, NDArray[np.int32]] | None = None  # the epoch and its order

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def pools(self) -> int:
        """How many pools an epoch has. A pool is what is sorted by length at a time."""
        return -(-len(self) // (_POOL * self._settings.batch_tokens))

    def pool(self, epoch: int, number: int) -> "Pool":
        """One pool of one epoch; raises `Seq2SeqError` where all of its pairs are too long."""
        order = self._order(epoch)
        begin, end = (len(order) * one // self.pools for one in (number, number + 1))
        drawn = [self._draw(int(order[turn]), epoch, turn) for turn in range(begin, end)]
        pool = Pool.of(drawn, self._settings, (self._settings.seed, epoch, number))
        if not len(pool):
            raise Seq2SeqError(
                f"each of {len(drawn):,} training pairs is longer than training.max_length = "
                f"{self._settings.max_length}."
            )
        return pool

    def describe(self, numbers: Sequence[int]) -> str:
        """Where pairs come from, for a reader: how many, and the lines of the first ten."""
        lines: dict[str, list[str]] = {}
        for number in sorted(numbers)[:_DESCRIBED]:
            number_of_text, place = self._find(number)
            text = self._texts[number_of_text].text
            lines.setdefault(text.name, []).append(str(line_number(text.source, place)))
        found = "; ".join(
            f"{name}, line{'s' if len(those) > 1 else ''} {', '.join(those)}"
            for name, those in lines.items()
        )
        more = " ..." if len(numbers) > _DESCRIBED else ""
        return f"{len(numbers)} pair{'s' if len(numbers) > 1 else ''} ({found}{more})"

    def _find(self, number: int) -> tuple[int, int]:
        """The text that a pair is of, and its place there."""
        text = int(np.searchsorted(self._ends, number, side="right"))
        return text, number - int(self._ends[text] - self._sizes[text])

    def _order(self, epoch: int) -> NDArray[np.int32]:
        """The pairs of an epoch, shuffled: of each text as many as weight and temperature say.

        That is all of its pairs so many times, and a random part of them once more.
        """
        if self._shuffled is not None and self._shuffled[0] == epoch:
            return self._shuffled[1]
        random = np.random.default_rng((self._settings.seed, epoch))
        weights = self._amounts()
        shares = np.round(len(self) * weights / weights.sum()).astype(int)
        order = scratch(int((-(-shares // self._sizes) * self._sizes).sum()), np.int32)
        end = 0
        for begin, size, share in zip(self._ends - self._sizes, self._sizes, shares, strict=True):
            whole, rest = divmod(int(share), int(size))
            for copy in range(whole + (rest > 0)):
                numbers = order[end : end + size]
                count_from(int(begin), numbers)
                if copy == whole:
                    random.shuffle(numbers)
                    numbers = numbers[:rest]
                end += len(numbers)
        order = order[:end]
        random.shuffle(order)
        self._shuffled = epoch, order
        return order

    def _amounts(self) -> NDArray[np.float64]:
        """What the parts of an epoch that are of each text are in proportion to.

        The temperature evens out directions, as large as weights make them, and not their texts.
        """
        weighted = self._sizes * self._weights
        directions = [str(direction) for direction, _ in self._texts]
        totals = dict.fromkeys(directions, 0.0)
        for way, size in zip(directions, weighted.tolist(), strict=True):
            totals[way] += size
        of_direction = np.array([totals[way] for way in directions])
        parts = weighted / of_direction
        return np.asarray(of_direction ** (1 / self._settings.temperature) * parts)

    def _draw(self, number: int, epoch: int, turn: int) -> Drawn:
        """The pair whose turn it is in the epoch: changed, normalised, cut."""
        text, place = self._find(number)
        pair = self._texts[text].text
        random = Random(f"{self._settings.seed} {epoch} {turn}")
        source, target = pair.source[place], pair.target[place]
        if self._augmenter and (joins := self._augmenter.joins(random)):
            places = [place, *(random.randrange(len(pair)) for _ in range(joins))]
            source, target = join([(pair.source[i], pair.target[i]) for i in places])
        if self._plain_spaces:
            target = plain_spaces(target)
        if self._augmenter:
            source, target = self._augmenter.augment(source, target, random)
        source = normalise_source(source)
        if self._sampler:
            ids = self._sampler.draw(source, random), self._sampler.draw(target, random)
        else:
            ids = self._tokenizer.encode([source])[0], self._tokenizer.encode([target])[0]
        formality = None
        if self._formality_rate and random.random() < self._formality_rate:
            formality = formality_of(target, self._targets[text])
        tags = self._tokenizer.source_tags(self._targets[text], formality)
        return Drawn(number, array("i", [*tags, *ids[0]]), array("i", ids[1]))


def fingerprint(texts: Iterable[ParallelText]) -> str:
    """A digest of the sentences, by which a resumed run knows its corpus again."""
    sides = [digest_of(side) for text in texts for side in (text.source, text.target)]
    return hashlib.sha256(" ".join(sides).encode()).hexdigest()
