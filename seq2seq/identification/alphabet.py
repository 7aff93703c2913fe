"""Text as a network reads it: cleaned, bounded, a number for each character."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LONGEST = 300
"""Characters that are read: more would take time and change no answer."""

_CLEANED = 4_000  # characters, of which `LONGEST` are left
_BEFORE = 3  # characters before the first letter: a ¿ says more than many a word

_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")
# What has no language: addresses, tags, placeholders. Bounded, so that no text takes long.
_FOREIGN = re.compile(
    r"https?://\S+|www\.\S+|\S{1,64}@\S+|<[^<>]{0,200}>|\{\{[^{}]{0,200}\}\}", re.IGNORECASE
)
_PLAIN_QUOTES = str.maketrans({**dict.fromkeys("‘’‚‛ʼ´`", "'"), **dict.fromkeys("“”„‟", '"')})


def clean(text: str) -> str:
    """Return the beginning of a text on one line, with plain quotes and 0 for each digit.

    It starts near the first letter, so that a long table or rule in front hides nothing. Without
    a letter it is empty.
    """
    first = _LETTER.search(text)
    if not first:
        return ""
    start = max(first.start() - _BEFORE, 0)
    text = unicodedata.normalize("NFC", text[start : start + _CLEANED])
    text = _FOREIGN.sub(" ", text).translate(_PLAIN_QUOTES)
    text = " ".join(_DIGIT.sub("0", text).split())[:LONGEST]
    return text if _LETTER.search(text) else ""


def without_accents(text: str) -> str:
    """Letters without their marks, as on a keyboard that has none."""
    marked = unicodedata.normalize("NFD", text.replace("ß", "ss").replace("œ", "oe"))
    return "".join(part for part in marked if not unicodedata.combining(part))


class Alphabet:
    """The characters that a model knows, V of them, and their ids.

    0 is any other character, 1 to V are the characters, and V + 1 to 2 V + 1 are the same as
    capitals. So a word in capitals is the same letters, with one thing more to know about each.
    """

    def __init__(self, characters: Sequence[str]) -> None:
        self.characters = tuple(characters)
        self._ids = {character: id_ for id_, character in enumerate(characters, start=1)}

    def encode(self, cleaned: str) -> NDArray[np.intp]:
        """Return the ids of a text with a space on either side: words begin and end with one."""
        return np.array([self._id(character) for character in f" {cleaned} "], np.intp)

    def encode_batch(self, cleaned: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows of ids (B, T), with padding behind them, and how long each is (B,)."""
        rows = [self.encode(text) for text in cleaned]
        lengths = np.array([len(row) for row in rows], np.intp)
        ids = np.zeros((len(rows), lengths.max(initial=0)), np.intp)
        for row, encoded in zip(ids, rows, strict=True):
            row[: len(encoded)] = encoded
        return ids, lengths

    def knows(self, cleaned: str) -> bool:
        """Whether it knows at least half of the letters: else it cannot tell anything."""
        letters = _LETTER.findall(cleaned)
        known = sum(letter.lower() in self._ids for letter in letters)
        return 0 < len(letters) <= 2 * known

    def _id(self, character: str) -> int:
        small = character.lower()
        capital = (len(self.characters) + 1) * (small != character)
        return self._ids.get(small, 0) + capital
