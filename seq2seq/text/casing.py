"""Text in capitals: read as an ordinary sentence, and translated into capitals again."""

import re
from collections.abc import Callable

from seq2seq.text.masking import INLINE_TAG, PLACEHOLDER

_LEAST_LETTERS = 4  # fewer are an abbreviation
_CAPITALS = re.compile(rf"(?<!\w)[^\W\d_a-z]{{{_LEAST_LETTERS},50}}(?!\w)")
_LEAST_WORDS = 4
_OPENING = "\"'([{“‘«„¿¡"
KNOWN_PIECES = 2  # subwords; a word of more is spelled, not known


def is_all_caps(text: str) -> bool:
    """Tell whether all letters are capitals, and too many for an abbreviation.

    A single word is an abbreviation unless an exclamation mark follows.
    """
    letters = sum(map(str.isalpha, text))
    if letters < _LEAST_LETTERS or not text.isupper():
        return False
    words = [word for word in text.split() if any(map(str.isalpha, word))]
    return len(words) > 1 or text.rstrip(f"{PLACEHOLDER}{INLINE_TAG} ").endswith("!")


def is_title_case(text: str) -> bool:
    """Tell whether every word begins with a capital, as in an English headline.

    There must be four words or more, and a short one behind the first, such as "The" or "Of":
    names in a row have none.
    """
    words = [word for word in text.split() if any(map(str.isalpha, word))]
    return (
        len(words) >= _LEAST_WORDS
        and all(word.lstrip(_OPENING)[:1].isupper() for word in words)
        and any(word.isalpha() and len(word) < _LEAST_LETTERS for word in words[1:])
    )


def sentence_case(text: str) -> str:
    """Write a text in lower case but for its first letter."""
    lower = text.lower()
    first = next((i for i, letter in enumerate(lower) if letter.isalpha()), 0)
    return lower[:first] + lower[first : first + 1].upper() + lower[first + 1 :]


def with_known_words(text: str, pieces: Callable[[str], int]) -> str:
    """Write a word in capitals small where only so the model knows it: STATION, but not NASA.

    `pieces` tells how many subwords a word has.
    """

    def known(capitals: re.Match[str]) -> str:
        word = capitals[0]
        small = word.lower()
        knows_small_alone = word.isupper() and pieces(word) > KNOWN_PIECES >= pieces(small)
        return small if knows_small_alone else word

    return _CAPITALS.sub(known, text)
