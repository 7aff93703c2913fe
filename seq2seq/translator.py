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
from functools import partial
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from seq2seq.confidence import Calibration
from seq2seq.config import Direction, SearchConfig, choose_direction
from seq2seq.decoding.protocol import Engine
from seq2seq.decoding.search import Hypothesis, beam_search
from seq2seq.decoding.utf8 import ByteRule
from seq2seq.reading import Piece, Reader
from seq2seq.shipped import SHIPPED_MODEL
from seq2seq.text.layout import Unit
from seq2seq.text.protection import STAND_IN, Protection
from seq2seq.tokenizer import Tokenizer
from seq2seq.translation import Draft, Part, Translation
from seq2seq.writing import Writer

if TYPE_CHECKING:
    from seq2seq.decoding.constrained import Constraints
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
        from seq2seq.decoding.folder import load_folder  # brings ONNX Runtime

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
                waiting = [one for one in queue if one.parts is None]
                self._translate(next(batch for batch in _batches(waiting) if waiting[0] in batch))
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

    def _translate(self, batch: "Sequence[_Waiting]") -> None:
        """Find the parts of each."""
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
        needing = [(one, needs) for one, needs in zip(batch, constraints, strict=True) if needs]
        if needing:
            plain += [one for one, _ in needing]
            found += self._search_within(needing, self._hypotheses)
        failed: list[_Waiting] = []
        miscounted: list[_Waiting] = []
        for one, hypotheses in zip(plain, found, strict=True):
            reasons = self._reasons(one, hypotheses)
            if reasons[0]:
                note = f"the translation that was found first {reasons[0]}"
                one.piece = replace(one.piece, notes=(*one.piece.notes, note))
                failed.append(one)
            else:
                self._write(one, hypotheses, reasons)
                if self._writer.changes_numbers(one.piece, hypotheses[0]):
                    miscounted.append(one)
        if failed or miscounted:
            self._translate_again(failed, miscounted)

    def _translate_again(
        self, failed: "Sequence[_Waiting]", miscounted: "Sequence[_Waiting]"
    ) -> None:
        """Find the parts of those whose first search failed; at last the source stands.

        Where it changed a number, the numbers are held as spans; what that finds is taken where it
        is a translation, and best where it says no other numbers.
        """
        from seq2seq.decoding.constrained import Constraints

        for one in failed:
            one.piece = self._reader.as_sentence(one.piece)
        held = [(one, self._reader.with_numbers_held(one.piece)) for one in miscounted]
        holding = [(one, replace(one, piece=piece, parts=None)) for one, piece in held if piece]
        waiting = [*failed, *(second for _, second in holding)]
        needs = [self._reader.constraints(one.piece) or Constraints() for one in waiting]
        strict = [replace(one, strict=True) for one in needs]
        again = [*zip(waiting, strict, strict=True)]
        found = self._search_within(again, self._search.beam_size)
        for (one, second), hypotheses in zip(holding, found[len(failed) :], strict=True):
            note = "the translation that was found first changes a number"
            second.piece = replace(second.piece, notes=(*second.piece.notes, note))
            hypotheses = sorted(hypotheses, key=partial(self._writer.changes_numbers, second.piece))
            self._write(second, hypotheses, self._reasons(second, hypotheses))
            if second.parts:
                one.piece, one.parts = second.piece, second.parts
        for one, hypotheses in zip(failed, found[: len(failed)], strict=True):
            reasons = self._reasons(one, hypotheses)
            if not all(reasons):
                self._write(one, hypotheses, reasons)
            elif STAND_IN in one.piece.text:
                one.parts = []  # what is between the spans may be translated
            else:
                one.parts = self._writer.unchanged(one.piece, hypotheses[0])

    def _reasons(self, one: "_Waiting", hypotheses: Sequence[Hypothesis]) -> list[str | None]:
        """Why each hypothesis is no translation, or None where it may be one."""
        needs = self._reader.constraints(one.piece)
        size = needs.size if needs else 0
        return [self._writer.failure(one.piece, hypothesis, size) for hypothesis in hypotheses]

    def _write(
        self,
        one: "_Waiting",
        hypotheses: Sequence[Hypothesis],
        reasons: Sequence[str | None],
    ) -> None:
        """Take the parts from the hypotheses that no reason is given against."""
        sound = [one for one, reason in zip(hypotheses, reasons, strict=True) if not reason]
        one.parts = self._writer.write(one.piece, sound, self._n_best)

    def _search_within(
        self, needing: "Sequence[tuple[_Waiting, Constraints]]", number: int
    ) -> list[list[Hypothesis]]:
        """Up to `number` hypotheses of each that meet its constraints."""
        from seq2seq.decoding.constrained import constrained_search  # few texts need it

        return constrained_search(
            self._engine,
            [one.piece.ids for one, _ in needing],
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
