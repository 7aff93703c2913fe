"""Whether a translation says something again and again, seen in its text.

`seq2seq.search.repetition` sees repetition in ids, where the search can rule it out. But a loop may
have a changing piece (Motter-Hotter-Hottel), and what is said twice in a row may be right in ids
(nous nous) and wrong in words (Montag Montag). All of it takes linear time.
"""

import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(  # where words have no spaces between them, each character counts as one
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\uabff\uf900-\ufaff\U00020000-\U0003ffff]"
    r"|[^\W_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\uabff\uf900-\ufaff"
    r"\U00020000-\U0003ffff]+"
)
_CHUNK = re.compile(r"\S+")
_LEAST_LETTERS = 5  # of a phrase that is not said twice in a row; shorter ones may: nous nous
_LONGEST_PHRASE = 8  # words
_LONGEST_RUN = 24  # characters
_LEAST_CHUNK = 12  # characters; shorter ones have few runs of three that could come back
_LEAST_NEW = 0.6  # of the runs of three letters in a word


def repeats_itself(source: str, text: str) -> bool:
    """Whether `text` repeats itself where `source`, which it was made from, does not."""
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
    """The words, without case and punctuation."""
    return _WORD.findall(text.casefold())


def phrase_repeats(words: Sequence[str]) -> int:
    """How often a phrase of some letters stands in a row, at most: 1 without repetition."""
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
    """How often the commonest of the longer words comes up."""
    return max(Counter(word for word in words if len(word) >= _LEAST_LETTERS).values(), default=0)


def _has_loop_in_word(text: str) -> bool:
    """Whether some long word, hyphens and all, is hardly more than one run of letters."""
    return any(_is_loop(chunk[0]) for chunk in _CHUNK.finditer(text.casefold()))


def _stands_twice(chunk: str, size: int) -> bool:
    """Whether so many characters, with a letter among them, come twice in a row."""
    same = 0
    for i in range(size, len(chunk)):
        same = same + 1 if chunk[i] == chunk[i - size] else 0
        if same == size:
            return any(map(str.isalpha, chunk[i - size + 1 : i + 1]))
    return False


def _is_loop(chunk: str) -> bool:
    if len(chunk) < _LEAST_CHUNK:
        return False
    if any(_stands_twice(chunk, size) for size in range(_LEAST_LETTERS, _LONGEST_RUN + 1)):
        return True
    threes = [chunk[i : i + 3] for i in range(len(chunk) - 2)]
    lettered = [three for three in threes if any(map(str.isalpha, three))]
    return len(lettered) * 2 > len(threes) and len(set(lettered)) < _LEAST_NEW * len(lettered)
