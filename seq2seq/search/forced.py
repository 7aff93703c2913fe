"""Forced decoding: compute the probability that a model gives to a given translation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seq2seq.search.beam import pad_sources
from seq2seq.search.engine_protocol import Engine, Ints, S
from seq2seq.tokenizer import BOS_ID, EOS_ID


def forced_log_probs(
    engine: Engine[S], sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> list[NDArray[np.float64]]:
    """Return the natural log-probability of each of the T ids of a target, and of EOS: (T + 1,).

    Their sum is the log-probability that a search reports for the same ids.
    """
    if not sources:
        return []
    state = engine.encode(*pad_sources(sources), pad_sources(targets)[0])
    padded, lengths = pad_sources([[*target, EOS_ID] for target in targets])  # (B, L), (B,)
    log_probs = np.zeros(padded.shape)
    sentences = np.arange(len(sources))  # (N,) the sentences that have not ended
    tokens: Ints = np.full(len(sources), BOS_ID)
    for place in range(padded.shape[1]):
        step = engine.decode_step(state, tokens)
        tokens = padded[sentences, place]
        columns = tokens
        if step.candidates is not None:
            columns = (step.candidates == tokens[:, None]).argmax(axis=1)
        log_probs[sentences, place] = step.log_probs[np.arange(len(sentences)), columns]
        rows = np.flatnonzero(lengths[sentences] > place + 1)
        if not len(rows):
            break
        state, tokens, sentences = step.state.select(rows), tokens[rows], sentences[rows]
    return [row[:length] for row, length in zip(log_probs, lengths, strict=True)]
