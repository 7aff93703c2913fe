"""Decide whether a hypothesis is a failure, and whether it is doubtful.

A failure is no translation at all, however probable it is to the model: it says nothing, or repeats
itself. Source and translation are compared as the model reads and writes them: without inline tags,
and with a placeholder for every other span. To detect another kind of failure, add a check to
`CHECKS`.

`seq2seq.search.repetition` detects repetition in ids, where the search can rule it out. The checks
here look at words, since a loop may vary (Motter-Hotter-Hottel), and a repetition that is right in
ids (nous nous) may be wrong in words (Montag Montag). All of them take linear time.

If only one of the two texts is negated, the translation may say the opposite. The word lists of
four languages make that a hint, not a proof.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from seq2seq.config.model_config import SearchConfig
from seq2seq.search.beam import Hypothesis, longest_length
from seq2seq.search.repetition import loops
from seq2seq.text.masking import PLACEHOLDER
from seq2seq.translation.postprocess import PLACEHOLDER_SYMBOL, Output, words_that_stay
from seq2seq.translation.preprocess import Segment

_SIDE_BY_SIDE = re.compile(rf"{PLACEHOLDER}[^\w{PLACEHOLDER}]*(?={PLACEHOLDER})")

_INNER_END = re.compile(r"[.!?…]\s+(?=\S)")
_WORD = re.compile(  # where words have no spaces between them, each character counts as one
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\uabff\uf900-\ufaff\U00020000-\U0003ffff]"
    r"|[^\W_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\uabff\uf900-\ufaff"
    r"\U00020000-\U0003ffff]+"
)
_LEAST_LETTERS = 5  # of a phrase that must not repeat at once; shorter ones may: nous nous
_LONGEST_PHRASE = 8  # words
_LONGEST_RUN = 24  # characters
_LONG_CHUNK = re.compile(r"\S{12,}")  # shorter ones have too few trigrams to judge
_LEAST_NEW = 0.6  # share of distinct trigrams in a word that is no loop
_FORMAT = re.compile(r"(?<!\d)(?<!\d[ \xa0\u202f])%[A-Za-z]|\{\w*\}")  # and not 20%ige

_NEGATED = {
    "de": r"nicht|nein|kein\w*|nie|niemals|niemand\w*|nichts|nirgend\w*|weder|ohne|kaum",
    "en": r"not|no|\w+n['’]t|cannot|never|none|nor|neither|nobody|nothing|nowhere|without|hardly|"
    r"dis(?:agree|like|trust|believe|obey|approve)\w*",
    "es": r"no|nunca|jamás|nada|nadie|ning[uú]n\w*|sin|ni|tampoco|apenas",
    "fr": r"non|pas|rien|aucun\w*|sans|ni|personne\s(?:ne|n['’]\w+)|"
    r"(?:ne|n['’]\w+)\s[^.!?]{0,40}\b(?:jamais|personne|plus(?!\squ))",
}
_PERHAPS_NEGATED = {  # negated in some languages only, or only in some uses: Unfall, ne ... que
    "de": r"un\w{4,}|egal|erst",
    "en": r"un\w{4,}|im(?:possible|polite|patient)\w*|wrong",
    "es": r"im(?:posible)\w*",
    "fr": r"ne|n['’]\w+|jamais|impossible\w*|ignor\w+|fiche\w*",
}
_TAG_QUESTION = re.compile(r",\s(?:\w+n['’]t \w+|nicht wahr|nicht|n['’]est-ce pas|no) ?\?")


@cache
def negation(language: str) -> re.Pattern[str]:
    """Return what matches a word that negates a text."""
    return re.compile(rf"\b(?:{_NEGATED[language]})\b", re.IGNORECASE)


@cache
def possible_negation(language: str) -> re.Pattern[str]:
    """Return what matches a word that negates a text, or that may stand for one that does."""
    words = f"{_NEGATED[language]}|{_PERHAPS_NEGATED[language]}"
    return re.compile(rf"\b(?:{words})\b", re.IGNORECASE)


Check = Callable[[str, str], str | None]


class Verdict(NamedTuple):
    """What is wrong with a hypothesis."""

    failure: str | None = None  # why it is no translation; None: it may be one
    changes_numbers: bool = False  # a number was lost or added
    negation_differs: bool = False  # only the source or only the translation is negated
    has_misfit: bool = False  # a glossary term stands where it does not belong

    @property
    def doubts(self) -> tuple[bool, bool]:
        """Return a key that sorts the best hypotheses first."""
        return self.changes_numbers, self.negation_differs

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the notes that a reader of the translation should see."""
        return ("only the source or only the translation is negated",) * self.negation_differs


NO_VERDICT = Verdict()
"""Nothing is known to be wrong with a hypothesis."""


@dataclass(frozen=True)
class Checker:
    """Checks the hypotheses of a search."""

    source: str  # language
    target: str  # language
    search: SearchConfig
    placeholder_ids: frozenset[int]

    def check(self, segment: Segment, output: Output, forced: int = 0) -> Verdict:
        """Check a hypothesis of a segment.

        `forced` is the number of ids that the search was made to say: it may be longer by as many.
        """
        source = segment.model_input.text
        text = PLACEHOLDER_SYMBOL.sub(PLACEHOLDER, output.said)  # a model may spell one in letters
        longest = longest_length(len(segment.ids), self.search) + forced
        if len(output.hypothesis.ids) + 1 >= longest:
            return Verdict("reached the maximum length")
        if loops(segment.ids, output.hypothesis.ids):
            return Verdict("repeats itself")
        if self._swaps_placeholders(segment, output.hypothesis):
            return Verdict("swaps placeholders")
        replacing = len(segment.replacing)
        if replacing and len(text.split()) - len(words_that_stay(segment, text)) < replacing:
            return Verdict("is too short for its glossary")
        if output.hangs_on_term or _has_term_behind_end(segment, text):
            return Verdict("has a glossary term behind its end", has_misfit=True)
        return Verdict(
            failure(source, text),
            output.changes_numbers,
            negation_differs(source, text, self.source, self.target),
        )

    def _swaps_placeholders(self, segment: Segment, hypothesis: Hypothesis) -> bool:
        """Return whether a placeholder was said while the model attended to another one."""
        if segment.text.count(PLACEHOLDER) < 2:
            return False
        columns = [column for column, id_ in enumerate(segment.ids) if id_ in self.placeholder_ids]
        for id_, attention in zip(hypothesis.ids, hypothesis.attention, strict=True):
            if id_ in self.placeholder_ids and id_ in segment.ids:
                own = attention[segment.ids.index(id_)]
                if own < attention[columns].max():
                    return True
        return False


def _has_term_behind_end(segment: Segment, text: str) -> bool:
    """Return whether a term stands alone after the last full stop; source of one sentence only."""
    if not segment.terms or _INNER_END.search(segment.model_input.text):
        return False
    *_, last = _INNER_END.split(text.casefold())
    words = last.strip(" .!?…")
    forms = (form for found in segment.terms for form in found.term.forms)
    return last != text.casefold() and any(
        words == form.casefold().strip(" .!?…") for form in forms
    )


def failure(source: str, text: str) -> str | None:
    """Return why `text` cannot be a translation of `source`, or None.

    The reason completes "searched again, since the first translation ...".
    """
    for check in CHECKS:
        reason = check(source, text)
        if reason:
            return reason
    return None


def without_letters(source: str, text: str) -> str | None:
    """Fail if the source has letters and the translation has none."""
    says_something = any(map(str.isalpha, text)) or not any(map(str.isalpha, source))
    return None if says_something else "has no letters"


def repetition(source: str, text: str) -> str | None:
    """Fail if the translation repeats itself and the source does not."""
    return "repeats itself" if repeats_itself(source, text) else None


def side_by_side(source: str, text: str) -> str | None:
    """Fail if words between two placeholders were lost."""
    if PLACEHOLDER not in text:
        return None
    closer = len(_SIDE_BY_SIDE.findall(text)) > len(_SIDE_BY_SIDE.findall(source))
    return "has no words between placeholders" if closer else None


def new_placeholder(source: str, text: str) -> str | None:
    """Fail if the model made up a format placeholder, such as `%s` or `{name}`."""
    if not _FORMAT.search(text) or _FORMAT.search(source):
        return None
    return "has a placeholder that the source lacks"


CHECKS: tuple[Check, ...] = (without_letters, repetition, side_by_side, new_placeholder)


def negation_differs(source: str, text: str, source_language: str, target_language: str) -> bool:
    """Return whether one of the two texts is negated and the other cannot be.

    False if there is no word list for one of the languages.
    """
    if not (source_language in _NEGATED and target_language in _NEGATED):
        return False
    if "?" in source:
        source, text = _TAG_QUESTION.sub("?", source), _TAG_QUESTION.sub("?", text)
    if negation(source_language).search(source):
        return possible_negation(target_language).search(text) is None
    return (
        negation(target_language).search(text) is not None
        and possible_negation(source_language).search(source) is None
    )


def repeats_itself(source: str, text: str) -> bool:
    """Return whether `text`, a translation of `source`, repeats itself and `source` does not."""
    theirs = words_of(text)
    if len(theirs) > len(set(theirs)):  # few texts say a word twice
        ours = words_of(source)
        if (
            len(ours) == 1
            or phrase_repeats(theirs) > max(1, phrase_repeats(ours))
            or _most_often(theirs) > max(len(ours) / 2, _most_often(ours), 1)
        ):
            return True
    return _has_loop_in_word(text) and not _has_loop_in_word(source)


def words_of(text: str) -> list[str]:
    """Return the words of a text, casefolded and without punctuation."""
    return _WORD.findall(text.casefold())


def phrase_repeats(words: Sequence[str]) -> int:
    """Return the most times in a row that a phrase of at least five letters is said, at least 1."""
    if len(set(words)) == len(words):
        return 1
    most = 1
    for size in range(1, _LONGEST_PHRASE + 1):
        same = 0  # how many words in a row equal the word `size` positions earlier
        for i in range(size, len(words)):
            same = same + 1 if words[i] == words[i - size] else 0
            if same >= size and sum(map(len, words[i - size + 1 : i + 1])) >= _LEAST_LETTERS:
                most = max(most, same // size + 1)
    return most


def _most_often(words: Sequence[str]) -> int:
    """Return how often the commonest of the longer words occurs."""
    return max(Counter(word for word in words if len(word) >= _LEAST_LETTERS).values(), default=0)


def _has_loop_in_word(text: str) -> bool:
    """Return whether a long word, hyphens included, is little more than one repeated piece."""
    return any(map(_is_loop, _LONG_CHUNK.findall(text.casefold())))


def _stands_twice(chunk: str, size: int) -> bool:
    """Return whether `size` characters, one of them a letter, occur twice in a row."""
    same = 0
    for i in range(size, len(chunk)):
        same = same + 1 if chunk[i] == chunk[i - size] else 0
        if same == size:
            return any(map(str.isalpha, chunk[i - size + 1 : i + 1]))
    return False


def _is_loop(chunk: str) -> bool:
    threes = [chunk[i : i + 3] for i in range(len(chunk) - 2)]
    if len(set(threes)) == len(threes):  # the usual case: then nothing longer repeats either
        return False
    if any(_stands_twice(chunk, size) for size in range(_LEAST_LETTERS, _LONGEST_RUN + 1)):
        return True
    lettered = [three for three in threes if any(map(str.isalpha, three))]
    return len(lettered) * 2 > len(threes) and len(set(lettered)) < _LEAST_NEW * len(lettered)
