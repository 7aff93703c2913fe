"""Translate the text units of a document."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from seq2seq.documents.document import Document, State, TextUnit, UnitTranslation
from seq2seq.translation.base import BaseTranslator, TranslateOptions
from seq2seq.translation.result import Candidate


def texts_to_translate(document: Document, only_new: bool = False) -> dict[str, bool]:
    """Return the distinct texts to translate, in order, each with whether it has a length limit."""
    texts = dict[str, bool]()
    for unit in document.units:
        if not (only_new and unit.state is State.TRANSLATED):
            texts[unit.text] = texts.get(unit.text, False) or unit.max_length is not None
    return texts


def translate_document(
    document: Document,
    translator: BaseTranslator,
    options: TranslateOptions,
    *,
    only_new: bool = False,
    on_text: Callable[[str], object] | None = None,
) -> list[UnitTranslation | None]:
    """Return the translation of each unit; None for a unit that stays as it is.

    Repeated texts are translated once. A unit with a length limit gets the best candidate within
    the limit. With `only_new`, units that have a translation keep it, and all others are marked as
    needing review. `on_text` is called with each text that is done, in the order of
    `texts_to_translate`, except that texts with a limit come last; it may end the call by raising.
    Raises `UsageError` if the options do not fit the model.
    """
    texts = texts_to_translate(document, only_new)
    candidates = dict[str, tuple[Candidate, ...]]()
    for has_limit in (False, True):
        chosen = [text for text, is_limited in texts.items() if is_limited is has_limit]
        call = replace(
            options,
            unit="sentence",
            keep_parts=False,
            n_best=options.beam_size or translator.search.beam_size if has_limit else 1,
        )
        for text, translation in zip(chosen, translator.stream(chosen, call), strict=True):
            candidates[text] = translation.candidates
            if on_text:
                on_text(text)
    return unit_translations(document, candidates, only_new)


def unit_translations(
    document: Document, candidates: Mapping[str, Sequence[Candidate]], only_new: bool = False
) -> list[UnitTranslation | None]:
    """Choose the translation of each unit from the candidates of its text."""
    state = State.NEEDS_REVIEW if only_new else State.TRANSLATED
    return [
        None
        if only_new and unit.state is State.TRANSLATED
        else _translation(unit, candidates[unit.text], state)
        for unit in document.units
    ]


def _translation(unit: TextUnit, candidates: Sequence[Candidate], state: State) -> UnitTranslation:
    """Choose the best candidate within the limit; if there is none, the best one, with a note.

    A fuzzy match from a translation memory always needs review.
    """
    limit = unit.max_length
    fitting = (found for found in candidates if limit is None or len(found.text) <= limit)
    best = next(fitting, None)
    notes: tuple[str, ...] = ()
    if best is None:
        best = candidates[0]
        notes = (f"it has {len(best.text)} characters, and no more than {limit} are allowed",)
    if best.match is not None and best.match < 1:
        state = State.NEEDS_REVIEW
    return UnitTranslation(best.text, best.confidence, state, (*best.notes, *notes), best.match)
