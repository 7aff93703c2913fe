"""What holds of every format that is text: its bytes stay, whatever the translator does."""

from collections.abc import Callable

from seq2seq.documents.document import Document, UnitTranslation
from seq2seq.text.masking import ANY_PLACEHOLDER, mask, restore

Read = Callable[[bytes, str | None, str], Document]
Translate = Callable[[str], str]


def shout(text: str) -> str:
    """Upper case, all but the placeholders and tags."""
    masked = mask(text)
    return restore(masked.text.upper(), masked.spans)


def backwards(text: str) -> str:
    """The words in reverse order, with their placeholders and tags."""
    return " ".join(text.split()[::-1])


def hostile(text: str) -> str:
    """What breaks out of quotes, in front of a text without its placeholders and tags."""
    return """'"}{#|\\`*_[x](y)<b>&: - , ${ %{ \\n l'""" + ANY_PLACEHOLDER.sub("", mask(text).text)


TRANSLATORS = (shout, backwards, hostile)


def translated(
    read: Read, text: str, translate: Translate = shout, source: str = "en", target: str = "de"
) -> str:
    """Translate a document by a function, and check that without it the bytes are the same."""
    data = text.encode()
    document = read(data, source, target)
    texts = [unit.text for unit in document.units]
    assert document.render([None] * len(texts)) == data
    assert document.render([*map(UnitTranslation, texts)]) == data
    return document.render([UnitTranslation(translate(text)) for text in texts]).decode()


def texts_of(read: Read, text: str, source: str = "en", target: str = "de") -> list[str]:
    """Return the texts that go to the translator."""
    return [unit.text for unit in read(text.encode(), source, target).units]
