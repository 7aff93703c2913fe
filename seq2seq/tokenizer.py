"""Text to ids and back, with one joint SentencePiece model for both sides.

Two guarantees hold for every text: nothing is unknown (characters outside the vocabulary become
bytes), and the ids of a target decode to exactly that target. The source is normalised further,
since it is never decoded; see `normalise_source`.

A space is put before the first word of a text, so that `Haus` is the same piece at the start of a
sentence and inside it. SentencePiece writes a space as U+2581 in its pieces, and decodes every
U+2581 as a space; so a U+2581 in the text itself is spelled in bytes.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from io import BytesIO
from itertools import chain, count, takewhile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Self

import sentencepiece

from seq2seq.config.model_config import SMALLEST_VOCABULARY
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import read_bounded
from seq2seq.text.formality import FORMALITIES, Formality
from seq2seq.text.masking import without_invisible
from seq2seq.text.subword_regularization import DropoutSampler, Pieces, Sampler, UnigramSampler

if TYPE_CHECKING:
    from seq2seq.config.recipe import TokenizerConfig

sentencepiece.set_min_log_level(2)  # errors only; this module reports a damaged model itself

PAD_ID, BOS_ID, EOS_ID, UNK_ID = range(4)
PLACEHOLDERS = tuple(f"<ph{i}>" for i in range(16))
"""Symbols that stand for protected spans; each is always a single id."""

_SPACE = "\u2581"
_TAG_BEGINS = "<tag:"
_WHOLE = re.compile("(" + "|".join((*PLACEHOLDERS, _SPACE)) + ")")  # never cut or part of a word
_WORD = re.compile(" ?[^ ]+| ")
_STRAIGHT = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u00b4", "'")  # NFKC turns U+00B4 into a space
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011", "-")
)

_MOST_BYTES = 64 << 20  # of a model file
_RAREST = 5_000_000  # a character is frequent enough to be learnt if it is one of so many

_MOST_REQUIRED = 1000  # characters; alphabets have fewer, and more would leave no room for words

_SPACES = str.maketrans(
    dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f", " ")
    | dict.fromkeys("\u00ad\u200b\ufeff", None)
)


def normalise_source(text: str) -> str:
    """Normalise a source: NFKC, straight quotes, single spaces, no invisible characters."""
    visible = without_invisible(text)
    return " ".join(unicodedata.normalize("NFKC", visible.translate(_STRAIGHT)).split())


def plain_spaces(text: str) -> str:
    """Replace wide, narrow and no-break spaces by ordinary ones; remove soft hyphens.

    Zero-width spaces and byte order marks are removed too.
    """
    return text if text.isascii() else text.translate(_SPACES)


def language_tag(language: str) -> str:
    """Return the control symbol that asks for `language`; text never encodes to it."""
    return f"<2{language}>"


def formality_tag(formality: Formality) -> str:
    """Return the control symbol that asks for a form of address; text never encodes to it."""
    return f"<{formality}>"


def constraint_tag(name: str) -> str:
    """Return the control symbol of a tag from a recipe; text never encodes to it."""
    return f"{_TAG_BEGINS}{name}>"


class Tokenizer:
    """Encode and decode with a SentencePiece model. V is `len(tokenizer)`."""

    def __init__(self, model: bytes, *, name: str = "tokenizer") -> None:
        """Take a serialised SentencePiece model that `Tokenizer.train` made.

        `name` stands for it in error messages. Raises `Seq2SeqError` for any other model.
        """
        self.model = model
        try:
            self._processor = sentencepiece.SentencePieceProcessor()
            self._processor.LoadFromSerializedProto(model)
            self._pieces: list[str] = self._processor.id_to_piece([*range(len(self))])
        except (RuntimeError, UnicodeDecodeError):  # the latter if a piece is not UTF-8
            raise Seq2SeqError(f"{name}: not a SentencePiece model.") from None
        processor = self._processor
        ids = (processor.pad_id(), processor.bos_id(), processor.eos_id(), processor.unk_id())
        if ids != (PAD_ID, BOS_ID, EOS_ID, UNK_ID):
            raise Seq2SeqError(
                f"{name}: a SentencePiece model of another kind (pad, bos, eos, unk are {ids}, "
                f"not {(PAD_ID, BOS_ID, EOS_ID, UNK_ID)}); let `seq2seq train` make one."
            )
        needed = [*(f"<0x{byte:02X}>" for byte in range(256)), *PLACEHOLDERS]
        for piece in needed:
            if processor.piece_to_id(piece) == UNK_ID:
                raise Seq2SeqError(
                    f"{name}: a SentencePiece model of another kind (it has no {piece}); let "
                    "`seq2seq train` make one."
                )
        self._byte_ids = tuple(processor.piece_to_id(f"<0x{byte:02X}>") for byte in range(256))
        self.spells: Callable[[str], bool] = lru_cache(maxsize=4096)(self._spells)
        """Whether a character of a source is encoded with pieces rather than spelled in bytes."""
        self._space_bytes = [self._byte_ids[byte] for byte in _SPACE.encode()]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a model file; raises `Seq2SeqError` if it is missing or not of this kind."""
        try:
            return cls(read_bounded(path, _MOST_BYTES), name=str(path))
        except OSError as error:
            raise Seq2SeqError(f"{path}: cannot be read: {error.strerror}.") from None

    @classmethod
    def train(
        cls,
        sentences: Iterable[str],
        config: "TokenizerConfig",
        languages: Sequence[str],
        *,
        formality: bool = False,
        tags: Sequence[str] = (),
    ) -> Self:
        """Learn pieces from `sentences` of both sides, and add a control symbol per language.

        `formality` adds a symbol for each form of address, `tags` one for each tag. Raises
        `Seq2SeqError` if the vocabulary size does not fit the sentences.
        """
        symbols = [language_tag(language) for language in languages]
        if formality:
            symbols += [formality_tag(form) for form in FORMALITIES]
        symbols += map(constraint_tag, tags)
        sentences = list(sentences)
        stream = BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=(f" {sentence}" for sentence in sentences),
                model_writer=stream,
                model_type=config.algorithm,
                vocab_size=config.vocabulary_size,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                add_dummy_prefix=False,
                byte_fallback=True,
                character_coverage=config.character_coverage,
                required_chars=_required_characters(sentences),
                split_digits=config.split_digits,
                max_sentence_length=100_000,
                input_sentence_size=2_000_000,
                shuffle_input_sentence=False,
                control_symbols=symbols,
                user_defined_symbols=list(PLACEHOLDERS),
                pad_id=PAD_ID,
                bos_id=BOS_ID,
                eos_id=EOS_ID,
                unk_id=UNK_ID,
                minloglevel=2,
            )
        except RuntimeError as error:
            most = re.search(r"too high .* value <= (\d+)", str(error))
            if most and int(most[1]) < SMALLEST_VOCABULARY:
                raise Seq2SeqError(
                    "the corpus is too small to learn a tokenizer from: a few hundred sentences "
                    "are needed, or a tokenizer that has been trained already (tokenizer.path)."
                ) from None
            raise Seq2SeqError(
                f"tokenizer.vocabulary_size = {config.vocabulary_size} does not fit this corpus: "
                f"{_reason(error)}."
            ) from None
        return cls(stream.getvalue())

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    def language_id(self, language: str) -> int:
        """Return the id of the tag of a language; raises `Seq2SeqError` if there is none."""
        identifier = int(self._processor.piece_to_id(language_tag(language)))
        if identifier == UNK_ID:
            raise Seq2SeqError(
                f"the tokenizer has no tag for the language {language!r}; train a tokenizer with "
                "this pair of languages (leave tokenizer.path out)."
            )
        return identifier

    def formality_id(self, formality: Formality) -> int:
        """Return the id of the tag of a form of address; raises `Seq2SeqError` if there is none."""
        identifier = int(self._processor.piece_to_id(formality_tag(formality)))
        if identifier == UNK_ID:
            raise Seq2SeqError(
                "this model was not trained to choose between formal and informal address; train "
                "one with augmentation.formality."
            )
        return identifier

    def constraint_id(self, tag: str) -> int:
        """Return the id of a tag from the recipe; raises `UsageError` if there is none."""
        identifier = int(self._processor.piece_to_id(constraint_tag(tag)))
        if identifier == UNK_ID:
            raise UsageError(
                f"the model has no tag {tag!r}; it has {', '.join(self.constraint_tags)}."
                if self.constraint_tags
                else f"the model has no tag {tag!r}, and no other; corpus.tags gives a model tags "
                "when it is trained with a tokenizer of its own."
            )
        return identifier

    @property
    def constraint_tags(self) -> list[str]:
        """The names of the tags from the recipe."""
        pieces = self.pieces(self.tag_ids())
        return [piece[len(_TAG_BEGINS) : -1] for piece in pieces if piece.startswith(_TAG_BEGINS)]

    def tag_ids(self) -> list[int]:
        """Return the ids of all tags, which come after the special ids and before all pieces."""
        return list(takewhile(self._processor.is_control, count(UNK_ID + 1)))

    def placeholder_ids(self) -> list[int]:
        """Return the ids of the `PLACEHOLDERS`."""
        return [int(self._processor.piece_to_id(placeholder)) for placeholder in PLACEHOLDERS]

    def _spells(self, character: str) -> bool:
        if character == _SPACE:
            return False
        # NFKC replaces symbols: a trade mark sign becomes two letters. So they are looked up as is.
        is_symbol = unicodedata.category(character) in ("Sc", "Sk", "Sm", "So", "No")
        normalised = character if is_symbol else normalise_source(character)
        return all(self._processor.piece_to_id(letter) != UNK_ID for letter in normalised)

    def byte_ids(self) -> tuple[int, ...]:
        """Return the ids of the 256 bytes."""
        return self._byte_ids

    @cached_property
    def continuing_ids(self) -> list[int]:
        """The ids of pieces that continue the word before them."""
        return [i for i, piece in enumerate(self._pieces) if piece[:1].isalnum()]

    @cached_property
    def letter_ids(self) -> list[int]:
        """The ids of pieces with at least one letter; bytes have none."""
        silent = {*self._byte_ids, *range(UNK_ID + 1), *self.tag_ids(), *self.placeholder_ids()}
        return [
            i
            for i, piece in enumerate(self._pieces)
            if i not in silent and any(map(str.isalpha, piece))
        ]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the most likely ids of each text, without BOS and EOS; an empty text has none."""
        return self._encode(texts)

    def encode_sources(self, texts: Sequence[str], language: str) -> list[list[int]]:
        """Return the ids of each text for the encoder: the tag of the target `language`, the text.

        The text is normalised first.
        """
        tags = self.source_tags(language)
        return [[*tags, *ids] for ids in self._encode([normalise_source(text) for text in texts])]

    def source_tags(
        self, language: str, formality: Formality | None = None, tag: str | None = None
    ) -> list[int]:
        """Return the ids that go before a source: of its target language, form of address, tag.

        Raises `Seq2SeqError` if there is no such tag.
        """
        ids = [self.language_id(language)]
        if formality is not None:
            ids.append(self.formality_id(formality))
        if tag is not None:
            ids.append(self.constraint_id(tag))
        return ids

    def sampler(self, alpha: float) -> "TextSampler":
        """Return a sampler of random segmentations.

        A unigram model samples by probability ** `alpha`; a BPE model drops merges at rate `alpha`.
        """
        processor = self._processor
        ids = {
            processor.id_to_piece(i): i
            for i in range(len(self))
            if not (processor.is_control(i) or processor.is_byte(i) or processor.is_unknown(i))
        }
        whole = {placeholder: [ids.pop(placeholder)] for placeholder in PLACEHOLDERS}
        whole[_SPACE] = self._space_bytes
        pieces = Pieces(ids, {p: processor.get_score(i) for p, i in ids.items()}, self._byte_ids)
        # SentencePiece does not expose its algorithm, but only BPE has whole numbers as scores.
        is_bpe = all(score.is_integer() for score in pieces.scores.values())
        words = DropoutSampler(pieces, alpha) if is_bpe else UnigramSampler(pieces, alpha)
        return TextSampler(words, whole)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`; control symbols (BOS, EOS, padding, tags) add nothing to it."""
        text = str(self._processor.decode(list(ids)))
        return text[1:] if text.startswith(" ") else text

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the pieces of `ids`, with spaces written as U+2581."""
        return [self._pieces[i] for i in ids]

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        prefixed = [f" {text}" if text else "" for text in texts]
        encoded: list[list[int]]
        if len(prefixed) == 1:  # as a list it would take five times as long
            encoded = [self._processor.encode(prefixed[0])]
        else:
            encoded = self._processor.encode(prefixed, num_threads=1)
        for index, text in enumerate(prefixed):
            if _SPACE in text:
                first, *rest = text.split(_SPACE)
                encoded[index] = self._processor.encode(first)
                for part in rest:
                    encoded[index] += self._space_bytes + self._processor.encode(part)
        return encoded


class TextSampler:
    """Segments texts at random, but never cuts a placeholder.

    Unlike SentencePiece's own sampling, it draws the same segmentations in every process.
    """

    def __init__(self, words: Sampler, whole: Mapping[str, Sequence[int]]) -> None:
        """Take a sampler for words, and the ids of parts that stay `whole`."""
        self._words = words
        self._whole = whole

    def draw(self, text: str, random: Random) -> list[int]:
        """Draw the ids of a random segmentation, without BOS and EOS."""
        ids: list[int] = []
        for part in _WHOLE.split(f" {text}" if text else ""):
            if part in self._whole:
                ids += self._whole[part]
                continue
            for word in _WORD.findall(part):
                ids += self._words.draw(word.replace(" ", _SPACE), random)
        return ids


def _required_characters(sentences: Iterable[str]) -> str:
    """Return the characters that always get a piece, whatever the coverage; at most a thousand.

    These are printable ASCII, then all characters that occur at least once in five million, the
    most frequent first. Rarer ones are spelled in bytes, since a model could not learn them.
    """
    counts = Counter(chain.from_iterable(sentences))
    rarest = counts.total() / _RAREST
    ascii_characters = {chr(code) for code in range(0x21, 0x7F)}
    frequent = {
        character
        for character, count in counts.items()
        if count >= rarest and character.isprintable() and not character.isspace()
    } - {_SPACE}
    ranked = sorted(
        ascii_characters | frequent,
        key=lambda character: (character not in ascii_characters, -counts[character], character),
    )
    return "".join(ranked[:_MOST_REQUIRED])


def _reason(error: RuntimeError) -> str:
    """Return why SentencePiece could not be trained, without the names of its options."""
    message = str(error)
    if most := re.search(r"too high .* value <= (\d+)", message):
        return f"it can be at most {most[1]}"
    if least := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        return f"it must be at least {least[1]}"
    if "sentences_.empty()" in message:
        return "it has no sentence to learn from"
    return message.split("\n")[0].rpartition("] ")[2].strip(" .")
