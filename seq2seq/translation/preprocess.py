"""Preprocess a text: mask what must not change, split it into segments, and encode them.

Text without a letter (white space, numbers, emoji) has no ids: it passes through unchanged.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, cycle, islice, pairwise
from typing import TYPE_CHECKING

from seq2seq.text.alignment import word_numbers
from seq2seq.text.blocks import Unit, segments
from seq2seq.text.casing import is_all_caps, is_title_case, sentence_case, with_known_words
from seq2seq.text.formality import has_forms
from seq2seq.text.masking import (
    INLINE_TAG,
    PLACEHOLDER,
    MaskedText,
    Protection,
    Span,
    mask_names,
    mask_numbers,
    mask_placeholders,
    number_of_spans,
    split_at_spans,
    without_inline_tags,
    without_invisible,
)
from seq2seq.text.names import has_name, names_not_learnt
from seq2seq.text.numbers import localised_amount
from seq2seq.text.sentences import Part, split
from seq2seq.tokenizer import PLACEHOLDERS, Tokenizer, normalise_source, plain_spaces

if TYPE_CHECKING:
    from seq2seq.search.constrained import Constraints
    from seq2seq.text.formality import Formality
    from seq2seq.text.glossary import Found, Glossary

_MOST_HELD = 8  # spans in a search, which has to keep that many kinds of hypotheses apart
_SLICE = 1000  # characters; longer texts are measured slice by slice, only as far as needed
_MOST_INLINE_TAGS = 500  # in a segment: placing n of them takes time in the order of n squared

_MARKS = frozenset("()[]{}\"'“”‘’«»„,;:.!?…–—-°=/|&~^_")  # that stay with a span beside them
WITHOUT_SPACES = frozenset({"ja", "km", "lo", "my", "th", "zh"})
"""Languages that put no spaces between words."""

_FOREIGN = "the model does not know this script; the text was kept"


@dataclass(frozen=True, eq=False)
class Segment:
    """A part of a text that is translated by itself: a sentence, or a clause of a long one."""

    text: str  # with placeholders for its spans
    separator: str  # the white space after it
    ids: tuple[int, ...] = ()  # (S,) the language tag first; empty: it passes through
    spans: tuple[Span, ...] = ()
    terms: "tuple[Found, ...]" = ()  # glossary terms that the search is made to say
    replacing: "tuple[Found, ...]" = ()  # terms put in place of the word made from their source
    notes: tuple[str, ...] = ()
    prefix: tuple[int, ...] = ()  # ids that the translation must begin with

    @property
    def masked(self) -> MaskedText:
        """Return the text and its spans."""
        return MaskedText(self.text, self.spans)

    @property
    def all_terms(self) -> "list[Found]":
        """Return the terms of both kinds, in the order of the text."""
        return sorted([*self.terms, *self.replacing], key=lambda found: found.start)

    @cached_property
    def model_input(self) -> MaskedText:
        """Return what the model reads: the text without inline tags."""
        return without_inline_tags(self.masked)


@dataclass(frozen=True)
class Preprocessor:
    """Prepares texts in `source` for a model that translates into `target`."""

    tokenizer: Tokenizer
    source: str
    target: str
    limit: int  # maximum number of ids in a segment, without the tag
    protection: Protection | None
    glossary: "Glossary | None"
    formality: "Formality | None" = None  # used if the target language has forms of address
    prefix: str = ""  # of the translation of each text
    tag: str | None = None  # one that the model was trained with

    def preprocess(self, text: str, unit: Unit) -> Iterator[Segment]:
        """Yield the segments of a text, at least one; the first to be translated has the prefix."""
        [prefix] = self.tokenizer.encode([plain_spaces(self.prefix.strip())])
        for segment in self._segments(text, unit):
            if prefix and segment.ids:
                yield replace(segment, prefix=tuple(prefix))
                prefix = []
            else:
                yield segment

    def _segments(self, text: str, unit: Unit) -> Iterator[Segment]:
        text = _valid(text)
        masked = self._masked(without_invisible(text))
        readable = self._readable(masked)
        if not _has_letters(readable.text):
            yield self._passing_through(text, unit, masked)
            return
        unread = readable is not masked
        coming = iter(masked.spans)
        for block in segments(masked.text, unit, self.source):
            own = MaskedText(block.text, [*islice(coming, number_of_spans(block.text))])
            readable = self._readable(own) if unread else own
            is_foreign = _has_letters(block.text) and not _has_letters(readable.text)
            spans = iter(readable.spans)
            for segment in self._cut(readable.text, block.separator):
                its_spans = tuple(islice(spans, number_of_spans(segment.text)))
                notes = (_FOREIGN,) if is_foreign else segment.notes
                yield from self._prepared(replace(segment, spans=its_spans, notes=notes))

    def _passing_through(self, text: str, unit: Unit, masked: MaskedText) -> Segment:
        """Return a text that the model cannot read, as one segment without ids."""
        foreign = (_FOREIGN,) if _has_letters(masked.text) else ()
        masked = self._masked(text)  # its invisible characters stay
        blank = unit == "line" and not text.strip()
        whole = "" if blank else masked.text
        return Segment(whole, "", spans=tuple(masked.spans), notes=foreign)

    def _masked(self, text: str) -> MaskedText:
        """Mask what is protected; write amounts as the target language does."""
        if self.protection is None:
            return mask_placeholders(text)
        return self._localised(self.protection.mask(text))

    def _readable(self, masked: MaskedText) -> MaskedText:
        """Also mask what the model has never seen; return `masked` itself if there is nothing."""
        if self.protection is None:
            return masked
        readable = self.protection.mask_unreadable(masked)
        return masked if readable is masked else self._localised(readable)

    def whole(self, text: str) -> Segment:
        """Return a text of any length as one segment, whose spans are ordinary words."""
        text = _valid(text)
        return Segment(text, "", self._ids(text) if _has_letters(text) else ())

    def around_spans(self, segment: Segment) -> Iterator[Segment]:
        """Yield the spans of a segment, and each piece of text between them, as segments."""
        coming = iter(segment.spans)
        prefix = segment.prefix
        parts = split_at_spans(segment.text)
        for number, part in enumerate(parts):
            if number_of_spans(part):
                yield Segment(part, "", spans=(next(coming),))
                continue
            before, text, behind = _trimmed(part)
            if text and number == len(parts) - 1:  # keep the final full stop, but no quotes
                stops = len(behind) - len(behind.lstrip(".!?…"))
                text, behind = text + behind[:stops], behind[stops:]
            if before:
                yield Segment(before, "")
            if text:
                ids = self._ids(text) if _has_letters(text) else ()
                yield self._with_terms(Segment(text, "", ids, prefix=prefix if ids else ()))
                prefix = () if ids else prefix
            if behind:
                yield Segment(behind, "")
        yield Segment("", segment.separator, notes=segment.notes)

    def as_sentence(self, segment: Segment) -> Segment:
        """Return the segment, encoded with a capital at its beginning and a full stop at its end.

        Models learn from sentences, and know some words only in that form: `Monday.`
        """
        text = segment.model_input.text
        ends = text[-1:].isalnum()
        sentence = text[:1].upper() + text[1:] + "." * ends
        return segment if sentence == text else replace(segment, ids=self._ids(sentence))

    def with_numbers_masked(self, segment: Segment) -> Segment | None:
        """Mask the numbers of a segment too; return None if there are none that can be masked."""
        masked = mask_numbers(segment.masked)
        in_terms = any(map(str.isdigit, "".join(found.term.source for found in segment.all_terms)))
        held = masked.text.count(PLACEHOLDER)
        if in_terms or held == segment.text.count(PLACEHOLDER) or held > _MOST_HELD:
            return None
        text, spans = self._localised(masked)
        masked_segment = replace(segment, text=text, ids=self._ids(text), spans=tuple(spans))
        return self._with_terms(masked_segment)

    def with_names_masked(self, segment: Segment, said: str) -> Segment | None:
        """Mask the names of a segment too; return None if there are none that can be masked.

        Masked are names that the model has not learnt and that its translation `said` lost.
        """
        in_terms = [found.term.source for found in segment.all_terms]
        names = [
            name
            for name in names_not_learnt(segment.text, self.source, self._pieces)
            if not has_name(said, name[0]) and not any(name[0] in term for term in in_terms)
        ]
        held = segment.text.count(PLACEHOLDER) + len(names)
        parts_words = WITHOUT_SPACES.isdisjoint((self.source, self.target))
        if not names or held > _MOST_HELD or not parts_words:
            return None
        text, spans = mask_names(segment.masked, names)
        masked_segment = replace(segment, text=text, ids=self._ids(text), spans=tuple(spans))
        return self._with_terms(masked_segment)

    def constraints(self, segment: Segment) -> "Constraints | None":
        """Return what a translation must contain: prefix, terms, spans that are not inline."""
        if not (PLACEHOLDER in segment.text or segment.terms or segment.prefix):
            return None
        from seq2seq.search.constrained import Constraints, Phrase  # few texts need it

        model_input = segment.model_input
        phrases: list[Phrase] = []
        places = [match.span() for match in re.finditer(PLACEHOLDER, model_input.text)]
        for (start, end), id_ in zip(places, self.tokenizer.placeholder_ids(), strict=False):
            # A space before it is a piece of its own.
            position = segment.ids.index(id_)
            joined = model_input.text[start - 1 : start].strip()
            ids = (id_,) if joined else (segment.ids[position - 1], id_)
            ends_word = not model_input.text[end : end + 1].isalnum()
            # A space may also begin another word, so the space alone does not count as a start.
            phrases.append(Phrase(ids, (position,), ends_word, 2, begins_word=not joined))
        words = word_numbers(self.tokenizer.pieces(segment.ids))
        for number, (term, start, end) in enumerate(segment.terms):
            own = words_between(model_input.text, start, end)
            positions = tuple(i for i, word in enumerate(words) if word in own)
            phrases += (
                Phrase(tuple(ids), positions, True, begins_word=True, group=number)
                for ids in self.tokenizer.encode(term.forms)
            )
        return Constraints(tuple(phrases), prefix=segment.prefix)

    def _localised(self, masked: MaskedText) -> MaskedText:
        """Write amounts and numbers in the notation of the target language."""
        return MaskedText(
            masked.text,
            [
                span._replace(written=localised_amount(span.text, self.target, self.source))
                if span.kind in ("amount", "number")
                else span
                for span in masked.spans
            ],
        )

    def _prepared(self, segment: Segment) -> Iterator[Segment]:
        """Yield a segment with its terms, or in pieces if it has too many spans."""
        held, inline = segment.text.count(PLACEHOLDER), segment.text.count(INLINE_TAG)
        if segment.ids and (held > _MOST_HELD or inline > _MOST_INLINE_TAGS):
            yield from self.around_spans(segment)
        else:
            yield self._with_terms(segment)

    def _with_terms(self, segment: Segment) -> Segment:
        if not (self.glossary and segment.ids):
            return segment
        found = self.glossary.find(segment.model_input.text)
        # A term of one word replaces the word that the model makes from it, if both languages put
        # spaces between words. If it has several forms, only the search can say which is right.
        parts_words = WITHOUT_SPACES.isdisjoint((self.source, self.target))
        one_word = [
            each
            for each in found
            if parts_words and len(each.term.source.split()) == 1 and not each.term.further
        ]
        held = [each for each in found if each not in one_word]
        return replace(segment, terms=tuple(held), replacing=tuple(one_word)) if found else segment

    def _cut(self, text: str, behind: str) -> Iterator[Segment]:
        """Yield the segments of a sentence, none of them too long; `behind` follows the last."""
        whole = self._fitting(text, behind)
        if whole:
            yield whole
            return
        notes: tuple[str, ...] = (
            f"a sentence of more than {self.limit} subwords was split into clauses",
        )
        clauses = split(text, self.limit, self._length)
        for clause, space in _followed(clauses, behind):
            ids = self._ids(clause) if _has_letters(clause) else ()
            yield Segment(clause, space, ids, notes=notes)
            notes = ()

    def _fitting(self, text: str, separator: str) -> Segment | None:
        """Return `text` as one segment, or None if it is too long."""
        if not _has_letters(text):
            return Segment(text, separator)
        if len(text) > _SLICE:
            return None
        ids = self._ids(text)
        return Segment(text, separator, ids) if len(ids) - 1 <= self.limit else None

    def _length(self, text: str) -> int:
        """Count the ids, but stop soon after the limit.

        That spares encoding all of a long text each time it is cut smaller.
        """
        if len(text) <= _SLICE:
            return len(self._ids(text)) - 1
        length = 0
        for start in range(0, len(text), _SLICE):
            length += len(self._ids(text[start : start + _SLICE])) - 1
            if length > self.limit:
                break
        return length

    def _ids(self, text: str) -> tuple[int, ...]:
        """Encode a masked text in ordinary case, after the tags."""
        text = text.replace(INLINE_TAG, "")
        if is_all_caps(text) or is_title_case(text):
            text = sentence_case(text)
        else:
            text = with_known_words(text, self._pieces)
        tags = self.tokenizer.source_tags(self.target, self._form, self.tag)
        if PLACEHOLDER not in text:
            return (*tags, *self.tokenizer.encode([normalise_source(text)])[0])
        # Normalise before inserting the symbols: no mark may be joined to the end of one.
        first, *rest = normalise_source(text).split(PLACEHOLDER)
        symbols = cycle(PLACEHOLDERS)
        text = first + "".join(next(symbols) + part for part in rest)
        return (*tags, *self.tokenizer.encode([text])[0])

    def _pieces(self, word: str) -> int:
        """Count the subwords of a word."""
        return len(self.tokenizer.encode([word])[0])

    @property
    def _form(self) -> "Formality | None":
        return self.formality if has_forms(self.target) else None


def words_between(text: str, start: int, end: int) -> range:
    """Return the numbers of the words that `text[start:end]` covers, from 0."""
    last = len(text[:end].split())
    return range(last - len(text[start:end].split()), last)


def _followed(parts: Iterator[Part], behind: str) -> Iterator[tuple[str, str]]:
    """Yield the text and separator of each part; the last separator is extended by `behind`."""
    for part, following in pairwise(chain(parts, [None])):
        assert part
        yield part.text, part.separator + ("" if following else behind)


def _trimmed(part: str) -> tuple[str, str, str]:
    """Split off punctuation and space: return what is before the text, the text, what is after."""
    inside = [i for i, letter in enumerate(part) if letter not in _MARKS and not letter.isspace()]
    start, end = (inside[0], inside[-1] + 1) if inside else (len(part), len(part))
    return part[:start], part[start:end], part[end:]


def _valid(text: str) -> str:
    """Combine surrogate pairs, and replace lone surrogates, which have no UTF-8, by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _has_letters(text: str) -> bool:
    return any(map(str.isalpha, text))
