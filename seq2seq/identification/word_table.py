"""Which words a language has: what tells a language that was never learnt from those that were.

A network that chooses among some languages is sure of one, whatever it reads. But of the words of a
Dutch or an Italian sentence few are English, Spanish or French, while a true sentence of a language
is made of words that its sentences have, but for some names and terms.
"""

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seq2seq.identification.alphabet import clean, without_accents

BYTES = 1 << 16
"""Of the table of a language: with 35,000 words about 6% of all other words seem known."""

_WORD = re.compile(r"[^\W\d_]+")
_LEAST_UNKNOWN = 2  # words; a single one may be a name, a compound or a slip


def table_of(sentences: Sequence[str]) -> NDArray[np.uint8]:
    """(BYTES,): a bit for each word of the sentences, in lower case, with accents and without."""
    words = {word for sentence in sentences for word in _WORD.findall(clean(sentence).lower())}
    bits = np.zeros(8 * BYTES, np.uint8)
    bits[[_place(form) for word in words for form in (word, without_accents(word))]] = 1
    return np.packbits(bits, bitorder="little")


def familiarity(cleaned: str, table: NDArray[np.uint8]) -> float:
    """Return the share of the words that are known, where that is at most half; else 1.

    An unknown word with a capital counts neither way, for it is likely a name, unless it begins the
    text or all is in capitals.
    """
    known = unknown = 0
    is_all_capitals = cleaned.isupper()
    for match in _WORD.finditer(cleaned):
        word = match.group()
        if _has(table, word.lower()):
            known += 1
        elif is_all_capitals or match.start() == 0 or not word[0].isupper():
            unknown += 1
    if unknown < max(_LEAST_UNKNOWN, known):
        return 1.0
    return known / (known + unknown)


def _place(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "replace")) % (8 * BYTES)


def _has(table: NDArray[np.uint8], word: str) -> bool:
    byte, bit = divmod(_place(word), 8)
    return bool(table[byte] >> bit & 1)
