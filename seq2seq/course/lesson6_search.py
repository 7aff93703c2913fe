"""Lesson 6: greedy search, beam search, length penalty, and BLEU."""

from collections import Counter
from collections.abc import Sequence
from math import exp, prod
from typing import Any

from seq2seq.course.exercise import Exercise, Lesson, is_close, require, require_array, require_list

_END = "</s>"
_PROBABILITIES = {
    (): {"wird": 0.45, "dauert": 0.4, "braucht": 0.15},
    ("wird",): {"es": 0.6, "das": 0.4},
    ("wird", "es"): {"dauern": 0.5, "brauchen": 0.5},
    ("wird", "das"): {"dauern": 0.7, "brauchen": 0.3},
    ("dauert",): {"es": 0.9, "das": 0.1},
    ("dauert", "es"): {"lange": 0.7, "noch": 0.3},
    ("dauert", "das"): {"lange": 0.5, "noch": 0.5},
    ("braucht",): {"es": 1.0},
    ("braucht", "es"): {"lange": 1.0},
}
"""A tree: greedy takes *wird* and cannot go back; a beam of two finds *dauert es lange*."""

_TRANSLATIONS = ("die katze sitzt auf der matte und schläft", "ich habe ich habe es nicht gesehen")
_REFERENCES = ("die katze liegt auf der matte und schläft", "ich habe es noch nie gesehen")


def _model(words: Sequence[str]) -> dict[str, float]:
    return dict(_PROBABILITIES.get(tuple(words), {_END: 1.0}))


def _check_greedy(greedy: Any) -> None:
    answer = require_list(greedy(_model), "words")
    require(answer[-1:] != [_END], f"{_END} is among the words; stop before you add it.")
    require(
        answer != ["wird", "es", "brauchen"],
        "of two words that are equally likely take the first.",
    )
    require(
        answer == ["wird", "es", "dauern"],
        "at each step give the model the words so far, and take the word with the greatest "
        "probability: max(following, key=following.get).",
    )


def _check_beam_search(beam_search: Any) -> None:
    narrow = require_list(beam_search(_model, 1), "words")
    require(narrow[-1:] != [_END], f"{_END} is among the words; leave it out at the end.")
    require(
        narrow[:2] == ["wird", "es"],
        "a beam of one is greedy search; here it is something else.",
    )
    wide = require_list(beam_search(_model, 2), "words")
    require(
        wide[:1] != ["wird"],
        "a beam of two finds no better sentence than greedy search: keep the two likeliest of all "
        "continuations, by the product of their probabilities (or the sum of the logarithms).",
    )
    require(
        wide == ["dauert", "es", "lange"],
        f"a beam of two comes to {' '.join(wide)!r}: add the logarithm of each word's probability "
        "to that of its hypothesis, and return the likeliest.",
    )
    require(
        require_list(beam_search(_model, 20), "words") == wide,
        "a beam of 20, which has room for everything, comes to another sentence.",
    )


def _check_score(score: Any) -> None:
    require(is_close(score(-4.0, 7, 0.0), -4.0), "with alpha = 0 nothing is changed.")
    require(is_close(score(-4.0, 7, 1.0), -2.0), "-4 over ((5 + 7) / 6) is -2, with alpha = 1.")
    require(is_close(score(-4.0, 7, 2.0), -1.0), "alpha is a power: with alpha = 2 it is -4 / 4.")


def _count(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[first : first + n]) for first in range(len(words) - n + 1))


def _matches(translation: Sequence[str], reference: Sequence[str], n: int) -> int:
    return (_count(translation, n) & _count(reference, n)).total()


def _check_matches(matches: Any) -> None:
    translation, reference = ["the", "the", "the", "cat"], ["the", "cat", "is", "on", "the", "mat"]
    answer = matches(translation, reference, 1)
    require_array(answer, (), "the number")
    require(
        answer != 4,
        "'the' counts three times, but the reference has it only twice: count it twice.",
    )
    require(answer != 2, "'the' counts once for each time that the reference has it: twice here.")
    require(
        answer == 3, f"of 'the the the cat' 3 words are in 'the cat is on the mat', not {answer}."
    )
    for n in (2, 3, 4):
        for first, second in zip(_TRANSLATIONS, _REFERENCES, strict=True):
            expected = _matches(first.split(), second.split(), n)
            answer = matches(first.split(), second.split(), n)
            require(
                answer == expected,
                f"{expected} {n}-grams of {first!r} are in {second!r}, not {answer}.",
            )
    require(matches(["a"], ["a"], 2) == 0, "one word has no pair of words.")


def reference_bleu(
    translations: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> float:
    """Compute BLEU of words, from 0 to 100, unsmoothed (Papineni et al. 2002)."""
    pairs = [*zip(translations, references, strict=True)]
    precisions = [
        sum(_matches(*pair, n) for pair in pairs)
        / sum(max(0, len(translation) - n + 1) for translation in translations)
        for n in range(1, 5)
    ]
    c, r = sum(map(len, translations)), sum(map(len, references))
    return 100 * min(1.0, exp(1 - r / c)) * float(prod(precisions) ** 0.25)


def _check_bleu(bleu: Any) -> None:
    translations = [text.split() for text in _TRANSLATIONS]
    references = [text.split() for text in _REFERENCES]
    require(is_close(bleu(references, references), 100.0), "the references themselves have 100.")
    answer = bleu(translations, references)
    require_array(answer, (), "BLEU")
    expected = reference_bleu(translations, references)
    require(not is_close(answer, expected / 100), "multiply by 100.")
    require(
        is_close(answer, expected),
        f"two sentences have a BLEU of {expected:.2f}, not {answer:.2f}; sum the matches and the "
        "n-grams over all sentences before you divide.",
    )
    short = [words[:6] for words in references]
    require(
        is_close(bleu(short, references), reference_bleu(short, references)),
        "translations that are too short cost: the factor is e^(1 - r / c) where c is less than r.",
    )


LESSON = Lesson(
    6,
    "Search and BLEU",
    (
        Exercise("greedy", _check_greedy),
        Exercise("beam_search", _check_beam_search),
        Exercise("score", _check_score),
        Exercise("matches", _check_matches),
        Exercise("bleu", _check_bleu),
    ),
)
