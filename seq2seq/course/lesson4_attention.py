"""Lesson 4: encoder and decoder, and the attention between them."""

from math import sqrt
from typing import Any

import numpy as np

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.course.exercise import (
    Exercise,
    Floats,
    Lesson,
    NotYet,
    is_close,
    require,
    require_array,
    require_list,
)

_SENTENCE = "I have never seen this book."


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max())
    weights: Floats = powers / powers.sum()
    return weights


def _check_summary(summary: Any) -> None:
    random = np.random.default_rng(5)
    forwards, backwards = random.normal(size=(4, 3)), random.normal(size=(4, 3))
    answer = summary(forwards, backwards)
    require_array(answer, (6,), "the summary")
    require(
        not is_close(answer, np.concatenate([forwards[-1], backwards[-1]])),
        "the half that reads backwards has read everything when it is at the first token.",
    )
    require(
        not is_close(answer, np.concatenate([backwards[0], forwards[-1]])),
        "both are right; the forwards half comes first.",
    )
    require(
        is_close(answer, np.concatenate([forwards[-1], backwards[0]])),
        "take of each half the state in which it has read the whole sentence.",
    )


def _check_softmax(softmax: Any) -> None:
    scores = np.array([1.0, -2.0, 0.5, 3.0])
    answer = softmax(scores)
    require_array(answer, (4,), "the weights of four scores")
    require(is_close(np.sum(answer), 1.0), "the weights do not sum to 1: divide by their sum.")
    require(is_close(answer, _softmax(scores)), "take e to each score, np.exp, before you divide.")
    with np.errstate(all="ignore"):
        large = softmax(np.array([1000.0, 1001.0]))
    require(
        is_close(large, _softmax(np.array([0.0, 1.0]))),
        "with scores of 1000 it overflows: take the largest score from all of them first; that "
        "changes no weight.",
    )


def _check_attend(attend: Any) -> None:
    random = np.random.default_rng(6)
    query, keys, values = (random.normal(size=size) for size in (4, (5, 4), (5, 4)))
    expected = _softmax(keys @ query / sqrt(4))
    answer = attend(query, keys, values)
    try:
        context, weights = answer
    except (TypeError, ValueError):
        raise NotYet("return two things: the context and the weights.") from None
    require(
        not (np.shape(context) == (5,) and np.shape(weights) == (4,)),
        "return the context first, then the weights.",
    )
    require_array(weights, (5,), "the weights of five states")
    require_array(context, (4,), "the context")
    require(
        not is_close(weights, _softmax(keys @ query)),
        "the scores are not divided by the root of D, the length of the query.",
    )
    require(is_close(weights, expected), "the weights are the softmax of keys @ query / root of D.")
    require(
        not is_close(context, expected @ keys),
        "the weights are right; the context is made of the values, not of the keys.",
    )
    require(is_close(context, expected @ values), "the context is the weighted sum of the values.")


def _check_looked_at(looked_at: Any) -> None:
    from seq2seq.inspection.activations import attention
    from seq2seq.inspection.loading import open_model

    model = open_model(DEFAULT_MODEL)
    seen = attention(model, _SENTENCE, model.between("en", "de"))
    answer = require_list(looked_at([*seen.source], seen.mean.copy()), "source tokens")
    require(
        len(answer) == len(seen.target),
        f"there are {len(seen.target)} target tokens, and {len(answer)} in your list: a row of the "
        "weights belongs to a target token.",
    )
    require(
        answer == [seen.source[row.argmax()] for row in seen.mean],
        "take of each row of weights the place of the largest, and the source token there.",
    )


LESSON = Lesson(
    4,
    "Encoder-decoder and attention",
    (
        Exercise("summary", _check_summary),
        Exercise("softmax", _check_softmax),
        Exercise("attend", _check_attend),
        Exercise("looked_at", _check_looked_at),
    ),
)
