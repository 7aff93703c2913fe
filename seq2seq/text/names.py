"""Find names that a model has not learnt: capitalised words in a sentence, of many subwords.

A model has to spell such a name from subwords, and often writes another one (Kanaiai for Kansai) or
none. In German all nouns are capitalised, so capitals do not tell names there.
"""

import re
from collections.abc import Callable

from seq2seq.text.casing import KNOWN_PIECES, is_title_case
from seq2seq.text.masking import INLINE_TAG

_CAPITAL_NOUNS = frozenset({"de", "lb"})  # languages where a capital does not mark a name
_NAME = re.compile(  # excluding titles with a full stop, such as Mrs., and genitives
    rf"(?:(?<=[\w,.;]\s)|(?<=\s{INLINE_TAG}))"
    r"(?:[A-Z]['’])?[^\W\d_a-zß-öø-ÿ][^\W\d_A-ZÀ-ÖØ-Þ]{2,40}+(?:-[^\W\d_]{1,40}+){0,3}+"
    r"(?![\w'’]|\.\s)"
)


def names_not_learnt(text: str, language: str, pieces: Callable[[str], int]) -> list[re.Match[str]]:
    """Return the names in a sentence that a model can only spell.

    `pieces` returns how many subwords a word has.
    """
    if language in _CAPITAL_NOUNS:
        return []
    names = [name for name in _NAME.finditer(text) if pieces(name[0]) > KNOWN_PIECES]
    return [] if names and is_title_case(text) else names


def has_name(text: str, name: str) -> bool:
    """Return whether a translation has a name as a word, possibly in the genitive."""
    return re.search(rf"(?<!\w){re.escape(name)}(?:['’]?s)?(?!\w)", text) is not None
