"""The training corpus as ids, drawn anew each epoch where subword sampling is on."""

import hashlib
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


def encode_pairs(text: ParallelText, tokenizer: Tokenizer, language: str) -> EncodedPairs:
    """The most likely ids of every pair; `language` is that of the target."""
    return EncodedPairs(
        tokenizer.encode_sources(text.source, language), tokenizer.encode(text.target)
    )


class TrainingPairs:
    """The pairs of a text of at most `max_length` ids a side; `left_out` counts the others."""

    def __init__(
        self, text: ParallelText, tokenizer: Tokenizer, language: str, max_length: int
    ) -> None:
        encoded = encode_pairs(text, tokenizer, language)
        pairs = zip(encoded.sources, encoded.targets, strict=True)
        kept = [
            i for i, (src, tgt) in enumerate(pairs) if max(len(src), len(tgt) + 1) <= max_length
        ]
        self.left_out = len(text) - len(kept)
        self._encoded = EncodedPairs(
            [encoded.sources[i] for i in kept], [encoded.targets[i] for i in kept]
        )
        self._sources = [normalise_source(text.source[i]) for i in kept]
        self._targets = [text.target[i] for i in kept]
        self._tokenizer = tokenizer
        self._tag = tokenizer.language_id(language)

    def __len__(self) -> int:
        return len(self._targets)

    def sample(self, config: TokenizerConfig, seed: int, epoch: int) -> EncodedPairs:
        """The ids of an epoch, drawn by `seed` and `epoch`.

        Without `config.sampling` they are the most likely ones.
        """
        if config.sampling == 0:
            return self._encoded
        source_seed, target_seed = np.random.SeedSequence((seed, epoch)).generate_state(2)
        sources = self._tokenizer.sample(self._sources, config.sampling, int(source_seed))
        targets = self._tokenizer.sample(self._targets, config.sampling, int(target_seed))
        return EncodedPairs([[self._tag, *ids] for ids in sources], targets)


def fingerprint(*texts: ParallelText) -> str:
    """A digest of the sentences, by which a resumed run knows its corpus again."""
    digest = hashlib.sha256()
    for text in texts:
        for pair in zip(text.source, text.target, strict=True):
            digest.update("\t".join(pair).encode() + b"\n")
        digest.update(b"\n")
    return digest.hexdigest()
