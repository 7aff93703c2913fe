"""Text to what the model reads: sentences, without what must not change, as ids.

Text without a letter (white space, numbers, pictures) has no ids: it passes through.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    mask_numbers,
    mask_placeholders,
    number_of_spans,
    split_at_spans,
    without_inline_tags,
)
from seq2seq.text.numbers import localised_amount
from seq2seq.text.sentences import Part, split
from seq2seq.text.unreadable import without_invisible
from seq2seq.tokenizer import PLACEHOLDERS, Tokenizer, normalise_source

if TYPE_CHECKING:
    from seq2seq.search.constrained import Constraints
    from seq2seq.text.formality import Formality
    from seq2seq.text.glossary import Found, Glossary

_MOST_HELD = 8  # spans in the search; so many hypotheses have to be kept apart
_SLICE = 1000  # characters; what is longer is measured slice by slice, and only as far as needed
_MOST_INLINE_TAGS = 500  # in a piece; to place them takes as long as the square of their number

_MARKS = frozenset("()[]{}\"'“”‘’«»„,;:.!?…–—-°=/|&~^_")  # that stay at a span beside them
WITHOUT_SPACES = frozenset({"ja", "km", "lo", "my", "th", "zh"})
"""Languages that do not part their words."""

_FOREIGN = "this is not in letters that the model knows, and stays as it is"


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of a text: a line or a sentence, unless that is too long."""

    text: str  # with placeholders for its spans
    separator: str  # the white space behind it
    ids: tuple[int, ...] = ()  # (S,) the language tag first; none: it passes through
    spans: tuple[Span, ...] = ()
    terms: "tuple[Found, ...]" = ()  # of the glossary, that the search has to say
    replacing: "tuple[Found, ...]" = ()  # that take the place of the word made from their source
    notes: tuple[str, ...] = ()

    @property
    def masked(self) -> MaskedText:
        """The text and its spans."""
        return MaskedText(self.text, self.spans)

    @property
    def all_terms(self) -> "list[Found]":
        """The terms, in the order of the text."""
        return sorted([*self.terms, *self.replacing], key=lambda found: found.start)

    @property
    def inner(self) -> MaskedText:
        """What the model reads: without inline tags."""
        return without_inline_tags(self.masked)


@dataclass(frozen=True)
class Reader:
    """Reads texts in `source` for a model that translates into `target`."""

    tokenizer: Tokenizer
    source: str
    target: str
    limit: int  # of the ids of a piece, but for the tag
    protection: Protection | None
    glossary: "Glossary | None"
    formality: "Formality | None" = None  # where the target language has forms of address

    def read(self, text: str, unit: Unit) -> Iterator[Piece]:
        """The pieces of a text, one at least."""
        text = _valid(text)
        masked = self._masked(without_invisible(text))
        if not _has_letters(self._readable(masked).text):
            blank = unit == "line" and not text.strip()
            foreign = (_FOREIGN,) if _has_letters(masked.text) else ()
            masked = self._masked(text)
            whole = "" if blank else masked.text
            yield Piece(whole, "", spans=tuple(masked.spans), notes=foreign)
            return
        coming = iter(masked.spans)
        for segment in segments(masked.text, unit, self.source):
            own = [*islice(coming, number_of_spans(segment.text))]
            readable = self._readable(MaskedText(segment.text, own))
            is_foreign = _has_letters(segment.text) and not _has_letters(readable.text)
            rest = iter(readable.spans)
            for piece in self._cut(readable.text, segment.separator):
                spans = tuple(islice(rest, number_of_spans(piece.text)))
                notes = (_FOREIGN,) if is_foreign else piece.notes
                yield from self._prepared(replace(piece, spans=spans, notes=notes))

    def _masked(self, text: str) -> MaskedText:
        """Take out what is protected; amounts are known in the notation of the target."""
        if self.protection is None:
            return mask_placeholders(text)
        masked = self.protection.mask(text)
        return MaskedText(masked.text, [self._localised(span) for span in masked.spans])

    def _readable(self, masked: MaskedText) -> MaskedText:
        """Take out what the model has never seen."""
        if self.protection is None:
            return masked
        readable = self.protection.mask_unreadable(masked)
        return MaskedText(readable.text, [self._localised(span) for span in readable.spans])

    def whole(self, text: str) -> Piece:
        """Read a text as one piece, however long, its spans like any other words."""
        text = _valid(text)
        return Piece(text, "", self._ids(text) if _has_letters(text) else ())

    def around(self, piece: Piece) -> Iterator[Piece]:
        """The pieces between the spans of `piece`, and the spans themselves."""
        coming = iter(piece.spans)
        parts = split_at_spans(piece.text)
        for number, part in enumerate(parts):
            if number_of_spans(part):
                yield Piece(part, "", spans=(next(coming),))
                continue
            before, text, behind = _trimmed(part)
            if text and number == len(parts) - 1:  # a sentence with its end, but not its quotes
                stops = len(behind) - len(behind.lstrip(".!?…"))
                text, behind = text + behind[:stops], behind[stops:]
            if before:
                yield Piece(before, "")
            if text:
                ids = self._ids(text) if _has_letters(text) else ()
                yield self._with_terms(Piece(text, "", ids))
            if behind:
                yield Piece(behind, "")
        yield Piece("", piece.separator, notes=piece.notes)

    def as_sentence(self, piece: Piece) -> Piece:
        """The piece as the model reads it with a capital and a full stop.

        Models learn from sentences, and know many a word only as one: `Monday.`
        """
        text = piece.inner.text
        ends = text[-1:].isalnum()
        sentence = text[:1].upper() + text[1:] + "." * ends
        return piece if sentence == text else replace(piece, ids=self._ids(sentence))

    def with_numbers_held(self, piece: Piece) -> Piece | None:
        """The piece with its numbers among the spans, or None where there is none to hold."""
        masked = mask_numbers(piece.masked)
        in_terms = any(map(str.isdigit, "".join(found.term.source for found in piece.all_terms)))
        held = masked.text.count(PLACEHOLDER)
        if in_terms or held == piece.text.count(PLACEHOLDER) or held > _MOST_HELD:
            return None
        spans = tuple(self._localised(span) for span in masked.spans)
        ids = self._ids(masked.text)
        return self._with_terms(replace(piece, text=masked.text, ids=ids, spans=spans))

    def constraints(self, piece: Piece) -> "Constraints | None":
        """What its translation must contain: the spans that are not inline, and the terms."""
        if not (PLACEHOLDER in piece.text or piece.terms):
            return None
        from seq2seq.search.constrained import Constraints, Phrase  # few texts need it

        inner = piece.inner
        phrases: list[Phrase] = []
        places = [match.span() for match in re.finditer(PLACEHOLDER, inner.text)]
        for (start, end), id_ in zip(places, self.tokenizer.placeholder_ids(), strict=False):
            # A space before it is a piece of its own.
            position = piece.ids.index(id_)
            joined = inner.text[start - 1 : start].strip()
            ids = (id_,) if joined else (piece.ids[position - 1], id_)
            ends_word = not inner.text[end : end + 1].isalnum()
            # A space may also begin another word, so that alone binds nothing.
            phrases.append(Phrase(ids, (position,), ends_word, 2, begins_word=not joined))
        words = word_numbers(self.tokenizer.pieces(piece.ids))
        for term, start, end in piece.terms:
            own = words_between(inner.text, start, end)
            positions = tuple(i for i, word in enumerate(words) if word in own)
            [target] = self.tokenizer.encode([term.target])
            phrases.append(Phrase(tuple(target), positions, True, begins_word=True))
        return Constraints(tuple(phrases))

    def _localised(self, span: Span) -> Span:
        if span.kind not in ("amount", "number"):
            return span
        return span._replace(written=localised_amount(span.text, self.target, self.source))

    def _prepared(self, piece: Piece) -> Iterator[Piece]:
        held, inline = piece.text.count(PLACEHOLDER), piece.text.count(INLINE_TAG)
        if piece.ids and (held > _MOST_HELD or inline > _MOST_INLINE_TAGS):
            yield from self.around(piece)
        else:
            yield self._with_terms(piece)

    def _with_terms(self, piece: Piece) -> Piece:
        found = self.glossary.find(piece.inner.text) if self.glossary and piece.ids else ()
        if not found:
            return piece
        # A word is put in the place of another one where both languages part their words.
        parts_words = WITHOUT_SPACES.isdisjoint((self.source, self.target))
        one_word = [each for each in found if parts_words and len(each.term.source.split()) == 1]
        held = [each for each in found if each not in one_word]
        return replace(piece, terms=tuple(held), replacing=tuple(one_word))

    def _cut(self, text: str, behind: str) -> Iterator[Piece]:
        """The pieces of a segment, none too long; `behind` is the white space behind it."""
        whole = self._fitting(text, behind)
        if whole:
            yield whole
            return
        notes: tuple[str, ...] = (
            f"a sentence of more than {self.limit} subwords was cut at its clauses",
        )
        clauses = split(text, self.limit, self._length)
        for clause, space in _followed(clauses, behind):
            ids = self._ids(clause) if _has_letters(clause) else ()
            yield Piece(clause, space, ids, notes=notes)
            notes = ()

    def _fitting(self, text: str, separator: str) -> Piece | None:
        """The piece that `text` is, unless it is too long."""
        if not _has_letters(text):
            return Piece(text, separator)
        if len(text) > _SLICE:
            return None
        ids = self._ids(text)
        return Piece(text, separator, ids) if len(ids) - 1 <= self.limit else None

    def _length(self, text: str) -> int:
        """The number of ids, or of those up to some place behind the limit.

        So a long text need not be encoded whole again and again until it is cut small.
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
        text = text.replace(INLINE_TAG, "")
        if is_all_caps(text) or is_title_case(text):
            text = sentence_case(text)
        else:
            text = with_known_words(text, lambda word: len(self.tokenizer.encode([word])[0]))
        if PLACEHOLDER not in text:
            return tuple(self.tokenizer.encode_sources([text], self.target, self._form)[0])
        # Normalised before the symbols are in it: no mark may be joined to the end of one.
        first, *rest = normalise_source(text).split(PLACEHOLDER)
        symbols = cycle(PLACEHOLDERS)
        text = first + "".join(next(symbols) + part for part in rest)
        tags = self.tokenizer.source_tags(self.target, self._form)
        return (*tags, *self.tokenizer.encode([text])[0])

    @property
    def _form(self) -> "Formality | None":
        return self.formality if has_forms(self.target) else None


def words_between(text: str, start: int, end: int) -> range:
    """Return the numbers of the words that a stretch of `text` is of."""
    last = len(text[:end].split())
    return range(last - len(text[start:end].split()), last)


def _followed(parts: Iterator[Part], behind: str) -> Iterator[tuple[str, str]]:
    """Each part with its separator, the last with `behind` behind it."""
    for part, following in pairwise(chain(parts, [None])):
        assert part
        yield part.text, part.separator + ("" if following else behind)


def _trimmed(part: str) -> tuple[str, str, str]:
    """The punctuation and white space before a text, the text, and what is behind it."""
    inside = [i for i, letter in enumerate(part) if letter not in _MARKS and not letter.isspace()]
    start, end = (inside[0], inside[-1] + 1) if inside else (len(part), len(part))
    return part[:start], part[start:end], part[end:]


def _valid(text: str) -> str:
    """Half surrogate pairs have no UTF-8; they become U+FFFD, and split pairs one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _has_letters(text: str) -> bool:
    return any(map(str.isalpha, text))
