"""Negation on one side alone: the opposite may have been said.

Word lists of four languages, so it is a hint, not a proof: it lowers the confidence and is told.
"""

import re

_WORDS = {
    "de": r"nicht|nein|kein\w*|nie|niemals|niemand\w*|nichts|nirgend\w*|weder|ohne|kaum|"
    r"un(?!ter|ser|gef|ten|iv|ion)\w{4,}",
    "en": r"not|no|\w+n['’]t|cannot|never|none|nor|neither|nobody|nothing|nowhere|without|hardly|"
    r"dis(?:agree|like|trust|believe|obey|approve)\w*|un(?!der|til|cle|ion|it|iv)\w{4,}|"
    r"im(?:possible|polite|patient)\w*",
    "es": r"no|nunca|jamás|nada|nadie|ning[uú]n\w*|sin|ni|tampoco|apenas|im(?:posible)\w*",
    "fr": r"ne|n['’]\w+|non|pas|jamais|rien|aucun\w*|sans|ni|impossible\w*",
}
_PATTERNS = {
    language: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for language, words in _WORDS.items()
}
_TAG_QUESTION = re.compile(r",\s(?:\w+n['’]t \w+|nicht wahr|nicht|n['’]est-ce pas|no) ?\?")


def is_contrary(source: str, text: str, source_language: str, target_language: str) -> bool:
    """Whether one of the two is negated and the other is not, where both languages are known."""
    source, text = _TAG_QUESTION.sub("?", source), _TAG_QUESTION.sub("?", text)
    ours, theirs = _PATTERNS.get(source_language), _PATTERNS.get(target_language)
    if ours is None or theirs is None:
        return False
    return (ours.search(source) is None) != (theirs.search(text) is None)
