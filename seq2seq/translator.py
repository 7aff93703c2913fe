"""Text in, `Translation` out: cut what is too long, encode, search, decode, join again.

Blank text gives the empty text. Text without a letter (numbers, punctuation, pictures) has nothing
to translate and passes through unchanged. Every translation is one line.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Self

from seq2seq.config import SearchConfig
from seq2seq.decoding.protocol import Engine
from seq2seq.decoding.search import Hypothesis, beam_search
from seq2seq.splitting import split
from seq2seq.tokenizer import UNK_ID, Tokenizer

SHIPPED_MODEL = Path(__file__).parent / "models" / "en-de.s2s"

_BATCH_SENTENCES = 64  # searched side by side; more of them gain little speed
_BATCH_IDS = 4096  # padding counted: long sentences go in smaller batches, and memory is bounded
_READ_AHEAD = 2048  # pieces: enough to find some of like length for every batch
_READ_AT_FIRST = 512  # so that the first lines do not wait for their like

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
    parts: tuple[Part, ...]


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
    source_language: str  # for those who ask; the model itself does not need to know

    def __init__(self, model: str | Path | None = None, threads: int = 0) -> None:
        """Load a model folder, or the model that comes with the package.

        `threads` 0: one a core. Raises `Seq2SeqError`, which names the file that is missing,
        damaged or of another model.
        """
        from seq2seq.decoding.folder import load_folder  # brings ONNX Runtime

        folder = SHIPPED_MODEL if model is None else Path(model)
        shipped = load_folder(folder, threads)
        self._set_up(shipped.engine, shipped.tokenizer, shipped.target_language, shipped.search)
        self.source_language = shipped.source_language

    @classmethod
    def over(
        cls,
        engine: Engine[Any],
        tokenizer: Tokenizer,
        target_language: str,
        search: SearchConfig,
        source_language: str = "",
    ) -> Self:
        """A translator over any engine, such as the torch one of a model in training."""
        translator = cls.__new__(cls)
        translator._set_up(engine, tokenizer, target_language, search)
        translator.source_language = source_language
        return translator

    def _set_up(
        self, engine: Engine[Any], tokenizer: Tokenizer, target_language: str, search: SearchConfig
    ) -> None:
        self.tokenizer = tokenizer
        self.target_language = target_language
        self.search = search
        self._engine = engine
        self._language_tags = _language_tags(tokenizer)

    def translate(self, texts: Sequence[str], n_best: int = 1) -> list[Translation]:
        """A translation for each text, in order, with up to `n_best` candidates.

        Raises `UsageError`, a `Seq2SeqError`, where `n_best` is more than the beam size.
        """
        if isinstance(texts, str):
            raise TypeError("translate() takes a list of texts: write translate([text])")
        return list(self.translate_lines(texts, n_best))

    def translate_lines(self, lines: Iterable[str], n_best: int = 1) -> Iterator[Translation]:
        """The same for any number of lines, in bounded memory: each as soon as it is ready.

        Lines are read ahead, up to some thousand of them, so that lines of like length are searched
        side by side. The next batch is always the one with the oldest line.
        """
        if isinstance(lines, str):
            raise TypeError("translate_lines() takes lines, not a text")
        search = self.search
        remaining = iter(lines)
        texts: deque[_Text] = deque()  # read and not given back yet, in order
        held = 0  # their sizes together
        given = 0
        while True:
            room = min(_READ_AHEAD, _READ_AT_FIRST + given)
            while held < room and (line := next(remaining, None)) is not None:
                texts.append(_Text(line, self._read(line, search.max_source_length)))
                held += texts[-1].size
            if not texts:
                return
            if not texts[0].done:
                waiting = [piece for text in texts for piece in text.pieces if piece.found is None]
                batch = next(batch for batch in _batches(waiting) if waiting[0] in batch)
                self._search(batch, search, n_best)
            while texts and texts[0].done:
                text = texts.popleft()
                held -= text.size
                given += 1
                yield Translation(text.source, self._candidates(text.pieces))

    def _read(self, text: str, limit: int) -> "list[_Piece]":
        """The pieces of a text, none of more than `limit` ids; blank text has none."""
        text = _valid(text)
        if not text.strip():
            return []
        if not _has_letters(text):
            return [_Piece(text, (), "")]
        text = text.strip()
        ids = self._encode(text)
        if len(ids) - 1 <= limit:
            return [_Piece(text, ids, "")]
        return [
            _Piece(
                piece.text,
                self._encode(piece.text) if _has_letters(piece.text) else (),
                piece.separator,
            )
            for piece in split(text, limit, lambda part: len(self._encode(part)) - 1)
        ]

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode_sources([text], self.target_language)[0])

    def _search(self, batch: "Sequence[_Piece]", search: SearchConfig, n_best: int) -> None:
        sources = [piece.ids for piece in batch]
        found = beam_search(self._engine, sources, search, n_best, forbidden=self._language_tags)
        for piece, hypotheses in zip(batch, found, strict=True):
            piece.found = hypotheses

    def _candidates(self, pieces: "Sequence[_Piece]") -> tuple[Candidate, ...]:
        """Candidate number r has each piece's hypothesis number r, or the last of its own."""
        number = max([1, *(len(piece.found or ()) for piece in pieces)])
        return tuple(_join([self._part(piece, rank) for piece in pieces]) for rank in range(number))

    def _part(self, piece: "_Piece", rank: int) -> Part:
        if not piece.found:
            return Part(piece.text, piece.ids, piece.text, None, piece.separator)
        hypothesis = piece.found[min(rank, len(piece.found) - 1)]
        # Where the model has nothing to say the source stands, rather than a hole in the text.
        text = self.tokenizer.decode(hypothesis.ids).strip() or piece.text
        return Part(piece.text, piece.ids, text, hypothesis, piece.separator)


@dataclass(eq=False)
class _Piece:
    """A piece of a text as the model reads it, and what the search found for it."""

    text: str
    ids: tuple[int, ...]  # none: passes through
    separator: str
    found: Sequence[Hypothesis] | None = None  # until it was searched

    def __post_init__(self) -> None:
        if not self.ids:
            self.found = ()


@dataclass(frozen=True, eq=False)
class _Text:
    """A text under way."""

    source: str
    pieces: Sequence[_Piece]

    @property
    def size(self) -> int:
        return max(1, len(self.pieces))

    @property
    def done(self) -> bool:
        return all(piece.found is not None for piece in self.pieces)


def _join(parts: Sequence[Part]) -> Candidate:
    text = "".join(part.text + part.separator for part in parts)
    searched = [(part.hypothesis.score, len(part.source_ids)) for part in parts if part.hypothesis]
    weight = sum(length for _, length in searched)
    score = sum(score * length for score, length in searched) / weight if weight else 0.0
    return Candidate(_LINE_ENDS.sub(" ", text), score, tuple(parts))


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


def _valid(text: str) -> str:
    """Half surrogate pairs have no UTF-8; they become U+FFFD, and split pairs one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _has_letters(text: str) -> bool:
    return any(map(str.isalpha, text))
