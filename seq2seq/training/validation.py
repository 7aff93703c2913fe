"""How good the averaged weights are: loss under teacher forcing, and greedy BLEU on real text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seq2seq.batching import Batch
from seq2seq.corpus import ParallelText
from seq2seq.metrics import corpus_bleu
from seq2seq.nn.model import EncoderDecoder
from seq2seq.training.loss import smoothed_cross_entropy
from seq2seq.training.step import forward
from seq2seq.translator import Translator


@dataclass(frozen=True)
class Validation:
    """The figures of one validation."""

    nll: float  # mean negative log-likelihood of a target token, natural log
    bleu: float  # greedy, detokenised, cased

    @property
    def perplexity(self) -> float:
        """exp of the mean negative log-likelihood."""
        return math.exp(min(self.nll, 700.0))


def validate(
    model: EncoderDecoder, batches: Sequence[Batch], translator: Translator, text: ParallelText
) -> Validation:
    """The figures of `model` on `text`: its ids in `batches`, its sentences by `translator`."""
    nll = tokens = 0.0
    with torch.inference_mode():
        for batch in batches:
            readout, targets = forward(model, batch)
            _, likelihood = smoothed_cross_entropy(
                readout, model.embedding.weight, model.output_bias, targets, 0.0
            )
            nll += likelihood.item()
            tokens += batch.tokens
    hypotheses = [translation.text for translation in translator.translate(text.source)]
    return Validation(nll / tokens, corpus_bleu(hypotheses, text.target))
