"""The plural categories of languages for cardinal numbers, from CLDR."""

CATEGORIES = ("zero", "one", "two", "few", "many", "other")
"""All categories, in CLDR's order."""

_LANGUAGES = {  # from CLDR 46; all other languages have `one` and `other`
    "other": "bo dz id ig ii ja jv km ko lo ms my su th to tpi vi wo yo yue zh",
    "zero one other": "ksh lag lv prg",
    "one two other": "he iu iw naq sat se sma smj smn sms",
    "one few other": "bs hr mo ro sh shi sr",
    "one many other": "ca es fr it lld pt scn vec",
    "one few many other": "be cs lt pl ru sk uk",
    "one two few other": "dsb gd hsb sl",
    "one two few many other": "br ga gv mt",
    "zero one two few many other": "ar ars cy kw",
}
_CATEGORIES_OF = {
    language: tuple(categories.split())
    for categories, languages in _LANGUAGES.items()
    for language in languages.split()
}


def plural_categories(language: str) -> tuple[str, ...]:
    """Return the plural categories of a language; `other` is the last."""
    code = language.replace("_", "-").partition("-")[0].lower()
    return _CATEGORIES_OF.get(code, ("one", "other"))
