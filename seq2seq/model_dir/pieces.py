"""A SentencePiece model from a stranger, looked at before SentencePiece reads it.

What SentencePiece does with some models ends the process: up to version 0.2.1 it reads outside of
its memory where the normaliser's table is made up, overflows its stack on a piece of a million
letters, and gives up on a piece with a zero byte. Nothing of that is in a model that
`Tokenizer.train` makes, so only models of that make are let through: first the pieces, each with
text, score and type, then the two specifications, without a table. The format is that of
`sentencepiece_model.proto`, see
<https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto>.
"""

import numpy as np
from numpy.typing import NDArray

from seq2seq.engines.protobuf import fields

_PIECES, _TRAINER, _NORMALISER = 0x0A, 2, 3  # fields of a model; of the first its tag
_TEXT, _SCORE, _TYPE = 0x0A, 0x15, 0x18  # the tags of a piece's fields
_TYPES = 6  # 1 to 6
_ALGORITHM, _UNKNOWN_SURFACE = 3, 44  # fields of the trainer's specification
_CHARACTER_MAP = 2  # a field of the normaliser's
_ALGORITHMS = (1, 2)  # unigram and BPE

_MOST_PIECES = 1 << 18
_LONGEST_PIECE = 0x7F  # bytes, its score and type counted


def check_pieces(model: bytes) -> None:
    """Raises `ValueError`, which tells why, unless SentencePiece can safely read `model`."""
    starts, end = _walk(model)
    if not 0 < len(starts) <= _MOST_PIECES:
        raise ValueError(f"it has {len(starts):,} pieces at its beginning")
    _check_each(np.frombuffer(model, np.uint8, end), np.array(starts))
    for number, specification in fields(model[end:]):
        if number not in (_TRAINER, _NORMALISER) or isinstance(specification, int):
            raise ValueError("it has more than pieces and two specifications")
        for part, setting in fields(specification):
            if (number, part) == (_TRAINER, _ALGORITHM) and setting not in _ALGORITHMS:
                raise ValueError("it is neither unigram nor BPE")
            if (number, part) == (_TRAINER, _UNKNOWN_SURFACE):
                raise ValueError("it has a text for what is unknown")
            if (number, part) == (_NORMALISER, _CHARACTER_MAP) and setting != b"":
                raise ValueError("it changes characters")


def _walk(model: bytes) -> tuple[list[int], int]:
    """Where each of the pieces at the beginning starts, after tag and length, and their end."""
    starts = []
    position, last = 0, len(model) - 1
    while position < last and model[position] == _PIECES:
        starts.append(position + 2)
        position += 2 + model[position + 1]
    if position > len(model):
        raise ValueError("a piece is too long")
    return starts, position


def _check_each(model: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
    """All pieces at once: text, score, and a type unless it is a plain piece."""
    sizes = model[starts - 1].astype(np.int64)
    if (sizes > _LONGEST_PIECE).any():
        raise ValueError("a piece is too long")
    if (sizes < 8).any():  # two tags, a length, one letter and the score
        raise ValueError("a piece is not whole")
    letters = model[starts + 1].astype(np.int64)
    scores = starts + 2 + letters
    surplus = sizes - letters - 7
    typed = scores[surplus == 2]
    if (
        (letters < 1).any()
        or ((surplus != 0) & (surplus != 2)).any()
        or (model[starts] != _TEXT).any()
        or (model[scores] != _SCORE).any()
        or (model[typed + 5] != _TYPE).any()
        or (model[typed + 6] - 1 >= _TYPES).any()
    ):
        raise ValueError("a piece has more than text, score and type")
    places = scores[:, None] + np.arange(1, 5)
    if not np.isfinite(model[places].view(np.float32)).all():
        raise ValueError("the score of a piece is not a finite number")
    # Tags, lengths and types are ASCII and not zero. So are now the scores, and all texts can be
    # looked at together.
    texts = model.copy()
    texts[places] = ord(" ")
    if not texts.all():
        raise ValueError("a piece has a zero byte")
    try:
        texts.tobytes().decode()
    except UnicodeDecodeError:
        raise ValueError("a piece is not UTF-8") from None
