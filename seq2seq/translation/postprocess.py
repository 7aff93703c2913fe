"""What the search found back to text: spans in their places, numbers looked over."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seq2seq.confidence import Calibration
from seq2seq.config.model_config import SearchConfig
from seq2seq.search.beam import Hypothesis, longest_length
from seq2seq.search.repetition import loops
from seq2seq.text.alignment import (
    WordAlignment,
    unmasked_alignment,
    word_alignment,
    word_numbers,
    words_made_from,
)
from seq2seq.text.casing import KNOWN_PIECES, is_all_caps, is_title_case
from seq2seq.text.masking import (
    ANY_PLACEHOLDER,
    DIVIDER,
    INLINE_TAG,
    PLACEHOLDER,
    MaskedText,
    Protection,
    Span,
    as_written,
    restore,
)
from seq2seq.text.numbers import check_numbers, lost_units
from seq2seq.tokenizer import Tokenizer
from seq2seq.translation.checks import failure, is_unbalanced, negation_differs
from seq2seq.translation.preprocess import WITHOUT_SPACES, Piece, words_between
from seq2seq.translation.result import Part

_PLACEHOLDER_SYMBOL = re.compile(r"<ph(\d+)>")
_WORD = re.compile(r"\S+")
_NAME = re.compile(r"(?<=[\w,.;] )[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]{2,}\b")
_CAPITAL_NOUNS = ("de", "lb")  # languages where a capital is no sign of a name
_SPELLED = 4  # subwords of a word that a model puts together
_ELIDED = re.compile(r"\w{1,2}['’](?=\w)")
_STOPS = ".!?…。！？"
_CLOSING = " \"'”’“»)]"
_NO_NUMBER = -2  # of a term, which is no span of the source
_INNER_END = re.compile(r"[.!?…]\s+(?=\S)")
_DOUBTED = 0.5  # what each note leaves of the confidence
_MARKS = "⟦", "⟧"
"""Around what was left untranslated."""


class Judgement(NamedTuple):
    """What is known against a hypothesis."""

    failure: str | None = None  # why it is no translation, or None where it may be one
    negation_differs: bool = (
        False  # whether a negation is in the source or in the translation alone
    )
    changes_numbers: bool = False  # whether a number is lost, or new


@dataclass(frozen=True)
class Writer:
    """Writes translations."""

    tokenizer: Tokenizer
    source: str  # the language
    target: str  # likewise
    calibration: Calibration | None
    min_confidence: float
    search: SearchConfig
    keep_alignment: bool
    guard: bool
    protection: Protection

    def write(self, piece: Piece, hypotheses: Sequence[Hypothesis], n_best: int) -> list[Part]:
        """What may become of a piece, the best first, each text once.

        Nothing where all hypotheses have lost or doubled a span.
        """
        source = restore(*piece.masked)
        if not piece.ids:
            written = restore(*as_written(piece.masked))
            return [Part(source, (), written, None, piece.separator, notes=piece.notes)]
        parts: dict[str, Part] = {}
        for hypothesis in hypotheses:
            part = self._part(piece, source, hypothesis)
            if part and len(parts) < n_best:
                parts.setdefault(part.text, part)
        return [*parts.values()]

    def judge(self, piece: Piece, hypothesis: Hypothesis, constrained: int) -> Judgement:
        """Tell whether a hypothesis can be a translation of `piece`.

        `constrained` is the number of ids that it had to contain, for which it may be longer.
        """
        if not self.guard:
            return Judgement()
        if len(hypothesis.ids) + 1 >= longest_length(len(piece.ids), self.search) + constrained:
            return Judgement("came to its longest length")
        if loops(piece.ids, hypothesis.ids):
            return Judgement("repeats itself")
        if self._changes_places(piece, hypothesis):
            return Judgement("has a placeholder in place of another")
        source = piece.inner.text
        text = _PLACEHOLDER_SYMBOL.sub(PLACEHOLDER, self._decoded(hypothesis))
        if len(_WORD.findall(text)) - len(_words_that_stay(piece, text)) < len(piece.replacing):
            return Judgement("is too short for its glossary")
        if _hangs_on(piece, text):
            return Judgement("has a term behind its end")
        return Judgement(
            failure(source, text),
            negation_differs(source, text, self.source, self.target),
            check_numbers(_with_terms(piece), text, self.target, self.source).differs,
        )

    def unchanged(self, piece: Piece, failed: Hypothesis) -> list[Part]:
        """The source itself, but for its terms, where no search has found a translation."""
        source = restore(*piece.masked)
        kept = restore(_with_terms_amid_inline_tags(piece), piece.spans)
        notes = (*piece.notes, "no translation was found, and the source stands")
        confidence = None if self.calibration is None else 0.0
        text = source.join(_MARKS) if self.min_confidence and confidence == 0.0 else kept
        return [Part(source, piece.ids, text, failed, piece.separator, (), confidence, notes)]

    def _changes_places(self, piece: Piece, hypothesis: Hypothesis) -> bool:
        """Whether a placeholder was said while the model looked at another one."""
        if piece.inner.text.count(PLACEHOLDER) < 2:
            return False
        symbols = {*self.tokenizer.placeholder_ids()}
        columns = [place for place, id_ in enumerate(piece.ids) if id_ in symbols]
        for step, id_ in enumerate(hypothesis.ids):
            if id_ in symbols and id_ in piece.ids:
                looks = hypothesis.attention[step]
                if looks[piece.ids.index(id_)] < looks[columns].max():
                    return True
        return False

    def _decoded(self, hypothesis: Hypothesis) -> str:
        # A model may spell one in bytes.
        return ANY_PLACEHOLDER.sub("", self.tokenizer.decode(hypothesis.ids)).strip()

    def _part(self, piece: Piece, source: str, hypothesis: Hypothesis) -> Part | None:
        numbers: list[int] = []

        def placeholder(match: re.Match[str]) -> str:
            numbers.append(int(match[1]))
            return PLACEHOLDER

        inner = piece.inner
        decoded = self._decoded(hypothesis)
        # Without spans the symbols can only be letters that the model put together.
        written = _PLACEHOLDER_SYMBOL.sub(placeholder, decoded) if inner.spans else decoded
        notes = piece.notes
        if not written:  # the source stands, not a hole
            written, numbers = inner.text, [*range(len(inner.spans))]
            notes = (*notes, "the model has nothing to say, and the source stands")
        if sorted(numbers) != [*range(len(inner.spans))]:
            return None
        if self.guard:
            written = self._names_copied(piece, hypothesis, written)
        written, terms = self._terms_placed(piece, hypothesis, written)
        if self.guard and not inner.text.rstrip(_CLOSING).endswith(tuple(_STOPS)):
            written = _without_end(written)
        if is_all_caps(inner.text):
            written = _in_capitals(written, piece)
        read = _with_terms(piece)
        checked = check_numbers(read, written, self.target, self.source)
        lost = (*_lost_units(read, checked.text), *_missing_terms(piece, checked.text))
        if self.guard and is_unbalanced(checked.text) and not is_unbalanced(inner.text):
            lost = (*lost, "a bracket or quotation mark has lost its other half")
        notes = (*notes, *checked.notes, *lost)
        coming, placed_terms = iter(numbers), iter(terms)
        spans = [
            next(placed_terms) if symbol == DIVIDER else inner.spans[next(coming)]
            for symbol in ANY_PLACEHOLDER.findall(checked.text)
        ]
        target = MaskedText(checked.text.replace(DIVIDER, PLACEHOLDER), spans)
        placed: MaskedText | None = target
        if piece.spans:
            from seq2seq.text.inline_tags import place  # few texts need it

            placed = place(piece.masked, target, self._links(piece, hypothesis, from_source=True))
        if placed is None:
            return None
        placed = as_written(placed)
        if self.guard and negation_differs(inner.text, written, self.source, self.target):
            notes = (*notes, "a negation is in the source or in the translation alone")
        confidence = self._confidence(hypothesis, notes)
        if confidence is not None and confidence < self.min_confidence:
            told = f"left untranslated: a confidence of {confidence:.2f}"
            marked = source.join(_MARKS)
            return Part(
                source, piece.ids, marked, hypothesis, piece.separator, (), confidence, (told,)
            )
        links: WordAlignment = ()
        if self.keep_alignment:
            links = unmasked_alignment(self._links(piece, hypothesis), piece.masked, placed)
        text = restore(*placed)
        wanted = [span for span in as_written(piece.masked).spans if span.kind != "number"]
        if wanted and not _same_spans(wanted, self.protection.mask(text).spans):
            return None
        return Part(source, piece.ids, text, hypothesis, piece.separator, links, confidence, notes)

    def _names_copied(self, piece: Piece, hypothesis: Hypothesis, written: str) -> str:
        """Copy a name that the model can only spell to where it was spelled otherwise.

        Kansai, not Kanaiai. A name is a word with a capital inside a sentence; it is spelled where
        it has many subwords, on both sides.
        """
        text = piece.inner.text
        found = [*piece.terms, *piece.replacing]
        names = [
            name
            for name in _NAME.finditer(text)
            if len(self.tokenizer.encode([name[0]])[0]) > KNOWN_PIECES
            and name[0] not in written
            and not any(start <= name.start() < end for _, start, end in found)
        ]
        strange = {self.source, self.target} & WITHOUT_SPACES or self.source in _CAPITAL_NOUNS
        if not names or strange or is_title_case(text):
            return written
        words = [*_WORD.finditer(written)]
        pieces = self.tokenizer.pieces(hypothesis.ids)
        sizes = Counter(word_numbers(pieces))
        chosen = words_made_from(
            [words_between(text, *name.span()) for name in names],
            hypothesis.attention,
            self.tokenizer.pieces(piece.ids),
            pieces,
            _words_that_stay(piece, written),
        )
        spelled = [
            (*_letters(words[number]), name[0])
            for name, number in zip(names, chosen, strict=True)
            if number is not None and number < len(words) and sizes[number] >= _SPELLED
        ]
        for start, end, name in sorted(spelled, reverse=True):
            written = written[:start] + name + written[end:]
        return written

    def _terms_placed(
        self, piece: Piece, hypothesis: Hypothesis, written: str
    ) -> tuple[str, list[Span]]:
        """Put a `DIVIDER` in place of the words made from terms, and list the terms in that order.

        Punctuation around a word stays, and an article joined to it: l'école.
        """
        if not piece.replacing:
            return written, []
        words = [*_WORD.finditer(written)]
        chosen = words_made_from(
            [words_between(piece.inner.text, start, end) for _, start, end in piece.replacing],
            hypothesis.attention,
            self.tokenizer.pieces(piece.ids),
            self.tokenizer.pieces(hypothesis.ids),
            _words_that_stay(piece, written),
        )
        stops = len(written) - len(written.rstrip(f"{_STOPS} "))
        placed: list[tuple[int, int, Span]] = []
        for found, number in zip(piece.replacing, chosen, strict=True):
            start = end = len(written) - stops
            if number is not None and number < len(words):
                start, end = _letters(words[number])
            placed.append((start, end, Span(found.term.target, False, _NO_NUMBER, "term")))
        text: list[str] = []
        behind = 0
        for start, end, _ in sorted(placed):
            space = " " * (start == end)  # there was no word left
            text += written[behind:start], space, DIVIDER
            behind = end
        return "".join([*text, written[behind:]]), [span for *_, span in sorted(placed)]

    def _links(
        self, piece: Piece, hypothesis: Hypothesis, from_source: bool = False
    ) -> WordAlignment:
        source, target = (self.tokenizer.pieces(ids) for ids in (piece.ids, hypothesis.ids))
        return word_alignment(hypothesis.attention, source, target, from_source)

    def _confidence(self, hypothesis: Hypothesis, notes: Sequence[str]) -> float | None:
        """What its probability promises, halved by each note: a note is a reason for doubt."""
        if self.calibration is None:
            return None
        promised = self.calibration.confidence(mean_log_prob(hypothesis))
        return float(promised * _DOUBTED ** len(notes))


def mean_log_prob(hypothesis: Hypothesis) -> float:
    """Of a token, EOS counted: what a `Calibration` goes by."""
    return hypothesis.log_prob / (len(hypothesis.ids) + 1)


def _with_terms(piece: Piece) -> str:
    """What the model reads, but the terms as its translation has them."""
    text = piece.inner.text
    for term, start, end in reversed(piece.terms):
        text = text[:start] + term.target + text[end:]
    return text


def _with_terms_amid_inline_tags(piece: Piece) -> str:
    """The text of a piece, its terms as its translation has them, with their tags behind them."""
    text = piece.text
    places = [place for place, letter in enumerate(text) if letter != INLINE_TAG]
    for term, start, end in reversed(piece.all_terms):
        first, behind = places[start], places[end - 1] + 1
        tags = INLINE_TAG * text.count(INLINE_TAG, first, behind)
        text = text[:first] + term.target + tags + text[behind:]
    return text


def _in_capitals(text: str, piece: Piece) -> str:
    """In capitals, but for the terms, which are as the glossary has them."""
    text = text.upper()
    for term in dict.fromkeys(found.term.target for found in piece.terms):
        as_word = rf"(?<!\w){re.escape(term.upper())}(?!\w)"
        text = re.sub(as_word, term.replace("\\", r"\\"), text)
    return text


def _same_spans(spans: Sequence[Span], found: Sequence[Span]) -> bool:
    """Whether a reader of the translation has `found` its `spans`, none glued to a word.

    Of the kinds that are not inline it has no other. An inline tag may be there once more: what
    the model writes may look like it.
    """
    held = {span.kind for span in spans if not span.is_inline}
    wanted, there = Counter(span.text for span in spans), Counter(span.text for span in found)
    strange = any(
        not span.is_inline and span.kind in held and span.text not in wanted for span in found
    )
    return not strange and all(there[text] >= number for text, number in wanted.items())


def _hangs_on(piece: Piece, written: str) -> bool:
    """Whether a term stands alone behind the last full stop, in a source of one sentence."""
    if not piece.terms or _INNER_END.search(piece.inner.text):
        return False
    *_, last = _INNER_END.split(written.casefold())
    words = last.strip(" .!?…")
    return last != written.casefold() and any(
        words == found.term.target.casefold().strip(" .!?…") for found in piece.terms
    )


def _without_end(written: str) -> str:
    """Leave out the full stop of a sentence, or other marks, that its source has not."""
    bare = written.rstrip(f"{_STOPS} ")
    return bare.lstrip("¿¡") if bare != written and bare else written


def _words_that_stay(piece: Piece, written: str) -> list[int]:
    """The numbers of the words that no term may replace: spans, and terms that the search said."""
    said = [re.escape(found.term.target) for found in piece.terms]
    held = [m.span() for m in re.finditer("|".join([PLACEHOLDER, *said]), written, re.IGNORECASE)]
    return [
        number
        for number, word in enumerate(_WORD.finditer(written))
        if any(start < word.end() and end > word.start() for start, end in held)
    ]


def _letters(word: re.Match[str]) -> tuple[int, int]:
    """Where a word begins and ends without the marks around it, and without an elided article."""
    inside = [place for place, letter in enumerate(word[0]) if letter.isalnum()]
    if not inside:
        return word.span()
    elided = _ELIDED.match(word[0], inside[0])
    start = elided.end() if elided else inside[0]
    return word.start() + start, word.start() + inside[-1] + 1


def _lost_units(source: str, written: str) -> Iterator[str]:
    for word in lost_units(source, written):
        yield f"the unit {word!r} is not in the translation"


def _missing_terms(piece: Piece, written: str) -> Iterator[str]:
    text = written.casefold()
    for found in piece.terms:
        if found.term.target.casefold() not in text:
            yield f"the term {found.term.target!r} is not in the translation"
