"""Text in, `Translation` out: cut what is too long, encode, search, decode, join again.

Blank text gives the empty text. Text without a letter (numbers, punctuation, pictures) has nothing
to translate and passes through unchanged. Every translation is one line.
"""

import copy
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, count, islice, pairwise, takewhile
from pathlib import Path
from typing import Any, Self

import numpy as np

from seq2seq.config import Direction, SearchConfig, choose_direction
from seq2seq.decoding.protocol import Engine
from seq2seq.decoding.search import Hypothesis, beam_search
from seq2seq.splitting import split
from seq2seq.tokenizer import UNK_ID, Tokenizer

SHIPPED_MODEL = Path(__file__).parent / "models" / "en-de.s2s"

_BATCH_SENTENCES = 64  # searched side by side; more of them gain little speed
_BATCH_IDS = 4096  # padding counted: long sentences go in smaller batches, and memory is bounded
_READ_AHEAD = 2048  # pieces: enough to find some of like length for every batch
_READ_AT_FIRST = 512  # so that the first lines do not wait for their like
_SLICE = 1000  # characters; what is longer is measured slice by slice, and only as far as needed

_LINE_ENDS = re.compile(r"[\r\n]+")


@dataclass(frozen=True, eq=False)
class Part:
    """What became of one piece of a text. Most texts are a single piece."""

    source: str
    source_ids: tuple[int, ...]  # (S,) the language tag first
    text: str
    hypothesis: Hypothesis | None  # ids and attention; None where the source passed through
    separator: str  # the white space between this part and the next


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to translate a text.

    `score` is the natural log-probability over the length penalty: at most 0, higher is better. Of
    several parts it is the mean by source length, and 0 where there was nothing to translate.
    """

    text: str
    score: float
    parts: tuple[Part, ...]  # none where the translator was told not to keep them


@dataclass(frozen=True, eq=False)
class Translation:
    """A text and its translations, the best one first; there is always one."""

    source: str
    candidates: tuple[Candidate, ...]

    @property
    def text(self) -> str:
        """The best translation, on one line."""
        return self.candidates[0].text

    @property
    def score(self) -> float:
        """The score of the best translation, see `Candidate`."""
        return self.candidates[0].score

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the best translation."""
        return self.candidates[0].parts


class Translator:
    """A model that translates text.

    from seq2seq import Translator

    translator = Translator("mine.s2s")
    [translation] = translator.translate(["Where is the station?"])
    print(translation.text, translation.score)

    `search` has the settings, and may be changed between calls:
    `translator.search = dataclasses.replace(translator.search, beam_size=1)`.

    A translator of a model folder may be called from several threads at once; a call goes by the
    `search` that it found when it began, `translate_lines` when it was asked for its first line.
    """

    search: SearchConfig
    directions: tuple[Direction, ...]  # that the model was trained for
    direction: Direction  # the model reads any of its languages; what is asked for is the target

    def __init__(self, model: str | Path | None = None, threads: int = 0) -> None:
        """Load a model folder, or the model that comes with the package.

        `threads` 0: one a core. Raises `Seq2SeqError`, which names the file that is missing,
        damaged or of another model.
        """
        from seq2seq.decoding.folder import load_folder  # brings ONNX Runtime

        folder = SHIPPED_MODEL if model is None else Path(model)
        shipped = load_folder(folder, threads)
        self._set_up(shipped.engine, shipped.tokenizer, shipped.directions, shipped.search)

    @classmethod
    def over(
        cls,
        engine: Engine[Any],
        tokenizer: Tokenizer,
        directions: Sequence[Direction],
        search: SearchConfig,
    ) -> Self:
        """A translator over any engine, such as the torch one of a model in training."""
        translator = cls.__new__(cls)
        translator._set_up(engine, tokenizer, directions, search)
        return translator

    def _set_up(
        self,
        engine: Engine[Any],
        tokenizer: Tokenizer,
        directions: Sequence[Direction],
        search: SearchConfig,
    ) -> None:
        self.tokenizer = tokenizer
        self.directions = tuple(directions)
        self.direction = self.directions[0]
        self.search = search
        self._engine = engine
        self._language_tags = _language_tags(tokenizer)

    def between(self, source: str | None = None, target: str | None = None) -> Self:
        """The same model from and into these languages; what is not given it finds itself.

        A direction that it was not trained for is tried where it knows both languages. Raises
        `UsageError`, which lists the directions, where it does not.
        """
        translator = copy.copy(self)
        translator.direction = choose_direction(self.directions, source, target)
        return translator

    def translate(self, texts: Sequence[str], n_best: int = 1) -> list[Translation]:
        """A translation for each text, in order, with up to `n_best` candidates.

        Raises `UsageError`, a `Seq2SeqError`, where `n_best` is more than the beam size.
        """
        if isinstance(texts, str):
            raise TypeError("translate() takes a list of texts: write translate([text])")
        return list(self.translate_lines(texts, n_best))

    def translate_lines(
        self,
        lines: Iterable[str],
        n_best: int = 1,
        *,
        keep_parts: bool = True,
        on_part: Callable[[str], object] | None = None,
    ) -> Iterator[Translation]:
        """The same for any number of lines, in bounded memory: each as soon as it is ready.

        Lines are read ahead, up to some thousand of them, so that lines of like length are searched
        side by side. The next batch is always the one with the oldest line. Where `lines` fails,
        the lines before come first.

        Without `keep_parts` candidates have no parts; a line of a megabyte then takes hardly more
        memory than its text. `on_part` is called for each part of a long line that is done but for
        the last, in order, with its source and the white space behind.
        """
        if isinstance(lines, str):
            raise TypeError("translate_lines() takes lines, not a text")
        search = self.search
        coming = self._pieces(lines, search.max_source_length)
        pieces: deque[_Piece] = deque()  # read and not given back yet, in order
        draft = _Draft(keep_parts)
        failure: Exception | None = None
        given = 0
        while True:
            room = min(_READ_AHEAD, _READ_AT_FIRST + given) - len(pieces)
            try:
                pieces.extend(islice(coming, max(0, room)))
            except Exception as error:
                failure = error
            if not pieces:
                break
            if pieces[0].found is None:
                waiting = [piece for piece in pieces if piece.found is None]
                batch = next(batch for batch in _batches(waiting) if waiting[0] in batch)
                self._search(batch, search, n_best, keep_parts)
            while pieces and pieces[0].found is not None:
                piece = pieces.popleft()
                given += 1
                draft.add(self._parts(piece))
                if piece.ends is not None:
                    yield Translation(piece.ends, draft.candidates())
                    draft = _Draft(keep_parts)
                elif on_part:
                    on_part(piece.text + piece.separator)
        if failure:
            raise failure

    def _pieces(self, lines: Iterable[str], limit: int) -> "Iterator[_Piece]":
        for line in lines:
            for piece, following in pairwise(chain(self._read(line, limit), [None])):
                assert piece
                if following is None:
                    piece.ends = line
                yield piece

    def _read(self, text: str, limit: int) -> "Iterator[_Piece]":
        """The pieces of a text, none of more than `limit` ids; blank text is one that is empty."""
        text = _valid(text)
        if not _has_letters(text):
            yield _Piece(text if text.strip() else "", (), "")
            return
        text = text.strip()
        ids = self._encode(text) if len(text) <= _SLICE else ()
        if ids and len(ids) - 1 <= limit:
            yield _Piece(text, ids, "")
            return
        for piece in split(text, limit, partial(self._length, limit=limit)):
            ids = self._encode(piece.text) if _has_letters(piece.text) else ()
            yield _Piece(piece.text, ids, piece.separator)

    def _length(self, text: str, limit: int) -> int:
        """The number of ids, or of those up to some place behind the `limit`.

        So a long text need not be encoded whole again and again until it is cut small.
        """
        if len(text) > _SLICE:
            length = 0
            for start in range(0, len(text), _SLICE):
                length += len(self._encode(text[start : start + _SLICE])) - 1
                if length > limit:
                    return length
        return len(self._encode(text)) - 1

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode_sources([text], self.direction.target)[0])

    def _search(
        self, batch: "Sequence[_Piece]", search: SearchConfig, n_best: int, keep_attention: bool
    ) -> None:
        sources = [piece.ids for piece in batch]
        found = beam_search(self._engine, sources, search, n_best, forbidden=self._language_tags)
        for piece, hypotheses in zip(batch, found, strict=True):
            piece.found = hypotheses if keep_attention else [*map(_without_attention, hypotheses)]

    def _parts(self, piece: "_Piece") -> list[Part]:
        """What may become of a piece, the best first; of an empty one nothing."""
        if not piece.found:
            unchanged = Part(piece.text, piece.ids, piece.text, None, piece.separator)
            return [unchanged] if piece.text else []
        # Where the model has nothing to say the source stands, rather than a hole in the text.
        return [
            Part(
                piece.text,
                piece.ids,
                self.tokenizer.decode(hypothesis.ids).strip() or piece.text,
                hypothesis,
                piece.separator,
            )
            for hypothesis in piece.found
        ]


@dataclass(eq=False)
class _Piece:
    """A piece of a text as the model reads it, and what the search found for it."""

    text: str
    ids: tuple[int, ...]  # none: passes through
    separator: str
    ends: str | None = None  # the text whose last piece it is
    found: Sequence[Hypothesis] | None = None  # until it was searched

    def __post_init__(self) -> None:
        if not self.ids:
            self.found = ()


class _Draft:
    """The candidates of a text, as far as its pieces are done."""

    def __init__(self, keep_parts: bool) -> None:
        self._keep_parts = keep_parts
        self._begun = [_Begun()]

    def add(self, parts: Sequence[Part]) -> None:
        """Candidate number r takes part number r, or the last one."""
        while len(self._begun) < len(parts):  # had the last ones until now
            self._begun.append(self._begun[-1].copy())
        if parts:
            for rank, begun in enumerate(self._begun):
                begun.add(parts[min(rank, len(parts) - 1)], self._keep_parts)

    def candidates(self) -> tuple[Candidate, ...]:
        """What has been added."""
        return tuple(begun.candidate() for begun in self._begun)


@dataclass(eq=False)
class _Begun:
    """A candidate under way."""

    texts: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    total: float = 0.0  # of the scores, each times its weight
    weight: int = 0  # of the sources, by their length

    def copy(self) -> "_Begun":
        return replace(self, texts=[*self.texts], parts=[*self.parts])

    def add(self, part: Part, keep: bool) -> None:
        self.texts += (part.text, part.separator)
        if keep:
            self.parts.append(part)
        if part.hypothesis:
            self.total += part.hypothesis.score * len(part.source_ids)
            self.weight += len(part.source_ids)

    def candidate(self) -> Candidate:
        text = _LINE_ENDS.sub(" ", "".join(self.texts))
        return Candidate(text, self.total / (self.weight or 1), tuple(self.parts))


def _batches(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces of like length side by side, the shortest first."""
    batch: list[_Piece] = []
    for piece in sorted(pieces, key=lambda piece: len(piece.ids)):
        full = len(batch) == _BATCH_SENTENCES or (len(batch) + 1) * len(piece.ids) > _BATCH_IDS
        if batch and full:
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


def _language_tags(tokenizer: Tokenizer) -> list[int]:
    """The ids of the tags: they follow the special ids and come before all other pieces."""

    def is_tag(id_: int) -> bool:
        return re.fullmatch("<2.+>", tokenizer.pieces([id_])[0]) is not None

    return list(takewhile(is_tag, count(UNK_ID + 1)))


def _without_attention(hypothesis: Hypothesis) -> Hypothesis:
    return replace(hypothesis, attention=np.empty((len(hypothesis.ids), 0), np.float32))


def _valid(text: str) -> str:
    """Half surrogate pairs have no UTF-8; they become U+FFFD, and split pairs one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _has_letters(text: str) -> bool:
    return any(map(str.isalpha, text))
