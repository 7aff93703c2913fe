"""Lesson 5: subwords, teacher forcing, loss and perplexity."""

from math import exp, log, prod
from typing import Any

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.course.exercise import (
    Exercise,
    Lesson,
    NotYet,
    is_close,
    require,
    require_array,
    require_list,
)
from seq2seq.tokenizer import Tokenizer

_PROBABILITIES = [0.9, 0.5, 0.25, 0.01]
_MEAN = sum(-log(p) for p in _PROBABILITIES) / len(_PROBABILITIES)
_VOCABULARY = {*"abdehlnorstwu", "wort", "wo", "haus", "rat", "haustür", "schlo", "te", "ten"}
_SENTENCES = ("Ich habe den Schlüssel verloren.", "Sie wartet, obwohl es regnet.")


def _check_subwords(subwords: Any) -> None:
    for word, parts in (
        ("haus", ["haus"]),
        ("wohnten", ["wo", "h", "n", "ten"]),
        ("hauswort", ["haus", "wort"]),
        ("rathaus", ["rat", "haus"]),
    ):
        answer = require_list(subwords(word, {*_VOCABULARY}), "parts")
        require(
            not (answer == [*word] and parts != answer),
            f"{word} comes out letter by letter; try the longest beginning first.",
        )
        require(
            answer == parts,
            f"{word} comes out as {answer}: the longest beginning that is in the vocabulary, "
            "then the same with the rest.",
        )


def _check_joined(joined: Any) -> None:
    tokenizer = Tokenizer.load(DEFAULT_MODEL / "tokenizer.model")
    for sentence, ids in zip(_SENTENCES, tokenizer.encode([*_SENTENCES]), strict=True):
        answer = joined(tokenizer.pieces(ids))
        require(isinstance(answer, str), "return a text: ''.join(pieces) puts pieces together.")
        require("▁" not in answer, "the mark ▁ should become a space.")
        require(not answer.startswith(" "), "there is a space at the beginning of the text.")
        require(answer == sentence, f"{sentence!r} comes out as {answer!r}.")


def _check_shifted(shifted: Any) -> None:
    words = ["Wo", "ist", "es", "?"]
    answer = shifted([*words])
    try:
        reads, says = answer
    except (TypeError, ValueError):
        raise NotYet("return two lists: what the decoder reads, and what it has to say.") from None
    require(
        len(reads) == len(says),
        f"it reads {len(reads)} tokens and says {len(says)}; at each step it reads one, says one.",
    )
    require(reads[:1] == ["<s>"], 'the first thing that the decoder reads is "<s>".')
    require(says[-1:] == ["</s>"], 'the last thing that the decoder says is "</s>".')
    require([*reads] == ["<s>", *words], "it reads the true words in order, after the <s>.")
    require([*says] == [*words, "</s>"], "it says at each step the word that it reads next.")


def _check_loss(loss: Any) -> None:
    answer = loss([*_PROBABILITIES])
    require_array(answer, (), "the loss")
    require(not is_close(answer, -_MEAN), "the sign is wrong: a loss is never negative.")
    require(
        not is_close(answer, _MEAN * len(_PROBABILITIES)),
        "that is the sum; take the mean, so that long sentences do not cost more for being long.",
    )
    require(not is_close(answer, _MEAN / log(2)), "that is the logarithm to base 2; take ln.")
    require(
        not is_close(answer, -log(sum(_PROBABILITIES) / len(_PROBABILITIES))),
        "first the logarithms, then the mean of them.",
    )
    require(is_close(answer, _MEAN), "the mean of -math.log(p).")


def _check_perplexity(perplexity: Any) -> None:
    require(
        is_close(perplexity([1 / 8000] * 5), 8000.0),
        "a model that gives each of 8,000 tokens the same probability has a perplexity of 8,000.",
    )
    answer = perplexity([*_PROBABILITIES])
    require(not is_close(answer, 1 / prod(_PROBABILITIES)), "take the mean loss, not the sum.")
    require(is_close(answer, exp(_MEAN)), "it is math.exp(loss(probabilities)).")


LESSON = Lesson(
    5,
    "Subwords, teacher forcing, loss and perplexity",
    (
        Exercise("subwords", _check_subwords),
        Exercise("joined", _check_joined),
        Exercise("shifted", _check_shifted),
        Exercise("loss", _check_loss),
        Exercise("perplexity", _check_perplexity),
    ),
)
