"""Glossaries of any format: TBX and CSV, as terminologists have them, or lines with tabs."""

from collections import defaultdict
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
_HOLDERS = ("tig", "ntig", "termSec")  # of a term and what is said of it
_NOT_USED = ("deprecated", "superseded")  # how the status of a term begins that is none any more
_LANGUAGES = ("langSet", "langSec")


def has_languages(path: Path) -> bool:
    """Tell whether the format of a glossary names the language of each term, as TBX and CSV do."""
    return path.suffix.lower() in (".tbx", ".csv")


def load_glossary(path: Path, source: str = "", target: str = "") -> Glossary:
    """Read a glossary of any format; raises `Seq2SeqError`, which names the file.

    Several translations of a term are its forms, of which the first one is the preferred one. A
    cell of a table may have several, see `Term.of_forms`. The languages are needed where
    `has_languages`.
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
    """Yield each term of an entry with those of the target language."""
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
    """Yield the terms that an entry has in a language, or in a region's.

    Of a target language they are those that may be used, the preferred ones first.
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
    """Return what TBX calls the administrative status of a term; "" where it has none."""
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
