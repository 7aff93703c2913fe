"""Text in, `Translation` out: read, search, write, join.

A blank line gives the empty one. Text without a letter (numbers, punctuation, pictures) has nothing
to translate and passes through unchanged. Placeholders, links, tags and code come out as they went
in, each once.
"""

import copy
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from seq2seq.bundled import SHIPPED_MODEL
from seq2seq.confidence import Calibration
from seq2seq.config.model_config import Direction, SearchConfig, choose_direction
from seq2seq.search.beam import Hypothesis, beam_search
from seq2seq.search.engine import Engine
from seq2seq.search.utf8 import ByteRule
from seq2seq.text.blocks import Unit
from seq2seq.text.masking import PLACEHOLDER, Protection
from seq2seq.tokenizer import Tokenizer
from seq2seq.translation.postprocess import Judgement, Writer
from seq2seq.translation.preprocess import Piece, Reader
from seq2seq.translation.result import Draft, Part, Translation

if TYPE_CHECKING:
    from seq2seq.search.constrained import Constraints
    from seq2seq.text.formality import Formality
    from seq2seq.text.glossary import Glossary

_BATCH_SENTENCES = 64  # searched side by side; more of them gain little speed
_BATCH_IDS = 4096  # padding counted: long sentences go in smaller batches, and memory is bounded
_READ_AHEAD = 2048  # pieces: enough to find some of like length for every batch
_READ_AT_FIRST = 512  # so that the first lines do not wait for their like


class Translator:
    """A model that translates text.

    from seq2seq import Translator

    translator = Translator("mine.s2s")
    [translation] = translator.translate(["Where is the station?"])
    print(translation.text, translation.score)

    The settings `search`, `guard`, `protect`, `protect_patterns`, `glossary`, `formality` and
    `min_confidence` may be changed between calls:
    `translator.search = dataclasses.replace(translator.search, beam_size=1)`.

    A translator of a model folder may be called from several threads at once; a call goes by the
    settings that it found when it began.
    """

    search: SearchConfig
    guard: bool = True  # a search that failed is repeated, and at last the source stands
    protect: bool = True  # placeholders, links, tags and code, which come out as they went in
    protect_patterns: tuple[re.Pattern[str], ...] = ()  # what else comes out as it went in
    glossary: "Glossary | None" = None  # whose terms are translated as it says
    formality: "Formality | None" = None  # du or Sie, tu or vous, tú or usted; None: as it comes
    min_confidence: float = 0.0  # below it a sentence stays untranslated, between ⟦ and ⟧
    directions: tuple[Direction, ...]  # that the model was trained for
    direction: Direction  # the model reads any of its languages; what is asked for is the target

    def __init__(self, model: str | Path | None = None, threads: int = 0) -> None:
        """Load a model folder, or the model that comes with the package.

        `threads` 0: one a core. Raises `Seq2SeqError`, which names the file that is missing,
        damaged or of another model.
        """
        from seq2seq.model_dir.read import load_folder  # brings ONNX Runtime

        folder = SHIPPED_MODEL if model is None else Path(model)
        shipped = load_folder(folder, threads)
        self._set_up(
            shipped.engine,
            shipped.tokenizer,
            shipped.directions,
            shipped.search,
            shipped.calibrations,
        )

    @classmethod
    def over(
        cls,
        engine: Engine[Any],
        tokenizer: Tokenizer,
        directions: Sequence[Direction],
        search: SearchConfig,
        calibrations: Iterable[Calibration] = (),
    ) -> Self:
        """A translator over any engine, such as the torch one of a model in training."""
        translator = cls.__new__(cls)
        translator._set_up(engine, tokenizer, directions, search, calibrations)
        return translator

    def _set_up(
        self,
        engine: Engine[Any],
        tokenizer: Tokenizer,
        directions: Sequence[Direction],
        search: SearchConfig,
        calibrations: Iterable[Calibration],
    ) -> None:
        self.tokenizer = tokenizer
        self.directions = tuple(directions)
        self.direction = self.directions[0]
        self.search = search
        self.engine = engine
        self.calibrations = {one.direction: one for one in calibrations}

    def between(self, source: str | None = None, target: str | None = None) -> Self:
        """The same model from and into these languages; what is not given it finds itself.

        A direction that it was not trained for is tried where it knows both languages. Raises
        `UsageError`, which lists the directions, where it does not.
        """
        translator = copy.copy(self)
        translator.direction = choose_direction(self.directions, source, target)
        return translator

    def translate(
        self, texts: Sequence[str], n_best: int = 1, unit: Unit = "line"
    ) -> list[Translation]:
        """A translation for each text, in order, with up to `n_best` candidates.

        Each is translated sentence by sentence, and list markers, the names of speakers and tabs
        stay where they are. With `unit` "line" the translation is one line; with "sentence" lines
        and indentation are kept; so they are with "paragraph", but lines that belong together are
        joined first.

        Raises `UsageError`, a `Seq2SeqError`, where `n_best` is more than the beam size.
        """
        if isinstance(texts, str):
            raise TypeError("translate() takes a list of texts: write translate([text])")
        return list(self.translate_lines(texts, n_best, unit))

    def translate_lines(
        self,
        lines: Iterable[str],
        n_best: int = 1,
        unit: Unit = "line",
        *,
        keep_parts: bool = True,
        on_part: Callable[[str], object] | None = None,
    ) -> Iterator[Translation]:
        """The same for any number of lines, in bounded memory: each as soon as it is ready.

        Lines are read ahead, up to some thousand of them, so that lines of like length are searched
        side by side. The next batch is always the one with the oldest line. Where `lines` fails,
        the lines before come first.

        Without `keep_parts` candidates have no parts and no alignment; a line of a megabyte then
        takes hardly more memory than its text. `on_part` is called for each part of a long line
        that is done but for the last, in order, with its source and the white space behind.
        """
        if isinstance(lines, str):
            raise TypeError("translate_lines() takes lines, not a text")
        return _Call(self, n_best, unit, keep_parts).translate(lines, on_part)


class _Call:
    """One call of a translator, by the settings that it found."""

    def __init__(self, translator: Translator, n_best: int, unit: Unit, keep_parts: bool) -> None:
        tokenizer, direction = translator.tokenizer, translator.direction
        self._engine, self._search = translator.engine, translator.search
        self._n_best, self._unit, self._keep_parts = n_best, unit, keep_parts
        protection = Protection(translator.protect_patterns, tokenizer.spells)
        self._reader = Reader(
            tokenizer,
            direction.source,
            direction.target,
            translator.search.max_source_length,
            protection if translator.protect else None,
            translator.glossary,
            translator.formality,
        )
        calibration = translator.calibrations.get(direction)
        self._writer = Writer(
            tokenizer,
            direction.source,
            direction.target,
            calibration,
            translator.min_confidence,
            translator.search,
            keep_parts,
            translator.guard,
            protection,
        )
        self._forbidden = [*tokenizer.tag_ids(), *tokenizer.placeholder_ids()]
        self._byte_rule = ByteRule(tokenizer.byte_ids())
        self._tokenizer = tokenizer
        # Of several hypotheses some have the same text, so all that the beam finds are asked for.
        beam = translator.search.beam_size
        self._hypotheses = beam if 1 < n_best < beam else n_best

    def translate(
        self, lines: Iterable[str], on_part: Callable[[str], object] | None
    ) -> Iterator[Translation]:
        coming = self._read(lines)
        queue: deque[_Waiting] = deque()  # read and not given back yet, in order
        draft = self._draft()
        failure: Exception | None = None
        given = 0
        while True:
            room = min(_READ_AHEAD, _READ_AT_FIRST + given) - len(queue)
            try:
                queue.extend(islice(coming, max(0, room)))
            except Exception as error:
                failure = error
            if not queue:
                break
            if queue[0].parts is None:
                self._translate_first([one for one in queue if one.parts is None])
            while queue and queue[0].parts is not None:
                first = queue.popleft()
                given += 1
                if not first.parts:  # a span was lost
                    queue.extendleft(reversed([*self._around(first)]))
                    continue
                draft.add(first.parts)
                if first.ends is not None:
                    yield Translation(first.ends, draft.candidates())
                    draft = self._draft()
                elif on_part:
                    on_part(first.parts[0].source + first.piece.separator)
        if failure:
            raise failure

    def _draft(self) -> Draft:
        return Draft(self._keep_parts, one_line=self._unit == "line")

    def _read(self, lines: Iterable[str]) -> "Iterator[_Waiting]":
        for number, line in enumerate(lines):
            if not isinstance(line, str):
                raise TypeError(f"text {number} of the list is {line!r}, not a str; count from 0")
            yield from self._waiting(self._reader.read(line, self._unit), line)

    def _around(self, one: "_Waiting") -> "Iterator[_Waiting]":
        return self._waiting(self._reader.around(one.piece), one.ends)

    def _waiting(self, pieces: Iterable[Piece], ends: str | None) -> "Iterator[_Waiting]":
        for piece, following in pairwise(chain(pieces, [None])):
            assert piece
            parts = None if piece.ids else self._writer.write(piece, (), 1)
            yield _Waiting(piece, None if following else ends, parts)

    def _translate_first(self, waiting: "Sequence[_Waiting]") -> None:
        """Find the parts of the first, and of those that are best searched beside it.

        Second searches, which are few, wait for one another until a text waits for them.
        """
        first = waiting[0]
        alike = [one for one in waiting if (one.again is None) == (first.again is None)]
        batch = next(batch for batch in _batches(alike) if first in batch)
        if first.again:
            self._translate_again(batch)
        else:
            self._translate(batch)

    def _translate(self, batch: "Sequence[_Waiting]") -> None:
        """Find the parts of each, but of those whose search failed."""
        constraints = [self._reader.constraints(one.piece) for one in batch]
        plain = [one for one, needs in zip(batch, constraints, strict=True) if needs is None]
        sources = [one.piece.ids for one in plain]
        found = beam_search(
            self._engine,
            sources,
            self._search,
            self._hypotheses,
            self._forbidden,
            self._byte_rule,
        )
        bound = [(one, needs) for one, needs in zip(batch, constraints, strict=True) if needs]
        if bound:
            plain += [one for one, _ in bound]
            needing = [(one.piece, needs) for one, needs in bound]
            found += self._search_within(needing, self._hypotheses)
        for one, hypotheses in zip(plain, found, strict=True):
            sound, best, failure = self._sift(one.piece, hypotheses)
            if failure:
                held = self._reader.with_numbers_held(one.piece) or one.piece
                again = self._reader.as_sentence(held)
                one.again = _noted(again, f"the translation that was found first {failure}")
                continue
            parts = self._writer.write(one.piece, sound, self._n_best)
            counted = self._reader.with_numbers_held(one.piece) if best.changes_numbers else None
            if counted:
                one.again = _noted(counted, "the translation that was found first changes a number")
            elif best.negation_differs:
                again = self._reader.as_sentence(one.piece)
                one.again = _noted(
                    again, "the translation that was found first is negated otherwise"
                )
            if one.again:
                one.first = parts
            else:
                one.parts = parts

    def _translate_again(self, waiting: "Sequence[_Waiting]") -> None:
        """Find the parts of those that are searched again; at last the source stands.

        What was wrong in a number or the negation alone stands where no other translation is right.
        Where it failed or changed a number, the numbers are held as spans.
        """
        from seq2seq.search.constrained import Constraints

        pieces = [one.again for one in waiting if one.again]
        needs = [self._reader.constraints(piece) or Constraints() for piece in pieces]
        strict = [replace(one, strict=True) for one in needs]
        again = [*zip(pieces, strict, strict=True)]
        found = self._search_within(again, self._search.beam_size)
        for one, piece, hypotheses in zip(waiting, pieces, found, strict=True):
            sound, best, _ = self._sift(piece, hypotheses)
            parts = self._writer.write(piece, sound, self._n_best)
            if one.first is not None and (not parts or best.negation_differs):
                one.parts = one.first
                continue
            one.piece = piece
            if sound or PLACEHOLDER in piece.text:
                one.parts = parts  # without any, what is between the spans is translated
            else:
                one.parts = self._writer.unchanged(piece, hypotheses[0])

    def _sift(self, piece: Piece, hypotheses: Sequence[Hypothesis]) -> "_Sifted":
        """Tell the hypotheses that may be translations from failures."""
        needs = self._reader.constraints(piece)
        size = needs.size if needs else 0
        judged = [(one, self._writer.judge(piece, one, size)) for one in hypotheses]
        sound = [(one, judgement) for one, judgement in judged if not judgement.failure]
        sound.sort(key=lambda pair: (pair[1].changes_numbers, pair[1].negation_differs))
        _, best = (sound or judged)[0]
        return _Sifted([one for one, _ in sound], best, judged[0][1].failure)

    def _search_within(
        self, needing: "Sequence[tuple[Piece, Constraints]]", number: int
    ) -> list[list[Hypothesis]]:
        """Up to `number` hypotheses of each that meet its constraints."""
        from seq2seq.search.constrained import constrained_search  # few texts need it

        return constrained_search(
            self._engine,
            [piece.ids for piece, _ in needing],
            [needs for _, needs in needing],
            self._search,
            number,
            self._forbidden,
            self._tokenizer.continuing_ids,
            self._byte_rule,
            self._tokenizer.letter_ids,
        )


@dataclass(eq=False)
class _Waiting:
    """A piece, and what became of it."""

    piece: Piece
    ends: str | None  # the text whose last piece it is
    parts: list[Part] | None  # until it was searched
    again: Piece | None = None  # as it is searched again
    first: list[Part] | None = None  # from its first search, where that is not quite wrong


class _Sifted(NamedTuple):
    """What the hypotheses of a piece are good for."""

    sound: list[Hypothesis]  # that may be translations, first those right in number and negation
    best: Judgement  # of the first of these, or of all
    failure: str | None  # of the first of all


def _noted(piece: Piece, note: str) -> Piece:
    return replace(piece, notes=(*piece.notes, note))


def _batches(waiting: Iterable[_Waiting]) -> Iterator[list[_Waiting]]:
    """Pieces of like length side by side, the shortest first."""
    batch: list[_Waiting] = []
    for one in sorted(waiting, key=lambda one: len(one.piece.ids)):
        size = (len(batch) + 1) * len(one.piece.ids)
        full = len(batch) == _BATCH_SENTENCES or size > _BATCH_IDS
        if batch and full:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch
