"""Check translations as a reviewer would: numbers, placeholders, terms, punctuation and so on.

The checks need no model, so they work alike on translations by people and by models.
Each check is a function in `CHECKS`; only `inconsistent` compares several texts.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from seq2seq.documents.document import Document, TextUnit
from seq2seq.documents.spliced_document import has_words
from seq2seq.errors import Seq2SeqError
from seq2seq.text.glossary import Glossary
from seq2seq.text.masking import ANY_PLACEHOLDER, mask
from seq2seq.text.numbers import check_numbers
from seq2seq.text.protected_spans import HINT, span_pattern
from seq2seq.translation.hypothesis_checks import failure
from seq2seq.translation.postprocess import is_unbalanced

_PLACEHOLDERS = frozenset(("placeholder", "printf", "choice", "function", "variable", "code"))
_TAGS = frozenset(("tag", "disguised_tag", "declaration"))
_LINKS = frozenset(("link", "address"))
_POSITION = re.compile(r"^%\d+\$")  # of an argument of printf: order is free
_CHOICE = re.compile(r"\{\s*[^\s,{}]+\s*,\s*\w+")
_TAG_NAME = re.compile(r"</?[\w:.-]+")
_TAG = re.compile(r"</?[\w:.-][^<>]*>")
_BEHIND_END = "'\"’”»«›)]}*_"
_ENDS = {
    **dict.fromkeys(".。．।。", "."),
    **dict.fromkeys("!！", "!"),
    **dict.fromkeys("?？؟", "?"),
    **dict.fromkeys(":：", ":"),
    **dict.fromkeys("…", "…"),
}
_WITHOUT_ENDS = ("km", "lo", "my", "th")  # languages without full stops
_WORD = re.compile(r"[^\W\d_]{2,}")
_DOUBLE_SPACE = re.compile(r"\S {2,}\S")
_LINE = re.compile(r"line \d+(?:, )?")


class Issue(NamedTuple):
    """A problem with a translation."""

    check: str
    unit: TextUnit
    message: str


@dataclass(frozen=True)
class Reviewer:
    """Checks translations; a language that is not known is ""."""

    source: str = ""
    target: str = ""
    glossary: Glossary | None = None

    def review(self, units: Sequence[TextUnit]) -> Iterator[Issue]:
        """Yield the problems in the translations of a document's units."""
        first = dict[tuple[str, str], TextUnit]()  # by text and meaning
        forms = defaultdict[tuple[str, str], set[str]](
            set
        )  # all translations of its unit: plurals have several
        for unit in units:
            yield from self.check(unit)
            if not (unit.translation.strip() and has_words(unit.text)):
                continue
            meaning = _LINE.sub("", unit.context) if unit.context.startswith("line ") else ""
            before = first.setdefault((unit.text, meaning), unit)
            known = forms[unit.text, meaning]
            if before.context == unit.context:
                known.add(unit.translation)
            elif unit.translation not in known:
                other = _quoted(before.translation)
                yield Issue("inconsistent", unit, f"{other} is what {before.context} has")

    def check(self, unit: TextUnit) -> Iterator[Issue]:
        """Yield the problems in the translation of one unit."""
        if not has_words(unit.text):
            return
        if not unit.translation.strip():
            yield Issue("untranslated", unit, "there is no translation")
            return
        for name, check in CHECKS.items():
            for message in check(self, unit):
                yield Issue(name, unit, message)


def with_sources(document: Document, original: Document) -> list[TextUnit]:
    """Return the units of `original`, with the texts of its translation `document`.

    Units are matched by their keys, or in order if the format has none. Raises `Seq2SeqError`
    if neither is possible.
    """
    places, others = _places(original.units), _places(document.units)
    has_keys = all(places) and not any(place.startswith("line ") for place in places)
    if not has_keys and len(places) != len(others):
        raise Seq2SeqError(
            f"has {len(others)} texts, and its source {len(places)}; without keys they cannot be "
            "matched."
        )
    if not has_keys:
        places = others = [str(number) for number in range(len(places))]
    texts = dict(zip(_numbered(others), (unit.text for unit in document.units), strict=True))
    return [
        replace(unit, translation=texts.get(place, ""))
        for unit, place in zip(original.units, _numbered(places), strict=True)
    ]


def _places(units: Sequence[TextUnit]) -> list[str]:
    """Return the keys, without notes, and without the language if all keys begin with one."""
    keys = [unit.context.partition(": ")[0] for unit in units]
    if len({key.partition(".")[0] for key in keys}) == 1:
        return [key.partition(".")[2] or key for key in keys]
    return keys


def _numbered(places: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield each key with a number that tells repeated keys apart, from 0."""
    count = Counter[str]()
    for place in places:
        yield place, count[place]
        count[place] += 1


def _numbers(reviewer: Reviewer, unit: TextUnit) -> Iterator[str]:
    source, text = (
        ANY_PLACEHOLDER.sub(" ", mask(each).text) for each in (unit.text, unit.translation)
    )
    for note in check_numbers(source, text, reviewer.target, reviewer.source).notes:
        yield note.replace("was corrected to", "should be")


def _spans(text: str, kinds: frozenset[str]) -> list[tuple[str, str]]:
    """Return kind and text of each span of the given kinds."""
    if not HINT.search(text):
        return []
    return [
        (match.lastgroup, match[0])
        for match in span_pattern().finditer(text)
        if match.lastgroup is not None and match.lastgroup in kinds
    ]


def _differences(
    unit: TextUnit, kinds: frozenset[str], name: Callable[[str, str], str]
) -> Iterator[str]:
    """Yield a message for each missing and each new span; `name` says how a span is shown."""
    ours, theirs = (
        Counter(name(*span) for span in _spans(text, kinds))
        for text in (unit.text, unit.translation)
    )
    for missing in (ours - theirs).elements():
        yield f"{missing} is missing"
    for new in (theirs - ours).elements():
        yield f"{new} is not in the source"


def _placeholders(_: Reviewer, unit: TextUnit) -> Iterator[str]:
    def name(kind: str, text: str) -> str:
        choice = _CHOICE.match(text) if kind == "choice" else None
        return f"{choice[0]} ...}}" if choice else _POSITION.sub("%", text)

    yield from _differences(unit, _PLACEHOLDERS, name)


def _tags(_: Reviewer, unit: TextUnit) -> Iterator[str]:
    def name(kind: str, text: str) -> str:
        tag = _TAG_NAME.match(text)
        return f"{tag[0]}>" if tag else text

    yield from _differences(unit, _TAGS, name)


def _links(_: Reviewer, unit: TextUnit) -> Iterator[str]:
    ours, theirs = (len(_spans(text, _LINKS)) for text in (unit.text, unit.translation))
    if ours != theirs:
        yield f"the source has {ours} links and addresses, the translation {theirs}"


def _terms(reviewer: Reviewer, unit: TextUnit) -> Iterator[str]:
    """Report terms of which the translation has no form, inflected endings aside."""
    if reviewer.glossary is None:
        return
    said = unit.translation.casefold()
    for term in dict.fromkeys(each.term for each in reviewer.glossary.find(unit.text)):
        if not any(_begins_as(form, said) for form in term.forms):
            forms = " or ".join(map(_quoted, term.forms))
            yield f"{_quoted(term.source)} should be {forms}"


def _begins_as(form: str, said: str) -> bool:
    beginnings = (word[: max(3, len(word) - 2)] for word in form.casefold().split())
    return all(beginning in said for beginning in beginnings)


def _punctuation(reviewer: Reviewer, unit: TextUnit) -> Iterator[str]:
    if reviewer.target.split("-")[0] in _WITHOUT_ENDS:
        return
    ours = _end(unit.text, reviewer.source)
    theirs = _end(unit.translation, reviewer.target)
    if ours != theirs:
        ends = [f"with {_quoted(end)}" if end else "without a mark" for end in (ours, theirs)]
        yield f"the source ends {ends[0]}, the translation {ends[1]}"
    if is_unbalanced(unit.translation) and not is_unbalanced(unit.text):
        yield "a bracket or quotation mark has lost its other half"


def _end(text: str, language: str) -> str:
    """Return the final punctuation mark of a text, as its Latin equivalent; "" for none."""
    bare = text[: _last_word_end(text)]
    if bare.endswith("..."):
        return "…"
    if bare.endswith((";", "\u037e")) and language.startswith("el"):
        return "?"
    return _ENDS.get(bare[-1:], "")


def _last_word_end(text: str) -> int:
    """Return where a text ends, without final spaces, quotation marks, brackets and tags."""
    end = len(text)
    while end:
        if text[end - 1].isspace() or text[end - 1] in _BEHIND_END:
            end -= 1
            continue
        opening = text.rfind("<", 0, end) if text[end - 1] == ">" else -1
        if opening < 0 or not _TAG.fullmatch(text, opening, end):
            break
        end = opening
    return end


def _spaces(_: Reviewer, unit: TextUnit) -> Iterator[str]:
    if _DOUBLE_SPACE.search(unit.translation) and not _DOUBLE_SPACE.search(unit.text):
        yield "two spaces stand side by side"


def _length(_: Reviewer, unit: TextUnit) -> Iterator[str]:
    length = len(unit.translation)
    if unit.max_length is not None and length > unit.max_length:
        yield f"it has {length} characters, and no more than {unit.max_length} are allowed"


def _unchanged(_: Reviewer, unit: TextUnit) -> Iterator[str]:
    is_same = unit.translation.casefold().split() == unit.text.casefold().split()
    if is_same and len(_WORD.findall(ANY_PLACEHOLDER.sub(" ", mask(unit.text).text))) > 1:
        yield "it is the source"


def _repetition(_: Reviewer, unit: TextUnit) -> Iterator[str]:
    reason = failure(unit.text, unit.translation)
    if reason:
        yield f"it {reason}"


def _quoted(text: str) -> str:
    return f'"{text[:60]}"'


Check = Callable[[Reviewer, TextUnit], Iterator[str]]

CHECKS: dict[str, Check] = {
    "unchanged": _unchanged,
    "numbers": _numbers,
    "placeholders": _placeholders,
    "tags": _tags,
    "links": _links,
    "terms": _terms,
    "punctuation": _punctuation,
    "spaces": _spaces,
    "length": _length,
    "repetition": _repetition,
}
"""The checks of one unit that has a translation, by name."""

NAMES = ("untranslated", *CHECKS, "inconsistent")
"""The names of all checks."""
