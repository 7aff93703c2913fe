"""Translate each distinct text once, since a table repeats the same labels in thousands of rows."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from seq2seq.translation.base import require_text
from seq2seq.translation.result import Translation

_KEPT = 4096
"""Number of distinct texts to remember: more would take memory, and seldom be of use."""
_LONGEST = 500
"""Length in characters up to which texts are remembered: longer ones are hardly ever repeated."""
_WAITING = 10_000
"""Number of texts that may wait in line before a repeated one is translated again."""


def searched_once(
    texts: Iterable[str],
    stream: Callable[[Iterable[str]], Iterator[Translation]],
    look_up: Callable[[str], Translation | None] = lambda _: None,
) -> Iterator[Translation]:
    """Yield the translations of `texts` in order; `stream` translates each distinct text once.

    `look_up` may return a translation that is used instead. `stream` must yield one translation
    for each text that it takes, in order, and may read ahead. Raises `TypeError` if a text is not a
    str, and passes on what `texts` raises, after the translations of the texts before it.
    """
    known: dict[str, Translation] = {}
    searched: deque[str] = deque()  # taken by `stream`, not yet translated
    pending: set[str] = set()  # texts in `searched` that are short enough to be remembered
    waiting: deque[str] = deque()  # read, not yet yielded

    def distinct() -> Iterator[str]:
        for number, text in enumerate(texts):
            require_text(text, number)
            waiting.append(text)
            if not (text in known or text in pending) and (translation := look_up(text)):
                known[text] = translation
            if len(waiting) > _WAITING or not (text in known or text in pending):
                searched.append(text)
                if len(text) <= _LONGEST:
                    pending.add(text)
                yield text

    def ready() -> Iterator[Translation]:
        while waiting and waiting[0] in known:
            yield known[waiting.popleft()]

    try:
        for translation in stream(distinct()):
            text = searched.popleft()
            pending.discard(text)
            known.setdefault(text, translation)
            yield from ready()
            if len(text) > _LONGEST:
                del known[text]
            if len(known) > _KEPT:
                needed = {*waiting}
                known = {text: known[text] for text in known if text in needed}
    except Exception:
        yield from ready()
        raise
    yield from ready()
