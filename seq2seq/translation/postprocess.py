"""Postprocess a hypothesis: decode its ids, put its spans back, check its numbers."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seq2seq.confidence import Calibration
from seq2seq.search.beam import Hypothesis
from seq2seq.text.alignment import (
    WordAlignment,
    unmasked_alignment,
    word_alignment,
    word_numbers,
    words_made_from,
)
from seq2seq.text.casing import is_all_caps
from seq2seq.text.masking import (
    ANY_PLACEHOLDER,
    DIVIDER,
    INLINE_TAG,
    PLACEHOLDER,
    SENTENCE_KINDS,
    MaskedText,
    Protection,
    Span,
    as_written,
    restore,
)
from seq2seq.text.names import has_name, names_not_learnt
from seq2seq.text.numbers import check_numbers, lost_units
from seq2seq.tokenizer import Tokenizer
from seq2seq.translation.preprocess import WITHOUT_SPACES, Segment, words_between
from seq2seq.translation.result import SegmentTranslation

if TYPE_CHECKING:
    from seq2seq.text.glossary import Term

PLACEHOLDER_SYMBOL = re.compile(r"<ph(\d+)>")
_WORD = re.compile(r"\S+")
_ELIDED = re.compile(r"\w{1,2}['’](?=\w)")
_STOPS = ".!?…。！？"
_CLOSING = " \"'”’“»)]"
_PAIRED = re.compile(r'["„“”«»()\[\]{}]')  # most texts have none
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"), ("«", "»"))
_SPELLED = 4  # subwords of a word that the model spells rather than knows
_LEAST_LOOK = 0.3  # attention to a term's source words, if the term is said where it belongs
_NO_NUMBER = -2  # the number of a term, which is no span of the source
_DOUBTED = 0.5  # factor of the confidence for each note
_MARKS = "⟦", "⟧"
"""Brackets around what was left untranslated."""


@dataclass(frozen=True, eq=False)
class Output:
    """A hypothesis as text, as the model wrote it and after postprocessing."""

    hypothesis: Hypothesis
    said: str  # with a placeholder for every span that is not inline
    target: MaskedText | None = None  # with terms and corrected numbers; None: a span was lost
    notes: tuple[str, ...] = ()
    changes_numbers: bool = False  # a number was lost or added
    hangs_on_term: bool = False  # ends in a term, said without attention to the term's source


@dataclass(frozen=True)
class Postprocessor:
    """Turns hypotheses into translations."""

    tokenizer: Tokenizer
    source: str  # language
    target: str  # language
    calibration: Calibration | None
    min_confidence: float
    keep_alignment: bool
    guard: bool
    protection: Protection

    def decode(self, segment: Segment, hypothesis: Hypothesis) -> Output:
        """Decode a hypothesis, and give it the terms, capitals and numbers of the source."""
        # A model may spell a placeholder in bytes.
        said = ANY_PLACEHOLDER.sub("", self.tokenizer.decode(hypothesis.ids)).strip()
        order: list[int] = []

        def placeholder(symbol: re.Match[str]) -> str:
            order.append(int(symbol[1]))
            return PLACEHOLDER

        model_input = segment.model_input
        if model_input.spans:  # otherwise the model spelled what looks like a symbol in letters
            said = PLACEHOLDER_SYMBOL.sub(placeholder, said)
        if not said or sorted(order) != [*range(len(model_input.spans))]:
            return Output(hypothesis, said)
        text = self._names_copied(segment, hypothesis, said) if self.guard else said
        text, terms = self._terms_placed(segment, hypothesis, text)
        if self.guard and not model_input.text.rstrip(_CLOSING).endswith(tuple(_STOPS)):
            text = _without_end(text)
        if is_all_caps(model_input.text):
            text = _in_capitals(text, segment)
        source = _with_terms(segment)
        checked = check_numbers(source, text, self.target, self.source)
        spans_and_terms = (iter([model_input.spans[number] for number in order]), iter(terms))
        spans = [
            next(spans_and_terms[symbol == DIVIDER])
            for symbol in ANY_PLACEHOLDER.findall(checked.text)
        ]
        target = MaskedText(checked.text.replace(DIVIDER, PLACEHOLDER), spans)
        placed = {span.text for span in terms}
        lost = [found.term for found in segment.replacing if found.term.target not in placed]
        notes = (
            *checked.notes,
            *self._losses(segment, source, checked.text),
            *map(lost_term, lost),
        )
        hangs_on = self._hangs_on_term(segment, hypothesis, said)
        return Output(hypothesis, said, target, notes, checked.differs, hangs_on)

    def write(
        self, segment: Segment, output: Output, doubts: Sequence[str] = ()
    ) -> SegmentTranslation | None:
        """Return the translation of a segment from a hypothesis, or None if it lost a span.

        `doubts` are added to the notes.
        """
        if not output.said:
            return self.keep_source(segment, output.hypothesis, "the model said nothing")
        placed = self._place_spans(segment, output)
        if placed is None:
            return None
        notes = (*segment.notes, *output.notes, *doubts)
        confidence = self._confidence(output.hypothesis, notes)
        if confidence is not None and confidence < self.min_confidence:
            return self._untranslated(segment, output.hypothesis, confidence)
        text = restore(*placed)
        if self._has_lost_spans(segment, text):
            return None
        return SegmentTranslation(
            restore(*segment.masked),
            segment.ids,
            text,
            output.hypothesis,
            segment.separator,
            self._alignment(segment, placed, output.hypothesis),
            confidence,
            notes,
        )

    def pass_through(self, segment: Segment) -> SegmentTranslation:
        """Return a segment that the model does not read, unchanged, as its own translation."""
        text = restore(*as_written(segment.masked))
        source = restore(*segment.masked)
        return SegmentTranslation(source, (), text, None, segment.separator, notes=segment.notes)

    def keep_source(self, segment: Segment, failed: Hypothesis, reason: str) -> SegmentTranslation:
        """Return the source with only its terms translated, as no translation was acceptable."""
        source = restore(*segment.masked)
        confidence = None if self.calibration is None else 0.0
        kept = restore(_with_terms_amid_inline_tags(segment), segment.spans)
        text = source.join(_MARKS) if self.min_confidence and confidence == 0.0 else kept
        notes = (*segment.notes, f"{reason}; the source text was kept")
        return SegmentTranslation(
            source, segment.ids, text, failed, segment.separator, (), confidence, notes
        )

    def _untranslated(
        self, segment: Segment, hypothesis: Hypothesis, confidence: float
    ) -> SegmentTranslation:
        """Return the source between marks, since the confidence is below the minimum."""
        source = restore(*segment.masked)
        return SegmentTranslation(
            source,
            segment.ids,
            source.join(_MARKS),
            hypothesis,
            segment.separator,
            (),
            confidence,
            (f"left untranslated: confidence {confidence:.2f}",),
        )

    def _place_spans(self, segment: Segment, output: Output) -> MaskedText | None:
        """Put all spans of the segment into the text; return None if one is lost or doubled."""
        if output.target is None or not segment.spans:
            return output.target
        from seq2seq.text.inline_tags import place  # few texts need it

        words = self._word_alignment(segment, output.hypothesis, from_source=True)
        placed = place(segment.masked, output.target, words)
        return None if placed is None else as_written(placed)

    def _losses(self, segment: Segment, source: str, text: str) -> Iterator[str]:
        """Yield a note on each unit, term or bracket that the translation lost."""
        for word in lost_units(source, text):
            yield f"the unit {word!r} is not in the translation"
        for found in segment.terms:
            if not found.term.is_in(text):
                yield lost_term(found.term)
        if self.guard and is_unbalanced(text) and not is_unbalanced(segment.model_input.text):
            yield "a bracket or quotation mark has lost its other half"

    def _names_copied(self, segment: Segment, hypothesis: Hypothesis, said: str) -> str:
        """Correct names that the model misspelled: it spells those that it does not know.

        Kansai, for example, and not Kanaiai. Such names have many subwords in both languages.
        """
        text = segment.model_input.text
        terms = [*segment.terms, *segment.replacing]
        names = [
            name
            for name in names_not_learnt(text, self.source, self._pieces)
            if not has_name(said, name[0])
            and not any(start <= name.start() < end for _, start, end in terms)
        ]
        if not names or not WITHOUT_SPACES.isdisjoint((self.source, self.target)):
            return said
        words = [*_WORD.finditer(said)]
        pieces = self.tokenizer.pieces(hypothesis.ids)
        sizes = Counter(word_numbers(pieces))
        chosen = words_made_from(
            [words_between(text, *name.span()) for name in names],
            hypothesis.attention,
            self.tokenizer.pieces(segment.ids),
            pieces,
            words_that_stay(segment, said),
        )
        spelled = [
            (*_letters(words[number]), name[0])
            for name, number in zip(names, chosen, strict=True)
            if number is not None and number < len(words) and sizes[number] >= _SPELLED
        ]
        for start, end, name in sorted(spelled, reverse=True):
            said = said[:start] + name + said[end:]
        return said

    def _pieces(self, word: str) -> int:
        return len(self.tokenizer.encode([word])[0])

    def _terms_placed(
        self, segment: Segment, hypothesis: Hypothesis, said: str
    ) -> tuple[str, list[Span]]:
        """Put a `DIVIDER` in place of the words made from terms; return the terms in that order.

        Punctuation around a word stays, and so does an elided article: l'école. A term is left
        out if there is no word left that it could replace.
        """
        if not segment.replacing:
            return said, []
        words = [*_WORD.finditer(said)]
        source = segment.model_input.text
        chosen = words_made_from(
            [words_between(source, start, end) for _, start, end in segment.replacing],
            hypothesis.attention,
            self.tokenizer.pieces(segment.ids),
            self.tokenizer.pieces(hypothesis.ids),
            words_that_stay(segment, said),
        )
        placed = [
            (*_letters(words[number]), Span(found.term.target, False, _NO_NUMBER, "term"))
            for found, number in zip(segment.replacing, chosen, strict=True)
            if number is not None and number < len(words)
        ]
        placed.sort()
        text: list[str] = []
        behind = 0
        for start, end, _ in placed:
            text += said[behind:start], DIVIDER
            behind = end
        return "".join([*text, said[behind:]]), [span for *_, span in placed]

    def _hangs_on_term(self, segment: Segment, hypothesis: Hypothesis, said: str) -> bool:
        """Return whether the text ends in a forced glossary term that does not fit there.

        It does not fit if the model attended to something else in the source as it began the term.
        """
        if not segment.terms or not WITHOUT_SPACES.isdisjoint((self.source, self.target)):
            return False
        end = said.rstrip(_STOPS + _CLOSING).casefold()
        source_words = word_numbers(self.tokenizer.pieces(segment.ids))
        words = word_numbers(self.tokenizer.pieces(hypothesis.ids))
        for term, start, stop in segment.terms:
            form = next((form for form in term.forms if end.endswith(form.casefold())), "")
            if not form or end == form.casefold():
                continue
            first = max(words) + 1 - len(form.split())
            own = words_between(segment.model_input.text, start, stop)
            columns = [column for column, word in enumerate(source_words) if word in own]
            looks = hypothesis.attention[words.index(first)]
            look = looks[columns].sum()
            if look < _LEAST_LOOK and looks.max() > looks[columns].max():
                return True
        return False

    def _has_lost_spans(self, segment: Segment, text: str) -> bool:
        """Return whether masking the translation finds other spans than the source has."""
        spans = [
            span for span in as_written(segment.masked).spans if span.kind not in SENTENCE_KINDS
        ]
        return bool(spans) and not _same_spans(spans, self.protection.mask(text).spans)

    def _alignment(
        self, segment: Segment, placed: MaskedText, hypothesis: Hypothesis
    ) -> WordAlignment:
        if not self.keep_alignment:
            return ()
        words = self._word_alignment(segment, hypothesis)
        return unmasked_alignment(words, segment.masked, placed)

    def _word_alignment(
        self, segment: Segment, hypothesis: Hypothesis, from_source: bool = False
    ) -> WordAlignment:
        source, target = (self.tokenizer.pieces(ids) for ids in (segment.ids, hypothesis.ids))
        return word_alignment(hypothesis.attention, source, target, from_source)

    def _confidence(self, hypothesis: Hypothesis, notes: Sequence[str]) -> float | None:
        """Return the calibrated confidence, halved for each note, since a note is a doubt."""
        if self.calibration is None:
            return None
        promised = self.calibration.confidence(mean_log_prob(hypothesis))
        return float(promised * _DOUBTED ** len(notes))


def lost_term(term: "Term") -> str:
    """Return the note on a term of which the translation has no form."""
    forms = " or ".join(map(repr, term.forms))
    return f"the term {forms} is not in the translation"


def mean_log_prob(hypothesis: Hypothesis) -> float:
    """Return the mean log-probability per token, EOS included, the input of a `Calibration`."""
    return hypothesis.log_prob / (len(hypothesis.ids) + 1)


def _with_terms(segment: Segment) -> str:
    """Return the model's input with each term replaced by its translation."""
    text = segment.model_input.text
    for term, start, end in reversed(segment.terms):
        text = text[:start] + term.target + text[end:]
    return text


def _with_terms_amid_inline_tags(segment: Segment) -> str:
    """Return the text with its terms translated, and the inline tags of a term after it."""
    text = segment.text
    places = [place for place, letter in enumerate(text) if letter != INLINE_TAG]
    for term, start, end in reversed(segment.all_terms):
        first, behind = places[start], places[end - 1] + 1
        tags = INLINE_TAG * text.count(INLINE_TAG, first, behind)
        text = text[:first] + term.target + tags + text[behind:]
    return text


def _in_capitals(text: str, segment: Segment) -> str:
    """Return the text in capitals, except for terms, which stay as in the glossary."""
    text = text.upper()
    for term in dict.fromkeys(form for found in segment.terms for form in found.term.forms):
        as_word = rf"(?<!\w){re.escape(term.upper())}(?!\w)"
        text = re.sub(as_word, term.replace("\\", r"\\"), text)
    return text


def _same_spans(spans: Sequence[Span], found: Sequence[Span]) -> bool:
    """Return whether the translation has the spans of the source.

    `found` are the spans of the translation. Of the kinds that are not inline it must have no
    others. It may have an inline tag more often, since the model may write what looks like one.
    """
    held = {span.kind for span in spans if not span.is_inline}
    wanted, there = Counter(span.text for span in spans), Counter(span.text for span in found)
    strange = any(
        not span.is_inline and span.kind in held and span.text not in wanted for span in found
    )
    return not strange and all(there[text] >= number for text, number in wanted.items())


def words_that_stay(segment: Segment, said: str) -> list[int]:
    """List the numbers of the words that no term may replace: spans and terms already said."""
    forms = {form for found in segment.terms for form in found.term.forms}
    terms = map(re.escape, sorted(forms, key=len, reverse=True))
    held = [m.span() for m in re.finditer("|".join([PLACEHOLDER, *terms]), said, re.IGNORECASE)]
    return [
        number
        for number, word in enumerate(_WORD.finditer(said))
        if any(start < word.end() and end > word.start() for start, end in held)
    ]


def _letters(word: re.Match[str]) -> tuple[int, int]:
    """Return where a word begins and ends, without punctuation around it and an elided article."""
    inside = [place for place, letter in enumerate(word[0]) if letter.isalnum()]
    if not inside:
        return word.span()
    elided = _ELIDED.match(word[0], inside[0])
    start = elided.end() if elided else inside[0]
    return word.start() + start, word.start() + inside[-1] + 1


def _without_end(text: str) -> str:
    """Remove the full stop or other final marks, which the source does not have."""
    bare = text.rstrip(f"{_STOPS} ")
    return bare.lstrip("¿¡") if bare != text and bare else text


def is_unbalanced(text: str) -> bool:
    """Return whether a bracket or double quotation mark is unpaired.

    Straight and curly quotation marks in one text are no pairs: „so".
    """
    if not _PAIRED.search(text):
        return False
    straight, curly = text.count('"'), sum(map(text.count, "„“”«»"))
    return (
        (straight + curly) % 2 == 1
        or (straight > 0 and curly > 0)
        or any(text.count(left) != text.count(right) for left, right in _BRACKETS)
    )
