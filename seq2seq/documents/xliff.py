"""XLIFF 1.2, the exchange format of localisers. `read` also takes XLIFF 2, see `xliff2`.

A translation goes into the `target` of its `trans-unit`, with the state translated or
needs-review-translation and the qualifier leveraged-mt, or exact-match or fuzzy-match if it comes
from a translation memory. Segments of a `seg-source` are translated separately, and so is text
inside codes (`sub`). `alt-trans` and everything else stays as it is.
"""

from collections.abc import Iterator, Mapping, Sequence

from seq2seq.documents.document import Document, State, TextUnit, UnitTranslation
from seq2seq.documents.icu_document import has_branches_with_words, with_messages
from seq2seq.documents.tagged_text import Role
from seq2seq.documents.xliff2 import VARIABLE, is_language, read_xliff2, remark_on
from seq2seq.documents.xml_source import (
    Edit,
    Element,
    XmlDocument,
    XmlSlot,
    XmlSource,
    XmlText,
    escaped,
    inline_parts,
    quote,
    with_attributes,
)
from seq2seq.errors import Seq2SeqError

_NAMESPACES = {
    "urn:oasis:names:tc:xliff:document:1.1": "",
    "urn:oasis:names:tc:xliff:document:1.2": "",
    "urn:oasis:names:tc:xliff:document:2.0": "",
    "urn:oasis:names:tc:xliff:document:2.2": "",
    "urn:oasis:names:tc:xliff:sizerestriction:2.0": "slr",
}
_STATES = {
    "new": State.UNTRANSLATED,
    "needs-translation": State.UNTRANSLATED,
    "needs-adaptation": State.NEEDS_REVIEW,
    "needs-l10n": State.NEEDS_REVIEW,
    "needs-review-adaptation": State.NEEDS_REVIEW,
    "needs-review-l10n": State.NEEDS_REVIEW,
    "needs-review-translation": State.NEEDS_REVIEW,
}
_CODES = ("bpt", "ept", "it", "ph", "ut")  # `ut` is in TMX only
_US = {"from": "seq2seq"}  # marks our own notes


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read XLIFF of any version; raise `Seq2SeqError` if it is not, or is for another target.

    ICU messages, as Angular writes them, are translated branch by branch.
    """
    xml = XmlSource(data, _NAMESPACES)
    if xml.root.name != "xliff":
        raise Seq2SeqError("is not XLIFF.")
    if xml.root.attributes.get("version", "").startswith("2"):
        return with_messages(read_xliff2(xml, target))
    return with_messages(XmlDocument(xml, _slots(xml, target)))


def _slots(xml: XmlSource, target: str) -> Iterator[XmlSlot]:
    for file in xml.root.descendants("file"):
        units = [*file.descendants("trans-unit")]
        targets = [element for unit in units for element in unit.elements("target")]
        has_text = any(element.children for element in targets)
        language = list[Edit]()
        if not is_language(file.attributes.get("target-language"), target, has_text):
            language = [xml.set_attributes(file, {"target-language": target})]
        for unit in units:
            if unit.inherited("translate") != "no" and unit.first("source"):
                yield from _TransUnit(xml, unit, language).slots()


class _TransUnit:
    """A `trans-unit`: its texts, and the target to write."""

    def __init__(self, xml: XmlSource, unit: Element, language: Sequence[Edit]) -> None:
        self._xml = xml
        self._unit = unit
        self._language = language
        self._target = unit.first("target")
        source = unit.first("source")
        assert source  # `_slots` skips units without one
        self._segmented = unit.first("seg-source")
        marks = self._segmented.descendants("mrk") if self._segmented else ()
        self._segments = [mark for mark in marks if mark.attributes.get("mtype") == "seg"]
        self._source = self._segmented if self._segmented and self._segments else source
        self._contents = self._segments or [source]
        flows = [sub for content in self._contents for sub in content.descendants("sub")]
        self._all_texts = {element: self._text(element) for element in (*self._contents, *flows)}
        self._texts = [
            (element, text)
            for element, text in self._all_texts.items()
            if text.has_words or has_branches_with_words(text.text)
        ]

    def slots(self) -> Iterator[XmlSlot]:
        """Yield the slot of the unit, if it has text."""
        if self._texts:
            yield XmlSlot([self._text_unit(*text) for text in self._texts], self._write)

    def _text(self, content: Element) -> XmlText:
        keeps_space = content.inherited("xml:space") == "preserve"
        parts = inline_parts(self._xml, content.children, _role_of)
        return XmlText(self._xml, content.children, parts, keeps_space=keeps_space)

    def _text_unit(self, content: Element, text: XmlText) -> TextUnit:
        attributes = self._unit.attributes
        notes = [note.text.strip() for note in self._unit.elements("note") if not _is_ours(note)]
        name = attributes.get("resname") or attributes.get("id", "")
        is_limited = attributes.get("size-unit") == "char" and not self._segments
        width = attributes.get("maxwidth", "") if is_limited else ""
        existing = self._existing(content)
        translation = ""
        if existing:
            parts = inline_parts(self._xml, existing.children, _role_of)
            translation = text.existing(existing.children, parts)
        return TextUnit(
            text=text.text,
            translation=translation,
            state=self._state() if translation else State.UNTRANSLATED,
            context=": ".join(part for part in (name, *notes) if part),
            max_length=int(width) if width.isdecimal() else None,
        )

    def _existing(self, content: Element) -> Element | None:
        """Return the element that holds the existing translation of a content, or None."""
        if self._target is None or content not in self._contents:
            return None
        if not self._segments:
            return self._target
        number = content.attributes.get("mid")
        marks = self._target.descendants("mrk")
        return next((mark for mark in marks if mark.attributes.get("mid") == number), None)

    def _state(self) -> State:
        assert self._target
        state = self._target.attributes.get("state")
        if state:
            return _STATES.get(state, State.TRANSLATED)
        is_draft = self._unit.attributes.get("approved") == "no"
        return State.NEEDS_REVIEW if is_draft else State.TRANSLATED

    def _write(self, translations: Sequence[UnitTranslation | None]) -> Iterator[Edit]:
        xml, unit = self._xml, self._unit
        yield from self._language
        if unit.attributes.get("approved") == "yes":
            yield xml.set_attributes(unit, {"approved": "no"})
        name = xml.name_beside(self._source, "target")
        tag = xml.start_tag(self._target).replace("/>", ">") if self._target else f"<{name}>"
        given = [translation for translation in translations if translation]
        is_draft = any(translation.state is State.NEEDS_REVIEW for translation in given)
        state = "needs-review-translation" if is_draft else "translated"
        tag = with_attributes(tag, {"state": state, "state-qualifier": _qualifier(given)})
        before = self._segmented or self._source
        space = "" if self._target else xml.space_before(before, unit)
        markup = f"{space}{tag}{self._inner(translations)}</{name}>"
        place = self._target or before
        remark = remark_on(given)
        old = next((note for note in unit.elements("note") if _is_ours(note)), None)
        if remark:
            note = xml.name_beside(self._source, "note")
            tag = with_attributes(f"<{note}>", _US)
            remark = f"{tag}{escaped(remark)}</{note}>"
            if old is None:
                markup += f"{space or xml.space_before(place, unit)}{remark}"
        if old:
            yield Edit(old.start, old.end, remark)
        yield Edit(self._target.start if self._target else place.end, place.end, markup)

    def _inner(self, translations: Sequence[UnitTranslation | None]) -> str:
        """Return the content of the target."""
        given = {
            element: text.markup(translation.text)
            for (element, text), translation in zip(self._texts, translations, strict=True)
            if translation
        }
        parts, place = list[str](), self._source.inner_start
        for content in self._contents:
            existing = self._existing(content)
            if content in given:
                inner = given[content]
            elif existing:
                inner = self._xml.raw(existing.inner_start, existing.inner_end)
            elif not self._segments:
                inner = self._all_texts[content].markup(self._all_texts[content].text)
            else:
                inner = ""
            parts += (
                self._xml.raw(place, content.inner_start),
                with_flows(self._xml, content, inner, given),
            )
            place = content.inner_end
        return "".join([*parts, self._xml.raw(place, self._source.inner_end)])


def _qualifier(translations: Sequence[UnitTranslation]) -> str:
    """Return XLIFF's name for the origin of the translations."""
    matches = [given.match for given in translations if given.match is not None]
    if not matches or len(matches) < len(translations):
        return "leveraged-mt"
    return "exact-match" if min(matches) == 1 else "fuzzy-match"


def with_flows(xml: XmlSource, content: Element, inner: str, given: Mapping[Element, str]) -> str:
    """Return the inside of a translation, with the text inside its codes (`sub`) translated too."""
    for code in content.descendants(*_CODES):
        parts, place = list[str](), code.start
        for flow in code.elements("sub"):
            if flow in given:
                parts += xml.raw(place, flow.inner_start), given[flow]
                place = flow.inner_end
        if parts:
            inner = inner.replace(quote(code), "".join([*parts, xml.raw(place, code.end)]))
    return inner


def _role_of(element: Element) -> tuple[Role, str] | None:
    """Return the role of an inline element, see `inline_parts`."""
    attributes = element.attributes
    key = attributes.get("rid") or attributes.get("id", "")
    if element.name in ("bx", "bpt"):
        return Role.OPENS, key
    if element.name in ("ex", "ept"):
        return Role.CLOSES, key
    is_text = element.name in ("g", "mrk") and attributes.get("translate") != "no"
    if is_text and attributes.get("mtype") != "protected":
        return None
    shown = attributes.get("equiv-text", "")
    return Role.STANDS_FOR_WORD if VARIABLE.fullmatch(shown) else Role.STANDS_ALONE, ""


def _is_ours(note: Element) -> bool:
    return note.attributes.get("from") == _US["from"]
