"""Identify the language of a text, with the bundled classifier or one of your own."""

import os
import re
import sys
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seq2seq.engines.weights import read_tensors
from seq2seq.errors import Seq2SeqError
from seq2seq.identification.alphabet import Alphabet, clean
from seq2seq.identification.network import Network
from seq2seq.identification.word_table import BYTES, familiarity

SURE = 0.9
"""A text that is more likely than this to be in a language that is not translated is left as is."""

LEFT_AS_UNKNOWN = "left as it is: it is in no language that is known"
"""The note on a text for which `source_of` is None."""

BUNDLED = Path(__file__).resolve().parents[1] / "models" / "languages.safetensors"

_LARGEST = 4 << 20  # bytes
_MOST_UNITS = 512
_MOST_LANGUAGES = 1 << 10
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}([_-][A-Za-z0-9]{1,8}){0,3}")
_TOGETHER = 16  # texts


class LanguageIdentifier:
    """Identifies the language of a text, or finds that it is in none of the known languages.

    It reads about 300 characters from the first letter on, so even a long text takes only some
    milliseconds. Several threads can use it at once.
    """

    def __init__(
        self,
        languages: Sequence[str],
        alphabet: Alphabet,
        network: Network,
        words: NDArray[np.uint8],  # (L, BYTES), see `table_of`
    ) -> None:
        self.languages = tuple(languages)
        self._alphabet = alphabet
        self._network = network
        self._words = words

    @classmethod
    def load(cls, path: str | Path | None = None) -> Self:
        """Load the model in the file `path`, or the bundled one.

        Raises `Seq2SeqError` for a file that is missing, damaged or not such a model. The file need
        not be trusted: it is only data, no code in it is run, and its size is limited.
        """
        file = BUNDLED if path is None else Path(path)
        try:
            return cls(*_parts(read_tensors(_read(file))))
        except ValueError as error:
            raise Seq2SeqError(f"{file}: not a language identifier: {error}.") from None

    def identify(self, text: str) -> list[tuple[str, float]]:
        """Return each language and its probability, the likeliest first.

        The probabilities add up to 1, or to less if the text may be in none of these languages: if
        the likeliest language has at most half of the words, they add up to the share that it has.
        They are 0 if the text has no letters, or mostly letters of an unknown script.
        """
        return self.identify_batch([text])[0]

    def identify_batch(self, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        """Identify several texts in batches; returns what `identify` does for each."""
        cleaned = [clean(text) for text in texts]
        telling = [n for n, text in enumerate(cleaned) if self._alphabet.knows(text)]
        telling.sort(key=lambda n: len(cleaned[n]))  # texts of similar length need little padding
        answers = [np.zeros(len(self.languages))] * len(texts)
        for first in range(0, len(telling), _TOGETHER):
            numbers = telling[first : first + _TOGETHER]
            found = self._network(*self._alphabet.encode_batch([cleaned[n] for n in numbers]))
            for number, probabilities in zip(numbers, found, strict=True):
                words = self._words[probabilities.argmax()]
                answers[number] = probabilities * familiarity(cleaned[number], words)
        return [self._ranked(answer) for answer in answers]

    def _ranked(self, probabilities: NDArray[Any]) -> list[tuple[str, float]]:
        order = np.argsort(-probabilities, kind="stable")
        return [(self.languages[n], float(probabilities[n])) for n in order]


def source_of(guesses: Sequence[tuple[str, float]], known: Container[str]) -> str | None:
    """Choose the source language of a text from the result of `identify`.

    This is the likeliest language that is `known` (it can be translated, or is the target), but a
    language with a probability above `SURE` is chosen in any case. None means that the text is at
    least as likely to be in none of the languages.
    """
    if sum(share for _, share in guesses) <= 0.5:
        return None
    likeliest, share = guesses[0]
    if share > SURE:
        return likeliest
    return next((language for language, _ in guesses if language in known), likeliest)


def _read(file: Path) -> bytes:
    """Read a file, following links; raises `ValueError` if it is too large or not a file.

    Raises `Seq2SeqError` if it is missing or cannot be read.
    """
    try:
        if file.exists() and not file.is_file():
            raise ValueError("not a file")
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > _LARGEST:
                raise ValueError(f"{size:,} bytes are too large for one")
            return stream.read(size)
    except FileNotFoundError:
        raise Seq2SeqError(f"{file}: there is no such file.") from None
    except OSError as error:
        raise Seq2SeqError(f"{file}: cannot be read: {error.strerror}.") from None


def _parts(
    tensors: dict[str, NDArray[Any]],
) -> tuple[list[str], Alphabet, Network, NDArray[np.uint8]]:
    """Undo `as_tensors`; raises `ValueError`, with the reason, if the tensors are not valid.

    Older files have no table of words; for these, every word counts as known.
    """
    for name in ("languages", "characters", *Network._fields):
        if name not in tensors:
            raise ValueError(f"'{name}' is missing")
    languages = _languages(tensors["languages"])
    characters = _characters(tensors["characters"])
    network = Network(*(tensors[name] for name in Network._fields))
    _check_weights(network, len(languages), len(characters))
    floats = (weights.astype(np.float32) for weights in network)
    shape = (len(languages), BYTES)
    words = tensors.get("words", np.full(shape, 255, np.uint8))
    if words.dtype != np.uint8 or words.shape != shape:
        raise ValueError(f"'words' has the shape {words.shape}, not {shape}")
    return languages, Alphabet(characters), Network(*floats), words


def as_tensors(
    languages: Sequence[str],
    characters: Sequence[str],
    network: Network,
    words: NDArray[np.uint8],
) -> dict[str, NDArray[Any]]:
    """Return a model as the tensors of its file: weights in float16, text as numbers."""
    weights = {name: part.astype(np.float16) for name, part in network._asdict().items()}
    return {
        "languages": np.frombuffer(" ".join(languages).encode(), np.uint8),
        "characters": np.array([ord(character) for character in characters], np.uint32),
        "words": words,
        **{name: np.ascontiguousarray(part) for name, part in weights.items()},
    }


def _languages(stored: NDArray[Any]) -> list[str]:
    if stored.dtype != np.uint8 or stored.ndim != 1:
        raise ValueError("'languages' is not text")
    languages = stored.tobytes().decode("ascii", errors="replace").split(" ")
    if not 2 <= len(languages) <= _MOST_LANGUAGES or len(set(languages)) < len(languages):
        raise ValueError(f"'languages' must be 2 to {_MOST_LANGUAGES:,} different ones")
    for language in languages:
        if not _LANGUAGE.fullmatch(language):
            raise ValueError(f"'languages' has {language[:20]!r}, which is not a language code")
    return languages


def _characters(stored: NDArray[Any]) -> list[str]:
    if stored.dtype != np.uint32 or stored.ndim != 1 or len(np.unique(stored)) != stored.size:
        raise ValueError("'characters' must be different code points, each once")
    if (stored > sys.maxunicode).any():
        raise ValueError("'characters' has a number that is not a code point")
    return [chr(number) for number in stored.tolist()]


def _check_weights(network: Network, languages: int, characters: int) -> None:
    """Raise `ValueError` unless the weights are float16, with shapes that fit all other parts."""
    if network.capital.ndim != 1 or network.hidden.ndim != 3:
        raise ValueError("'capital' or 'hidden' has not the dimensions that it needs")
    x, h = network.capital.size, network.hidden.shape[-1]
    if not (1 <= x <= _MOST_UNITS and 1 <= h <= _MOST_UNITS):
        raise ValueError(f"it must have 1 to {_MOST_UNITS:,} units")
    expected = {
        "embedding": (characters + 1, x),
        "capital": (x,),
        "input": (2, 4 * h, x),
        "hidden": (2, 4 * h, h),
        "bias": (2, 4 * h),
        "output": (languages, 2 * h),
        "output_bias": (languages,),
    }
    for name, weights in network._asdict().items():
        shape = expected[name]
        if weights.shape != shape:
            raise ValueError(f"'{name}' has the shape {weights.shape}, not {shape}")
        if weights.dtype != np.float16:  # sums of float16 weights cannot overflow in float32
            raise ValueError(f"'{name}' holds {weights.dtype}, not float16")
