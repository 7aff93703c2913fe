"""Text in, `Translation` out: cut what is too long, encode, search, decode, join again.

Blank text gives the empty text. Text without a letter (numbers, punctuation, pictures) has nothing
to translate and passes through unchanged. Every translation is one line.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

from seq2seq.config import SearchConfig
from seq2seq.decoding.protocol import Engine
from seq2seq.decoding.search import Hypothesis, beam_search
from seq2seq.splitting import split
from seq2seq.tokenizer import Tokenizer

SHIPPED_MODEL = Path(__file__).parent / "models" / "en-de.s2s"

_BATCH_SENTENCES = 64  # searched side by side; more of them gain little speed
_BATCH_IDS = 4096  # padding counted: long sentences go in smaller batches, and memory is bounded
_CHUNK_LINES = 1024  # enough to find sentences of like length for every batch

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

    `search` may be changed between calls:
    `translator.search = dataclasses.replace(translator.search, beam_size=1)`.
    """

    search: SearchConfig
    source_language: str  # for those who ask; the model itself does not need to know

    def __init__(self, model: str | Path | None = None, threads: int = 0) -> None:
        """Load a model folder, or the model that comes with the package.

        `threads` 0: one a core.
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
        pieces = tokenizer.pieces(range(len(tokenizer)))
        self._language_tags = [
            id_ for id_, piece in enumerate(pieces) if re.fullmatch("<2.+>", piece)
        ]

    def translate(self, texts: Sequence[str], n_best: int = 1) -> list[Translation]:
        """A translation for each text, in order, with up to `n_best` candidates.

        `n_best` can be 1 to the beam size.
        """
        if isinstance(texts, str):
            raise TypeError("translate() takes a list of texts: write translate([text])")
        sources = [self._read(text) for text in texts]
        found = iter(self._search([source.ids for text in sources for source in text], n_best))
        return [
            Translation(text, self._candidates(pieces, list(islice(found, len(pieces)))))
            for text, pieces in zip(texts, sources, strict=True)
        ]

    def translate_lines(self, lines: Iterable[str], n_best: int = 1) -> Iterator[Translation]:
        """The same for any number of lines, in bounded memory: reads them in chunks."""
        remaining = iter(lines)
        while chunk := list(islice(remaining, _CHUNK_LINES)):
            yield from self.translate(chunk, n_best)

    def _read(self, text: str) -> "list[_Source]":
        """The pieces of a text; blank text has none."""
        text = _valid(text)
        if not text.strip():
            return []
        if not _has_letters(text):
            return [_Source(text, (), "")]
        text = text.strip()
        ids = self._encode(text)
        if len(ids) - 1 <= self.search.max_source_length:
            return [_Source(text, ids, "")]
        pieces = split(
            text, self.search.max_source_length, lambda part: len(self._encode(part)) - 1
        )
        return [
            _Source(
                piece.text,
                self._encode(piece.text) if _has_letters(piece.text) else (),
                piece.separator,
            )
            for piece in pieces
        ]

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode_sources([text], self.target_language)[0])

    def _search(self, sources: Sequence[Sequence[int]], n_best: int) -> list[list[Hypothesis]]:
        """The hypotheses for each source; for an empty one none."""
        found: list[list[Hypothesis]] = [[] for _ in sources]
        for batch in _batches([len(source) for source in sources]):
            hypotheses = beam_search(
                self._engine,
                [sources[i] for i in batch],
                self.search,
                n_best,
                forbidden=self._language_tags,
            )
            for i, one in zip(batch, hypotheses, strict=True):
                found[i] = one
        return found

    def _candidates(
        self, sources: "Sequence[_Source]", found: Sequence[Sequence[Hypothesis]]
    ) -> tuple[Candidate, ...]:
        """Candidate number r has each piece's hypothesis number r, or the last of its own."""
        number = max([1, *map(len, found)])
        return tuple(
            _join([self._part(*piece, rank) for piece in zip(sources, found, strict=True)])
            for rank in range(number)
        )

    def _part(self, source: "_Source", hypotheses: Sequence[Hypothesis], rank: int) -> Part:
        if not hypotheses:
            return Part(source.text, source.ids, source.text, None, source.separator)
        hypothesis = hypotheses[min(rank, len(hypotheses) - 1)]
        # Where the model has nothing to say the source stands, rather than a hole in the text.
        text = self.tokenizer.decode(hypothesis.ids).strip() or source.text
        return Part(source.text, source.ids, text, hypothesis, source.separator)


@dataclass(frozen=True)
class _Source:
    """A piece of a text as the model reads it."""

    text: str
    ids: tuple[int, ...]  # none: passes through
    separator: str


def _join(parts: Sequence[Part]) -> Candidate:
    text = "".join(part.text + part.separator for part in parts)
    searched = [(part.hypothesis.score, len(part.source_ids)) for part in parts if part.hypothesis]
    weight = sum(length for _, length in searched)
    score = sum(score * length for score, length in searched) / weight if weight else 0.0
    return Candidate(_LINE_ENDS.sub(" ", text), score, tuple(parts))


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of sentences of like length, shortest first; those of length 0 are left out."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if lengths[i] == 0:
            continue
        full = len(batch) == _BATCH_SENTENCES or (len(batch) + 1) * lengths[i] > _BATCH_IDS
        if batch and full:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _valid(text: str) -> str:
    """Half surrogate pairs have no UTF-8; they become U+FFFD, and split pairs one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _has_letters(text: str) -> bool:
    return any(map(str.isalpha, text))
