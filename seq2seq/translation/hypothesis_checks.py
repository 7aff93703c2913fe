"""What makes a hypothesis a failure, and what makes it doubtful.

A failure is no translation, however likely the model thinks it: nothing was said, or the same again
and again. Both texts are as the model reads and writes them: without inline tags, and with
a placeholder for every other span. A new kind of failure is a new check in `CHECKS`.

`seq2seq.search.repetition` sees repetition in ids, where the search can rule it out. But a loop may
have a changing piece (Motter-Hotter-Hottel), and what is said twice in a row may be right in ids
(nous nous) and wrong in words (Montag Montag). All of it takes linear time.

A translation that is negated where its source is not, or the other way round, may say the opposite.
The word lists of four languages make that a hint, not a proof.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
_LEAST_LETTERS = 5  # of a phrase that is not said twice in a row; shorter ones may: nous nous
_LONGEST_PHRASE = 8  # words
_LONGEST_RUN = 24  # characters
_LONG_CHUNK = re.compile(r"\S{12,}")  # shorter ones have few runs of three that could come back
_LEAST_NEW = 0.6  # of the runs of three letters in a word
_FORMAT = re.compile(r"(?<!\d)(?<!\d[ \xa0\u202f])%[A-Za-z]|\{\w*\}")  # and not 20%ige

_NEGATED = {
    "de": r"nicht|nein|kein\w*|nie|niemals|niemand\w*|nichts|nirgend\w*|weder|ohne|kaum",
    "en": r"not|no|\w+n['’]t|cannot|never|none|nor|neither|nobody|nothing|nowhere|without|hardly|"
    r"dis(?:agree|like|trust|believe|obey|approve)\w*",
    "es": r"no|nunca|jamás|nada|nadie|ning[uú]n\w*|sin|ni|tampoco|apenas",
    "fr": r"non|pas|rien|aucun\w*|sans|ni|personne\s(?:ne|n['’]\w+)|"
    r"(?:ne|n['’]\w+)\s[^.!?]{0,40}\b(?:jamais|personne|plus(?!\squ))",
}
_PERHAPS_NEGATED = {  # in one language and not in another, or not at all: Unfall, ne ... que
    "de": r"un\w{4,}|egal|erst",
    "en": r"un\w{4,}|im(?:possible|polite|patient)\w*|wrong",
    "es": r"im(?:posible)\w*",
    "fr": r"ne|n['’]\w+|jamais|impossible\w*|ignor\w+|fiche\w*",
}
_TAG_QUESTION = re.compile(r",\s(?:\w+n['’]t \w+|nicht wahr|nicht|n['’]est-ce pas|no) ?\?")


def _any_word_of(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b", re.IGNORECASE)


_IS_NEGATED = {language: _any_word_of(words) for language, words in _NEGATED.items()}
_MAY_BE_NEGATED = {
    language: _any_word_of(f"{words}|{_PERHAPS_NEGATED[language]}")
    for language, words in _NEGATED.items()
}

Check = Callable[[str, str], str | None]


class Verdict(NamedTuple):
    """What speaks against a hypothesis."""

    failure: str | None = None  # why it is no translation, or None where it may be one
    changes_numbers: bool = False  # a number is lost, or new
    negation_differs: bool = False  # only the source or only the translation is negated
    has_misfit: bool = False  # a term of the glossary stands where it does not belong

    @property
    def doubts(self) -> tuple[bool, bool]:
        """Return a key that sorts the best hypotheses first."""
        return self.changes_numbers, self.negation_differs

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader should know."""
        return ("only the source or only the translation is negated",) * self.negation_differs


NO_VERDICT = Verdict()
"""Nothing is known against a hypothesis."""


@dataclass(frozen=True)
class Checker:
    """Checks what a search has found."""

    source: str  # the language
    target: str  # likewise
    search: SearchConfig
    placeholder_ids: frozenset[int]

    def check(self, segment: Segment, output: Output, forced: int = 0) -> Verdict:
        """Check a hypothesis of a segment.

        `forced` is the number of ids that the search had to say: by so many it may be longer.
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
        """Tell whether a placeholder was said while the model looked at another one."""
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
    """Tell whether a term stands alone behind the last full stop, in a source of one sentence."""
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

    The words follow "searched again, since the first translation".
    """
    for check in CHECKS:
        reason = check(source, text)
        if reason:
            return reason
    return None


def without_letters(source: str, text: str) -> str | None:
    """Fail where nothing is said, and something was."""
    says_something = any(map(str.isalpha, text)) or not any(map(str.isalpha, source))
    return None if says_something else "has no letters"


def repetition(source: str, text: str) -> str | None:
    """Fail where the same is said again and again, and was not in the source."""
    return "repeats itself" if repeats_itself(source, text) else None


def side_by_side(source: str, text: str) -> str | None:
    """Fail where words between placeholders are lost, or say something else."""
    if PLACEHOLDER not in text:
        return None
    closer = len(_SIDE_BY_SIDE.findall(text)) > len(_SIDE_BY_SIDE.findall(source))
    return "has no words between placeholders" if closer else None


def new_placeholder(source: str, text: str) -> str | None:
    """Fail where the model has written what a program would put a value in place of."""
    if not _FORMAT.search(text) or _FORMAT.search(source):
        return None
    return "has a placeholder that the source lacks"


CHECKS: tuple[Check, ...] = (without_letters, repetition, side_by_side, new_placeholder)


def negation_differs(source: str, text: str, source_language: str, target_language: str) -> bool:
    """Tell whether one of the two is negated and the other cannot be.

    False where one of the languages has no list of words.
    """
    if not (source_language in _NEGATED and target_language in _NEGATED):
        return False
    if "?" in source:
        source, text = _TAG_QUESTION.sub("?", source), _TAG_QUESTION.sub("?", text)
    if _IS_NEGATED[source_language].search(source):
        return _MAY_BE_NEGATED[target_language].search(text) is None
    return (
        _IS_NEGATED[target_language].search(text) is not None
        and _MAY_BE_NEGATED[source_language].search(source) is None
    )


def repeats_itself(source: str, text: str) -> bool:
    """Tell whether `text` repeats itself where `source`, which it was made from, does not."""
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
    """Give the words, without case and punctuation."""
    return _WORD.findall(text.casefold())


def phrase_repeats(words: Sequence[str]) -> int:
    """Count how often a phrase of some letters stands in a row, at most: 1 without repetition."""
    if len(set(words)) == len(words):
        return 1
    most = 1
    for size in range(1, _LONGEST_PHRASE + 1):
        same = 0  # how many words equal those `size` places before, in a row
        for i in range(size, len(words)):
            same = same + 1 if words[i] == words[i - size] else 0
            if same >= size and sum(map(len, words[i - size + 1 : i + 1])) >= _LEAST_LETTERS:
                most = max(most, same // size + 1)
    return most


def _most_often(words: Sequence[str]) -> int:
    """Count how often the commonest of the longer words comes up."""
    return max(Counter(word for word in words if len(word) >= _LEAST_LETTERS).values(), default=0)


def _has_loop_in_word(text: str) -> bool:
    """Tell whether some long word, hyphens and all, is hardly more than one run of letters."""
    return any(map(_is_loop, _LONG_CHUNK.findall(text.casefold())))


def _stands_twice(chunk: str, size: int) -> bool:
    """Tell whether so many characters, with a letter among them, come twice in a row."""
    same = 0
    for i in range(size, len(chunk)):
        same = same + 1 if chunk[i] == chunk[i - size] else 0
        if same == size:
            return any(map(str.isalpha, chunk[i - size + 1 : i + 1]))
    return False


def _is_loop(chunk: str) -> bool:
    threes = [chunk[i : i + 3] for i in range(len(chunk) - 2)]
    if len(set(threes)) == len(threes):  # most often: then no longer run comes twice either
        return False
    if any(_stands_twice(chunk, size) for size in range(_LEAST_LETTERS, _LONGEST_RUN + 1)):
        return True
    lettered = [three for three in threes if any(map(str.isalpha, three))]
    return len(lettered) * 2 > len(threes) and len(set(lettered)) < _LEAST_NEW * len(lettered)
