"""Languages by their names; for people, and for LibreTranslate's list of languages."""

_NAMES = """
af Afrikaans, ar Arabic, az Azerbaijani, be Belarusian, bg Bulgarian, bn Bengali, br Breton,
bs Bosnian, ca Catalan, cs Czech, cy Welsh, da Danish, de German, el Greek, en English,
eo Esperanto, es Spanish, et Estonian, eu Basque, fa Persian, fi Finnish, fo Faroese, fr French,
fy Frisian, ga Irish, gd Scottish Gaelic, gl Galician, he Hebrew, hi Hindi, hr Croatian,
hu Hungarian, hy Armenian, ia Interlingua, id Indonesian, io Ido, is Icelandic, it Italian,
ja Japanese, ka Georgian, kk Kazakh, ko Korean, la Latin, lb Luxembourgish, lt Lithuanian,
lv Latvian, mk Macedonian, mn Mongolian, mr Marathi, ms Malay, mt Maltese, nb Norwegian Bokmål,
nl Dutch, nn Norwegian Nynorsk, no Norwegian, oc Occitan, pl Polish, pt Portuguese, ro Romanian,
ru Russian, sk Slovak, sl Slovenian, sq Albanian, sr Serbian, sv Swedish, sw Swahili, ta Tamil,
th Thai, tl Tagalog, tr Turkish, tt Tatar, uk Ukrainian, ur Urdu, uz Uzbek, vi Vietnamese,
yi Yiddish, zh Chinese
"""
_BY_CODE = dict(entry.strip().split(" ", 1) for entry in _NAMES.split(","))


def name_of(code: str) -> str:
    """Its English name, or the code itself."""
    return _BY_CODE.get(code, code)
