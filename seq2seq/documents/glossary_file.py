"""Glossaries as terminologists have them: TBX and CSV; `Glossary.load` reads lines with tabs."""

from collections.abc import Iterator
from pathlib import Path

from seq2seq.documents.bilingual import read_pairs
from seq2seq.documents.xml_source import Element, XmlSource
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import read_bounded
from seq2seq.text.glossary import Glossary, Term

_MOST_BYTES = 64 << 20
_LONGEST = 100  # characters of a term
_NAMESPACES = {"urn:iso:std:iso:30042:ed-2": ""}
_ENTRIES = ("termEntry", "conceptEntry")  # of TBX 2 and 3
_LANGUAGES = ("langSet", "langSec")


def load_glossary(path: Path, source: str, target: str) -> Glossary:
    """Read a glossary of any format; raises `Seq2SeqError`, which names the file.

    Of several translations of a term the first one counts, as in TBX the preferred one is.
    """
    suffix = path.suffix.lower()
    if suffix == ".tbx":
        terms = _tbx_terms(path, source, target)
    elif suffix == ".csv":
        terms = read_pairs(path, source, target)
    else:
        return Glossary.load(path)
    first = dict[str, str]()
    for term, translation in terms:
        if max(len(term), len(translation)) <= _LONGEST:
            first.setdefault(term.strip(), translation.strip())
    if not first:
        raise Seq2SeqError(f"{path}: has no terms in both {source} and {target}.")
    return Glossary(Term(*pair) for pair in first.items())


def _tbx_terms(path: Path, source: str, target: str) -> Iterator[tuple[str, str]]:
    """Yield each term of an entry with the first one of the target language."""
    try:
        xml = XmlSource(read_bounded(path, _MOST_BYTES), _NAMESPACES)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from None
    except UsageError:
        raise
    except Seq2SeqError as error:
        raise Seq2SeqError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    if xml.root.name not in ("martif", "tbx"):
        raise Seq2SeqError(f"{path}: is no TBX.")
    for name in _ENTRIES:
        for entry in xml.root.descendants(name):
            targets = [*_terms(entry, target)]
            if targets:
                yield from ((term, targets[0]) for term in _terms(entry, source))


def _terms(entry: Element, language: str) -> Iterator[str]:
    """Yield the terms that an entry has in a language, or in a region's."""
    for name in _LANGUAGES:
        for section in entry.descendants(name):
            code = section.attributes.get("xml:lang", "").lower().replace("_", "-")
            if language.lower() in (code, code.split("-")[0]):
                texts = (term.text.strip() for term in section.descendants("term"))
                yield from filter(None, texts)
