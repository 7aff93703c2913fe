"""The training corpus as ids, drawn anew each epoch where subword sampling is on."""

from dataclasses import dataclass

import numpy as np

from seq2seq.config import TokenizerConfig
from seq2seq.corpus import ParallelText
from seq2seq.tokenizer import Tokenizer, normalise_source


@dataclass(frozen=True)
class EncodedPairs:
    """Source ids (language tag first) and target ids (no BOS, no EOS), pair by pair."""

    sources: list[list[int]]
    targets: list[list[int]]

    def __len__(self) -> int:
        return len(self.sources)


class PairEncoder:
    """Encodes one parallel text for training into one target language."""

    def __init__(self, text: ParallelText, tokenizer: Tokenizer, language: str) -> None:
        self.text = text
        self._tokenizer = tokenizer
        self._language = language

    def encode(self) -> EncodedPairs:
        """The most likely ids of every pair."""
        return EncodedPairs(
            self._tokenizer.encode_sources(self.text.source, self._language),
            self._tokenizer.encode(self.text.target),
        )

    def sample(self, config: TokenizerConfig, seed: int, epoch: int) -> EncodedPairs:
        """The ids of an epoch, drawn by `seed` and `epoch`.

        Without `config.sampling` they are the most likely ones.
        """
        if config.sampling == 0:
            return self.encode()
        source_seed, target_seed = np.random.SeedSequence((seed, epoch)).generate_state(2)
        tag = self._tokenizer.language_id(self._language)
        normalised = [normalise_source(text) for text in self.text.source]
        sources = self._tokenizer.sample(normalised, config.sampling, int(source_seed))
        targets = self._tokenizer.sample(self.text.target, config.sampling, int(target_seed))
        return EncodedPairs([[tag, *ids] for ids in sources], targets)

    def within(self, max_length: int) -> "tuple[PairEncoder, int]":
        """Only the pairs of at most `max_length` ids a side, and how many were left out."""
        encoded = self.encode()
        kept = [
            i
            for i, (src, tgt) in enumerate(zip(encoded.sources, encoded.targets, strict=True))
            if max(len(src), len(tgt) + 1) <= max_length
        ]
        text = ParallelText(
            self.text.name,
            [self.text.source[i] for i in kept],
            [self.text.target[i] for i in kept],
        )
        return PairEncoder(text, self._tokenizer, self._language), len(encoded) - len(kept)
