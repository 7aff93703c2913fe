"""The words of each language, to recognise texts in a language that the network has not learnt.

The network chooses among its languages, and may be sure of one whatever it reads. But few words of
a Dutch or Italian sentence occur in English, Spanish or French, while most words of a sentence in a
known language, except names and terms, occur in other sentences of that language.
"""

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seq2seq.identification.alphabet import clean, without_accents

BYTES = 1 << 16
"""The size of a language's table: with 35,000 words, about 6% of other words seem to be known."""

_WORD = re.compile(r"[^\W\d_]+")
_LEAST_UNKNOWN = 2  # unknown words that count; a single one may be a name, a compound or a typo


def table_of(sentences: Sequence[str]) -> NDArray[np.uint8]:
    """Return a table (BYTES,) that has a bit set for each word of the sentences.

    Words are in lower case, both with accents and without. A bit is chosen by a hash of the word.
    """
    words = {word for sentence in sentences for word in _WORD.findall(clean(sentence).lower())}
    bits = np.zeros(8 * BYTES, np.uint8)
    bits[[_place(form) for word in words for form in (word, without_accents(word))]] = 1
    return np.packbits(bits, bitorder="little")


def familiarity(cleaned: str, table: NDArray[np.uint8]) -> float:
    """Return the share of words that are known if it is at most half, else 1.

    A single unknown word does not count. Nor do unknown words with a capital, which are likely
    names, unless they begin the text or all of it is in capitals.
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
