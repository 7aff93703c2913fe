"""Text in capitals: a model that has read ordinary sentences reads it as one, and shouts back."""

from seq2seq.text.protection import FLOAT, STAND_IN

_LEAST_LETTERS = 4  # fewer are an abbreviation


def is_shouted(text: str) -> bool:
    """Whether all letters are capitals, and too many for an abbreviation.

    A single word is an abbreviation unless an exclamation mark follows.
    """
    letters = sum(map(str.isalpha, text))
    if letters < _LEAST_LETTERS or not text.isupper():
        return False
    words = [word for word in text.split() if any(map(str.isalpha, word))]
    return len(words) > 1 or text.rstrip(f"{STAND_IN}{FLOAT} ").endswith("!")


def quiet(text: str) -> str:
    """The text in lower case but for its first letter."""
    lower = text.lower()
    first = next((i for i, letter in enumerate(lower) if letter.isalpha()), 0)
    return lower[:first] + lower[first : first + 1].upper() + lower[first + 1 :]
