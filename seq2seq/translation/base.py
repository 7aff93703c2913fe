"""How translators are called: the options of a call, and the methods that all translators share."""

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
"""As the source language of a `Router`: identify the language of each text."""


@dataclass(frozen=True, kw_only=True)
class TranslateOptions:
    """The options of one call. None means the setting of the model or translator."""

    source: str | None = None
    """Language of the texts."""
    target: str | None = None
    """Language to translate into."""
    unit: Unit = "line"
    """With "line", a translation is one line. With "sentence", line breaks and indentation are
    kept. "paragraph" keeps them too, but first joins the lines within each paragraph."""
    n_best: int = 1
    """Number of candidates per text, at most the beam size."""
    beam_size: int | None = None
    """Number of hypotheses that the beam search keeps; 1 is greedy search."""
    length_penalty: float | None = None
    """Exponent of the length penalty; above 0 favours long translations."""
    prune: float | None = None
    """Drop hypotheses whose score is worse than the best by more than this many nats; 0: none."""
    sampling: "Sampling | None" = None
    """Draw `n_best` translations at random instead of searching, and return them unchecked."""
    max_length: int | None = None
    """Number of subwords above which a sentence is cut into clauses."""
    glossary: "Glossary | None" = None
    """Terms and their translations."""
    formality: "Formality | None" = None
    """The form of address, for models that have learnt it."""
    tag: str | None = None
    """One of the tags that the model was trained with, such as a domain."""
    prefix: str = ""
    """What each translation begins with. A translation with a prefix is decoded only once."""
    min_confidence: float = 0.0
    """Leave sentences with a lower confidence untranslated, between ⟦ and ⟧."""
    protect: bool = True
    """Keep placeholders, links, tags and code as they are."""
    protect_patterns: tuple[re.Pattern[str], ...] = ()
    """Also keep whatever these regular expressions match."""
    guard: bool = True
    """Decode a translation that fails a check a second time; if that fails too, keep the source."""
    keep_parts: bool = True
    """Keep the segments and the alignment of each translation. Without them, a line of a megabyte
    takes hardly more memory than its text."""
    on_part: Callable[[str], object] | None = None
    """Called after each translated segment of a long text except the last, in order, with the
    segment's source and the white space that follows it. It may end the call by raising."""


class TranslateKeywords(TypedDict, total=False):
    """The fields of `TranslateOptions`, for use as keyword arguments."""

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
    """The methods of every translator. They take the fields of `TranslateOptions` as keywords."""

    __slots__ = ()

    @property
    @abstractmethod
    def directions(self) -> "tuple[Direction, ...]":
        """The directions that the translator was trained for, at least one."""

    @property
    @abstractmethod
    def direction(self) -> "Direction":
        """The direction of a call that names no languages."""

    @property
    @abstractmethod
    def search(self) -> "SearchConfig":
        """The search settings, which the options of a call may override."""

    def translate(
        self, texts: Sequence[str], **options: Unpack[TranslateKeywords]
    ) -> "list[Translation]":
        """Translate each text, sentence by sentence; repeated texts are translated once.

        List markers, speaker names and tabs stay where they are. Raises `UsageError` (a
        `Seq2SeqError`) if the options do not fit the model.
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
        """Translate as `translate` does, but in a thread, so that the event loop is not blocked."""
        import asyncio

        return await asyncio.to_thread(lambda: self.translate(texts, **options))

    def translate_lines(
        self, lines: Iterable[str], **options: Unpack[TranslateKeywords]
    ) -> "Iterator[Translation]":
        """Translate any number of lines in bounded memory, and yield each as soon as it is ready.

        Up to a few thousand lines are read ahead, so that lines of similar length can be searched
        together. If `lines` raises, the translations of the lines before it are yielded first.
        """
        if isinstance(lines, str):
            raise TypeError("translate_lines() takes lines, not a text")
        return self.stream(lines, TranslateOptions(**options))

    @abstractmethod
    def stream(self, lines: Iterable[str], options: TranslateOptions) -> "Iterator[Translation]":
        """Translate lines as `translate_lines` does, with options that are already put together.

        Raises `UsageError` at once if they do not fit the model.
        """


def require_text(text: object, number: int) -> str:
    """Return text `number` of a call, counted from 0; raise `TypeError` if it is not a str."""
    if not isinstance(text, str):
        raise TypeError(f"text {number} of the list is {text!r}, not a str; count from 0")
    return text
