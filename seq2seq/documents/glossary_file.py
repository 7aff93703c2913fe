"""Glossary files of any format: TBX and CSV, which terminologists use, or tab-separated lines."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from seq2seq.documents.bilingual import read_pairs
from seq2seq.documents.xml_source import Element, XmlSource
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import read_bounded
from seq2seq.text.glossary import Glossary, Term

_MOST_BYTES = 64 << 20
_LONGEST = 100  # characters in a term
_NAMESPACES = {"urn:iso:std:iso:30042:ed-2": ""}
_ENTRIES = ("termEntry", "conceptEntry")  # in TBX 2 and TBX 3
_HOLDERS = ("tig", "ntig", "termSec")  # hold a term and its notes
_NOT_USED = ("deprecated", "superseded")  # beginnings of the status of terms not to be used
_LANGUAGES = ("langSet", "langSec")


def has_languages(path: Path) -> bool:
    """Return whether a glossary's format names the language of each term, as TBX and CSV do."""
    return path.suffix.lower() in (".tbx", ".csv")


def load_glossary(path: Path, source: str = "", target: str = "") -> Glossary:
    """Read a glossary of any format; raise a `Seq2SeqError` that names the file.

    Several translations of a term become its forms, the first of them preferred. A cell of a table
    may hold several, see `Term.of_forms`. The languages are needed if `has_languages`.
    """
    if not has_languages(path):
        return Glossary.load(path)
    if not (source and target):
        raise UsageError(f"{path}: give both languages of its terms, with -f and -t.")
    if path.suffix.lower() == ".tbx":
        terms = _tbx_terms(path, source, target)
    else:
        pairs = read_pairs(path, source, target)
        terms = (Term.of_forms(term.strip(), translation) for term, translation in pairs)
    forms = defaultdict[str, dict[str, None]](dict)
    for term in terms:
        if max(map(len, (term.source, *term.forms))) <= _LONGEST:
            forms[term.source].update(dict.fromkeys(term.forms))
    if not forms:
        raise Seq2SeqError(f"{path}: has no terms in both {source} and {target}.")
    return Glossary(
        Term(term, target_form, tuple(further)) for term, (target_form, *further) in forms.items()
    )


def _tbx_terms(path: Path, source: str, target: str) -> Iterator[Term]:
    """Yield each source term of an entry, with the target terms as its translations."""
    try:
        xml = XmlSource(read_bounded(path, _MOST_BYTES), _NAMESPACES)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from None
    except UsageError:
        raise
    except Seq2SeqError as error:
        raise Seq2SeqError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    if xml.root.name not in ("martif", "tbx"):
        raise Seq2SeqError(f"{path}: is not TBX.")
    for name in _ENTRIES:
        for entry in xml.root.descendants(name):
            targets = [*_terms(entry, target, is_target=True)]
            if targets:
                for term in _terms(entry, source):
                    yield Term(term, targets[0], tuple(targets[1:]))


def _terms(entry: Element, language: str, is_target: bool = False) -> Iterator[str]:
    """Yield the terms of an entry in a language, or in one of its regions.

    For the target language, only terms that may be used, preferred ones first.
    """
    for name in _LANGUAGES:
        for section in entry.descendants(name):
            code = section.attributes.get("xml:lang", "").lower().replace("_", "-")
            if language.lower() in (code, code.split("-")[0]):
                terms = [*section.descendants("term")]
                if is_target:
                    terms = [term for term in terms if not _status(term).startswith(_NOT_USED)]
                    terms.sort(key=lambda term: not _status(term).startswith("preferred"))
                yield from filter(None, (term.text.strip() for term in terms))


def _status(term: Element) -> str:
    """Return the administrative status of a term in TBX; "" if it has none."""
    holder = term.parent
    while holder and holder.name not in _HOLDERS:
        holder = holder.parent
    notes = holder.descendants("termNote") if holder else ()
    return next(
        (
            note.text.strip()
            for note in notes
            if note.attributes.get("type") == "administrativeStatus"
        ),
        "",
    )
