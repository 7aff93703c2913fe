"""How translators are called: the options of a call, and the calls that every translator has."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, Unpack

from seq2seq.text.blocks import Unit

if TYPE_CHECKING:
    from seq2seq.config.model_config import Direction, SearchConfig
    from seq2seq.search.sampling import Sampling
    from seq2seq.text.formality import Formality
    from seq2seq.text.glossary import Glossary
    from seq2seq.translation.result import Translation

AUTO = "auto"
"""The source language of a `Router` that is to identify the language of each text."""


@dataclass(frozen=True, kw_only=True)
class TranslateOptions:
    """The options of one call. For None, the setting of the model or translator is used."""

    source: str | None = None
    """Language of the texts."""
    target: str | None = None
    """Language to translate into."""
    unit: Unit = "line"
    """With "line" a translation is one line. With "sentence" lines and indentation are kept; so
    they are with "paragraph", but the lines of a paragraph are joined first."""
    n_best: int = 1
    """Number of candidates of each text, at most the beam size."""
    beam_size: int | None = None
    """Number of hypotheses that the beam search keeps; 1 is greedy search."""
    length_penalty: float | None = None
    """Exponent of the length penalty; above 0 favours long translations."""
    prune: float | None = None
    """Drop hypotheses that are less likely than the best one by this many nats; 0 drops none."""
    sampling: "Sampling | None" = None
    """Draw `n_best` translations at random in place of a search, and take them as they are."""
    max_length: int | None = None
    """Number of subwords above which a sentence is cut into clauses."""
    glossary: "Glossary | None" = None
    """Terms and their translations."""
    formality: "Formality | None" = None
    """The form of address, for models that have learnt it."""
    tag: str | None = None
    """One of the tags that the model was trained with, such as a domain."""
    prefix: str = ""
    """What the translation of each text begins with; such a translation is decoded only once."""
    min_confidence: float = 0.0
    """Leave sentences with less confidence untranslated, between ⟦ and ⟧."""
    protect: bool = True
    """Keep placeholders, links, tags and code as they are."""
    protect_patterns: tuple[re.Pattern[str], ...] = ()
    """Keep what these regular expressions match, too."""
    guard: bool = True
    """Decode a translation that fails a check a second time; if that fails too, keep the source."""
    keep_parts: bool = True
    """Keep the parts and the alignment of each translation. Without them a line of a megabyte
    takes hardly more memory than its text."""
    on_part: Callable[[str], object] | None = None
    """Called when a part of a long text is translated, in order, with its source and the white
    space behind it; not called for the last part. It may end the call by raising."""


class TranslateKeywords(TypedDict, total=False):
    """The fields of `TranslateOptions`, as the keyword arguments of a call."""

    source: str | None
    target: str | None
    unit: Unit
    n_best: int
    beam_size: int | None
    length_penalty: float | None
    prune: float | None
    sampling: "Sampling | None"
    max_length: int | None
    glossary: "Glossary | None"
    formality: "Formality | None"
    tag: str | None
    prefix: str
    min_confidence: float
    protect: bool
    protect_patterns: tuple[re.Pattern[str], ...]
    guard: bool
    keep_parts: bool
    on_part: Callable[[str], object] | None


class BaseTranslator(ABC):
    """The calls of a translator. They take the fields of `TranslateOptions` as keywords."""

    __slots__ = ()

    @property
    @abstractmethod
    def directions(self) -> "tuple[Direction, ...]":
        """The directions that it was trained for, at least one."""

    @property
    @abstractmethod
    def direction(self) -> "Direction":
        """The direction of a call that names no languages."""

    @property
    @abstractmethod
    def search(self) -> "SearchConfig":
        """How it searches, where a call does not say otherwise."""

    def translate(
        self, texts: Sequence[str], **options: Unpack[TranslateKeywords]
    ) -> "list[Translation]":
        """Translate each text, sentence by sentence; a text that is repeated is translated once.

        List markers, the names of speakers and tabs stay where they are. Raises `UsageError`, a
        `Seq2SeqError`, where the options do not fit the model.
        """
        if isinstance(texts, str):
            raise TypeError("translate() takes a list of texts: write translate([text])")
        for number, text in enumerate(texts):
            require_text(text, number)
        distinct = [*dict.fromkeys(texts)]
        translations = self.translate_lines(distinct, **options)
        by_text = dict(zip(distinct, translations, strict=True))
        return [by_text[text] for text in texts]

    async def translate_async(
        self, texts: Sequence[str], **options: Unpack[TranslateKeywords]
    ) -> "list[Translation]":
        """Translate as `translate` does, in a thread, so that the event loop goes on."""
        import asyncio

        return await asyncio.to_thread(lambda: self.translate(texts, **options))

    def translate_lines(
        self, lines: Iterable[str], **options: Unpack[TranslateKeywords]
    ) -> "Iterator[Translation]":
        """Translate any number of lines in bounded memory, and yield each as soon as it is ready.

        Up to some thousand lines are read ahead, so that lines of similar length are searched
        together. Where `lines` raises, the lines before come first.
        """
        if isinstance(lines, str):
            raise TypeError("translate_lines() takes lines, not a text")
        return self.stream(lines, TranslateOptions(**options))

    @abstractmethod
    def stream(self, lines: Iterable[str], options: TranslateOptions) -> "Iterator[Translation]":
        """Translate lines as `translate_lines` does, with options that were put together before.

        Raises `UsageError` at once where they do not fit the model.
        """


def require_text(text: object, number: int) -> str:
    """Return text `number` of a call, from 0; raise `TypeError` where it is not a str."""
    if not isinstance(text, str):
        raise TypeError(f"text {number} of the list is {text!r}, not a str; count from 0")
    return text
