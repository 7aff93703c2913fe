"""Prepare text for the network: clean it, shorten it, and turn characters into ids."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LONGEST = 300
"""How many characters of a text are read: more would take time and not change the answer."""

_CLEANED = 4_000  # characters that are cleaned, before all but `LONGEST` are cut off
_BEFORE = 3  # characters kept before the first letter, since a ¿ is good evidence

_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")
# Parts without a language: addresses, tags, placeholders. Bounded, so that no text takes long.
_FOREIGN = re.compile(
    r"https?://\S+|www\.\S+|\S{1,64}@\S+|<[^<>]{0,200}>|\{\{[^{}]{0,200}\}\}", re.IGNORECASE
)
_PLAIN_QUOTES = str.maketrans({**dict.fromkeys("‘’‚‛ʼ´`", "'"), **dict.fromkeys("“”„‟", '"')})


def clean(text: str) -> str:
    """Return the beginning of a text on one line, with straight quotes and 0 for each digit.

    It starts just before the first letter, so that a long rule or table of numbers is skipped. For
    a text without letters it is empty.
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
    """Replace accented letters by plain ones, as people type without accents on the keyboard."""
    marked = unicodedata.normalize("NFD", text.replace("ß", "ss").replace("œ", "oe"))
    return "".join(part for part in marked if not unicodedata.combining(part))


class Alphabet:
    """The V characters that a model knows, and their ids.

    0 stands for any other character and 1 to V for the known ones; V + 1 to 2 V + 1 stand for their
    capitals, in the same order. So the network can treat a capital as its small letter with an
    extra feature.
    """

    def __init__(self, characters: Sequence[str]) -> None:
        self.characters = tuple(characters)
        self._ids = {character: id_ for id_, character in enumerate(characters, start=1)}

    def encode(self, cleaned: str) -> NDArray[np.intp]:
        """Return the ids of a text, with a space on either side to mark where words begin and end.

        The result is (T,), where T is the length of `cleaned` plus 2.
        """
        return np.array([self._id(character) for character in f" {cleaned} "], np.intp)

    def encode_batch(self, cleaned: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the ids of texts (B, T), padded on the right, and their lengths (B,)."""
        rows = [self.encode(text) for text in cleaned]
        lengths = np.array([len(row) for row in rows], np.intp)
        ids = np.zeros((len(rows), lengths.max(initial=0)), np.intp)
        for row, encoded in zip(ids, rows, strict=True):
            row[: len(encoded)] = encoded
        return ids, lengths

    def knows(self, cleaned: str) -> bool:
        """Return whether at least half of the letters are known; else no answer makes sense."""
        letters = _LETTER.findall(cleaned)
        known = sum(letter.lower() in self._ids for letter in letters)
        return 0 < len(letters) <= 2 * known

    def _id(self, character: str) -> int:
        small = character.lower()
        capital = (len(self.characters) + 1) * (small != character)
        return self._ids.get(small, 0) + capital
