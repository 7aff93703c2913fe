"""XLIFF 2.0 and 2.1: each `segment` of a `unit` holds a text and its translation."""

import re
from collections.abc import Iterable, Iterator, Sequence

from seq2seq.documents.document import State, TextUnit, UnitTranslation
from seq2seq.documents.icu_document import has_branches_with_words
from seq2seq.documents.tagged_text import Role
from seq2seq.documents.xml_source import (
    Edit,
    Element,
    XmlDocument,
    XmlSlot,
    XmlSource,
    XmlText,
    escaped,
    inline_parts,
    with_attributes,
)
from seq2seq.errors import Seq2SeqError

_DRAFT = "seq2seq:needs-review"  # a `subState` of translated, the state before reviewed
VARIABLE = re.compile(r"\{+[^{}<>]*\}+|%[\w$.]+|\$\w+|%\(\w+\)\w")
"""Matches the displayed form of a code that is a variable, and not a tag."""
_US = {"category": "seq2seq"}  # marks our own notes


def is_language(stated: str | None, target: str, has_translations: bool) -> bool:
    """Return whether a file already states this target language.

    Raises `Seq2SeqError` if it has translations into another one.
    """
    if stated and stated.replace("_", "-").split("-")[0].lower() == target.split("-")[0].lower():
        return True
    if stated and has_translations:
        raise Seq2SeqError(f"has translations into {stated}, not into {target}.")
    return False


def remark_on(translations: Iterable[UnitTranslation]) -> str:
    """Return the text of our note on translations that need review, or ""."""
    drafts = [given for given in translations if given.state is State.NEEDS_REVIEW]
    return "; ".join(dict.fromkeys(filter(None, (draft.remark for draft in drafts))))


def read_xliff2(xml: XmlSource, target: str) -> XmlDocument:
    """Return the document of a source whose root is an `xliff` of version 2."""
    targets = xml.root.descendants("target")
    has_text = any(element.children for element in targets)
    language = list[Edit]()
    if not is_language(xml.root.attributes.get("trgLang"), target, has_text):
        language = [xml.set_attributes(xml.root, {"trgLang": target})]
    units = xml.root.descendants("unit")
    return XmlDocument(xml, (slot for unit in units for slot in _slots(xml, unit, language)))


def _slots(xml: XmlSource, unit: Element, language: Sequence[Edit]) -> Iterator[XmlSlot]:
    if unit.inherited("translate") == "no":
        return
    segments = [_Segment(xml, segment) for segment in unit.elements("segment")]
    segments = [segment for segment in segments if segment.is_text]
    limit = unit.inherited("slr:sizeRestriction") if len(segments) == 1 else None
    notes = [note for holder in unit.elements("notes") for note in holder.elements("note")]
    comments = [note.text.strip() for note in notes if not _is_ours(note)]
    name = unit.attributes.get("name") or unit.attributes.get("id", "")
    context = ": ".join(part for part in (name, *comments) if part)

    def write(translations: Sequence[UnitTranslation | None]) -> Iterator[Edit]:
        yield from language
        for segment, translation in zip(segments, translations, strict=True):
            if translation:
                yield from segment.write(translation)
        yield from _remark(xml, unit, remark_on(filter(None, translations)))

    if segments:
        yield XmlSlot([segment.text_unit(context, _most(limit)) for segment in segments], write)


class _Segment:
    """A `segment`: its text, and the target to write."""

    def __init__(self, xml: XmlSource, segment: Element) -> None:
        self._xml = xml
        self._segment = segment
        self._source = segment.first("source") or segment
        self._target = segment.first("target")
        keeps_space = self._source.inherited("xml:space") == "preserve"
        parts = inline_parts(xml, self._source.children, _role_of)
        self._text = XmlText(xml, self._source.children, parts, keeps_space=keeps_space)
        self.is_text = self._source is not segment and (
            self._text.has_words or has_branches_with_words(self._text.text)
        )

    def text_unit(self, context: str, max_length: int | None) -> TextUnit:
        """Return the unit for the translator."""
        translation, state = "", State.UNTRANSLATED
        if self._target:
            parts = inline_parts(self._xml, self._target.children, _role_of)
            translation = self._text.existing(self._target.children, parts)
        if translation:
            stated = self._segment.attributes.get("state", "initial")
            is_draft = stated == "initial" or self._segment.attributes.get("subState") == _DRAFT
            state = State.NEEDS_REVIEW if is_draft else State.TRANSLATED
        return TextUnit(
            text=self._text.text,
            translation=translation,
            state=state,
            context=context,
            max_length=max_length,
        )

    def write(self, translation: UnitTranslation) -> Iterator[Edit]:
        """Yield the edits that write the translation of the segment."""
        xml, target = self._xml, self._target
        draft = _DRAFT if translation.state is State.NEEDS_REVIEW else None
        yield xml.set_attributes(self._segment, {"state": "translated", "subState": draft})
        name = xml.name_beside(self._source, "target")
        tag = xml.start_tag(target).replace("/>", ">") if target else f"<{name}>"
        markup = f"{tag}{self._text.markup(translation.text)}</{name}>"
        if target:
            yield Edit(target.start, target.end, markup)
        else:
            space = xml.space_before(self._source, self._segment)
            yield Edit(self._source.end, self._source.end, space + markup)


def _remark(xml: XmlSource, unit: Element, remark: str) -> Iterator[Edit]:
    """Yield the edit that writes our note, or replaces the note of an earlier run."""
    name = xml.name_beside(unit, "note")
    note = f"{with_attributes(f'<{name}>', _US)}{escaped(remark)}</{name}>" if remark else ""
    holder = unit.first("notes")
    notes = [*holder.elements("note")] if holder else []
    old = next((note for note in notes if _is_ours(note)), None)
    if old and (remark or len(notes) > 1):
        yield Edit(old.start, old.end, note)
    elif old and holder:
        yield Edit(holder.start, holder.end, "")
    elif remark and holder:
        place = notes[-1].end
        yield Edit(place, place, xml.space_before(notes[-1], holder) + note)
    elif remark:
        first = next(unit.elements("originalData", "segment", "ignorable"))
        space = xml.space_before(first, unit)
        yield Edit(first.start, first.start, f"<{name}s>{note}</{name}s>{space}")


def _role_of(element: Element) -> tuple[Role, str] | None:
    """Return the role of an inline element, see `inline_parts`."""
    attributes = element.attributes
    if element.name in ("sc", "sm") and attributes.get("translate") != "no":
        return Role.OPENS, attributes.get("id", "")
    if element.name in ("ec", "em"):
        return Role.CLOSES, attributes.get("startRef", "")
    if element.name in ("pc", "mrk") and attributes.get("translate") != "no":
        return None
    shown = attributes.get("disp") or attributes.get("equiv", "")
    return Role.STANDS_FOR_WORD if VARIABLE.fullmatch(shown) else Role.STANDS_ALONE, ""


def _most(restriction: str | None) -> int | None:
    """Return the maximum length, in characters, from a `sizeRestriction`: `max` or `min,max`."""
    most = (restriction or "").split(",")[-1].strip()
    return int(most) if most.isdecimal() else None


def _is_ours(note: Element) -> bool:
    return note.attributes.get("category") == _US["category"]
