"""Text in, `Translation` out: read, search, write, join.

A blank line gives the empty one. Text without a letter (numbers, punctuation, pictures) has nothing
to translate and passes through unchanged. Placeholders, links, tags and code come out as they went
in, each once.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from seq2seq.bundled import bundled_model
from seq2seq.confidence import Calibration
from seq2seq.config.model_config import Direction, SearchConfig, choose_direction
from seq2seq.errors import UsageError
from seq2seq.search.beam import Hypothesis, beam_search
from seq2seq.search.engine import Engine
from seq2seq.search.repetition import RepetitionRule
from seq2seq.search.utf8 import ByteRule
from seq2seq.text.masking import PLACEHOLDER, Protection
from seq2seq.tokenizer import Tokenizer
from seq2seq.translation.base import BaseTranslator, TranslateOptions, require_text
from seq2seq.translation.postprocess import Judgement, Writer
from seq2seq.translation.preprocess import Piece, Reader
from seq2seq.translation.result import Draft, Part, Translation

if TYPE_CHECKING:
    from seq2seq.search.constrained import Constraints

_BATCH_SENTENCES = 64  # searched side by side; more of them gain little speed
_BATCH_IDS = 4096  # padding counted: long sentences go in smaller batches, and memory is bounded
_READ_AHEAD = 2048  # pieces: enough to find some of like length for every batch
_READ_AT_FIRST = 512  # so that the first lines do not wait for their like


class Translator(BaseTranslator):
    """A model that translates text.

    from seq2seq import Translator

    translator = Translator("mine.s2s")
    [translation] = translator.translate(["Where is the station?"])
    print(translation.text, translation.score)

    A translator of a model directory may be called from several threads at once, and sent to
    another process, which loads it again. `search` and
    `calibrations` are the model's own; the options of a call change them for that call.
    """

    __slots__ = (
        "_folder",
        "_threads",
        "calibrations",
        "direction",
        "directions",
        "engine",
        "search",
        "tokenizer",
    )

    _folder: Path | None  # None: over an engine of this process
    _threads: int
    tokenizer: Tokenizer
    directions: tuple[Direction, ...]  # that the model was trained for
    direction: Direction  # where a call names no languages
    search: SearchConfig
    engine: Engine[Any]
    calibrations: dict[Direction, Calibration]

    def __init__(
        self,
        model: str | Path | None = None,
        threads: int = 0,
        *,
        source: str | None = None,
        target: str | None = None,
    ) -> None:
        """Load a model directory; without `model` the bundled model for these languages.

        `source` and `target` are the languages of calls that name none. `threads` 0: one per core.
        Raises `UsageError` where the model does not know the languages, and `Seq2SeqError`, which
        names the file, where one is missing, damaged or of another model.
        """
        from seq2seq.model_dir.read import load_model_dir  # brings ONNX Runtime

        folder = bundled_model(source, target) if model is None else Path(model)
        loaded = load_model_dir(folder, threads)
        self._set_up(
            loaded.engine,
            loaded.tokenizer,
            loaded.directions,
            loaded.search,
            loaded.calibrations,
        )
        self._folder, self._threads = folder, threads
        if source or target:
            self.direction = choose_direction(self.directions, source, target)

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
        self._folder = None
        self._threads = 0
        self.tokenizer = tokenizer
        self.directions = tuple(directions)
        self.direction = self.directions[0]
        self.search = search
        self.engine = engine
        self.calibrations = {calibration.direction: calibration for calibration in calibrations}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path of the model directory, not the model."""
        if self._folder is None:
            raise TypeError("only a translator loaded from a model directory can be pickled")
        load = partial(Translator, source=self.direction.source, target=self.direction.target)
        return load, (self._folder.resolve(), self._threads)

    def direction_for(self, options: TranslateOptions) -> Direction:
        """Return the direction of a call; raise `UsageError` where the model has no such."""
        if options.source is None and options.target is None:
            return self.direction
        return choose_direction(self.directions, options.source, options.target)

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """See `BaseTranslator.stream`."""
        return _Call(self, options).translate(lines)


class _Call:
    """One call of a translator."""

    def __init__(self, translator: Translator, options: TranslateOptions) -> None:
        tokenizer, direction = translator.tokenizer, translator.direction_for(options)
        self._engine = translator.engine
        self._search = translator.search.changed(
            beam_size=options.beam_size,
            length_penalty=options.length_penalty,
            prune=options.prune,
            max_source_length=options.max_length,
        )
        _check(options, self._search, translator.calibrations)
        self._options, self._n_best = options, options.n_best
        protection = Protection(options.protect_patterns, tokenizer.spells)
        self._reader = Reader(
            tokenizer,
            direction.source,
            direction.target,
            self._search.max_source_length,
            protection if options.protect else None,
            options.glossary,
            options.formality,
        )
        calibration = translator.calibrations.get(direction)
        self._writer = Writer(
            tokenizer,
            direction.source,
            direction.target,
            calibration,
            options.min_confidence,
            self._search,
            options.keep_parts,
            options.guard,
            protection,
        )
        self._forbidden = [*tokenizer.tag_ids(), *tokenizer.placeholder_ids()]
        self._byte_rule = ByteRule(tokenizer.byte_ids())
        self._tokenizer = tokenizer
        # Of several hypotheses some have the same text, so all that the beam finds are asked for.
        beam = self._search.beam_size
        self._hypotheses = beam if 1 < self._n_best < beam else self._n_best

    def translate(self, lines: Iterable[str]) -> Iterator[Translation]:
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
                elif self._options.on_part:
                    self._options.on_part(first.parts[0].source + first.piece.separator)
        if failure:
            raise failure

    def _draft(self) -> Draft:
        return Draft(self._options.keep_parts, one_line=self._options.unit == "line")

    def _read(self, lines: Iterable[str]) -> "Iterator[_Waiting]":
        for number, line in enumerate(lines):
            text = require_text(line, number)
            yield from self._waiting(self._reader.read(text, self._options.unit), text)

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
        tokenizer = self._tokenizer
        strict = [
            replace(
                one,
                repetition_rule=RepetitionRule(
                    piece.ids, tokenizer.continuing_ids, tokenizer.letter_ids
                ),
            )
            for piece, one in zip(pieces, needs, strict=True)
        ]
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
        )


def _check(
    options: TranslateOptions, search: SearchConfig, calibrations: Mapping[Direction, Calibration]
) -> None:
    """Raise `UsageError` where a model cannot do what the options say."""
    if options.n_best < 1:
        raise UsageError("n-best is at least 1.")
    if options.n_best > search.beam_size:
        raise UsageError(
            f"n-best {options.n_best} is more than the beam size {search.beam_size}; "
            f"set the beam size to {options.n_best}."
        )
    if not 0 <= options.min_confidence <= 1:  # also where it is no number
        raise UsageError("the minimum confidence is a number between 0 and 1.")
    if options.min_confidence and not calibrations:
        raise UsageError(
            "a minimum confidence needs a model that is calibrated; run `seq2seq calibrate` on it."
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
