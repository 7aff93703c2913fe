"""Find the columns of a table that hold the texts and their translations, by their names."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from seq2seq.errors import Seq2SeqError

_TEXTS = ("text", "string", "sentence", "message", "value")
_SOURCES = ("source", "src", "original", "msgid", "source text", "source string", "source term")
_TARGETS = (
    "target", "tgt", "translation", "msgstr", "target text", "target string", "target term",
)  # fmt: skip
_KEYS = ("key", "id", "identifier", "name", "context")
_LANGUAGES = {
    "de": ("german", "deutsch"),
    "en": ("english",),
    "es": ("spanish", "español"),
    "fr": ("french", "français"),
}
_CODES = (  # common language codes, except `id` and `no`, which are often other columns
    "ar bg ca cs da de el en es et fa fi fr he hi hr hu it ja ko lt lv nl pl pt ro ru sk sl sr sv "
    "th tr uk vi zh"
)


class Columns(NamedTuple):
    """The numbers of a table's columns; with several columns of texts, none for translations."""

    texts: tuple[int, ...]  # columns to translate
    translations: int | None  # column of the translations; None: they replace the texts
    added: str  # name of the column to add for the translations; "" for none
    key: int | None


def columns_of(
    names: Sequence[str], source: str | None, target: str, wanted: Sequence[str] = ()
) -> Columns:
    """Find the columns by the names in a header, or take the `wanted` ones that the user named.

    Texts are in the column named after the source language, or `source`. Translations go into the
    one named after the target language, or `target`, which is added if missing. A column `text` is
    translated in place. Raises `Seq2SeqError` if no column fits.
    """
    plain = [name.strip().casefold().replace("_", " ") for name in names]
    key = next((plain.index(name) for name in _KEYS if name in plain), None)
    if wanted:
        missing = [name for name in wanted if name not in names]
        if missing:
            raise Seq2SeqError(f"has no column {missing[0]!r}; there are {_listed(names)}.")
        return Columns(tuple(names.index(name) for name in wanted), None, "", key)
    translations = _of_language(plain, target)
    texts = _of_language(plain, source) if source else None
    if not source:
        codes = (n for n, name in enumerate(plain) if re.split("[ -]", name)[0] in _CODES.split())
        texts = next((n for n in codes if n != translations), None)
    added = target if texts is not None else "target"
    if texts is None:
        texts = _first(plain, _SOURCES)
    if translations is None:
        translations = _first(plain, _TARGETS)
    if texts is not None:
        return Columns((texts,), translations, "" if translations is not None else added, key)
    texts = _first(plain, _TEXTS)
    if texts is None:
        raise Seq2SeqError(
            f"has no column named source, target or text, or by the language; there are "
            f"{_listed(names)}; say which with --column."
        )
    return Columns((texts,), translations, "", key)


def _first(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _of_language(names: Sequence[str], language: str) -> int | None:
    """Find the column of a language, by its code, its code without the region, or its name."""
    code = language.casefold().replace("_", " ").replace("-", " ")
    short = code.split(" ")[0]
    same = [name.replace("-", " ") for name in names]
    of_region = [name for name in same if re.fullmatch(rf"{re.escape(short)} [a-z]{{2,4}}", name)]
    return _first(same, (code, short, *_LANGUAGES.get(short, ()), *of_region))


def _listed(names: Sequence[str]) -> str:
    """Return the names as a list for a message, shortened."""
    short = [name[:40] for name in names[:20]]
    return ", ".join(name if name.isprintable() else repr(name) for name in short)
