"""How many plural forms a language has in gettext, and which numbers take which form.

https://www.gnu.org/software/gettext/manual/html_node/Plural-forms.html; for languages missing
there, https://www.unicode.org/cldr/charts/latest/supplemental/language_plural_rules.html (integers)
"""

import re
from collections.abc import Sequence
from gettext import c2py

_DECLARED = re.compile(r"nplurals\s*=\s*(\d{1,2})\s*;\s*plural\s*=\s*([^;\n]+)")
_TENS = "n%10>=2 && n%10<=4 &&"
_RULES = (  # number of forms, rule for the form of a number n, languages
    (1, "0", "bo dz id ig ja jv km ko lo ms my sah su th to vi wo yo zh"),
    (2, "n != 1", ""),
    (2, "n > 1", "ach ak am arn as bn br fa fil fr gu guw hi hy kab kn ln mfe mg mi nso oc pt_BR"),
    (2, "n > 1", "si tg ti tl tr uz wa zu"),
    (2, "n%10!=1 || n%100==11", "is"),
    (2, "n%10==1 && n%100!=11 ? 0 : 1", "mk"),
    (
        3,
        f"n%10==1 && n%100!=11 ? 0 : {_TENS} (n%100<10 || n%100>=20) ? 1 : 2",
        "be bs hr ru sr uk",
    ),
    (3, f"n==1 ? 0 : {_TENS} (n%100<12 || n%100>14) ? 1 : 2", "pl"),
    (3, "n==1 ? 0 : n>=2 && n<=4 ? 1 : 2", "cs sk"),
    (3, "n%10==1 && n%100!=11 ? 0 : n%10>=2 && (n%100<10 || n%100>=20) ? 1 : 2", "lt"),
    (3, "n%10==1 && n%100!=11 ? 0 : n!=0 ? 1 : 2", "lv"),
    (3, "n==1 ? 0 : n==0 || (n%100>0 && n%100<20) ? 1 : 2", "ro mo"),
    (4, "n%100==1 ? 0 : n%100==2 ? 1 : n%100==3 || n%100==4 ? 2 : 3", "sl hsb dsb"),
    (4, "n==1 || n==11 ? 0 : n==2 || n==12 ? 1 : n>2 && n<20 ? 2 : 3", "gd"),
    (4, "n==1 ? 0 : n==0 || (n%100>1 && n%100<11) ? 1 : n%100>10 && n%100<20 ? 2 : 3", "mt"),
    (5, "n==1 ? 0 : n==2 ? 1 : n<7 ? 2 : n<11 ? 3 : 4", "ga"),
    (
        6,
        "n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5",
        "ar",
    ),
    (6, "n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n==3 ? 3 : n==6 ? 4 : 5", "cy"),
)
_BY_LANGUAGE = {
    code: f"nplurals={number}; plural=({rule});"
    for number, rule, codes in _RULES
    for code in codes.split()
}
_OTHER = "nplurals=2; plural=(n != 1);"
_NUMBERS = range(1000)  # all rules repeat within this range


def plural_forms(language: str) -> str:
    """Return the Plural-Forms field of a language, such as "de", "pt_BR" or "pt-BR"."""
    code = language.replace("-", "_")
    return _BY_LANGUAGE.get(code) or _BY_LANGUAGE.get(code.partition("_")[0]) or _OTHER


def numbers_of_forms(declared: str) -> list[Sequence[int]] | None:
    """Return the numbers below 1000 that take each form; None if `declared` cannot be read."""
    match = _DECLARED.search(declared)
    if not match:
        return None
    forms: list[list[int]] = [[] for _ in range(int(match[1]))]
    try:
        form_of = c2py(match[2].strip())
        for number in _NUMBERS:
            forms[int(form_of(number))].append(number)
    except (ValueError, IndexError, ArithmeticError, RecursionError):
        return None
    return [*forms]
