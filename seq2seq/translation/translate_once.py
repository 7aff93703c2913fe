"""Translate each text once: a table has the same labels in thousands of rows."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from seq2seq.translation.base import require_text
from seq2seq.translation.result import Translation

_KEPT = 4096
"""Distinct texts that are remembered: more take memory, and are not often seen again."""
_LONGEST = 500
"""Characters of a text that is remembered: longer ones are hardly ever repeated."""
_WAITING = 10_000
"""Repeated texts that wait for one another, before one is searched again to get on."""


def searched_once(
    texts: Iterable[str],
    stream: Callable[[Iterable[str]], Iterator[Translation]],
    look_up: Callable[[str], Translation | None] = lambda _: None,
) -> Iterator[Translation]:
    """Yield the translations of `texts` in order, of which `stream` translates each once.

    What `look_up` has for a text is taken instead. `stream` yields a translation for each text that
    it takes, in order, and may read ahead. Raises `TypeError` where a text is not a str, and what
    `texts` raises, after the texts before it.
    """
    known: dict[str, Translation] = {}
    searched: deque[str] = deque()  # taken by `stream`, not yet translated
    pending: set[str] = set()  # those of `searched` that are short enough to be remembered
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
