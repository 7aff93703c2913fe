"""Validate the averaged weights (EMA): teacher-forced loss, greedy BLEU and chrF, gates."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch

from seq2seq.bleu_chrf import corpus_bleu, corpus_chrf, tokenizer_advice
from seq2seq.config.model_config import Direction, SearchConfig
from seq2seq.config.recipe import TrainingConfig
from seq2seq.corpus import DirectedText
from seq2seq.corpus.batches import Batch, make_batch, plan_batches
from seq2seq.engines.torch_engine import TorchEngine
from seq2seq.nn.model import EncoderDecoder
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.gate_statistics import GateStatistics, gate_sample, gate_statistics
from seq2seq.training.loss import smoothed_cross_entropy
from seq2seq.training.optimizer_step import forward
from seq2seq.training.process_group import ALONE, ProcessGroup
from seq2seq.training.training_pairs import encode_pairs
from seq2seq.translation.translator import Translator


@dataclass(frozen=True)
class HeldOut:
    """A validation text, as sentences and as batches of ids."""

    text: DirectedText
    batches: Sequence[Batch]
    left_out: int  # number of pairs too long for the loss; BLEU includes them

    @classmethod
    def of(cls, text: DirectedText, tokenizer: Tokenizer, settings: TrainingConfig) -> Self:
        """Make batches as in training, leaving out pairs longer than `max_length`."""
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
    """The results of one validation."""

    nll: float  # mean negative log-likelihood per target token, natural log
    bleu_by_direction: Mapping[Direction, float]  # greedy, detokenised, cased
    chrf_by_direction: Mapping[Direction, float]  # of the same translations
    gates: GateStatistics = field(default_factory=dict)  # on a few of the pairs

    @property
    def bleu(self) -> float:
        """The mean over the directions."""
        return _mean(self.bleu_by_direction)

    @property
    def chrf(self) -> float:
        """The mean over the directions."""
        return _mean(self.chrf_by_direction)

    @property
    def perplexity(self) -> float:
        """exp of the mean negative log-likelihood."""
        return math.exp(min(self.nll, 700.0))


def _mean(by_direction: Mapping[Direction, float]) -> float:
    return sum(by_direction.values()) / len(by_direction)


def advice(held_out: Sequence[HeldOut]) -> Iterator[str]:
    """Yield a warning for each way in which the figures are not what a reader expects."""
    for message in tokenizer_advice(held.text.direction.target for held in held_out):
        yield f"validation: {message}"
    if left_out := sum(held.left_out for held in held_out):
        yield (
            f"validation: pairs longer than training.max_length ({left_out:,}) count for BLEU and "
            "not for perplexity."
        )


def validate(
    model: EncoderDecoder,
    held_out: Sequence[HeldOut],
    tokenizer: Tokenizer,
    search: SearchConfig,
    group: ProcessGroup = ALONE,
) -> Validation:
    """Validate `model` on `held_out`, translated greedily; each rank does a share."""
    total_nll = tokens = 0.0
    with torch.inference_mode():
        batches = [batch for text in held_out for batch in text.batches]
        for batch in batches[group.rank :: group.size]:
            readout, targets = forward(model, batch)
            _, nll = smoothed_cross_entropy(
                readout, model.embedding.weight, model.output_bias, targets, 0.0
            )
            total_nll += nll.item()
            tokens += batch.tokens
    total_nll, tokens = group.sum(total_nll, tokens)
    bleus, chrfs = dict[Direction, float](), dict[Direction, float]()
    engine = TorchEngine(model, model.output_bias.device)
    for direction, text in (held.text for held in held_out):
        translator = Translator.over(engine, tokenizer, [direction], search)
        # Without the guard: the source that it may keep is not the model's output.
        own = text.source if group.size == 1 else [*text.source][group.rank :: group.size]
        lines = translator.translate_lines(own, beam_size=1, guard=False)
        translations = group.interleave([line.text for line in lines])
        bleus[direction] = corpus_bleu(translations, text.target, direction.target)
        chrfs[direction] = corpus_chrf(translations, text.target)
    sample = gate_sample([text.batches for text in held_out])
    gates = gate_statistics(model, sample) if sample else {}
    return Validation(total_nll / max(tokens, 1), bleus, chrfs, gates)
