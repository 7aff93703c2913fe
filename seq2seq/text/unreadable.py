"""What no model can read: characters that its tokenizer has never seen, and those nobody sees.

A word with an unseen letter is copied as a name would be; unseen symbols are inline, as pictures
are. Invisible characters, such as direction marks, are left out of what is translated.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator

from seq2seq.text.span_kinds import PICTURES

_WORD = re.compile(r"[\w\u0300-\u036f\u200c\u200d]+")
_JOINING = (  # scripts from Arabic on, but for what is itself invisible
    "\u0600-\u061b\u061d-\u115e\u1161-\u17b3\u17b6-\u180a\u1810-\u1cff"
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffc\U000e0080-\U000e0fff]"
    # Joiners matter in the scripts from Arabic to those of India and beyond, and in pictures.
    f"|(?<![{_JOINING}\ufe0f{PICTURES}])[\u200c\u200d]"
    f"|(?<![{PICTURES}])\ufe0f(?!\u20e3)"
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]"
)


def without_invisible(text: str) -> str:
    """Leave out what has no shape: soft hyphens, direction marks, joiners, variation selectors."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def unreadable(text: str, spells: Callable[[str], bool]) -> Iterator[tuple[int, int, str, bool]]:
    """Find what is unseen: start, end, a name for it, and whether it is inline.

    `spells` tells of a character whether the tokenizer has it. ASCII digits are never unseen.
    """
    unseen = {character for character in set(text) if not _is_seen(character, spells)}
    if not unseen:
        return
    end = 0
    for word in _WORD.finditer(text):
        yield from _symbols(text, end, word.start(), unseen)
        end = word.end()
        if not unseen.isdisjoint(word[0]) and not _is_seen_composed(word[0], spells):
            yield word.start(), end, "unreadable", False
    yield from _symbols(text, end, len(text), unseen)


def _symbols(
    text: str, start: int, end: int, unseen: set[str]
) -> Iterator[tuple[int, int, str, bool]]:
    """Find the runs of unseen symbols from `start` to `end`."""
    first = start
    for place in range(start, end + 1):
        if place < end and text[place] in unseen:
            continue
        if first < place:
            yield first, place, "symbol", True
        first = place + 1


def _is_seen(character: str, spells: Callable[[str], bool]) -> bool:
    """Tell whether a model can read a character; a capital where it can read the small letter."""
    return (
        spells(character)
        or character.isspace()
        or (character.isascii() and character.isdigit())
        or all(map(spells, character.lower()))  # two characters of "İ"
        or _INVISIBLE.fullmatch(character) is not None
    )


def _is_seen_composed(word: str, spells: Callable[[str], bool]) -> bool:
    """Tell whether letters and the marks that follow them are seen together."""
    composed = unicodedata.normalize("NFC", word)
    return all(_is_seen(character, spells) for character in composed)
