"""How good the averaged weights are: loss under teacher forcing, BLEU and chrF on text.

And how open their gates are.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch

from seq2seq.config.model_config import Direction
from seq2seq.config.recipe import TrainingConfig
from seq2seq.corpus import DirectedText
from seq2seq.corpus.batches import Batch, make_batch, plan_batches
from seq2seq.metrics import corpus_bleu, corpus_chrf, validation_rank
from seq2seq.nn.model import EncoderDecoder
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.gate_statistics import GateStatistics, gate_sample, gate_statistics
from seq2seq.training.loss import smoothed_cross_entropy
from seq2seq.training.pairs import encode_pairs
from seq2seq.training.step import forward
from seq2seq.translation.translator import Translator


@dataclass(frozen=True)
class HeldOut:
    """A validation text as it is, and as batches."""

    text: DirectedText
    batches: Sequence[Batch]
    left_out: int  # pairs too long for the likelihood; BLEU is over all

    @classmethod
    def of(cls, text: DirectedText, tokenizer: Tokenizer, settings: TrainingConfig) -> Self:
        """`text` in batches of the size that training has, but for pairs above `max_length`."""
        pairs = encode_pairs(text.text, tokenizer, text.direction.target)
        sides = zip(pairs.sources, pairs.targets, strict=True)
        longer = np.array([max(len(source), len(target) + 1) for source, target in sides])
        kept = np.flatnonzero(longer <= settings.max_length)
        plan = plan_batches(longer[kept], settings.batch_tokens, 0, 0)
        batches = []
        for number in range(len(plan)):
            lines = kept[plan[number]]
            sources, targets = ([side[i] for i in lines] for side in (pairs.sources, pairs.targets))
            batches.append(make_batch(lines.tolist(), sources, targets))
        return cls(text, batches, len(longer) - len(kept))


@dataclass(frozen=True)
class Validation:
    """The figures of one validation."""

    nll: float  # mean negative log-likelihood of a target token, natural log
    bleus: Mapping[Direction, float]  # greedy, detokenised, cased
    chrfs: Mapping[Direction, float]  # of the same translations
    gates: GateStatistics = field(default_factory=dict)  # on a few of the pairs

    @property
    def bleu(self) -> float:
        """The mean over the directions."""
        return sum(self.bleus.values()) / len(self.bleus)

    @property
    def chrf(self) -> float:
        """The mean over the directions."""
        return sum(self.chrfs.values()) / len(self.chrfs)

    @property
    def rank(self) -> tuple[float, float, float]:
        """What the best validation has the greatest of."""
        return validation_rank(self.bleu, self.chrf, self.nll)

    @property
    def perplexity(self) -> float:
        """exp of the mean negative log-likelihood."""
        return math.exp(min(self.nll, 700.0))


def validate(
    model: EncoderDecoder,
    held_out: Sequence[HeldOut],
    translator: Callable[[Direction], Translator],
) -> Validation:
    """The figures of `model` on `held_out`, translated by the `translator` of each direction."""
    nll = tokens = 0.0
    with torch.inference_mode():
        for batch in (batch for one in held_out for batch in one.batches):
            readout, targets = forward(model, batch)
            _, likelihood = smoothed_cross_entropy(
                readout, model.embedding.weight, model.output_bias, targets, 0.0
            )
            nll += likelihood.item()
            tokens += batch.tokens
    bleus, chrfs = {}, {}
    for direction, text in (one.text for one in held_out):
        translations = [
            translation.text
            # A copy of the source, which the guard puts in, is not what the model says.
            for translation in translator(direction).translate_lines(text.source, guard=False)
        ]
        bleus[direction] = corpus_bleu(translations, text.target, direction.target)
        chrfs[direction] = corpus_chrf(translations, text.target)
    sample = gate_sample([one.batches for one in held_out])
    gates = gate_statistics(model, sample) if sample else {}
    return Validation(nll / max(tokens, 1), bleus, chrfs, gates)
