"""Distillation: a teacher translates the sources of a corpus, to train a student on.

A student learns the teacher's one way of saying a thing more easily than the many of a corpus, and
then needs little or no beam search (Kim & Rush 2016). From the teacher's n-best list the
translation nearest to the reference is taken, their "sequence-level interpolation": it is in the
teacher's words, and as correct as the teacher can be. A translation that is still far from the
reference can be left out.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from seq2seq.bleu_chrf import sentence_chrf
from seq2seq.config.model_config import Direction
from seq2seq.corpus import ParallelText
from seq2seq.errors import Seq2SeqError
from seq2seq.search.sampling import Sampling
from seq2seq.translation.translator import Translator


class DistilledPair(NamedTuple):
    """A source and the translation chosen for it."""

    line: int  # of the source in its corpus, from 1
    source: str
    translation: str
    chrf: float  # of the translation against the reference, from 0 to 100

    @property
    def row(self) -> bytes:
        """A line of a distilled corpus: source, translation, line number and chrF."""
        return f"{self.source}\t{self.translation}\t{self.line}\t{self.chrf:.1f}\n".encode()


def distilled_pairs(
    translator: Translator,
    text: ParallelText,
    first_line: int = 1,
    *,
    direction: Direction | None = None,
    beam_size: int | None = None,
    sampling: Sampling | None = None,
) -> Iterator[DistilledPair]:
    """Translate the sources of `text` from `first_line` on; choose the candidate with best chrF.

    The candidates are the whole beam, or with `sampling` equally many samples. Pairs that contain a
    tab are left out, since a row could not hold them.
    """
    sources = islice(text.source, first_line - 1, None)
    direction = direction or translator.direction
    beam_size = beam_size or translator.search.beam_size
    references = islice(text.target, first_line - 1, None)
    translations = translator.translate_lines(
        sources,
        source=direction.source,
        target=direction.target,
        n_best=beam_size,
        beam_size=beam_size,
        sampling=sampling,
        keep_parts=False,
    )
    pairs = zip(translations, references, strict=True)
    for line, (translation, reference) in enumerate(pairs, start=first_line):
        candidates = [candidate.text for candidate in translation.candidates]
        scores = [sentence_chrf(candidate, reference) for candidate in candidates]
        best = max(range(len(candidates)), key=scores.__getitem__)
        if "\t" not in translation.source + candidates[best]:
            yield DistilledPair(line, translation.source, candidates[best], scores[best])


def recover(path: Path) -> int:
    """Return the source line of the last row in a distilled corpus; 0 if it has no rows.

    A last row that was cut short, as by a signal, is removed from the file. Raises `Seq2SeqError`
    if the file is not a distilled corpus.
    """
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        content = file.read()
        end = content.rfind(b"\n") + 1
        begin = content.rfind(b"\n", 0, max(0, end - 1)) + 1
        if not content:
            return 0
        try:
            _, _, number, chrf = content[begin:end].decode().split("\t")
            line, _ = int(number), float(chrf)
        except ValueError:
            raise Seq2SeqError(
                f"{path}: not a file that `seq2seq distill` wrote; name another with -o."
            ) from None
        file.truncate(end)
    return line
