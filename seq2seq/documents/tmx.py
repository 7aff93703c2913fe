"""TMX 1.4, translation memories: each unit gets a variant in the target language."""

from collections.abc import Iterator, Sequence

from seq2seq.documents.document import Document, State, TextUnit, UnitTranslation
from seq2seq.documents.tagged_text import Role
from seq2seq.documents.xliff import with_flows
from seq2seq.documents.xml_source import (
    Edit,
    Element,
    XmlDocument,
    XmlSlot,
    XmlSource,
    XmlText,
    escaped,
    inline_parts,
    quoted,
)
from seq2seq.errors import Seq2SeqError

_DRAFT = "seq2seq: needs review"  # beginning of our note on a variant


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read a translation memory; without `source`, use the source language that it states."""
    xml = XmlSource(data, {"http://www.lisa.org/tmx14": ""})
    if xml.root.name != "tmx":
        raise Seq2SeqError("is not TMX.")
    slots = list[XmlSlot]()
    header = xml.root.first("header")
    usual = header.attributes.get("srclang", "*all*") if header else "*all*"
    for unit in xml.root.descendants("tu"):
        stated = source or unit.attributes.get("srclang") or usual
        if stated == "*all*":
            raise Seq2SeqError("does not state its source language; give it with --from.")
        variant, translation = _variant(unit, stated), _variant(unit, target)
        if variant and variant is not translation:
            slots += _Unit(xml, unit, variant, translation, target).slots()
    return XmlDocument(xml, slots)


def _variant(unit: Element, language: str) -> Element | None:
    """Return the variant in a language; failing that, in a region of the same language."""
    variants = [variant for variant in unit.elements("tuv") if variant.first("seg")]
    wanted = _codes(language)
    for length in (len(wanted), 1):
        for variant in variants:
            codes = _codes(_language(variant))
            if codes == wanted or (length == 1 and codes[0] == wanted[0]):
                return variant
    return None


def _codes(language: str) -> list[str]:
    return language.lower().replace("_", "-").split("-")


def _language(variant: Element) -> str:
    return variant.attributes.get("xml:lang") or variant.attributes.get("lang", "")


class _Unit:
    """A translation unit and its variants."""

    def __init__(
        self,
        xml: XmlSource,
        unit: Element,
        source: Element,
        translation: Element | None,
        target: str,
    ) -> None:
        self._xml, self._unit, self._source, self._target = xml, unit, source, target
        self._translation = translation
        segment = source.first("seg")
        assert segment  # `_variant` returns only variants with one
        self._segment = segment
        flows = segment.descendants("sub")
        self._texts = {element: self._text(element) for element in (segment, *flows)}

    def slots(self) -> Iterator[XmlSlot]:
        """Yield the slot of the unit, if it has text."""
        units = [
            self._text_unit(element, text)
            for element, text in self._texts.items()
            if text.has_words
        ]
        if units:
            yield XmlSlot(units, self._write)

    def _text(self, segment: Element) -> XmlText:
        parts = inline_parts(self._xml, segment.children, _role_of)
        return XmlText(self._xml, segment.children, parts, keeps_space=True)

    def _text_unit(self, element: Element, text: XmlText) -> TextUnit:
        variant = self._translation if element is self._segment else None
        segment = variant.first("seg") if variant else None
        translation, state = "", State.UNTRANSLATED
        if variant and segment:
            parts = inline_parts(self._xml, segment.children, _role_of)
            translation = text.existing(segment.children, parts)
            is_draft = any(map(_is_ours, variant.elements("note")))
            if translation:
                state = State.NEEDS_REVIEW if is_draft else State.TRANSLATED
        notes = [note.text.strip() for note in self._unit.elements("note")]
        context = ": ".join(filter(None, (self._unit.attributes.get("tuid"), *notes)))
        return TextUnit(text=text.text, translation=translation, state=state, context=context)

    def _write(self, translations: Sequence[UnitTranslation | None]) -> Iterator[Edit]:
        inner = self._inner(translations)
        drafts = [given for given in translations if given and given.state is State.NEEDS_REVIEW]
        remarks = dict.fromkeys(draft.remark for draft in drafts if draft.remark)
        note = ""
        if drafts:
            name = self._xml.name_beside(self._segment, "note")
            note = f"<{name}>{escaped('; '.join((_DRAFT, *remarks)))}</{name}>"
        if self._translation:
            yield from self._refill(self._translation, note, inner)
        else:
            last = [*self._unit.elements("tuv")][-1]
            yield Edit(last.end, last.end, self._variant(note, inner))

    def _inner(self, translations: Sequence[UnitTranslation | None]) -> str:
        """Return the content of the translated segment."""
        texts = [(element, text) for element, text in self._texts.items() if text.has_words]
        given = {
            element: text.markup(translation.text)
            for (element, text), translation in zip(texts, translations, strict=True)
            if translation
        }
        whole = self._texts[self._segment]
        inner = given.get(self._segment) or whole.markup(whole.text)
        return with_flows(self._xml, self._segment, inner, given)

    def _refill(self, variant: Element, note: str, inner: str) -> Iterator[Edit]:
        """Yield the edits that replace the segment of an existing variant."""
        xml = self._xml
        old = next(filter(_is_ours, variant.elements("note")), None)
        segment = variant.first("seg")
        assert segment  # `_variant` returns only variants with one
        if old:
            yield Edit(old.start, old.end, note)
        elif note:
            place = segment.start
            yield Edit(place, place, note + xml.space_before(segment, variant))
        tag = xml.start_tag(segment).replace("/>", ">")
        yield Edit(segment.start, segment.end, f"{tag}{inner}</{xml.written_name(segment)}>")

    def _variant(self, note: str, inner: str) -> str:
        """Return a new variant, with the layout of the source's."""
        xml, source, segment = self._xml, self._source, self._segment
        tag, name = xml.written_name(segment), xml.written_name(source)
        space = xml.space_before(segment, source)
        after = xml.raw(segment.end, source.inner_end)
        lines = [line for line in (note, f"<{tag}>{inner}</{tag}>") if line]
        body = "".join(space + line for line in lines) + ("" if after.strip() else after)
        language = "xml:lang" if "xml:lang" in source.attributes else "lang"
        start = f"<{name} {language}={quoted(self._target)}>"
        return f"{xml.space_before(source, self._unit)}{start}{body}</{name}>"


def _role_of(element: Element) -> tuple[Role, str] | None:
    """Return the role of an inline element, see `inline_parts`."""
    key = element.attributes.get("i", "")
    if element.name == "bpt":
        return Role.OPENS, key
    if element.name == "ept":
        return Role.CLOSES, key
    return None if element.name == "hi" else (Role.STANDS_ALONE, "")


def _is_ours(note: Element) -> bool:
    return note.text.startswith(_DRAFT)
