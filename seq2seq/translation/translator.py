"""Translate texts with one model: preprocess, search, postprocess, build the result.

A text is split into segments, which are searched in batches. A segment whose translation fails the
checks is searched again, with repetition ruled out and its numbers masked; if that fails too, its
source is kept. A blank line gives an empty line. Text without a letter (numbers, punctuation,
emoji) passes through unchanged. Placeholders, links, tags and code come out as they went in, each
once.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import cached_property, partial
from hashlib import sha256
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from seq2seq.bundled import bundled_model
from seq2seq.confidence import Calibration
from seq2seq.config.model_config import Combination, Direction, SearchConfig, choose_direction
from seq2seq.errors import UsageError
from seq2seq.search.beam import Hypothesis, beam_search
from seq2seq.search.engine_protocol import Engine, batches_by_length
from seq2seq.search.repetition import RepetitionRule, WordIds
from seq2seq.search.utf8 import ByteRule
from seq2seq.text.masking import PLACEHOLDER, Protection
from seq2seq.tokenizer import Tokenizer
from seq2seq.translation.base import BaseTranslator, TranslateOptions
from seq2seq.translation.hypothesis_checks import NO_VERDICT, Checker, Verdict
from seq2seq.translation.postprocess import Output, Postprocessor, lost_term
from seq2seq.translation.preprocess import Preprocessor, Segment
from seq2seq.translation.result import SegmentTranslation, Translation, TranslationBuilder
from seq2seq.translation.translate_once import searched_once

if TYPE_CHECKING:
    from seq2seq.search.constrained import Constraints

_LEAST_GAIN = 2.0  # nats per name that is kept; for less, the first translation stays

_READ_AHEAD = 2048  # segments: enough to find some of similar length for every batch
_READ_AT_FIRST = 512  # fewer at first, so that the first lines come soon


class Translator(BaseTranslator):
    """Translates text with one model, or with an ensemble of models that share a vocabulary.

    from seq2seq import Translator

    translator = Translator("mine.s2s")
    [translation] = translator.translate(["Where is the station?"])
    print(translation.text, translation.score)

    A translator that was loaded from a model directory may be called from several threads at once,
    and can be pickled: another process loads the model again. `search` and `calibrations` are the
    model's own; the options of a call override them for that call.
    """

    __slots__ = (
        "_combination",
        "_folders",
        "_threads",
        "calibrations",
        "direction",
        "directions",
        "engine",
        "search",
        "tokenizer",
    )

    _folders: tuple[Path, ...]  # empty for a translator made with `over` or `together`
    _threads: int
    _combination: Combination
    tokenizer: Tokenizer
    directions: tuple[Direction, ...]  # that the model was trained for
    direction: Direction  # of calls that name no languages
    search: SearchConfig
    engine: Engine[Any]
    calibrations: dict[Direction, Calibration]

    def __init__(
        self,
        model: str | Path | Sequence[str | Path] | None = None,
        threads: int = 0,
        *,
        source: str | None = None,
        target: str | None = None,
        ensemble: Combination = "log",
    ) -> None:
        """Load a model directory; without `model`, the bundled model for these languages.

        Several models form an ensemble, which uses the search settings of the first and averages
        log-probabilities or, with `ensemble="linear"`, probabilities; it has no confidence.
        `source` and `target` are the languages of calls that name none. `threads` 0: one per core.
        Raises `UsageError` if the model does not know the languages, and a `Seq2SeqError` that
        names the file if one is missing, damaged or from another model.
        """
        from seq2seq.model_dir.read import load_model_dir  # brings ONNX Runtime

        if model is None:
            folders = [bundled_model(source, target)]
        else:
            folders = [*map(Path, [model] if isinstance(model, str | Path) else model)]
        loaded = [load_model_dir(folder, threads) for folder in folders]
        if len(loaded) == 1:
            [alone] = loaded
            self._set_up(
                alone.engine, alone.tokenizer, alone.directions, alone.search, alone.calibrations
            )
        else:
            self._set_up_ensemble(loaded, ensemble)
        self._folders, self._threads, self._combination = tuple(folders), threads, ensemble
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
        """Return a translator over any engine, such as a torch engine of a model in training."""
        translator = cls.__new__(cls)
        translator._set_up(engine, tokenizer, directions, search, calibrations)
        return translator

    @classmethod
    def together(
        cls, translators: "Sequence[Translator]", combination: Combination = "log"
    ) -> Self:
        """Return an ensemble of translators, such as translators over torch engines."""
        translator = cls.__new__(cls)
        translator._set_up_ensemble(translators, combination)
        return translator

    def _set_up_ensemble(self, models: "Sequence[_Model]", combination: Combination) -> None:
        from seq2seq.engines.ensemble import EnsembleEngine  # few calls need it

        if not models:
            raise UsageError("an ensemble needs a model.")
        first, *others = models
        digest = sha256(first.tokenizer.model).digest()
        for number, model in enumerate(others, 2):
            if sha256(model.tokenizer.model).digest() != digest:
                raise UsageError(
                    f"model {number} of the ensemble has another vocabulary than the first; train "
                    "models for an ensemble with one tokenizer (tokenizer.path)."
                )
            if not set(first.directions).intersection(model.directions):
                raise UsageError(
                    f"model {number} of the ensemble translates "
                    f"{', '.join(map(str, model.directions))}, and the first one "
                    f"{', '.join(map(str, first.directions))}: they need a direction in common."
                )
        directions = [d for d in first.directions if all(d in m.directions for m in others)]
        engines = [model.engine for model in models]
        engine = EnsembleEngine(engines, len(first.tokenizer), combination)
        self._set_up(engine, first.tokenizer, directions, first.search, ())

    def _set_up(
        self,
        engine: Engine[Any],
        tokenizer: Tokenizer,
        directions: Sequence[Direction],
        search: SearchConfig,
        calibrations: Iterable[Calibration],
    ) -> None:
        self._folders, self._threads, self._combination = (), 0, "log"
        self.tokenizer = tokenizer
        self.directions = tuple(directions)
        self.direction = self.directions[0]
        self.search = search
        self.engine = engine
        self.calibrations = {calibration.direction: calibration for calibration in calibrations}

    @property
    def folders(self) -> tuple[Path, ...]:
        """The model directories, several for an ensemble; none for a translator made by `over`."""
        return self._folders

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the paths of the model directories, not the models."""
        if not self._folders:
            raise TypeError("only a translator loaded from a model directory can be pickled")
        load = partial(
            Translator,
            source=self.direction.source,
            target=self.direction.target,
            ensemble=self._combination,
        )
        return load, ([folder.resolve() for folder in self._folders], self._threads)

    def direction_for(self, options: TranslateOptions) -> Direction:
        """Return the direction of a call; raise `UsageError` if the model does not have it."""
        if options.source is None and options.target is None:
            return self.direction
        return choose_direction(self.directions, options.source, options.target)

    def stream(self, lines: Iterable[str], options: TranslateOptions) -> Iterator[Translation]:
        """See `BaseTranslator.stream`."""
        return searched_once(lines, _Call(self, options).translate)


class _Model(Protocol):
    """What an ensemble needs of each model."""

    @property
    def engine(self) -> Any: ...
    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def directions(self) -> tuple[Direction, ...]: ...
    @property
    def search(self) -> SearchConfig: ...


class _State(Enum):
    """What is to be done with a segment next."""

    TO_SEARCH = auto()
    TO_SEARCH_AGAIN = auto()  # the first translation failed or is doubtful
    TRANSLATED = auto()
    SPAN_LOST = auto()  # the pieces between its spans are to be translated separately


_SEARCHES = (_State.TO_SEARCH, _State.TO_SEARCH_AGAIN)

_Checked = list[tuple[Output, Verdict]]


@dataclass(eq=False)
class _Job:
    """A segment, from preprocessing to the result."""

    segment: Segment
    ends: str | None  # the text whose last segment this is
    state: _State
    constraints: "Constraints | None" = None
    repetition_rule: RepetitionRule | None = None
    first: tuple[Segment, _Checked] | None = None  # of the first search, unless it failed
    least_log_prob: float = -math.inf  # that a second translation needs to replace the first
    with_terms: Segment | None = None  # the original segment, if its terms were dropped
    translations: list[SegmentTranslation] = field(default_factory=list)

    @property
    def adds_nothing(self) -> bool:
        """Whether it contributes nothing to its text, not even a note."""
        return not (self.segment.text or self.segment.separator or self.segment.notes)


class _Call:
    """One call of a translator: preprocess, search, postprocess, result."""

    def __init__(self, translator: Translator, options: TranslateOptions) -> None:
        tokenizer, direction = translator.tokenizer, translator.direction_for(options)
        self._options, self._tokenizer, self._engine = options, tokenizer, translator.engine
        self._search_config = translator.search.changed(
            beam_size=options.beam_size,
            length_penalty=options.length_penalty,
            prune=options.prune,
            max_source_length=options.max_length,
        )
        _check(options, self._search_config, translator.calibrations)
        if options.tag is not None:
            tokenizer.constraint_id(options.tag)
        protection = Protection(options.protect_patterns, tokenizer.spells)
        self._preprocessor = Preprocessor(
            tokenizer,
            direction.source,
            direction.target,
            self._search_config.max_source_length,
            protection if options.protect else None,
            options.glossary,
            options.formality,
            options.prefix,
            options.tag,
        )
        self._checker = Checker(
            direction.source,
            direction.target,
            self._search_config,
            frozenset(tokenizer.placeholder_ids()),
        )
        self._postprocessor = Postprocessor(
            tokenizer,
            direction.source,
            direction.target,
            translator.calibrations.get(direction),
            options.min_confidence,
            options.keep_parts,
            options.guard,
            protection,
        )
        self._forbidden = [*tokenizer.tag_ids(), *tokenizer.placeholder_ids()]
        self._byte_rule = ByteRule(tokenizer.byte_ids())

    def translate(self, lines: Iterable[str]) -> Iterator[Translation]:
        """Read ahead, search batch by batch, and yield each text as soon as it is complete."""
        upcoming = self._preprocess(lines)
        queue: deque[_Job] = deque()  # read and not yet yielded, in order
        builder = self._builder()
        failure: Exception | None = None
        finished = 0
        while True:
            if not queue or queue[0].state in _SEARCHES:
                room = min(_READ_AHEAD, _READ_AT_FIRST + finished) - len(queue)
                try:
                    queue.extend(islice(upcoming, max(0, room)))
                except Exception as error:  # raised below, after what was read before it
                    failure = error
            if not queue:
                break
            if queue[0].state in _SEARCHES:
                batch = _first_batch(queue)
                for job, hypotheses in zip(batch, self._search(batch), strict=True):
                    self._postprocess(job, hypotheses)
            elif queue[0].state is _State.SPAN_LOST:
                queue.extendleft(reversed([*self._around_spans(queue.popleft())]))
            else:
                job = queue.popleft()
                finished += 1
                builder.add(job.translations)
                if job.ends is not None:
                    yield builder.build(job.ends)
                    builder = self._builder()
                elif self._options.on_part and not job.adds_nothing:
                    following = queue[0] if queue else None
                    if not (following and following.ends is not None and following.adds_nothing):
                        self._options.on_part(job.translations[0].source + job.segment.separator)
        if failure:
            raise failure

    def _builder(self) -> TranslationBuilder:
        return TranslationBuilder(self._options.keep_parts, one_line=self._options.unit == "line")

    def _preprocess(self, lines: Iterable[str]) -> Iterator[_Job]:
        for text in lines:
            yield from self._jobs(self._preprocessor.preprocess(text, self._options.unit), text)

    def _around_spans(self, job: _Job) -> Iterator[_Job]:
        return self._jobs(self._preprocessor.around_spans(job.segment), job.ends)

    def _jobs(self, segments: Iterable[Segment], text: str | None) -> Iterator[_Job]:
        """Yield a job for each segment; the last one ends `text`."""
        for segment, following in pairwise(chain(segments, [None])):
            assert segment
            ends = None if following else text
            if segment.ids:
                constraints = self._preprocessor.constraints(segment)
                yield _Job(segment, ends, _State.TO_SEARCH, constraints)
            else:
                passed = [self._postprocessor.pass_through(segment)]
                yield _Job(segment, ends, _State.TRANSLATED, translations=passed)

    def _search(self, batch: Sequence[_Job]) -> list[list[Hypothesis]]:
        """Return the best hypotheses of each segment."""
        sources = [job.segment.ids for job in batch]
        config, n_best = self._search_config, self._options.n_best
        # Several hypotheses may have the same text, so ask for all that the beam has.
        number = config.beam_size if n_best > 1 else n_best
        rules = [job.repetition_rule for job in batch]
        constraints = [job.constraints for job in batch if job.constraints]
        if self._options.sampling and not constraints:
            from seq2seq.search.sampling import sample  # few calls need it

            return sample(
                self._engine,
                sources,
                self._options.sampling,
                config,
                n_best,
                self._forbidden,
                self._byte_rule,
            )
        if not constraints:
            return beam_search(
                self._engine,
                sources,
                config,
                number,
                self._forbidden,
                self._byte_rule,
                rules if any(rules) else None,
            )
        from seq2seq.search.constrained import constrained_search  # few texts need it

        return constrained_search(
            self._engine,
            sources,
            constraints,
            config,
            number,
            self._forbidden,
            self._tokenizer.continuing_ids,
            self._byte_rule,
        )

    def _postprocess(self, job: _Job, hypotheses: Sequence[Hypothesis]) -> None:
        """Turn the hypotheses of a segment into translations, or have it searched again."""
        checked = [self._check(job, hypothesis) for hypothesis in hypotheses]
        acceptable = [(output, verdict) for output, verdict in checked if not verdict.failure]
        acceptable.sort(key=lambda pair: pair[1].doubts)
        if job.state is _State.TO_SEARCH_AGAIN:
            has_misfit = checked[0][1].has_misfit
            self._finish_second_search(job, acceptable, hypotheses[0], has_misfit)
            return
        preprocessor, segment = self._preprocessor, job.segment
        _, verdict = checked[0]
        if verdict.failure:
            masked = preprocessor.with_numbers_masked(segment) or segment
            self._search_again(job, preprocessor.as_sentence(masked), verdict.failure)
            return
        job.first = segment, acceptable
        output, verdict = acceptable[0]
        masked_numbers = (
            preprocessor.with_numbers_masked(segment) if verdict.changes_numbers else None
        )
        if masked_numbers:
            self._search_again(job, masked_numbers, "changes a number")
        elif verdict.negation_differs:
            sentence = preprocessor.as_sentence(segment)
            self._search_again(job, sentence, "is negated differently")
        elif masked_names := self._with_lost_names_masked(segment, output):
            kept = masked_names.text.count(PLACEHOLDER) - segment.text.count(PLACEHOLDER)
            job.least_log_prob = output.hypothesis.log_prob + kept * _LEAST_GAIN
            self._search_again(job, masked_names, "changes a name")
        else:
            self._finish(job, self._write(segment, acceptable))

    def _with_lost_names_masked(self, segment: Segment, output: Output) -> Segment | None:
        """Mask the names that a translation lost; return None if there are none."""
        if not self._options.guard or self._options.sampling or segment.prefix or not output.target:
            return None
        return self._preprocessor.with_names_masked(segment, output.target.text)

    def _check(self, job: _Job, hypothesis: Hypothesis) -> tuple[Output, Verdict]:
        """Decode a hypothesis and check it."""
        output = self._postprocessor.decode(job.segment, hypothesis)
        as_it_is = self._options.sampling or job.segment.prefix
        if as_it_is or not self._options.guard:
            return output, NO_VERDICT
        forced = job.constraints.size if job.constraints else 0
        return output, self._checker.check(job.segment, output, forced)

    def _write(self, segment: Segment, checked: _Checked) -> list[SegmentTranslation]:
        """Return up to `n_best` distinct translations; none if each hypothesis lost a span."""
        translations: dict[str, SegmentTranslation] = {}
        for output, verdict in checked:
            translation = self._postprocessor.write(segment, output, verdict.notes)
            if translation:
                translations.setdefault(translation.text, translation)
            if len(translations) == self._options.n_best:
                break
        return [*translations.values()]

    def _finish(self, job: _Job, translations: list[SegmentTranslation]) -> None:
        job.translations = translations
        job.state = _State.TRANSLATED if translations else _State.SPAN_LOST

    def _search_again(self, job: _Job, segment: Segment, reason: str) -> None:
        """Have `segment` searched in place of the job's, with repetition ruled out and a note."""
        note = f"searched again, since the first translation {reason}"
        self._search_with_rule(job, replace(segment, notes=(*segment.notes, note)))

    def _search_with_rule(self, job: _Job, segment: Segment) -> None:
        """Have a segment searched with repetition ruled out."""
        job.segment = segment
        job.state = _State.TO_SEARCH_AGAIN
        rule = RepetitionRule(segment.ids, self._word_ids)
        constraints = self._preprocessor.constraints(segment)
        job.constraints = constraints and replace(constraints, repetition_rule=rule)
        job.repetition_rule = None if constraints else rule

    @cached_property
    def _word_ids(self) -> WordIds:
        return WordIds(self._tokenizer.continuing_ids, self._tokenizer.letter_ids)

    def _search_without_terms(self, job: _Job) -> None:
        """Have a segment searched once more without terms; notes say which terms are lost."""
        segment = job.with_terms = job.segment
        lost = dict.fromkeys(lost_term(found.term) for found in segment.all_terms)
        self._search_with_rule(
            job, replace(segment, terms=(), replacing=(), notes=(*segment.notes, *lost))
        )

    def _finish_second_search(
        self, job: _Job, checked: _Checked, failed: Hypothesis, has_misfit: bool
    ) -> None:
        """Take the translations of the second search; failing that, the first, or the source.

        If they fail because a term does not fit, the segment is searched without terms before that.
        """
        translations = self._write(job.segment, checked)
        if job.first and (
            not translations
            or checked[0][1].negation_differs
            or checked[0][0].hypothesis.log_prob < job.least_log_prob
        ):
            job.segment, first = job.first
            self._finish(job, self._write(job.segment, first))
            return
        if not checked and has_misfit:
            self._search_without_terms(job)
            return
        if not translations:  # dropping the terms did not help, so restore them
            job.segment = job.with_terms or job.segment
        if not checked and PLACEHOLDER not in job.segment.text:
            reason = "no acceptable translation was found"
            translations = [self._postprocessor.keep_source(job.segment, failed, reason)]
        self._finish(job, translations)


def _first_batch(queue: Iterable[_Job]) -> list[_Job]:
    """Return the first segment to be searched, with others of similar length.

    The few that take longer come last, so that they form large batches: those that are searched
    again, and those with constraints, which need a different search.
    """
    waiting = [job for job in queue if job.state in _SEARCHES]
    order = min(map(_order, waiting))
    alike = [job for job in waiting if _order(job) == order]
    batches = batches_by_length([len(job.segment.ids) for job in alike])
    return [alike[number] for number in next(batch for batch in batches if 0 in batch)]


def _order(job: _Job) -> tuple[bool, bool]:
    """Return the sort key of a segment; the lowest is searched first."""
    return job.constraints is not None, job.state is _State.TO_SEARCH_AGAIN


def _check(
    options: TranslateOptions, search: SearchConfig, calibrations: Mapping[Direction, Calibration]
) -> None:
    """Raise `UsageError` if the model cannot do what the options ask for."""
    if options.n_best < 1:
        raise UsageError("n-best must be at least 1.")
    if options.sampling and options.prefix:
        raise UsageError("a translation with a prefix is searched for, and not sampled.")
    if options.n_best > search.beam_size and not options.sampling:
        raise UsageError(
            f"n-best {options.n_best} is more than the beam size {search.beam_size}; "
            f"set the beam size to {options.n_best}."
        )
    if not 0 <= options.min_confidence <= 1:  # also true for NaN
        raise UsageError("the minimum confidence must be between 0 and 1.")
    if options.min_confidence and not calibrations:
        raise UsageError(
            "a minimum confidence needs a model that is calibrated; run `seq2seq calibrate` on it."
        )
