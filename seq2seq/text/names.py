"""Names that a model has not learnt: words with a capital inside a sentence, of many subwords.

A model puts such a name together from subwords, and often says another one (Kanaiai for Kansai) or
none. German writes all nouns with a capital, so there it tells nothing.
"""

import re
from collections.abc import Callable

from seq2seq.text.casing import KNOWN_PIECES, is_title_case
from seq2seq.text.masking import INLINE_TAG

_CAPITAL_NOUNS = frozenset({"de", "lb"})  # languages where a capital is no sign of a name
_NAME = re.compile(  # but no title that a full stop shortens, such as Mrs., and no genitive
    rf"(?:(?<=[\w,.;]\s)|(?<=\s{INLINE_TAG}))"
    r"(?:[A-Z]['’])?[^\W\d_a-zß-öø-ÿ][^\W\d_A-ZÀ-ÖØ-Þ]{2,40}+(?:-[^\W\d_]{1,40}+){0,3}+"
    r"(?![\w'’]|\.\s)"
)


def names_not_learnt(text: str, language: str, pieces: Callable[[str], int]) -> list[re.Match[str]]:
    """Find the words of a sentence that are names, and that a model can only spell.

    `pieces` tells how many subwords a word has.
    """
    if language in _CAPITAL_NOUNS:
        return []
    names = [name for name in _NAME.finditer(text) if pieces(name[0]) > KNOWN_PIECES]
    return [] if names and is_title_case(text) else names


def has_name(text: str, name: str) -> bool:
    """Tell whether a translation has a name as a word, be it in the genitive."""
    return re.search(rf"(?<!\w){re.escape(name)}(?:['’]?s)?(?!\w)", text) is not None
