"""Handle text in capitals: it is read as an ordinary sentence, and its translation capitalised."""

import re
from collections.abc import Callable

from seq2seq.text.masking import INLINE_TAG, PLACEHOLDER

_LEAST_LETTERS = 4  # shorter words are taken for abbreviations
_CAPITALS = re.compile(rf"(?<!\w)[^\W\d_a-z]{{{_LEAST_LETTERS},50}}(?!\w)")
_LEAST_WORDS = 4
_OPENING = "\"'([{“‘«„¿¡"
KNOWN_PIECES = 2  # maximum number of subwords of a word that the model knows


def is_all_caps(text: str) -> bool:
    """Return whether a text is written in capitals and is no abbreviation.

    A single word counts as an abbreviation unless an exclamation mark follows.
    """
    letters = sum(map(str.isalpha, text))
    if letters < _LEAST_LETTERS or not text.isupper():
        return False
    words = [word for word in text.split() if any(map(str.isalpha, word))]
    return len(words) > 1 or text.rstrip(f"{PLACEHOLDER}{INLINE_TAG} ").endswith("!")


def is_title_case(text: str) -> bool:
    """Return whether every word begins with a capital, as in an English headline.

    There must be at least four words, and a short one after the first, such as "The" or "Of":
    a list of names has none.
    """
    words = [word for word in text.split() if any(map(str.isalpha, word))]
    return (
        len(words) >= _LEAST_WORDS
        and all(word.lstrip(_OPENING)[:1].isupper() for word in words)
        and any(word.isalpha() and len(word) < _LEAST_LETTERS for word in words[1:])
    )


def sentence_case(text: str) -> str:
    """Write a text in lower case, except for its first letter."""
    lower = text.lower()
    first = next((i for i, letter in enumerate(lower) if letter.isalpha()), 0)
    return lower[:first] + lower[first : first + 1].upper() + lower[first + 1 :]


def with_known_words(text: str, pieces: Callable[[str], int]) -> str:
    """Write capitals in lower case if the model knows the word only so: STATION, but not NASA.

    `pieces` returns how many subwords a word has.
    """

    def known(capitals: re.Match[str]) -> str:
        word = capitals[0]
        small = word.lower()
        knows_small_alone = word.isupper() and pieces(word) > KNOWN_PIECES >= pieces(small)
        return small if knows_small_alone else word

    return _CAPITALS.sub(known, text)
