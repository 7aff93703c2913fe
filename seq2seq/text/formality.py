"""Forms of address: whether a text says du or Sie, tu or vous, tú or usted.

In training, a tag before the source says which form the pronouns of the target have (Sennrich et
al. 2016, "Controlling politeness"). In French the plural looks like the formal form (`vous`); in
German and Spanish they are told apart only where their pronouns differ.
"""

import re
from collections.abc import Mapping
from typing import Literal, get_args

Formality = Literal["formal", "informal"]
FORMALITIES: tuple[Formality, ...] = get_args(Formality)

# At the beginning of a sentence "Sie" may be "she" or "they"; inside a sentence it is formal.
_INSIDE = r"(?<=[\w,;)] )"
_PRONOUNS: Mapping[str, Mapping[Formality, re.Pattern[str]]] = {
    "de": {
        "formal": re.compile(rf"{_INSIDE}(?:Sie|Ihnen|Ihre?[mnrs]?)\b"),
        "informal": re.compile(r"\b(?:du|dich|dir|dein(?:e[mnrs]?)?|euch|eure?[mnrs]?)\b", re.I),
    },
    "fr": {
        "formal": re.compile(r"\b(?:vous|votre|vos)\b", re.I),
        "informal": re.compile(r"\b(?:tu|te|toi|ton|ta|tes)\b|\bt['’](?!il|elle|on\b)", re.I),
    },
    "es": {
        "formal": re.compile(r"\b(?:usted(?:es)?\b|[UV]ds?\.)", re.I),
        "informal": re.compile(r"\b(?:tú|te|ti|contigo|tus?|vosotr[oa]s|os|vuestr[oa]s?)\b", re.I),
    },
}


def has_forms(language: str) -> bool:
    """Tell whether `formality_of` knows the two forms of address of `language`."""
    return language.partition("-")[0] in _PRONOUNS


def formality_of(text: str, language: str) -> Formality | None:
    """Return the form of address that `text` uses; None if it uses neither or both."""
    patterns = _PRONOUNS.get(language.partition("-")[0], {})
    forms = [form for form, pattern in patterns.items() if pattern.search(text)]
    return forms[0] if len(forms) == 1 else None
