"""Translation memory: reuse translations that people made, and point out similar ones."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from seq2seq.errors import Seq2SeqError, UsageError, require_extra
from seq2seq.text.masking import ANY_PLACEHOLDER, Span, mask, mask_numbers, restore
from seq2seq.text.numbers import NUMBER, localised_amount, number_value
from seq2seq.translation.base import BaseTranslator, TranslateOptions
from seq2seq.translation.result import Candidate, Translation
from seq2seq.translation.translate_once import searched_once

if TYPE_CHECKING:
    from seq2seq.config.model_config import Direction, SearchConfig

LEAST_SIMILARITY = 0.75
"""Similarity from which a match is mentioned; translators find lower ones of little use."""
LOWEST_SIMILARITY = 0.5
"""Lowest similarity for which a match may be used as the translation."""
_MOST_CHARACTERS = 20_000_000
"""Maximum length of all sources together; building the index takes some 15 bytes for each."""
_GRAM = 3  # characters
_COMPARED = 2000  # segments compared with a text: those that share most with it
_TRIED = 5  # most similar segments that are tried, until one translation can be adapted
_LONGEST = 2000  # characters; longer texts are not compared
_NUMERIC = ("number", "amount")  # kinds of spans
_CAPITALISES_NOUNS = ("de", "lb")
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[^\W\d_]")

FROM_MEMORY = "from the memory"
"""The beginning of the note on a translation from the memory."""

Pairs = Iterable[tuple[str, str]]


class Similar(NamedTuple):
    """A segment of the memory that is similar to a text."""

    similarity: float  # from 0 to 1
    source: str
    target: str

    @property
    def note(self) -> str:
        """Return the note that mentions this segment."""
        percent = int(100 * self.similarity)  # rounded down: 100% must be exact
        source, target = _on_one_line(self.source), _on_one_line(self.target)
        return f'the memory has {percent}% of it: "{source}" is "{target}"'

    @property
    def note_if_taken(self) -> str:
        """Return the note on a translation that was taken from this segment."""
        return (
            f'{FROM_MEMORY}, {int(100 * self.similarity)}% match of "{_on_one_line(self.source)}"'
        )


class _Segment(NamedTuple):
    """A text of the memory and its translation."""

    source: str
    target: str


class TranslationMemory:
    """Finds the translations of identical and similar texts in a translation memory.

    Texts count as identical if they differ only in white space, the case of the first letter,
    numbers and placeholders; numbers and placeholders are exchanged in the translation. If a text
    has several translations, the most frequent one is used; of equally frequent ones, the last.
    Similar texts have a Levenshtein distance, numbers and placeholders aside, of at most a quarter
    of the length of the longer one.
    """

    def __init__(self, pairs: Pairs, source: str = "", target: str = "") -> None:
        """Index pairs of a text and its translation; `source` and `target` are language codes.

        Raises `Seq2SeqError` if the sources have more than 20 million characters.
        """
        require_extra("rapidfuzz", "a translation memory", "documents")
        self._source, self._target = source, target
        self._by_key = defaultdict[str, Counter[_Segment]](Counter)
        size = 0
        for pair in pairs:
            segment = _Segment(*(text.strip() for text in pair))
            if not (segment.source and segment.target):
                continue
            key, _ = _key(segment.source)
            counts = self._by_key[key]
            size += len(segment.source) if segment not in counts else 0
            if size > _MOST_CHARACTERS:
                raise Seq2SeqError(
                    f"the translation memory has more than {_MOST_CHARACTERS:,} characters; "
                    "divide it."
                )
            counts[segment] = counts.pop(segment, 0) + 1  # moves it to the end
        self._keys = [*self._by_key]
        self._grams = _GramIndex(self._keys)

    def __len__(self) -> int:
        return sum(map(len, self._by_key.values()))

    def exact(self, text: str) -> str | None:
        """Return the memory's translation of an identical text, or None."""
        key, _ = _key(text.strip())
        adapted = self._adapted(key, text)
        return adapted.target if adapted else None

    def fuzzy(self, text: str, least: float = LEAST_SIMILARITY) -> Similar | None:
        """Return the most similar segment, its translation adapted to `text`, or None.

        Adapting exchanges numbers and placeholders; segments where that is uncertain are skipped.
        `least` is the lowest similarity.
        """
        for key, similarity in self._nearest(text, least):
            adapted = self._adapted(key, text)
            if adapted:
                return Similar(similarity, *adapted)
        return None

    def similar(self, text: str, least: float = LEAST_SIMILARITY) -> Similar | None:
        """Return the most similar segment with a similarity of at least `least`, or None."""
        for key, similarity in self._nearest(text, least):
            return Similar(similarity, *self._best(key, text)[0])
        return None

    def _nearest(self, text: str, least: float) -> list[tuple[str, float]]:
        """Return the keys most similar to the key of `text`, with their similarity, best first."""
        from rapidfuzz import process
        from rapidfuzz.distance import Levenshtein

        key, _ = _key(text.strip())
        if not key or len(key) > _LONGEST:
            return []
        nearest = process.extract(
            key,
            [self._keys[number] for number in self._grams.nearest(key, least)],
            scorer=Levenshtein.normalized_similarity,
            score_cutoff=least,
            limit=_TRIED,
        )
        return [(key, similarity) for key, similarity, _ in nearest]

    def _adapted(self, key: str, text: str) -> _Segment | None:
        """Return a segment with this key, its translation adapted to `text`, or None."""
        core = text.strip()
        before, _, after = text.partition(core)
        _, spans = _key(core)
        for segment in self._best(key, core):
            translation = self._exchanged(segment, spans)
            if translation is not None:
                cased = self._cased(translation, segment.source, core)
                return _Segment(segment.source, before + cased + after)
        return None

    def _best(self, key: str, text: str) -> list[_Segment]:
        """Return the segments with this key: first those whose source is `text`, then by count."""
        counts = self._by_key.get(key, Counter())
        segments = [*enumerate(counts.items())]
        segments.sort(key=lambda item: (item[1][0].source == text, item[1][1], item[0]))
        return [segment for _, (segment, _) in reversed(segments)]

    def _exchanged(self, segment: _Segment, spans: Sequence[Span]) -> str | None:
        """Return a segment's translation with `spans` in place of those of its source.

        Return None where that is uncertain: if the source has a different number of spans, if the
        translation does not have exactly the same ones, or if two equal spans now differ.
        """
        _, old = _key(segment.source)
        if len(old) != len(spans):
            return None
        if [span.text for span in old] == [span.text for span in spans]:
            return segment.target
        exchanged = dict[str, Span]()
        for before, after in zip(old, spans, strict=True):
            if exchanged.setdefault(_value(before), after).text != after.text:
                return None
        masked = mask_numbers(mask(segment.target))
        counts = Counter(map(_value, masked.spans))
        if counts != Counter(map(_value, old)):
            return None
        return restore(
            masked.text,
            [
                span._replace(text=self._written(span, exchanged[_value(span)]))
                for span in masked.spans
            ],
        )

    def _written(self, old: Span, new: Span) -> str:
        """Write a span in the target language's notation; an unchanged number stays as it was."""
        if _value(old) == _value(new):
            return old.text
        if new.kind in _NUMERIC:
            return localised_amount(new.text, self._target, self._source)
        return new.text

    def _cased(self, translation: str, source: str, text: str) -> str:
        """Begin the translation with a capital or not, as `text` does, if `source` differs."""
        ours, theirs, first = map(_first_letter, (text, source, translation))
        if not (ours and theirs and first) or ours[0].isupper() == theirs[0].isupper():
            return translation
        if ours[0].islower() and self._target.split("-")[0] in _CAPITALISES_NOUNS:
            return translation  # it may be a noun
        letter = first[0].upper() if ours[0].isupper() else first[0].lower()
        return translation[: first.start()] + letter + translation[first.end() :]


def _key(text: str) -> tuple[str, Sequence[Span]]:
    """Return the key that identical texts share, and the spans that the key leaves out."""
    masked = mask(text if text.isascii() else unicodedata.normalize("NFC", text))
    if _DIGIT.search(masked.text):
        masked = mask_numbers(masked)
    plain = " ".join(masked.text.split())
    first = _LETTER.search(plain)
    if first:
        plain = plain[: first.start()] + first[0].lower() + plain[first.end() :]
    return plain, masked.spans


def _first_letter(text: str) -> re.Match[str] | None:
    """Find the first letter of a text; return None if a span precedes it, as in `{name}`."""
    plain = mask(text).text
    letter = _LETTER.search(plain)
    return letter if letter and not ANY_PLACEHOLDER.search(plain, 0, letter.start()) else None


def _value(span: Span) -> str:
    """Return the value of a span, which is independent of its notation."""
    if span.kind in _NUMERIC:
        return NUMBER.sub(lambda number: number_value(number[0]), span.text)
    return span.text


class _GramIndex:
    """Finds texts that may be similar to a given one: those that share enough trigrams.

    One edit changes at most three trigrams of a text, so two similar texts must have some in
    common (Ukkonen 1992, "Approximate string-matching with q-grams").
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._lengths = np.array([len(text) for text in texts], dtype=np.int32)
        owners = np.repeat(np.arange(len(texts), dtype=np.int32), self._lengths)
        grams = _grams("".join(texts))
        inside = owners[: len(grams)] == owners[_GRAM - 1 :]  # no trigram spans two texts
        grams, owners = grams[inside], owners[: len(grams)][inside]
        order = np.argsort(grams, kind="stable")
        self._owners = owners[order]
        self._starts = np.searchsorted(grams[order], np.arange(2**16 + 1))

    def nearest(self, text: str, least: float) -> list[int]:
        """Return the numbers of texts whose similarity may reach `least`, most shared first."""
        lists = (
            self._owners[self._starts[gram] : self._starts[gram + 1]]
            for gram in np.unique(_grams(text)).tolist()
        )
        shared = np.bincount(
            np.concatenate([np.empty(0, np.int32), *lists]), minlength=len(self._lengths)
        )
        longer = np.maximum(self._lengths, len(text))
        shorter = np.minimum(self._lengths, len(text))
        edits = np.floor((1 - least) * longer + 1e-9)
        needed = longer - (_GRAM - 1) - _GRAM * edits
        possible = (shared >= needed) & (longer - shorter <= edits)
        numbers = np.flatnonzero(possible)
        if len(numbers) > _COMPARED:
            closeness = shared[numbers] / longer[numbers]
            numbers = numbers[np.argsort(-closeness, kind="stable")[:_COMPARED]]
        found: list[int] = numbers.tolist()
        return found


def _grams(text: str) -> "np.ndarray[tuple[int], np.dtype[np.uint16]]":
    """Return a 16-bit hash of each trigram."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if len(codes) < _GRAM:
        return np.empty(0, np.uint16)
    mixed = codes[:-2] * np.uint32(0x9E3779B1)
    mixed ^= codes[1:-1] * np.uint32(0x85EBCA6B)
    mixed ^= codes[2:] * np.uint32(0xC2B2AE35)
    return (mixed >> np.uint32(16)).astype(np.uint16)


@dataclass(frozen=True)
class MemoryTranslator(BaseTranslator):
    """Takes translations from a translation memory, and translates only what it does not have.

    from seq2seq import MemoryTranslator, TranslationMemory, Translator

    memory = TranslationMemory([("Open file", "Datei öffnen")], "en", "de")
    translator = MemoryTranslator(Translator(), memory)

    A translation from the memory has a note that says so. If the memory has only a similar text,
    a note shows that text and its translation.
    """

    translator: BaseTranslator
    memory: TranslationMemory
    least_similarity: float = 1.0
    """Similarity from which fuzzy matches are used, such as 0.75; with 1, only exact matches."""

    def __post_init__(self) -> None:
        """Raise `UsageError` if the similarity is out of range."""
        if not LOWEST_SIMILARITY <= self.least_similarity <= 1:
            raise UsageError(
                f"the least similarity of a match must be between {LOWEST_SIMILARITY} and 1."
            )

    @property
    def directions(self) -> "tuple[Direction, ...]":
        """See `BaseTranslator.directions`."""
        return self.translator.directions

    @property
    def direction(self) -> "Direction":
        """See `BaseTranslator.direction`."""
        return self.translator.direction

    @property
    def search(self) -> "SearchConfig":
        """See `BaseTranslator.search`."""
        return self.translator.search

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """See `BaseTranslator.stream`."""
        self.translator.stream((), options)  # raises if the options do not fit
        return searched_once(
            lines,
            lambda texts: self._noted(texts, options),
            lambda text: self._known(text, options),
        )

    def _noted(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """Translate lines that the memory does not have; add a note on the most similar segment."""
        for translation in self.translator.stream(lines, options):
            yield _with_note(translation, self.memory.similar(translation.source))

    def _known(self, line: str, options: TranslateOptions) -> Translation | None:
        """Return the memory's translation of a line, if there is one and the options allow it."""
        if options.sampling is not None or not _LETTER.search(ANY_PLACEHOLDER.sub("", line)):
            return None
        text, match, note = self.memory.exact(line), 1.0, FROM_MEMORY
        if text is None and self.least_similarity < 1:
            fuzzy = self.memory.fuzzy(line, self.least_similarity)
            if fuzzy:
                text, match, note = fuzzy.target, fuzzy.similarity, fuzzy.note_if_taken
        if text is None or not text.startswith(options.prefix):
            return None
        if options.unit == "line":
            text = " ".join(text.splitlines())
        return Translation(line, (Candidate(text, 0.0, None, (note,), (), match),))


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _with_note(translation: Translation, similar: Similar | None) -> Translation:
    if similar is None:
        return translation
    best, *others = translation.candidates
    best = replace(best, notes=(*best.notes, similar.note))
    return replace(translation, candidates=(best, *others))
