"""Which columns of a table hold the texts and their translations, told by their names."""

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
_CODES = (  # common ones, without those that are also names of columns, such as `id` and `no`
    "ar bg ca cs da de el en es et fa fi fr he hi hr hu it ja ko lt lv nl pl pt ro ru sk sl sr sv "
    "th tr uk vi zh"
)


class Columns(NamedTuple):
    """The places of columns; with several texts there is no column for translations."""

    texts: tuple[int, ...]  # each is translated
    translations: int | None  # where they go; None: in place of the text
    added: str  # the name of the column that is added for the translations, "" if none is
    key: int | None


def columns_of(
    names: Sequence[str], source: str | None, target: str, wanted: Sequence[str] = ()
) -> Columns:
    """Find the columns by the names in a header, or take the `wanted` ones that the user named.

    The texts are in a column that is named by the source language, or `source`; translations go
    into one that is named by the target language, or `target`, and is added if it is missing.
    A column `text` is translated in place. Raises `Seq2SeqError` if no column fits.
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
    """Find the column of a language: by its code, by the code without a region, by its name."""
    code = language.casefold().replace("_", " ").replace("-", " ")
    short = code.split(" ")[0]
    same = [name.replace("-", " ") for name in names]
    of_region = [name for name in same if re.fullmatch(rf"{re.escape(short)} [a-z]{{2,4}}", name)]
    return _first(same, (code, short, *_LANGUAGES.get(short, ()), *of_region))


def _listed(names: Sequence[str]) -> str:
    """Return names for a message."""
    short = [name[:40] for name in names[:20]]
    return ", ".join(name if name.isprintable() else repr(name) for name in short)
