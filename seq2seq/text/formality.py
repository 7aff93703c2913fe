"""Forms of address: whether a text says du or Sie, tu or vous, tú or usted.

A model learns the two forms from a tag before the source, which is drawn from the pronouns of the
target (Sennrich et al. 2016, "Controlling politeness"). Plural and formal forms coincide in French
(`vous`) and are told apart in German and Spanish no further than their pronouns are.
"""

import re
from collections.abc import Mapping
from typing import Literal, get_args

Formality = Literal["formal", "informal"]
FORMALITIES: tuple[Formality, ...] = get_args(Formality)

# "Sie" at the beginning of a sentence may be "she" or "they"; only inside one is it formal.
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
    """Tell whether `language` has two forms of address that are known here."""
    return language.partition("-")[0] in _PRONOUNS


def formality_of(text: str, language: str) -> Formality | None:
    """Tell the form of address of `text`; None where it has none, or both."""
    patterns = _PRONOUNS.get(language.partition("-")[0], {})
    forms = [form for form, pattern in patterns.items() if pattern.search(text)]
    return forms[0] if len(forms) == 1 else None
