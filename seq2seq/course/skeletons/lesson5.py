"""Lesson 5, subwords, loss, teacher forcing. Fill this in, then: seq2seq learn check lesson5.py"""


# 1. Words that are not in the vocabulary are spelt.
def subwords(word: str, vocabulary: set[str]) -> list[str]:
    """Return the parts of a word: each time the longest beginning that is in the vocabulary.

    All single letters of the word are in the vocabulary.
    """
    raise NotImplementedError


# 2. A mark, ▁, stands where a word begins: ["▁Ich", "▁kann", "st", "▁geh", "en", "."]
def joined(pieces: list[str]) -> str:
    """Return the text that the pieces spell, without a space at its beginning."""
    raise NotImplementedError


# 3. Teacher forcing: the decoder reads the true words, and says at each step which one follows.
def shifted(words: list[str]) -> tuple[list[str], list[str]]:
    """Return what the decoder reads, from "<s>" on, and what it has to say, up to "</s>"."""
    raise NotImplementedError


# 4. What a model's answer costs.
def loss(probabilities: list[float]) -> float:
    """Return the mean of -ln p over the probabilities that the model gave to the true tokens."""
    raise NotImplementedError


# 5. The same as a number of choices.
def perplexity(probabilities: list[float]) -> float:
    """Return e to the power of the loss."""
    raise NotImplementedError
