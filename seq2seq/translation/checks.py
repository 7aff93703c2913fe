"""When a search has failed: what it found is no translation, however likely the model thinks it.

A check says why `text` cannot be a translation of `source`, in words that follow "the translation
that was found first", or None. Both are as the model reads and writes them: without inline tags,
and with a placeholder for every other span. A new kind of failure is a new check in `CHECKS`.
"""

import re
from collections.abc import Callable

from seq2seq.text.masking import PLACEHOLDER
from seq2seq.translation.repeated_phrases import repeats_itself

_SIDE_BY_SIDE = re.compile(rf"{PLACEHOLDER}[^\w{PLACEHOLDER}]*(?={PLACEHOLDER})")

Check = Callable[[str, str], str | None]


def without_letters(source: str, text: str) -> str | None:
    """Nothing is said where something was."""
    says_something = any(map(str.isalpha, text)) or not any(map(str.isalpha, source))
    return None if says_something else "has no letter"


def repetition(source: str, text: str) -> str | None:
    """The same is said again and again, and was not in the source."""
    return "repeats itself" if repeats_itself(source, text) else None


def side_by_side(source: str, text: str) -> str | None:
    """What words part in the source has none between: they are lost, or say something else."""
    closer = len(_SIDE_BY_SIDE.findall(text)) > len(_SIDE_BY_SIDE.findall(source))
    return "has no word between placeholders" if closer else None


CHECKS: tuple[Check, ...] = (without_letters, repetition, side_by_side)


def failure(source: str, text: str) -> str | None:
    """Why `text` cannot be a translation of `source`, or None."""
    for check in CHECKS:
        reason = check(source, text)
        if reason:
            return reason
    return None
