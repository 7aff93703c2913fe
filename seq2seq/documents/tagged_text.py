"""Show inline elements to the translator as tags: `<g1>bold</g1> and <g2/>`.

An element that stands for a word, such as a variable, is shown as a placeholder: `{g3}`.
"""

import re
from collections.abc import Sequence
from enum import Enum, auto
from itertools import count
from typing import NamedTuple

_LIKE_TAG = re.compile("(?:</?|{)(g+)")


class Role(Enum):
    """The role of a mark in its text."""

    OPENS = auto()
    CLOSES = auto()
    STANDS_ALONE = auto()
    STANDS_FOR_WORD = auto()


_BRACKETS = {
    Role.OPENS: ("<", ">"),
    Role.CLOSES: ("</", ">"),
    Role.STANDS_ALONE: ("<", "/>"),
    Role.STANDS_FOR_WORD: ("{", "}"),
}


class Mark(NamedTuple):
    """A start tag, an end tag, or a whole inline element."""

    raw: str  # as the document has it
    role: Role = Role.STANDS_ALONE


class TaggedText:
    """A text with properly nested marks: each closing mark ends the element that was opened last.

    `text` is for the translator: each mark is a tag, with a name that does not occur in the text.
    """

    def __init__(self, parts: Sequence[str | Mark]) -> None:
        like_tags = _LIKE_TAG.findall("".join(part for part in parts if isinstance(part, str)))
        self._name = "g" * (1 + max(map(len, like_tags), default=0))
        self._marks = dict[str, Mark]()  # by tag
        fresh, open_ = count(1), list[int]()
        written = list[str]()
        for part in parts:
            if isinstance(part, str):
                written.append(part)
                continue
            number = open_.pop() if part.role is Role.CLOSES else next(fresh)
            if part.role is Role.OPENS:
                open_.append(number)
            start, end = _BRACKETS[part.role]
            tag = f"{start}{self._name}{number}{end}"
            written.append(tag)
            self._marks[tag] = part
        self.text = "".join(written)
        self._tag = re.compile(rf"(</?{self._name}\d+/?>|{{{self._name}\d+}})")

    @property
    def marks(self) -> Sequence[Mark]:
        """The marks, in order."""
        return [*self._marks.values()]

    def tagged(self, parts: Sequence[str | Mark]) -> str:
        """Return an existing translation, its marks replaced by the tags of equal marks here.

        Marks that this text does not have are left out.
        """
        remaining = dict(self._marks)
        closing = list[str]()
        written = list[str]()
        for part in parts:
            if isinstance(part, str):
                written.append(part)
                continue
            if part.role is Role.CLOSES:
                written.append(closing.pop())
                continue
            tag = next((tag for tag, mark in remaining.items() if mark == part), "")
            remaining.pop(tag, None)
            written.append(tag)
            if part.role is Role.OPENS:
                closing.append(tag.replace("<", "</"))
        return "".join(written)

    def parts(self, translation: str) -> list[str | Mark]:
        """Return the parts of a translation, with each mark of the text once.

        The marks are where the translation has their tags, provided that the elements are nested
        as in the text, which the translator guarantees. Otherwise they come in the order of the
        text, and a mark whose tag is missing goes before the next one that is there.
        """
        texts = self._tag.split(translation)  # alternating texts and tags
        tags = [tag for tag in texts[1::2] if tag in self._marks]
        if _parents(tags) == _parents([*self._marks]):
            return [
                self._marks.get(text, "") if number % 2 else text
                for number, text in enumerate(texts)
            ]
        parts = list[str | Mark]()
        remaining = iter(self._marks.items())
        missing = {*self._marks}
        for number, text in enumerate(texts):
            if number % 2 == 0:
                parts.append(text)
            while text in missing:
                tag, mark = next(remaining)
                missing.remove(tag)
                parts.append(mark)
        return [*parts, *(mark for _, mark in remaining)]


def _parents(tags: Sequence[str]) -> list[tuple[str, str]] | None:
    """Return pairs of an element and its parent, sorted; None if the tags are not nested."""
    parents = list[tuple[str, str]]()
    open_ = [""]
    for tag in tags:
        if not tag.startswith("</"):
            parents.append((tag, open_[-1]))
            if not tag.endswith(("/>", "}")):
                open_.append(tag)
        elif open_.pop() != tag.replace("/", ""):
            return None
    return sorted(parents) if open_ == [""] else None
