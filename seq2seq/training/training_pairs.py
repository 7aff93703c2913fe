"""The training corpus as batches: each pair is read, augmented and encoded when it is needed.

So texts are not held in memory, and subword sampling and augmentation differ between epochs. Each
random choice depends only on the seed, the epoch and the index of the pair in the epoch, so a
resumed run makes it again.
"""

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

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
from seq2seq.training.process_group import ALONE, ProcessGroup

_DESCRIBED = 10  # lines named in a message
_UNTAGGED = 0.5  # share of the pairs of a tagged text that are drawn without the tag
_BUFFER = 20  # pairs per token of a batch, so that a buffer has some hundred batches


@dataclass(frozen=True)
class EncodedPairs:
    """Source ids (language tag first) and target ids (no BOS, no EOS), pair by pair."""

    sources: list[list[int]]
    targets: list[list[int]]


class TrainingExample(NamedTuple):
    """A pair as drawn for one epoch; its ids are arrays, since a buffer has many."""

    number: int  # of the pair in the corpus
    source: Sequence[int]
    target: Sequence[int]

    @property
    def longer(self) -> int:
        """The length of the longer side, including the language tag and EOS."""
        return max(len(self.source), len(self.target) + 1)


def encode_pairs(text: ParallelText, tokenizer: Tokenizer, language: str) -> EncodedPairs:
    """Encode every pair with its most probable subwords; `language` is the target language."""
    return EncodedPairs(
        tokenizer.encode_sources(text.source, language), tokenizer.encode(text.target)
    )


class ShuffleBuffer:
    """Some thousand examples in batches of similar length."""

    def __init__(
        self, examples: Sequence[TrainingExample], settings: TrainingConfig, *seed: int
    ) -> None:
        """Plan batches of `examples`, leaving out those longer than `max_length`."""
        self._examples = [each for each in examples if each.longer <= settings.max_length]
        lengths = np.array([example.longer for example in self._examples], np.int32)
        self._plan = plan_batches(lengths, settings.batch_tokens, *seed)

    def __len__(self) -> int:
        return len(self._plan)

    def pairs(self, numbers: range) -> list[int]:
        """List the numbers of the pairs in these batches."""
        return [self._examples[i].number for number in numbers for i in self._plan[number]]

    def __getitem__(self, number: int) -> Batch:
        examples = [self._examples[i] for i in self._plan[number]]
        return make_batch(
            [example.number for example in examples],
            [example.source for example in examples],
            [example.target for example in examples],
        )


class TrainingPairs:
    """The pairs of all texts, numbered consecutively."""

    def __init__(
        self,
        texts: Sequence[DirectedText],
        tokenizer: Tokenizer,
        recipe: Recipe,
        weights: Sequence[float] = (),
        group: ProcessGroup = ALONE,
        tags: Sequence[str] = (),
    ) -> None:
        """`weights` and `tags` are those of the texts, see `CorpusConfig`.

        Half of the pairs of a tagged text are drawn without the tag, so that the model also works
        without it. Each rank of `group` draws a share of the pairs, and gets all of them.
        """
        self._group = group
        self._weights = np.array(weights or len(texts) * [1.0])
        self._tags = tags or len(texts) * [""]
        self._texts = texts
        self._tokenizer = tokenizer
        self._settings = recipe.training
        self._plain_spaces = recipe.tokenizer.plain_spaces
        alpha = recipe.tokenizer.sampling
        self._sampler = tokenizer.sampler(alpha) if alpha else None
        self._formality_rate = recipe.augmentation.formality
        self._augmenter = None
        if recipe.augmentation.is_on:
            self._augmenter = Augmenter(recipe.augmentation, [text for _, text in texts])
        self._sizes = np.array([len(text) for _, text in texts])
        self._starts: list[int] = (self._sizes.cumsum() - self._sizes).tolist()
        self._shuffled: tuple[int, NDArray[np.int32]] | None = None  # an epoch and its order

    def __len__(self) -> int:
        return int(self._sizes.sum())

    @property
    def buffers(self) -> int:
        """The number of shuffle buffers in an epoch."""
        return -(-len(self) // (_BUFFER * self._settings.batch_tokens))

    def buffer(self, epoch: int, number: int) -> ShuffleBuffer:
        """Draw a shuffle buffer; raise `Seq2SeqError` if all of its pairs are too long."""
        order = self._order(epoch)
        begin, end = (len(order) * turn // self.buffers for turn in (number, number + 1))
        examples = self._group.share_out(
            lambda index: self._draw(int(order[index]), epoch, index), range(begin, end)
        )
        buffer = ShuffleBuffer(examples, self._settings, self._settings.seed, epoch, number)
        if not len(buffer):
            raise Seq2SeqError(
                f"each of {len(examples):,} training pairs is longer than training.max_length = "
                f"{self._settings.max_length}."
            )
        return buffer

    def describe(self, numbers: Sequence[int]) -> str:
        """Return how many pairs there are and where they come from: the first ten lines."""
        lines: dict[str, list[str]] = {}
        for number in sorted(numbers)[:_DESCRIBED]:
            text_number, place = self._find(number)
            _, text = self._texts[text_number]
            lines.setdefault(text.name, []).append(str(line_number(text.source, place)))
        places = "; ".join(
            f"{name}, line{'s' if len(listed) > 1 else ''} {', '.join(listed)}"
            for name, listed in lines.items()
        )
        more = " ..." if len(numbers) > _DESCRIBED else ""
        return f"{len(numbers)} pair{'s' if len(numbers) > 1 else ''} ({places}{more})"

    def _find(self, number: int) -> tuple[int, int]:
        """Return the number of the text with a pair, and the pair's place in it."""
        text_number = bisect_right(self._starts, number) - 1
        return text_number, number - self._starts[text_number]

    def _order(self, epoch: int) -> NDArray[np.int32]:
        """Shuffle the pairs of an epoch, with each text's share by weight and temperature.

        A share consists of whole copies of the text, and a random part of another one.
        """
        if self._shuffled is not None and self._shuffled[0] == epoch:
            return self._shuffled[1]
        random = np.random.default_rng((self._settings.seed, epoch))
        proportions = self._proportions()
        shares = np.round(len(self) * proportions / proportions.sum()).astype(int)
        order = scratch(int((-(-shares // self._sizes) * self._sizes).sum()), np.int32)
        end = 0
        for begin, size, share in zip(self._starts, self._sizes, shares, strict=True):
            whole, rest = divmod(int(share), int(size))
            for copy in range(whole + (rest > 0)):
                numbers = order[end : end + size]
                count_from(begin, numbers)
                if copy == whole:
                    random.shuffle(numbers)
                    numbers = numbers[:rest]
                end += len(numbers)
        order = order[:end]
        random.shuffle(order)
        self._shuffled = epoch, order
        return order

    def _proportions(self) -> NDArray[np.float64]:
        """Return the share of each text in an epoch, not normalised.

        The temperature evens out directions, after weighting, but not the texts within one.
        """
        weighted = self._sizes * self._weights
        directions = [direction for direction, _ in self._texts]
        totals = dict.fromkeys(directions, 0.0)
        for direction, size in zip(directions, weighted.tolist(), strict=True):
            totals[direction] += size
        of_direction = np.array([totals[direction] for direction in directions])
        parts = weighted / of_direction
        return np.asarray(of_direction ** (1 / self._settings.temperature) * parts)

    def _draw(self, number: int, epoch: int, index: int) -> TrainingExample:
        """Read the pair at `index` of the epoch; augment, normalise and encode it."""
        text_number, place = self._find(number)
        direction, text = self._texts[text_number]
        random = Random(f"{self._settings.seed} {epoch} {index}")
        source, target = text.source[place], text.target[place]
        if self._augmenter and (joins := self._augmenter.joins(random)):
            places = [place, *(random.randrange(len(text)) for _ in range(joins))]
            source, target = join([(text.source[i], text.target[i]) for i in places])
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
            formality = formality_of(target, direction.target)
        tag = self._tags[text_number] or None
        if tag and random.random() < _UNTAGGED:
            tag = None
        tags = self._tokenizer.source_tags(direction.target, formality, tag)
        return TrainingExample(number, array("i", [*tags, *ids[0]]), array("i", ids[1]))


def fingerprint(texts: Iterable[ParallelText]) -> str:
    """Return a digest of the sentences, by which a resumed run recognises its corpus."""
    sides = [digest_of(side) for text in texts for side in (text.source, text.target)]
    return hashlib.sha256(" ".join(sides).encode()).hexdigest()
